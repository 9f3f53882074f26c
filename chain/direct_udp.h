/* chain/direct_udp.h - UDP that leaves this machine directly, to addresses and to names.
 *
 * A floor/udp flow whose names are resolved here (DGRAM_NAMES). A datagram to a name that is not
 * known yet waits for the answer: at most 8 names and 64 KiB per flow, the rest is dropped and
 * counted. Fixed: one target, already resolved; messages of others are dropped.
 */
#ifndef CHAIN_DIRECT_UDP_H
#define CHAIN_DIRECT_UDP_H

#include "core/dgram.h"
#include "core/os.h"

struct resolver;

struct direct_udp_cfg {
    struct loop *loop;
    const struct sockopts *so; /* copied as core/floor/udp.h says */
    struct resolver *resolver; /* referenced */
    bool v4_only, v6_only, prefer_ipv6;
    const struct target *fixed;    /* NULL: any destination. What replies come "from" */
    const struct addr *fixed_addr; /* where it really goes, with port */
};
/* NULL: no memory. */
struct dgram *direct_udp(const struct direct_udp_cfg *cfg);

#endif
