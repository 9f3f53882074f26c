/* connectors/exchange.h - the request and the answer of a setup floor: writes one message, reads an
 * answer without taking a byte that belongs to the tunnel, within a time of its own.
 *
 * Embedded in the floor; the floor ends it with exchange_done() (which wipes it) in its destroy and
 * when it has opened, and answers pending() with exchange_is_late() so that the end of the time is
 * noticed.
 */
#ifndef CONNECTORS_EXCHANGE_H
#define CONNECTORS_EXCHANGE_H

#include "core/loop.h"
#include "core/stream.h"

enum { EXCHANGE_OUT_BYTES = 640, EXCHANGE_IN_BYTES = 320 };

struct exchange {
    struct layer *layer;
    struct timer timer;
    int64_t limit_ms; /* 0: none but the dial's */
    bool started, late;
    unsigned char out[EXCHANGE_OUT_BYTES];
    size_t out_at, out_n;
    unsigned char in[EXCHANGE_IN_BYTES];
    size_t in_n;
};

void exchange_init(struct exchange *x, struct loop *loop, struct layer *l, int64_t limit_ms);
/* First thing in every open(): starts the time; RC_TIMEOUT when it is over. */
enum rc exchange_check(struct exchange *x);
/* Sends out[0..out_n); RC_OK: all is gone, and out is empty. */
enum rc exchange_flush(struct exchange *x);
/* Reads until in holds `need` bytes, never more. RC_PROTO: need is over the cap. */
enum rc exchange_fill(struct exchange *x, size_t need);
static inline bool exchange_is_late(const struct exchange *x)
{
    return x->late;
}
void exchange_done(struct exchange *x);

#endif
