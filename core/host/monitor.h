/* core/host/monitor.h - hears from the kernel when an interface is set down or up, or loses
 * addresses or routes.
 *
 * Owner: embeds it; monitor_close() accepts a zeroed or closed one. fn runs from the loop. The
 * interface is taken to be up when the monitor is opened. Source: rtnetlink(7).
 */
#ifndef CORE_HOST_MONITOR_H
#define CORE_HOST_MONITOR_H

#include "core/loop.h"

struct monitor;
enum monitor_event {
    MONITOR_DOWN,
    MONITOR_UP,
    /* an address or a route of it was removed, by whomever, or events were missed: look what is
     * there. Also told of one that is down or about to go. */
    MONITOR_STRIPPED
};
typedef void monitor_fn(struct monitor *m, enum monitor_event event, void *arg);

struct monitor {
    struct hotfd hot; /* fd 0 or less: closed */
    struct job more;  /* events are left for the next turn */
    struct loop *loop;
    int index;
    bool up; /* as told last; the owner may know better after it has looked */
    monitor_fn *fn;
    void *arg;
};

/* In netns (name or path; NULL: ours). fn is told of changes only. */
enum rc monitor_open(struct monitor *m, struct loop *loop, const char *netns, int index,
                     monitor_fn *fn, void *arg, struct diag *diag);
/* The device was made anew, under another number, and is up. What happened before is not told. */
void monitor_follow(struct monitor *m, int index);
void monitor_close(struct monitor *m);

#endif
