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
#include <stdlib.h>

enum {
    IN_MAX_BYTES = 32 * 1024,
    DOWN_BYTES = 32 * 1024,
    TURN_RUNS = 16,           /* buffers moved in one turn */
    QUIET_MS = 15 * 60 * 1000 /* silence in the middle of a body */
};

struct exchange {
    struct conn *conn;
    struct exchange **owner; /* the conn's pointer, NULL once it is over */
    struct exchange_request req;
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

static bool starts_nocase(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && slice_equal_nocase((struct slice){s.p, n}, prefix);
}

static bool is_listed(const struct http1_head *h, struct slice name)
{
    char text[64];
    if (name.n >= sizeof text)
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return http1_has_token(h, "Connection", text);
}

/* Fields that speak of one connection, not of the message (RFC 9110 7.6.1). A body is passed on as
 * it came, so what frames it stays, whatever Connection names. */
static bool is_hop_field(const struct http1_head *h, struct slice name)
{
    if (slice_equal_nocase(name, "Transfer-Encoding") || slice_equal_nocase(name, "Content-Length"))
        return false;
    return slice_equal_nocase(name, "Connection") || slice_equal_nocase(name, "Keep-Alive") ||
           starts_nocase(name, "Proxy-") || slice_equal_nocase(name, "Gost-Target") ||
           slice_equal_nocase(name, "X-Gost-Target") || is_listed(h, name);
}

static bool write_fields(struct wr *w, const struct http1_head *h, bool upgrade)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        bool kept = upgrade && slice_equal_nocase(f->name, "Upgrade");
        if (!kept && is_hop_field(h, f->name))
            continue;
        if (h->method.n > 0 && slice_equal_nocase(f->name, "Host"))
            continue; /* written first, from the target */
        if (!wr_slice(w, f->name) || !wr_text(w, ": ") || !wr_slice(w, f->value) ||
            !wr_text(w, "\r\n"))
            return false;
    }
    return true;
}

static bool is_upgrade(const struct http1_head *h)
{
    return http1_has_token(h, "Connection", "upgrade") && http1_find(h, "Upgrade", NULL);
}

static bool wants_keep_alive(const struct http1_head *h)
{
    bool close = http1_has_token(h, "Connection", "close") ||
                 http1_has_token(h, "Proxy-Connection", "close");
    bool keep = http1_has_token(h, "Connection", "keep-alive") ||
                http1_has_token(h, "Proxy-Connection", "keep-alive");
    return !close && (h->minor > 0 || keep);
}

