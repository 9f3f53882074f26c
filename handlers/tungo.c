/* handlers/tungo.c - whole-machine traffic: what becomes of each flow of the TUN device. DESIGN 5,
 * gost-config.md 4.
 *
 * TCP: the SYN stays parked while the target is dialled, so the client sees the truth: refused,
 * unreachable, or a connection that works. A carrier that cannot tell (a silent relay server) is
 * given parkWait, then the SYN is let in. UDP: the listener keeps the tables; here each route gets
 * its datagram flow.
 *
 * Who may hold a conn when it dies: its parked flow (user pointer; taken by accept, refuse or
 * on_flow_gone), its dial (canceled), its streams' events (closed), its timer (stopped), its splice
 * (done() ended it). conn_free() is the one end.
 */
#include "listeners/tungo/tungo.h"
#include "chain/router.h"
#include "core/dgram.h"
#include "core/floor/tcp.h"
#include "core/log.h"
#include "core/splice.h"
#include "core/stream.h"
#include "handlers/handler.h"
#include "handlers/report.h"
#include "handlers/types.h"
#include <stdlib.h>
#include <string.h>

enum {
    PARK_WAIT_MIN_MS = 20,
    PARK_WAIT_MAX_MS = 250,
    HALF_OPEN_MS = 600 * 1000 /* what a side that still sends may pause after the other ended */
};

struct tungo_options {
    int64_t udp_timeout_ms, udp_buffer_bytes, tcp_send_bytes, tcp_receive_bytes;
    bool ipv6;
    bool sniffing, sniffing_udp, sniffing_fallback;
    int64_t sniffing_timeout_ms;
    int64_t ignored_ms;
    char *ignored_text;
    bool ignored_bool;
};

#define AT(field) offsetof(struct tungo_options, field)
static const struct option options[] = {
    {.key = "udpTimeout",
     .aliases = "tungo.udpTimeout",
     .type = OPTION_DURATION,
     .offset = AT(udp_timeout_ms),
     .def = "30s",
     .min = 1,
     .max = 86400000,
     .help = "idle time of a UDP session"},
    {.key = "udp.bufferSize",
     .aliases = "udpBufferSize",
     .type = OPTION_SIZE,
     .offset = AT(udp_buffer_bytes),
     .def = "65535",
     .min = 576,
     .max = 65535,
     .help = "largest datagram"},
    {.key = "tcpSendBufferSize",
     .aliases = "tungo.tcpSendBufferSize",
     .type = OPTION_SIZE,
     .offset = AT(tcp_send_bytes),
     .def = "1048576",
     .min = 4096,
     .max = 16777216,
     .help = "most bytes in flight to a client, per flow"},
    {.key = "tcpReceiveBufferSize",
     .aliases = "tungo.tcpReceiveBufferSize",
     .type = OPTION_SIZE,
     .offset = AT(tcp_receive_bytes),
     .def = "1048576",
     .min = 4096,
     .max = 16777216,
     .help = "receive window offered to a client, per flow"},
    {.key = "ipv6",
     .type = OPTION_BOOL,
     .offset = AT(ipv6),
     .help = "dial IPv6 sources by IPv6 only"},
    {.key = "sniffing",
     .type = OPTION_BOOL,
     .flags = OPTION_LATER,
     .offset = AT(sniffing),
     .help = "find the name in the first bytes"},
    {.key = "sniffing.udp",
     .type = OPTION_BOOL,
     .flags = OPTION_LATER,
     .offset = AT(sniffing_udp),
     .help = "find names in QUIC and DNS"},
    {.key = "sniffing.timeout",
     .type = OPTION_DURATION,
     .flags = OPTION_LATER,
     .offset = AT(sniffing_timeout_ms),
     .help = "wait for the first bytes"},
    {.key = "sniffing.responseTimeout",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_ms),
     .help = "wait for the server's first bytes"},
    {.key = "sniffing.fallback",
     .type = OPTION_BOOL,
     .flags = OPTION_LATER,
     .offset = AT(sniffing_fallback),
     .help = "dial the address when the name fails"},
    {.key = "multicastGroups",
     .aliases = "tungo.multicastGroups",
     .type = OPTION_STRING,
     .flags = OPTION_LATER,
     .offset = AT(ignored_text),
     .help = "multicast groups joined inside the stack"},
    {.key = "tcpModerateReceiveBuffer",
     .aliases = "tungo.tcpModerateReceiveBuffer",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_bool),
     .help = "receive window autotuning"},
    {.key = "observePeriod",
     .aliases = "observer.period,observer.observePeriod",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_ms),
     .help = "period of statistics"},
    {.key = "observer.resetTraffic",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_bool),
     .help = "reset statistics after each report"},
    {.key = "limiter.refreshInterval",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_ms),
     .help = "traffic limiter"},
    {.key = "limiter.cleanupInterval",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(ignored_ms),
     .help = "traffic limiter"},
    OPTION_END,
};
#undef AT

