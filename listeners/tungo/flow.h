/* listeners/tungo/flow.h - one TCP flow of the device, from its SYN until nobody holds it any more.
 *
 *   FLOW_PARKED  the SYN waits, the handler decides      no pcb, no layer
 *   FLOW_LIVE    the SYN was let in                      pcb and layer, either may end first
 *   FLOW_DEAD    out of every list, memory goes at the end of the turn
 *
 * Who can hold a flow, and why each has ended when its memory goes:
 *   - the flow table: a flow leaves it with its pcb, or when it ends;
 *   - the pcb (callback argument, extension argument, netif hints): the flow is not ended while
 *     flow->pcb is set; lwIP's destroy callback, which runs on every way a pcb can go, clears it;
 *   - the stream's layer: not ended while flow->layer is set; the layer's destroy clears it;
 *   - the lists of the turn, of ticks, of due acknowledgements, of half-open flows, the idle wheel
 *     and the parking lot: flow_end() takes the flow out of all of them, each in O(1);
 *   - the handler, between on_flow and accept, refuse or on_flow_gone: a parked flow ends only
 *     through one of these;
 *   - a caller up the stack that still looks at it: memory goes at the end of the turn.
 * flow_end() therefore runs from two places: flow_settle(), when a live flow has neither pcb nor
 * layer, and the parking lot, when a parked one goes.
 */
#ifndef LISTENERS_TUNGO_FLOW_H
#define LISTENERS_TUNGO_FLOW_H

#include "core/list.h"
#include "core/loop.h"
#include "listeners/tungo/flowtab.h"
#include "listeners/tungo/inwindow.h"
#include "listeners/tungo/recvq.h"
#include "listeners/tungo/sendq.h"

struct netlayer;
struct netstack;
struct outflow;
struct packet;
struct parked;
struct source;
struct tcp_pcb;

enum flow_state { FLOW_PARKED, FLOW_LIVE, FLOW_DEAD };

struct tungo_flow {
    struct flowtab_entry entry; /* key and, while in_table, its place */
    struct netstack *ns;
    enum flow_state state;
    bool in_table;          /* while it is parked or has a pcb: packets find it */
    struct parked *parked;  /* FLOW_PARKED only (syn.h) */
    struct tcp_pcb *pcb;    /* NULL: not yet, or gone */
    struct netlayer *layer; /* NULL: not yet, or closed by its owner */
    struct source *source;  /* on whose account its memory is */
    struct list of_source;  /* while in_table, in the order of use */
    struct list half_open;  /* until the client has completed its handshake (room.h) */
    struct recvq rx;
    struct sendq tx;
    struct inwindow window;  /* offered to the client, while it has a pcb */
    struct outflow *outflow; /* NULL: no SACK, or not established yet */

    uint32_t acked_to;   /* rcv_nxt as the client last heard it */
    uint32_t out_window; /* the client's, as it was last told, also where lwIP does not look */
    uint32_t untold_at;  /* the block that changed last */
    uint16_t mss;        /* real one: what the kernel cuts super-segments to */
    uint16_t raised_mss; /* what lwIP works with (offload.h) */
    uint16_t n_ooseq;    /* segments out of order, at most so many (ooseq.h) */
    uint8_t n_untold;    /* blocks of bytes behind gaps that changed since one was told */
    uint8_t probes;      /* keepalives without an answer */
    enum rc failed;      /* RC_OK, or why the pcb is gone */
    bool outflow_begun;  /* whether it has one is decided */
    bool established;    /* the handshake was completed */
    bool got_fin;        /* the client ended its writing; the bytes before it may still be in rx */
    bool shut_wanted;    /* our FIN shall go out after tx.waiting */
    bool shut_done;      /* lwIP has our FIN */
    bool blocked_out;    /* the layer said RC_AGAIN to a send */
    bool ack_due;        /* an acknowledgement was put off to the end of the turn */
    bool ack_now;        /* the same, and the client waits for it: there is a gap, or was */

    struct list in_turn, in_ticks, in_acks, in_wheel; /* netstack.h, idle.h */
    uint64_t heard_ms;                                /* last packet from the client */
    uint64_t closed_ms; /* no layer any more: since when nothing was acknowledged */
    uint32_t closed_ack;
    struct deferred deferred;
};

/* In the table, not parked yet, without pcb. NULL: no memory. */
struct tungo_flow *flow_new(struct netstack *ns, const struct flow_key *key);
struct tungo_flow *flow_find(struct netstack *ns, const struct flow_key *key);
struct addr flow_client(const struct tungo_flow *f);
struct addr flow_target(const struct tungo_flow *f);
/* After anything that may have ended one of its holders. f may be FLOW_DEAD afterwards. */
void flow_settle(struct tungo_flow *f);
/* A packet of it came: it is the last that has to go. */
void flow_used(struct tungo_flow *f);
/* Out of all lists, queues emptied, memory at the end of the turn. */
void flow_end(struct tungo_flow *f);
/* The client vanished, or we need the room: RST, and the layer learns `why`. */
void flow_kill(struct tungo_flow *f, enum rc why);
/* The layer shall look again. */
void flow_wake(struct tungo_flow *f);

#endif
