/* handlers/tungo.c - whole-machine traffic: what becomes of each flow of the TUN device.
 * gost-config.md 4.
 *
 * The flows' own business is in tungo_tcp.c (parked and let in, sniffed, dialled, spliced) and
 * tungo_udp.c (routes and their datagram flows), questions to port 53 that of tungodns.c; here they
 * are listed, and ended.
 */
#include "chain/node.h"
#include "core/log.h"
#include "core/splice.h"
#include "core/stream.h"
#include "handlers/confirm.h"
#include "handlers/tungo_inside.h"
#include "handlers/types.h"
#include "sniff/quic.h"
#include <stdlib.h>
#include <string.h>

enum { PARK_SLACK_MS = 1000 };

void tun_conn_free(struct tun_conn *c)
{
    timer_stop(&c->park);
    timer_stop(&c->linger);
    if (c->dial)
        dial_cancel(c->dial);
    tungosniff_free(c->sniff);
    node_unref(c->node);
    stream_close(c->target);
    stream_close(c->client);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    loop_free_later(c->h->setup.loop, &c->deferred, free, c);
}

struct tun_conn *tun_conn_new(struct tun_handler *h, const char *network, const struct addr *client,
                              const struct addr *dst)
{
    struct tun_conn *c = h->ending ? NULL : calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->h = h;
    c->dst = *dst;
    c->next = h->conns;
    c->link = &h->conns;
    if (c->next)
        c->next->link = &c->next;
    h->conns = c;
    report_init(&c->report, h->setup.service, "tungo", network, client, loop_now_ms(h->setup.loop));
    target_from_addr(&c->report.target, dst);
    return c;
}

bool tun_is_admitted(const struct tun_handler *h, const struct addr *client)
{
    return !h->setup.admitted || h->setup.admitted(h->setup.admitted_arg, client);
}

bool tun_is_bypassed(const struct tun_handler *h, const char *network, const struct target *t)
{
    return h->setup.bypassed && h->setup.bypassed(h->setup.bypassed_arg, network, t);
}

void tun_tell_loop(struct tun_handler *h, const struct addr *dst, bool node)
{
    char text[ADDR_TEXT_MAX];

    if (!h->told_of_loop)
        log_warn("%s: routing loop: a flow%s %s came in through the TUN device; refused. Set "
                 "`interface` on the %s (or so_mark with a rule), or add a route to it beside the "
                 "device",
                 h->setup.service, node ? " to the node" : " of our own to",
                 addr_format(dst, text, sizeof text), node ? "hop" : "service");
    h->told_of_loop = true;
}

bool tun_is_node(void *arg, const struct addr *a)
{
    struct tun_handler *h = arg;

    if (!router_is_node(h->setup.router, a))
        return false;
    tun_tell_loop(h, a, true);
    return true;
}

static void on_loop(void *arg, const struct addr *dst)
{
    tun_tell_loop(arg, dst, false);
}

uint32_t tun_park_ms(const struct tungo_handler_cfg *cfg, const struct router *r)
{
    uint64_t dials = cfg->sniffing_fallback ? 2 : 1; /* by name, then by address */
    uint64_t ms = router_patience_ms(r) * dials + CONFIRM_EAGER_MS + PARK_SLACK_MS;

    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static enum rc tungo_handler_init(struct handler *handler, const struct handler_setup *setup,
                                  struct diag *diag)
{
    struct tun_handler *h;
    struct tungo_handler_cfg *cfg = handler->cfg;
    struct tungo_events ev = {.on_flow = tun_on_flow,
                              .on_flow_gone = tun_on_flow_gone,
                              .on_udp = tun_on_udp,
                              .on_udp_open = tun_on_udp_open,
                              .on_udp_gone = tun_on_udp_gone,
                              .on_udp_more = tun_on_udp_more,
                              .on_loop = on_loop,
                              .on_echo = tun_on_echo};
    struct tungo_cfg tc;
    enum rc rc;

    if (!setup->tungo)
        return diag_set(diag, RC_INVALID, "handler tungo works only with listener tungo");
    h = calloc(1, sizeof *h);
    if (!h)
        return diag_set(diag, RC_NOMEM, "no memory");
    h->setup = *setup;
    h->cfg = cfg;
    tungosniffs_init(&h->sniffs);
    handler->state = h;
    rc = tungodns_new(setup, &cfg->dns, cfg->sniffing_udp, &h->dns, diag);
    if (rc != RC_OK)
        return rc;
    if (cfg->sniffing_udp) {
        h->quic = malloc(sizeof *h->quic);
        if (!h->quic)
            return diag_set(diag, RC_NOMEM, "no memory");
    }
    ev.arg = h;
    tc = (struct tungo_cfg){
        .udp_timeout_ms = (uint32_t)cfg->udp_timeout_ms,
        .udp_first_ms = tungosniff_datagrams_ms(cfg->sniffing_timeout_ms),
        .udp_buffer_bytes = (uint32_t)cfg->udp_buffer_bytes,
        .tcp_receive_bytes = (uint32_t)cfg->tcp_receive_bytes,
        .tcp_send_bytes = (uint32_t)cfg->tcp_send_bytes,
        .park_ms = tun_park_ms(cfg, setup->router),
    };
    tungo_configure(setup->tungo, &tc);
    tungo_set_loop_guard(setup->tungo, tun_is_node, h);
    tungo_set_events(setup->tungo, &ev);
    return RC_OK;
}

static void tungo_handler_done(struct handler *handler)
{
    struct tun_handler *h = handler->state;

    if (!h)
        return;
    h->ending = true;
    tungodns_free(h->dns);
    h->dns = NULL;
    free(h->quic);
    h->quic = NULL;
    while (h->conns) {
        struct tun_conn *c = h->conns;
        uint64_t up = 0, down = 0;

        if (c->flow) {
            struct tungo_flow *f = c->flow;

            c->flow = NULL;
            tungo_flow_refuse(f, RC_CANCELED);
        } else if (c->ud) {
            struct udp_dest *ud = c->ud;

            tungo_udp_bytes(ud, &up, &down);
            tungo_udp_set_user(ud, NULL);
            c->ud = NULL;
            if (c->dial) {
                dial_cancel(c->dial);
                c->dial = NULL;
                tungo_udp_ready(h->setup.tungo, ud, NULL, RC_CANCELED);
            }
        }
        if (c->splice)
            splice_bytes(c->splice, &up, &down);
        report_stopped(&c->report, up, down, loop_now_ms(h->setup.loop));
        splice_free(c->splice);
        c->splice = NULL; /* a request for another host may be under way in this turn */
        tun_conn_free(c);
    }
    tungo_set_loop_guard(h->setup.tungo, NULL, NULL);
    loop_free_later(h->setup.loop, &h->deferred, free, h);
    handler->state = NULL;
}

const struct handler_type handler_tungo = {
    .name = "tungo",
    .options = tungo_options,
    .cfg_bytes = sizeof(struct tungo_handler_cfg),
    .init = tungo_handler_init,
    .done = tungo_handler_done,
    .explain = tun_explain,
};
