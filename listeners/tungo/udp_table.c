/* listeners/tungo/udp_table.c - see udp_table.h. */
#include "listeners/tungo/udp_table.h"
#include "core/wire/ip.h"
#include "listeners/tungo/udp_first.h"
#include <stdlib.h>

enum { SLOTS_FIRST = 64, DNS_HEADER_BYTES = 12, DNS_IS_ANSWER = 0x80 };

static void to_last(struct list *l, struct list *e)
{
    if (l->prev == e)
        return;
    list_remove(e);
    list_append(l, e);
}

/* --- hashes. A table that can't grow for want of memory gets slower, not wrong. */

static bool sources_grow(struct udp_table *t)
{
    size_t n = t->source_slots ? (t->source_mask + 1) * 2 : SLOTS_FIRST;
    struct udp_source **slots = calloc(n, sizeof(struct udp_source *));

    if (!slots)
        return t->source_slots != NULL;
    for (size_t i = 0; t->source_slots && i <= t->source_mask; i++) {
        for (struct udp_source *s = t->source_slots[i], *next; s; s = next) {
            next = s->hash_next;
            s->hash_next = slots[s->hash & (n - 1)];
            slots[s->hash & (n - 1)] = s;
        }
    }
    free(t->source_slots);
    t->source_slots = slots;
    t->source_mask = n - 1;
    return true;
}

static bool pairs_grow(struct udp_table *t)
{
    size_t n = t->pair_slots ? (t->pair_mask + 1) * 2 : SLOTS_FIRST;
    struct udp_pair **slots = calloc(n, sizeof(struct udp_pair *));

    if (!slots)
        return t->pair_slots != NULL;
    for (size_t i = 0; t->pair_slots && i <= t->pair_mask; i++) {
        for (struct udp_pair *p = t->pair_slots[i], *next; p; p = next) {
            next = p->hash_next;
            p->hash_next = slots[p->hash & (n - 1)];
            slots[p->hash & (n - 1)] = p;
        }
    }
    free(t->pair_slots);
    t->pair_slots = slots;
    t->pair_mask = n - 1;
    return true;
}

static uint32_t pair_hash(const struct udp_table *t, const struct udp_source *s,
                          const struct addr *dst)
{
    return addr_hash(dst, t->key ^ ((uint64_t)s->hash << 32 | s->hash));
}

void udp_table_init(struct udp_table *t, uint64_t key)
{
    *t = (struct udp_table){.key = key};
    list_init(&t->sources);
    list_init(&t->unanswered);
    list_init(&t->fresh);
    list_init(&t->dests);
    list_init(&t->ending);
    shares_init(&t->ports);
    shares_init(&t->pairs);
    shares_init(&t->openings);
    shares_init(&t->associations);
}

void udp_table_done(struct udp_table *t)
{
    BUG_ON(t->n_sources || t->n_pairs || t->n_dests);
    free(t->source_slots);
    free(t->pair_slots);
    t->source_slots = NULL;
    t->pair_slots = NULL;
}

/* --- sources */

struct udp_source *udp_table_source(const struct udp_table *t, const struct addr *client)
{
    uint32_t hash = addr_hash(client, t->key);

    if (!t->source_slots)
        return NULL;
    for (struct udp_source *s = t->source_slots[hash & t->source_mask]; s; s = s->hash_next) {
        if (s->hash == hash && addr_equal(&s->client, client))
            return s;
    }
    return NULL;
}

struct udp_source *udp_table_source_add(struct udp_table *t, const struct addr *client,
                                        uint64_t now_ms)
{
    if ((!t->source_slots || t->n_sources > t->source_mask) && !sources_grow(t))
        return NULL;
    struct udp_source *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    if (!shares_add(&t->ports, &s->port, client, 1) ||
        !shares_add(&t->pairs, &s->share, client, 0)) {
        shares_remove(&t->ports, &s->port);
        free(s);
        return NULL;
    }
    s->client = *client;
    s->hash = addr_hash(client, t->key);
    s->used_ms = now_ms;
    s->hash_next = t->source_slots[s->hash & t->source_mask];
    t->source_slots[s->hash & t->source_mask] = s;
    list_append(&t->sources, &s->used);
    list_init(&s->unanswered);
    list_append(&t->unanswered, &s->unanswered);
    list_init(&s->pairs);
    list_init(&s->dests);
    t->n_sources++;
    return s;
}

bool udp_table_source_drop(struct udp_table *t, struct udp_source *s)
{
    if (!list_is_empty(&s->pairs) || !list_is_empty(&s->dests))
        return false;
    struct udp_source **at = &t->source_slots[s->hash & t->source_mask];
    while (*at != s)
        at = &(*at)->hash_next;
    *at = s->hash_next;
    list_remove(&s->used);
    list_remove(&s->unanswered);
    shares_remove(&t->ports, &s->port);
    shares_remove(&t->pairs, &s->share);
    t->n_sources--;
    free(s);
    return true;
}

