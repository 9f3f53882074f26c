/* core/host/link.c - RTM_*LINK requests. */
#include "core/host/link.h"
#include "core/host/netlink.h"
#include <net/if.h>
#include <stdio.h>
#include <string.h>

struct found {
    struct link_info info;
    bool any;
};

static bool take_link(void *arg, const struct nlmsghdr *h)
{
    struct found *f = arg;
    const struct rtattr *at[IFLA_TXQLEN + 1];

    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return true;
    const struct ifinfomsg *body = netlink_body(h);
    netlink_attrs(h, sizeof(*body), at, IFLA_TXQLEN + 1);
    f->info = (struct link_info){.index = body->ifi_index, .up = (body->ifi_flags & IFF_UP) != 0};
    (void)netlink_attr_u32(at[IFLA_MTU], &f->info.mtu); /* stays 0 when not told */
    (void)netlink_attr_u32(at[IFLA_TXQLEN], &f->info.txqueuelen);
    if (at[IFLA_IFNAME]) {
        size_t n = RTA_PAYLOAD(at[IFLA_IFNAME]);
        if (n > sizeof(f->info.name) - 1)
            n = sizeof(f->info.name) - 1;
        memcpy(f->info.name, netlink_attr_data(at[IFLA_IFNAME]), n);
    }
    f->any = true;
    return false;
}

/* Without NLM_F_DUMP this asks for one link; the answer precedes the acknowledgement. */
static enum rc find(struct netlink *nl, struct netlink_msg *m, const char *what,
                    struct link_info *ret_i, struct diag *diag)
{
    struct found f = {.any = false};

    enum rc rc = netlink_get(nl, m, take_link, &f, diag, what);
    if (rc != RC_OK)
        return rc;
    if (!f.any)
        return diag_set(diag, RC_SYS, "%s: no answer", what);
    *ret_i = f.info;
    return RC_OK;
}

enum rc link_find(struct netlink *nl, const char *name, struct link_info *ret_i, struct diag *diag)
{
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC};
    struct netlink_msg m;
    char what[64];

    (void)snprintf(what, sizeof(what), "interface %s", name);
    netlink_begin(&m, RTM_GETLINK, 0, &body, sizeof(body));
    netlink_add(&m, IFLA_IFNAME, name, strlen(name) + 1);
    return find(nl, &m, what, ret_i, diag);
}

enum rc link_find_index(struct netlink *nl, int index, struct link_info *ret_i, struct diag *diag)
{
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct netlink_msg m;
    char what[64];

    (void)snprintf(what, sizeof(what), "interface number %d", index);
    netlink_begin(&m, RTM_GETLINK, 0, &body, sizeof(body));
    return find(nl, &m, what, ret_i, diag);
}

enum rc link_set_up(struct netlink *nl, int index, bool up, struct diag *diag)
{
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC,
                             .ifi_index = index,
                             .ifi_flags = up ? IFF_UP : 0,
                             .ifi_change = IFF_UP};
    struct netlink_msg m;

    netlink_begin(&m, RTM_NEWLINK, 0, &body, sizeof(body));
    return netlink_ask(nl, &m, diag, up ? "set the device up" : "set the device down");
}

static enum rc set_u32(struct netlink *nl, int index, uint16_t attr, uint32_t value,
                       const char *name, struct diag *diag)
{
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct netlink_msg m;
    char what[64];

    (void)snprintf(what, sizeof(what), "set %s %u", name, value);
    netlink_begin(&m, RTM_NEWLINK, 0, &body, sizeof(body));
    netlink_add_u32(&m, attr, value);
    return netlink_ask(nl, &m, diag, what);
}

enum rc link_set_mtu(struct netlink *nl, int index, uint32_t mtu, struct diag *diag)
{
    return set_u32(nl, index, IFLA_MTU, mtu, "MTU", diag);
}

enum rc link_set_txqueuelen(struct netlink *nl, int index, uint32_t packets, struct diag *diag)
{
    return set_u32(nl, index, IFLA_TXQLEN, packets, "txqueuelen", diag);
}

enum rc link_delete(struct netlink *nl, int index, struct diag *diag)
{
    struct ifinfomsg body = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    struct netlink_msg m;

    netlink_begin(&m, RTM_DELLINK, 0, &body, sizeof(body));
    return netlink_ask(nl, &m, diag, "delete the interface");
}
