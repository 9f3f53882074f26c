/* core/host/orphans.h - connections whose own address has left this machine: another uplink,
 * another lease, another IPv6 prefix. No packet reaches them any more, and the kernel tries for a
 * quarter of an hour before it says so; their applications could have connected anew long before.
 *
 * An address that was lost has ORPHANS_GRACE_MS to come back; then the TCP sockets of this process
 * that are bound to it fail with ECONNRESET. Loopback, sockets in other network namespaces and
 * kernels that can't tell those (before 5.14) are left alone. Owner: app/interfaces. From the
 * loop's thread; a look reads the addresses, and all descriptors only when one of them is gone.
 */
#ifndef CORE_HOST_ORPHANS_H
#define CORE_HOST_ORPHANS_H

#include <stddef.h>

struct loop;
struct orphans;

enum { ORPHANS_GRACE_MS = 20000 };

/* fn: so many were ended. NULL: no memory. */
struct orphans *orphans_new(struct loop *loop, void (*fn)(size_t n));
void orphans_changed(struct orphans *o); /* something about the network has changed; NULL is fine */
void orphans_free(struct orphans *o);
/* Now: ends those whose address is not there. Returns how many. */
size_t orphans_end(void);

#endif
