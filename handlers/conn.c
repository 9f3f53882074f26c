/* handlers/conn.c - one client of a socket handler. Contract in handlers/conn.h.
 *
 * Who may hold a conn when it dies: its streams' events (closed), its timer (stopped), its dial
 * (canceled), its splice (freed, or it called done), the protocol's own things (ops->done).
 * conn_end() is the one end; the memory goes at the end of the turn.
 */
#include "handlers/conn.h"
#include "chain/node.h"
#include "core/auther.h"
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/secret.h"
#include "core/splice.h"
#include "listeners/listener.h"
#include <stdlib.h>

enum {
    IN_FIRST_BYTES = 1024,
    AHEAD_MAX_BYTES = 16 * 1024, /* read while the dial is under way */
    JOIN_MAX_BYTES = 16 * 1024,  /* of the target, joined to a reply */
    DRAIN_MAX_BYTES = 64 * 1024,
    DRAIN_MS = 500,
    CONFIRM_MIN_MS = 20,
    CONFIRM_MAX_MS = 250,
    CONFIRM_EAGER_MS = 15000, /* for a node that is known to confirm before any payload */
    HALF_OPEN_MS =
        15 * 60 * 1000, /* silence that the second direction may keep after the first ended */
    USER_MAX_BYTES = 255
};

static void on_client(struct stream *s, unsigned ready, void *arg);
static void on_timer(struct timer *t);

/* ---------------------------------------------------------------- front, birth and end */

void front_init(struct front *f, const struct handler_setup *setup, const char *handler,
                int64_t header_ms)
{
    *f = (struct front){.setup = *setup, .handler = handler};
    f->header_ms = header_ms > 0 && header_ms < UINT32_MAX ? (uint32_t)header_ms : CONN_HEADER_MS;
}

void front_free(struct front *f)
{
    if (!f)
        return;
    f->ending = true;
    while (f->conns)
        conn_end(f->conns, NULL);
    loop_free_later(f->setup.loop, &f->deferred, free, f);
}

struct loop *conn_loop(const struct conn *c)
{
    return c->front->setup.loop;
}

static void arm(struct conn *c, uint32_t ms)
{
    if (!timer_start(&c->timer, ms))
        conn_drop(c, RC_NOMEM, "no memory for a timer");
}

static struct conn *conn_new(struct front *f, const struct conn_ops *ops, const char *network,
                             const struct client_info *info)
{
    struct conn *c = f->ending ? NULL : calloc(1, ops->bytes);
    if (!c)
        return NULL;
    c->ops = ops;
    c->front = f;
    c->local = info->local;
    c->next = f->conns;
    c->link = &f->conns;
    if (c->next)
        c->next->link = &c->next;
    f->conns = c;
    report_init(&c->report, f->setup.service, f->handler, network, &info->peer,
                loop_now_ms(f->setup.loop));
    timer_init(f->setup.loop, &c->timer, on_timer);
    return c;
}

void conn_serve(struct front *f, const struct conn_ops *ops, struct stream *s,
                const struct client_info *info)
{
    struct conn *c = conn_new(f, ops, "tcp", info);
    if (!c) {
        stream_abort(s);
        return;
    }
    c->client = s;
    arm(c, f->header_ms);
    if (c->state != CONN_OVER)
        stream_want(s, STREAM_OPEN, on_client, c);
}

void conn_serve_dgram(struct front *f, const struct conn_ops *ops, struct dgram *d,
                      const struct client_info *info)
{
    struct conn *c = conn_new(f, ops, "udp", info);
    if (!c) {
        dgram_close(d);
        return;
    }
    c->client_dgram = d;
    c->state = CONN_OTHER;
    ops->step(c);
}

void conn_end(struct conn *c, const struct splice_result *res)
{
    if (c->state == CONN_OVER)
        return;
    c->state = CONN_OVER;
    if (res) {
        struct splice_result sum = *res;
        sum.up_bytes += c->up_bytes;
        sum.down_bytes += c->down_bytes;
        report_ended(&c->report, &sum);
    }
    timer_stop(&c->timer);
    if (c->dial)
        dial_cancel(c->dial);
    if (c->ops->done)
        c->ops->done(c);
    splice_free(c->splice);
    stream_close(c->target);
    stream_close(c->client);
    dgram_close(c->client_dgram);
    node_unref(c->node);
    if (c->in)
        secret_wipe(c->in, c->in_cap);
    free(c->in);
    free(c->out);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->dial = NULL;
    c->splice = NULL;
    c->client = c->target = NULL;
    c->client_dgram = NULL;
    loop_free_later(conn_loop(c), &c->deferred, free, c);
}

