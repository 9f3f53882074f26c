/* core/floor/ws/ws.c - the WebSocket floor, both ends: a layer around one ws_codec. See ws.h.
 *
 * Bytes are fetched from the floor below before the codec sees them, and what it wants to send is
 * handed down after it returned: no floor is ever called from inside libwebsockets. Data goes one
 * way only through the layer's own memory: what a send could not get rid of (`tail`, at most one
 * frame), and what was read ahead so that pings are answered while the owner does not read
 * (codec.in, at most READ_AHEAD_BYTES). A flow at rest holds neither.
 */
#include "core/floor/ws/ws_layer.h"

#include <stdlib.h>
#include <string.h>

enum {
    READ_AHEAD_BYTES = 65536,
    SMALL_READ_BYTES = 4096, /* for less than this, more is fetched and kept */
    FETCH_BYTES = 16384,
    FETCH_TURNS = 64, /* frames without payload that one recv looks at */
};

void ws_end(struct ws *w, enum rc rc, const char *why)
{
    if (w->final == RC_OK) {
        w->final = rc;
        w->why = why;
    }
    layer_wake(&w->layer);
}

enum rc ws_report(struct ws *w)
{
    return layer_fail(&w->layer, w->final, "%s", w->why);
}

static bool has_output(const struct ws *w)
{
    return w->tail_n || ws_queue_bytes(&w->codec.out);
}

/* Nobody will take it any more. */
static void drop_output(struct ws *w)
{
    ws_scratch_give(w->tail);
    w->tail = NULL;
    w->tail_n = 0;
    ws_queue_done(&w->codec.out);
}

static void advance(struct ws *w, size_t n)
{
    if (!w->tail_n) {
        ws_queue_drop(&w->codec.out, n);
        return;
    }
    w->tail_p += n;
    w->tail_n -= n;
    if (!w->tail_n) {
        ws_scratch_give(w->tail);
        w->tail = NULL;
    }
}

enum rc ws_flush(struct ws *w)
{
    struct ws_queue *out = &w->codec.out;

    while (has_output(w)) {
        struct iovec v = {(void *)(uintptr_t)w->tail_p, w->tail_n};
        size_t n = 0;
        enum rc rc;

        if (!w->tail_n)
            v = (struct iovec){out->p + out->at, ws_queue_bytes(out)};
        rc = layer_send(w->layer.below, &v, 1, &n);
        if (rc != RC_OK && rc != RC_AGAIN) {
            drop_output(w);
            ws_end(w, rc, rc_name(rc));
        }
        if (rc != RC_OK)
            return rc;
        advance(w, n);
    }
    return RC_OK;
}

static enum rc refuse_memory(struct ws *w)
{
    return layer_fail(&w->layer, RC_NOMEM, "no memory");
}

/* ---- receiving */

/* One read of the floor below into buf, through the codec, payload to dst (may be buf). */
static enum rc fetch(struct ws *w, uint8_t *buf, size_t cap, void *dst, size_t dst_cap,
                     size_t *ret_n)
{
    size_t n;
    enum rc rc = layer_recv(w->layer.below, buf, cap, &n);

    if (rc == RC_EOF) {
        w->eof = true;
        timer_stop(&w->timer);
        if (!ws_codec_is_between(&w->codec))
            ws_end(w, RC_RESET, "the connection ended inside a message");
    }
    if (rc != RC_OK && rc != RC_EOF && rc != RC_AGAIN)
        ws_end(w, rc, rc_name(rc)); /* the floor below has said it better */
    if (rc != RC_OK)
        return rc;
    rc = ws_codec_feed(&w->codec, buf, n, dst, dst_cap, ret_n);
    if (rc != RC_OK)
        ws_end(w, rc, ws_codec_why(rc));
    if (rc != RC_OK || w->codec.got_close)
        timer_stop(&w->timer);
    if (w->codec.got_pong) {
        w->codec.got_pong = false;
        w->pong_due_ms = loop_now_ms(w->ctx->loop) + 2 * (uint64_t)w->ctx->cfg.ping_ms;
    }
    if ((w->codec.wants_out || has_output(w)) && !w->shut) {
        ws_codec_service(&w->codec);
        (void)ws_flush(w); /* its failure comes again, by then with nothing left to deliver */
        layer_wake(&w->layer);
    }
    return RC_OK;
}

/* The owner wants only a little: fetch more and keep it. */
static enum rc fetch_more(struct ws *w, void *dst, size_t cap, size_t *ret_n)
{
    struct ws_scratch *s = ws_scratch_take();
    enum rc rc;

    if (!s)
        return refuse_memory(w);
    rc = fetch(w, s->buf, FETCH_BYTES, dst, cap, ret_n);
    ws_scratch_give(s);
    return rc;
}

