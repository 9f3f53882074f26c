/* listeners/tungo/outflow.h - the way down of a flow: how much may be under way to the client, what
 * is sent again, and when.
 *
 * Mounts the recovery machine (recovery.h) beside lwIP. lwIP keeps handshake, sequence space, FIN,
 * zero-window probes and the list of unacknowledged segments, which is what resends come from; its
 * fast retransmit and its timeout are kept silent, its window follows ours. Used for every flow
 * whose client agreed to SACK; for others the window stands open and lwIP sends again what got lost
 * (three duplicate acknowledgements, or its timeout). A window that closes in front of bytes under
 * way is no loss: the client is asked for ever, and served as soon as there is room, in both.
 *
 * Owner: the flow, from its handshake until its pcb is gone. Timers: one wheel per netstack; it
 * turns only while bytes are under way.
 */
#ifndef LISTENERS_TUNGO_OUTFLOW_H
#define LISTENERS_TUNGO_OUTFLOW_H

#include "core/list.h"
#include "core/loop.h"
#include "listeners/tungo/recovery.h"

struct netstack;
struct packet;
struct tungo_flow;

enum {
    OUTFLOW_STEP_MS = 5,
    OUTFLOW_SLOTS = 64, /* later times are looked at again after a round */
};

/* Of a netstack. */
struct outflows {
    struct timer timer;
    struct list slots[OUTFLOW_SLOTS];
    unsigned now, n;
    bool off; /* the open window for all */
    enum congestion_kind kind;
    struct {
        uint64_t resends, resent_bytes, probes, timeouts, undone, given_up;
    } stats;
};

struct outflow {
    struct recovery recovery;
    struct tungo_flow *flow;
    struct list in_wheel;
    uint64_t due_us; /* of its slot */
};

bool outflows_init(struct netstack *ns);
void outflows_done(struct netstack *ns); /* no flow is left */

/* Around every segment of a flow with a pcb. */
void outflow_before_input(struct tungo_flow *f, const struct packet *p, struct sack_news *ret_news);
void outflow_after_input(struct tungo_flow *f, const struct sack_news *news);
/* After everything that may have sent, f has a pcb and is still mounted. */
void outflow_look(struct tungo_flow *f);
/* The real MSS became smaller. */
void outflow_shrunk(struct tungo_flow *f);
void outflow_end(struct tungo_flow *f); /* the pcb is gone */

/* Bytes that may be beyond the last acknowledged one. */
uint32_t outflow_limit(const struct tungo_flow *f);
/* Less room than this is not worth a read. */
uint32_t outflow_worth(const struct tungo_flow *f);

#endif
