/* core/host/uplink.c - see uplink.h. */
#include "core/host/uplink.h"
#include "core/host/netlink.h"
#include "core/host/netns.h"
#include "core/list.h"
#include "core/loop.h"
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_BYTES = 16384,
    READS_PER_TURN = 16, /* routers import whole tables at once */
    ROUTES_MAX = 16,     /* default routes of one family that are looked at */
    LINKINFO_KIND = 1,
    /* a question that takes so much of the processor is not asked all the time */
    COSTLY_US = 10000,
    PAUSE_FACTOR = 10,
    PAUSE_MOST_MS = 3000
};

/* A default route's device. */
struct way {
    int index;
    uint32_t metric;
    bool dead; /* its link has no carrier: only when there is no other */
};

struct uplink {
    struct uplink *next;
    struct hotfd hot;
    struct job more;    /* events are left for the next turn */
    char *netns;        /* "": ours */
    bool fresh;         /* name[] is what holds now */
    struct timer pause; /* the last question was costly: not asked again meanwhile */
    char name[2][16];
};

/* The process's network, seen from one thread. */
static struct {
    struct loop *loop; /* NULL: not started */
    struct uplink *list;
    uint32_t epoch;
    struct job job;
    void (*fn)(void *arg);
    void *arg;
} net = {.epoch = 1};

/* --- the kernel's word */

struct ways {
    int family;
    struct way v[ROUTES_MAX];
    size_t n;
};

static void add_way(struct ways *w, struct way one)
{
    size_t i = w->n;

    while (i > 0 && (one.dead < w->v[i - 1].dead ||
                     (one.dead == w->v[i - 1].dead && one.metric < w->v[i - 1].metric)))
        i--;
    if (i == ROUTES_MAX)
        return;
    if (w->n < ROUTES_MAX)
        w->n++;
    memmove(w->v + i + 1, w->v + i, (w->n - 1 - i) * sizeof(w->v[0]));
    w->v[i] = one;
}

static void add_multipath(struct ways *w, const struct rtattr *a, uint32_t metric)
{
    const uint8_t *at = netlink_attr_data(a);
    size_t left = RTA_PAYLOAD(a);
    struct rtnexthop hop;

    while (left >= sizeof(hop)) {
        memcpy(&hop, at, sizeof(hop));
        size_t len = RTNH_ALIGN(hop.rtnh_len);
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
            return;
        if (!(hop.rtnh_flags & RTNH_F_DEAD))
            add_way(
                w, (struct way){hop.rtnh_ifindex, metric, (hop.rtnh_flags & RTNH_F_LINKDOWN) != 0});
        if (len >= left)
            return;
        at += len;
        left -= len;
    }
}

static bool is_default(const struct rtmsg *r)
{
    return r->rtm_dst_len == 0 && r->rtm_table == RT_TABLE_MAIN && r->rtm_type == RTN_UNICAST &&
           !(r->rtm_flags & RTM_F_CLONED);
}

static bool take_route(void *arg, const struct nlmsghdr *h)
{
    struct ways *w = arg;
    const struct rtattr *at[RTA_MULTIPATH + 1];
    uint32_t index, metric = 0;

    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
        return true;
    const struct rtmsg *r = netlink_body(h);
    if (r->rtm_family != w->family || !is_default(r) || (r->rtm_flags & RTNH_F_DEAD))
        return true;
    netlink_attrs(h, sizeof(*r), at, RTA_MULTIPATH + 1);
    (void)netlink_attr_u32(at[RTA_PRIORITY], &metric); /* stays 0 where it is not said */
    if (at[RTA_MULTIPATH])
        add_multipath(w, at[RTA_MULTIPATH], metric);
    else if (netlink_attr_u32(at[RTA_OIF], &index))
        add_way(w, (struct way){(int)index, metric, (r->rtm_flags & RTNH_F_LINKDOWN) != 0});
    return true;
}

struct seen_link {
    char name[16];
    bool usable;
};

/* "tun" covers TAP devices as well: those have an Ethernet type and may be a real network. */
static bool is_tun(const struct ifinfomsg *body, const struct rtattr *info)
{
    if (!info || body->ifi_type == ARPHRD_ETHER)
        return false;
    const uint8_t *p = netlink_attr_data(info);
    size_t left = RTA_PAYLOAD(info);
    while (left >= sizeof(struct rtattr)) {
        struct rtattr a;
        memcpy(&a, p, sizeof(a));
        if (a.rta_len < sizeof(a) || a.rta_len > left)
            return false;
        if (a.rta_type == LINKINFO_KIND)
            return a.rta_len >= sizeof(a) + 4 && memcmp(p + sizeof(a), "tun", 4) == 0;
        size_t len = RTA_ALIGN(a.rta_len);
        if (len >= left)
            return false;
        p += len;
        left -= len;
    }
    return false;
}

static bool take_link(void *arg, const struct nlmsghdr *h)
{
    struct seen_link *l = arg;
    const struct rtattr *at[IFLA_LINKINFO + 1];

    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return true;
    const struct ifinfomsg *body = netlink_body(h);
    netlink_attrs(h, sizeof(*body), at, IFLA_LINKINFO + 1);
    if (!at[IFLA_IFNAME] || !(body->ifi_flags & IFF_UP) || is_tun(body, at[IFLA_LINKINFO]))
        return false;
    size_t n = RTA_PAYLOAD(at[IFLA_IFNAME]);
    memcpy(l->name, netlink_attr_data(at[IFLA_IFNAME]), n < 15 ? n : 15);
    l->usable = true;
    return false;
}

