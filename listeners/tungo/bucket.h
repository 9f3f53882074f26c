/* listeners/tungo/bucket.h - tokens that come again with time: `burst` at most, `per_second` in the
 * long run.
 *
 * Pure; times are the caller's, who fills it first.
 */
#ifndef LISTENERS_TUNGO_BUCKET_H
#define LISTENERS_TUNGO_BUCKET_H

#include <stdint.h>

struct bucket {
    uint64_t refilled_ms;
    uint32_t tokens;
};

static inline void bucket_fill(struct bucket *b, uint32_t burst, uint32_t per_second,
                               uint64_t now_ms)
{
    uint64_t passed = now_ms - b->refilled_ms, fresh = passed * per_second / 1000;

    if (fresh > 0) {
        b->refilled_ms = now_ms;
        b->tokens = fresh < burst - b->tokens ? b->tokens + (uint32_t)fresh : burst;
    }
}

#endif
