/* core/host/uplink.h - by which devices the default routes leave, IPv4 and IPv6 apart, and that
 * something about the network has changed.
 *
 * One watch per network namespace, made with the first question about it: a subscription to
 * rtnetlink on the loop; nothing is polled. The kernel can only be asked for a whole table: where
 * that costs more than 10 ms of processor (some 100,000 routes) it is asked again after ten times
 * as long, three seconds at most, and what it said last holds meanwhile. A TUN device is never an
 * uplink: it is ours, or a tunnel like us, and our own connections would come back through it. One
 * set per process; all calls from the loop's thread. Source: rtnetlink(7); routes of the main table
 * only.
 */
#ifndef CORE_HOST_UPLINK_H
#define CORE_HOST_UPLINK_H

#include "core/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* From now on questions make watches. Without it each question asks the kernel. */
void uplink_start(struct loop *loop);
void uplink_stop(void);
/* Runs from the loop after changes; fn NULL: nobody is told any more. */
void uplink_tell(void (*fn)(void *arg), void *arg);

/* Is this namespace (name or path; NULL or "": ours) watched from now on? */
bool uplink_watch(const char *netns);
/* Grows with every change of a link, an address or a default route in any watched namespace. */
uint32_t uplink_epoch(void);

/* The device of the default route with the lowest metric. false: there is none. */
bool uplink_device(const char *netns, int family, char ret_name[static 16]);

#endif
