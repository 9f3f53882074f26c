/* listeners/tungo/holes.h - the bytes below the highest reported one that the client has not
 * reported: sorted, disjoint, not empty.
 *
 * Owner: a recovery (recovery.h). Memory: allocated with the first hole, given back with the last
 * one, HOLES_MAX entries at most: what a client reports beyond that is not taken down, and heard
 * of again later. Costs: O(log n) to find, O(n) to insert. Pure but for the allocation.
 */
#ifndef LISTENERS_TUNGO_HOLES_H
#define LISTENERS_TUNGO_HOLES_H

#include <stdbool.h>
#include <stdint.h>

enum { HOLES_MAX = 1024 }; /* 32 KB a flow */

struct hole {
    uint32_t from, to;
    uint32_t mark;  /* tries > 0: the end of what had been sent when it was sent again */
    uint8_t tries;  /* how often it was sent again; stays at the highest value */
    bool lost;      /* it has to be sent again */
    uint64_t at_us; /* when it was sent again; tries == 0: when it was noticed */
};

struct holes {
    struct hole *v;
    unsigned n, cap;
    uint32_t bytes, lost_bytes; /* of all holes; of the lost ones */
};

/* What arrived when a range was cleared. */
struct holes_news {
    bool any;
    uint64_t late_us;   /* since when bytes were missed that came without a resend, 0: none did */
    uint64_t resent_us; /* the latest resend that has arrived, 0: none */
};

/* Behind all others. false: no room. */
bool holes_add(struct holes *h, uint32_t from, uint32_t to, uint64_t now_us);
/* [from, to) arrived; adds to *news. */
void holes_clear(struct holes *h, uint32_t from, uint32_t to, struct holes_news *news);
bool holes_have(const struct holes *h, uint32_t seq);
/* Hole i becomes two at `at`, which lies inside of it. false: no room. */
bool holes_split(struct holes *h, unsigned i, uint32_t at);
/* Which hole begins at seq; -1: none. */
int holes_find(const struct holes *h, uint32_t seq);
void holes_set_lost(struct holes *h, unsigned i, bool lost);
void holes_forget(struct holes *h); /* all; also the end of life */

#endif