struct conn;

struct tun_handler {
    struct handler_setup setup;
    struct tungo_options *cfg;
    struct conn *conns; /* every TCP flow and datagram flow */
    bool ending, told_of_loop;
    struct deferred deferred;
};

struct conn {
    struct tun_handler *h;
    struct conn *next, **link;
    struct report report;
    struct tungo_flow *flow; /* parked SYN */
    struct udp_dest *ud;     /* datagram flow being opened, or open */
    struct dial *dial;
    struct stream *client, *target;
    struct splice *splice;
    struct timer park;
    struct deferred deferred;
};

static void conn_free(struct conn *c)
{
    timer_stop(&c->park);
    if (c->dial)
        dial_cancel(c->dial);
    stream_close(c->target);
    stream_close(c->client);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    loop_free_later(c->h->setup.loop, &c->deferred, free, c);
}

static struct conn *conn_new(struct tun_handler *h, const char *network, const struct addr *client,
                             const struct addr *target)
{
    struct conn *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->h = h;
    c->next = h->conns;
    c->link = &h->conns;
    if (c->next)
        c->next->link = &c->next;
    h->conns = c;
    report_init(&c->report, h->setup.service, "tungo", network, client, loop_now_ms(h->setup.loop));
    target_from_addr(&c->report.target, target);
    return c;
}

/* ---------------------------------------------------------------- TCP */

static void refuse(struct conn *c, enum rc rc, const char *reason)
{
    struct tungo_flow *f = c->flow;

    report_failed(&c->report, rc, reason, loop_now_ms(c->h->setup.loop));
    c->flow = NULL;
    if (f)
        tungo_flow_refuse(f, rc);
    conn_free(c);
}

static void on_spliced(void *arg, const struct splice_result *res)
{
    struct conn *c = arg;

    c->splice = NULL;
    report_ended(&c->report, res);
    conn_free(c);
}

static void start_splice(struct conn *c)
{
    struct splice_cfg cfg = {.half_open_ms = HALF_OPEN_MS};
    struct stream *a = c->client, *b = c->target;

    c->client = c->target = NULL;
    report_connected(&c->report);
    c->splice = splice_start(a, b, &cfg, on_spliced, c);
    if (!c->splice) {
        report_failed(&c->report, RC_NOMEM, NULL, loop_now_ms(c->h->setup.loop));
        conn_free(c);
    }
}

static void on_client_open(struct stream *s, unsigned ready, void *arg)
{
    struct conn *c = arg;
    enum rc rc = stream_open(s);

    (void)ready;
    if (rc == RC_AGAIN)
        return;
    if (rc == RC_OK) {
        start_splice(c);
        return;
    }
    report_failed(&c->report, rc, stream_diag(s)->text, loop_now_ms(c->h->setup.loop));
    conn_free(c);
}

static void let_in(struct conn *c)
{
    struct tungo_flow *f = c->flow;

    timer_stop(&c->park);
    stream_want(c->target, 0, NULL, NULL);
    c->flow = NULL;
    c->client = tungo_flow_accept(f);
    if (!c->client) {
        report_failed(&c->report, RC_NOMEM, NULL, loop_now_ms(c->h->setup.loop));
        conn_free(c);
        return;
    }
    stream_want(c->client, STREAM_OPEN, on_client_open, c);
}

/* Does the far end say that the target is there? */
static void ask_far_end(struct conn *c, bool last_call)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(c->target, QUERY_CONFIRMED, &answer);

    if (rc != RC_OK && rc != RC_UNSUPPORTED && rc != RC_AGAIN)
        refuse(c, rc, stream_diag(c->target)->text);
    else if (last_call || rc == RC_UNSUPPORTED || (rc == RC_OK && answer == CONFIRMED_YES))
        let_in(c);
}

static void on_far_event(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    ask_far_end(arg, false);
}

static void on_park_over(struct timer *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, park));

    ask_far_end(c, true);
}

