/* handlers/tungoquestions.c - see tungoquestions.h.
 *
 *   buf   [ passed | may pass | not judged yet ]
 *         0       from      judged              n
 */
#include "handlers/tungoquestions.h"
#include "core/wire/dns.h"
#include "sniff/dns.h"
#include <stdlib.h>
#include <string.h>

enum { ROOM_BYTES = 8192 }; /* more than a question that counts, with its length */

enum watch_state {
    ST_QUESTION, /* the next one */
    ST_OTHER,    /* the one at `judged` goes another way */
    ST_RAW       /* nothing is watched any more */
};

/* The answers, as far as they are counted: their lengths. */
struct frames {
    uint8_t head;
    bool half; /* of the length */
    size_t left;
};

struct watch {
    struct layer layer;
    struct tungoquestions_cfg cfg;
    struct loop *loop;
    struct job job;
    enum watch_state state;
    struct sniffed next; /* ST_OTHER */
    struct frames down;
    unsigned open;  /* questions that were passed on and are not answered */
    bool first;     /* the next question is the one that everything is decided by */
    bool again;     /* what is kept has to be looked at before more is read */
    bool eof, shut; /* of the client; it was told the end of the answers */
    size_t from, judged, n;
    uint8_t buf[ROOM_BYTES];
};

/* RC_OK: the question may pass; RC_EOF: it goes another way. */
static enum rc judge_question(struct watch *w)
{
    struct sniffed found;
    struct slice msg;
    enum rc rc = sniff_dns_stream(w->buf + w->judged, w->n - w->judged, &found);

    if (rc != RC_OK)
        return rc;
    if (!w->first && !w->cfg.same_way(w->cfg.arg, &found)) {
        w->next = found;
        return RC_EOF;
    }
    (void)dns_frame(w->buf + w->judged, w->n - w->judged, &msg);
    w->first = false;
    w->open++;
    w->judged += 2 + msg.n;
    return RC_OK;
}

static void judge(struct watch *w)
{
    enum rc rc = RC_OK;

    while (rc == RC_OK && w->judged < w->n && w->state == ST_QUESTION)
        rc = judge_question(w);
    if (rc == RC_EOF) {
        w->state = ST_OTHER;
    } else if (w->state == ST_RAW || (rc != RC_OK && (rc != RC_AGAIN || w->eof))) {
        w->state = ST_RAW;
        w->judged = w->n;
    }
}

static enum rc read_some(struct watch *w)
{
    size_t n;

    memmove(w->buf, w->buf + w->from, w->n - w->from);
    w->judged -= w->from;
    w->n -= w->from;
    w->from = 0;
    enum rc rc = layer_recv(w->layer.below, w->buf + w->n, sizeof w->buf - w->n, &n);
    if (rc == RC_EOF)
        w->eof = true;
    else if (rc != RC_OK)
        return rc;
    else
        w->n += n;
    judge(w);
    return RC_OK;
}

static bool has_ended(const struct watch *w)
{
    return w->state == ST_OTHER && w->from == w->judged;
}

static enum rc watch_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct watch *w = (struct watch *)l;
    enum rc rc = RC_OK;

    if (w->again) {
        w->again = false;
        judge(w);
    }
    while (rc == RC_OK && w->from == w->judged && w->state == ST_QUESTION && !w->eof)
        rc = read_some(w);
    if (rc != RC_OK)
        return rc;
    if (has_ended(w)) {
        job_post(w->loop, &w->job); /* who reads is there to hear it */
        return w->open > 0 ? RC_AGAIN : RC_EOF;
    }
    size_t n = w->judged - w->from;
    if (n == 0)
        return w->eof ? RC_EOF : layer_recv(l->below, buf, cap, ret_n);
    n = n < cap ? n : cap;
    memcpy(buf, w->buf + w->from, n);
    w->from += n;
    *ret_n = n;
    return RC_OK;
}

/* ---------------------------------------------------------------- answers */

static void count_answers(struct watch *w, const uint8_t *p, size_t n)
{
    struct frames *f = &w->down;

    while (n > 0 && w->state != ST_RAW) {
        if (f->left > 0) {
            size_t some = n < f->left ? n : f->left;
            p += some;
            n -= some;
            f->left -= some;
            if (f->left > 0 || w->open == 0)
                continue;
            if (--w->open == 0 && has_ended(w))
                layer_wake(&w->layer);
            continue;
        }
        if (f->half)
            f->left = (size_t)f->head << 8 | *p;
        else
            f->head = *p;
        f->half = !f->half;
        p++;
        n--;
    }
}

static enum rc watch_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    enum rc rc = layer_send(l->below, v, nv, ret_n);
    size_t left = rc == RC_OK ? *ret_n : 0;

    for (int i = 0; i < nv && left > 0; i++) {
        size_t some = left < v[i].iov_len ? left : v[i].iov_len;
        count_answers((struct watch *)l, v[i].iov_base, some);
        left -= some;
    }
    return rc;
}

/* ---------------------------------------------------------------- the layer */

static enum rc watch_shut(struct layer *l)
{
    struct watch *w = (struct watch *)l;

    if (tungoquestions_has_next(l))
        return RC_OK;
    w->shut = true;
    return layer_shut(l->below);
}

static bool watch_pending(const struct layer *l, unsigned wish)
{
    const struct watch *w = (const struct watch *)l;

    return (wish & STREAM_IN) &&
           (w->again || w->from < w->judged || (has_ended(w) && w->open == 0));
}

/* While answers are waited for nothing from below makes a difference to a reader. */
static unsigned watch_wants(const struct layer *l, unsigned wish)
{
    return wish == STREAM_IN && has_ended((const struct watch *)l) ? 0 : wish;
}

static void watch_destroy(struct layer *l, bool aborting)
{
    (void)aborting;
    job_cancel(&((struct watch *)l)->job);
}

/* Neither lends memory: DNS is small. */
static const struct layer_type watch_type = {
    .name = "questions",
    .recv = watch_recv,
    .send = watch_send,
    .shut = watch_shut,
    .wants = watch_wants,
    .pending = watch_pending,
    .destroy = watch_destroy,
};

static void on_job(struct job *job)
{
    struct watch *w = (struct watch *)((char *)job - offsetof(struct watch, job));

    w->cfg.on_next(w->cfg.arg);
}

struct layer *tungoquestions_layer(struct loop *loop, const struct tungoquestions_cfg *cfg)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->layer.type = &watch_type;
    w->layer.opened = true; /* there is nothing to open, and the stream stays open */
    w->cfg = *cfg;
    w->loop = loop;
    w->first = true;
    job_init(&w->job, on_job);
    return &w->layer;
}

bool tungoquestions_has_next(const struct layer *l)
{
    const struct watch *w = (const struct watch *)l;

    return has_ended(w) && !w->shut;
}

void tungoquestions_next(struct layer *l, struct sniffed *ret_found)
{
    struct watch *w = (struct watch *)l;

    job_cancel(&w->job); /* it was about the end that is over now */
    *ret_found = w->next;
    w->state = ST_QUESTION;
    w->first = true;
    w->open = 0;
    w->down = (struct frames){.left = 0};
    w->again = true; /* who compares knows by then where this one goes */
    layer_wake(l);
}
