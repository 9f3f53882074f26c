/* handlers/tungo_udp.c - UDP of the device: which route each datagram takes, and the datagram flow
 * of each route. The tables are the listener's (listeners/tungo/tungo.h).
 */
#include "core/dgram.h"
#include "core/splice.h"
#include "handlers/tungo_inside.h"
#include "sniff/quic.h"
#include <stdio.h>
#include <string.h>

enum { QUIC_PORT = 443 };

/* Only where it would begin: connections that exist go on. */
static bool is_blocked_quic(const struct tun_handler *h, const struct addr *dst,
                            const struct slice *first)
{
    return h->cfg->quic == TUNGO_QUIC_BLOCK && dst->port == QUIC_PORT &&
           quic_is_beginning(first->p, first->n);
}

static enum rc refuse(struct tun_handler *h, const struct addr *client, const struct target *t,
                      enum rc rc, const char *why)
{
    struct report r;

    report_init(&r, h->setup.service, "tungo", "udp", client, loop_now_ms(h->setup.loop));
    r.target = *t;
    report_failed(&r, rc, why, r.started_ms);
    return rc; /* the client is told */
}

static enum rc route_of(struct tun_handler *h, const struct addr *client, const struct addr *dst,
                        const struct handler_plan *plan, struct tungo_udp_route *ret_route)
{
    struct udp_route route = {0};
    struct diag diag = {0};
    enum rc rc;

    if (plan->rc != RC_OK)
        rc = diag_set(&diag, plan->rc, "%s", plan->note);
    else if (tun_is_bypassed(h, "udp", &plan->rule))
        rc = diag_set(&diag, RC_DENIED, "bypass");
    else
        rc = router_udp_route(h->setup.router, &plan->seen, &route, &diag);
    if (rc != RC_OK)
        return refuse(h, client, &plan->seen, rc, diag.text);
    h->decided.client = *client;
    h->decided.dst = *dst;
    h->decided.seen = plan->seen;
    h->decided.dial = plan->dial;
    h->decided.by_name = plan->by_name;
    ret_route->id = route.id;
    ret_route->fixed = route.fixed || target_is_name(&plan->dial);
    ret_route->empty_apart = route.empty_apart && !ret_route->fixed;
    ret_route->plain = route.empty_plain && !ret_route->fixed;
    return RC_OK;
}

enum rc tun_on_udp_more(void *arg, const struct addr *client, const struct addr *dst,
                        const struct slice *v, int n, bool last, struct tungo_udp_route *ret_route)
{
    struct tun_handler *h = arg;
    struct sniffed found = {.proto = SNIFF_UNKNOWN};
    struct target original, name;
    struct handler_plan plan;
    enum tungodns_known known = tungodns_name(h->dns, client, dst, &name);

    if (h->quic && (known == KNOWN_NOTHING || known == KNOWN_LIKELY)) {
        enum rc rc = tungosniff_datagrams(h->quic, v, n, dst->port, &found);
        if (rc == RC_AGAIN && !last)
            return RC_AGAIN;
        if (rc != RC_OK)
            found = (struct sniffed){.proto = SNIFF_UNKNOWN};
    }
    target_from_addr(&original, dst);
    tun_plan_udp(known, &name, &found, &original, &plan);
    return route_of(h, client, dst, &plan, ret_route);
}

enum rc tun_on_udp(void *arg, const struct addr *client, const struct addr *dst, const void *data,
                   size_t n, struct tungo_udp_route *ret_route)
{
    struct tun_handler *h = arg;
    struct slice first = {data, n};

    if (!tun_is_admitted(h, client))
        return RC_DENIED;
    if (tungodns_takes_udp(h->dns, dst)) {
        *ret_route = (struct tungo_udp_route){.fixed = true};
        return RC_OK;
    }
    if (tun_is_node(h, dst))
        return RC_UNREACH_HOST;
    if (is_blocked_quic(h, dst, &first)) {
        struct target t;
        target_from_addr(&t, dst);
        return refuse(h, client, &t, RC_REFUSED, "quic=block");
    }
    return tun_on_udp_more(h, client, dst, &first, 1, false, ret_route);
}

