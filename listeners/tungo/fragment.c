/* listeners/tungo/fragment.c - see fragment.h. */
#include "listeners/tungo/fragment.h"
#include "core/shares.h"
#include <stdlib.h>

enum {
    UNIT = 8,
    UNITS = 65536 / UNIT,
    FIRST_CAP = 4096,   /* of a datagram's buffer; grows by doubling */
    PAYLOAD_CAP = 65536 /* rounded up */
};

struct key {
    struct addr src, dst; /* ports 0 */
    uint32_t id;
    uint8_t proto; /* v4 only: with IPv6 the id alone counts */
};

struct datagram {
    struct share share;
    struct key key;
    uint64_t due_ms;
    bool dead;    /* overlapping or malformed: swallows its fragments until it is due */
    uint8_t *buf; /* FRAGMENT_HEADER_MAX of room, payload, a spare byte */
    size_t cap;   /* of the payload */
    size_t have;  /* bytes that came */
    size_t end;   /* of the furthest piece */
    size_t total; /* 0: the last piece did not come yet */
    uint8_t header[FRAGMENT_HEADER_MAX];
    size_t header_bytes; /* 0: the first piece did not come yet */
    uint8_t next;        /* v6: upper protocol, of the first fragment's header */
    uint8_t came[UNITS / 8];
};

struct reassembly {
    struct datagram *waiting[FRAGMENT_DATAGRAMS]; /* oldest first */
    size_t count;
    struct shares shares; /* whose they are */
    uint8_t *done;        /* what was handed out last */
    uint64_t dropped;
};

/* One fragment as its headers say. */
struct piece {
    struct key key;
    const uint8_t *data;
    size_t at, n;
    bool last;
    size_t header_bytes;
    uint8_t next;
};

struct reassembly *reassembly_new(void)
{
    struct reassembly *r = calloc(1, sizeof *r);

    if (r)
        shares_init(&r->shares);
    return r;
}

static void datagram_free(struct datagram *d)
{
    free(d->buf);
    free(d);
}

static void take_out(struct reassembly *r, size_t i)
{
    shares_remove(&r->shares, &r->waiting[i]->share);
    r->count--;
    memmove(&r->waiting[i], &r->waiting[i + 1], (r->count - i) * sizeof(r->waiting[0]));
}

static void give_up(struct reassembly *r, size_t i)
{
    struct datagram *d = r->waiting[i];

    if (!d->dead) /* else it was counted then */
        r->dropped++;
    take_out(r, i);
    datagram_free(d);
}

void reassembly_free(struct reassembly *r)
{
    if (!r)
        return;
    while (r->count > 0)
        give_up(r, 0);
    free(r->done);
    free(r);
}

uint64_t reassembly_expire(struct reassembly *r, uint64_t now_ms)
{
    free(r->done);
    r->done = NULL;
    while (r->count > 0 && r->waiting[0]->due_ms <= now_ms)
        give_up(r, 0);
    return r->count > 0 ? r->waiting[0]->due_ms : 0;
}

size_t reassembly_waiting(const struct reassembly *r)
{
    return r->count;
}

uint64_t reassembly_dropped(const struct reassembly *r)
{
    return r->dropped;
}

/* --- parsing; false: malformed */

static bool parse4(const uint8_t *ip, size_t n, size_t l4, struct piece *ret_p)
{
    if (packet_version(ip) != 4 || l4 < IP4_HEADER_BYTES || l4 != (ip[0] & 15u) * 4 || n <= l4)
        return false;
    unsigned frag = packet_rd16(ip + IP4_AT_FRAG);
    *ret_p = (struct piece){
        .key = {packet_src(ip), packet_dst(ip), packet_rd16(ip + IP4_AT_ID), ip[IP4_AT_PROTO]},
        .data = ip + l4,
        .at = (size_t)(frag & IP4_OFFSET_MASK) * UNIT,
        .n = n - l4,
        .last = !(frag & IP4_MF),
        .header_bytes = l4};
    return true;
}

static bool parse6(const uint8_t *ip, size_t n, size_t l4, struct piece *ret_p)
{
    if (l4 < IP6_HEADER_BYTES || l4 > FRAGMENT_HEADER_MAX || n <= l4 + UNIT)
        return false;
    unsigned frag = packet_rd16(ip + l4 + 2);
    *ret_p = (struct piece){.key = {packet_src(ip), packet_dst(ip), packet_rd32(ip + l4 + 4), 0},
                            .data = ip + l4 + UNIT,
                            .at = frag & ~7u,
                            .n = n - l4 - UNIT,
                            .last = !(frag & 1),
                            .header_bytes = l4,
                            .next = ip[l4]};
    return true;
}

