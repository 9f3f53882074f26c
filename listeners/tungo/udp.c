/* listeners/tungo/udp.c - see udp.h: whose association a datagram from a client belongs to. */
#include "listeners/tungo/udp.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/room.h"
#include "listeners/tungo/udp_inside.h"
#include <stdlib.h>

enum { DNS_PORT = 53 };

/* --- whose it is */

static struct udp_source *source_of(struct tungo_udp *u, const struct addr *client, uint64_t now)
{
    struct udp_source *s = udp_table_source(&u->table, client);

    if (s)
        return s;
    if (u->table.n_sources >= u->sources_max)
        udp_close_source(u, udp_table_port_to_go(&u->table));
    s = udp_table_source_add(&u->table, client, now);
    if (s)
        udp_sweep_at(u, now + u->timeout_ms);
    return s;
}

/* Of s, which has at least one. */
static void forget_oldest_pair(struct tungo_udp *u, struct udp_source *s)
{
    struct udp_pair *p = udp_table_oldest_pair(s);

    if (p->dest && p->dest->fixed)
        udp_close_dest(u, p->dest); /* takes the pair along */
    else
        udp_table_pair_remove(&u->table, p);
}

/* Room for one more pair of s. */
static void make_pair_room(struct tungo_udp *u, struct udp_source *s)
{
    struct udp_source *most = s;

    if (s->n_pairs < UDP_PAIRS_PER_SOURCE) {
        if (u->table.n_pairs < UDP_PAIRS_MAX)
            return;
        most = udp_table_pairs_to_go(&u->table);
    }
    if (most != s)
        udp_close_source(u, most);
    else if (s->n_pairs > 0)
        forget_oldest_pair(u, s);
}

static bool has_buffers(struct tungo_udp *u)
{
    if (!u->scratch)
        u->scratch = malloc(UDP_SCRATCH_BYTES);
    if (!u->burst_buf)
        u->burst_buf = malloc(UDP_BURST_BYTES);
    return u->scratch && u->burst_buf;
}

/* A new association of s; NULL: past a cap that nobody can be evicted for, or no memory. */
static struct udp_dest *new_dest(struct tungo_udp *u, struct udp_source *s,
                                 const struct tungo_udp_route *route, uint64_t now)
{
    struct udp_table *t = &u->table;

    if (s->n_opening >= UDP_WAITING_PER_SOURCE)
        udp_close_dest(u, udp_table_oldest_waiting(s));
    if (!udp_table_may_open(t, &s->client) || !has_buffers(u))
        return NULL;
    if (t->n_dests >= UDP_DESTS_MAX) {
        struct udp_dest *old = udp_table_victim(t);
        BUG_ON(!old); /* n_dests says that there is one */
        struct udp_source *other = old->source;
        udp_close_dest(u, old);
        if (other != s)
            (void)udp_table_source_drop(t, other);
    }
    struct udp_dest *d = udp_table_dest_add(t, s, route->id, route->fixed, now);
    if (d) {
        d->owner = u;
        d->empty_apart = route->empty_apart;
        d->empty_plain = route->plain;
    }
    return d;
}

static bool is_fresh(const struct tungo_udp *u, const struct udp_pair *p, uint64_t now)
{
    if (p->first)
        return true;
    if (!p->dest)
        return now < p->used_ms;
    return p->dest->fixed || now - p->used_ms <= u->timeout_ms;
}

bool udp_bind_route(struct tungo_udp *u, struct udp_pair *p, enum rc rc,
                    const struct tungo_udp_route *route, uint64_t now)
{
    struct udp_source *s = p->source;
    struct udp_dest *d = NULL;

    if (rc == RC_OK) {
        d = route->fixed ? NULL : udp_table_dest(s, route->id, false);
        d = d ? d : new_dest(u, s, route, now);
        if (!d) {
            udp_table_pair_remove(&u->table, p);
            return false;
        }
    }
    udp_table_pair_bind(p, d, rc, d ? now : now + UDP_VERDICT_MS);
    return true;
}