void conn_drop(struct conn *c, enum rc rc, const char *reason)
{
    if (c->state == CONN_OVER)
        return;
    report_failed(&c->report, rc, reason, loop_now_ms(conn_loop(c)));
    conn_end(c, NULL);
}

static void drop_stream(struct conn *c, struct stream *s, enum rc rc)
{
    conn_drop(c, rc, stream_diag(s)->text);
}

/* ---------------------------------------------------------------- reading */

void conn_consume(struct conn *c, size_t n)
{
    BUG_ON(n > c->in_len);
    c->in_len -= n;
    if (c->in_len > 0 && n > 0)
        memmove(c->in, c->in + n, c->in_len);
}

static bool grow_in(struct conn *c, size_t max)
{
    size_t cap = c->in_cap ? c->in_cap * 2 : IN_FIRST_BYTES;
    if (cap > max)
        cap = max;
    if (cap <= c->in_cap)
        return false;
    char *p = malloc(cap);
    if (!p)
        return false;
    if (c->in) {
        memcpy(p, c->in, c->in_len);
        secret_wipe(c->in, c->in_cap); /* credentials pass through here */
        free(c->in);
    }
    c->in = p;
    c->in_cap = cap;
    return true;
}

enum rc conn_fill(struct conn *c, size_t max)
{
    size_t n;
    if (c->in_len == c->in_cap && !grow_in(c, max))
        return RC_LIMIT;
    enum rc rc = stream_recv(c->client, c->in + c->in_len, c->in_cap - c->in_len, &n);
    if (rc == RC_OK)
        c->in_len += n;
    return rc;
}

static void step(struct conn *c)
{
    c->ops->step(c);
    if (c->state == CONN_REQUEST)
        stream_want(c->client, STREAM_IN, on_client, c);
}

static void read_request(struct conn *c)
{
    enum rc rc = conn_fill(c, c->ops->in_max);
    if (rc == RC_OK)
        step(c);
    else if (rc == RC_EOF)
        conn_drop(c, RC_CANCELED, "the client left before its request was complete");
    else if (rc == RC_LIMIT)
        conn_drop(c, RC_LIMIT, "the request is too long");
    else if (rc != RC_AGAIN)
        drop_stream(c, c->client, rc);
}

void conn_next_request(struct conn *c, uint32_t deadline_ms)
{
    c->state = CONN_REQUEST;
    arm(c, deadline_ms);
    if (c->state == CONN_REQUEST)
        step(c);
}

static void open_client(struct conn *c)
{
    enum rc rc = stream_open(c->client);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        drop_stream(c, c->client, rc);
        return;
    }
    struct addr peer; /* the ws floor knows it from a forwarding header */
    if (stream_query(c->client, QUERY_PEER_ADDR, &peer) == RC_OK && peer.family != 0)
        c->report.client = peer;
    c->state = CONN_REQUEST;
    step(c);
}

void conn_reopen(struct conn *c)
{
    c->state = CONN_OPEN_WAIT;
    arm(c, c->front->header_ms);
    if (c->state == CONN_OPEN_WAIT)
        stream_want(c->client, STREAM_OPEN, on_client, c);
}

void conn_hand_over(struct conn *c, struct handler *h)
{
    struct client_info info = {.peer = c->report.client, .local = c->local};
    struct stream *s = c->client;
    if (replay_push(s, c->in, c->in_len) != RC_OK) {
        conn_drop(c, RC_NOMEM, "no memory");
        return;
    }
    stream_want(s, 0, NULL, NULL);
    c->client = NULL;
    conn_end(c, NULL);
    h->type->serve(h, s, &info);
}

