/* listeners/tungo/idle.h - the wheel on which every flow with a pcb sits, so that a client that
 * vanished in silence leaves nothing behind.
 *
 * After 60 s without a packet: a keepalive every 30 s, nine times, then the end (what GOST does). A
 * flow whose owner has closed it ends when nothing of it was acknowledged for 60 s. A packet only
 * writes flow->heard_ms; the wheel looks when the flow's slot comes round.
 */
#ifndef LISTENERS_TUNGO_IDLE_H
#define LISTENERS_TUNGO_IDLE_H

#include "core/list.h"
#include "core/loop.h"

struct netstack;
struct tungo_flow;

enum {
    IDLE_STEP_MS = 5000,
    IDLE_SLOTS = 16, /* 80 s ahead */
    IDLE_SILENCE_MS = 60000,
    IDLE_PROBE_MS = 30000,
    IDLE_PROBES = 9,
    IDLE_ORPHAN_MS = 60000,
};

struct idle {
    struct list slots[IDLE_SLOTS];
    struct timer timer; /* only while somebody is on the wheel */
    size_t n;
    unsigned now; /* the slot that comes next */
};

bool idle_init(struct netstack *ns); /* false: no memory, as of the other parts */
void idle_done(struct netstack *ns);
void idle_add(struct tungo_flow *f);
void idle_remove(struct tungo_flow *f); /* fine when it is not on it */
/* The owner closed it: look at it sooner. */
void idle_orphan(struct tungo_flow *f);

#endif
