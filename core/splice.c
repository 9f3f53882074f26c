/* core/splice.c - two directions of copying between two streams. See splice.h.
 *
 * Each direction is a small machine: move bytes until the source has none or the sink takes none,
 * then wait for exactly that. The way a direction moves is found by trying: peek at the source
 * (zero copy), else reserve room in the sink (zero copy), else a buffer that exists only while
 * bytes wait in it.
 *
 * Who may still hold a splice when it dies: the two streams' events (stream_close() ends them), the
 * idle timer (stopped), the stop job (canceled). Its memory goes at the end of the turn.
 */
#include "core/splice.h"
#include "core/stream.h"
#include <stdlib.h>

enum {
    BUF_BYTES = 64 * 1024,
    TURN_BYTES = 512 * 1024, /* one direction may move in one turn: others want their share */
    PEEK_IOV = 64,
    LAST_WORDS_MS = 30000
};

enum way { WAY_PEEK, WAY_RESERVE, WAY_BUFFER };

struct buf {
    size_t from, to;
    unsigned char data[BUF_BYTES];
};

struct dir {
    struct stream *src, *dst;
    enum way way;
    struct buf *buf; /* bytes read and not yet written */
    uint64_t bytes;
    bool src_done;  /* EOF came */
    bool shut;      /* and was passed on */
    bool waits_out; /* blocked by the sink, else by the source */
};

struct splice {
    struct dir dir[2]; /* up: a to b; down: b to a */
    struct splice_cfg cfg;
    splice_done_fn *done;
    void *arg;
    struct loop *loop;
    struct timer idle;
    struct job stop;
    uint64_t started_ms, moved_ms;
    struct deferred deferred;
    bool gone[2]; /* a, b: the connection has failed, its last bytes have not been moved yet */
    bool ended;
};

/* ---------------------------------------------------------------- the end */

static void finish(struct splice *sp, const struct diag *why, char side)
{
    struct splice_result res = {
        .up_bytes = sp->dir[0].bytes,
        .down_bytes = sp->dir[1].bytes,
        .duration_ms = loop_now_ms(sp->loop) - sp->started_ms,
        .side = side,
    };
    struct stream *a = sp->dir[0].src, *b = sp->dir[1].src;

    if (why)
        res.diag = *why;
    if (sp->cfg.keep_a && (res.diag.rc == RC_OK || res.diag.rc == RC_CANCELED)) {
        stream_want(a, 0, NULL, NULL);
        sp->dir[0].src = sp->dir[1].dst = a = NULL;
    }
    /* A failure of one side is told to the other as a reset, so that nobody takes a cut answer for
     * a whole one. */
    if (res.diag.rc == RC_OK || res.diag.rc == RC_CANCELED || res.diag.rc == RC_TIMEOUT) {
        stream_close(a);
        stream_close(b);
    } else {
        stream_abort(a);
        stream_abort(b);
    }
    splice_free(sp); /* the streams are gone already; sp itself stays until the end of the turn */
    sp->done(sp->arg, &res);
}

void splice_free(struct splice *sp)
{
    if (!sp || sp->ended)
        return;
    sp->ended = true;
    timer_stop(&sp->idle);
    job_cancel(&sp->stop);
    stream_close(sp->dir[0].src);
    stream_close(sp->dir[1].src);
    free(sp->dir[0].buf);
    free(sp->dir[1].buf);
    loop_free_later(sp->loop, &sp->deferred, free, sp);
}

static void on_stop(struct job *job)
{
    struct splice *sp = (struct splice *)((char *)job - offsetof(struct splice, stop));
    struct diag why = {.rc = RC_CANCELED};

    finish(sp, &why, 0);
}

static uint32_t idle_limit(const struct splice *sp)
{
    bool half = sp->dir[0].shut || sp->dir[1].shut;

    if (sp->gone[0] || sp->gone[1])
        return sp->cfg.last_words_ms ? sp->cfg.last_words_ms : LAST_WORDS_MS;
    return half && sp->cfg.half_open_ms ? sp->cfg.half_open_ms : sp->cfg.idle_ms;
}

static void arm_idle(struct splice *sp)
{
    uint32_t limit = idle_limit(sp);

    /* Without memory for the timer there is no idle limit, which harms nobody. */
    if (limit)
        (void)timer_start(&sp->idle, limit);
    else
        timer_stop(&sp->idle);
}

