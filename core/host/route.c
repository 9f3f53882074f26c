/* core/host/route.c - RTM_*ROUTE requests. */
#include "core/host/route.h"
#include "core/host/journal.h"
#include "core/host/netlink.h"
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { LOOPBACK_INDEX = 1, METRIC6_DEFAULT = 1024 };

static void describe(char *buf, size_t cap, const char *verb, const struct route *r)
{
    char ip[ADDR_TEXT_MAX], gw[ADDR_TEXT_MAX];
    bool has_gw = r->gateway.family != 0;

    (void)snprintf(buf, cap, "%sroute %s/%u%s%s", verb, addr_format_ip(&r->dst.net, ip, sizeof(ip)),
                   r->dst.bits, has_gw ? " via " : "",
                   has_gw ? addr_format_ip(&r->gateway, gw, sizeof(gw)) : "");
}

static struct addr masked(const struct cidr *c)
{
    struct addr a = c->net;
    size_t n = addr_ip_bytes(&a);

    for (size_t i = 0; i < n; i++) {
        size_t kept = c->bits > i * 8 ? c->bits - i * 8 : 0;
        if (kept < 8)
            a.ip[i] = (uint8_t)(a.ip[i] & (0xff00u >> kept));
    }
    return a;
}

static void build(struct netlink_msg *m, uint16_t type, uint16_t flags, const struct route *r)
{
    struct addr dst = masked(&r->dst);
    size_t n = addr_ip_bytes(&dst);
    bool gw = r->gateway.family != 0;
    uint32_t table = r->table ? r->table : RT_TABLE_MAIN;
    uint32_t index = (uint32_t)r->index;
    struct rtmsg body = {.rtm_family = dst.family,
                         .rtm_dst_len = r->dst.bits,
                         .rtm_table = (uint8_t)(table < 256 ? table : RT_TABLE_UNSPEC),
                         .rtm_type = RTN_UNICAST,
                         .rtm_scope = RT_SCOPE_NOWHERE};

    if (type == RTM_NEWROUTE) {
        body.rtm_protocol = RTPROT_STATIC;
        body.rtm_scope = gw || dst.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    }
    netlink_begin(m, type, flags, &body, sizeof(body));
    netlink_add(m, RTA_DST, dst.ip, n);
    netlink_add_u32(m, RTA_TABLE, table);
    if (gw)
        netlink_add(m, RTA_GATEWAY, r->gateway.ip, addr_ip_bytes(&r->gateway));
    if (index)
        netlink_add_u32(m, RTA_OIF, index);
    if (r->metric)
        netlink_add_u32(m, RTA_PRIORITY, r->metric);
}

/* --- undo: our own route goes */

static enum rc undo_remove(struct netlink *nl, const void *data, size_t n, struct diag *diag)
{
    if (!nl || n != sizeof(struct route))
        return RC_INVALID;
    return route_remove(nl, data, diag);
}

static const struct journal_kind journal_route = {"route", undo_remove};

enum rc route_replace(struct netlink *nl, const struct route *r, struct journal *j,
                      struct diag *diag)
{
    struct netlink_msg m;
    char what[160];

    describe(what, sizeof(what), "add ", r);
    if (r->gateway.family != 0 && r->gateway.family != r->dst.net.family)
        return diag_set(diag, RC_INVALID, "%s: the gateway is of the other address family", what);
    build(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r);
    enum rc rc = netlink_ask(nl, &m, diag, what);
    if (rc != RC_OK || !j)
        return rc;
    describe(what, sizeof(what), "", r);
    rc = journal_add(j, &journal_route, r, sizeof(*r), what);
    if (rc != RC_OK) {
        (void)route_remove(nl, r, NULL); /* what can't be recorded must not stay */
        return diag_set(diag, rc, "journal of %s", what);
    }
    return RC_OK;
}

enum rc route_add_missing(struct netlink *nl, const struct route *r, bool *ret_added,
                          struct diag *diag)
{
    struct netlink_msg m;
    struct diag why = {0};
    char what[160];

    describe(what, sizeof(what), "add ", r);
    build(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r);
    *ret_added = netlink_ask(nl, &m, &why, what) == RC_OK;
    return *ret_added || nl->err == EEXIST ? RC_OK : diag_set(diag, why.rc, "%s", why.text);
}