static void find_device(struct netlink *nl, int family, char name[static 16])
{
    struct ways w = {.family = family};
    struct rtmsg body = {.rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN};
    struct netlink_msg m;

    name[0] = 0;
    netlink_begin(&m, RTM_GETROUTE, 0, &body, sizeof(body));
    if (netlink_dump(nl, &m, take_route, &w, NULL, "routes") != RC_OK)
        return;
    for (size_t i = 0; i < w.n; i++) {
        struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = w.v[i].index};
        struct seen_link l = {.usable = false};
        netlink_begin(&m, RTM_GETLINK, 0, &link, sizeof(link));
        if (netlink_get(nl, &m, take_link, &l, NULL, "link") == RC_OK && l.usable) {
            memcpy(name, l.name, sizeof(l.name));
            return;
        }
    }
}

static void find_devices(const char *netns, char name[2][16])
{
    struct netlink nl;

    name[0][0] = name[1][0] = 0;
    if (netlink_open(&nl, netns, NULL) != RC_OK)
        return;
    find_device(&nl, AF_INET, name[0]);
    find_device(&nl, AF_INET6, name[1]);
    netlink_done(&nl);
}

/* --- changes */

static void on_changed(struct job *job)
{
    (void)job;
    if (net.fn)
        net.fn(net.arg);
}

static void changed(struct uplink *u)
{
    u->fresh = false;
    net.epoch++;
    job_post(net.loop, &net.job);
}

/* What changed meanwhile was not looked at: who was told the old name asks again. */
static void on_pause_over(struct timer *timer)
{
    struct uplink *u = LIST_OWNER(timer, struct uplink, pause);

    if (!u->fresh)
        changed(u);
}

static uint64_t processor_us(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void look(struct uplink *u)
{
    uint64_t from_us = processor_us(), took_us;

    find_devices(u->netns, u->name);
    u->fresh = true;
    took_us = processor_us() - from_us;
    if (took_us < COSTLY_US)
        return;
    took_us *= PAUSE_FACTOR;
    /* without memory for the timer it is asked as before */
    (void)timer_start(&u->pause, took_us / 1000 < PAUSE_MOST_MS ? took_us / 1000 : PAUSE_MOST_MS);
}

/* Tables with many routes change all the time; only default ones matter. */
static bool matters(const struct nlmsghdr *h)
{
    if (h->nlmsg_type != RTM_NEWROUTE && h->nlmsg_type != RTM_DELROUTE)
        return true;
    return h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) && is_default(netlink_body(h));
}

static void listen_on(struct uplink *u)
{
    _Alignas(struct nlmsghdr) uint8_t buf[EVENTS_BYTES];
    bool any = false;
    int reads = 0;

    for (; reads < READS_PER_TURN; reads++) {
        ssize_t n = recv(u->hot.fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == ENOBUFS) { /* more than fitted: look again */
            any = true;
            continue;
        }
        if (n <= 0)
            break;
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buf; !any && NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left))
            any = matters(h);
    }
    if (any)
        changed(u);
    if (reads == READS_PER_TURN)
        job_post_later(net.loop, &u->more);
}

static void on_hot(struct hotfd *hot, unsigned ready)
{
    (void)ready;
    listen_on((struct uplink *)((char *)hot - offsetof(struct uplink, hot)));
}

static void on_more(struct job *job)
{
    listen_on((struct uplink *)((char *)job - offsetof(struct uplink, more)));
}

static int subscribe(const char *netns)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
                             .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                          RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    struct netns_visit visit = {-1};

    if (netns_enter(netns, &visit, NULL) != RC_OK)
        return -1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    netns_leave(&visit);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static struct uplink *find(const char *netns)
{
    const char *name = netns ? netns : "";

    for (struct uplink *u = net.list; u; u = u->next) {
        if (strcmp(u->netns, name) == 0)
            return u;
    }
    return NULL;
}

/* NULL: not started, no such namespace, no memory. */
static struct uplink *watch_of(const char *netns)
{
    struct uplink *u = find(netns);

    if (u || !net.loop)
        return u;
    u = calloc(1, sizeof(*u));
    char *name = strdup(netns ? netns : "");
    int fd = u && name ? subscribe(name) : -1;
    if (fd < 0 || hotfd_add(net.loop, &u->hot, fd, on_hot) != RC_OK) {
        if (fd >= 0)
            close(fd);
        free(name);
        free(u);
        return NULL;
    }
    u->netns = name;
    job_init(&u->more, on_more);
    timer_init(net.loop, &u->pause, on_pause_over);
    u->next = net.list;
    net.list = u;
    return u;
}

/* --- the callers' side */

void uplink_start(struct loop *loop)
{
    net.loop = loop;
    job_init(&net.job, on_changed);
}

void uplink_stop(void)
{
    if (!net.loop)
        return;
    job_cancel(&net.job);
    while (net.list) {
        struct uplink *u = net.list;
        int fd = u->hot.fd;
        net.list = u->next;
        hotfd_remove(&u->hot);
        job_cancel(&u->more);
        timer_stop(&u->pause);
        close(fd);
        free(u->netns);
        free(u);
    }
    net.loop = NULL;
    net.fn = NULL;
    net.epoch++;
}

void uplink_tell(void (*fn)(void *arg), void *arg)
{
    net.fn = fn;
    net.arg = arg;
}

bool uplink_watch(const char *netns)
{
    return watch_of(netns) != NULL;
}

uint32_t uplink_epoch(void)
{
    return net.epoch;
}

bool uplink_device(const char *netns, int family, char ret_name[static 16])
{
    struct uplink *u = watch_of(netns);
    char now[2][16];
    int f = family == AF_INET6;

    if (!u) {
        find_devices(netns, now);
    } else if (!u->fresh && !timer_is_running(&u->pause)) {
        look(u);
    }
    memcpy(ret_name, u ? u->name[f] : now[f], 16);
    return ret_name[0] != 0;
}
