/* core/floor/ws/ws_upgrade.c - from an open floor below to an open WebSocket, both ends. See ws.h.
 *
 * A state is named by what it waits for. A head is collected until it is whole, whatever its
 * pieces, judged (ws_head.h), and LWS gets the one value it must know (ws_codec.h). Frames that
 * ride behind a head are the first bytes of the stream.
 */
#include "core/floor/ws/ws_layer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEAD_FIRST_BYTES = 1024 };

static enum rc refuse_memory(struct ws *w)
{
    return layer_fail(&w->layer, RC_NOMEM, "no memory");
}

static enum rc refuse_more(struct ws *w, enum rc rc)
{
    return rc == RC_NOMEM ? refuse_memory(w)
                          : layer_fail(&w->layer, rc, "too many WebSocket connections");
}

/* Reads until the head is whole. */
static enum rc collect(struct ws *w)
{
    for (;;) {
        struct ws_head_in *h = w->head;
        size_t n, cap;
        enum rc rc = h ? http1_find_end(h->bytes, h->n, &h->scanned, &h->end) : RC_AGAIN;

        if (rc != RC_AGAIN)
            return rc;
        if (!h || h->n == h->cap) {
            cap = h ? 2 * h->cap : HEAD_FIRST_BYTES;
            h = realloc(w->head, sizeof(*h) + cap);
            if (!h)
                return refuse_memory(w);
            if (!w->head)
                *h = (struct ws_head_in){0};
            h->cap = cap;
            w->head = h;
        }
        rc = layer_recv(w->layer.below, h->bytes + h->n, h->cap - h->n, &n);
        if (rc != RC_OK)
            return rc;
        h->n += n;
    }
}

static void on_deadline(struct timer *timer)
{
    struct ws *w = (struct ws *)((char *)timer - offsetof(struct ws, timer));

    ws_end(w, RC_TIMEOUT,
           w->ctx->is_client ? "no answer to the upgrade in time" : "no whole request in time");
}

static enum rc begin(struct ws *w)
{
    struct ws_ctx *ctx = w->ctx;
    int64_t deadline_ms = ctx->cfg.handshake_ms;
    char buf[WS_HEAD_OUT_BYTES];
    size_t n;
    enum rc rc;

    if (!ctx->is_client && ctx->cfg.read_header_ms > 0 &&
        (deadline_ms <= 0 || ctx->cfg.read_header_ms < deadline_ms))
        deadline_ms = ctx->cfg.read_header_ms;
    timer_init(ctx->loop, &w->timer, on_deadline);
    if (deadline_ms > 0 && !timer_start(&w->timer, (uint64_t)deadline_ms))
        return refuse_memory(w);
    w->state = ST_REQUEST_RECV;
    if (!ctx->is_client)
        return RC_OK;
    w->state = ST_REQUEST_SEND;
    rc = ws_codec_connect(&w->codec, ws_ctx_lws(), ctx->vhost);
    if (rc != RC_OK)
        return refuse_more(w, rc);
    rc = ws_head_request(ctx->target, ctx->cfg.host ? ctx->cfg.host : w->host, w->codec.key,
                         &ctx->cfg.header, buf, sizeof(buf), &n);
    if (rc != RC_OK)
        return layer_fail(&w->layer, rc, "the request head is too long");
    return ws_queue_add(&w->codec.out, buf, n) ? RC_OK : refuse_memory(w);
}

/* What rides behind the head is the first of the stream; then the head is not needed any more. */
static void go_up(struct ws *w)
{
    struct ws_head_in *h = w->head;
    size_t none;
    enum rc rc = RC_OK;

    w->state = ST_UP;
    timer_stop(&w->timer);
    if (h->n > h->end)
        rc = ws_codec_feed(&w->codec, (uint8_t *)h->bytes + h->end, h->n - h->end, NULL, 0, &none);
    if (rc != RC_OK)
        ws_end(w, rc, ws_codec_why(rc));
    free(w->head);
    free(w->host);
    w->head = NULL;
    w->host = NULL;
    if (w->ctx->is_client && w->ctx->cfg.keepalive)
        ws_start_pings(w);
    layer_wake(&w->layer); /* a pong may be due already */
}

