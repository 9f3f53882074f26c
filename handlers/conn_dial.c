/* handlers/conn_dial.c - the middle of a conn's life: dialling, the far end's word, the splice.
 * Contract in handlers/conn.h, the rest in handlers/conn.c.
 */
#include "chain/node.h"
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/splice.h"
#include "handlers/confirm.h"
#include "handlers/conn_in.h"
#include <stdlib.h>

enum {
    AHEAD_MAX_BYTES = 16 * 1024, /* read while the dial is under way */
    JOIN_MAX_BYTES = 16 * 1024,  /* of the target, joined to a reply */
    /* silence that the second direction may keep after the first ended */
    HALF_OPEN_MS = 15 * 60 * 1000
};

/* ---------------------------------------------------------------- dialling */

/* While the dial is under way: what the client says meanwhile, and whether it is still there. */
void conn_read_ahead(struct conn *c)
{
    size_t max = c->in_cap > AHEAD_MAX_BYTES ? c->in_cap : AHEAD_MAX_BYTES;
    enum rc rc = conn_fill(c, max);
    if (rc == RC_OK || rc == RC_AGAIN)
        return;
    /* full, or ended: the splice goes on from there */
    stream_want(c->client, STREAM_GONE, conn_on_client, c);
    if (rc != RC_EOF && rc != RC_LIMIT)
        conn_drop_stream(c, c->client, rc);
}

static void on_session_gone(struct dgram *d, unsigned ready, void *arg)
{
    (void)d;
    (void)ready;
    conn_drop(arg, RC_CANCELED, "the client's session ended");
}

static void watch_client(struct conn *c)
{
    if (c->client)
        stream_want(c->client, STREAM_IN, conn_on_client, c);
    if (c->client_dgram)
        dgram_want(c->client_dgram, STREAM_GONE, on_session_gone, c);
}

static void begin_dial(struct conn *c, const struct target *t, const char *network)
{
    timer_stop(&c->timer);
    c->state = CONN_DIAL;
    c->report.target = *t;
    c->report.network = network;
}

static void confirmed(struct conn *c, enum rc rc)
{
    timer_stop(&c->timer);
    if (c->target)
        stream_want(c->target, 0, NULL, NULL);
    if (rc == RC_OK)
        confirm_learn(c->node, true);
    node_unref(c->node);
    c->node = NULL;
    char reason[sizeof stream_diag(c->target)->text] = "";
    if (rc != RC_OK) {
        memcpy(reason, stream_diag(c->target)->text, sizeof reason);
        stream_close(c->target);
        c->target = NULL;
    }
    c->ops->dialled(c, rc, reason);
}

/* Asks the far end; false: it does not know yet. */
static bool ask_far_end(struct conn *c)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(c->target, QUERY_CONFIRMED, &answer);
    if (rc == RC_AGAIN || (rc == RC_OK && answer == CONFIRMED_PENDING))
        return false;
    confirmed(c, rc == RC_UNSUPPORTED ? RC_OK : rc);
    return true;
}

static void on_far_end(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    (void)ask_far_end(arg);
}

/* The wait is over: the answer is taken for yes (a GOST server is silent until the target speaks),
 * and nobody waits that long for this node again until it has confirmed once more. */
void conn_go_unconfirmed(struct conn *c)
{
    confirm_learn(c->node, false);
    node_unref(c->node);
    c->node = NULL;
    confirmed(c, RC_OK);
}

static void await_far_end(struct conn *c, const struct dial_result *res)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(c->target, QUERY_CONFIRMED, &answer);
    if (rc != RC_OK || answer == CONFIRMED_YES) {
        confirmed(c, rc == RC_UNSUPPORTED ? RC_OK : rc);
        return;
    }
    /* A client that sent its data ahead does not wait for our answer; the far end may wait for the
     * data. */
    if (c->in_len > 0 || c->impatient) {
        confirmed(c, RC_OK);
        return;
    }
    c->node = res->node ? node_ref(res->node) : NULL;
    c->state = CONN_CONFIRM;
    (void)stream_query(c->target, QUERY_EXPEDITE, NULL);
    conn_arm(c, confirm_wait_ms(c->node, res->handshake_ms));
    if (c->state == CONN_CONFIRM)
        stream_want(c->target, STREAM_IN, on_far_end, c);
}

static void on_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    struct conn *c = arg;
    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    c->target = s;
    if (res->rc == RC_OK)
        await_far_end(c, res);
    else
        c->ops->dialled(c, res->rc, res->diag.text);
}

/* In another namespace the same address may be somebody else's where we dial. */
static struct addr arrived(const struct conn *c)
{
    return c->front->setup.netns ? (struct addr){.family = 0} : c->local;
}

