/* listeners/tungo/bucket.h - how many answers may go to those who send what nobody asked for.
 *
 * Starts zeroed, which is full at the first call. Pure; times are the caller's.
 */
#ifndef LISTENERS_TUNGO_BUCKET_H
#define LISTENERS_TUNGO_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t refilled_ms;
    uint32_t tokens;
};

/* One answer: `burst` at once, `per_second` in the long run. false: not now. */
static inline bool bucket_take(struct bucket *b, uint32_t burst, uint32_t per_second,
                               uint64_t now_ms)
{
    uint64_t passed = now_ms - b->refilled_ms;
    uint64_t fresh = passed < 1000 ? passed * per_second / 1000 : burst;

    if (fresh > 0) {
        b->refilled_ms = now_ms;
        b->tokens = b->tokens + fresh < burst ? b->tokens + (uint32_t)fresh : burst;
    }
    if (b->tokens == 0)
        return false;
    b->tokens--;
    return true;
}

#endif
