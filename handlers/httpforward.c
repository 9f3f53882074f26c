/* handlers/httpforward.c - one plain HTTP request through the proxy. Contract in
 * handlers/httpforward.h.
 *
 * Up: c->in holds what the client sent; `allowed` bytes at its front belong to the body and may
 * leave. Down: `down` holds what the target sent; first a head (rewritten into `head`), then
 * `passed` bytes at its front belong to the body. Bytes of the client behind the body stay in c->in
 * for the next request.
 */
#include "handlers/httpforward.h"
#include "core/splice.h"
#include "handlers/conn.h"
#include "handlers/httphead.h"
#include <stdlib.h>

enum {
    IN_MAX_BYTES = 32 * 1024,
    DOWN_BYTES = 32 * 1024,
    TURN_RUNS = 16,           /* buffers moved in one turn */
    QUIET_MS = 15 * 60 * 1000 /* silence in the middle of a body */
};

struct httpforward {
    struct conn *conn;
    struct httpforward **owner; /* the conn's pointer, NULL once it is over */
    struct httpforward_request req;
    void (*next)(struct conn *c);
    void (*fail)(struct conn *c, enum rc rc, const char *reason);
    size_t head_sent, allowed;
    char *down; /* DOWN_BYTES */
    size_t down_len, passed, scanned;
    char *head; /* the answer's, rewritten */
    size_t head_len, head_out;
    struct http1_body answer;
    bool answering, switched; /* the final head came; it was a 101 */
    bool keep;                /* the client's connection goes on */
    bool client_done;         /* it sends no more */
    bool target_done;
    bool over;
    uint32_t answer_ms;
    struct timer quiet;
    struct deferred deferred;
};

static void on_event(struct stream *s, unsigned ready, void *arg);

/* ---------------------------------------------------------------- heads */

enum rc httpforward_prepare(const struct http1_head *h, const struct http1_authority *a,
                            struct httpforward_request *ret_req)
{
    struct httpforward_request req = {.minor = h->minor,
                                      .keep_alive = httphead_keeps_alive(h),
                                      .upgrade = httphead_is_upgrade(h)};
    enum rc rc = http1_body_of_request(h, &req.body);
    if (rc == RC_OK)
        rc = httphead_request(h, a, &req.head, &req.head_bytes);
    if (rc != RC_OK)
        return rc;
    memcpy(req.method, h->method.p, h->method.n);
    *ret_req = req;
    return RC_OK;
}

/* The answer's head for the client. */
static enum rc write_answer(struct httpforward *x, const struct http1_head *h)
{
    struct httphead_wish wish = {.minor = x->req.minor, .keep = x->keep};

    x->head_out = 0;
    return httphead_answer(h, &wish, &x->head, &x->head_len);
}

/* ---------------------------------------------------------------- the end */

static void record(struct httpforward *x)
{
    struct conn *c = x->conn;
    struct splice_result res = {
        .up_bytes = c->up_bytes,
        .down_bytes = c->down_bytes,
        .duration_ms = loop_now_ms(conn_loop(c)) - c->report.started_ms,
    };
    report_ended(&c->report, &res);
    c->up_bytes = c->down_bytes = 0;
}

static void finish(struct httpforward *x)
{
    struct conn *c = x->conn;
    void (*next)(struct conn *) = x->next;
    bool keep = x->keep;
    record(x);
    stream_close(c->target);
    c->target = NULL;
    httpforward_free(x);
    if (keep)
        next(c);
    else
        conn_linger(c);
}

/* After the answer has begun nothing can be said any more: the client must see that it is cut. */
static void fail(struct httpforward *x, enum rc rc, const char *reason)
{
    struct conn *c = x->conn;
    if (!x->answering && !x->head) {
        char text[sizeof stream_diag(c->target)->text];
        strncpy(text, reason && *reason ? reason : rc_name(rc), sizeof text - 1);
        text[sizeof text - 1] = '\0';
        void (*answer)(struct conn *, enum rc, const char *) = x->fail;
        httpforward_free(x);
        answer(c, rc, text);
        return;
    }
    stream_abort(c->client);
    c->client = NULL;
    conn_drop(c, rc, reason);
}

static void on_quiet(struct timer *t)
{
    struct httpforward *x = (struct httpforward *)((char *)t - offsetof(struct httpforward, quiet));
    fail(x, RC_TIMEOUT, x->answering ? "silence in the middle of an answer" : "no answer in time");
}

/* The time for an answer begins when the request is through: an upload may pause. */
static void arm(struct httpforward *x)
{
    bool asked = x->head_sent == x->req.head_bytes && x->req.body.done && x->allowed == 0;
    uint32_t ms = asked && !x->answering ? x->answer_ms : QUIET_MS;
    if (ms > 0)
        (void)timer_start(&x->quiet, ms); /* without memory for it only a limit is missing */
}

