/* listeners/tungo/rxbuf.h - where a packet from the device is read into, and how it becomes a pbuf
 * without a copy.
 *
 * One block (blocks.h) each. The virtio header lands right before data, so that the IP header is
 * aligned; a spare byte stays behind the longest packet (lwIP's option parser reads one byte past a
 * header). A packet that would keep much more memory than it has bytes is copied instead: what
 * fills less than a quarter of its buffer, and everything small.
 */
#ifndef LISTENERS_TUNGO_RXBUF_H
#define LISTENERS_TUNGO_RXBUF_H

#include "listeners/tungo/blocks.h"
#include "lwip/pbuf.h"

struct source;

enum {
    RXBUF_HEAD_BYTES = 64,
    RXBUF_DATA_BYTES = 65600, /* the largest packet is 65,535 (v4) or 65,575 (v6); less cuts */
};

struct rxbuf {
    struct pbuf_custom pc; /* first: lwIP's free callback gets it */
    struct blocks *blocks;
    struct source *source; /* who holds it as a pbuf */
    bool spare; /* the one that is read into when there is no other: only copies leave it */
    _Alignas(8) uint8_t head[RXBUF_HEAD_BYTES];
    uint8_t data[RXBUF_DATA_BYTES + 8];
};
_Static_assert(sizeof(struct rxbuf) <= BLOCK_BYTES, "a receive buffer is one block");

struct rxbuf *rxbuf_new(struct blocks *blocks); /* NULL: no memory, or too many are held */
void rxbuf_free(struct rxbuf *b);               /* NULL and a spare one are fine */

/* n bytes at ip as a pbuf. b: where they lie, or NULL when they are somebody else's; b is taken in
 * any case. s: on whose account; NULL: nobody's. NULL: no memory, or a long packet in the spare
 * buffer. */
struct pbuf *rxbuf_to_pbuf(struct rxbuf *b, uint8_t *ip, size_t n, struct source *s);

#endif
