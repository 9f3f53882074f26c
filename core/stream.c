/* core/stream.c - the stack of layers and the one job that delivers its events. See stream.h.
 *
 * An event of the bottom (or of a layer's own doing) posts the stream's job. The job lets every
 * layer with business of its own run, then asks for each thing the owner wants: which event of the
 * floor below serves it, down to the bottom, and is that possible now? Only then the owner is
 * called. As long as it stays possible, the job stays posted.
 */
#include "core/stream.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct stream {
    struct loop *loop;
    struct layer *top;
    struct job job;
    struct deferred deferred;
    stream_event_fn *fn;
    void *arg;
    unsigned want;
    bool open, closed;
    bool draining; /* shut, but a floor below the top has not got rid of everything */
    struct diag diag;
};

/* ---------------------------------------------------------------- calls on a floor */

enum rc layer_open(struct layer *l)
{
    enum rc rc = RC_OK;

    if (l->opened)
        return RC_OK;
    if (l->below)
        rc = layer_open(l->below);
    if (rc == RC_OK && l->type->open)
        rc = l->type->open(l);
    if (rc == RC_OK)
        l->opened = true;
    return rc;
}

enum rc layer_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    while (!l->type->recv)
        l = l->below;
    return l->type->recv(l, buf, cap, ret_n);
}

enum rc layer_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    while (!l->type->send)
        l = l->below;
    return l->type->send(l, v, nv, ret_n);
}

enum rc layer_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    return l->type->peek ? l->type->peek(l, v, cap, ret_n) : RC_UNSUPPORTED;
}

enum rc layer_consume(struct layer *l, size_t n)
{
    return l->type->consume ? l->type->consume(l, n) : RC_UNSUPPORTED;
}

enum rc layer_shut(struct layer *l)
{
    while (!l->type->shut)
        l = l->below;
    return l->type->shut(l);
}

enum rc layer_query(struct layer *l, enum layer_query q, void *ret_value)
{
    for (; l; l = l->below) {
        enum rc rc = l->type->query ? l->type->query(l, q, ret_value) : RC_UNSUPPORTED;

        if (rc != RC_UNSUPPORTED)
            return rc;
    }
    return RC_UNSUPPORTED;
}

bool layer_can(const struct layer *l, unsigned event)
{
    unsigned wish = event;

    for (; l->below; l = l->below) {
        if (l->type->pending && l->type->pending(l, wish))
            return true;
        if (l->type->wants) {
            unsigned down = 0;

            for (unsigned e = STREAM_IN; e <= STREAM_OUT; e <<= 1)
                if (wish & e)
                    down |= l->type->wants(l, e);
            wish = down;
        }
        if (!wish)
            return false;
    }
    if (l->type->pending && l->type->pending(l, wish))
        return true;
    return (l->type->ready(l, wish) & wish) != 0;
}

void layer_wake(struct layer *l)
{
    if (l->stream && !l->stream->closed)
        job_post(l->stream->loop, &l->stream->job);
}

enum rc layer_fail(struct layer *l, enum rc rc, const char *fmt, ...)
{
    struct diag *d = l->stream ? &l->stream->diag : NULL;
    char text[sizeof d->text];
    va_list ap;

    if (d && d->rc == RC_OK) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        diag_set(d, rc, "%s: %s", l->type->name, text);
    }
    return rc;
}

/* ---------------------------------------------------------------- events */

/* May stream_open() get further now? The lowest layer that is not open knows what it waits for. */
static bool open_can(const struct stream *s)
{
    const struct layer *l = s->top, *waiting = NULL;
    unsigned wish;

    for (; l; l = l->below)
        if (!l->opened)
            waiting = l;
    if (!waiting)
        return true;
    l = waiting;
    if (!l->below)
        return (l->type->ready(l, STREAM_OPEN) & STREAM_OPEN) != 0;
    if (l->type->pending && l->type->pending(l, STREAM_OPEN))
        return true;
    wish = l->type->wants ? l->type->wants(l, STREAM_OPEN) : STREAM_IN;
    return ((wish & STREAM_IN) && layer_can(l->below, STREAM_IN)) ||
           ((wish & STREAM_OUT) && layer_can(l->below, STREAM_OUT));
}

