/* listeners/tungo/source.c - see source.h. */
#include "listeners/tungo/source.h"
#include "core/list.h"
#include "core/rc.h"
#include "lwip/pbuf.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { RESERVE_PART = 8 /* this part of the budget is not for the poor */ };

struct counted {
    struct pbuf_custom pc; /* first: lwIP's free callback gets it */
    struct source *source;
    size_t bytes;
    _Alignas(8) uint8_t data[];
};

bool sources_init(struct sources *all, size_t cap)
{
    *all = (struct sources){.cap = cap};
    return flowtab_init(&all->table);
}

void sources_done(struct sources *all)
{
    BUG_ON(all->table.n != 0 || all->held != 0);
    flowtab_done(&all->table);
}

static struct flow_key key_of(const struct addr *client)
{
    const struct addr nowhere = {.family = client->family};
    struct addr host = *client;

    host.port = 0;
    if (host.family == AF_INET6)
        memset(host.ip + 8, 0, 8); /* whoever has one of its addresses has all */
    return flow_key_of(&host, &nowhere);
}

static struct source *find(const struct sources *all, const struct flow_key *key)
{
    struct flowtab_entry *e = flowtab_find(&all->table, key);

    return e ? LIST_OWNER(e, struct source, entry) : NULL;
}

struct source *source_find(const struct sources *all, const struct addr *client)
{
    struct flow_key key = key_of(client);

    return find(all, &key);
}

struct source *source_get(struct sources *all, const struct addr *client)
{
    struct flow_key key = key_of(client);
    struct source *s = find(all, &key);

    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        s->all = all;
        s->entry.key = key;
        list_init(&s->by_use);
        list_init(&s->parked);
        flowtab_add(&all->table, &s->entry);
    }
    s->flows++;
    return s;
}

static void settle(struct source *s)
{
    if (s->flows || s->held)
        return;
    flowtab_remove(&s->all->table, &s->entry);
    free(s);
}

void source_put(struct source *s)
{
    if (!s)
        return;
    BUG_ON(!s->flows);
    s->flows--;
    settle(s);
}

bool source_may(const struct source *s, size_t n, bool poor)
{
    size_t left;

    if (!s)
        return true;
    left = s->all->held < s->all->cap ? s->all->cap - s->all->held : 0;
    if (s->held + n <= left)
        return true;
    return poor && n <= left && left - n >= s->all->cap / RESERVE_PART;
}

void source_hold(struct source *s, size_t n)
{
    if (!s)
        return;
    s->held += n;
    s->all->held += n;
}

void source_release(struct source *s, size_t n)
{
    if (!s)
        return;
    BUG_ON(n > s->held);
    s->held -= n;
    s->all->held -= n;
    settle(s);
}

static void on_free(struct pbuf *p)
{
    struct counted *c = (struct counted *)(void *)p;
    struct source *s = c->source;
    size_t n = c->bytes;

    free(c);
    source_release(s, n);
}

struct pbuf *source_pbuf(struct source *s, size_t n)
{
    struct counted *c = n <= UINT16_MAX ? malloc(sizeof *c + n) : NULL;

    if (!c)
        return NULL;
    c->source = s;
    c->bytes = sizeof *c + n;
    c->pc.custom_free_function = on_free;
    source_hold(s, c->bytes);
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)n, PBUF_REF, &c->pc, c->data, (u16_t)n);
}
