/* core/floor/framed.c - see framed.h.
 *
 * in: bytes received and not yet given up, from..to; the buffer is there only while bytes wait and
 * grows to what one frame needs. out: the rest of a frame that the stream took in part.
 */
#include "core/floor/framed.h"
#include "core/os.h"
#include "core/stream.h"
#include "core/wire/relay.h"
#include "core/wire/udptun.h"
#include <stdlib.h>
#include <string.h>

enum { IN_FIRST_BYTES = 4096, FRAME_MAX_BYTES = UDPTUN_FRAME_MAX_BYTES, PATIENCE_MS = 60000 };

struct framed {
    struct dgram dgram;
    struct stream *stream;
    enum framing framing;
    bool fixed;
    struct target target;
    bool openable, readable, blocked; /* what the stream said last */
    bool ended;
    unsigned char *in;
    size_t in_cap, from, to;
    unsigned char *out;
    size_t out_from, out_to;
};

static void watch(struct framed *f);

/* Moves the rest of the begun frame on. */
static enum rc flush(struct framed *f)
{
    while (f->out_from < f->out_to) {
        struct iovec v = {f->out + f->out_from, f->out_to - f->out_from};
        size_t n;
        enum rc rc = stream_send(f->stream, &v, 1, &n);
        if (rc != RC_OK)
            return rc;
        f->out_from += n;
    }
    free(f->out);
    f->out = NULL;
    f->out_from = f->out_to = 0;
    return RC_OK;
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    struct framed *f = arg;
    (void)s;
    if ((ready & STREAM_OPEN) != 0)
        f->openable = true;
    if ((ready & STREAM_IN) != 0)
        f->readable = true;
    if ((ready & STREAM_OUT) != 0)
        f->blocked = flush(f) == RC_AGAIN;
    watch(f);
    dgram_wake(&f->dgram);
}

/* The stream is asked for what is not known: once per change, whatever the owner wants. */
static void watch(struct framed *f)
{
    unsigned events = 0;
    if (!f->dgram.opened)
        events = f->openable ? 0 : STREAM_OPEN;
    else if (!f->readable && !f->ended)
        events = STREAM_IN;
    if (f->blocked)
        events |= STREAM_OUT;
    stream_want(f->stream, events, on_stream, f);
}

static enum rc failed(struct framed *f, enum rc rc)
{
    if (rc == RC_OK || rc == RC_AGAIN || rc == RC_EOF)
        return rc;
    return diag_set(&f->dgram.diag, rc, "%s", stream_diag(f->stream)->text);
}

static enum rc framed_open(struct dgram *d)
{
    struct framed *f = (struct framed *)d;
    enum rc rc = stream_open(f->stream);
    if (rc == RC_UNSUPPORTED)
        return rc; /* how the connector says "dial once more"; not a failure of the flow */
    if (rc == RC_OK) {
        int fd;
        /* a carrier that is dead takes datagrams for a quarter of an hour and brings none back; the
         * next association finds another way */
        if (stream_query(f->stream, QUERY_SOCKET, &fd) == RC_OK)
            os_patience(fd, PATIENCE_MS);
        stream_want(f->stream, STREAM_IN, on_stream, f);
    }
    f->openable = rc != RC_AGAIN;
    if (rc == RC_AGAIN)
        watch(f);
    return failed(f, rc);
}

/* Keeps what the stream did not take of head and data. */
static enum rc keep_rest(struct framed *f, const struct iovec v[static 2], size_t done)
{
    size_t total = v[0].iov_len + v[1].iov_len, at = 0;
    f->out = malloc(total - done);
    if (f->out == NULL)
        return diag_set(&f->dgram.diag, RC_NOMEM, "no memory for half a frame");
    for (int i = 0; i < 2; i++) {
        size_t skip = done < v[i].iov_len ? done : v[i].iov_len;
        if (v[i].iov_len > skip)
            memcpy(f->out + at, (const char *)v[i].iov_base + skip, v[i].iov_len - skip);
        at += v[i].iov_len - skip;
        done -= skip;
    }
    f->out_from = 0;
    f->out_to = at;
    f->blocked = true;
    return RC_OK;
}

static enum rc framed_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct framed *f = (struct framed *)d;
    unsigned char head[UDPTUN_HEAD_MAX_BYTES];
    size_t head_n = RELAY_DGRAM_HEAD_BYTES, done;
    if (f->out != NULL) {
        enum rc rc = flush(f);
        if (rc != RC_OK) {
            f->blocked = true;
            watch(f);
            return failed(f, rc);
        }
    }
    if (f->framing == FRAMING_LEN) {
        relay_format_dgram_head((uint16_t)n, head);
    } else {
        if (n == 0 || udptun_format_head(f->fixed ? &f->target : to, (uint16_t)n, head,
                                         sizeof(head), &head_n) != RC_OK)
            return RC_AGAIN;
    }
    union {
        const void *in;
        void *out;
    } u = {.in = data};
    struct iovec v[2] = {{head, head_n}, {u.out, n}};
    enum rc rc = stream_send(f->stream, v, n > 0 ? 2 : 1, &done);
    if (rc == RC_OK && done < head_n + n) {
        rc = keep_rest(f, v, done);
        if (rc == RC_OK)
            rc = flush(f);
        if (rc == RC_AGAIN)
            rc = RC_OK;
        f->blocked = f->out != NULL;
    } else if (rc == RC_AGAIN) {
        f->blocked = true;
    }
    watch(f);
    return failed(f, rc);
}

