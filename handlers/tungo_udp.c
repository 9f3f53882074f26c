/* handlers/tungo_udp.c - UDP of the device: which route each datagram takes, and the datagram flow
 * of each route. The tables are the listener's (listeners/tungo/tungo.h).
 */
#include "core/dgram.h"
#include "core/splice.h"
#include "handlers/tungo_inside.h"
#include <stdio.h>
#include <string.h>

/* Whom rules see: the name, as far as DNS has told it, or the address. */
static enum tungodns_known who(struct tun_handler *h, const struct addr *client,
                               const struct addr *dst, struct target *ret_t)
{
    enum tungodns_known known = tungodns_name(h->dns, client, dst, ret_t);

    if (known == KNOWN_NOTHING || known == KNOWN_STALE)
        target_from_addr(ret_t, dst);
    return known;
}

enum rc tun_on_udp(void *arg, const struct addr *client, const struct addr *dst, const void *data,
                   size_t n, struct tungo_udp_route *ret_route)
{
    struct tun_handler *h = arg;
    struct udp_route route = {0};
    struct diag diag = {0};
    struct target t;
    enum rc rc;

    (void)data;
    (void)n;
    if (!tun_is_admitted(h, client))
        return RC_DENIED;
    if (tungodns_takes_udp(h->dns, dst)) {
        *ret_route = (struct tungo_udp_route){.fixed = true};
        return RC_OK;
    }
    if (tun_is_node(h, dst))
        return RC_UNREACH_HOST;
    enum tungodns_known known = who(h, client, dst, &t);
    if (known == KNOWN_STALE)
        rc = diag_set(&diag, RC_REFUSED, "no name has this fake address");
    else if (tun_is_bypassed(h, "udp", &t))
        rc = diag_set(&diag, RC_DENIED, "bypass");
    else
        rc = router_udp_route(h->setup.router, &t, &route, &diag);
    if (rc != RC_OK) {
        struct report r;

        report_init(&r, h->setup.service, "tungo", "udp", client, loop_now_ms(h->setup.loop));
        r.target = t;
        report_failed(&r, rc, diag.text, r.started_ms);
        return rc; /* the client is told */
    }
    ret_route->id = route.id;
    ret_route->fixed = route.fixed || known == KNOWN_FAKE;
    ret_route->empty_apart = route.empty_apart && !ret_route->fixed;
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

static bool open_way(struct tun_conn *c, bool fixed)
{
    struct tun_handler *h = c->h;
    struct dial_req req = {.client = c->report.client};
    enum tungodns_known known = who(h, &c->report.client, &c->dst, &c->report.target);

    req.seen = c->report.target;
    if (fixed && known == KNOWN_FAKE)
        req.target = c->report.target;
    else if (fixed)
        target_from_addr(&req.target, &c->dst);
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
        if (tungodns_takes_udp(h->dns, dst) ? open_dns(c) : open_way(c, route->fixed))
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
