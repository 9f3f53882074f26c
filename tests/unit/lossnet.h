/* Senders that are nothing but the recovery machine, a link that drops, delays, overtakes, doubles
 * and queues, which they may share, and receivers that report SACK blocks. The clock is the
 * model's. Included by each test program that needs it. */
#ifndef TESTS_LOSSNET_H
#define TESTS_LOSSNET_H

#include "listeners/tungo/recovery.h"
#include "listeners/tungo/seq.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NET_MSS = 1400, NET_EVENTS = 65536, NET_PIECES = 4096, NET_TICK_US = 5000 };

struct lossnet_cfg {
    enum congestion_kind kind;
    uint64_t bytes;
    uint32_t delay_us;       /* one way */
    uint32_t mbit;           /* of the link towards the receiver, 0: endless */
    uint32_t queue;          /* packets in front of it */
    uint32_t loss, ack_loss; /* of 10,000 */
    uint32_t overtaken, by;  /* of 10,000 packets, each by so many others */
    uint32_t doubled;        /* of 10,000 */
    uint32_t window;         /* of the receiver */
    uint32_t first;          /* sequence number */
    uint64_t forgets_us;     /* the receiver drops what it has out of order, once */
    bool no_doubles;         /* it does not report what came twice */
    uint32_t burst;          /* packets it waits for to send at once; 0: an eighth of the window */
    uint64_t starts_us;
    uint32_t jitter_us; /* of acknowledgements */
    unsigned seed;
};

struct lossnet;

struct event {
    uint64_t at, order;
    struct lossnet *of;
    bool is_ack;
    uint32_t seq, len; /* ack: seq is the acknowledgement */
    unsigned n;
    struct sack_block block[SACK_BLOCKS_MAX];
};

struct held {
    uint32_t seq, len;
    uint64_t at;
    unsigned after; /* so many packets yet */
};

struct losslink {
    uint64_t now, order, free_at; /* free_at: it has sent what it has */
    struct event *heap;
    unsigned n_events;
};

struct lossnet {
    struct lossnet_cfg cfg;
    struct losslink *link;
    struct recovery r;
    struct held held[64];
    unsigned n_held;
    /* receiver: pieces above `expected`, sorted */
    uint32_t expected;
    struct sack_block have[NET_PIECES];
    unsigned n_have;
    struct sack_block latest; /* the piece that grew last */
    uint64_t sent_bytes, delivered, dropped;
    bool gave_up;
};

static unsigned net_random(struct lossnet *n)
{
    n->cfg.seed = n->cfg.seed * 1103515245 + 12345;
    return n->cfg.seed >> 12 & 0xfffff;
}

static bool net_happens(struct lossnet *n, uint32_t of_10000)
{
    return of_10000 && net_random(n) % 10000 < of_10000;
}

static bool net_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void net_add(struct losslink *n, const struct event *e)
{
    unsigned i = n->n_events++;

    assert(n->n_events < NET_EVENTS);
    for (; i && net_before(e, &n->heap[(i - 1) / 2]); i = (i - 1) / 2)
        n->heap[i] = n->heap[(i - 1) / 2];
    n->heap[i] = *e;
    n->heap[i].order = n->order++;
}

static struct event net_take(struct losslink *n)
{
    struct event top = n->heap[0], last = n->heap[--n->n_events];
    unsigned i = 0;

    for (;;) {
        unsigned c = 2 * i + 1;
        if (c >= n->n_events)
            break;
        if (c + 1 < n->n_events && net_before(&n->heap[c + 1], &n->heap[c]))
            c++;
        if (!net_before(&n->heap[c], &last))
            break;
        n->heap[i] = n->heap[c];
        i = c;
    }
    n->heap[i] = last;
    return top;
}

/* --- the link */

static void net_arrives(struct lossnet *n, uint32_t seq, uint32_t len, uint64_t at)
{
    net_add(n->link, &(struct event){.at = at + n->cfg.delay_us, .of = n, .seq = seq, .len = len});
}

