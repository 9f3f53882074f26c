/* listeners/tungo/udp_assoc.c - the life of an association: opening, what comes down, its end. */
#include "core/stream.h"
#include "core/wire/ip.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/udp_inside.h"
#include <stdlib.h>

enum { RECEIVES_PER_TURN = 32, TROUBLES_PER_TURN = 4 };

/* --- datagrams that wait */

struct waiting {
    struct waiting *next;
    struct addr dst;
    size_t n;
    uint8_t data[];
};

struct udp_held {
    struct waiting *first, **end;
    size_t count, bytes;
};

bool udp_hold(struct udp_dest *d, const struct addr *dst, const uint8_t *data, size_t n)
{
    if (!d->held) {
        d->held = calloc(1, sizeof(*d->held));
        if (!d->held)
            return false;
        d->held->end = &d->held->first;
    }
    struct udp_held *h = d->held;
    if (h->count == UDP_HELD_DATAGRAMS || h->bytes + n > UDP_HELD_BYTES)
        return false;
    struct waiting *w = malloc(sizeof(*w) + n);
    if (!w)
        return false;
    w->next = NULL;
    w->dst = *dst;
    w->n = n;
    if (n > 0)
        memcpy(w->data, data, n);
    *h->end = w;
    h->end = &w->next;
    h->count++;
    h->bytes += n;
    return true;
}

