/* core/host/address.h - IP addresses of an interface, journalled.
 *
 * Errors as core/host/netlink.h; an address that is there already is RC_OK and not ours to undo.
 */
#ifndef CORE_HOST_ADDRESS_H
#define CORE_HOST_ADDRESS_H

#include "core/addr.h"
#include "core/rc.h"

struct journal;
struct netlink;

/* a.net is the address with its host bits ("192.168.123.1/24"), a.bits the prefix length. IPv6 is
 * added without duplicate address detection. j NULL: not journalled. */
enum rc address_add(struct netlink *nl, int index, const struct cidr *a, struct journal *j,
                    struct diag *diag);
/* RC_OK also when it is not there any more. */
enum rc address_remove(struct netlink *nl, int index, const struct cidr *a, struct diag *diag);

#endif
