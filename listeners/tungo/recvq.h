/* listeners/tungo/recvq.h - bytes of one flow that arrived and were not consumed yet: the pbufs
 * that lwIP handed up, in order.
 *
 * Bounded by the receive window: consuming is what opens it. A run of small segments behind a slow
 * reader is gathered into larger buffers, so that memory stays near the bytes it holds.
 */
#ifndef LISTENERS_TUNGO_RECVQ_H
#define LISTENERS_TUNGO_RECVQ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pbuf;
struct source;

struct recvq {
    struct source *source;     /* on whose account buffers are; NULL: nobody's */
    struct pbuf *first, *last; /* each is a pbuf alone: tot_len (u16) says nothing here */
    size_t bytes;
    uint16_t n_small;  /* at the end of the queue */
    uint16_t gathered; /* room left in `last`, which is a gathering buffer then */
};

void recvq_add(struct recvq *q, struct pbuf *chain); /* takes it */
int recvq_peek(const struct recvq *q, struct iovec *v, int cap);
void recvq_consume(struct recvq *q, size_t n); /* n <= bytes */
void recvq_clear(struct recvq *q);

#endif