enum { LOOP_LOOKS = 8 };

/* Did one of the newest associations send this itself? What it sends arrives here within the turn,
 * where the kernel's route to the destination is the device. */
static bool is_ours(const struct tungo_udp *u, const struct addr *client)
{
    const struct list *fresh = &u->table.fresh;
    bool here = false;
    int looks = 0;

    for (size_t i = 0; i < u->setup.n_own && !here; i++)
        here = addr_same_ip(&u->setup.own[i].net, client);
    if (!here)
        return false;
    for (struct list *r = fresh->prev; r != fresh && looks < LOOP_LOOKS; r = r->prev, looks++) {
        struct udp_dest *d = LIST_OWNER(r, struct udp_dest, used);
        struct addr local;
        if (d->dgram && dgram_local(d->dgram, &local) == RC_OK && local.port == client->port &&
            (addr_is_wildcard(&local) || addr_same_ip(&local, client)))
            return true;
    }
    return false;
}

/* The pair with its decision, which may be a verdict against it, or with `first`: not yet, and this
 * datagram is kept already (*ret_kept). NULL: no room. */
static struct udp_pair *pair_of(struct tungo_udp *u, const struct addr *client,
                                const struct addr *dst, const uint8_t *data, size_t first,
                                uint64_t now, bool *ret_kept)
{
    struct udp_source *s = source_of(u, client, now);
    struct udp_pair *p = s ? udp_table_pair(&u->table, s, dst) : NULL;
    struct tungo_udp_route route = {0};

    if (!s || (p && is_fresh(u, p, now)))
        return p;
    if (!p)
        make_pair_room(u, s);
    else if (p->dest) /* making room for another association may close this one */
        udp_table_pair_bind(p, NULL, RC_LIMIT, now);
    if (!p)
        p = udp_table_pair_add(&u->table, s, dst, now);
    if (!p) {
        (void)udp_table_source_drop(&u->table, s);
        return NULL;
    }
    bool loop = is_ours(u, client);
    if (loop && u->events.on_loop)
        u->events.on_loop(u->events.arg, dst);
    enum rc rc =
        loop ? RC_UNREACH_HOST : u->events.on_udp(u->events.arg, client, dst, data, first, &route);
    if (rc == RC_AGAIN)
        rc = udp_keep_first(u, p, data, first, &route);
    *ret_kept = rc == RC_AGAIN;
    return *ret_kept || udp_bind_route(u, p, rc, &route, now) ? p : NULL;
}

void udp_ask_to_open(struct tungo_udp *u, struct udp_dest *d, const struct addr *destination)
{
    struct tungo_udp_route route = {.id = d->route, .fixed = d->fixed, .plain = d->plain};
    struct addr client = d->source->client, dst = *destination;

    d->told = true;
    udp_sweep_at(u, d->used_ms + udp_fresh_ms(u));
    u->events.on_udp_open(u->events.arg, d, &route, &client, &dst);
}

/* A flow of this pair alone from now on. false: no room. */
static bool go_alone(struct tungo_udp *u, struct udp_pair *pair, uint64_t now)
{
    struct tungo_udp_route route = {.id = pair->dest->route, .fixed = true};

    udp_table_pair_bind(pair, NULL, RC_LIMIT, now); /* making room may close its old one */
    struct udp_dest *d = new_dest(u, pair->source, &route, now);
    if (d)
        udp_table_pair_bind(pair, d, RC_OK, now);
    return d != NULL;
}

