/* listeners/tungo/udp_first.c - see udp_first.h; and what becomes of such a pair. */
#include "listeners/tungo/udp_first.h"
#include "listeners/tungo/udp_inside.h"
#include <stdlib.h>
#include <string.h>

void udp_firsts_init(struct udp_firsts *all)
{
    list_init(&all->all);
    shares_init(&all->shares);
    all->n = 0;
}

struct udp_first *udp_firsts_oldest(const struct udp_firsts *all)
{
    return list_is_empty(&all->all) ? NULL : LIST_OWNER(all->all.next, struct udp_first, all);
}

struct udp_first *udp_first_new(struct udp_firsts *all, struct udp_pair *pair, uint64_t due_ms)
{
    const struct addr *client = &pair->source->client;
    bool may = shares_may(shares_of(&all->shares, client), all->n, UDP_FIRST_PAIRS);
    struct udp_first *f = may ? calloc(1, sizeof *f) : NULL;

    if (!f || !shares_add(&all->shares, &f->share, client, 1)) {
        free(f);
        return NULL;
    }
    f->owner = all;
    f->pair = pair;
    f->due_ms = due_ms;
    list_append(&all->all, &f->all);
    all->n++;
    return f;
}

bool udp_first_add(struct udp_first *f, const void *data, size_t n)
{
    char *copy;

    if (f->n == UDP_FIRST_DATAGRAMS || f->bytes + n > UDP_FIRST_BYTES)
        return false;
    copy = malloc(n > 0 ? n : 1);
    if (!copy)
        return false;
    if (n > 0)
        memcpy(copy, data, n);
    f->v[f->n++] = (struct slice){copy, n};
    f->bytes += n;
    return true;
}

void udp_first_free(struct udp_first *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n; i++)
        free((void *)(uintptr_t)f->v[i].p);
    list_remove(&f->all);
    shares_remove(&f->owner->shares, &f->share);
    f->owner->n--;
    free(f);
}

/* --- the decision */

static void look_at_time(struct tungo_udp *u)
{
    struct udp_first *f = udp_firsts_oldest(&u->firsts);
    uint64_t now = loop_now_ms(u->setup.loop);

    if (!f)
        timer_stop(&u->first_timer);
    else if (!timer_is_running(&u->first_timer)) /* reserved */
        (void)timer_start(&u->first_timer, f->due_ms > now ? f->due_ms - now : 1);
}

/* The last thing that is done with the pair: it may be gone afterwards. */
static void send_first(struct tungo_udp *u, struct udp_first *f, uint64_t now)
{
    struct udp_pair *pair = f->pair;
    struct udp_dest *d = pair->dest;
    struct addr dst = pair->dst;

    for (int i = 0; i < f->n; i++) {
        const uint8_t *data = (const uint8_t *)f->v[i].p;
        size_t n = f->v[i].n;
        if (d->dns || d->ending)
            udp_table_asked(&u->table, d, data, n);
        if (n == 0 && d->empty_apart) /* nobody begins so */
            u->lost_up++;
        else if (d->opening)
            u->lost_up += !udp_hold(d, &dst, data, n);
        else
            udp_send_up(u, d, &dst, data, n, n);
    }
    udp_table_used(&u->table, d, pair, now);
    if (d->opening && !d->told)
        udp_ask_to_open(u, d, &dst);
}

/* Asks with what there is. false: not decided. The pair may be gone when it is. */
static bool decide(struct tungo_udp *u, struct udp_first *f, bool last)
{
    uint64_t now = loop_now_ms(u->setup.loop);
    struct udp_pair *pair = f->pair;
    struct addr client = pair->source->client;
    struct tungo_udp_route route = {0};
    enum rc rc = u->events.on_udp_more ? u->events.on_udp_more(u->events.arg, &client, &pair->dst,
                                                               f->v, f->n, last, &route)
                                       : RC_CANCELED;

    if (rc == RC_AGAIN && !last)
        return false;
    pair->first = NULL;
    if (!udp_bind_route(u, pair, rc == RC_AGAIN ? RC_CANCELED : rc, &route, now)) {
        u->lost_up += (uint64_t)f->n;
    } else if (pair->dest) {
        send_first(u, f, now);
    } else {
        u->lost_up += (uint64_t)f->n;
        udp_tell_client(u, &client, &pair->dst, pair->verdict);
    }
    udp_first_free(f);
    look_at_time(u);
    return true;
}

void udp_on_first_timer(struct timer *timer)
{
    struct tungo_udp *u =
        (struct tungo_udp *)((char *)timer - offsetof(struct tungo_udp, first_timer));
    uint64_t now = loop_now_ms(u->setup.loop);
    struct udp_first *f;

    while ((f = udp_firsts_oldest(&u->firsts)) != NULL && f->due_ms <= now)
        (void)decide(u, f, true);
    look_at_time(u);
}

enum rc udp_keep_first(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data, size_t n,
                       struct tungo_udp_route *ret_route)
{
    struct udp_source *s = pair->source;
    struct slice one = {(const char *)data, n};
    uint64_t now = loop_now_ms(u->setup.loop);

    if (!u->events.on_udp_more)
        return RC_CANCELED;
    pair->first = udp_first_new(&u->firsts, pair, now + u->first_ms);
    if (pair->first && udp_first_add(pair->first, data, n)) {
        s->used_ms = now;
        look_at_time(u);
        return RC_AGAIN;
    }
    udp_first_free(pair->first);
    pair->first = NULL;
    enum rc rc =
        u->events.on_udp_more(u->events.arg, &s->client, &pair->dst, &one, 1, true, ret_route);
    return rc == RC_AGAIN ? RC_CANCELED : rc;
}

bool udp_take_first(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data, size_t n)
{
    struct udp_first *f = pair->first;

    if (!udp_first_add(f, data, n)) {
        (void)decide(u, f, true);
        return false;
    }
    (void)decide(u, f, false);
    return true;
}