bool conn_auth(struct conn *c, struct slice user, struct slice pass)
{
    char u[USER_MAX_BYTES + 1] = "", p[USER_MAX_BYTES + 1] = "";
    bool ok = user.n <= USER_MAX_BYTES && pass.n <= USER_MAX_BYTES &&
              !(user.n > 0 && memchr(user.p, 0, user.n)) &&
              !(pass.n > 0 && memchr(pass.p, 0, pass.n));
    if (ok) {
        if (user.n > 0)
            memcpy(u, user.p, user.n);
        if (pass.n > 0)
            memcpy(p, pass.p, pass.n);
        ok = auther_check(c->front->setup.auther, u, p);
    }
    secret_wipe(p, sizeof p);
    if (ok && c->front->setup.auther) {
        size_t n = user.n < sizeof c->user ? user.n : sizeof c->user - 1;
        memcpy(c->user, u, n);
        c->user[n] = '\0';
        c->report.user = c->user;
    }
    return ok;
}

bool conn_bypassed(const struct conn *c, const char *network, const struct target *t)
{
    const struct handler_setup *s = &c->front->setup;
    return s->bypassed && s->bypassed(s->bypassed_arg, network, t);
}

/* ---------------------------------------------------------------- replying */

static void flush(struct conn *c)
{
    while (c->out_sent < c->out_len) {
        struct iovec v = {c->out + c->out_sent, c->out_len - c->out_sent};
        size_t n;
        enum rc rc = stream_send(c->client, &v, 1, &n);
        if (rc == RC_AGAIN) {
            stream_want(c->client, STREAM_OUT, on_client, c);
            return;
        }
        if (rc != RC_OK) {
            drop_stream(c, c->client, rc);
            return;
        }
        c->out_sent += n;
    }
    free(c->out);
    c->out = NULL;
    stream_want(c->client, 0, NULL, NULL);
    c->then(c);
}

/* Room in out for n bytes; out is empty before. */
static bool out_room(struct conn *c, size_t n)
{
    free(c->out);
    c->out = malloc(n > 0 ? n : 1);
    c->out_len = c->out_sent = 0;
    if (!c->out)
        conn_drop(c, RC_NOMEM, "no memory for a reply");
    return c->out != NULL;
}

static void send_out(struct conn *c, conn_then_fn *then)
{
    c->then = then;
    c->state = CONN_REPLY;
    arm(c, CONN_HEADER_MS);
    if (c->state == CONN_REPLY)
        flush(c);
}

void conn_reply(struct conn *c, const void *buf, size_t n, conn_then_fn *then)
{
    if (!out_room(c, n))
        return;
    if (n > 0)
        memcpy(c->out, buf, n);
    c->out_len = n;
    send_out(c, then);
}

static void drain(struct conn *c)
{
    char waste[4096];
    size_t n;
    enum rc rc = stream_shut(c->client);
    unsigned want = rc == RC_AGAIN ? STREAM_IN | STREAM_OUT : STREAM_IN;

    while (c->drained < DRAIN_MAX_BYTES) {
        rc = stream_recv(c->client, waste, sizeof waste, &n);
        if (rc == RC_AGAIN) {
            stream_want(c->client, want, on_client, c);
            return;
        }
        if (rc != RC_OK)
            break;
        c->drained += n;
    }
    conn_end(c, NULL);
}

void conn_linger(struct conn *c)
{
    c->state = CONN_DRAIN;
    c->drained = 0;
    arm(c, DRAIN_MS);
    if (c->state == CONN_DRAIN)
        drain(c);
}

void conn_refuse(struct conn *c, const void *reply, size_t n, enum rc rc, const char *reason)
{
    report_failed(&c->report, rc, reason, loop_now_ms(conn_loop(c)));
    stream_close(c->target);
    c->target = NULL;
    conn_reply(c, reply, n, conn_linger);
}

/* ---------------------------------------------------------------- dialling */

/* While the dial is under way: what the client says meanwhile, and whether it is still there. */
static void read_ahead(struct conn *c)
{
    size_t max = c->in_cap > AHEAD_MAX_BYTES ? c->in_cap : AHEAD_MAX_BYTES;
    enum rc rc = conn_fill(c, max);
    if (rc == RC_OK || rc == RC_AGAIN)
        return;
    stream_want(c->client, 0, NULL, NULL); /* full, or ended: the splice goes on from there */
    if (rc != RC_EOF && rc != RC_LIMIT)
        drop_stream(c, c->client, rc);
}

