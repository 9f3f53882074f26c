/* core/host/setup.h - one TUN device made ready in the order GOST has: device, addresses, up,
 * routes, DNS; and all of it taken back.
 *
 * Plain structs in, a struct device and warnings out, so that it can stand behind a socketpair.
 * Owner: the tungo service. Blocking, a few milliseconds; for start, stop and the device's return.
 */
#ifndef CORE_HOST_SETUP_H
#define CORE_HOST_SETUP_H

#include "core/addr.h"
#include "core/host/device.h"
#include "core/host/journal.h"
#include "core/host/netlink.h"
#include "core/rc.h"

/* Arrays and strings are borrowed. */
struct setup_route {
    struct cidr dst;
    struct addr gateway; /* family 0: on-link */
};
struct setup_cfg {
    struct device_cfg device;
    const struct cidr *addresses; /* with host bits */
    size_t address_count;
    const struct setup_route *routes;
    size_t route_count;
    const struct addr *dns;
    size_t dns_count;
    bool guard; /* while the device is lost nothing of its routes leaves by another way */
};

/* The guard is a second device that nobody reads and whose queue holds nothing: behind each route
 * of the first stands the same one to it, with the next metric. Unlike a reject route it does not
 * catch sockets bound to another device, and it goes with the process, however that ends. */
struct setup {
    struct device device, guard;
    struct netlink nl;
    struct journal own; /* addresses, routes, DNS of this device */
    struct journal
        around; /* what has to outlive it: the guard's routes, those that ours replaced */
};

typedef void setup_warn_fn(void *arg, const char *text);

/* On failure everything is taken back and ret_s is untouched. warn (NULL: none) gets what is not
 * fatal, ready for the log. */
enum rc setup_open(const struct setup_cfg *cfg, struct setup *ret_s, setup_warn_fn *warn, void *arg,
                   struct diag *diag);
/* The device was lost: makes it again with all that belongs to it. On failure s stays as it is,
 * without a device and with its guard; try again later. */
enum rc setup_reopen(struct setup *s, const struct setup_cfg *cfg, setup_warn_fn *warn, void *arg,
                     struct diag *diag);
/* The interface was set down and up again: addresses and routes that went are put back. */
enum rc setup_restore(struct setup *s, const struct setup_cfg *cfg, struct diag *diag);
/* Somebody may have removed addresses or routes of it while it is up: those that are missing are
 * put back; *ret_any: there were some. What stands at the place of one of ours is left alone. */
enum rc setup_mend(struct setup *s, const struct setup_cfg *cfg, bool *ret_any, struct diag *diag);
/* Undoes both journals, closes the device. Accepts a zeroed or closed one. */
void setup_close(struct setup *s, setup_warn_fn *warn, void *arg);

#endif