static bool is_gone(const struct stream *s)
{
    const struct layer *l = s->top;

    while (l->below)
        l = l->below;
    return l->type->ready(l, STREAM_GONE) != 0;
}

/* Has a floor taken bytes that it could not hand to the one below yet? */
static bool owes(const struct stream *s)
{
    for (const struct layer *l = s->top; l; l = l->below)
        if (l->type->needs && (l->type->needs(l) & STREAM_OUT))
            return true;
    return false;
}

static unsigned possible(const struct stream *s)
{
    unsigned ready = 0;

    if (!s->want || !s->fn || !s->top)
        return 0;
    if (s->diag.rc != RC_OK)
        return s->want; /* the next call tells the owner */
    if ((s->want & STREAM_OPEN) && open_can(s))
        ready |= STREAM_OPEN;
    if ((s->want & STREAM_IN) && layer_can(s->top, STREAM_IN))
        ready |= STREAM_IN;
    if ((s->want & STREAM_OUT) && (s->draining ? !owes(s) : layer_can(s->top, STREAM_OUT)))
        ready |= STREAM_OUT;
    if ((s->want & STREAM_GONE) && is_gone(s))
        ready |= STREAM_GONE;
    return ready;
}

/* A layer's run() may not close the stream. */
static void run_layer(struct layer *l)
{
    unsigned needs = l->type->needs ? l->type->needs(l) : 0;

    if (needs && l->below) {
        if (((needs & STREAM_IN) && layer_can(l->below, STREAM_IN)) ||
            ((needs & STREAM_OUT) && layer_can(l->below, STREAM_OUT)))
            l->type->run(l);
    } else if (needs) {
        if (l->type->ready(l, needs))
            l->type->run(l);
    }
}

/* Layers with business of their own: the lower ones first, so that what they free is there for the
 * upper ones. */
static void run_layers(struct layer *l)
{
    if (!l)
        return;
    run_layers(l->below);
    run_layer(l);
}

/* What was accepted leaves as far as it can without waiting: the upper ones first, because what
 * they say last passes the lower ones. */
static void leave_layers(struct layer *l)
{
    for (; l; l = l->below) {
        run_layer(l);
        if (l->type->leave && l->opened)
            l->type->leave(l);
    }
}

static void on_job(struct job *job)
{
    struct stream *s = (struct stream *)((char *)job - offsetof(struct stream, job));
    unsigned ready = possible(s);

    if (ready) {
        s->fn(s, ready, s->arg);
        if (s->closed)
            return;
    }
    run_layers(s->top); /* after the owner: what it wrote in this call leaves in one piece */
    if (!s->job.next && possible(s))
        job_post(s->loop, &s->job);
}

void stream_want(struct stream *s, unsigned events, stream_event_fn *fn, void *arg)
{
    s->want = events;
    s->fn = fn;
    s->arg = arg;
    if (events && !s->closed)
        job_post(s->loop, &s->job);
}

/* ---------------------------------------------------------------- the owner's side */

struct stream *stream_new(struct loop *loop)
{
    struct stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->loop = loop;
    job_init(&s->job, on_job);
    return s;
}

void stream_push(struct stream *s, struct layer *l)
{
    l->stream = s;
    l->below = s->top;
    l->above = NULL;
    if (s->top)
        s->top->above = l;
    s->top = l;
    if (!l->opened)
        s->open = false;
}

void layer_insert(struct layer *l, struct layer *lower)
{
    lower->stream = l->stream;
    lower->above = l;
    lower->below = l->below;
    if (l->below)
        l->below->above = lower;
    l->below = lower;
}

static void unlink_layer(struct stream *s, struct layer *l)
{
    if (l->above)
        l->above->below = l->below;
    else
        s->top = l->below;
    if (l->below)
        l->below->above = l->above;
    if (l->type->destroy)
        l->type->destroy(l, false);
    loop_free_later(s->loop, &l->deferred, free, l);
}