static void watch_client(struct conn *c)
{
    if (c->client)
        stream_want(c->client, STREAM_IN, on_client, c);
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
    if (rc == RC_OK && c->node)
        c->node->eager = true;
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

/* The wait is over: the answer is taken for yes (a GOST server is silent until the target speaks).
 */
static void go_unconfirmed(struct conn *c)
{
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
    uint64_t wait = 2 * res->handshake_ms;
    if (wait < CONFIRM_MIN_MS)
        wait = CONFIRM_MIN_MS;
    if (wait > CONFIRM_MAX_MS)
        wait = CONFIRM_MAX_MS;
    if (res->node && res->node->eager)
        wait = CONFIRM_EAGER_MS;
    c->node = res->node ? node_ref(res->node) : NULL;
    c->state = CONN_CONFIRM;
    (void)stream_query(c->target, QUERY_EXPEDITE, NULL);
    arm(c, (uint32_t)wait);
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

void conn_dial(struct conn *c, const struct target *t)
{
    struct dial_req req = {.target = *t, .client = c->report.client};
    begin_dial(c, t, "tcp");
    c->dial = router_dial(c->front->setup.router, &req, on_dialled, c);
    if (c->dial)
        watch_client(c);
    else
        c->ops->dialled(c, RC_NOMEM, "no memory for a dial");
}

static void on_dialled_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    struct conn *c = arg;
    c->dial = NULL;
    memcpy(c->report.route, res->route, sizeof c->report.route);
    c->ops->dialled_dgram(c, d, res->rc, res->diag.text);
}

void conn_dial_dgram(struct conn *c, const struct target *t)
{
    struct dial_req req = {.target = *t, .client = c->report.client};
    begin_dial(c, t, "udp");
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

static void start_splice(struct conn *c)
{
    struct splice_cfg cfg = {.idle_ms = c->front->idle_ms, .half_open_ms = HALF_OPEN_MS};
    enum rc rc = send_early(c);
    if (rc != RC_OK) {
        conn_drop(c, rc, rc == RC_NOMEM ? "no memory" : stream_diag(c->target)->text);
        return;
    }
    free(c->in);
    c->in = NULL;
    c->in_len = c->in_cap = 0;
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
        start_splice(c);
        return;
    }
    c->state = CONN_GRACE;
    arm(c, c->front->reply_grace_ms);
    if (c->state == CONN_GRACE)
        stream_want(c->client, STREAM_IN, on_client, c);
}

void conn_splice(struct conn *c, const void *reply, size_t n)
{
    if (n == 0)
        start_splice(c);
    else
        conn_reply(c, reply, n, begin_grace);
}

void conn_splice_joined(struct conn *c, const void *reply, size_t n)
{
    size_t more = 0;
    if (!out_room(c, n + JOIN_MAX_BYTES))
        return;
    memcpy(c->out, reply, n);
    /* EOF or a failure of the target comes again when the splice reads. */
    if (stream_recv(c->target, c->out + n, JOIN_MAX_BYTES, &more) != RC_OK)
        more = 0;
    c->out_len = n + more;
    c->down_bytes += more;
    send_out(c, start_splice);
}

/* ---------------------------------------------------------------- events */

static void on_client(struct stream *s, unsigned ready, void *arg)
{
    struct conn *c = arg;
    (void)s;
    (void)ready;
    switch (c->state) {
    case CONN_OPEN_WAIT:
        open_client(c);
        break;
    case CONN_REQUEST:
        read_request(c);
        break;
    case CONN_REPLY:
        flush(c);
        break;
    case CONN_DIAL:
    case CONN_CONFIRM:
        read_ahead(c);
        break;
    case CONN_GRACE:
        start_splice(c);
        break;
    case CONN_DRAIN:
        drain(c);
        break;
    case CONN_SPLICE:
    case CONN_OTHER:
    case CONN_OVER:
        break;
    }
}

static void on_timer(struct timer *t)
{
    struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
    switch (c->state) {
    case CONN_OPEN_WAIT:
        conn_drop(c, RC_TIMEOUT, "the client's handshake took too long");
        break;
    case CONN_REQUEST:
        conn_drop(c, RC_TIMEOUT, "no complete request in time");
        break;
    case CONN_REPLY:
        conn_drop(c, RC_TIMEOUT, "the client does not read its reply");
        break;
    case CONN_CONFIRM:
        go_unconfirmed(c);
        break;
    case CONN_GRACE:
        start_splice(c);
        break;
    case CONN_DRAIN:
        conn_end(c, NULL);
        break;
    case CONN_DIAL:
    case CONN_SPLICE:
    case CONN_OTHER:
    case CONN_OVER:
        break;
    }
}
