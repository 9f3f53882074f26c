/* core/os.c - sockets as cgost wants them. See os.h. */
#include "core/os.h"
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void os_close(int fd)
{
    int keep = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = keep;
}

uint64_t os_raise_fd_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r))
        return 1024;
    if (r.rlim_cur < r.rlim_max) {
        struct rlimit more = {r.rlim_max, r.rlim_max};

        if (!setrlimit(RLIMIT_NOFILE, &more))
            r = more;
    }
    return r.rlim_cur;
}

/* ---------------------------------------------------------------- interface lists */

/* The device that owns a local address. */
static bool device_of(const struct ifaddrs *all, const struct addr *ip, char device[static 16])
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct addr a;

        if (!i->ifa_addr ||
            (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        a = addr_from_sockaddr(i->ifa_addr);
        if (addr_same_ip(&a, ip)) {
            snprintf(device, 16, "%s", i->ifa_name);
            return true;
        }
    }
    return false;
}

/* The device of the IPv4 default route with the lowest metric that is no TUN (those are us, or a
 * tunnel like us). */
static bool default_device(char device[static 16])
{
    FILE *f = fopen("/proc/net/route", "re");
    char line[256], name[17], path[64];
    unsigned best = UINT_MAX;
    bool found = false;

    if (!f)
        return false;
    while (fgets(line, sizeof line, f)) {
        unsigned dest, gw, flags, ref, use, metric, mask;

        if (sscanf(line, "%16s %x %x %x %u %u %u %x", name, &dest, &gw, &flags, &ref, &use, &metric,
                   &mask) != 8 ||
            dest || mask || metric >= best || strlen(name) >= 16)
            continue;
        snprintf(path, sizeof path, "/sys/class/net/%s/tun_flags", name);
        if (!access(path, F_OK))
            continue;
        best = metric;
        memcpy(device, name, strlen(name) + 1);
        found = true;
    }
    fclose(f);
    return found;
}

/* The choices of one item. Returns how many were added; -1 when the item names nothing that exists.
 */
static int expand_item(const struct ifaddrs *all, const char *item, bool strict,
                       const struct addr *to, struct bind_choice *v, int cap)
{
    struct addr ip;
    char device[16];
    int n = 0;
    bool known = false, any_family = !to->family;

    if (!strcmp(item, "auto")) {
        if (!default_device(device))
            return -1;
        item = device;
    }
    if (addr_parse_ip(item, strlen(item), &ip)) {
        if (!any_family && ip.family != to->family)
            return 0;
        v[0] = (struct bind_choice){.local = ip, .strict = strict};
        (void)device_of(all, &ip, v[0].device);
        return 1;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        struct addr a;

        if (strcmp(i->ifa_name, item) != 0)
            continue;
        known = true;
        if (!i->ifa_addr ||
            (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        a = addr_from_sockaddr(i->ifa_addr);
        a.port = 0;
        if ((!any_family && a.family != to->family) || n == cap ||
            (addr_is_link_local(&a) && a.family == AF_INET6 && to->family &&
             !addr_is_link_local(to)))
            continue;
        v[n] = (struct bind_choice){.local = a, .strict = strict};
        snprintf(v[n].device, sizeof v[n].device, "%.15s", item);
        n++;
    }
    if (!known)
        return -1;
    if (!n && any_family && cap) { /* no address yet: the device alone */
        v[0] = (struct bind_choice){.strict = strict};
        snprintf(v[0].device, sizeof v[0].device, "%.15s", item);
        n = 1;
    }
    return n;
}

enum rc os_bind_choices(const struct sockopts *so, const struct addr *to, struct bind_choice *v,
                        int cap, int *ret_n, struct diag *diag)
{
    const char *p = so ? so->interface : NULL;
    struct ifaddrs *all;
    struct diag why = {.rc = RC_OK}; /* counts only when nothing else is there */
    int n = 0;

    *ret_n = 0;
    if (!p || !*p)
        return RC_OK;
    if (getifaddrs(&all))
        return diag_errno(diag, errno, "getifaddrs");
    while (*p && n < cap) {
        char item[128];
        size_t len, used;
        bool strict;
        int k;

        p += strspn(p, " ");
        len = used = strcspn(p, ",");
        while (used && (p[used - 1] == ' '))
            used--;
        strict = used && p[used - 1] == '!';
        if (strict)
            used--;
        snprintf(item, sizeof item, "%.*s", (int)used, p);
        p += len + (p[len] == ',');
        if (!item[0])
            continue;
        k = expand_item(all, item, strict, to, v + n, cap - n);
        if (k < 0) {
            diag_set(&why, RC_SYS, "interface %s: no such network interface or address", item);
            if (strict)
                break;
            continue;
        }
        n += k;
    }
    freeifaddrs(all);
    if (!n) {
        diag_set(&why, RC_UNREACH_NET, "interface %s: no address of the destination's family",
                 so->interface);
        return diag_set(diag, why.rc, "%s", why.text);
    }
    *ret_n = n;
    return RC_OK;
}

/* ---------------------------------------------------------------- sockets */

static int enter_netns(const char *name, struct diag *diag, int *ret_back)
{
    char path[PATH_MAX];
    int back, ns;

    snprintf(path, sizeof path, *name == '/' ? "%s" : "/run/netns/%s", name);
    back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    ns = open(path, O_RDONLY | O_CLOEXEC);
    if (back < 0 || ns < 0 || setns(ns, CLONE_NEWNET)) {
        diag_errno(diag, errno, "netns %s", name);
        os_close(back);
        os_close(ns);
        return -1;
    }
    os_close(ns);
    *ret_back = back;
    return 0;
}

static int socket_in(const char *netns, int family, int type, struct diag *diag)
{
    int fd, back = -1;

    if (netns && *netns && enter_netns(netns, diag, &back))
        return -1;
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        diag_errno(diag, errno, "socket");
    if (back >= 0) {
        BUG_ON(setns(back, CLONE_NEWNET) != 0); /* we could enter, so we can go back */
        os_close(back);
    }
    return fd;
}

enum rc os_socket_for(int type, const struct addr *to, const struct sockopts *so,
                      const struct bind_choice *choice, int *ret_fd, struct diag *diag)
{
    int fd = socket_in(so ? so->netns : NULL, to->family ? to->family : AF_INET6, type, diag);
    enum rc rc;

    if (fd < 0)
        return errno ? rc_from_errno(errno) : RC_SYS;
    if (so && so->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &so->mark, sizeof so->mark)) {
        rc = diag_errno(diag, errno, "so_mark %u", so->mark);
        goto fail;
    }
    if (choice && choice->device[0] && addr_is_global(to) &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, choice->device,
                   (socklen_t)strlen(choice->device) + 1)) {
        rc = diag_errno(diag, errno, "bind to device %s", choice->device);
        goto fail;
    }
    if (choice && choice->local.family) {
        struct sockaddr_storage ss;
        socklen_t len = addr_to_sockaddr(&choice->local, false, &ss);
        int one = 1;

        if (type == SOCK_STREAM) /* the port is chosen at connect: more than 28,000 flows per source
                                    address */
            (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&ss, len)) {
            char text[ADDR_TEXT_MAX];

            rc = diag_errno(diag, errno, "bind %s",
                            addr_format_ip(&choice->local, text, sizeof text));
            goto fail;
        }
    }
    *ret_fd = fd;
    return RC_OK;