/* "404 Not Found" wants another hint than "502 Bad Gateway". */
static enum rc refused(struct ws *w, const struct ws_answer *a)
{
    const char *hint = "no WebSocket there";

    if (a->status == 404 || a->status == 400 || a->status == 200 || a->status == 405)
        hint = "is path= right?";
    else if (a->status >= 500)
        hint = "the way behind it is broken";
    else if (a->status == 401 || a->status == 403)
        hint = "is host= right?";
    return layer_fail(&w->layer, RC_PROTO, "node answered %u %s: %s", a->status, a->reason, hint);
}

static enum rc read_answer(struct ws *w)
{
    struct ws_answer a;
    const char *why = NULL;
    enum rc rc = ws_head_read_answer(w->head->bytes, w->head->end, &a, &why);

    if (rc == RC_OK) {
        rc = ws_codec_answered(&w->codec, a.accept);
        why = w->codec.why ? w->codec.why : "libwebsockets does not accept the answer";
        if (rc == RC_NOMEM)
            return refuse_memory(w);
    }
    if (rc == RC_OK)
        go_up(w);
    else if (a.status && a.status != 101)
        return refused(w, &a);
    else
        return layer_fail(&w->layer, rc, "%s", why);
    return RC_OK;
}

/* rc: what collect() found. */
static enum rc read_request(struct ws *w, enum rc rc)
{
    struct ws_request r = {.verdict = WS_HEAD_TOO_LONG};
    char buf[WS_HEAD_OUT_BYTES];
    size_t n;

    if (rc == RC_OK)
        ws_head_read_request(w->head->bytes, w->head->end, w->ctx->cfg.path, &r);
    w->verdict = r.verdict;
    w->client = r.client;
    if (r.verdict == WS_UPGRADE) {
        rc = ws_codec_accept(&w->codec, w->ctx->vhost, r.key);
        if (rc != RC_OK)
            return refuse_more(w, rc);
        rc = ws_head_accept(w->codec.key, &w->ctx->cfg.header, buf, sizeof(buf), &n);
    } else {
        struct timespec now = {0};

        (void)clock_gettime(CLOCK_REALTIME, &now); /* a wrong Date harms nobody */
        rc = ws_head_refuse(r.verdict, (int64_t)now.tv_sec, buf, sizeof(buf), &n);
    }
    if (rc != RC_OK)
        return layer_fail(&w->layer, rc, "the answer's head is too long");
    if (!ws_queue_add(&w->codec.out, buf, n))
        return refuse_memory(w);
    w->state = ST_ANSWER_SEND;
    return RC_OK;
}

static enum rc step(struct ws *w)
{
    enum rc rc;

    switch (w->state) {
    case ST_BEGIN:
        return begin(w);
    case ST_REQUEST_SEND:
        rc = ws_flush(w);
        if (rc == RC_OK)
            w->state = ST_ANSWER_RECV;
        return rc;
    case ST_ANSWER_RECV:
        rc = collect(w);
        if (rc == RC_EOF)
            return layer_fail(&w->layer, RC_RESET, "node closed the connection without an answer");
        if (rc == RC_LIMIT)
            return layer_fail(&w->layer, RC_PROTO, "node's answer has no end");
        return rc == RC_OK ? read_answer(w) : rc;
    case ST_REQUEST_RECV:
        rc = collect(w);
        if (rc == RC_EOF)
            return layer_fail(&w->layer, RC_RESET, "the client ended before its request");
        return rc == RC_OK || rc == RC_LIMIT ? read_request(w, rc) : rc;
    case ST_ANSWER_SEND:
        rc = ws_flush(w);
        if (rc != RC_OK)
            return rc;
        if (w->verdict == WS_UPGRADE) {
            go_up(w);
            return RC_OK;
        }
        (void)layer_shut(w->layer.below); /* the stream ends anyway */
        return layer_fail(&w->layer, RC_PROTO, "%s", ws_verdict_text(w->verdict));
    case ST_UP:
        break;
    }
    return RC_OK;
}

enum rc ws_upgrade(struct layer *l)
{
    struct ws *w = ws_of(l);
    enum rc rc = RC_OK;

    while (rc == RC_OK && w->state != ST_UP)
        rc = w->final == RC_OK ? step(w) : ws_report(w);
    return rc;
}
