/* handlers/tungo_tcp.c - a TCP flow of the device, from its SYN to its last byte.
 * gost-config.md 4.6, 5.4, 5.5.
 *
 *   SYN -> dial -> let in -> splice              no sniffing: the client sees the truth
 *   SYN -> let in -> sniff -> dial -> splice     the first bytes decide where to
 *   SYN -> let in -> questions and answers       to port 53, where tungodns.h says so
 *
 * Without sniffing the SYN stays parked while the target is dialled: refused, unreachable, or a
 * connection that works. A carrier that cannot tell (a silent relay server) is given parkWait, then
 * the SYN is let in. The same where DNS has told the flow's name. With sniffing the name found is
 * dialled, with the port that was asked for, and rules see the name; without one everything is as
 * for the address. An HTTP connection's later request for another host ends the splice, and that is
 * dialled (tungohttp.h); the same for a later DNS question that goes another way
 * (tungoquestions.h).
 */
#include "chain/node.h"
#include "core/log.h"
#include "core/splice.h"
#include "core/stream.h"
#include "handlers/confirm.h"
#include "handlers/tungo_inside.h"
#include "handlers/tungohttp.h"
#include "handlers/tungoquestions.h"
#include <string.h>

enum {
    HALF_OPEN_MS = 600 * 1000, /* what a side that still sends may pause after the other ended */
    SNIFF_MS = 300,
    DNS_PORT = 53,
    LINGER_MS = 2000 /* silence of a target after a request to another host was seen */
};

/* The flow ends without a target. Who was let in gets a reset, unless a rule forbids it. */
static void fail(struct tun_conn *c, enum rc rc, const char *reason)
{
    struct tungo_flow *f = c->flow;

    report_failed(&c->report, rc, reason, loop_now_ms(c->h->setup.loop));
    c->flow = NULL;
    if (f)
        tungo_flow_refuse(f, rc);
    if (c->client && rc != RC_DENIED) {
        stream_abort(c->client);
        c->client = NULL;
    }
    tun_conn_free(c);
}

/* ---------------------------------------------------------------- splice */

static void go_on(struct tun_conn *c);

/* A request or a question that goes elsewhere. */
static bool has_next(const struct tun_conn *c)
{
    return c->asks_dns ? tungoquestions_has_next(c->requests) : tungohttp_has_next(c->requests);
}

static void on_spliced(void *arg, const struct splice_result *res)
{
    struct tun_conn *c = arg;

    c->splice = NULL;
    timer_stop(&c->linger);
    report_ended(&c->report, res);
    if (c->requests && (res->diag.rc == RC_OK || res->diag.rc == RC_CANCELED)) {
        c->client = c->kept;
        if (has_next(c)) {
            go_on(c);
            return;
        }
    }
    tun_conn_free(c);
}

/* The target has heard that no more requests come: most end at once. */
static void on_linger(struct timer *timer)
{
    struct tun_conn *c = (struct tun_conn *)((char *)timer - offsetof(struct tun_conn, linger));
    uint64_t up, down;

    if (!c->splice)
        return;
    splice_bytes(c->splice, &up, &down);
    if (down == c->answered_bytes || !timer_start(&c->linger, LINGER_MS))
        splice_stop(c->splice);
    c->answered_bytes = down;
}

static void on_other(void *arg)
{
    struct tun_conn *c = arg;
    uint64_t up;

    if (!c->splice)
        return;
    splice_bytes(c->splice, &up, &c->answered_bytes);
    if (!timer_start(&c->linger, LINGER_MS))
        splice_stop(c->splice);
}

/* Do the rules send this question where those before it went? */
static bool goes_the_same_way(void *arg, const struct sniffed *found)
{
    struct tun_conn *c = arg;
    struct target original;
    struct handler_plan plan;

    target_from_addr(&original, &c->dst);
    tun_plan(c->h->cfg, found, &original, &plan);
    return !tun_is_bypassed(c->h, "tcp", &plan.rule) &&
           router_same_way(c->h->setup.router, "tcp", &c->report.target, &plan.seen);
}

