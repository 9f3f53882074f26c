/* core/host/resolver.h - the device's DNS servers, told to systemd-resolved by `resolvectl`.
 *
 * Blocking (start and stop only; at most RESOLVER_WAIT_MS per call). A failure is not fatal to
 * anybody: the caller logs diag's text as a warning and goes on.
 */
#ifndef CORE_HOST_RESOLVER_H
#define CORE_HOST_RESOLVER_H

#include "core/addr.h"
#include "core/rc.h"
#include <stddef.h>

struct journal;

enum { RESOLVER_SERVERS_MAX = 16, RESOLVER_WAIT_MS = 5000 };

/* `resolvectl dns IF ip...`, undone by `resolvectl revert IF`. RC_UNSUPPORTED: no such program. */
enum rc resolver_set(const char *device, const struct addr *servers, size_t n, struct journal *j,
                     struct diag *diag);

#endif