static void on_idle(struct timer *timer)
{
    struct splice *sp = (struct splice *)((char *)timer - offsetof(struct splice, idle));
    uint64_t quiet = loop_now_ms(sp->loop) - sp->moved_ms;
    uint32_t limit = idle_limit(sp);
    struct diag why = {0};

    if (quiet < limit) {
        (void)timer_start(timer, limit - quiet);
        return;
    }
    if (sp->gone[0] || sp->gone[1])
        diag_set(&why, RC_RESET, "%s, and the other side takes nothing", rc_name(RC_RESET));
    else
        diag_set(&why, RC_TIMEOUT, "idle for %u s", limit / 1000);
    finish(sp, &why, sp->gone[0] ? 'a' : sp->gone[1] ? 'b' : 0);
}

/* ---------------------------------------------------------------- moving bytes */

/* RC_OK: something moved; RC_AGAIN: d->waits_out says for what; RC_EOF: the source ended; else
 * *ret_bad failed. */
static enum rc move_peek(struct dir *d, struct stream **ret_bad)
{
    struct iovec v[PEEK_IOV];
    size_t n;
    int nv;
    enum rc rc = stream_peek(d->src, v, PEEK_IOV, &nv);

    if (rc != RC_OK) {
        d->waits_out = false;
        *ret_bad = d->src;
        return rc;
    }
    rc = stream_send(d->dst, v, nv, &n);
    if (rc != RC_OK) {
        d->waits_out = true;
        *ret_bad = d->dst;
        return rc;
    }
    d->bytes += n;
    *ret_bad = d->src;
    return stream_consume(d->src, n);
}

static enum rc move_reserve(struct dir *d, struct stream **ret_bad)
{
    struct iovec room;
    size_t n = 0;
    enum rc rc = stream_reserve(d->dst, BUF_BYTES, &room), rc2;

    if (rc != RC_OK) {
        d->waits_out = rc == RC_AGAIN;
        *ret_bad = d->dst;
        return rc;
    }
    rc = stream_recv(d->src, room.iov_base, room.iov_len, &n);
    if (rc != RC_OK)
        n = 0;
    rc2 = stream_commit(d->dst, n);
    if (rc2 != RC_OK && rc2 != RC_AGAIN) {
        *ret_bad = d->dst;
        return rc2;
    }
    d->waits_out = false;
    d->bytes += n;
    *ret_bad = d->src;
    return rc;
}

static enum rc move_buffer(struct dir *d, struct stream **ret_bad)
{
    struct iovec v;
    size_t n;
    enum rc rc;

    if (!d->buf) {
        d->buf = malloc(sizeof *d->buf);
        if (!d->buf)
            return RC_NOMEM;
        d->buf->from = d->buf->to = 0;
    }
    if (d->buf->from == d->buf->to) {
        rc = stream_recv(d->src, d->buf->data, sizeof d->buf->data, &n);
        if (rc != RC_OK) {
            free(d->buf);
            d->buf = NULL;
            d->waits_out = false;
            *ret_bad = d->src;
            return rc;
        }
        d->buf->from = 0;
        d->buf->to = n;
    }
    v = (struct iovec){d->buf->data + d->buf->from, d->buf->to - d->buf->from};
    rc = stream_send(d->dst, &v, 1, &n);
    if (rc != RC_OK) {
        d->waits_out = true;
        *ret_bad = d->dst;
        return rc;
    }
    d->buf->from += n;
    d->bytes += n;
    return RC_OK;
}

static enum rc move(struct dir *d, struct stream **ret_bad)
{
    enum rc rc;

    /* Bytes in the buffer go first, whatever the way is now (floors may have left meanwhile). */
    if (d->buf && d->buf->from < d->buf->to)
        return move_buffer(d, ret_bad);
    if (d->way == WAY_PEEK) {
        rc = move_peek(d, ret_bad);
        if (rc != RC_UNSUPPORTED)
            return rc;
        d->way = WAY_RESERVE;
    }
    if (d->way == WAY_RESERVE) {
        rc = move_reserve(d, ret_bad);
        if (rc != RC_UNSUPPORTED)
            return rc;
        d->way = WAY_BUFFER;
    }
    return move_buffer(d, ret_bad);
}