static void on_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    struct conn *c = arg;
    enum stream_confirmed answer = CONFIRMED_YES;
    uint64_t wait = 2 * res->handshake_ms;
    enum rc rc;

    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    if (!s) {
        refuse(c, res->rc, res->diag.text);
        return;
    }
    c->target = s;
    rc = stream_query(s, QUERY_CONFIRMED, &answer);
    if (rc != RC_OK || answer == CONFIRMED_YES) {
        ask_far_end(c, rc == RC_UNSUPPORTED);
        return;
    }
    (void)stream_query(s, QUERY_EXPEDITE, NULL);
    wait = wait < PARK_WAIT_MIN_MS   ? PARK_WAIT_MIN_MS
           : wait > PARK_WAIT_MAX_MS ? PARK_WAIT_MAX_MS
                                     : wait;
    if (!timer_start(&c->park, wait)) {
        let_in(c);
        return;
    }
    stream_want(s, STREAM_IN, on_far_event, c);
}

static bool is_admitted(const struct tun_handler *h, const struct addr *client)
{
    return !h->setup.admitted || h->setup.admitted(h->setup.admitted_arg, client);
}

static bool is_bypassed(const struct tun_handler *h, const char *network, const struct target *t)
{
    return h->setup.bypassed && h->setup.bypassed(h->setup.bypassed_arg, network, t);
}

static void on_flow(void *arg, struct tungo_flow *f)
{
    struct tun_handler *h = arg;
    const struct addr *client = tungo_flow_client(f), *target = tungo_flow_target(f);
    struct dial_req req = {.client = *client};
    struct conn *c;

    if (!is_admitted(h, client)) {
        tungo_flow_refuse(f, RC_DENIED);
        return;
    }
    c = h->ending ? NULL : conn_new(h, "tcp", client, target);
    if (!c) {
        tungo_flow_refuse(f, RC_NOMEM);
        return;
    }
    c->flow = f;
    timer_init(h->setup.loop, &c->park, on_park_over);
    tungo_flow_set_user(f, c);
    if (is_bypassed(h, "tcp", &c->report.target)) {
        refuse(c, RC_DENIED, "bypass");
        return;
    }
    req.target = c->report.target;
    req.v6_only = h->cfg->ipv6 && client->family == AF_INET6;
    c->dial = router_dial(h->setup.router, &req, on_dialled, c);
    if (!c->dial)
        refuse(c, RC_NOMEM, NULL);
}

static void on_flow_gone(void *arg, struct tungo_flow *f)
{
    struct conn *c = tungo_flow_user(f);

    (void)arg;
    if (!c)
        return;
    c->flow = NULL;
    report_failed(&c->report, RC_CANCELED, "the client gave up", loop_now_ms(c->h->setup.loop));
    conn_free(c);
}

/* ---------------------------------------------------------------- UDP */

static enum rc on_udp(void *arg, const struct addr *client, const struct addr *dst,
                      const void *data, size_t n, struct tungo_udp_route *ret_route)
{
    struct tun_handler *h = arg;
    struct udp_route route = {0};
    struct diag diag = {0};
    struct target t;
    enum rc rc;

    (void)data;
    (void)n;
    target_from_addr(&t, dst);
    if (!is_admitted(h, client))
        return RC_DENIED;
    rc = is_bypassed(h, "udp", &t) ? diag_set(&diag, RC_DENIED, "bypass")
                                   : router_udp_route(h->setup.router, &t, &route, &diag);
    if (rc != RC_OK) {
        struct report r;

        report_init(&r, h->setup.service, "tungo", "udp", client, loop_now_ms(h->setup.loop));
        r.target = t;
        report_failed(&r, rc, diag.text, r.started_ms);
        return rc;
    }
    ret_route->id = route.id;
    ret_route->fixed = route.fixed;
    ret_route->empty_apart = route.empty_apart;
    return RC_OK;
}

static void on_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct conn *c = arg;

    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    if (d) {
        report_connected(&c->report);
        tungo_udp_ready(c->h->setup.tungo, c->ud, d, RC_OK);
        return; /* on_udp_gone ends the conn */
    }
    report_failed(&c->report, res->rc, res->diag.text, loop_now_ms(c->h->setup.loop));
    tungo_udp_set_user(c->ud, NULL);
    tungo_udp_ready(c->h->setup.tungo, c->ud, NULL, res->rc);
    conn_free(c);
}

