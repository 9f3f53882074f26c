/* core/host/monitor.c - see monitor.h. */
#include "core/host/monitor.h"
#include "core/host/netlink.h"
#include "core/host/netns.h"
#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_BYTES = 16384, READS_PER_TURN = 16 /* routers import whole tables at once */ };

/* false: fn closed the monitor. */
static bool tell(struct monitor *m, enum monitor_event event)
{
    m->fn(m, event, m->arg);
    return m->hot.fd > 0;
}

static bool look_at_link(struct monitor *m, const struct nlmsghdr *h)
{
    const struct ifinfomsg *body = netlink_body(h);

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*body)) || body->ifi_index != m->index)
        return true;
    bool up = (body->ifi_flags & IFF_UP) != 0;
    if (m->up == up)
        return true;
    m->up = up;
    return tell(m, up ? MONITOR_UP : MONITOR_DOWN);
}

static bool is_removed_address(const struct monitor *m, const struct nlmsghdr *h)
{
    const struct ifaddrmsg *body = netlink_body(h);

    return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*body)) && (int)body->ifa_index == m->index;
}

static bool is_removed_route(const struct monitor *m, const struct nlmsghdr *h)
{
    const struct rtattr *at[RTA_OIF + 1];
    uint32_t index;

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
        return false;
    netlink_attrs(h, sizeof(struct rtmsg), at, RTA_OIF + 1);
    return netlink_attr_u32(at[RTA_OIF], &index) && (int)index == m->index;
}

static bool look_at(struct monitor *m, const struct nlmsghdr *h)
{
    switch (h->nlmsg_type) {
    case RTM_NEWLINK:
        return look_at_link(m, h);
    case RTM_DELADDR:
        return !is_removed_address(m, h) || tell(m, MONITOR_STRIPPED);
    case RTM_DELROUTE:
        return !is_removed_route(m, h) || tell(m, MONITOR_STRIPPED);
    default:
        return true;
    }
}

static void listen_on(struct monitor *m)
{
    _Alignas(struct nlmsghdr) uint8_t buf[EVENTS_BYTES];

    for (int reads = 0; reads < READS_PER_TURN; reads++) {
        ssize_t n = recv(m->hot.fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOBUFS) { /* too many at once: any of them may have been about it */
            if (!tell(m, MONITOR_STRIPPED))
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
    job_post_later(m->loop, &m->more);
}

static void on_hot(struct hotfd *hot, unsigned ready)
{
    (void)ready;
    listen_on((struct monitor *)((char *)hot - offsetof(struct monitor, hot)));
}

static void on_more(struct job *job)
{
    listen_on((struct monitor *)((char *)job - offsetof(struct monitor, more)));
}

enum rc monitor_open(struct monitor *m, struct loop *loop, const char *netns, int index,
                     monitor_fn *fn, void *arg, struct diag *diag)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
                             .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                          RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    struct netns_visit visit = {-1};

    *m = (struct monitor){.index = index, .up = true, .fn = fn, .arg = arg, .loop = loop};
    job_init(&m->more, on_more);
    enum rc rc = netns_enter(netns, &visit, diag);
    if (rc != RC_OK)
        return rc;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int err = errno;
    netns_leave(&visit);
    if (fd < 0)
        return diag_errno(diag, err, "rtnetlink socket");
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        rc = diag_errno(diag, errno, "hear of changes of interfaces");
    } else {
        rc = hotfd_add(loop, &m->hot, fd, on_hot);
        if (rc != RC_OK)
            (void)diag_set(diag, rc, "wait for changes of interfaces");
    }
    if (rc != RC_OK) {
        close(fd);
        m->hot.fd = -1;
    }
    return rc;
}

void monitor_follow(struct monitor *m, int index)
{
    uint8_t told[64];

    /* what is in the socket is about the one before, or about how this one was made */
    while (m->hot.fd > 0 && (recv(m->hot.fd, told, sizeof(told), MSG_DONTWAIT) >= 0 ||
                             errno == EINTR || errno == ENOBUFS))
        ;
    m->index = index;
    m->up = true;
}

void monitor_close(struct monitor *m)
{
    int fd = m->hot.fd;

    if (fd <= 0)
        return;
    hotfd_remove(&m->hot);
    job_cancel(&m->more);
    close(fd);
    m->hot.fd = -1;
}