/* What was read is given back; later requests or questions are looked at, too. */
static bool give_back(struct tun_conn *c)
{
    enum sniff_proto proto = c->sniff->found.proto;
    enum rc rc = tungosniff_give_back(c->sniff);

    tungosniff_free(c->sniff);
    c->sniff = NULL;
    if (rc != RC_OK || (proto != SNIFF_HTTP && proto != SNIFF_DNS))
        return rc == RC_OK;
    c->asks_dns = proto == SNIFF_DNS;
    if (c->asks_dns) /* below: it sees what really passes */
        tungodns_watch(c->h->dns, c->client, &c->report.client, &c->dst);
    c->requests =
        c->asks_dns
            ? tungoquestions_layer(c->h->setup.loop,
                                   &(struct tungoquestions_cfg){goes_the_same_way, on_other, c})
            : tungohttp_layer(c->h->setup.loop, on_other, c);
    if (c->requests)
        stream_push(c->client, c->requests);
    return c->requests != NULL;
}

/* Both sides are open. */
static void start_splice(struct tun_conn *c)
{
    struct splice_cfg cfg = {.half_open_ms = HALF_OPEN_MS};
    struct stream *a = c->client, *b = c->target;

    if (c->sniff && !give_back(c)) {
        fail(c, RC_NOMEM, NULL);
        return;
    }
    c->client = c->target = NULL;
    c->kept = a;
    cfg.keep_a = c->requests != NULL;
    if (!c->requests) /* those come here once for each host: no floor more for each */
        tungodns_watch(c->h->dns, a, &c->report.client, &c->dst);
    report_connected(&c->report);
    c->splice = splice_start(a, b, &cfg, on_spliced, c);
    if (!c->splice)
        fail(c, RC_NOMEM, NULL);
}

/* ---------------------------------------------------------------- let in */

static void on_sniffed(void *arg, enum rc rc);

/* The client's handshake is done. */
static void client_is_open(struct tun_conn *c)
{
    int64_t wait_ms = c->h->cfg->sniffing_timeout_ms;
    bool dns = c->h->cfg->sniffing_udp && c->dst.port == DNS_PORT;

    if (c->target) {
        start_splice(c);
        return;
    }
    c->sniff = tungosniff_start(&c->h->sniffs, &c->report.client, c->client, dns,
                                (uint32_t)(wait_ms > 0 ? wait_ms : SNIFF_MS), on_sniffed, c);
    if (!c->sniff)
        fail(c, RC_NOMEM, NULL);
}

static void on_client_open(struct stream *s, unsigned ready, void *arg)
{
    struct tun_conn *c = arg;
    enum rc rc = stream_open(s);

    (void)ready;
    if (rc == RC_OK)
        client_is_open(c);
    else if (rc != RC_AGAIN)
        fail(c, rc, stream_diag(s)->text);
}

static void let_in(struct tun_conn *c)
{
    struct tungo_flow *f = c->flow;

    timer_stop(&c->park);
    node_unref(c->node);
    c->node = NULL;
    if (c->target)
        stream_want(c->target, 0, NULL, NULL);
    c->flow = NULL;
    c->client = tungo_flow_accept(f);
    if (!c->client) {
        fail(c, RC_NOMEM, NULL);
        return;
    }
    stream_want(c->client, STREAM_OPEN, on_client_open, c);
}

/* ---------------------------------------------------------------- parked while it is dialled */

/* Does the far end say that the target is there? */
static void ask_far_end(struct tun_conn *c, bool last_call)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(c->target, QUERY_CONFIRMED, &answer);
    bool told = rc == RC_UNSUPPORTED || (rc == RC_OK && answer == CONFIRMED_YES);

    if (rc != RC_OK && rc != RC_UNSUPPORTED && rc != RC_AGAIN) {
        fail(c, rc, stream_diag(c->target)->text);
    } else if (told || last_call) {
        confirm_learn(c->node, told);
        let_in(c);
    }
}