/* An empty datagram, by the association beside that of the pair. */
static void take_empty(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data,
                       uint64_t now)
{
    struct tungo_udp_route route = {.id = pair->dest->route};
    struct udp_source *s = pair->source;
    struct addr dst = pair->dst;

    udp_table_used(&u->table, pair->dest, pair, now);
    struct udp_dest *d = udp_table_dest(s, route.id, true);
    if (!d) {
        d = new_dest(u, s, &route, now); /* which may close that of the pair */
        if (d)
            d->plain = true;
    }
    if (!d) {
        u->lost_up++;
        return;
    }
    udp_table_used(&u->table, d, NULL, now);
    if (!d->opening) {
        udp_send_up(u, d, &dst, data, 0, 0);
        return;
    }
    u->lost_up += !udp_hold(d, &dst, data, 0);
    if (!d->told)
        udp_ask_to_open(u, d, &dst);
}

static void take(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data, size_t n,
                 size_t segment, uint64_t now)
{
    if (n == 0 && pair->dest->empty_plain) {
        take_empty(u, pair, data, now);
        return;
    }
    if (n == 0 && pair->dest->empty_apart && !go_alone(u, pair, now)) {
        u->lost_up++;
        return;
    }
    struct udp_dest *d = pair->dest;

    udp_table_used(&u->table, d, pair, now);
    if (d->dns || d->ending)
        udp_table_asked(&u->table, d, data, n);
    if (!d->opening) {
        udp_send_up(u, d, &pair->dst, data, n, segment);
        return;
    }
    do {
        size_t piece = n < segment ? n : segment;
        u->lost_up += !udp_hold(d, &pair->dst, data, piece);
        data += piece;
        n -= piece;
    } while (n > 0);
    if (!d->told)
        udp_ask_to_open(u, d, &pair->dst);
}

/* ICMP about the datagram, or about the first of those that the kernel joined, as they would be on
 * a wire. The packet is of no use afterwards. */
static void refuse(struct tungo_udp *u, const struct packet *p, size_t segment, enum rc why,
                   uint64_t now)
{
    size_t end = p->payload + segment;

    if (packet_version(p->ip) == 6)
        packet_wr16(p->ip + IP6_AT_PAYLOAD, (unsigned)(end - IP6_HEADER_BYTES));
    else
        packet_wr16(p->ip + IP4_AT_TOTAL, (unsigned)end);
    packet_wr16(p->ip + p->l4 + UDP_AT_LENGTH, (unsigned)(end - p->l4));
    packet_complete(p->ip, p->l4, end, IPPROTO_UDP);
    icmp_refuse(u->setup.icmp, p->ip, end, why, now);
}

void tungo_udp_packet(struct tungo_udp *u, const struct packet *p)
{
    const uint8_t *data = p->ip + p->payload;
    size_t n = p->bytes - p->payload;
    size_t segment = p->gso_size && p->gso_size < n ? p->gso_size : n;
    uint64_t now = loop_now_ms(u->setup.loop);
    struct udp_pair *pair;

    if (!u->events.on_udp || segment > u->buffer_bytes) {
        u->lost_up += udp_pieces(n, segment);
        return;
    }
    for (;;) {
        bool kept = false;
        size_t piece = n < segment ? n : segment;
        pair = pair_of(u, &p->src, &p->dst, data, piece, now, &kept);
        if (!pair || !pair->first)
            break;
        if (!kept && !udp_take_first(u, pair, data, piece))
            continue;
        data += piece;
        n -= piece;
        if (n == 0)
            return;
    }
    if (!pair) {
        u->lost_up += udp_pieces(n, segment);
        return;
    }
    if (pair->dest) {
        take(u, pair, data, n, segment, now);
        return;
    }
    u->lost_up += udp_pieces(n, segment);
    if (u->setup.icmp)
        refuse(u, p, segment, pair->verdict, now);
}

