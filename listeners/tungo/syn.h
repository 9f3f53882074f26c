/* listeners/tungo/syn.h - SYNs that wait until somebody knows whether their target can be reached.
 *
 * A parked flow is a stored packet and a table entry: lwIP has not seen it. The handler ends it
 * with tungo_flow_accept() or tungo_flow_refuse() (tungo.h; both are here); the client's reset, the
 * deadline, or the cap (room.h) end it too. Retransmitted SYNs are swallowed.
 */
#ifndef LISTENERS_TUNGO_SYN_H
#define LISTENERS_TUNGO_SYN_H

#include "core/addr.h"
#include "core/list.h"
#include "core/loop.h"

struct netstack;
struct packet;
struct tungo_flow;

enum {
    PARKED_MAX = 1024,
    PARKED_MS = 30000,     /* unless the handler's options say otherwise */
    PARKED_SYN_BYTES = 160 /* headers with every option; what a SYN carries behind is cut off */
};

struct parked {
    struct list in_lot, of_source;
    struct tungo_flow *flow;
    struct addr client, target;
    void *user;
    uint64_t due_ms;
    uint32_t seq;
    uint16_t n, l4; /* bytes of syn; where its TCP header begins */
    uint8_t syn[PARKED_SYN_BYTES];
};

struct parking {
    struct list lot; /* in the order of coming, which is that of their deadlines */
    struct timer deadline;
    size_t n;
    uint32_t wait_ms;
};

bool parking_init(struct netstack *ns);
void parking_done(struct netstack *ns); /* every parked flow is gone (on_flow_gone) */
/* A SYN for which there is no flow yet. Calls on_flow. */
void parking_add(struct netstack *ns, const struct packet *p);
/* Ends a parked flow without an answer to the client: on_flow_gone. f is FLOW_DEAD afterwards. */
void parking_gone(struct tungo_flow *f);
/* A packet for a parked flow. */
void parking_packet(struct tungo_flow *f, const struct packet *p);

#endif