/* One frame at in[from..to): RC_OK with what to hand up (n may be 0), RC_AGAIN: not whole yet. */
static enum rc next_frame(struct framed *f, struct slice *ret_payload, struct target *ret_from,
                          bool *ret_valid, size_t *ret_used)
{
    const unsigned char *p = f->in + f->from;
    size_t n = f->to - f->from;
    *ret_valid = true;
    if (f->framing == FRAMING_LEN) {
        *ret_from = f->target;
        return relay_parse_dgram(p, n, ret_payload, ret_used);
    }
    struct udptun_frame frame;
    enum rc rc = udptun_parse(p, n, &frame, ret_used);
    if (rc != RC_OK)
        return rc;
    *ret_payload = frame.payload;
    *ret_from = f->fixed ? f->target : frame.target;
    *ret_valid = frame.valid;
    return RC_OK;
}

/* Room for more bytes: the head of the buffer first, then a larger one. */
static enum rc make_room(struct framed *f)
{
    if (f->from > 0) {
        memmove(f->in, f->in + f->from, f->to - f->from);
        f->to -= f->from;
        f->from = 0;
    }
    if (f->to < f->in_cap)
        return RC_OK;
    size_t cap = f->in_cap == 0 ? IN_FIRST_BYTES : 4 * f->in_cap;
    if (cap > FRAME_MAX_BYTES)
        cap = FRAME_MAX_BYTES;
    unsigned char *in = cap > f->in_cap ? realloc(f->in, cap) : NULL;
    if (in == NULL)
        return diag_set(&f->dgram.diag, RC_NOMEM, "no memory for a frame");
    f->in = in;
    f->in_cap = cap;
    return RC_OK;
}

static void drop_empty_buffer(struct framed *f)
{
    if (f->from < f->to)
        return;
    free(f->in);
    f->in = NULL;
    f->in_cap = f->from = f->to = 0;
}

static enum rc fill(struct framed *f)
{
    enum rc rc = make_room(f);
    size_t n;
    if (rc != RC_OK)
        return rc;
    rc = stream_recv(f->stream, f->in + f->to, f->in_cap - f->to, &n);
    if (rc == RC_OK) {
        f->to += n;
        return RC_OK;
    }
    if (rc == RC_EOF)
        f->ended = true;
    f->readable = false;
    drop_empty_buffer(f);
    watch(f);
    return failed(f, rc);
}

static enum rc framed_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                           struct target *ret_from)
{
    struct framed *f = (struct framed *)d;
    for (;;) {
        struct slice payload;
        struct target from;
        size_t used;
        bool valid;
        enum rc rc = f->from < f->to ? next_frame(f, &payload, &from, &valid, &used) : RC_AGAIN;
        if (rc == RC_AGAIN) {
            rc = f->ended ? RC_EOF : fill(f);
            if (rc != RC_OK)
                return rc;
            continue;
        }
        if (rc != RC_OK)
            return diag_set(&d->diag, rc, "a frame that can't be one");
        f->from += used;
        if (!valid) {
            d->dropped++;
            continue;
        }
        size_t n = payload.n < cap ? payload.n : cap;
        if (n > 0)
            memcpy(buf, payload.p, n);
        *ret_n = n;
        *ret_from = from;
        drop_empty_buffer(f);
        return RC_OK;
    }
}

static unsigned framed_ready(struct dgram *d, unsigned wish)
{
    struct framed *f = (struct framed *)d;
    unsigned ready = 0;
    if (!d->opened)
        return f->openable ? wish & STREAM_OPEN : 0;
    if (f->readable || f->ended || f->from < f->to)
        ready |= STREAM_IN;
    if (!f->blocked)
        ready |= STREAM_OUT;
    return (ready | STREAM_OPEN) & wish;
}

static enum rc framed_local(struct dgram *d, struct addr *ret_addr)
{
    return stream_query(((struct framed *)d)->stream, QUERY_BOUND_ADDR, ret_addr);
}

static void framed_destroy(struct dgram *d)
{
    struct framed *f = (struct framed *)d;
    stream_close(f->stream);
    free(f->in);
    free(f->out);
}

static const struct dgram_type framed_type = {
    .name = "framed",
    .open = framed_open,
    .send = framed_send,
    .recv = framed_recv,
    .ready = framed_ready,
    .local = framed_local,
    .destroy = framed_destroy,
};

struct dgram *framed_dgram(struct stream *s, const struct framed_cfg *cfg)
{
    struct framed *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        stream_close(s);
        return NULL;
    }
    unsigned flags = cfg->fixed != NULL ? DGRAM_FIXED : DGRAM_NAMES;
    dgram_init(&f->dgram, &framed_type, stream_loop(s), flags);
    f->stream = s;
    f->framing = cfg->framing;
    f->openable = true; /* the first call finds out */
    if (cfg->fixed != NULL) {
        f->fixed = true;
        f->target = *cfg->fixed;
    }
    stream_want(s, 0, NULL, NULL);
    return &f->dgram;
}
