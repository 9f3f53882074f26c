/* listeners/tungo/netstack.h - TCP for any destination on stock lwIP, one pcb at a time.
 *
 * lwIP searches its lists for every packet. Here the flow table (ours) finds the flow, and around
 * each entry into lwIP the lists contain just that flow's pcb: the flow is *mounted*. So the cost
 * is the same at 10 and at 50,000 flows. No lwIP call without mounting: tcp_abort, tcp_close and
 * tcp_shutdown unlink from the lists too.
 *
 * Owner: the listener, one netstack per device; lwIP's globals are shared by all of a process,
 * which is why mounting also sets the netif and the window. Threads: one. Upward calls: the
 * listener's events for parked SYNs; everything else wakes a layer.
 */
#ifndef LISTENERS_TUNGO_NETSTACK_H
#define LISTENERS_TUNGO_NETSTACK_H

#include "core/list.h"
#include "listeners/tungo/blocks.h"
#include "listeners/tungo/budget.h"
#include "listeners/tungo/flow.h"
#include "listeners/tungo/idle.h"
#include "listeners/tungo/outflow.h"
#include "listeners/tungo/source.h"
#include "listeners/tungo/syn.h"
#include "listeners/tungo/tungo.h"
#include "lwip/netif.h"

struct icmp_note;
struct packet;
struct rxbuf;
struct tungo;

enum {
    NETSTACK_FLOWS_MAX = 65536,      /* of all clients (room.h) */
    NETSTACK_BLOCKS_MAX = 4096,      /* 272 MiB of packets and bytes under way */
    NETSTACK_HELD_BYTES = 256 << 20, /* by all flows, both ways (source.h) */
    NETSTACK_POOR_BYTES = 16384,     /* a flow that holds less of what came is poor */
    NETSTACK_RESETS_BURST = 2000,    /* for segments that belong to no flow (budget.h) */
    NETSTACK_RESETS_PER_SECOND = 2000,
    NETSTACK_RESETS_OWN_BURST = 200,
    NETSTACK_RESETS_OWN_PER_SECOND = 100,
    NETSTACK_TICK_MS = 50, /* acknowledgements put off; every second one is lwIP's slow timer */
    NETSTACK_WINDOW_BYTES = 1 << 20,
    NETSTACK_BUFFER_MAX = 4 << 20, /* of either direction of a flow */
};

struct netstack_stats {
    uint64_t flows, refused, evicted, resets, strays, keepalive_ends, no_memory, dropped_ooseq;
    uint64_t crowded;     /* SYNs dropped: their client has enough flows already (room.h) */
    uint64_t resets_held; /* segments of nobody's flow that were too many for an answer each */
    uint64_t cut;         /* segments whose bytes were not taken: the source holds too much */
    uint64_t notes;   /* ICMP errors about packets that we can't have sent, or that can't be true */
    uint64_t asserts; /* of lwIP that did not hold and cost only their flow */
};

struct netstack {
    struct loop *loop;
    struct tungo *tungo;
    struct netif netif;
    struct blocks blocks;
    struct sources sources;
    struct flowtab table;
    struct list half_open; /* flows whose handshake is not complete, the oldest first */
    struct list turn;      /* flows that a packet came for in this turn */
    const struct tungo_flow *gathering; /* what it acknowledges now waits for the end of the turn */
    struct list ticks;                  /* flows with something lwIP's slow timer must look at */
    struct list acks;    /* flows with a small acknowledgement due at the next tick */
    struct job turn_end; /* runs behind the layers' jobs */
    struct timer tick;   /* only while ticks or acks has somebody */
    unsigned n_ticks;
    struct idle idle;
    struct outflows outflows;
    struct parking parking;
    uint32_t window_bytes, send_bytes;
    bool send_grows;   /* nobody has set send_bytes: more of them on long ways */
    bool window_grows; /* the same for window_bytes: fewer at first, too */
    size_t flows_max;
    struct budget resets; /* for segments of nobody's flow */
    bool distrusted;      /* an assertion failed for the mounted flow: it is reset */
    struct netstack_stats stats;
};

/* NULL: no memory. */
struct netstack *netstack_new(struct loop *loop, struct tungo *t);
void netstack_free(struct netstack *ns); /* resets every flow; layers learn RC_CANCELED */
void netstack_set_mtu(struct netstack *ns, uint32_t mtu);
/* Receive window and send room of new flows, 0: the defaults. */
void netstack_set_buffers(struct netstack *ns, uint32_t receive_bytes, uint32_t send_bytes);

/* One packet that the gate passed as GATE_TCP. b: the buffer it lies in, NULL: somebody else's
 * memory, used during the call only. Takes b. */
void netstack_packet(struct netstack *ns, struct packet *p, struct rxbuf *b);
/* After a batch of packets: acknowledgements, once the layers have had their jobs. */
void netstack_batch_end(struct netstack *ns);
/* A router told that a segment of ours is too long for its next link. */
void netstack_too_big(struct netstack *ns, const struct icmp_note *note);

/* --- for the parts of the netstack */

/* Shows f's pcb to lwIP, and nothing else. f NULL or without pcb: nothing at all. */
void netstack_mount(struct netstack *ns, struct tungo_flow *f);
/* Ends what went to TIME_WAIT, releases what is acknowledged, lists f where it needs it, settles
 * it. f may be FLOW_DEAD afterwards. */
void netstack_unmount(struct netstack *ns, struct tungo_flow *f);
/* Gives a stored SYN to lwIP. f->pcb is set if it was taken; refuse: f is NULL, lwIP answers it
 * with a reset. */
void netstack_give_syn(struct netstack *ns, struct tungo_flow *f, const struct parked *k,
                       bool refuse);
/* Hands committed bytes, and the FIN behind them, to lwIP. f is mounted. */
void netstack_push(struct tungo_flow *f);
/* Bytes were consumed: opens the window, says so when it is worth a packet. f is not mounted. */
void netstack_credit(struct tungo_flow *f);
/* An acknowledgement now, if one is due. f is mounted. */
void netstack_ack(struct tungo_flow *f);
/* The flow behind an output of lwIP, from the hints of its netif; NULL: none. */
struct tungo_flow *netstack_flow_of(const struct netif *netif);

/* ticks.c: the timer runs while somebody needs it. */
bool ticks_init(struct netstack *ns);
void ticks_done(struct netstack *ns);
void ticks_add_ack(struct tungo_flow *f);
void ticks_add_slow(struct tungo_flow *f);
bool ticks_are_needed(const struct tungo_flow *f); /* by lwIP's slow timer; f has a pcb */

/* turn.c: acknowledgements wait for the end of the turn, where one may say it all. */
struct pbuf;
void turn_init(struct netstack *ns);
void turn_done(struct netstack *ns);
void turn_ack(struct tungo_flow *f); /* one that lwIP put off */
/* At the end of the turn, whether or not anything new came. */
void turn_answer(struct tungo_flow *f);
/* What this packet makes lwIP say may be gathered; then: until `gathering` is NULL it is. */
bool turn_may_gather(const struct tungo_flow *f, const struct packet *p);
void turn_gather(struct tungo_flow *f);
/* Is the packet, on its way out, kept so? */
bool turn_keeps(struct tungo_flow *f, const struct pbuf *p);

/* netassert.c: whose flow is mounted; NULL: nobody's. */
void netassert_watch(struct netstack *ns);

/* netpcb.c: what lwIP calls. The listening pcb of the process; NULL: no memory. */
struct tcp_pcb_listen;
struct tcp_pcb_listen *netpcb_listener(void);

#endif
