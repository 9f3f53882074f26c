/* core/os_bind.c - what an interface list means for one destination. See os.h. */
#include "core/host/netns.h"
#include "core/host/uplink.h"
#include "core/os.h"
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

struct item {
    char text[128];
    bool strict;
};

/* What is asked, and the kernel's addresses. */
struct asked {
    const struct ifaddrs *all;
    const char *netns;
    const struct addr *to;
};

static bool has_ip(const struct ifaddrs *i)
{
    return i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
}

/* Up, with a carrier. */
static bool is_running(const struct ifaddrs *i)
{
    return (i->ifa_flags & IFF_UP) && (i->ifa_flags & IFF_RUNNING);
}

/* The device that owns a local address. */
static const struct ifaddrs *owner_of(const struct ifaddrs *all, const struct addr *ip)
{
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        if (!has_ip(i))
            continue;
        struct addr a = addr_from_sockaddr(i->ifa_addr);
        if (addr_same_ip(&a, ip))
            return i;
    }
    return NULL;
}

/* The next item of *list, which moves behind it. false: there is none. */
static bool next_item(const char **list, struct item *ret_i)
{
    const char *p = *list;

    do {
        if (!*p)
            return false;
        p += strspn(p, " ");
        size_t len = strcspn(p, ","), used = len;
        while (used && p[used - 1] == ' ')
            used--;
        ret_i->strict = used && p[used - 1] == '!';
        if (ret_i->strict)
            used--;
        snprintf(ret_i->text, sizeof ret_i->text, "%.*s", (int)used, p);
        p += len + (p[len] == ',');
    } while (!ret_i->text[0]);
    *list = p;
    return true;
}

static int expand_ip(const struct asked *q, const struct addr *ip, struct bind_choice *v,
                     bool *ret_running)
{
    if (q->to->family && ip->family != q->to->family)
        return 0;
    const struct ifaddrs *i = owner_of(q->all, ip);
    v[0] = (struct bind_choice){.local = *ip};
    if (i)
        snprintf(v[0].device, sizeof v[0].device, "%.15s", i->ifa_name);
    *ret_running = !i || is_running(i); /* 127.0.0.2 belongs to nobody and is of use */
    return 1;
}

/* Is this address of a device of use for the destination? */
static bool fits(const struct addr *a, const struct addr *to)
{
    if (!to->family)
        return true;
    return a->family == to->family &&
           (a->family != AF_INET6 || !addr_is_link_local(a) || addr_is_link_local(to));
}

static int expand_device(const struct asked *q, const char *name, struct bind_choice *v, int cap,
                         bool *ret_running)
{
    bool known = false;
    int n = 0;

    for (const struct ifaddrs *i = q->all; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, name) != 0)
            continue;
        known = true;
        *ret_running = is_running(i);
        if (!has_ip(i) || n == cap)
            continue;
        struct addr a = addr_from_sockaddr(i->ifa_addr);
        a.port = 0;
        if (!fits(&a, q->to))
            continue;
        /* which of a device's IPv6 addresses is the right one (not deprecated, not tentative, of
         * the destination's scope) the kernel knows better: RFC 6724 */
        bool by_kernel = a.family == AF_INET6 && addr_is_global(q->to);
        if (by_kernel && n > 0)
            continue;
        v[n] = (struct bind_choice){.local = by_kernel ? (struct addr){0} : a};
        snprintf(v[n++].device, sizeof v->device, "%.15s", name);
    }
    if (!known)
        return -1;
    if (!n && !q->to->family && cap) { /* no address yet: the device alone */
        v[0] = (struct bind_choice){.strict = false};
        snprintf(v[0].device, sizeof v[0].device, "%.15s", name);
        n = 1;
    }
    return n;
}

/* The choices of one item. Returns how many were added; -1: it names nothing that exists. */
static int expand(const struct asked *q, const struct item *item, struct bind_choice *v, int cap,
                  bool *ret_running)
{
    char device[16];
    struct addr ip;
    int n;

    if (strcmp(item->text, "auto") == 0) {
        bool any = !q->to->family;
        if (uplink_device(q->netns, any ? AF_INET : q->to->family, device) ||
            (any && uplink_device(q->netns, AF_INET6, device)))
            n = expand_device(q, device, v, cap, ret_running);
        else
            n = -1;
    } else if (addr_parse_ip(item->text, strlen(item->text), &ip)) {
        n = expand_ip(q, &ip, v, ret_running);
    } else {
        n = expand_device(q, item->text, v, cap, ret_running);
    }
    for (int i = 0; i < n; i++)
        v[i].strict = item->strict;
    return n;
}

static void note_missing(struct diag *why, const struct item *item, const struct addr *to)
{
    if (strcmp(item->text, "auto") == 0)
        diag_set(why, RC_UNREACH_NET, "interface auto: there is no default route%s",
                 to->family == AF_INET    ? " for IPv4"
                 : to->family == AF_INET6 ? " for IPv6"
                                          : "");
    else
        diag_set(why, RC_UNREACH_NET, "interface %s: no such network interface or address",
                 item->text);
}

/* One walk through the list: with running ones those whose link is up (and strict ones, whatever
 * their link), else the others. Returns the new count; *ret_end: what follows does not count. */
static int walk(const struct asked *q, const char *list, bool running, struct bind_choice *v, int n,
                int cap, struct diag *why, bool *ret_end)
{
    struct item item;

    while (!*ret_end && n < cap && next_item(&list, &item)) {
        bool up = false;
        int k = expand(q, &item, v + n, cap - n, &up);
        if (k < 0) {
            note_missing(why, &item, q->to);
            *ret_end = item.strict;
        } else if (item.strict ? running : up == running) {
            n += k;
            *ret_end = item.strict && k > 0;
        }
    }
    return n;
}

enum rc os_bind_choices(const struct sockopts *so, const struct addr *to, struct bind_choice *v,
                        int cap, int *ret_n, struct diag *diag)
{
    const char *list = so ? so->interface : NULL;
    struct netns_visit visit = {-1};
    struct ifaddrs *all;
    struct diag why = {.rc = RC_OK}; /* counts only when nothing else is there */
    bool end = false;

    *ret_n = 0;
    if (!list || !*list)
        return RC_OK;
    enum rc rc = netns_enter(so->netns, &visit, diag);
    if (rc != RC_OK)
        return RC_UNREACH_NET;
    int failed = getifaddrs(&all), err = errno;
    netns_leave(&visit);
    if (failed)
        return diag_errno(diag, err, "getifaddrs");
    struct asked q = {all, so->netns, to};
    /* a link that is down is a last resort */
    int n = walk(&q, list, true, v, 0, cap, &why, &end);
    n = walk(&q, list, false, v, n, cap, &why, &end);
    freeifaddrs(all);
    if (n == 0) {
        diag_set(&why, RC_UNREACH_NET, "interface %s: no address of the destination's family",
                 so->interface);
        return diag_set(diag, why.rc, "%s", why.text);
    }
    *ret_n = n;
    return RC_OK;
}
