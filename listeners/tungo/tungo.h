/* listeners/tungo/tungo.h - the TUN device as seen by the tungo handler: TCP flows, UDP
 * associations, packet truth.
 *
 * The listener owns device, lwIP and tables; the handler decides what becomes of each flow.
 */
#ifndef LISTENERS_TUNGO_TUNGO_H
#define LISTENERS_TUNGO_TUNGO_H

#include "core/addr.h"
#include "core/rc.h"
#include <stdint.h>

struct dgram;
struct loop;
struct sockopts;
struct netlist;
struct slice;
struct stream;
struct tungo;
struct tungo_flow;
struct tungo_udp_route;
struct udp_dest;

struct tungo_events {
    /* A TCP client wants to connect: its SYN is parked. The handler ends that with exactly one of
     * tungo_flow_accept() and tungo_flow_refuse(), now or later. Retransmitted SYNs are swallowed
     * meanwhile. */
    void (*on_flow)(void *arg, struct tungo_flow *f);
    /* The client of a parked flow went away (RST, or the cap took it): the flow is gone when this
     * returns. */
    void (*on_flow_gone)(void *arg, struct tungo_flow *f);

    /* Where does UDP from client to dst go? Asked once per (client, dst) until that pair is idle.
     * RC_OK fills route; everything else is answered by ICMP, as tungo_flow_refuse() does.
     * RC_AGAIN: that takes more datagrams than the first, see on_udp_more. A route that needs an
     * association is followed by on_udp_open within the same call. */
    enum rc (*on_udp)(void *arg, const struct addr *client, const struct addr *dst,
                      const void *data, size_t n, struct tungo_udp_route *ret_route);
    /* Make the datagram flow of that route (one per client and route id; for fixed routes one per
     * destination too). Answer with tungo_udp_ready(), now or later. The first datagrams are held
     * meanwhile (capped). */
    void (*on_udp_open)(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                        const struct addr *client, const struct addr *dst);
    /* A datagram that an association of ours sent to dst has come back through the device: refused;
     * tell the operator. May be NULL. */
    void (*on_loop)(void *arg, const struct addr *dst);
    /* With icmp=forward: may a ping to dst leave? RC_OK: by a socket as *ret_so says; RC_AGAIN: it
     * is answered here; else as tungo_flow_refuse() says. NULL: all are answered here. */
    enum rc (*on_echo)(void *arg, const struct addr *client, const struct addr *dst,
                       const struct sockopts **ret_so);
    /* The association was closed (idle, LRU, failure): drop a pending dial for it; log it. */
    void (*on_udp_gone)(void *arg, struct udp_dest *ud, uint64_t up_bytes, uint64_t down_bytes);
    void *arg;
    /* on_udp said RC_AGAIN: the first datagrams of the pair are kept, and this is asked with each
     * further one. v: all of them, in order. last: no more of them come, for time (udp_first_ms) or
     * a cap; RC_AGAIN is no answer then. NULL: nobody says RC_AGAIN. */
    enum rc (*on_udp_more)(void *arg, const struct addr *client, const struct addr *dst,
                           const struct slice *v, int n, bool last,
                           struct tungo_udp_route *ret_route);
};

struct tungo_udp_route {
    uint32_t id;
    bool fixed;
    bool empty_apart; /* not fixed; an empty datagram needs a fixed flow */
    bool plain;       /* not fixed; empty datagrams go by one more association of the client and
                         route, which on_udp_open() is asked for with this set */
};

/* Once, before the device is read. The tungo listener keeps what arrives before that in the
 * kernel's queue. NULL: nobody handles flows any more, new ones get no answer. */
void tungo_set_events(struct tungo *t, const struct tungo_events *ev);

/* --- TCP. The addresses stay valid until accept or refuse. */
const struct addr *tungo_flow_client(const struct tungo_flow *f);
const struct addr *tungo_flow_target(const struct tungo_flow *f);
void tungo_flow_set_user(struct tungo_flow *f, void *user);
void *tungo_flow_user(const struct tungo_flow *f);
/* Lets the SYN in. The stream is not open yet: stream_open() completes the handshake with the
 * client. Takes f. NULL: no memory (the flow was refused). */
struct stream *tungo_flow_accept(struct tungo_flow *f);
/* RST for RC_REFUSED and anything unlisted; ICMP net/host unreachable for RC_UNREACH_*, RC_NAME,
 * RC_TIMEOUT; administratively prohibited for RC_DENIED. Takes f. UDP: port instead of RST. */
void tungo_flow_refuse(struct tungo_flow *f, enum rc why);

/* --- UDP. d is taken (NULL: rc says why; answered by ICMP as above and
 * forgotten; RC_UNSUPPORTED for a route that is not fixed: routes are asked again). */
void tungo_udp_ready(struct tungo *t, struct udp_dest *ud, struct dgram *d, enum rc rc);
void tungo_udp_set_user(struct udp_dest *ud, void *user);
void *tungo_udp_user(const struct udp_dest *ud);
void tungo_udp_bytes(const struct udp_dest *ud, uint64_t *ret_up, uint64_t *ret_down);

/* --- what the handler's options decide */
struct tungo_cfg {
    uint32_t udp_timeout_ms;                    /* 0: 30,000 */
    uint32_t udp_fresh_ms;                      /* the same until something came back, if that is
                                                   less; 0: 30,000 */
    uint32_t udp_first_ms;                      /* how long first datagrams are kept; 0: 1,000 */
    uint32_t udp_buffer_bytes;                  /* largest datagram, up to 65,535; 0: 65,535 */
    uint32_t tcp_receive_bytes, tcp_send_bytes; /* 0: what the way needs; at most 4 MiB */
    uint32_t park_ms;                           /* the longest a SYN waits; 0: 30,000 */
};
void tungo_configure(struct tungo *t, const struct tungo_cfg *cfg);

/* The addresses of the device with their nets: flows into them are dropped. Valid as long as t. */
const struct netlist *tungo_nets(const struct tungo *t);

/* "is this destination ours to refuse": called by the gate for flows to node addresses (routing
 * loop). */
void tungo_set_loop_guard(struct tungo *t, bool (*is_node)(void *arg, const struct addr *a),
                          void *arg);

#endif