/* ---------------------------------------------------------------- up */

/* RC_OK: something moved; RC_AGAIN: not now. Other results are final for the target's stream. */
static enum rc send_head(struct httpforward *x)
{
    struct iovec v = {x->req.head + x->head_sent, x->req.head_bytes - x->head_sent};
    size_t n;
    enum rc rc = stream_send(x->conn->target, &v, 1, &n);
    if (rc == RC_OK) {
        x->head_sent += n;
        arm(x);
    }
    return rc;
}

static enum rc send_body(struct httpforward *x)
{
    struct conn *c = x->conn;
    struct iovec v = {c->in, x->allowed};
    size_t n;
    enum rc rc = stream_send(c->target, &v, 1, &n);
    if (rc == RC_OK) {
        conn_consume(c, n);
        x->allowed -= n;
        x->conn->up_bytes += n;
        arm(x);
    }
    return rc;
}

/* false: the exchange is over. */
static bool pump_up(struct httpforward *x)
{
    struct conn *c = x->conn;
    for (int i = 0; i < TURN_RUNS; i++) {
        enum rc rc = RC_AGAIN;
        if (x->head_sent < x->req.head_bytes) {
            rc = send_head(x);
        } else if (x->allowed > 0) {
            rc = send_body(x);
        } else if (!x->req.body.done) {
            if (c->in_len == 0)
                return true;
            if (http1_body_feed(&x->req.body, c->in, c->in_len, &x->allowed) != RC_OK) {
                fail(x, RC_PROTO, "the request's body is malformed");
                return false;
            }
            continue;
        }
        if (rc == RC_AGAIN)
            return true;
        if (rc != RC_OK) { /* pump_down() meets it when what came before has been passed on */
            x->keep = false;
            x->head_sent = x->req.head_bytes;
            x->allowed = 0;
            x->req.body.done = true;
            return true;
        }
    }
    return true;
}