static void on_udp_open(void *arg, struct udp_dest *ud, const struct tungo_udp_route *route,
                        const struct addr *client, const struct addr *dst)
{
    struct tun_handler *h = arg;
    struct dial_req req = {.client = *client};
    struct conn *c = h->ending ? NULL : conn_new(h, "udp", client, dst);

    if (c) {
        c->ud = ud;
        timer_init(h->setup.loop, &c->park, on_park_over); /* never started for UDP */
        tungo_udp_set_user(ud, c);
        req.first = c->report.target;
        if (route->fixed)
            req.target = c->report.target;
        c->dial = router_dial_dgram(h->setup.router, &req, on_dgram, c);
        if (c->dial)
            return;
        tungo_udp_set_user(ud, NULL);
        conn_free(c);
    }
    tungo_udp_ready(h->setup.tungo, ud, NULL, RC_NOMEM);
}

static void on_udp_gone(void *arg, struct udp_dest *ud, uint64_t up_bytes, uint64_t down_bytes)
{
    struct tun_handler *h = arg;
    struct conn *c = tungo_udp_user(ud);
    struct splice_result res = {.up_bytes = up_bytes, .down_bytes = down_bytes};

    if (!c)
        return;
    res.duration_ms = loop_now_ms(h->setup.loop) - c->report.started_ms;
    report_ended(&c->report, &res);
    conn_free(c);
}

/* ---------------------------------------------------------------- the plug-in */

static bool is_node(void *arg, const struct addr *a)
{
    struct tun_handler *h = arg;
    char text[ADDR_TEXT_MAX];

    if (!router_is_node(h->setup.router, a))
        return false;
    if (!h->told_of_loop)
        log_warn("%s: routing loop: a flow to the node %s came in through the TUN device; refused. "
                 "Set `interface` on the "
                 "hop (or so_mark with a rule), or add a route to the node beside the device",
                 h->setup.service, addr_format(a, text, sizeof text));
    h->told_of_loop = true;
    return true;
}

static enum rc tungo_handler_init(struct handler *handler, const struct handler_setup *setup,
                                  struct diag *diag)
{
    struct tun_handler *h;
    struct tungo_options *cfg = handler->cfg;
    struct tungo_events ev = {on_flow, on_flow_gone, on_udp, on_udp_open, on_udp_gone, NULL};
    struct tungo_cfg tc;

    if (!setup->tungo)
        return diag_set(diag, RC_INVALID, "handler tungo works only with listener tungo");
    h = calloc(1, sizeof *h);
    if (!h)
        return diag_set(diag, RC_NOMEM, "no memory");
    h->setup = *setup;
    h->cfg = cfg;
    handler->state = h;
    ev.arg = h;
    tc = (struct tungo_cfg){
        .udp_timeout_ms = (uint32_t)cfg->udp_timeout_ms,
        .udp_buffer_bytes = (uint32_t)cfg->udp_buffer_bytes,
        .tcp_receive_bytes = (uint32_t)cfg->tcp_receive_bytes,
        .tcp_send_bytes = (uint32_t)cfg->tcp_send_bytes,
    };
    tungo_configure(setup->tungo, &tc);
    tungo_set_loop_guard(setup->tungo, is_node, h);
    tungo_set_events(setup->tungo, &ev);
    return RC_OK;
}

static void tungo_handler_done(struct handler *handler)
{
    struct tun_handler *h = handler->state;

    if (!h)
        return;
    h->ending = true;
    while (h->conns) {
        struct conn *c = h->conns;

        if (c->flow) {
            struct tungo_flow *f = c->flow;

            c->flow = NULL;
            tungo_flow_refuse(f, RC_CANCELED);
        } else if (c->ud) {
            struct udp_dest *ud = c->ud;

            tungo_udp_set_user(ud, NULL);
            c->ud = NULL;
            if (c->dial) {
                dial_cancel(c->dial);
                c->dial = NULL;
                tungo_udp_ready(h->setup.tungo, ud, NULL, RC_CANCELED);
            }
        }
        if (c->splice)
            splice_free(c->splice);
        conn_free(c);
    }
    tungo_set_loop_guard(h->setup.tungo, NULL, NULL);
    loop_free_later(h->setup.loop, &h->deferred, free, h);
    handler->state = NULL;
}

const struct handler_type handler_tungo = {
    .name = "tungo",
    .options = options,
    .cfg_bytes = sizeof(struct tungo_options),
    .init = tungo_handler_init,
    .done = tungo_handler_done,
};