enum rc tun_on_echo(void *arg, const struct addr *client, const struct addr *dst,
                    const struct sockopts **ret_so)
{
    struct tun_handler *h = arg;
    struct sniffed found = {.proto = SNIFF_UNKNOWN};
    struct udp_route route = {0};
    struct target original, name;
    struct handler_plan plan;

    if (!tun_is_admitted(h, client))
        return RC_DENIED;
    enum tungodns_known known = tungodns_name(h->dns, client, dst, &name);
    if (known == KNOWN_FAKE) /* nobody but us has that address */
        return RC_AGAIN;
    target_from_addr(&original, dst);
    tun_plan_udp(known, &name, &found, &original, &plan);
    if (plan.rc != RC_OK)
        return RC_UNREACH_HOST;
    if (tun_is_bypassed(h, "udp", &plan.rule))
        return RC_DENIED;
    /* datagrams go the same way; a chain carries no pings */
    if (router_udp_route(h->setup.router, &plan.seen, &route, NULL) != RC_OK || route.id != 0)
        return RC_DENIED;
    *ret_so = router_sockopts(h->setup.router);
    return RC_OK;
}

static void on_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct tun_conn *c = arg;

    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    if (d) {
        report_connected(&c->report);
        if (res->dns_tcp)
            report_dns_over_tcp(&c->report, &c->h->told_dns_tcp);
        tungo_udp_ready(c->h->setup.tungo, c->ud, d, RC_OK);
        return; /* on_udp_gone ends the conn */
    }
    report_failed(&c->report, res->rc, res->diag.text, loop_now_ms(c->h->setup.loop));
    tungo_udp_set_user(c->ud, NULL);
    tungo_udp_ready(c->h->setup.tungo, c->ud, NULL, res->rc);
    tun_conn_free(c);
}

/* The far end is here. */
static bool open_dns(struct tun_conn *c)
{
    struct dgram *d = tungodns_dgram(c->h->dns, &c->report.client, &c->dst, c->report.route);

    if (!d)
        return false;
    (void)snprintf(c->report.route, sizeof c->report.route, "dns");
    report_connected(&c->report);
    tungo_udp_ready(c->h->setup.tungo, c->ud, d, RC_OK);
    return true;
}

/* As when its route was told, just now; of a flow that was split off later what DNS knows. */
static bool open_way(struct tun_conn *c, const struct tungo_udp_route *route)
{
    struct tun_handler *h = c->h;
    struct dial_req req = {.client = c->report.client, .dest = c->dst};
    struct target name;
    struct handler_plan plan;

    if (addr_equal(&h->decided.client, &c->report.client) && addr_equal(&h->decided.dst, &c->dst)) {
        plan.seen = h->decided.seen;
        plan.dial = h->decided.dial;
        plan.by_name = h->decided.by_name;
    } else {
        const struct sniffed none = {.proto = SNIFF_UNKNOWN};
        enum tungodns_known known = tungodns_name(h->dns, &c->report.client, &c->dst, &name);
        tun_plan_udp(known, &name, &none, &c->report.target, &plan);
    }
    req.seen = c->report.target = plan.seen;
    req.by_name = plan.by_name;
    req.plain = route->plain;
    if (route->fixed)
        req.target = plan.dial;
    c->dial = router_dial_dgram(h->setup.router, &req, on_dgram, c);
    return c->dial != NULL;
}

void tun_on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                     const struct addr *client, const struct addr *dst)
{
    struct tun_handler *h = arg;
    struct tun_conn *c = tun_conn_new(h, "udp", client, dst);

    if (c) {
        c->ud = ud;
        tungo_udp_set_user(ud, c);
        if (tungodns_takes_udp(h->dns, dst) ? open_dns(c) : open_way(c, route))
            return;
        tungo_udp_set_user(ud, NULL);
        tun_conn_free(c);
    }
    tungo_udp_ready(h->setup.tungo, ud, NULL, RC_NOMEM);
}

void tun_on_udp_gone(void *arg, struct udp_dest *ud, uint64_t up_bytes, uint64_t down_bytes)
{
    struct tun_handler *h = arg;
    struct tun_conn *c = tungo_udp_user(ud);
    struct splice_result res = {.up_bytes = up_bytes, .down_bytes = down_bytes};

    if (!c)
        return;
    res.duration_ms = loop_now_ms(h->setup.loop) - c->report.started_ms;
    report_ended(&c->report, &res);
    tun_conn_free(c);
}
