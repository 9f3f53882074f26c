/* handlers/tungo_udp.c - UDP of the device: which route each datagram takes, and the datagram flow
 * of each route. The tables are the listener's (listeners/tungo/tungo.h).
 */
#include "core/dgram.h"
#include "core/splice.h"
#include "handlers/tungo_inside.h"
#include <string.h>

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
    target_from_addr(&t, dst);
    if (!tun_is_admitted(h, client))
        return RC_DENIED;
    rc = tun_is_bypassed(h, "udp", &t) ? diag_set(&diag, RC_DENIED, "bypass")
                                       : router_udp_route(h->setup.router, &t, &route, &diag);
    if (rc != RC_OK) {
        struct report r;

        report_init(&r, h->setup.service, "tungo", "udp", client, loop_now_ms(h->setup.loop));
        r.target = t;
        report_failed(&r, rc, diag.text, r.started_ms);
        return rc == RC_DENIED ? RC_REFUSED : rc; /* the client is told */
    }
    ret_route->id = route.id;
    ret_route->fixed = route.fixed;
    ret_route->empty_apart = route.empty_apart;
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

void tun_on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                     const struct addr *client, const struct addr *dst)
{
    struct tun_handler *h = arg;
    struct dial_req req = {.client = *client};
    struct tun_conn *c = tun_conn_new(h, "udp", client, dst);

    if (c) {
        c->ud = ud;
        tungo_udp_set_user(ud, c);
        req.seen = c->report.target;
        if (route->fixed)
            req.target = c->report.target;
        c->dial = router_dial_dgram(h->setup.router, &req, on_dgram, c);
        if (c->dial)
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
