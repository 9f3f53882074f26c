/* core/host/netns.h - do one thing in another network namespace and come back.
 *
 * A descriptor belongs to the namespace it was made in, so a device or a socket is opened between
 * enter and leave and used from anywhere. Threads: setns() moves only the calling thread; nothing
 * else may run on it in between. Names are those of `ip netns` (files below /run/netns) or paths.
 */
#ifndef CORE_HOST_NETNS_H
#define CORE_HOST_NETNS_H

#include "core/rc.h"

/* Where to come back to; home < 0: never left. */
struct netns_visit {
    int home;
};

/* name NULL or "": stays where it is, RC_OK. Each successful enter needs its leave. */
enum rc netns_enter(const char *name, struct netns_visit *ret_v, struct diag *diag);
/* Fine after a failed enter when v was { -1 }. Not coming back would be the wrong namespace for
 * everything that follows: that ends the process. */
void netns_leave(struct netns_visit *v);

#endif
