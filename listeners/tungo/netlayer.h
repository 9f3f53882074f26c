/* listeners/tungo/netlayer.h - the bottom floor of a flow's stream: lwIP seen as a struct layer.
 *
 * peek shows the queued pbufs; consume opens the TCP window. reserve lends room in a send chunk, as
 * long as a whole super-segment fits the client's window; commit gives it to lwIP without a copy.
 * destroy ends the flow with a FIN where all was consumed, else with a reset.
 */
#ifndef LISTENERS_TUNGO_NETLAYER_H
#define LISTENERS_TUNGO_NETLAYER_H

#include "core/stream.h"

struct tungo_flow;

struct netlayer {
    struct layer layer;
    struct tungo_flow *flow; /* never NULL until destroy */
};

/* f->layer is set. NULL: no memory. */
struct layer *netlayer_new(struct tungo_flow *f);

/* Bytes that may be given to lwIP now; 0: not worth it (or not allowed) yet. */
size_t netlayer_room(const struct tungo_flow *f);

#endif