struct udp_source *udp_table_oldest_source(const struct udp_table *t)
{
    return list_is_empty(&t->sources) ? NULL : LIST_OWNER(t->sources.next, struct udp_source, used);
}

struct udp_source *udp_table_port_to_go(struct udp_table *t)
{
    struct share *x = shares_oldest(&t->ports);
    struct udp_source *s = x ? LIST_OWNER(x, struct udp_source, port) : NULL;

    if (s && !list_is_empty(&t->unanswered) &&
        shares_of(&t->ports, &s->client) < t->n_sources / SHARES_RESERVE_PART)
        return LIST_OWNER(t->unanswered.next, struct udp_source, unanswered);
    return s;
}

struct udp_source *udp_table_pairs_to_go(struct udp_table *t)
{
    struct share *x = shares_oldest(&t->pairs);

    return x ? LIST_OWNER(x, struct udp_source, share) : NULL;
}

/* --- pairs */

struct udp_pair *udp_table_pair(const struct udp_table *t, const struct udp_source *s,
                                const struct addr *dst)
{
    uint32_t hash = pair_hash(t, s, dst);

    if (!t->pair_slots)
        return NULL;
    for (struct udp_pair *p = t->pair_slots[hash & t->pair_mask]; p; p = p->hash_next) {
        if (p->hash == hash && p->source == s && addr_equal(&p->dst, dst))
            return p;
    }
    return NULL;
}

struct udp_pair *udp_table_pair_add(struct udp_table *t, struct udp_source *s,
                                    const struct addr *dst, uint64_t now_ms)
{
    if ((!t->pair_slots || t->n_pairs > t->pair_mask) && !pairs_grow(t))
        return NULL;
    struct udp_pair *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->dst = *dst;
    p->hash = pair_hash(t, s, dst);
    p->source = s;
    p->used_ms = now_ms;
    p->hash_next = t->pair_slots[p->hash & t->pair_mask];
    t->pair_slots[p->hash & t->pair_mask] = p;
    list_append(&s->pairs, &p->of_source);
    list_init(&p->of_dest);
    shares_weigh(&t->pairs, &s->share, ++s->n_pairs);
    t->n_pairs++;
    return p;
}

void udp_table_pair_bind(struct udp_pair *p, struct udp_dest *dest, enum rc verdict,
                         uint64_t used_ms)
{
    if (p->dest && p->dest->last == p)
        p->dest->last = NULL;
    list_remove(&p->of_dest);
    p->dest = dest;
    p->verdict = verdict;
    p->used_ms = used_ms;
    if (!dest)
        return;
    if (list_is_empty(&dest->pairs))
        dest->dns = p->dst.port == 53;
    else
        dest->dns = dest->dns && p->dst.port == 53;
    list_append(&dest->pairs, &p->of_dest);
}

void udp_table_pair_remove(struct udp_table *t, struct udp_pair *p)
{
    struct udp_pair **at = &t->pair_slots[p->hash & t->pair_mask];

    while (*at != p)
        at = &(*at)->hash_next;
    *at = p->hash_next;
    if (p->dest && p->dest->last == p)
        p->dest->last = NULL;
    list_remove(&p->of_dest);
    list_remove(&p->of_source);
    shares_weigh(&t->pairs, &p->source->share, --p->source->n_pairs);
    t->n_pairs--;
    udp_first_free(p->first);
    free(p);
}

struct udp_pair *udp_table_oldest_pair(const struct udp_source *s)
{
    return list_is_empty(&s->pairs) ? NULL : LIST_OWNER(s->pairs.next, struct udp_pair, of_source);
}

struct udp_pair *udp_table_first_pair(const struct udp_dest *d)
{
    return list_is_empty(&d->pairs) ? NULL : LIST_OWNER(d->pairs.next, struct udp_pair, of_dest);
}

/* --- associations */

struct udp_dest *udp_table_dest(const struct udp_source *s, uint32_t route, bool plain)
{
    for (struct list *r = s->dests.next; r != &s->dests; r = r->next) {
        struct udp_dest *d = LIST_OWNER(r, struct udp_dest, of_source);
        if (!d->fixed && d->plain == plain && d->route == route)
            return d;
    }
    return NULL;
}

struct udp_dest *udp_table_dest_add(struct udp_table *t, struct udp_source *s, uint32_t route,
                                    bool fixed, uint64_t now_ms)
{
    struct udp_dest *d = calloc(1, sizeof(*d));

    if (!d || !shares_add(&t->associations, &d->share, &s->client, 1) ||
        !shares_add(&t->openings, &d->waiting, &s->client, 1)) {
        if (d)
            shares_remove(&t->associations, &d->share);
        free(d);
        return NULL;
    }
    d->source = s;
    d->route = route;
    d->fixed = fixed;
    d->opening = true;
    d->used_ms = now_ms;
    list_init(&d->pairs);
    /* those that may be shared stand in front: looking for one costs the number of routes */
    list_append(fixed ? &s->dests : s->dests.next, &d->of_source);
    list_append(&t->fresh, &d->used);
    s->n_opening++;
    t->n_opening++;
    t->n_dests++;
    return d;
}

