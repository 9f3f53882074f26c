/* core/host/address.c - RTM_NEWADDR and RTM_DELADDR. */
#include "core/host/address.h"
#include "core/host/journal.h"
#include "core/host/netlink.h"
#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>

struct undo_address {
    int index;
    struct cidr address;
};

static enum rc undo(struct netlink *nl, const void *data, size_t n, struct diag *diag)
{
    const struct undo_address *u = data;

    if (!nl || n != sizeof(*u))
        return RC_INVALID;
    return address_remove(nl, u->index, &u->address, diag);
}

static const struct journal_kind journal_address = {"address", undo};

static void build(struct netlink_msg *m, uint16_t type, uint16_t flags, int index,
                  const struct cidr *a)
{
    struct ifaddrmsg body = {.ifa_family = a->net.family,
                             .ifa_prefixlen = a->bits,
                             .ifa_index = (uint32_t)index,
                             .ifa_flags = a->net.family == AF_INET6 ? IFA_F_NODAD : 0};

    netlink_begin(m, type, flags, &body, sizeof(body));
    netlink_add(m, IFA_LOCAL, a->net.ip, addr_ip_bytes(&a->net));
    netlink_add(m, IFA_ADDRESS, a->net.ip, addr_ip_bytes(&a->net));
}

static void describe(char *buf, size_t cap, const char *verb, const struct cidr *a)
{
    char ip[ADDR_TEXT_MAX];

    (void)snprintf(buf, cap, "%saddress %s/%u", verb, addr_format_ip(&a->net, ip, sizeof(ip)),
                   a->bits);
}

enum rc address_add(struct netlink *nl, int index, const struct cidr *a, struct journal *j,
                    struct diag *diag)
{
    struct netlink_msg m;
    struct diag why = {0};
    char what[96];

    describe(what, sizeof(what), "add ", a);
    build(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a);
    if (netlink_ask(nl, &m, &why, what) != RC_OK)
        return nl->err == EEXIST ? RC_OK : diag_set(diag, why.rc, "%s", why.text);
    if (!j)
        return RC_OK;
    struct undo_address u = {index, *a};
    describe(what, sizeof(what), "", a);
    enum rc rc = journal_add(j, &journal_address, &u, sizeof(u), what);
    if (rc != RC_OK) {
        (void)address_remove(nl, index, a, NULL); /* what can't be recorded must not stay */
        return diag_set(diag, rc, "journal of %s", what);
    }
    return RC_OK;
}

enum rc address_remove(struct netlink *nl, int index, const struct cidr *a, struct diag *diag)
{
    struct netlink_msg m;
    struct diag why = {0};
    char what[96];

    describe(what, sizeof(what), "remove ", a);
    build(&m, RTM_DELADDR, 0, index, a);
    if (netlink_ask(nl, &m, &why, what) == RC_OK || nl->err == EADDRNOTAVAIL || nl->err == ENODEV)
        return RC_OK;
    return diag_set(diag, why.rc, "%s", why.text);
}
