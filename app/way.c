/* app/way.c - see way.h. */
#include "app/way.h"
#include "core/host/link.h"
#include "core/host/route.h"
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHOICES_MAX = 16 };

static bool is_tun(const char *device)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/sys/class/net/%s/tun_flags", device);
    return access(path, F_OK) == 0;
}

enum rc way_find(struct netlink *nl, const struct sockopts *so, const struct addr *to,
                 struct way *ret_w, struct diag *diag)
{
    struct bind_choice v[CHOICES_MAX];
    struct way w = {.choices = 0};
    struct link_info link;
    struct route r;
    enum rc rc = os_bind_choices(so, to, v, CHOICES_MAX, &w.choices, diag);

    if (rc != RC_OK)
        return rc;
    if (w.choices > 0) {
        memcpy(w.bound, v[0].device, sizeof w.bound);
        w.local = v[0].local;
    }
    *ret_w = w;
    if (!nl || !to->family || (so->netns && *so->netns))
        return RC_OK;
    /* as os_socket_for(): what is not global is not bound to a device */
    bool bound = w.bound[0] && addr_is_global(to);
    rc = route_lookup(nl, to, bound ? (int)if_nametoindex(w.bound) : 0, so->mark, &r, diag);
    if (rc == RC_OK)
        rc = link_find_index(nl, r.index, &link, diag);
    if (rc != RC_OK)
        return rc;
    memcpy(w.device, link.name, sizeof w.device);
    w.gateway = r.gateway;
    w.bits = r.dst.bits;
    w.tun = is_tun(w.device);
    *ret_w = w;
    return RC_OK;
}

const char *way_format(const struct way *w, char *buf, size_t cap)
{
    char ip[ADDR_TEXT_MAX];

    (void)snprintf(buf, cap, "%s%s%s", w->device,
                   !w->device[0]       ? ""
                   : w->gateway.family ? " via "
                                       : ", on the link",
                   w->gateway.family ? addr_format_ip(&w->gateway, ip, sizeof ip) : "");
    return buf;
}
