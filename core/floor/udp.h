/* core/floor/udp.h - datagrams over a kernel UDP socket (unconnected: any peer; IPv4 and IPv6 by
 * address family).
 *
 * Not DGRAM_NAMES: the caller resolves. Replies of any peer are delivered (endpoint-independent
 * filtering).
 */
#ifndef CORE_FLOOR_UDP_H
#define CORE_FLOOR_UDP_H

#include "core/dgram.h"
#include "core/os.h"

/* Sockets are made on first use, one per family, bound and marked as `so` says (copied). NULL: no
 * memory. */
struct dgram *udp_dgram(struct loop *loop, const struct sockopts *so);
/* Over a bound socket; takes fd, also on failure. */
struct dgram *udp_dgram_fd(struct loop *loop, int fd);

#endif