static bool write_request(struct wr *w, const struct http1_head *h, const struct http1_authority *a)
{
    struct slice path = a->path;
    bool upgrade = is_upgrade(h);
    if (path.n == 0)
        path = slice_of(slice_equal(h->method, "OPTIONS") ? "*" : "/");
    return wr_slice(w, h->method) && wr_text(w, " ") &&
           (path.p[0] != '?' || wr_text(w, "/")) && /* "http://host?query" */
           wr_slice(w, path) && wr_text(w, h->minor > 0 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n") &&
           wr_text(w, "Host: ") && wr_slice(w, a->text) && wr_text(w, "\r\n") &&
           write_fields(w, h, upgrade) &&
           wr_text(w, upgrade ? "Connection: Upgrade\r\n\r\n" : "Connection: close\r\n\r\n");
}

enum rc exchange_prepare(const struct http1_head *h, const struct http1_authority *a,
                         struct exchange_request *ret_req)
{
    struct exchange_request req = {
        .minor = h->minor, .keep_alive = wants_keep_alive(h), .upgrade = is_upgrade(h)};
    const size_t cap = HTTP1_HEAD_MAX_BYTES + 512;
    enum rc rc = http1_body_of_request(h, &req.body);
    if (rc != RC_OK)
        return rc;
    memcpy(req.method, h->method.p, h->method.n);
    req.head = malloc(cap);
    if (!req.head)
        return RC_NOMEM;
    struct wr w = wr_init(req.head, cap);
    if (!write_request(&w, h, a)) {
        free(req.head);
        return RC_LIMIT;
    }
    req.head_bytes = wr_used(&w);
    *ret_req = req;
    return RC_OK;
}

/* The answer's head for the client. */
static enum rc write_answer(struct exchange *x, const struct http1_head *h)
{
    const size_t cap = HTTP1_HEAD_MAX_BYTES + 512;
    bool final = h->status >= 200;
    x->head = malloc(cap);
    if (!x->head)
        return RC_NOMEM;
    struct wr w = wr_init(x->head, cap);
    struct slice line = h->first_line;
    bool ok = wr_text(&w, x->req.minor > 0 ? "HTTP/1.1" : "HTTP/1.0") &&
              wr_slice(&w, (struct slice){line.p + 8, line.n - 8}) &&
              write_fields(&w, h, h->status == 101);
    if (ok && h->status == 101)
        ok = wr_text(&w, "Connection: Upgrade\r\n");
    else if (ok && final && !x->keep)
        ok = wr_text(&w, "Connection: close\r\n");
    else if (ok && final && x->req.minor == 0)
        ok = wr_text(&w, "Connection: keep-alive\r\n");
    if (!ok || !wr_text(&w, "\r\n"))
        return RC_LIMIT;
    x->head_len = wr_used(&w);
    x->head_out = 0;
    return RC_OK;
}

/* ---------------------------------------------------------------- the end */

static void record(struct exchange *x)
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

static void finish(struct exchange *x)
{
    struct conn *c = x->conn;
    void (*next)(struct conn *) = x->next;
    bool keep = x->keep;
    record(x);
    stream_close(c->target);
    c->target = NULL;
    exchange_free(x);
    if (keep)
        next(c);
    else
        conn_linger(c);
}

/* After the answer has begun nothing can be said any more: the client must see that it is cut. */
static void fail(struct exchange *x, enum rc rc, const char *reason)
{
    struct conn *c = x->conn;
    if (!x->answering && !x->head) {
        char text[sizeof stream_diag(c->target)->text];
        strncpy(text, reason && *reason ? reason : rc_name(rc), sizeof text - 1);
        text[sizeof text - 1] = '\0';
        void (*answer)(struct conn *, enum rc, const char *) = x->fail;
        exchange_free(x);
        answer(c, rc, text);
        return;
    }
    stream_abort(c->client);
    c->client = NULL;
    conn_drop(c, rc, reason);
}

static void on_quiet(struct timer *t)
{
    struct exchange *x = (struct exchange *)((char *)t - offsetof(struct exchange, quiet));
    fail(x, RC_TIMEOUT, x->answering ? "silence in the middle of an answer" : "no answer in time");
}

/* The time for an answer begins when the request is through: an upload may pause. */
static void arm(struct exchange *x)
{
    bool asked = x->head_sent == x->req.head_bytes && x->req.body.done && x->allowed == 0;
    uint32_t ms = asked && !x->answering ? x->answer_ms : QUIET_MS;
    if (ms > 0)
        (void)timer_start(&x->quiet, ms); /* without memory for it only a limit is missing */
}

/* ---------------------------------------------------------------- up */

/* RC_OK: something moved; RC_AGAIN: not now. Other results are final for the target's stream. */
static enum rc send_head(struct exchange *x)
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

static enum rc send_body(struct exchange *x)
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
static bool pump_up(struct exchange *x)
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
static bool read_client(struct exchange *x)
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

static enum rc take_head(struct exchange *x)
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

static enum rc send_client(struct exchange *x, const char *p, size_t n, size_t *ret_n)
{
    union {
        const char *in;
        void *out;
    } u = {.in = p};
    struct iovec v = {u.out, n};
    return stream_send(x->conn->client, &v, 1, ret_n);
}

static enum rc flush_down(struct exchange *x)
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

static enum rc read_target(struct exchange *x)
{
    size_t n;
    enum rc rc = stream_recv(x->conn->target, x->down + x->down_len, DOWN_BYTES - x->down_len, &n);
    if (rc == RC_OK)
        x->down_len += n;
    return rc;
}

static void switch_protocols(struct exchange *x)
{
    struct conn *c = x->conn;
    char *rest = x->down;
    size_t n = x->down_len;
    x->down = NULL;
    exchange_free(x);
    /* What the target said behind its 101 goes first. */
    conn_splice(c, rest, n);
    free(rest);
}

static bool is_answered(const struct exchange *x)
{
    return x->answering && !x->switched && x->answer.done && x->passed == 0 && !x->head;
}

/* One move; RC_OK: go on, RC_AGAIN: wait. */
static enum rc step_down(struct exchange *x)
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
static bool pump_down(struct exchange *x)
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

static void want(struct exchange *x)
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
    struct exchange *x = arg;
    if (s == x->conn->client && (ready & STREAM_IN) && !read_client(x))
        return;
    if (pump_up(x) && pump_down(x))
        want(x);
}

void exchange_start(struct conn *c, struct exchange_request *req, uint32_t answer_ms,
                    void (*next)(struct conn *c),
                    void (*fail_fn)(struct conn *c, enum rc rc, const char *reason),
                    struct exchange **ret_x)
{
    struct exchange *x = calloc(1, sizeof *x);
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

void exchange_free(struct exchange *x)
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
