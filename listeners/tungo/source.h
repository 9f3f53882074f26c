/* listeners/tungo/source.h - how much memory the flows of one client hold (an IPv4 address, or an
 * IPv6 network of 64 bits): bytes that came and were not consumed, bytes that were sent and not
 * acknowledged.
 *
 * No flow can hold more than its window, but a client can open thousands of flows, never read, and
 * never be read. Of a common budget each source may use as much as is still free, so one alone gets
 * half, two get a third each, and there is always something left for the next one. A flow that
 * holds next to nothing may go on until the budget is nearly used up: a client whose other flows
 * are stuck can still make new ones.
 *
 * Owner: the netstack. A source lives while it has flows or bytes. Every function accepts a NULL
 * source (nobody counts).
 */
#ifndef LISTENERS_TUNGO_SOURCE_H
#define LISTENERS_TUNGO_SOURCE_H

#include "core/list.h"
#include "listeners/tungo/flowtab.h"

struct pbuf;

struct sources {
    struct flowtab table; /* by client address alone */
    size_t held, cap;     /* bytes of all sources */
};

struct source {
    struct flowtab_entry entry;
    struct sources *all;
    size_t flows, held, n_parked;
    struct list by_use; /* its flows in the table (tungo_flow.of_source), see room.h */
    struct list parked; /* its parked SYNs (parked.of_source), the longest parked first */
};

bool sources_init(struct sources *all, size_t cap); /* false: no memory */
void sources_done(struct sources *all);             /* every source must be gone */

/* One flow more of this client. NULL: no memory. */
struct source *source_get(struct sources *all, const struct addr *client);
struct source *source_find(const struct sources *all, const struct addr *client); /* NULL: none */
void source_put(struct source *s);                                                /* one less */

/* May n bytes more be held? poor: for a flow that holds next to nothing. */
bool source_may(const struct source *s, size_t n, bool poor);
void source_hold(struct source *s, size_t n);
void source_release(struct source *s, size_t n);

/* A pbuf with n bytes of room in one piece, counted until it is freed. NULL: no memory. */
struct pbuf *source_pbuf(struct source *s, size_t n);

#endif