/* Moves what can be moved in this turn. false: the splice has ended. */
static bool pump(struct splice *sp, struct dir *d)
{
    struct stream *bad = NULL;
    uint64_t before = d->bytes;
    enum rc rc = RC_OK;

    while (!d->src_done && d->bytes - before < TURN_BYTES) {
        rc = move(d, &bad);
        if (rc == RC_EOF && bad == d->src) {
            d->src_done = true;
        } else if (rc == RC_AGAIN) {
            break;
        } else if (rc != RC_OK) {
            struct diag why = {0};

            if (bad)
                why = *stream_diag(bad);
            diag_set(&why, rc, "%s", rc_name(rc));
            finish(sp, &why, bad == sp->dir[0].src ? 'a' : 'b');
            return false;
        }
    }
    /* The turn's share is used up: the rest of the buffer waits for the sink, not the source. */
    if (rc == RC_OK && d->buf && d->buf->from < d->buf->to)
        d->waits_out = true;
    if (d->bytes != before)
        sp->moved_ms = loop_now_ms(sp->loop);
    if (d->src_done && !d->shut) {
        rc = stream_shut(d->dst);
        if (rc == RC_AGAIN) {
            d->waits_out = true;
        } else if (rc == RC_OK || rc == RC_UNSUPPORTED) {
            d->shut = true;
            sp->moved_ms = loop_now_ms(sp->loop);
            arm_idle(sp);
        } else {
            struct diag why = *stream_diag(d->dst);

            finish(sp, &why, d->dst == sp->dir[0].src ? 'a' : 'b');
            return false;
        }
    }
    if (sp->dir[0].shut && sp->dir[1].shut) {
        finish(sp, NULL, 0);
        return false;
    }
    return true;
}

/* Side i has failed while nothing is read from it. If that is so because the other one takes
 * nothing at the moment, it gets some time to take what was said. false: the splice has ended. */
static bool lose(struct splice *sp, int i)
{
    struct diag why = {0};

    sp->gone[i] = true;
    if (!sp->dir[i].shut && !sp->gone[1 - i]) {
        sp->moved_ms = loop_now_ms(sp->loop);
        arm_idle(sp);
        return true;
    }
    diag_set(&why, RC_RESET, "%s", rc_name(RC_RESET));
    finish(sp, &why, i == 0 ? 'a' : 'b');
    return false;
}

static void on_event(struct stream *s, unsigned ready, void *arg);

/* Each stream is the source of one direction and the sink of the other: what it is waited for is
 * the sum. */
static void set_wants(struct splice *sp)
{
    for (int i = 0; i < 2; i++) {
        struct dir *out = &sp->dir[i], *in = &sp->dir[1 - i]; /* s: source of out, sink of in */
        unsigned want = 0;

        if (!out->src_done && !out->waits_out)
            want |= STREAM_IN;
        else if (!sp->gone[i])
            want |= STREAM_GONE;
        if (in->waits_out && !in->shut)
            want |= STREAM_OUT;
        stream_want(out->src, want, on_event, sp);
    }
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct splice *sp = arg;
    int i = s == sp->dir[0].src ? 0 : 1;

    if ((ready & STREAM_GONE) && !lose(sp, i))
        return;
    if (ready & STREAM_OUT) {
        sp->dir[1 - i].waits_out = false;
        if (!pump(sp, &sp->dir[1 - i]))
            return;
    }
    if ((ready & STREAM_IN) && !pump(sp, &sp->dir[i]))
        return;
    set_wants(sp);
}

struct splice *splice_start(struct stream *a, struct stream *b, const struct splice_cfg *cfg,
                            splice_done_fn *done, void *arg)
{
    struct splice *sp = calloc(1, sizeof *sp);

    if (!sp) {
        stream_abort(a);
        stream_abort(b);
        return NULL;
    }
    sp->dir[0] = (struct dir){.src = a, .dst = b};
    sp->dir[1] = (struct dir){.src = b, .dst = a};
    sp->cfg = *cfg;
    sp->done = done;
    sp->arg = arg;
    sp->loop = stream_loop(a);
    sp->started_ms = sp->moved_ms = loop_now_ms(sp->loop);
    timer_init(sp->loop, &sp->idle, on_idle);
    job_init(&sp->stop, on_stop);
    arm_idle(sp);
    set_wants(sp);
    return sp;
}

void splice_stop(struct splice *sp)
{
    job_post(sp->loop, &sp->stop);
}

void splice_bytes(const struct splice *sp, uint64_t *ret_up, uint64_t *ret_down)
{
    *ret_up = sp->dir[0].bytes;
    *ret_down = sp->dir[1].bytes;
}
