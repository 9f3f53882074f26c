/* core/dgram.c - the common half of datagram flows: events by a job, close. See dgram.h. */
#include "core/dgram.h"
#include "core/stream.h"
#include <stdlib.h>

static void on_job(struct job *job)
{
    struct dgram *d = (struct dgram *)((char *)job - offsetof(struct dgram, job));
    unsigned ready = d->diag.rc != RC_OK ? d->want
                     : d->want           ? d->type->ready(d, d->want) & d->want
                                         : 0;

    if (!ready || !d->fn)
        return;
    d->fn(d, ready, d->arg);
    if (!d->closed && d->want)
        dgram_wake(d); /* level-triggered: look again in the next round */
}

void dgram_init(struct dgram *d, const struct dgram_type *type, struct loop *loop, unsigned flags)
{
    *d = (struct dgram){.type = type, .loop = loop, .flags = flags};
    job_init(&d->job, on_job);
}

static enum rc final(struct dgram *d, enum rc rc)
{
    if (rc != RC_OK && rc != RC_AGAIN && rc != RC_EOF && rc != RC_UNSUPPORTED)
        diag_set(&d->diag, rc, "%s: %s", d->type->name, rc_name(rc));
    return rc;
}

enum rc dgram_open(struct dgram *d)
{
    enum rc rc;

    if (d->diag.rc != RC_OK)
        return d->diag.rc;
    if (d->opened)
        return RC_OK;
    rc = d->type->open ? d->type->open(d) : RC_OK;
    if (rc == RC_OK)
        d->opened = true;
    return final(d, rc);
}

enum rc dgram_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    enum rc rc;

    if (d->diag.rc != RC_OK)
        return d->diag.rc;
    rc = n > DGRAM_MAX_BYTES ? RC_AGAIN : d->type->send(d, to, data, n);
    if (rc == RC_AGAIN)
        d->dropped++;
    return final(d, rc);
}

enum rc dgram_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n, struct target *ret_from)
{
    return d->diag.rc != RC_OK ? d->diag.rc : final(d, d->type->recv(d, buf, cap, ret_n, ret_from));
}

enum rc dgram_send_burst(struct dgram *d, const struct target *to, const void *data, size_t n,
                         size_t segment)
{
    const char *at = data;
    enum rc rc;

    if (segment == 0 || segment >= n)
        return dgram_send(d, to, data, n);
    if (d->diag.rc != RC_OK)
        return d->diag.rc;
    if (d->type->send_burst)
        return final(d, d->type->send_burst(d, to, data, n, segment));
    do {
        size_t piece = n < segment ? n : segment;
        rc = dgram_send(d, to, at, piece);
        at += piece;
        n -= piece;
    } while (n > 0 && (rc == RC_OK || rc == RC_AGAIN));
    return rc;
}

enum rc dgram_recv_burst(struct dgram *d, void *buf, size_t cap, size_t *ret_n, size_t *ret_segment,
                         struct target *ret_from)
{
    enum rc rc;

    if (d->type->recv_burst)
        return d->diag.rc != RC_OK
                   ? d->diag.rc
                   : final(d, d->type->recv_burst(d, buf, cap, ret_n, ret_segment, ret_from));
    rc = dgram_recv(d, buf, cap, ret_n, ret_from);
    if (rc == RC_OK)
        *ret_segment = *ret_n;
    return rc;
}

enum rc dgram_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why)
{
    return d->type->trouble ? d->type->trouble(d, ret_about, ret_why) : RC_UNSUPPORTED;
}

enum rc dgram_local(struct dgram *d, struct addr *ret_addr)
{
    return d->type->local ? d->type->local(d, ret_addr) : RC_UNSUPPORTED;
}

void dgram_want(struct dgram *d, unsigned events, dgram_event_fn *fn, void *arg)
{
    d->want = events;
    d->fn = fn;
    d->arg = arg;
    if (events)
        dgram_wake(d);
}

void dgram_wake(struct dgram *d)
{
    if (!d->closed)
        job_post(d->loop, &d->job);
}

void dgram_close(struct dgram *d)
{
    if (!d || d->closed)
        return;
    d->closed = true;
    d->want = 0;
    d->fn = NULL;
    job_cancel(&d->job);
    if (d->type->destroy)
        d->type->destroy(d);
    loop_free_later(d->loop, &d->deferred, free, d);
}