/* Remembers a final failure even when the layer gave no words for it. */
static enum rc final(struct stream *s, enum rc rc)
{
    if (rc != RC_OK && rc != RC_AGAIN && rc != RC_EOF && rc != RC_UNSUPPORTED)
        diag_set(&s->diag, rc, "%s", rc_name(rc));
    return rc;
}

enum rc stream_open(struct stream *s)
{
    struct layer *l, *below;
    enum rc rc;

    if (s->diag.rc != RC_OK)
        return s->diag.rc;
    if (s->open)
        return RC_OK;
    rc = layer_open(s->top);
    if (rc == RC_EOF)
        return layer_fail(s->top, RC_RESET, "connection ended during its handshake");
    if (rc != RC_OK)
        return final(s, rc);
    for (l = s->top; l; l = below) {
        below = l->below;
        if ((l->type->flags & LAYER_SETUP) && below)
            unlink_layer(s, l);
    }
    s->open = true;
    return RC_OK;
}

enum rc stream_recv(struct stream *s, void *buf, size_t cap, size_t *ret_n)
{
    return s->diag.rc != RC_OK ? s->diag.rc : final(s, layer_recv(s->top, buf, cap, ret_n));
}

enum rc stream_send(struct stream *s, const struct iovec *v, int nv, size_t *ret_n)
{
    return s->diag.rc != RC_OK ? s->diag.rc : final(s, layer_send(s->top, v, nv, ret_n));
}

/* A top floor with an end of its own (TLS inside of another one) is done when the floor below took
 * its last words. That one may still hold them, and whoever hears RC_OK may close the stream. */
enum rc stream_shut(struct stream *s)
{
    enum rc rc = s->diag.rc != RC_OK ? s->diag.rc : final(s, layer_shut(s->top));

    s->draining = rc == RC_OK && owes(s);
    return s->draining ? RC_AGAIN : rc;
}

enum rc stream_peek(struct stream *s, struct iovec *v, int cap, int *ret_n)
{
    return s->diag.rc != RC_OK ? s->diag.rc : final(s, layer_peek(s->top, v, cap, ret_n));
}

enum rc stream_consume(struct stream *s, size_t n)
{
    return s->diag.rc != RC_OK ? s->diag.rc : final(s, layer_consume(s->top, n));
}

enum rc stream_reserve(struct stream *s, size_t want, struct iovec *ret_v)
{
    if (s->diag.rc != RC_OK)
        return s->diag.rc;
    return s->top->type->reserve ? final(s, s->top->type->reserve(s->top, want, ret_v))
                                 : RC_UNSUPPORTED;
}

enum rc stream_commit(struct stream *s, size_t n)
{
    return s->diag.rc != RC_OK ? s->diag.rc : final(s, s->top->type->commit(s->top, n));
}

enum rc stream_query(struct stream *s, enum layer_query q, void *ret_value)
{
    if (s->diag.rc != RC_OK)
        return s->diag.rc;
    return s->top ? final(s, layer_query(s->top, q, ret_value)) : RC_UNSUPPORTED;
}

bool stream_is_open(const struct stream *s)
{
    return s->open;
}

struct loop *stream_loop(const struct stream *s)
{
    return s->loop;
}

struct diag *stream_diag(struct stream *s)
{
    return &s->diag;
}

static void end(struct stream *s, bool aborting)
{
    struct layer *l, *below;

    if (!s || s->closed)
        return;
    if (!aborting)
        leave_layers(s->top);
    s->closed = true;
    s->want = 0;
    s->fn = NULL;
    job_cancel(&s->job);
    for (l = s->top; l; l = below) {
        below = l->below;
        if (l->type->destroy)
            l->type->destroy(l, aborting);
        l->stream = NULL;
        loop_free_later(s->loop, &l->deferred, free, l);
    }
    s->top = NULL;
    loop_free_later(s->loop, &s->deferred, free, s);
}

void stream_close(struct stream *s)
{
    end(s, false);
}

void stream_abort(struct stream *s)
{
    end(s, true);
}
