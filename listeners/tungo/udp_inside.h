/* listeners/tungo/udp_inside.h - what udp.c (whose a datagram is, the handler's side), udp_up.c
 * (the way up) and udp_assoc.c (life of an association, the way down) share. Private to these.
 */
#ifndef LISTENERS_TUNGO_UDP_INSIDE_H
#define LISTENERS_TUNGO_UDP_INSIDE_H

#include "core/dgram.h"
#include "core/loop.h"
#include "listeners/tungo/udp.h"
#include "listeners/tungo/udp_down.h"
#include "listeners/tungo/udp_first.h"
#include "listeners/tungo/udp_table.h"

enum {
    UDP_HELD_DATAGRAMS = 16, /* per association while it opens */
    UDP_HELD_BYTES = 65536,
    UDP_TIMEOUT_MS = 30000,
    UDP_FRESH_MS = 30000, /* while nothing has come back, if udpTimeout is longer */
    UDP_DNS_GRACE_MS = 1000,
    UDP_FIRST_MS = 1000,
    UDP_VERDICT_MS = 5000, /* a decision against a pair holds so long ... */
    UDP_FAILED_MS = 1000,  /* ... and a failed attempt so long */
    UDP_BURST_BYTES = 65507,
    UDP_BURST_SEGMENTS = 64,
    UDP_SCRATCH_BYTES = 3 * 65536
};

/* Equal datagrams of one association to one destination, sent with one call when something else
 * comes or the turn's jobs run. */
struct udp_burst {
    struct udp_dest *dest; /* NULL: empty */
    struct addr dst;
    size_t n, segment;
};

struct tungo_udp {
    struct tungo_udp_setup setup;
    struct tungo_events events; /* on_udp NULL: not set */
    struct udp_table table;
    size_t sources_max;
    struct udp_down down;
    struct udp_burst burst;
    struct job flush;
    struct timer sweep;
    struct udp_firsts firsts;
    struct timer first_timer;
    uint32_t timeout_ms, fresh_ms, first_ms, buffer_bytes;
    uint8_t *scratch;   /* what was received, until it is written */
    uint8_t *burst_buf; /* UDP_BURST_BYTES */
    uint64_t up, lost_up, lost_down, n_down;
};

static inline uint32_t udp_fresh_ms(const struct tungo_udp *u)
{
    return u->timeout_ms < u->fresh_ms ? u->timeout_ms : u->fresh_ms;
}

/* Looks again at `at_ms` at the latest. */
void udp_sweep_at(struct tungo_udp *u, uint64_t at_ms);
/* Keeps a datagram until the association is open; false: past the cap. */
bool udp_hold(struct udp_dest *d, const struct addr *dst, const uint8_t *data, size_t n);

/* --- udp_up.c */
/* How many datagrams n bytes are. */
static inline size_t udp_pieces(size_t n, size_t segment)
{
    return n > segment ? (n + segment - 1) / segment : 1;
}
void udp_send_up(struct tungo_udp *u, struct udp_dest *d, const struct addr *dst,
                 const uint8_t *data, size_t n, size_t segment);
void udp_flush_up(struct tungo_udp *u);
void udp_on_flush(struct job *job);

/* Sends a datagram by a flow of its destination alone; lost where the route is not of that kind. */
void udp_send_apart(struct tungo_udp *u, const struct addr *client, const struct addr *dst,
                    const uint8_t *data, size_t n);
/* With on_udp_gone where it is due. The source stays. */
void udp_close_dest(struct tungo_udp *u, struct udp_dest *d);
/* All that hangs on it, and itself. */
void udp_close_source(struct tungo_udp *u, struct udp_source *s);
/* ICMP to the client about a datagram that is not there any more. */
void udp_tell_client(struct tungo_udp *u, const struct addr *client, const struct addr *dst,
                     enum rc why);
void udp_on_sweep(struct timer *timer);

/* The handler's answer for a pair that has no association: it gets one, or the verdict. false: no
 * room, the pair is gone. */
bool udp_bind_route(struct tungo_udp *u, struct udp_pair *p, enum rc rc,
                    const struct tungo_udp_route *route, uint64_t now);
/* The last thing that is done with d: it may be gone afterwards. */
void udp_ask_to_open(struct tungo_udp *u, struct udp_dest *d, const struct addr *destination);

/* --- udp_first.c: on_udp said RC_AGAIN about this datagram. RC_AGAIN: it is kept, pair->first is
 * set; else that's the answer (nothing was kept). */
enum rc udp_keep_first(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data, size_t n,
                       struct tungo_udp_route *ret_route);
/* One more, for a pair that has `first`; it may be gone afterwards. false: there was no room: what
 * is kept has been decided about, and this one goes as any other. */
bool udp_take_first(struct tungo_udp *u, struct udp_pair *pair, const uint8_t *data, size_t n);
void udp_on_first_timer(struct timer *timer);

#endif
