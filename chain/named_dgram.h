/* chain/named_dgram.h - datagrams to names that are resolved here, over a flow that goes anywhere:
 * a socket of ours, or what a chain carries.
 *
 * A datagram to a name that is not known yet waits for the answer: at most 8 names and 64 KiB per
 * flow, the rest is dropped and counted. Over a carrier that knows names itself only those are
 * resolved that the resolver claims (chain/resolver.h); the others travel as they are. Fixed: one
 * target, already resolved; messages of others are dropped.
 *
 * Owner: whoever made it; dgram_close() ends it (core/dgram.h).
 */
#ifndef CHAIN_NAMED_DGRAM_H
#define CHAIN_NAMED_DGRAM_H

#include "core/dgram.h"

struct resolver;

struct named_dgram_cfg {
    struct resolver *resolver; /* referenced */
    bool v4_only, v6_only, prefer_ipv6;
    const struct target *fixed;    /* NULL: any destination. What replies come "from" */
    const struct addr *fixed_addr; /* where it really goes, with port */
};
/* Takes below, which is open; NULL is fine. NULL: no memory (below is closed). */
struct dgram *named_dgram(struct dgram *below, const struct named_dgram_cfg *cfg);

#endif
