/* listeners/tungo/sendq.h - bytes of one flow on their way to the client: written once into chunks
 * of ours, referenced by lwIP's segments, kept until no segment needs them.
 *
 *   [released | in lwIP's hands | committed, lwIP had no memory | reserved]
 *
 * A chunk goes when the first segment that lwIP still has begins behind it. Not when its bytes are
 * acknowledged: lwIP resends whole segments, also their acknowledged beginning. Long chunks are
 * blocks (blocks.h); short writes get a chunk of their size, so that a quiet flow holds no block.
 */
#ifndef LISTENERS_TUNGO_SENDQ_H
#define LISTENERS_TUNGO_SENDQ_H

#include "core/rc.h"
#include <stdint.h>
#include <sys/uio.h>

struct blocks;
struct sendchunk;
struct source;

enum { SENDQ_CHUNK_BYTES = 65536, SENDQ_SMALL_BYTES = 2048 };

struct sendq {
    struct source *source; /* on whose account chunks are; NULL: nobody's */
    struct sendchunk *first, *last;
    struct sendchunk *giving; /* the first with bytes that lwIP has not got; NULL: none */
    uint32_t first_seq;       /* sequence number of the first byte of `first` */
    uint32_t waiting;         /* committed and not given */
    bool reserved;            /* between reserve and commit */
};

/* Room for at most `want` bytes, a multiple of `step` where it is more than one. RC_NOMEM: also
 * when its source holds too much. */
enum rc sendq_reserve(struct sendq *q, struct blocks *blocks, size_t want, size_t step,
                      struct iovec *ret_v);
/* n of the reserved bytes were filled; 0 gives them back. */
void sendq_commit(struct sendq *q, struct blocks *blocks, size_t n);
/* What to hand to lwIP next, in one piece; false: nothing waits. */
bool sendq_next(struct sendq *q, struct iovec *ret_v);
void sendq_given(struct sendq *q, size_t n);
/* No segment with bytes before seq is left. */
void sendq_release(struct sendq *q, struct blocks *blocks, uint32_t seq);
void sendq_clear(struct sendq *q, struct blocks *blocks);

#endif