fail:
    os_close(fd);
    return rc;
}

enum rc os_connect(int fd, const struct addr *to, struct diag *diag)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, false, &ss);
    char text[ADDR_TEXT_MAX];

    if (!connect(fd, (struct sockaddr *)&ss, len) || errno == EINPROGRESS)
        return RC_OK;
    return diag_errno(diag, errno == EAGAIN ? EADDRNOTAVAIL : errno, "connect %s",
                      addr_format(to, text, sizeof text));
}

int os_socket_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

static enum rc bind_at(int type, const struct addr *at, bool dual, bool reuseport,
                       const struct sockopts *so, int *ret_fd, struct diag *diag)
{
    bool v6 = dual || at->family != AF_INET;
    struct sockaddr_storage ss;
    struct addr any = *at;
    char text[ADDR_TEXT_MAX];
    int one = 1, off = !dual, fd;
    socklen_t len;

    fd = socket_in(so ? so->netns : NULL, v6 ? AF_INET6 : AF_INET, type, diag);
    if (fd < 0 && v6 && dual && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        if (diag)
            diag->rc = RC_OK;
        v6 = false;
        fd = socket_in(so ? so->netns : NULL, AF_INET, type, diag);
    }
    if (fd < 0)
        return errno ? rc_from_errno(errno) : RC_SYS;
    if (any.family == 0 || (dual && addr_is_wildcard(at)))
        any = (struct addr){.family = v6 ? AF_INET6 : AF_INET, .port = at->port};
    if (v6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (reuseport)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (so && so->mark)
        (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &so->mark, sizeof so->mark);
    len = addr_to_sockaddr(&any, v6, &ss);
    if (bind(fd, (struct sockaddr *)&ss, len)) {
        enum rc rc = diag_errno(diag, errno, "bind %s", addr_format(at, text, sizeof text));

        os_close(fd);
        return rc;
    }
    *ret_fd = fd;
    return RC_OK;
}

enum rc os_listen_tcp(const struct addr *at, bool dual, bool reuseport, int backlog, int *ret_fd,
                      struct diag *diag)
{
    int fd;
    enum rc rc = bind_at(SOCK_STREAM, at, dual, reuseport, NULL, &fd, diag);

    if (rc != RC_OK)
        return rc;
    if (listen(fd, backlog)) {
        char text[ADDR_TEXT_MAX];

        rc = diag_errno(diag, errno, "listen %s", addr_format(at, text, sizeof text));
        os_close(fd);
        return rc;
    }
    *ret_fd = fd;
    return RC_OK;
}

enum rc os_bind_udp(const struct addr *at, bool dual, const struct sockopts *so, int *ret_fd,
                    struct diag *diag)
{
    return bind_at(SOCK_DGRAM, at, dual, false, so, ret_fd, diag);
}

enum rc os_local_addr(int fd, struct addr *ret_a)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len))
        return rc_from_errno(errno);
    *ret_a = addr_from_sockaddr((struct sockaddr *)&ss);
    return RC_OK;
}

enum rc os_peer_addr(int fd, struct addr *ret_a)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getpeername(fd, (struct sockaddr *)&ss, &len))
        return rc_from_errno(errno);
    *ret_a = addr_from_sockaddr((struct sockaddr *)&ss);
    return RC_OK;
}

void os_keepalive(int fd, int idle_s, int interval_s, int count)
{
    int one = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}