static void net_packet(struct lossnet *n, uint32_t seq, uint32_t len)
{
    uint64_t wire = n->cfg.mbit ? (len + 60) * 8 / n->cfg.mbit : 0, at;

    n->sent_bytes += len;
    if (net_happens(n, n->cfg.loss)) {
        n->dropped++;
        return;
    }
    at = n->link->free_at > n->link->now ? n->link->free_at : n->link->now;
    if (n->cfg.queue && wire && at - n->link->now > wire * n->cfg.queue) {
        n->dropped++;
        return;
    }
    n->link->free_at = at + wire;
    at = n->link->free_at;
    for (unsigned i = 0; i < n->n_held;) {
        if (--n->held[i].after == 0) {
            net_arrives(n, n->held[i].seq, n->held[i].len, at + 1);
            n->held[i] = n->held[--n->n_held];
        } else {
            i++;
        }
    }
    if (n->n_held < 64 && net_happens(n, n->cfg.overtaken)) {
        n->held[n->n_held++] = (struct held){seq, len, at, n->cfg.by};
        return;
    }
    net_arrives(n, seq, len, at);
    if (net_happens(n, n->cfg.doubled))
        net_arrives(n, seq, len, at + 10);
}

static void net_send(struct lossnet *n, uint32_t seq, uint32_t len)
{
    while (len) {
        uint32_t k = len < NET_MSS ? len : NET_MSS;
        net_packet(n, seq, k);
        seq += k;
        len -= k;
    }
}

/* What overtaking held back longer than 20 ms is let go. */
static void net_release(struct lossnet *n)
{
    for (unsigned i = 0; i < n->n_held;) {
        if (n->link->now - n->held[i].at > 20000) {
            net_arrives(n, n->held[i].seq, n->held[i].len, n->link->now);
            n->held[i] = n->held[--n->n_held];
        } else {
            i++;
        }
    }
}

/* --- the receiver */

static void net_ack(struct lossnet *n, const struct sack_block *twice)
{
    struct event e = {
        .at = n->link->now + n->cfg.delay_us, .of = n, .is_ack = true, .seq = n->expected};

    if (net_happens(n, n->cfg.ack_loss))
        return;
    if (n->cfg.jitter_us)
        e.at += net_random(n) % n->cfg.jitter_us;
    if (twice && !n->cfg.no_doubles)
        e.block[e.n++] = *twice;
    /* the piece that grew last first, then others, by turns */
    if (n->n_have) {
        unsigned from = net_random(n) % n->n_have;
        if (seq_lt(n->expected, n->latest.to))
            e.block[e.n++] = n->latest;
        for (unsigned i = 0; i < n->n_have && e.n < 3; i++) {
            const struct sack_block *b = &n->have[(from + i) % n->n_have];
            if (b->from != n->latest.from)
                e.block[e.n++] = *b;
        }
    }
    net_add(n->link, &e);
}

static void net_data(struct lossnet *n, uint32_t seq, uint32_t len)
{
    struct sack_block b = {seq, seq + len};
    unsigned i = 0, k;

    if (seq_le(b.to, n->expected)) {
        net_ack(n, &b);
        return;
    }
    if (n->cfg.window && seq_lt(n->expected + n->cfg.window, b.to)) {
        assert(!"beyond the window");
        return;
    }
    while (i < n->n_have && seq_lt(n->have[i].to, b.from))
        i++;
    if (i < n->n_have && seq_le(n->have[i].from, b.from) && seq_le(b.to, n->have[i].to)) {
        net_ack(n, &b);
        return;
    }
    for (k = i; k < n->n_have && seq_le(n->have[k].from, b.to); k++) {
        b.from = seq_min(b.from, n->have[k].from);
        b.to = seq_max(b.to, n->have[k].to);
    }
    memmove(&n->have[i + 1], &n->have[k], (n->n_have - k) * sizeof *n->have);
    n->n_have = n->n_have - (k - i) + 1;
    assert(n->n_have < NET_PIECES);
    n->have[i] = n->latest = b;
    if (seq_le(n->have[0].from, n->expected)) {
        n->delivered += n->have[0].to - n->expected;
        n->expected = n->have[0].to;
        memmove(n->have, n->have + 1, --n->n_have * sizeof *n->have);
    }
    net_ack(n, NULL);
}

/* --- the sender */

static void net_check(const struct lossnet *n)
{
    const struct holes *h = &n->r.holes;
    uint32_t at = n->r.una, bytes = 0, lost = 0;

    assert(h->n <= HOLES_MAX && (h->n || !h->v));
    for (unsigned i = 0; i < h->n; i++) {
        assert(seq_le(at, h->v[i].from) && seq_lt(h->v[i].from, h->v[i].to));
        at = h->v[i].to;
        bytes += h->v[i].to - h->v[i].from;
        lost += h->v[i].lost ? h->v[i].to - h->v[i].from : 0;
    }
    assert(seq_le(at, n->r.fack) && seq_le(n->r.una, n->r.fack) && seq_le(n->r.fack, n->r.nxt));
    assert(bytes == h->bytes && lost == h->lost_bytes);
    assert(n->r.cc.cwnd >= 2 * n->r.mss && n->r.cc.cwnd <= CONGESTION_MOST_BYTES);
}

