/* core/host/route.h - routes of the kernel, journalled.
 *
 * Errors as core/host/netlink.h.
 */
#ifndef CORE_HOST_ROUTE_H
#define CORE_HOST_ROUTE_H

#include "core/addr.h"
#include "core/rc.h"

struct journal;
struct netlink;

struct route {
    struct cidr dst;     /* host bits are ignored */
    struct addr gateway; /* family 0: on-link to the device */
    int index;           /* device; 0 with a gateway: the kernel finds it */
    uint32_t metric;     /* 0: the kernel's default */
    uint32_t table;      /* 0: main */
};

/* Adds or replaces. The journal (NULL: none) takes it away again; what stood at its place before is
 * the business of route_keep(). */
enum rc route_replace(struct netlink *nl, const struct route *r, struct journal *j,
                      struct diag *diag);
/* Adds it unless something stands at its place (same destination, table and metric): *ret_added. */
enum rc route_add_missing(struct netlink *nl, const struct route *r, bool *ret_added,
                          struct diag *diag);
/* Records what stands at the place of r (same destination, table and metric) so that the journal
 * puts it back. Nothing there: RC_OK, nothing recorded. */
enum rc route_keep(struct netlink *nl, const struct route *r, struct journal *j, struct diag *diag);
/* RC_OK also when it is not there any more. */
enum rc route_remove(struct netlink *nl, const struct route *r, struct diag *diag);

/* By which route a packet of ours to `to` would leave now, policy rules and all. index: of the
 * device that the socket is bound to, 0: none; mark: of the socket. ret_r->dst is `to` with
 * the prefix of the route. RC_UNREACH_NET and the like: there is none. Only asks. */
enum rc route_lookup(struct netlink *nl, const struct addr *to, int index, uint32_t mark,
                     struct route *ret_r, struct diag *diag);
/* The same for a packet that comes in by device `index` from `from`. As the kernel decides: without
 * forwarding there is no way (IPv6 does not look), and what rp_filter drops is nl->err EXDEV, or
 * EINVAL of newer kernels. ret_r->dst is `to` alone. */
enum rc route_lookup_in(struct netlink *nl, const struct addr *from, const struct addr *to,
                        int index, struct route *ret_r, struct diag *diag);

#endif