static bool parse(const uint8_t *ip, size_t n, size_t l4, struct piece *ret_p)
{
    if (n < IP4_HEADER_BYTES || n > PACKET_BYTES_MAX + IP6_HEADER_BYTES)
        return false;
    bool fits = packet_version(ip) == 6 ? n >= IP6_HEADER_BYTES && parse6(ip, n, l4, ret_p)
                                        : parse4(ip, n, l4, ret_p);
    if (!fits || (!ret_p->last && ret_p->n % UNIT != 0))
        return false;
    /* the whole with this piece's own headers must be a packet */
    size_t counted = packet_version(ip) == 6 ? l4 - IP6_HEADER_BYTES : l4;
    return ret_p->at + ret_p->n + counted <= PACKET_BYTES_MAX;
}

/* --- the waiting ones */

static bool same_key(const struct key *a, const struct key *b)
{
    return a->id == b->id && a->proto == b->proto && addr_equal(&a->src, &b->src) &&
           addr_equal(&a->dst, &b->dst);
}

/* Index, or count: not there. */
static size_t find(const struct reassembly *r, const struct key *key)
{
    size_t i = 0;

    while (i < r->count && !same_key(&r->waiting[i]->key, key))
        i++;
    return i;
}

static void make_room(struct reassembly *r, const struct key *key)
{
    const struct share *most = shares_oldest(&r->shares);
    bool own = shares_of(&r->shares, &key->src) >= FRAGMENT_PER_SOURCE;

    for (size_t i = 0; i < r->count && (own || r->count == FRAGMENT_DATAGRAMS); i++) {
        const struct share *x = &r->waiting[i]->share;
        if (own ? share_is_of(x, &key->src) : x == most) {
            give_up(r, i);
            return;
        }
    }
}

static struct datagram *begin(struct reassembly *r, const struct key *key, uint64_t now_ms)
{
    struct datagram *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    make_room(r, key);
    if (!shares_add(&r->shares, &d->share, &key->src, 1)) {
        free(d);
        return NULL;
    }
    d->key = *key;
    d->due_ms = now_ms + FRAGMENT_WAIT_MS;
    r->waiting[r->count++] = d;
    return d;
}

static bool grow(struct datagram *d, size_t payload)
{
    size_t cap = d->cap ? d->cap : FIRST_CAP;

    if (payload <= d->cap)
        return true;
    while (cap < payload)
        cap *= 2;
    if (cap > PAYLOAD_CAP)
        cap = PAYLOAD_CAP;
    uint8_t *buf = realloc(d->buf, FRAGMENT_HEADER_MAX + cap + 1);
    if (!buf)
        return false;
    d->buf = buf;
    d->cap = cap;
    return true;
}

/* --- the units that came */

static bool unit_came(const struct datagram *d, size_t unit)
{
    return d->came[unit / 8] >> (unit % 8) & 1;
}

/* How many of the piece's units are there already; marks them all. */
static size_t mark(struct datagram *d, size_t first, size_t n)
{
    size_t there = 0;

    for (size_t i = first; i < first + n; i++) {
        there += unit_came(d, i);
        d->came[i / 8] = (uint8_t)(d->came[i / 8] | 1u << (i % 8));
    }
    return there;
}

/* false: this piece contradicts what came before, the datagram is lost. */
static bool put(struct datagram *d, const struct piece *p)
{
    size_t end = p->at + p->n;
    uint8_t *to = d->buf + FRAGMENT_HEADER_MAX + p->at;

    if (d->total ? end > d->total || (p->last && end != d->total) : p->last && end < d->end)
        return false;
    size_t units = (p->n + UNIT - 1) / UNIT;
    size_t there = mark(d, p->at / UNIT, units);
    if (there != 0) /* only the very same piece once more is harmless */
        return there == units && memcmp(to, p->data, p->n) == 0;
    memcpy(to, p->data, p->n);
    d->have += p->n;
    if (end > d->end)
        d->end = end;
    if (p->last)
        d->total = end;
    return true;
}

static void keep_header(struct datagram *d, const uint8_t *ip, const struct piece *p)
{
    memcpy(d->header, ip, p->header_bytes);
    d->header_bytes = p->header_bytes;
    d->next = p->next;
}

/* Names the upper protocol where the fragment header was announced. */
static void unlink_fragment_header(uint8_t *header, size_t n, uint8_t next)
{
    size_t at = IP6_HEADER_BYTES;
    uint8_t *kind = header + IP6_AT_NEXT;

    while (at + UNIT <= n && *kind != IPPROTO_FRAGMENT) {
        kind = header + at;
        at += ((size_t)header[at + 1] + 1) * UNIT;
    }
    *kind = next;
}

static void write_header(struct datagram *d, uint8_t *at)
{
    memcpy(at, d->header, d->header_bytes);
    if (packet_version(d->header) == 6) {
        packet_wr16(at + IP6_AT_PAYLOAD, (unsigned)(d->header_bytes - IP6_HEADER_BYTES + d->total));
        unlink_fragment_header(at, d->header_bytes, d->next);
        return;
    }
    packet_wr16(at + IP4_AT_TOTAL, (unsigned)(d->header_bytes + d->total));
    packet_wr16(at + IP4_AT_FRAG, 0);
    memset(at + IP4_AT_SUM, 0, 2);
    uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, at, d->header_bytes));
    memcpy(at + IP4_AT_SUM, &sum, sizeof(sum));
}

