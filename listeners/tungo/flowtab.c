/* listeners/tungo/flowtab.c - see flowtab.h. */
#include "listeners/tungo/flowtab.h"
#include "core/loop.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 256 };

struct flow_key flow_key_of(const struct addr *client, const struct addr *target)
{
    struct flow_key k = {
        .client_port = client->port, .target_port = target->port, .family = client->family};

    memcpy(k.client, client->ip, sizeof k.client);
    memcpy(k.target, target->ip, sizeof k.target);
    return k;
}

bool flowtab_init(struct flowtab *t)
{
    *t = (struct flowtab){.n_slots = SLOTS_MIN};
    loop_random(&t->secret, sizeof t->secret);
    t->slots = calloc(t->n_slots, sizeof *t->slots);
    return t->slots != NULL;
}

void flowtab_done(struct flowtab *t)
{
    free(t->slots);
    *t = (struct flowtab){0};
}

static struct flowtab_entry **slot_of(const struct flowtab *t, uint64_t hash)
{
    return &t->slots[hash & (t->n_slots - 1)];
}

struct flowtab_entry *flowtab_find(const struct flowtab *t, const struct flow_key *key)
{
    uint64_t hash = siphash(&t->secret, key, sizeof *key);
    struct flowtab_entry *e = *slot_of(t, hash);

    while (e && (e->hash != hash || memcmp(&e->key, key, sizeof *key) != 0))
        e = e->next;
    return e;
}

static void resize(struct flowtab *t, size_t n_slots)
{
    struct flowtab_entry **slots = calloc(n_slots, sizeof *slots);

    if (!slots)
        return; /* longer chains, nothing worse */
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (struct flowtab_entry *e = t->oldest; e; e = e->newer) {
        struct flowtab_entry **slot = slot_of(t, e->hash);
        e->next = *slot;
        *slot = e;
    }
}

static void link_newest(struct flowtab *t, struct flowtab_entry *e)
{
    e->older = t->newest;
    e->newer = NULL;
    if (t->newest)
        t->newest->newer = e;
    else
        t->oldest = e;
    t->newest = e;
}

static void unlink_use(struct flowtab *t, struct flowtab_entry *e)
{
    if (e->older)
        e->older->newer = e->newer;
    else
        t->oldest = e->newer;
    if (e->newer)
        e->newer->older = e->older;
    else
        t->newest = e->older;
}

void flowtab_add(struct flowtab *t, struct flowtab_entry *e)
{
    if (t->n >= t->n_slots)
        resize(t, t->n_slots * 2);
    e->hash = siphash(&t->secret, &e->key, sizeof e->key);
    struct flowtab_entry **slot = slot_of(t, e->hash);
    e->next = *slot;
    *slot = e;
    link_newest(t, e);
    t->n++;
}

void flowtab_remove(struct flowtab *t, struct flowtab_entry *e)
{
    struct flowtab_entry **pp = slot_of(t, e->hash);

    while (*pp != e)
        pp = &(*pp)->next;
    *pp = e->next;
    unlink_use(t, e);
    t->n--;
    if (t->n_slots > SLOTS_MIN && t->n < t->n_slots / 8)
        resize(t, t->n_slots / 2);
}

void flowtab_used(struct flowtab *t, struct flowtab_entry *e)
{
    if (t->newest == e)
        return;
    unlink_use(t, e);
    link_newest(t, e);
}
