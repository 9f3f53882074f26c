/* handlers/hush.h - how many lines the log may get about clients that fail: thousands a second from
 * one that means harm fill a disk in a night, and hide what the operator looks for.
 *
 * A budget for each source (an IPv4 address, an IPv6 /64; sources that fall together share one) and
 * one for all. Those that never said where they want to go, or may not, have less than those whose
 * target failed. A line that is not written is counted; the next of the same budget tells how many.
 * Pure: time is the caller's. One thread.
 */
#ifndef HANDLERS_HUSH_H
#define HANDLERS_HUSH_H

#include "core/addr.h"
#include <stdbool.h>
#include <stdint.h>

enum hush_kind {
    HUSH_STRANGER, /* no request of it was understood, or none is granted */
    HUSH_TARGET,   /* its target failed */
    HUSH_KINDS
};

enum {
    HUSH_STRANGER_BURST = 100,
    HUSH_STRANGER_PER_S = 2,
    HUSH_TARGET_BURST = 1000,
    HUSH_TARGET_PER_S = 10,
    HUSH_ALL_FACTOR = 10 /* all sources together may so much more */
};

/* May a line be written? *ret_unsaid: so many of this budget were not since the last one. */
bool hush_allows(enum hush_kind kind, const struct addr *client, uint64_t now_ms,
                 uint64_t *ret_unsaid);
void hush_forget(void); /* full budgets again: for tests */

#endif