static enum rc ws_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct ws *w = ws_of(l);

    w->was_read = true;
    for (int i = 0; i < FETCH_TURNS; i++) {
        size_t n = ws_queue_take(&w->codec.in, buf, cap);
        enum rc rc = RC_OK;

        if (!n && w->final != RC_OK)
            return ws_report(w);
        if (!n && (w->eof || w->codec.got_close))
            return RC_EOF;
        if (!n)
            rc = cap < SMALL_READ_BYTES ? fetch_more(w, buf, cap, &n)
                                        : fetch(w, buf, cap, buf, cap, &n);
        if (rc == RC_EOF)
            continue;
        if (rc != RC_OK)
            return rc;
        if (n) {
            *ret_n = n;
            return RC_OK;
        }
    }
    layer_wake(l); /* others want their turn too */
    return RC_AGAIN;
}

/* ---- sending */

/* A send that fails would end the stream: not before the owner has read what came before the end.
 */
static bool must_read_first(const struct ws *w)
{
    return (w->final != RC_OK || w->codec.got_close) && ws_queue_bytes(&w->codec.in);
}

static enum rc can_send(struct ws *w)
{
    enum rc rc;

    if (must_read_first(w))
        return RC_AGAIN;
    if (w->final != RC_OK)
        return ws_report(w);
    if (w->codec.got_close || !w->codec.wsi)
        return layer_fail(&w->layer, RC_RESET, "the peer closed the WebSocket (%u)",
                          w->codec.close_code);
    rc = ws_flush(w);
    if (rc == RC_OK && !layer_can(w->layer.below, STREAM_OUT))
        rc = RC_AGAIN;
    return rc;
}

static enum rc ws_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct ws *w = ws_of(l);
    enum rc rc = can_send(w);

    (void)want; /* a message has one size at most */
    if (rc != RC_OK)
        return rc;
    if (!w->reserved)
        w->reserved = ws_scratch_take();
    if (!w->reserved)
        return refuse_memory(w);
    *ret_v = (struct iovec){w->reserved->buf, WS_MESSAGE_BYTES};
    return RC_OK;
}

/* The reserved bytes become a message; what the floor below does not take stays where it is. */
static enum rc ws_commit(struct layer *l, size_t n)
{
    struct ws *w = ws_of(l);
    struct ws_scratch *s = w->reserved;
    struct iovec v;
    const uint8_t *frame;
    size_t frame_n, sent = 0;
    enum rc rc;

    BUG_ON(!s || n > WS_MESSAGE_BYTES);
    w->reserved = NULL;
    if (!n) {
        ws_scratch_give(s);
        return RC_OK;
    }
    rc = ws_codec_frame(&w->codec, s->buf, n, &frame, &frame_n);
    if (rc == RC_OK) {
        v = (struct iovec){(void *)(uintptr_t)frame, frame_n};
        rc = layer_send(l->below, &v, 1, &sent);
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        ws_scratch_give(s);
        return rc == RC_NOMEM ? refuse_memory(w) : rc;
    }
    if (sent == frame_n) {
        ws_scratch_give(s);
        return RC_OK;
    }
    w->tail = s;
    w->tail_p = frame + sent;
    w->tail_n = frame_n - sent;
    layer_wake(l);
    return RC_OK;
}

static enum rc ws_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct iovec room;
    size_t n = 0;
    enum rc rc = ws_reserve(l, WS_MESSAGE_BYTES, &room);

    if (rc != RC_OK)
        return rc;
    for (int i = 0; i < nv && n < room.iov_len; i++) {
        size_t part = v[i].iov_len < room.iov_len - n ? v[i].iov_len : room.iov_len - n;

        if (part)
            memcpy((uint8_t *)room.iov_base + n, v[i].iov_base, part);
        n += part;
    }
    rc = ws_commit(l, n);
    if (rc == RC_OK)
        *ret_n = n;
    return rc;
}

/* No Close frame: it would end the other direction too (wire-protocols.md, trap 8). */
static enum rc ws_shut(struct layer *l)
{
    struct ws *w = ws_of(l);
    enum rc rc = ws_flush(w);

    if (rc != RC_OK)
        return rc;
    w->shut = true;
    timer_stop(&w->timer); /* nothing can be asked any more */
    return layer_shut(l->below);
}

/* ---- the floor's own business: what was promised, pongs, pings */

static void on_ping(struct timer *timer)
{
    struct ws *w = (struct ws *)((char *)timer - offsetof(struct ws, timer));
    uint64_t now = loop_now_ms(w->ctx->loop), ping_ms = (uint64_t)w->ctx->cfg.ping_ms;

    if (ws_queue_bytes(&w->codec.in) >= READ_AHEAD_BYTES)
        w->pong_due_ms = now + 2 * ping_ms; /* we don't read: it may wait behind */
    if (now >= w->pong_due_ms) {
        ws_end(w, RC_TIMEOUT, "no pong from the node");
        return;
    }
    w->ping_due = true;
    if (!timer_start(timer, ping_ms))
        ws_end(w, RC_NOMEM, "no memory");
    layer_wake(&w->layer);
}

void ws_start_pings(struct ws *w)
{
    w->pong_due_ms = loop_now_ms(w->ctx->loop) + 2 * (uint64_t)w->ctx->cfg.ping_ms;
    timer_init(w->ctx->loop, &w->timer, on_ping);
    if (!timer_start(&w->timer, (uint64_t)w->ctx->cfg.ping_ms))
        ws_end(w, RC_NOMEM, "no memory");
}