/* What the client still sends: its body, and ahead of time its next request. */
static bool read_client(struct httpforward *x)
{
    enum rc rc = x->client_done ? RC_LIMIT : conn_fill(x->conn, IN_MAX_BYTES);
    if (rc == RC_EOF) {
        x->client_done = true;
        x->keep = false;
        if (!x->req.body.done) {
            fail(x, RC_CANCELED, "the client left in the middle of its request");
            return false;
        }
    } else if (rc != RC_OK && rc != RC_AGAIN && rc != RC_LIMIT) {
        conn_drop(x->conn, rc, stream_diag(x->conn->client)->text);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- down */

static enum rc take_head(struct httpforward *x)
{
    struct http1_head *h = malloc(sizeof *h);
    size_t used;
    if (!h)
        return RC_NOMEM;
    enum rc rc = http1_parse_response(x->down, x->down_len, &x->scanned, h, &used);
    /* What the client says next is for us, unless it asked for another protocol. */
    if (rc == RC_OK && h->status == 101 && !x->req.upgrade)
        rc = RC_PROTO;
    if (rc == RC_OK && h->status >= 200) {
        rc = http1_body_of_response(h, slice_of(x->req.method), &x->answer);
        x->keep = x->keep && x->answer.kind != HTTP1_BODY_TO_EOF;
    }
    if (rc == RC_OK)
        rc = write_answer(x, h);
    if (rc == RC_OK) {
        x->switched = h->status == 101;
        x->answering = h->status >= 200 || x->switched;
        x->down_len -= used;
        memmove(x->down, x->down + used, x->down_len);
        x->scanned = 0;
        arm(x);
    }
    free(h);
    return rc;
}

static enum rc send_client(struct httpforward *x, const char *p, size_t n, size_t *ret_n)
{
    union {
        const char *in;
        void *out;
    } u = {.in = p};
    struct iovec v = {u.out, n};
    return stream_send(x->conn->client, &v, 1, ret_n);
}

static enum rc flush_down(struct httpforward *x)
{
    size_t n = 0;
    enum rc rc;
    if (x->head) {
        rc = send_client(x, x->head + x->head_out, x->head_len - x->head_out, &n);
        if (rc == RC_OK)
            x->head_out += n;
        if (rc == RC_OK && x->head_out == x->head_len) {
            free(x->head);
            x->head = NULL;
        }
        return rc;
    }
    rc = send_client(x, x->down, x->passed, &n);
    if (rc == RC_OK) {
        x->passed -= n;
        x->down_len -= n;
        x->conn->down_bytes += n;
        memmove(x->down, x->down + n, x->down_len);
        arm(x);
    }
    return rc;
}

static enum rc read_target(struct httpforward *x)
{
    size_t n;
    enum rc rc = stream_recv(x->conn->target, x->down + x->down_len, DOWN_BYTES - x->down_len, &n);
    if (rc == RC_OK)
        x->down_len += n;
    return rc;
}

static void switch_protocols(struct httpforward *x)
{
    struct conn *c = x->conn;
    char *rest = x->down;
    size_t n = x->down_len;
    x->down = NULL;
    httpforward_free(x);
    /* What the target said behind its 101 goes first. */
    conn_splice(c, rest, n);
    free(rest);
}

static bool is_answered(const struct httpforward *x)
{
    return x->answering && !x->switched && x->answer.done && x->passed == 0 && !x->head;
}

/* One move; RC_OK: go on, RC_AGAIN: wait. */
static enum rc step_down(struct httpforward *x)
{
    enum rc rc;
    if (x->head || x->passed > 0) {
        rc = flush_down(x);
        if (rc != RC_OK && rc != RC_AGAIN) {
            conn_drop(x->conn, rc, stream_diag(x->conn->client)->text);
            return RC_CANCELED;
        }
        return rc;
    }
    if (!x->answering && x->down_len > 0) {
        rc = take_head(x);
        if (rc != RC_AGAIN)
            return rc;
    } else if (x->answering && x->down_len > 0) {
        return http1_body_feed(&x->answer, x->down, x->down_len, &x->passed);
    }
    rc = x->target_done ? RC_EOF : read_target(x);
    if (rc == RC_EOF && x->answering && x->answer.kind == HTTP1_BODY_TO_EOF) {
        x->target_done = true;
        x->answer.done = true;
        return RC_OK;
    }
    return rc == RC_EOF ? RC_RESET : rc;
}

/* false: the exchange is over. */
static bool pump_down(struct httpforward *x)
{
    for (int i = 0; i < TURN_RUNS; i++) {
        if (x->switched && !x->head) {
            switch_protocols(x);
            return false;
        }
        if (is_answered(x)) {
            /* An answer before the end of the request: the rest of the request is not wanted. */
            x->keep = x->keep && x->req.body.done && x->allowed == 0;
            finish(x);
            return false;
        }
        enum rc rc = step_down(x);
        if (x->over)
            return false;
        if (rc == RC_AGAIN)
            return true;
        if (rc != RC_OK) {
            struct diag *d = stream_diag(x->conn->target);
            fail(x, rc,
                 d->rc != RC_OK   ? d->text
                 : rc == RC_RESET ? "the target left before its answer was complete"
                                  : "the target's answer is malformed");
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- events */

static void want(struct httpforward *x)
{
    struct conn *c = x->conn;
    unsigned client = 0, target = 0;
    if (!x->client_done && c->in_len < IN_MAX_BYTES)
        client |= STREAM_IN;
    if (x->head || x->passed > 0 || (x->answering && x->down_len > 0))
        client |= STREAM_OUT; /* the last: the turn was over */
    else if (!x->target_done)
        target |= STREAM_IN;
    if (x->head_sent < x->req.head_bytes || x->allowed > 0)
        target |= STREAM_OUT;
    stream_want(c->client, client, on_event, x);
    stream_want(c->target, target, on_event, x);
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct httpforward *x = arg;
    if (s == x->conn->client && (ready & STREAM_IN) && !read_client(x))
        return;
    if (pump_up(x) && pump_down(x))
        want(x);
}

void httpforward_start(struct conn *c, struct httpforward_request *req, uint32_t answer_ms,
                       void (*next)(struct conn *c),
                       void (*fail_fn)(struct conn *c, enum rc rc, const char *reason),
                       struct httpforward **ret_x)
{
    struct httpforward *x = calloc(1, sizeof *x);
    char *down = malloc(DOWN_BYTES);
    if (!x || !down) {
        free(x);
        free(down);
        conn_drop(c, RC_NOMEM, "no memory for an exchange");
        return;
    }
    x->conn = c;
    x->req = *req;
    req->head = NULL;
    x->down = down;
    x->next = next;
    x->fail = fail_fn;
    x->answer_ms = answer_ms;
    x->keep = x->req.keep_alive;
    timer_init(conn_loop(c), &x->quiet, on_quiet);
    x->owner = ret_x;
    *ret_x = x;
    c->state = CONN_OTHER;
    report_connected(&c->report);
    arm(x);
    if (pump_up(x))
        want(x);
}

void httpforward_free(struct httpforward *x)
{
    if (!x || x->over)
        return;
    x->over = true;
    *x->owner = NULL;
    timer_stop(&x->quiet);
    free(x->req.head);
    free(x->down);
    free(x->head);
    x->down = x->head = x->req.head = NULL;
    loop_free_later(conn_loop(x->conn), &x->deferred, free, x);
}
