/* listeners/tungo/sack.h - what an acknowledgement of the client says, read before lwIP turns the
 * header around in place (RFC 2018, 2883).
 *
 * Pure. The gate found the option; which blocks make sense is recovery.c's to judge.
 */
#ifndef LISTENERS_TUNGO_SACK_H
#define LISTENERS_TUNGO_SACK_H

#include <stdbool.h>
#include <stdint.h>

struct packet;

enum { SACK_BLOCKS_MAX = 4 }; /* more do not fit into 40 bytes of options */

struct sack_block {
    uint32_t from, to; /* sequence numbers; to is not in it any more */
};

struct sack_news {
    bool is_ack;
    uint32_t seq, ack; /* of the segment */
    uint16_t window;   /* not scaled */
    bool opens;        /* it was closed before (outflow.c) */
    unsigned n;
    struct sack_block block[SACK_BLOCKS_MAX];
};

/* p passed the gate as TCP. */
void sack_read(const struct packet *p, struct sack_news *ret_news);

#endif