void udp_table_dest_opened(struct udp_table *t, struct udp_dest *d)
{
    if (!d->opening)
        return;
    d->opening = false;
    shares_remove(&t->openings, &d->waiting);
    d->source->n_opening--;
    t->n_opening--;
}

void udp_table_dest_remove(struct udp_table *t, struct udp_dest *d)
{
    BUG_ON(!list_is_empty(&d->pairs));
    udp_table_dest_opened(t, d);
    shares_remove(&t->associations, &d->share);
    list_remove(&d->of_source);
    list_remove(&d->used);
    t->n_dests--;
    free(d);
}

static struct udp_dest *first_of(const struct list *l)
{
    return list_is_empty(l) ? NULL : LIST_OWNER(l->next, struct udp_dest, used);
}

struct udp_dest *udp_table_oldest_fresh(const struct udp_table *t)
{
    return first_of(&t->fresh);
}

struct udp_dest *udp_table_oldest_dest(const struct udp_table *t)
{
    return first_of(&t->dests);
}

struct udp_dest *udp_table_oldest_ending(const struct udp_table *t)
{
    return first_of(&t->ending);
}

struct udp_dest *udp_table_victim(struct udp_table *t)
{
    struct share *x = shares_oldest(&t->associations);

    if (!list_is_empty(&t->ending))
        return first_of(&t->ending);
    return x ? LIST_OWNER(x, struct udp_dest, share) : NULL;
}

bool udp_table_may_open(const struct udp_table *t, const struct addr *client)
{
    return shares_may(shares_of(&t->openings, client), t->n_opening, UDP_OPENING_MAX);
}

static struct list *list_for(struct udp_table *t, const struct udp_dest *d)
{
    return d->ending ? &t->ending : d->replied ? &t->dests : &t->fresh;
}

struct udp_dest *udp_table_oldest_waiting(const struct udp_source *s)
{
    struct udp_dest *oldest = NULL;

    for (struct list *r = s->dests.next; r != &s->dests; r = r->next) {
        struct udp_dest *d = LIST_OWNER(r, struct udp_dest, of_source);
        if (d->opening && (!oldest || d->used_ms < oldest->used_ms))
            oldest = d;
    }
    return oldest;
}

void udp_table_replied(struct udp_table *t, struct udp_dest *d)
{
    if (d->replied)
        return;
    d->replied = true;
    list_remove(&d->source->unanswered);
    to_last(list_for(t, d), &d->used);
}

bool udp_table_heard(const struct udp_table *t, const struct udp_source *s, const struct addr *from)
{
    bool heard = udp_table_pair(t, s, from) != NULL;

    for (struct list *r = s->dests.next; r != &s->dests && !heard; r = r->next)
        heard = addr_equal(&LIST_OWNER(r, struct udp_dest, of_source)->stranger, from);
    return heard;
}

void udp_table_used(struct udp_table *t, struct udp_dest *d, struct udp_pair *pair, uint64_t now_ms)
{
    if (pair) {
        pair->used_ms = now_ms;
        to_last(&pair->source->pairs, &pair->of_source);
    }
    if (d->used_ms == now_ms)
        return;
    d->used_ms = now_ms;
    d->source->used_ms = now_ms;
    to_last(list_for(t, d), &d->used);
    to_last(&t->sources, &d->source->used);
    shares_used(&t->ports, &d->source->port, NULL);
    shares_used(&t->pairs, &d->source->share, NULL);
    shares_used(&t->associations, &d->share, NULL);
}

/* --- DNS */

static void set_ending(struct udp_table *t, struct udp_dest *d, bool ending)
{
    if (d->ending == ending)
        return;
    d->ending = ending;
    to_last(list_for(t, d), &d->used);
}

void udp_table_asked(struct udp_table *t, struct udp_dest *d, const uint8_t *data, size_t n)
{
    if (n < DNS_HEADER_BYTES || (data[2] & DNS_IS_ANSWER) || d->n_ids == UDP_DNS_IDS)
        d->dns = false; /* something else, or more than we care to remember: as any other flow */
    if (!d->dns) {
        set_ending(t, d, false);
        return;
    }
    uint16_t id = packet_rd16(data);
    for (unsigned i = 0; i < d->n_ids; i++) {
        if (d->ids[i] == id) /* asked again */
            return;
    }
    d->ids[d->n_ids++] = id;
    set_ending(t, d, false);
}

void udp_table_answered(struct udp_table *t, struct udp_dest *d, const uint8_t *data, size_t n)
{
    if (!d->dns || n < DNS_HEADER_BYTES || !(data[2] & DNS_IS_ANSWER))
        return;
    uint16_t id = packet_rd16(data);
    for (unsigned i = 0; i < d->n_ids; i++) {
        if (d->ids[i] == id) {
            d->ids[i] = d->ids[--d->n_ids];
            break;
        }
    }
    if (d->n_ids == 0)
        set_ending(t, d, true);
}
