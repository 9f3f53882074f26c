/* app/doctor_lan.c - machines that use this one as their router: does the kernel bring their
 * packets into a device of ours, and the answers back? See doctor.h, docs/GATEWAY.md.
 *
 * For each address of an interface a neighbour is made up, and the kernel is asked what it would do
 * with a packet from there to somewhere that the device has a route for, and with the answer.
 */
#include "app/doctor.h"
#include "core/host/route.h"
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { MEND_BYTES = 160 };

/* The clients of one interface, by one of its addresses. */
struct lan {
    const char *device;
    int index;
    struct addr client; /* a neighbour of ours there */
};

/* Somewhere that the device's configured routes lead to, else what a default route takes. */
static struct addr somewhere(const struct doctor_tun *t, uint8_t family)
{
    const struct cidr everywhere = {.net = {.family = family}};

    for (size_t i = 0; i < t->plan.n_routes; i++) {
        const struct cidr *c = &t->plan.routes[i];
        if (c->net.family == family && c->bits >= 8)
            return doctor_inside(c);
    }
    return doctor_inside(&everywhere);
}

static void filtered(struct doctor *d, const struct doctor_tun *t, const struct lan *lan)
{
    char mend[MEND_BYTES];

    (void)snprintf(mend, sizeof mend, "sysctl -w net.ipv4.conf.%s.rp_filter=2 (as postUp)",
                   t->plan.device);
    doctor_wrong(d, "clients", mend,
                 "%s: packets of its clients go to %s, but answers are dropped there: rp_filter of "
                 "%s is strict, and its own routes lead elsewhere",
                 lan->device, t->plan.device, t->plan.device);
}

/* The kernel's word for it: EXDEV, newer ones say EINVAL for whatever they would drop. */
static bool is_filtered(const struct doctor *d, const char *device)
{
    return (d->nl.err == EXDEV || d->nl.err == EINVAL) && doctor_rp_filter(device) == 1;
}

/* Packets of lan come to t: do the answers come back? */
static void check_answers(struct doctor *d, const struct doctor_tun *t, const struct lan *lan,
                          const struct addr *target)
{
    struct route back = {.index = 0};
    bool v6 = lan->client.family == AF_INET6;
    enum rc rc = route_lookup_in(&d->nl, target, &lan->client, t->link.index, &back, NULL);
    char name[IF_NAMESIZE] = "", client[ADDR_TEXT_MAX];

    (void)addr_format_ip(&lan->client, client, sizeof client);
    if (!doctor_forwards(lan->client.family))
        doctor_note(d, "clients", "sysctl -w net.ipv6.conf.all.forwarding=1",
                    "%s: its clients' way is %s, but this machine forwards no IPv6", lan->device,
                    t->plan.device);
    else if (rc != RC_OK && is_filtered(d, t->plan.device))
        filtered(d, t, lan);
    else if (rc != RC_OK || back.index != lan->index)
        doctor_wrong(d, "clients", "ip rule and ip route get CLIENT iif DEVICE show which rule",
                     "%s: packets of its clients go to %s, but an answer to %s would leave by %s",
                     lan->device, t->plan.device, client,
                     rc == RC_OK && if_indextoname((unsigned)back.index, name) ? name : "no route");
    else
        doctor_fine(d, "clients", "%s: IPv%d of its clients goes to %s, and the answers back",
                    lan->device, v6 ? 6 : 4, t->plan.device);
}

static void unheard(struct doctor *d, const struct lan *lan)
{
    char mend[MEND_BYTES];

    (void)snprintf(mend, sizeof mend, "sysctl -w net.ipv4.conf.%s.rp_filter=2, or mend the routes",
                   lan->device);
    doctor_note(d, "clients", mend,
                "%s: rp_filter drops what its clients send elsewhere: the way back to them is not "
                "by %s",
                lan->device, lan->device);
}

static void check_lan(struct doctor *d, const struct lan *lan)
{
    for (size_t i = 0; i < d->n_tuns; i++) {
        const struct doctor_tun *t = &d->tuns[i];
        struct addr target = somewhere(t, lan->client.family);
        struct route r;

        if (!t->there || t->link.index == lan->index)
            continue;
        enum rc rc = route_lookup_in(&d->nl, &lan->client, &target, lan->index, &r, NULL);
        if (rc == RC_OK && r.index == t->link.index)
            check_answers(d, t, lan, &target);
        else if (rc != RC_OK && is_filtered(d, lan->device))
            unheard(d, lan);
    }
}

/* A client that could be on that link; false: nobody can. */
static bool neighbour(const struct ifaddrs *a, struct lan *ret_lan)
{
    struct addr own, mask;

    if (!a->ifa_addr || !a->ifa_netmask || !(a->ifa_flags & IFF_UP) ||
        (a->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT)))
        return false;
    own = addr_from_sockaddr(a->ifa_addr);
    mask = addr_from_sockaddr(a->ifa_netmask);
    if ((own.family != AF_INET && own.family != AF_INET6) || addr_is_link_local(&own))
        return false;
    size_t last = addr_ip_bytes(&own) - 1;
    if ((mask.ip[last] & 3) != 0) /* no room for anybody */
        return false;
    /* ends in 01 or 10, which is neither the network nor its broadcast address */
    own.ip[last] ^= (own.ip[last] & 3) == 0 || (own.ip[last] & 3) == 3 ? 1 : 3;
    own.port = 0;
    own.scope = 0;
    *ret_lan = (struct lan){
        .device = a->ifa_name, .index = (int)if_nametoindex(a->ifa_name), .client = own};
    return true;
}

void doctor_check_clients(struct doctor *d)
{
    struct ifaddrs *all = NULL;
    struct lan lan;

    /* who forwards nothing is nobody's router */
    if (!d->kernel || d->n_tuns == 0 || !doctor_forwards(AF_INET) || getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next)
        if (neighbour(a, &lan))
            check_lan(d, &lan);
    freeifaddrs(all);
}
