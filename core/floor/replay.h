/* core/floor/replay.h - a floor on top that first gives back bytes that somebody had read to look
 * at them (a sniffer, the auto handler, a codec that read past its message). When they are
 * gone it passes every call through.
 */
#ifndef CORE_FLOOR_REPLAY_H
#define CORE_FLOOR_REPLAY_H

#include "core/stream.h"

/* Copies data. n == 0 is fine (nothing is pushed). RC_NOMEM: the stream is as before. */
enum rc replay_push(struct stream *s, const void *data, size_t n);
/* The floor alone, for layer_insert(). NULL: no memory. */
struct layer *replay_layer(const void *data, size_t n);

#endif