static unsigned ws_needs(const struct layer *l)
{
    const struct ws *w = (const struct ws *)l;
    unsigned needs = 0;

    if (w->state != ST_UP)
        return 0;
    if (has_output(w) || ((w->codec.wants_out || w->ping_due) && !w->shut))
        needs |= STREAM_OUT;
    if (w->final == RC_OK && !w->eof && !w->codec.got_close &&
        ws_queue_bytes(&w->codec.in) < READ_AHEAD_BYTES)
        needs |= STREAM_IN;
    return needs;
}

static void write_own(struct ws *w)
{
    if (ws_flush(w) != RC_OK || w->shut)
        return;
    ws_codec_service(&w->codec);
    if (w->ping_due && w->final == RC_OK && !w->codec.got_close) {
        if (ws_codec_ping(&w->codec) != RC_OK)
            ws_end(w, RC_NOMEM, "no memory");
    }
    w->ping_due = false;
    (void)ws_flush(w); /* the rest goes when there is room */
}

/* Reads on when the owner does not, so that pings and the end are seen. */
static void read_ahead(struct ws *w)
{
    size_t room = READ_AHEAD_BYTES - ws_queue_bytes(&w->codec.in), none = 0;
    struct ws_scratch *s;

    if (w->was_read) { /* the owner is at it; look again when it did not come */
        w->was_read = false;
        layer_wake(&w->layer);
        return;
    }
    s = ws_scratch_take();
    if (!s)
        return;
    if (fetch(w, s->buf, room < FETCH_BYTES ? room : FETCH_BYTES, NULL, 0, &none) == RC_OK)
        layer_wake(&w->layer);
    ws_scratch_give(s);
}

static void ws_run(struct layer *l)
{
    struct ws *w = ws_of(l);

    if (layer_can(l->below, STREAM_OUT))
        write_own(w);
    if ((ws_needs(l) & STREAM_IN) && layer_can(l->below, STREAM_IN))
        read_ahead(w);
}

static unsigned ws_wants(const struct layer *l, unsigned wish)
{
    const struct ws *w = (const struct ws *)l;

    if (wish == STREAM_OPEN)
        return w->state == ST_REQUEST_SEND || w->state == ST_ANSWER_SEND ? STREAM_OUT : STREAM_IN;
    return wish == STREAM_OUT && must_read_first(w) ? 0 : wish;
}

static bool ws_pending(const struct layer *l, unsigned wish)
{
    const struct ws *w = (const struct ws *)l;
    bool ended = w->final != RC_OK || w->codec.got_close;

    if (w->state != ST_UP)
        return ended || (w->state == ST_BEGIN && (wish & STREAM_OPEN));
    if ((wish & STREAM_IN) && (ended || w->eof || ws_queue_bytes(&w->codec.in)))
        return true;
    return (wish & STREAM_OUT) && ended && !must_read_first(w);
}

static enum rc ws_query(struct layer *l, enum layer_query q, void *ret_value)
{
    struct ws *w = ws_of(l);

    if (q == QUERY_FD)
        return RC_AGAIN; /* never */
    if (q != QUERY_PEER_ADDR || !w->client.family)
        return RC_UNSUPPORTED;
    *(struct addr *)ret_value = w->client;
    return RC_OK;
}

static void ws_destroy(struct layer *l, bool aborting)
{
    struct ws *w = ws_of(l);

    (void)aborting;
    if (w->timer.loop)
        timer_stop(&w->timer);
    ws_codec_done(&w->codec);
    ws_scratch_give(w->tail);
    ws_scratch_give(w->reserved);
    free(w->head);
    free(w->host);
    w->tail = w->reserved = NULL;
    w->head = NULL;
    w->host = NULL;
    ws_ctx_unref(w->ctx);
    w->ctx = NULL;
}

static const struct layer_type ws_type = {
    .name = "ws",
    .flags = LAYER_MESSAGE,
    .open = ws_upgrade,
    .recv = ws_recv,
    .send = ws_send,
    .reserve = ws_reserve,
    .commit = ws_commit,
    .shut = ws_shut,
    .wants = ws_wants,
    .pending = ws_pending,
    .needs = ws_needs,
    .run = ws_run,
    .query = ws_query,
    .destroy = ws_destroy,
};

static struct ws *ws_new(struct ws_ctx *ctx)
{
    struct ws *w = calloc(1, sizeof(*w));

    if (w) {
        w->layer.type = &ws_type;
        w->ctx = ws_ctx_ref(ctx);
    }
    return w;
}

struct layer *ws_client_layer(struct ws_ctx *ctx, const char *host)
{
    struct ws *w = ws_new(ctx);

    if (!w)
        return NULL;
    w->host = strdup(host ? host : "");
    if (w->host)
        return &w->layer;
    ws_destroy(&w->layer, false);
    free(w);
    return NULL;
}

struct layer *ws_server_layer(struct ws_ctx *ctx)
{
    struct ws *w = ws_new(ctx);

    return w ? &w->layer : NULL;
}
