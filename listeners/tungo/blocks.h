/* listeners/tungo/blocks.h - blocks of 68 KB for packets on their way up and bytes on their way
 * down: taken and given back all the time, so the last one given is the first one taken (it is in
 * the cache).
 *
 * Owner: the listener, one pool per device. What was not needed for a while goes back to the system
 * (the pool's own timer), so that memory follows the traffic. Blocks come straight from mmap: as
 * heap they would be stuck below whatever was allocated after them.
 */
#ifndef LISTENERS_TUNGO_BLOCKS_H
#define LISTENERS_TUNGO_BLOCKS_H

#include "core/loop.h"

enum { BLOCK_BYTES = 17 * 4096 };

struct block_free {
    struct block_free *next;
};

struct blocks {
    struct timer shrink;
    struct block_free *first;
    size_t n_free, n_idle; /* n_idle: the least that was free since the timer ran */
    size_t n_used, cap;
};

void blocks_init(struct blocks *b, struct loop *loop, size_t cap);
void blocks_done(struct blocks *b); /* every block must have come back */
void *blocks_get(struct blocks *b); /* NULL: no memory, or the cap is reached */
void blocks_put(struct blocks *b, void *block);

#endif