enum rc route_remove(struct netlink *nl, const struct route *r, struct diag *diag)
{
    struct netlink_msg m;
    struct diag why = {0};
    char what[160];

    describe(what, sizeof(what), "remove ", r);
    build(&m, RTM_DELROUTE, 0, r);
    if (netlink_ask(nl, &m, &why, what) == RC_OK || nl->err == ESRCH || nl->err == ENODEV)
        return RC_OK;
    return diag_set(diag, why.rc, "%s", why.text);
}

/* --- undo: what stood there before comes back. The record is the kernel's own message. */

static enum rc undo_restore(struct netlink *nl, const void *data, size_t n, struct diag *diag)
{
    struct netlink_msg m;
    struct rtmsg body;
    struct diag why = {0};

    if (!nl || n < sizeof(body))
        return RC_INVALID;
    memcpy(&body, data, sizeof(body));
    body.rtm_flags = 0; /* LINKDOWN, OFFLOAD and the like are the kernel's answers, not requests */
    netlink_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
    const uint8_t *at = (const uint8_t *)data + NLMSG_ALIGN(sizeof(body));
    const uint8_t *end = (const uint8_t *)data + n;
    while ((size_t)(end - at) >= sizeof(struct rtattr)) {
        struct rtattr a;
        memcpy(&a, at, sizeof(a));
        if (a.rta_len < sizeof(a) || a.rta_len > (size_t)(end - at))
            break;
        if (a.rta_type != RTA_CACHEINFO)
            netlink_add(&m, a.rta_type, at + RTA_LENGTH(0), RTA_PAYLOAD(&a));
        if (RTA_ALIGN(a.rta_len) > (size_t)(end - at))
            break;
        at += RTA_ALIGN(a.rta_len);
    }
    /* its device may be gone by now */
    if (netlink_ask(nl, &m, &why, "put the former route back") == RC_OK || nl->err == ENODEV)
        return RC_OK;
    return diag_set(diag, why.rc, "%s", why.text);
}

static const struct journal_kind journal_former = {"former-route", undo_restore};

struct place {
    const struct route *r;
    struct addr dst;
    size_t n; /* 0: nothing found */
    _Alignas(max_align_t) uint8_t msg[JOURNAL_DATA_MAX];
};

static bool take_same_place(void *arg, const struct nlmsghdr *h)
{
    struct place *p = arg;
    const struct rtattr *at[RTA_TABLE + 1];
    uint32_t metric = 0, table = 0;

    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
        return true;
    const struct rtmsg *body = netlink_body(h);
    netlink_attrs(h, sizeof(*body), at, RTA_TABLE + 1);
    if (!netlink_attr_u32(at[RTA_TABLE], &table))
        table = body->rtm_table;
    (void)netlink_attr_u32(at[RTA_PRIORITY], &metric); /* absent is 0 */
    size_t n = addr_ip_bytes(&p->dst);
    uint32_t wanted = p->r->metric;
    if (wanted == 0 && p->dst.family == AF_INET6)
        wanted = METRIC6_DEFAULT;
    if (body->rtm_family != p->dst.family || body->rtm_dst_len != p->r->dst.bits ||
        body->rtm_tos != 0 || (body->rtm_flags & RTM_F_CLONED) || metric != wanted ||
        table != (p->r->table ? p->r->table : RT_TABLE_MAIN))
        return true;
    if (body->rtm_dst_len > 0 && (!at[RTA_DST] || RTA_PAYLOAD(at[RTA_DST]) != n ||
                                  memcmp(netlink_attr_data(at[RTA_DST]), p->dst.ip, n) != 0))
        return true;
    size_t len = h->nlmsg_len - NLMSG_HDRLEN;
    if (len > sizeof(p->msg)) /* dozens of next hops; not ours to copy half */
        return true;
    memcpy(p->msg, body, len);
    p->n = len;
    return false;
}

enum rc route_keep(struct netlink *nl, const struct route *r, struct journal *j, struct diag *diag)
{
    struct place p = {.r = r, .dst = masked(&r->dst)};
    struct rtmsg body = {.rtm_family = p.dst.family};
    struct netlink_msg m;
    char what[160];