static void held_free(struct udp_held *h)
{
    if (!h)
        return;
    for (struct waiting *w = h->first, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    free(h);
}

static void send_held(struct tungo_udp *u, struct udp_dest *d)
{
    struct udp_held *h = d->held;

    d->held = NULL;
    for (struct waiting *w = h ? h->first : NULL; w; w = w->next)
        udp_send_up(u, d, &w->dst, w->data, w->n, w->n);
    held_free(h);
}

/* --- end */

void udp_tell_client(struct tungo_udp *u, const struct addr *client, const struct addr *dst,
                     enum rc why)
{
    uint8_t quote[IP6_HEADER_BYTES + UDP_HEADER_BYTES];

    if (!u->setup.icmp || client->family != dst->family)
        return;
    struct ip_fields f = {.src = client, .dst = dst, .proto = IPPROTO_UDP};
    size_t l4 = packet_put_ip(quote, &f, UDP_HEADER_BYTES);
    packet_put_udp(quote, l4, client->port, dst->port, 0);
    packet_complete(quote, l4, l4 + UDP_HEADER_BYTES, IPPROTO_UDP);
    icmp_refuse(u->setup.icmp, quote, l4 + UDP_HEADER_BYTES, why, loop_now_ms(u->setup.loop));
}

void udp_close_dest(struct tungo_udp *u, struct udp_dest *d)
{
    struct udp_pair *p;

    if (d->closing)
        return;
    d->closing = true;
    if (u->burst.dest == d)
        udp_flush_up(u);
    if (d->told && u->events.on_udp_gone)
        u->events.on_udp_gone(u->events.arg, d, d->up_bytes, d->down_bytes);
    dgram_close(d->dgram);
    held_free(d->held);
    while ((p = udp_table_first_pair(d)) != NULL)
        udp_table_pair_remove(&u->table, p);
    udp_table_dest_remove(&u->table, d);
}

void udp_close_source(struct tungo_udp *u, struct udp_source *s)
{
    struct udp_pair *p;

    while (!list_is_empty(&s->dests))
        udp_close_dest(u, LIST_OWNER(s->dests.next, struct udp_dest, of_source));
    while ((p = udp_table_oldest_pair(s)) != NULL)
        udp_table_pair_remove(&u->table, p);
    (void)udp_table_source_drop(&u->table, s);
}

static void end(struct tungo_udp *u, struct udp_dest *d)
{
    struct udp_source *s = d->source;

    udp_close_dest(u, d);
    (void)udp_table_source_drop(&u->table, s); /* stays where it has more */
}

/* --- idle */

void udp_sweep_at(struct tungo_udp *u, uint64_t at_ms)
{
    uint64_t now = loop_now_ms(u->setup.loop);

    if (timer_is_running(&u->sweep) && u->sweep.due_ms <= at_ms)
        return;
    /* reserved */
    (void)timer_start(&u->sweep, at_ms > now ? at_ms - now : 1);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void udp_on_sweep(struct timer *timer)
{
    struct tungo_udp *u = (struct tungo_udp *)((char *)timer - offsetof(struct tungo_udp, sweep));
    uint64_t now = loop_now_ms(u->setup.loop), next = UINT64_MAX;
    struct udp_dest *d;
    struct udp_source *s;

    while ((d = udp_table_oldest_fresh(&u->table)) != NULL && d->used_ms + udp_fresh_ms(u) <= now)
        end(u, d);
    if (d)
        next = d->used_ms + udp_fresh_ms(u);
    while ((d = udp_table_oldest_dest(&u->table)) != NULL && d->used_ms + u->timeout_ms <= now)
        end(u, d);
    if (d)
        next = earlier(next, d->used_ms + u->timeout_ms);
    while ((d = udp_table_oldest_ending(&u->table)) != NULL && d->used_ms + UDP_DNS_GRACE_MS <= now)
        end(u, d);
    if (d)
        next = earlier(next, d->used_ms + UDP_DNS_GRACE_MS);
    while ((s = udp_table_oldest_source(&u->table)) != NULL && s->used_ms + u->timeout_ms <= now)
        udp_close_source(u, s);
    if (s)
        next = earlier(next, s->used_ms + u->timeout_ms);
    if (next != UINT64_MAX)
        udp_sweep_at(u, next);
}

/* --- down */

struct gather {
    uint8_t *data;
    size_t n, segment;
    struct addr from;
};

static void write_down(struct tungo_udp *u, struct udp_dest *d, struct gather *g)
{
    if (!g->data)
        return;
    u->lost_down +=
        udp_down_send(&u->down, &d->source->client, &g->from, g->data, g->n, g->segment);
    g->data = NULL;
}

static bool goes_with(const struct gather *g, const struct gather *more)
{
    return g->data && g->segment == more->segment && g->n % g->segment == 0 &&
           g->data + g->n == more->data && g->n + more->n <= UDP_DOWN_BURST_BYTES &&
           (g->n + more->n + g->segment - 1) / g->segment <= UDP_DOWN_BURST_SEGMENTS &&
           addr_equal(&g->from, &more->from);
}

/* The address an answer shall seem to come from; false: none that the client could believe. */
static bool sender(struct udp_dest *d, const struct target *from, struct addr *ret_from)
{
    struct udp_pair *only = udp_table_first_pair(d);

    if (d->fixed || (d->dgram->flags & DGRAM_FIXED) || target_is_name(from) || !from->addr.family) {
        /* a far end that names its target, or nobody: good where there is but one to mean */
        if (!only || only->of_dest.next != &d->pairs)
            return false;
        *ret_from = only->dst;
        return true;
    }
    *ret_from = from->addr;
    ret_from->scope = 0;
    return from->addr.family == d->source->client.family && !addr_is_loopback(ret_from) &&
           !addr_is_multicast(ret_from) && !addr_is_wildcard(ret_from);
}

static struct udp_pair *pair_of(struct tungo_udp *u, struct udp_dest *d, const struct addr *from)
{
    if (!d->last || !addr_equal(&d->last->dst, from)) {
        struct udp_pair *p = udp_table_pair(&u->table, d->source, from);
        d->last = p && p->dest == d ? p : NULL;
    }
    return d->last;
}

static void account_down(struct tungo_udp *u, struct udp_dest *d, const struct gather *g)
{
    struct udp_pair *pair = pair_of(u, d, &g->from);

    if (!pair)
        d->stranger = g->from;
    u->n_down += g->segment > 0 ? (g->n + g->segment - 1) / g->segment : 1;
    d->down_bytes += g->n;
    udp_table_replied(&u->table, d);
    udp_table_used(&u->table, d, pair, loop_now_ms(u->setup.loop));
    if (d->dns && g->from.port == 53) {
        udp_table_answered(&u->table, d, g->data, g->n);
        if (d->ending)
            udp_sweep_at(u, d->used_ms + UDP_DNS_GRACE_MS);
    }
}

static enum rc receive(struct tungo_udp *u, struct udp_dest *d)
{
    uint8_t *at = u->scratch, *end = u->scratch + UDP_SCRATCH_BYTES;
    struct gather all = {.data = NULL};
    enum rc rc = RC_OK;

    for (int i = 0; i < RECEIVES_PER_TURN; i++) {
        struct gather g = {.data = at};
        struct target from;
        rc = dgram_recv_burst(d->dgram, at, DGRAM_MAX_BYTES, &g.n, &g.segment, &from);
        if (rc != RC_OK)
            break;
        if (g.segment > u->buffer_bytes || !sender(d, &from, &g.from)) {
            u->lost_down++;
            continue;
        }
        account_down(u, d, &g);
        if (goes_with(&all, &g)) {
            all.n += g.n;
        } else {
            write_down(u, d, &all);
            all = g;
        }
        at = g.data + g.n;
        if (!udp_down_joins(&u->down, &d->source->client, g.segment) ||
            end - at < DGRAM_MAX_BYTES) {
            write_down(u, d, &all);
            at = u->scratch;
        }
    }
    write_down(u, d, &all);
    return rc;
}

static void hear_troubles(struct tungo_udp *u, struct udp_dest *d)
{
    struct target about;
    enum rc why;

    for (int i = 0; i < TROUBLES_PER_TURN; i++) {
        if (dgram_trouble(d->dgram, &about, &why) != RC_OK)
            return;
        if (!target_is_name(&about))
            udp_tell_client(u, &d->source->client, &about.addr, why);
    }
}

/* RC_AGAIN: not yet. */
static enum rc get_open(struct tungo_udp *u, struct udp_dest *d)
{
    enum rc rc = dgram_open(d->dgram);

    if (rc != RC_OK || !d->opening)
        return rc;
    udp_table_dest_opened(&u->table, d);
    send_held(u, d);
    return RC_OK;
}

static void on_event(struct dgram *dgram, unsigned ready, void *arg)
{
    struct udp_dest *d = arg;
    struct tungo_udp *u = d->owner;

    (void)ready;
    enum rc rc = get_open(u, d);
    if (rc == RC_OK) {
        dgram_want(dgram, STREAM_IN, on_event, d);
        rc = receive(u, d);
        hear_troubles(u, d);
    }
    if (rc != RC_OK && rc != RC_AGAIN)
        end(u, d);
}

/* --- the handler's answers */

/* It did not come to be: those who waited hear why, and for a moment nobody tries again. */
static void give_up(struct tungo_udp *u, struct udp_dest *d, enum rc why)
{
    uint64_t now = loop_now_ms(u->setup.loop);
    struct udp_source *s = d->source;
    struct udp_pair *p;

    while ((p = udp_table_first_pair(d)) != NULL) {
        udp_tell_client(u, &s->client, &p->dst, why);
        udp_table_pair_bind(p, NULL, why, now + UDP_FAILED_MS);
    }
    struct udp_dest *beside = d->plain ? udp_table_dest(s, d->route, false) : NULL;
    if (beside) /* empty ones are lost there, and nobody tries again */
        beside->empty_plain = false;
    u->lost_up += d->held ? d->held->count : 0;
    d->told = false; /* the handler knows */
    udp_close_dest(u, d);
    s->used_ms = now;
    udp_sweep_at(u, now + u->timeout_ms);
}

/* The far end serves single destinations only, as the handler has learnt: what waits goes so. */
static void go_apart(struct tungo_udp *u, struct udp_dest *d)
{
    struct udp_held *h = d->held;
    struct addr client = d->source->client;
    uint64_t now = loop_now_ms(u->setup.loop);

    d->held = NULL;
    d->told = false; /* the handler knows */
    d->source->used_ms = now;
    udp_close_dest(u, d);
    udp_sweep_at(u, now + u->timeout_ms);
    for (struct waiting *w = h ? h->first : NULL; w; w = w->next)
        udp_send_apart(u, &client, &w->dst, w->data, w->n);
    held_free(h);
}

void tungo_udp_ready(struct tungo *t, struct udp_dest *d, struct dgram *dgram, enum rc rc)
{
    struct tungo_udp *u = d->owner;

    (void)t;
    if (d->closing || d->dgram) {
        dgram_close(dgram);
        return;
    }
    if (!dgram) {
        if (rc == RC_UNSUPPORTED && !d->fixed && !d->plain)
            go_apart(u, d);
        else
            give_up(u, d, rc);
        return;
    }
    d->dgram = dgram;
    rc = get_open(u, d);
    if (rc != RC_OK && rc != RC_AGAIN) /* its end comes from the loop, not from in here */
        (void)diag_set(&dgram->diag, rc, "open: %s", rc_name(rc));
    dgram_want(dgram, rc == RC_AGAIN ? STREAM_OPEN : STREAM_IN, on_event, d);
}

void tungo_udp_set_user(struct udp_dest *d, void *user)
{
    d->user = user;
}

void *tungo_udp_user(const struct udp_dest *d)
{
    return d->user;
}

void tungo_udp_bytes(const struct udp_dest *d, uint64_t *ret_up, uint64_t *ret_down)
{
    *ret_up = d->up_bytes;
    *ret_down = d->down_bytes;
}
