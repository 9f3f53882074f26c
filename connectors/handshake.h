/* connectors/handshake.h - the request and the answer of a setup floor: writes one message, reads
 * an answer without taking a byte that belongs to the tunnel, within a time of its own.
 *
 * Embedded in the floor; the floor ends it with handshake_done() (which wipes it) in its destroy
 * and when it has opened, and answers pending() with handshake_is_late() so that the end of the
 * time is noticed.
 */
#ifndef CONNECTORS_HANDSHAKE_H
#define CONNECTORS_HANDSHAKE_H

#include "core/loop.h"
#include "core/stream.h"

enum { HANDSHAKE_OUT_BYTES = 640, HANDSHAKE_IN_BYTES = 320 };

struct handshake {
    struct layer *layer;
    struct timer timer;
    int64_t limit_ms; /* 0: none but the dial's */
    bool started, late;
    unsigned char out[HANDSHAKE_OUT_BYTES];
    size_t out_at, out_n;
    unsigned char in[HANDSHAKE_IN_BYTES];
    size_t in_n;
};

void handshake_init(struct handshake *x, struct loop *loop, struct layer *l, int64_t limit_ms);
/* First thing in every open(): starts the time; RC_TIMEOUT when it is over. */
enum rc handshake_check(struct handshake *x);
/* Sends out[0..out_n); RC_OK: all is gone, and out is empty. */
enum rc handshake_flush(struct handshake *x);
/* Reads until in holds `need` bytes, never more. RC_PROTO: need is over the cap. */
enum rc handshake_fill(struct handshake *x, size_t need);
static inline bool handshake_is_late(const struct handshake *x)
{
    return x->late;
}
void handshake_done(struct handshake *x);

#endif