static void on_far_event(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    ask_far_end(arg, false);
}

static void on_park_over(struct timer *t)
{
    struct tun_conn *c = (struct tun_conn *)((char *)t - offsetof(struct tun_conn, park));

    ask_far_end(c, true);
}

/* The way to the target of a parked flow is open. */
static void ask_before_letting_in(struct tun_conn *c, const struct dial_result *res)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(c->target, QUERY_CONFIRMED, &answer);

    if (rc != RC_OK || answer == CONFIRMED_YES) {
        ask_far_end(c, rc == RC_UNSUPPORTED);
        return;
    }
    (void)stream_query(c->target, QUERY_EXPEDITE, NULL);
    c->node = res->node ? node_ref(res->node) : NULL;
    if (!timer_start(&c->park, confirm_wait_ms(c->node, res->handshake_ms))) {
        let_in(c);
        return;
    }
    stream_want(c->target, STREAM_IN, on_far_event, c);
}

/* ---------------------------------------------------------------- dial */

static dial_done_fn on_dialled;

static void on_client_gone(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    fail(arg, RC_CANCELED, "the client gave up");
}

/* t: what is dialled; seen: what rules go by, NULL: t too. */
static void dial(struct tun_conn *c, const struct target *t, const struct target *seen)
{
    struct dial_req req = {.target = *t, .client = c->report.client, .dest = c->dst};

    if (seen)
        req.seen = *seen;
    req.by_name = c->by_name;
    req.addr_known = c->named;
    req.v6_only = c->h->cfg->ipv6 && c->report.client.family == AF_INET6;
    c->dial = router_dial(c->h->setup.router, &req, on_dialled, c);
    if (!c->dial)
        fail(c, RC_NOMEM, NULL);
    else if (c->client)
        stream_want(c->client, STREAM_GONE, on_client_gone, c);
}

/* The name could not be reached; may the address be tried? A name from DNS may be nobody's at the
 * far end (a private zone), while the client was told its address. */
static bool falls_back(const struct tun_conn *c, enum rc rc)
{
    const struct tungo_handler_cfg *cfg = c->h->cfg;
    struct target original;

    target_from_addr(&original, &c->dst);
    if (!cfg->sniffing_override || target_equal(&c->report.target, &original))
        return false;
    if (c->named && (rc == RC_NAME || rc == RC_UNREACH_HOST || rc == RC_UNREACH_NET))
        return true;
    return (c->sniffed || c->named) && cfg->sniffing_fallback;
}

static void fall_back(struct tun_conn *c)
{
    struct target original;

    target_from_addr(&original, &c->dst);
    if (c->named) {
        c->named = false; /* once */
        dial(c, &original, &c->report.target);
        return;
    }
    c->report.target = original;
    if (tun_is_bypassed(c->h, "tcp", &original)) /* as without a name */
        fail(c, RC_DENIED, "bypass");
    else
        dial(c, &original, NULL);
}

static void on_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    struct tun_conn *c = arg;

    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    if (!s && falls_back(c, res->rc)) {
        fall_back(c);
        return;
    }
    if (!s) {
        fail(c, res->rc, res->diag.text);
        return;
    }
    c->target = s;
    if (c->client)
        start_splice(c);
    else
        ask_before_letting_in(c, res);
}

static void go_to(struct tun_conn *c, const struct sniffed *found)
{
    struct target original = c->report.target;
    struct handler_plan plan;

    c->sniffed = true;
    tun_plan(c->h->cfg, found, &original, &plan);
    c->report.target = plan.seen;
    if (tun_is_bypassed(c->h, "tcp", &plan.rule))
        fail(c, RC_DENIED, "bypass");
    else
        dial(c, &plan.dial, &plan.seen);
}

