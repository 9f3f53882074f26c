/* handlers/conn.c - one client of a socket handler. Contract in handlers/conn.h.
 *
 * Who may hold a conn when it dies: its streams' events (closed), its timer (stopped), its dial
 * (canceled), its splice (freed, or it called done), the protocol's own things (ops->done).
 * conn_end() is the one end; the memory goes at the end of the turn.
 */
#include "chain/node.h"
#include "core/auther.h"
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/secret.h"
#include "core/splice.h"
#include "handlers/conn_in.h"
#include "listeners/listener.h"
#include <stdlib.h>

enum { IN_FIRST_BYTES = 1024, DRAIN_MAX_BYTES = 64 * 1024, DRAIN_MS = 500, USER_MAX_BYTES = 255 };

static void on_timer(struct timer *t);

/* ---------------------------------------------------------------- front, birth and end */

void front_init(struct front *f, const struct handler_setup *setup, const char *handler,
                int64_t header_ms)
{
    *f = (struct front){.setup = *setup, .handler = handler};
    f->header_ms = header_ms > 0 && header_ms < UINT32_MAX ? (uint32_t)header_ms : CONN_HEADER_MS;
}

/* Its service ends, and so does it: told as every other end is. */
static void stop(struct conn *c)
{
    uint64_t up = 0, down = 0;

    if (c->splice)
        splice_bytes(c->splice, &up, &down);
    report_stopped(&c->report, c->up_bytes + up, c->down_bytes + down, loop_now_ms(conn_loop(c)));
    conn_end(c, NULL);
}

void front_free(struct front *f)
{
    if (!f)
        return;
    f->ending = true;
    while (f->conns)
        stop(f->conns);
    loop_free_later(f->setup.loop, &f->deferred, free, f);
}

void front_done(struct handler *h)
{
    front_free(h->state);
    h->state = NULL;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->front->setup.loop;
}

void conn_arm(struct conn *c, uint32_t ms)
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
    c->announced = info->announced;
    c->dest = info->dest.family != 0 ? info->dest : info->local;
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
    conn_arm(c, f->header_ms);
    if (c->state != CONN_OVER)
        stream_want(s, STREAM_OPEN, conn_on_client, c);
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
    conn_free_in(c);
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

void conn_drop_stream(struct conn *c, struct stream *s, enum rc rc)
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

void conn_free_in(struct conn *c)
{
    if (c->in)
        secret_wipe(c->in, c->in_cap);
    free(c->in);
    c->in = NULL;
    c->in_len = c->in_cap = 0;
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
    size_t n = c->in_len;
    if (n > 0)
        memcpy(p, c->in, n);
    conn_free_in(c);
    c->in = p;
    c->in_len = n;
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
        stream_want(c->client, STREAM_IN, conn_on_client, c);
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
        conn_drop_stream(c, c->client, rc);
}

void conn_next_request(struct conn *c, uint32_t deadline_ms)
{
    c->state = CONN_REQUEST;
    conn_arm(c, deadline_ms);
    if (c->state == CONN_REQUEST)
        step(c);
}

static void open_client(struct conn *c)
{
    enum rc rc = stream_open(c->client);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        conn_drop_stream(c, c->client, rc);
        return;
    }
    struct addr peer; /* the ws floor knows it from a forwarding header */
    rc = stream_query(c->client, QUERY_PEER_ADDR, &peer);
    if (rc == RC_OK && peer.family != 0 && !c->announced)
        c->report.client = peer;
    if (rc != RC_OK && rc != RC_UNSUPPORTED) {
        conn_drop(c, RC_CANCELED, "the client left at once");
        return;
    }
    c->state = CONN_REQUEST;
    step(c);
}

void conn_reopen(struct conn *c)
{
    c->state = CONN_OPEN_WAIT;
    conn_arm(c, c->front->header_ms);
    if (c->state == CONN_OPEN_WAIT)
        stream_want(c->client, STREAM_OPEN, conn_on_client, c);
}

void conn_hand_over(struct conn *c, struct handler *h)
{
    struct client_info info = {
        .peer = c->report.client, .local = c->local, .dest = c->dest, .announced = c->announced};
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
            stream_want(c->client, STREAM_OUT, conn_on_client, c);
            return;
        }
        if (rc != RC_OK) {
            conn_drop_stream(c, c->client, rc);
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
bool conn_out_room(struct conn *c, size_t n)
{
    free(c->out);
    c->out = malloc(n > 0 ? n : 1);
    c->out_len = c->out_sent = 0;
    if (!c->out)
        conn_drop(c, RC_NOMEM, "no memory for a reply");
    return c->out != NULL;
}

void conn_send_out(struct conn *c, conn_then_fn *then)
{
    c->then = then;
    c->state = CONN_REPLY;
    conn_arm(c, CONN_HEADER_MS);
    if (c->state == CONN_REPLY)
        flush(c);
}

void conn_reply(struct conn *c, const void *buf, size_t n, conn_then_fn *then)
{
    if (!conn_out_room(c, n))
        return;
    if (n > 0)
        memcpy(c->out, buf, n);
    c->out_len = n;
    conn_send_out(c, then);
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
            stream_want(c->client, want, conn_on_client, c);
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
    conn_arm(c, DRAIN_MS);
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

/* ---------------------------------------------------------------- events */

void conn_on_client(struct stream *s, unsigned ready, void *arg)
{
    struct conn *c = arg;
    (void)s;
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
        if (ready & STREAM_GONE)
            conn_drop(c, RC_RESET, "the client reset its connection");
        else
            conn_read_ahead(c);
        break;
    case CONN_GRACE:
        conn_start_splice(c);
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
        conn_go_unconfirmed(c);
        break;
    case CONN_GRACE:
        conn_start_splice(c);
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