void conn_dial(struct conn *c, const struct target *t)
{
    struct dial_req req = {.target = *t,
                           .client = c->report.client,
                           .dest = c->dest,
                           .proxy_protocol = c->proxy_protocol,
                           .verbatim = c->verbatim,
                           .arrived = arrived(c)};
    begin_dial(c, t, "tcp");
    c->dial = router_dial(c->front->setup.router, &req, on_dialled, c);
    if (c->dial)
        watch_client(c);
    else
        c->ops->dialled(c, RC_NOMEM, "no memory for a dial");
}

/* No node of the chain serves every destination, as was thought; but each by itself. Or the chain
 * is not to be had, but rules may send some of them elsewhere. */
static bool each_by_itself(const struct conn *c, enum rc rc)
{
    const struct target everywhere = {.name = ""};
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};
    if (rc != RC_OK && rc != RC_NOMEM && c->anywhere && router_has_rules(c->front->setup.router))
        return true;
    return rc == RC_UNSUPPORTED && c->anywhere &&
           router_udp_route(c->front->setup.router, &everywhere, &route, &diag) == RC_OK &&
           route.fixed;
}

static void on_dialled_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct conn *c = arg;
    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    if (d && res->dns_tcp)
        report_dns_over_tcp(&c->report, &c->front->told_dns_tcp);
    if (each_by_itself(c, res->rc))
        c->ops->dialled_dgram(c, NULL, RC_OK, "");
    else
        c->ops->dialled_dgram(c, d, res->rc, res->diag.text);
}

void conn_dial_dgram(struct conn *c, const struct target *t)
{
    const struct target everywhere = {.name = ""};
    struct dial_req req = {.target = t ? *t : everywhere,
                           .client = c->report.client,
                           .dest = c->dest,
                           .verbatim = c->verbatim && t != NULL,
                           .arrived = arrived(c),
                           .one = t != NULL};
    begin_dial(c, &req.target, "udp");
    c->anywhere = !t;
    c->dial = router_dial_dgram(c->front->setup.router, &req, on_dialled_dgram, c);
    if (c->dial)
        watch_client(c);
    else
        c->ops->dialled_dgram(c, NULL, RC_NOMEM, "no memory for a dial");
}

/* ---------------------------------------------------------------- splicing */

static void on_spliced(void *arg, const struct splice_result *res)
{
    struct conn *c = arg;
    c->splice = NULL;
    conn_end(c, res);
}

/* What the client said early goes to the target; what does not fit is put in front of the rest. */
static enum rc send_early(struct conn *c)
{
    struct iovec v = {c->in, c->in_len};
    size_t n = 0;
    if (c->in_len == 0)
        return RC_OK;
    enum rc rc = stream_send(c->target, &v, 1, &n);
    if (rc == RC_OK) {
        c->up_bytes += n;
        conn_consume(c, n);
        if (c->in_len == 0)
            return RC_OK;
    } else if (rc != RC_AGAIN) {
        return rc;
    }
    return replay_push(c->client, c->in, c->in_len);
}

void conn_start_splice(struct conn *c)
{
    struct splice_cfg cfg = {.idle_ms = c->front->idle_ms, .half_open_ms = HALF_OPEN_MS};
    enum rc rc = send_early(c);
    if (rc != RC_OK) {
        conn_drop(c, rc, rc == RC_NOMEM ? "no memory" : stream_diag(c->target)->text);
        return;
    }
    conn_free_in(c);
    timer_stop(&c->timer);
    report_connected(&c->report);
    struct stream *client = c->client, *target = c->target;
    c->client = c->target = NULL;
    c->state = CONN_SPLICE;
    c->splice = splice_start(client, target, &cfg, on_spliced, c);
    if (!c->splice)
        conn_drop(c, RC_NOMEM, "no memory for a splice");
}

static void begin_grace(struct conn *c)
{
    int fd;
    bool plain = stream_query(c->client, QUERY_FD, &fd) == RC_OK;
    if (!plain || c->in_len > 0 || c->front->reply_grace_ms == 0) {
        conn_start_splice(c);
        return;
    }
    c->state = CONN_GRACE;
    conn_arm(c, c->front->reply_grace_ms);
    if (c->state == CONN_GRACE)
        stream_want(c->client, STREAM_IN, conn_on_client, c);
}

void conn_splice(struct conn *c, const void *reply, size_t n)
{
    if (n == 0)
        conn_start_splice(c);
    else
        conn_reply(c, reply, n, begin_grace);
}

void conn_splice_joined(struct conn *c, const void *reply, size_t n)
{
    size_t more = 0;
    if (!conn_out_room(c, n + JOIN_MAX_BYTES))
        return;
    memcpy(c->out, reply, n);
    /* EOF or a failure of the target comes again when the splice reads. */
    if (stream_recv(c->target, c->out + n, JOIN_MAX_BYTES, &more) != RC_OK)
        more = 0;
    c->out_len = n + more;
    c->down_bytes += more;
    conn_send_out(c, conn_start_splice);
}
