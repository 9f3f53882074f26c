/* core/host/monitor.c - see monitor.h. */
#include "core/host/monitor.h"
#include "core/host/netlink.h"
#include "core/host/netns.h"
#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_BYTES = 16384 };

/* false: fn closed the monitor. */
static bool tell(struct monitor *m, bool up)
{
    if (m->up == up)
        return true;
    m->up = up;
    m->fn(m, up, m->arg);
    return m->hot.fd > 0;
}

static bool look_at(struct monitor *m, const struct nlmsghdr *h)
{
    const struct ifinfomsg *body = netlink_body(h);

    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) ||
        body->ifi_index != m->index)
        return true;
    return tell(m, (body->ifi_flags & IFF_UP) != 0);
}

static void on_hot(struct hotfd *hot, unsigned ready)
{
    struct monitor *m = (struct monitor *)((char *)hot - offsetof(struct monitor, hot));
    _Alignas(struct nlmsghdr) uint8_t buf[EVENTS_BYTES];

    (void)ready;
    for (;;) {
        ssize_t n = recv(m->hot.fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        /* too many events at once: it may have been down and up meanwhile */
        if (n < 0 && errno == ENOBUFS) {
            if (!tell(m, false) || !tell(m, true))
                return;
            continue;
        }
        if (n <= 0)
            return;
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            if (!look_at(m, h))
                return;
        }
    }
}

enum rc monitor_open(struct monitor *m, struct loop *loop, const char *netns, int index,
                     monitor_fn *fn, void *arg, struct diag *diag)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    struct netns_visit visit = {-1};

    *m = (struct monitor){.index = index, .up = true, .fn = fn, .arg = arg};
    enum rc rc = netns_enter(netns, &visit, diag);
    if (rc != RC_OK)
        return rc;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int err = errno;
    netns_leave(&visit);
    if (fd < 0)
        return diag_errno(diag, err, "rtnetlink socket");
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        rc = diag_errno(diag, errno, "hear of link changes");
    } else {
        rc = hotfd_add(loop, &m->hot, fd, on_hot);
        if (rc != RC_OK)
            (void)diag_set(diag, rc, "wait for link changes");
    }
    if (rc != RC_OK) {
        close(fd);
        m->hot.fd = -1;
    }
    return rc;
}

void monitor_follow(struct monitor *m, int index)
{
    m->index = index;
    m->up = true;
}

void monitor_close(struct monitor *m)
{
    int fd = m->hot.fd;

    if (fd <= 0)
        return;
    hotfd_remove(&m->hot);
    close(fd);
    m->hot.fd = -1;
}
