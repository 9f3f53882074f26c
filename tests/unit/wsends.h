/* tests/unit/wsends.h - ends of a memory wire for the tests of the ws floor: an end with floors
 * that sends and checks a generated stream, and a raw end that sends given bytes and keeps what
 * comes.
 */
#ifndef TESTS_UNIT_WSENDS_H
#define TESTS_UNIT_WSENDS_H

#include "core/floor/mem.h"
#include "core/floor/ws/ws.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { END_BUF_BYTES = 70000, RAW_BYTES = 1 << 17 };

struct end {
    struct stream *s;
    size_t to_send, sent, received;
    size_t send_max, recv_max; /* of one call; 0: END_BUF_BYTES */
    uint32_t tx, rx;           /* generators of the sent and the expected bytes */
    bool open, eof, shut;
    bool keep_open; /* never shuts its side */
    bool deaf;      /* never reads */
    enum rc rc;     /* of the failure */
    uint8_t *keep;  /* not NULL: what comes is kept here, not checked */
};

static struct loop *loop;

static inline uint8_t next_byte(uint32_t *g)
{
    *g = *g * 1103515245u + 12345u;
    return (uint8_t)(*g >> 16);
}

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void end_event(struct stream *s, unsigned ready, void *arg);

static inline void end_want(struct end *e)
{
    unsigned want = 0;

    if (!e->open)
        want = STREAM_OPEN;
    else if (e->rc == RC_OK)
        want = (e->eof || e->deaf ? 0u : STREAM_IN) |
               (e->shut || (e->keep_open && e->sent == e->to_send) ? 0u : STREAM_OUT);
    stream_want(e->s, e->rc == RC_OK ? want : 0, end_event, e);
}

static inline void end_recv(struct end *e)
{
    static uint8_t buf[END_BUF_BYTES];
    size_t n, cap = e->recv_max ? e->recv_max : sizeof buf;
    enum rc rc = stream_recv(e->s, buf, cap, &n);

    if (rc == RC_OK) {
        ck_assert_uint_gt(n, 0);
        ck_assert_uint_le(n, cap);
        if (e->keep)
            memcpy(e->keep + e->received, buf, n);
        for (size_t i = 0; i < n && !e->keep; i++)
            if (buf[i] != next_byte(&e->rx))
                ck_abort_msg("wrong byte at %zu", e->received + i);
        e->received += n;
    } else if (rc == RC_EOF) {
        e->eof = true;
    } else if (rc != RC_AGAIN) {
        e->rc = rc;
    }
}

static inline void end_send(struct end *e)
{
    static uint8_t buf[END_BUF_BYTES];
    uint32_t g = e->tx;
    size_t n = least(e->to_send - e->sent, e->send_max ? e->send_max : sizeof buf);
    struct iovec v[2] = {{buf, n / 3}, {buf + n / 3, n - n / 3}};
    enum rc rc;

    if (!n) {
        rc = e->keep_open ? RC_AGAIN : stream_shut(e->s);
        e->shut = rc == RC_OK;
    } else {
        for (size_t i = 0; i < n; i++)
            buf[i] = next_byte(&g);
        rc = stream_send(e->s, v, 2, &n);
        for (size_t i = 0; rc == RC_OK && i < n; i++)
            (void)next_byte(&e->tx);
        if (rc == RC_OK)
            e->sent += n;
    }
    if (rc != RC_OK && rc != RC_AGAIN)
        e->rc = rc;
}

static void end_event(struct stream *s, unsigned ready, void *arg)
{
    struct end *e = arg;

    if (ready & STREAM_OPEN) {
        enum rc rc = stream_open(s);

        e->open = rc == RC_OK;
        if (rc != RC_OK && rc != RC_AGAIN)
            e->rc = rc;
    } else {
        if (ready & STREAM_IN)
            end_recv(e);
        if (e->rc == RC_OK && (ready & STREAM_OUT))
            end_send(e);
    }
    end_want(e);
}

static inline struct stream *end_stream(struct end *e, struct layer *bottom)
{
    e->s = stream_new(loop);
    ck_assert(e->s && bottom);
    stream_push(e->s, bottom);
    return e->s;
}

static inline struct ws_ctx *client_ctx(const struct ws_cfg *cfg)
{
    static const struct ws_cfg none;
    struct ws_ctx *ctx = NULL;
    struct diag d = {0};

    ck_assert_msg(ws_client_new(loop, cfg ? cfg : &none, &ctx, &d) == RC_OK, "%s", d.text);
    return ctx;
}

static inline struct ws_ctx *server_ctx(const struct ws_cfg *cfg)
{
    static const struct ws_cfg none;
    struct ws_ctx *ctx = NULL;
    struct diag d = {0};

    ck_assert_msg(ws_server_new(loop, cfg ? cfg : &none, &ctx, &d) == RC_OK, "%s", d.text);
    return ctx;
}

/* ---- a raw end */

struct raw {
    struct stream *s;
    const uint8_t *out;
    size_t out_n, piece; /* piece: bytes per send, 0: all */
    uint8_t in[RAW_BYTES];
    size_t in_n;
    bool eof, shut_after, shut;
    enum rc rc;
};

static void raw_event(struct stream *s, unsigned ready, void *arg)
{
    struct raw *r = arg;
    size_t n;

    if (ready & STREAM_IN) {
        enum rc rc = stream_recv(s, r->in + r->in_n, sizeof r->in - r->in_n, &n);

        if (rc == RC_OK)
            r->in_n += n;
        else if (rc == RC_EOF)
            r->eof = true;
        else if (rc != RC_AGAIN)
            r->rc = rc;
    }
    if ((ready & STREAM_OUT) && r->out_n) {
        struct iovec v = {(void *)(uintptr_t)r->out,
                          r->piece ? least(r->piece, r->out_n) : r->out_n};

        if (stream_send(s, &v, 1, &n) == RC_OK) {
            r->out += n;
            r->out_n -= n;
        }
    }
    if (!r->out_n && r->shut_after && !r->shut)
        r->shut = stream_shut(s) == RC_OK;
    stream_want(s,
                (r->eof || r->rc != RC_OK || r->in_n == sizeof r->in ? 0u : STREAM_IN) |
                    (r->rc == RC_OK && (r->out_n || (r->shut_after && !r->shut)) ? STREAM_OUT : 0u),
                raw_event, r);
}

static inline void raw_start(struct raw *r, struct layer *bottom)
{
    r->s = stream_new(loop);
    stream_push(r->s, bottom);
    ck_assert_int_eq(stream_open(r->s), RC_OK);
    stream_want(r->s, STREAM_IN, raw_event, r);
}

static inline void raw_send(struct raw *r, const void *p, size_t n)
{
    r->out = p;
    r->out_n = n;
    stream_want(r->s, STREAM_IN | STREAM_OUT, raw_event, r);
    loop_run(loop);
}

#endif