void udp_send_apart(struct tungo_udp *u, const struct addr *client, const struct addr *dst,
                    const uint8_t *data, size_t n)
{
    uint64_t now = loop_now_ms(u->setup.loop);
    bool kept = false;
    struct udp_pair *pair = pair_of(u, client, dst, data, n, now, &kept);

    if (pair && pair->first) {
        if (kept || udp_take_first(u, pair, data, n))
            return;
        struct udp_source *s = udp_table_source(&u->table, client); /* the pair may be gone */
        pair = s ? udp_table_pair(&u->table, s, dst) : NULL;
    }
    if (pair && pair->dest && pair->dest->fixed) {
        take(u, pair, data, n, n, now);
        return;
    }
    u->lost_up++;
    if (pair && pair->dest && !pair->dest->told) /* made just now, and nobody will open it */
        udp_close_dest(u, pair->dest);
}

/* --- life */

struct tungo_udp *tungo_udp_new(const struct tungo_udp_setup *setup)
{
    struct tungo_udp *u = calloc(1, sizeof(*u));
    uint64_t key;

    if (!u)
        return NULL;
    loop_random(&key, sizeof(key));
    u->setup = *setup;
    u->timeout_ms = UDP_TIMEOUT_MS;
    u->fresh_ms = UDP_FRESH_MS;
    u->first_ms = UDP_FIRST_MS;
    u->buffer_bytes = DGRAM_MAX_BYTES;
    timer_init(setup->loop, &u->sweep, udp_on_sweep);
    timer_init(setup->loop, &u->first_timer, udp_on_first_timer);
    if (!timer_reserve(&u->sweep) || !timer_reserve(&u->first_timer)) {
        timer_release(&u->sweep);
        timer_release(&u->first_timer);
        free(u);
        return NULL;
    }
    udp_table_init(&u->table, key);
    u->sources_max = setup->sources_max ? setup->sources_max : UDP_SOURCES_MAX;
    packet_out_init(&u->down.out, setup->tungo);
    u->down.own = setup->own;
    u->down.n_own = setup->n_own;
    job_init(&u->flush, udp_on_flush);
    udp_firsts_init(&u->firsts);
    return u;
}

void tungo_udp_free(struct tungo_udp *u)
{
    struct udp_source *s;

    if (!u)
        return;
    while ((s = udp_table_oldest_source(&u->table)) != NULL)
        udp_close_source(u, s);
    udp_table_done(&u->table);
    job_cancel(&u->flush);
    timer_release(&u->sweep);
    timer_release(&u->first_timer);
    free(u->scratch);
    free(u->burst_buf);
    free(u);
}

void tungo_udp_set_events(struct tungo_udp *u, const struct tungo_events *ev)
{
    u->events = ev ? *ev : (struct tungo_events){0};
}

void tungo_udp_configure(struct tungo_udp *u, const struct tungo_cfg *cfg)
{
    u->timeout_ms = cfg->udp_timeout_ms ? cfg->udp_timeout_ms : UDP_TIMEOUT_MS;
    u->fresh_ms = cfg->udp_fresh_ms ? cfg->udp_fresh_ms : UDP_FRESH_MS;
    u->first_ms = cfg->udp_first_ms ? cfg->udp_first_ms : UDP_FIRST_MS;
    u->buffer_bytes = cfg->udp_buffer_bytes && cfg->udp_buffer_bytes < DGRAM_MAX_BYTES
                          ? cfg->udp_buffer_bytes
                          : DGRAM_MAX_BYTES;
}

bool tungo_udp_client_gone(struct tungo_udp *u, const struct addr *client,
                           const struct addr *target)
{
    struct udp_source *s = udp_table_source(&u->table, client);

    if (!s || !udp_table_heard(&u->table, s, target))
        return false;
    udp_close_source(u, s);
    return true;
}

void tungo_udp_stats(const struct tungo_udp *u, struct tungo_udp_stats *ret_st)
{
    *ret_st = (struct tungo_udp_stats){.up = u->up,
                                       .down = u->n_down,
                                       .dropped_up = u->lost_up,
                                       .dropped_down = u->lost_down,
                                       .sources = u->table.n_sources,
                                       .associations = u->table.n_dests,
                                       .opening = u->table.n_opening};
}
