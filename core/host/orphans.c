/* core/host/orphans.c - see orphans.h. */
#include "core/host/orphans.h"
#include "core/addr.h"
#include "core/list.h"
#include "core/loop.h"
#include <dirent.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct addresses {
    struct addr *v;
    size_t n;
};

struct orphans {
    struct timer grace;
    struct addresses before; /* of the last look */
    void (*fn)(size_t n);
};

/* --- addresses of this machine */

static bool has(const struct addresses *all, const struct addr *a)
{
    for (size_t i = 0; i < all->n; i++)
        if (addr_same_ip(&all->v[i], a))
            return true;
    return false;
}

/* false: not known now. */
static bool read_addresses(struct addresses *ret_a)
{
    struct ifaddrs *list;
    struct addresses a = {NULL, 0};
    size_t n = 0;

    if (getifaddrs(&list))
        return false;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        n++;
    a.v = calloc(n + 1, sizeof *a.v);
    for (const struct ifaddrs *i = list; i && a.v; i = i->ifa_next)
        if (i->ifa_addr &&
            (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
            a.v[a.n++] = addr_from_sockaddr(i->ifa_addr);
    freeifaddrs(list);
    if (!a.v)
        return false;
    *ret_a = a;
    return true;
}

static bool has_lost_one(const struct addresses *before, const struct addresses *now)
{
    for (size_t i = 0; i < before->n; i++)
        if (!has(now, &before->v[i]))
            return true;
    return false;
}

/* --- sockets of this process */

static bool is_loopback(const struct addr *a)
{
    return a->family == AF_INET ? a->ip[0] == 127 : IN6_IS_ADDR_LOOPBACK((const void *)a->ip);
}

static bool netns_of(int fd, uint64_t *ret_cookie)
{
    socklen_t len = sizeof *ret_cookie;

    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret_cookie, &len) == 0;
}

/* A TCP connection from an address that is not there? */
static bool is_orphan(int fd, const struct addresses *now, uint64_t home)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    int protocol = 0;
    socklen_t n = sizeof protocol;
    uint64_t ns;

    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) || protocol != IPPROTO_TCP)
        return false;
    if (getsockname(fd, (struct sockaddr *)&ss, &len) ||
        (ss.ss_family != AF_INET && ss.ss_family != AF_INET6))
        return false;
    struct addr a = addr_unmap(addr_from_sockaddr((struct sockaddr *)&ss));
    if (addr_is_wildcard(&a) || is_loopback(&a) || has(now, &a))
        return false;
    len = sizeof ss;
    if (getpeername(fd, (struct sockaddr *)&ss,
                    &len)) /* listens, is not connected yet, or was ended by us */
        return false;
    return netns_of(fd, &ns) && ns == home;
}

static size_t end_those(const struct addresses *now)
{
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    uint64_t home;
    bool known = probe >= 0 && netns_of(probe, &home);
    DIR *dir = known ? opendir("/proc/self/fd") : NULL;
    size_t ended = 0;

    if (probe >= 0)
        (void)close(probe);
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char *end;
        long fd = strtol(e->d_name, &end, 10);

        /* taken apart by the kernel: its owner reads ECONNRESET */
        if (end != e->d_name && fd != dirfd(dir) && is_orphan((int)fd, now, home))
            ended += connect((int)fd, &none, sizeof none) == 0;
    }
    if (dir)
        (void)closedir(dir);
    return ended;
}

size_t orphans_end(void)
{
    struct addresses now;
    size_t ended = 0;

    if (read_addresses(&now)) {
        ended = end_those(&now);
        free(now.v);
    }
    return ended;
}

/* --- changes */

static void on_grace_over(struct timer *timer)
{
    struct orphans *o = LIST_OWNER(timer, struct orphans, grace);
    struct addresses now;
    size_t ended = 0;

    if (!read_addresses(&now))
        return;
    if (has_lost_one(&o->before, &now))
        ended = end_those(&now);
    free(o->before.v);
    o->before = now;
    if (ended && o->fn)
        o->fn(ended);
}

struct orphans *orphans_new(struct loop *loop, void (*fn)(size_t n))
{
    struct orphans *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->fn = fn;
    timer_init(loop, &o->grace, on_grace_over);
    (void)read_addresses(&o->before);
    return o;
}

void orphans_changed(struct orphans *o)
{
    if (o && !timer_is_running(&o->grace))
        (void)timer_start(&o->grace, ORPHANS_GRACE_MS);
}

void orphans_free(struct orphans *o)
{
    if (!o)
        return;
    timer_stop(&o->grace);
    free(o->before.v);
    free(o);
}