/* The first piece may have a longer header than the one that was checked. */
static bool fits_packet(const struct datagram *d)
{
    size_t fixed = packet_version(d->header) == 6 ? IP6_HEADER_BYTES : 0;

    return d->header_bytes - fixed + d->total <= PACKET_BYTES_MAX;
}

static void finish(struct reassembly *r, size_t i, uint8_t **ret_ip, size_t *ret_n)
{
    struct datagram *d = r->waiting[i];

    *ret_ip = d->buf + FRAGMENT_HEADER_MAX - d->header_bytes;
    *ret_n = d->header_bytes + d->total;
    write_header(d, *ret_ip);
    r->done = d->buf;
    d->buf = NULL;
    take_out(r, i);
    datagram_free(d);
}

static enum reassembly_result drop(struct reassembly *r)
{
    r->dropped++;
    return REASSEMBLY_DROP;
}

static enum reassembly_result kill(struct reassembly *r, struct datagram *d)
{
    d->dead = true;
    free(d->buf);
    d->buf = NULL;
    return drop(r);
}

static enum reassembly_result add(struct reassembly *r, const uint8_t *ip, size_t n, size_t l4,
                                  uint64_t now_ms, uint8_t **ret_ip, size_t *ret_n)
{
    struct piece p;

    (void)reassembly_expire(r, now_ms); /* when it is due is the timer's question */
    if (!parse(ip, n, l4, &p))
        return drop(r);
    size_t i = find(r, &p.key);
    /* a packet that says it is a fragment but is all of it stands for itself (RFC 6946) */
    bool atomic = p.at == 0 && p.last;
    struct datagram *d = i < r->count && !atomic ? r->waiting[i] : begin(r, &p.key, now_ms);
    if (!d)
        return drop(r);
    if (d->dead)
        return REASSEMBLY_DROP;
    if (!grow(d, p.at + p.n) || !put(d, &p))
        return kill(r, d);
    if (p.at == 0 && d->header_bytes == 0)
        keep_header(d, ip, &p);
    if (d->total == 0 || d->have != d->total)
        return REASSEMBLY_HELD;
    if (!fits_packet(d))
        return kill(r, d);
    for (i = 0; r->waiting[i] != d; i++)
        continue;
    finish(r, i, ret_ip, ret_n);
    return REASSEMBLY_DONE;
}

enum reassembly_result reassembly_add(struct reassembly *r, const uint8_t *ip, size_t n, size_t l4,
                                      uint64_t now_ms, uint8_t **ret_ip, size_t *ret_n)
{
    uint8_t *former = r->done; /* ip may point into it: fragments inside of fragments */

    r->done = NULL;
    enum reassembly_result result = add(r, ip, n, l4, now_ms, ret_ip, ret_n);
    free(former);
    return result;
}

/* --- cutting */

bool fragment_cut_start(struct fragment_cut *c, const uint8_t *ip, size_t payload_bytes, size_t mtu,
                        uint32_t id)
{
    bool v6 = packet_version(ip) == 6;
    size_t base = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;

    *c = (struct fragment_cut){
        .header_bytes = v6 ? base + UNIT : base, .payload_bytes = payload_bytes, .id = id};
    if (mtu < c->header_bytes + UNIT || payload_bytes == 0)
        return false;
    c->step = (mtu - c->header_bytes) & ~(size_t)7;
    memcpy(c->header, ip, base);
    if (v6) {
        c->header[base] = ip[IP6_AT_NEXT];
        c->header[base + 1] = 0;
        packet_wr32(c->header + base + 4, id);
        c->header[IP6_AT_NEXT] = IPPROTO_FRAGMENT;
    } else {
        packet_wr16(c->header + IP4_AT_ID, id & 0xffff);
    }
    return true;
}

bool fragment_cut_next(struct fragment_cut *c)
{
    c->at += c->n;
    if (c->at >= c->payload_bytes)
        return false;
    size_t left = c->payload_bytes - c->at;
    bool last = left <= c->step;
    c->n = last ? left : c->step;
    if (c->header_bytes > IP6_HEADER_BYTES) {
        packet_wr16(c->header + IP6_AT_PAYLOAD, (unsigned)(UNIT + c->n));
        packet_wr16(c->header + IP6_HEADER_BYTES + 2, (unsigned)(c->at | !last));
        return true;
    }
    packet_wr16(c->header + IP4_AT_TOTAL, (unsigned)(IP4_HEADER_BYTES + c->n));
    packet_wr16(c->header + IP4_AT_FRAG, (unsigned)(c->at / UNIT) | (last ? 0 : IP4_MF));
    memset(c->header + IP4_AT_SUM, 0, 2);
    uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, c->header, IP4_HEADER_BYTES));
    memcpy(c->header + IP4_AT_SUM, &sum, sizeof(sum));
    return true;
}