/* One client: its bytes were more than what is left for all others. */
static void tell_of_crowd(struct tun_conn *c)
{
    char text[ADDR_TEXT_MAX];

    if (c->h->sniffs.crowded > 0 && !c->h->told_of_crowd) {
        log_warn("%s: %s has so many first bytes under way that they are not read for names any "
                 "more; those flows go by address",
                 c->h->setup.service, addr_format_ip(&c->report.client, text, sizeof text));
        c->h->told_of_crowd = true;
    }
}

static void on_sniffed(void *arg, enum rc rc)
{
    struct tun_conn *c = arg;

    tell_of_crowd(c);
    if (rc != RC_OK)
        fail(c, rc, stream_diag(c->client)->text);
    else
        go_to(c, &c->sniff->found);
}

/* A request for another host on the same connection, or a question that goes another way. */
static void go_on(struct tun_conn *c)
{
    struct addr client = c->report.client;
    struct sniffed found;

    report_init(&c->report, c->h->setup.service, "tungo", "tcp", &client,
                loop_now_ms(c->h->setup.loop));
    target_from_addr(&c->report.target, &c->dst);
    if (c->asks_dns)
        tungoquestions_next(c->requests, &found);
    else
        tungohttp_next(c->requests, &found);
    go_to(c, &found);
}

/* ---------------------------------------------------------------- from the listener */

static void answer_dns(struct tun_handler *h, struct tungo_flow *f)
{
    struct addr client = *tungo_flow_client(f), dst = *tungo_flow_target(f);
    struct stream *s = tungo_flow_accept(f);

    if (s)
        tungodns_serve(h->dns, s, &client, &dst);
}

/* Where to is known, or asked of the first bytes. */
static void begin(struct tun_conn *c)
{
    struct target original = c->report.target, name;
    struct handler_plan plan;
    enum tungodns_known known = tungodns_name(c->h->dns, &c->report.client, &c->dst, &name);

    if (!tun_plan_known(c->h->cfg, known, &name, &original, &plan)) {
        let_in(c);
        return;
    }
    c->named = known == KNOWN_NAME;
    c->by_name = plan.by_name;
    c->report.target = plan.seen;
    if (plan.rc != RC_OK)
        fail(c, plan.rc, plan.note);
    else if (tun_is_bypassed(c->h, "tcp", &plan.rule))
        fail(c, RC_DENIED, "bypass");
    else
        dial(c, &plan.dial, &plan.seen);
}

void tun_on_flow(void *arg, struct tungo_flow *f)
{
    struct tun_handler *h = arg;
    const struct addr *client = tungo_flow_client(f);
    struct tun_conn *c;

    if (!tun_is_admitted(h, client)) {
        tungo_flow_refuse(f, RC_DENIED);
        return;
    }
    if (tungodns_takes_tcp(h->dns, tungo_flow_target(f))) {
        answer_dns(h, f);
        return;
    }
    if (router_is_dialling(h->setup.router, client, tungo_flow_target(f))) {
        tun_tell_loop(h, tungo_flow_target(f), false);
        tungo_flow_refuse(f, RC_UNREACH_HOST);
        return;
    }
    c = tun_conn_new(h, "tcp", client, tungo_flow_target(f));
    if (!c) {
        tungo_flow_refuse(f, RC_NOMEM);
        return;
    }
    c->flow = f;
    timer_init(h->setup.loop, &c->park, on_park_over);
    timer_init(h->setup.loop, &c->linger, on_linger);
    tungo_flow_set_user(f, c);
    begin(c);
}

void tun_on_flow_gone(void *arg, struct tungo_flow *f)
{
    struct tun_conn *c = tungo_flow_user(f);

    (void)arg;
    if (!c)
        return;
    c->flow = NULL;
    report_failed(&c->report, RC_CANCELED, "the client gave up", loop_now_ms(c->h->setup.loop));
    tun_conn_free(c);
}