static void net_fill(struct lossnet *n)
{
    uint32_t seq, len, end = n->cfg.first + (uint32_t)n->cfg.bytes;

    while (recovery_next(&n->r, 64400, &seq, &len)) {
        assert(len && seq_le(n->r.una, seq) && seq_le(seq + len, n->r.nxt));
        net_send(n, seq, len);
        recovery_resent(&n->r, seq, len, n->link->now);
    }
    for (;;) {
        uint32_t limit = recovery_limit(&n->r), under_way = n->r.nxt - n->r.una;
        if (n->cfg.window && limit > n->cfg.window)
            limit = n->cfg.window;
        uint32_t room = limit > under_way ? limit - under_way : 0, left = end - n->r.nxt;
        uint32_t worth = n->r.cc.cwnd / 8 < NET_MSS ? NET_MSS : n->r.cc.cwnd / 8;
        if (worth > 64400)
            worth = 64400;
        if (n->cfg.burst)
            worth = n->cfg.burst * NET_MSS;
        if (worth > limit / 2)
            worth = limit / 2;
        if (!left || room < worth)
            return;
        len = room > 64400 ? 64400 : room - room % NET_MSS;
        if (!len)
            len = room;
        if (len > left)
            len = left;
        net_send(n, n->r.nxt, len);
        recovery_sent(&n->r, n->r.nxt + len, n->link->now);
    }
}

static void net_begin(struct losslink *link, struct lossnet *n, const struct lossnet_cfg *cfg)
{
    memset(n, 0, sizeof *n);
    n->cfg = *cfg;
    n->link = link;
    n->expected = cfg->first;
    recovery_init(&n->r, cfg->kind, NET_MSS, cfg->first, link->now + cfg->starts_us);
}

static void net_tick(struct lossnet *n)
{
    uint64_t now = n->link->now;

    net_release(n);
    if (n->cfg.forgets_us && now - 1000000 > n->cfg.forgets_us)
        n->cfg.forgets_us = n->n_have = 0;
    if (!recovery_due(&n->r) || recovery_due(&n->r) <= now)
        n->gave_up = !recovery_tick(&n->r, now);
    if (n->gave_up)
        return;
    net_check(n);
    net_fill(n);
}

static void net_event(const struct event *e)
{
    struct lossnet *n = e->of;

    if (!e->is_ack) {
        net_data(n, e->seq, e->len);
        return;
    }
    recovery_ack(&n->r, e->seq, e->block, e->n, n->link->now);
    net_check(n);
    net_fill(n);
}

static bool net_is_done(const struct lossnet *n)
{
    return n->gave_up || n->r.una == n->cfg.first + (uint32_t)n->cfg.bytes;
}

/* n_flows of them until all of the first one is acknowledged, or the time is over. */
static void net_run(struct losslink *link, struct lossnet *flows, unsigned n_flows,
                    uint64_t most_us)
{
    uint64_t begin = link->now, tick = begin;

    while (link->now < begin + most_us && !net_is_done(flows)) {
        if (link->n_events && link->heap[0].at <= tick) {
            struct event e = net_take(link);
            link->now = e.at;
            net_event(&e);
            continue;
        }
        link->now = tick;
        tick += NET_TICK_US;
        for (unsigned i = 0; i < n_flows; i++)
            if (link->now >= begin + flows[i].cfg.starts_us && !net_is_done(&flows[i]))
                net_tick(&flows[i]);
    }
}

static void net_open(struct losslink *link)
{
    *link = (struct losslink){.now = 1000000, .heap = malloc(NET_EVENTS * sizeof *link->heap)};
}

/* Runs until all is acknowledged; returns the microseconds, 0: it did not come to an end. */
static inline uint64_t lossnet_run(struct lossnet *n, const struct lossnet_cfg *cfg,
                                   uint64_t most_us)
{
    static struct losslink link;

    net_open(&link);
    net_begin(&link, n, cfg);
    net_run(&link, n, 1, most_us);
    free(link.heap);
    bool done = n->r.una == cfg->first + (uint32_t)cfg->bytes && n->delivered == cfg->bytes;
    recovery_done(&n->r);
    return done ? link.now - 1000000 : 0;
}

#endif