    netlink_begin(&m, RTM_GETROUTE, 0, &body, sizeof(body));
    enum rc rc = netlink_dump(nl, &m, take_same_place, &p, diag, "list the routes");
    if (rc != RC_OK || p.n == 0)
        return rc;
    describe(what, sizeof(what), "former ", r);
    rc = journal_add(j, &journal_former, p.msg, p.n, what);
    return rc == RC_OK ? rc : diag_set(diag, rc, "journal of %s", what);
}

/* --- the way of one packet */

static uint32_t nexthop_index(const struct rtattr *multipath)
{
    if (!multipath || RTA_PAYLOAD(multipath) < sizeof(struct rtnexthop))
        return 0;
    struct rtnexthop hop;
    memcpy(&hop, netlink_attr_data(multipath), sizeof(hop));
    return (uint32_t)hop.rtnh_ifindex;
}

static struct addr gateway_of(const struct rtattr *gw, uint8_t family)
{
    if (gw && family == AF_INET && RTA_PAYLOAD(gw) >= 4)
        return addr_v4(netlink_attr_data(gw), 0);
    if (gw && family == AF_INET6 && RTA_PAYLOAD(gw) >= 16)
        return addr_v6(netlink_attr_data(gw), 0);
    return (struct addr){.family = 0};
}

static bool take_way(void *arg, const struct nlmsghdr *h)
{
    struct route *r = arg;
    const struct rtattr *at[RTA_TABLE + 1];
    uint32_t index = 0;

    if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(struct rtmsg)))
        return true;
    const struct rtmsg *body = netlink_body(h);
    netlink_attrs(h, sizeof(*body), at, RTA_TABLE + 1);
    if (!netlink_attr_u32(at[RTA_OIF], &index))
        index = nexthop_index(at[RTA_MULTIPATH]);
    if (!netlink_attr_u32(at[RTA_TABLE], &r->table))
        r->table = body->rtm_table;
    r->index = (int)index;
    r->dst.bits = body->rtm_dst_len;
    r->gateway = gateway_of(at[RTA_GATEWAY], body->rtm_family);
    return false;
}

enum rc route_lookup(struct netlink *nl, const struct addr *to, int index, uint32_t mark,
                     struct route *ret_r, struct diag *diag)
{
    size_t n = addr_ip_bytes(to);
    struct route r = {.dst = {.net = *to, .bits = (uint8_t)(8 * n)}};
    struct rtmsg body = {
        .rtm_family = to->family, .rtm_dst_len = (uint8_t)(8 * n), .rtm_flags = RTM_F_FIB_MATCH};
    struct netlink_msg m;
    char what[160];

    describe(what, sizeof(what), "", &r);
    netlink_begin(&m, RTM_GETROUTE, 0, &body, sizeof(body));
    netlink_add(&m, RTA_DST, to->ip, n);
    if (index)
        netlink_add_u32(&m, RTA_OIF, (uint32_t)index);
    if (mark)
        netlink_add_u32(&m, RTA_MARK, mark);
    enum rc rc = netlink_get(nl, &m, take_way, &r, diag, what);
    if (rc == RC_OK && r.index == 0)
        rc = diag_set(diag, RC_UNREACH_NET, "%s: none", what);
    if (rc == RC_OK)
        *ret_r = r;
    return rc;
}

enum rc route_lookup_in(struct netlink *nl, const struct addr *from, const struct addr *to,
                        int index, struct route *ret_r, struct diag *diag)
{
    size_t n = addr_ip_bytes(to);
    struct route r = {.dst = {.net = *to, .bits = (uint8_t)(8 * n)}};
    struct rtmsg body = {
        .rtm_family = to->family, .rtm_dst_len = (uint8_t)(8 * n), .rtm_src_len = (uint8_t)(8 * n)};
    struct netlink_msg m;
    char what[160];

    describe(what, sizeof(what), "", &r);
    netlink_begin(&m, RTM_GETROUTE, 0, &body, sizeof(body));
    netlink_add(&m, RTA_DST, to->ip, n);
    netlink_add(&m, RTA_SRC, from->ip, n);
    netlink_add_u32(&m, RTA_IIF, (uint32_t)index);
    enum rc rc = netlink_get(nl, &m, take_way, &r, diag, what);
    if (rc == RC_OK && r.index == 0)
        rc = diag_set(diag, RC_UNREACH_NET, "%s: none", what);
    if (rc == RC_OK)
        *ret_r = r;
    return rc;
}
