/* chain/one_dgram.c - see the header. */
#include "chain/one_dgram.h"
#include "core/stream.h"
#include <stdlib.h>

enum { STRANGERS_MAX = 64 /* that are passed over in one call */ };

struct one {
    struct dgram dgram;
    struct dgram *all;
    struct target target;
};

static void on_below(struct dgram *all, unsigned ready, void *arg)
{
    struct one *o = arg;
    (void)ready;
    dgram_want(all, 0, NULL, NULL); /* what is still wanted is asked for by one_ready() */
    dgram_wake(&o->dgram);
}

static enum rc told(struct one *o, enum rc rc)
{
    return rc == RC_OK || rc == RC_AGAIN ? rc
                                         : diag_set(&o->dgram.diag, rc, "%s", o->all->diag.text);
}

static enum rc one_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct one *o = (struct one *)d;
    (void)to;
    return told(o, dgram_send(o->all, &o->target, data, n));
}

static enum rc one_send_burst(struct dgram *d, const struct target *to, const void *data, size_t n,
                              size_t segment)
{
    struct one *o = (struct one *)d;
    (void)to;
    return told(o, dgram_send_burst(o->all, &o->target, data, n, segment));
}

/* Some far ends don't say who spoke, or only its name. */
static bool is_target(const struct one *o, const struct target *from)
{
    struct addr a = addr_unmap(from->addr), wanted = addr_unmap(o->target.addr);
    return target_is_name(&o->target) || target_is_name(from) || a.family == 0 ||
           addr_is_wildcard(&a) || addr_equal(&a, &wanted);
}

static enum rc one_recv_burst(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                              size_t *ret_segment, struct target *ret_from)
{
    struct one *o = (struct one *)d;
    for (int i = 0; i < STRANGERS_MAX; i++) {
        enum rc rc = dgram_recv_burst(o->all, buf, cap, ret_n, ret_segment, ret_from);
        if (rc != RC_OK)
            return told(o, rc);
        if (is_target(o, ret_from)) {
            *ret_from = o->target;
            return RC_OK;
        }
        d->dropped++;
        d->strangers++;
    }
    return RC_AGAIN; /* the next round goes on */
}

static enum rc one_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                        struct target *ret_from)
{
    struct one *o = (struct one *)d;
    for (int i = 0; i < STRANGERS_MAX; i++) {
        enum rc rc = dgram_recv(o->all, buf, cap, ret_n, ret_from);
        if (rc != RC_OK)
            return told(o, rc);
        if (is_target(o, ret_from)) {
            *ret_from = o->target;
            return RC_OK;
        }
        d->dropped++;
        d->strangers++;
    }
    return RC_AGAIN;
}

static unsigned one_ready(struct dgram *d, unsigned wish)
{
    struct one *o = (struct one *)d;
    unsigned below = wish & (STREAM_IN | STREAM_OUT), ready = wish & STREAM_OPEN;
    if (o->all->diag.rc != RC_OK)
        return wish;
    if (below == 0)
        return ready;
    ready |= o->all->type->ready(o->all, below) & below;
    if ((ready & below) == 0)
        dgram_want(o->all, below, on_below, o);
    return ready;
}

static enum rc one_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why)
{
    return dgram_trouble(((struct one *)d)->all, ret_about, ret_why);
}

static enum rc one_local(struct dgram *d, struct addr *ret_addr)
{
    return dgram_local(((struct one *)d)->all, ret_addr);
}

static void one_destroy(struct dgram *d)
{
    dgram_close(((struct one *)d)->all);
}

static const struct dgram_type one_type = {
    .name = "one",
    .send = one_send,
    .recv = one_recv,
    .ready = one_ready,
    .local = one_local,
    .destroy = one_destroy,
    .send_burst = one_send_burst,
    .recv_burst = one_recv_burst,
    .trouble = one_trouble,
};

struct dgram *one_dgram(struct dgram *d, const struct target *t)
{
    struct one *o = calloc(1, sizeof(*o));
    if (o == NULL) {
        dgram_close(d);
        return NULL;
    }
    o->all = d;
    o->target = *t;
    dgram_init(&o->dgram, &one_type, d->loop, DGRAM_FIXED);
    dgram_want(d, 0, NULL, NULL);
    return &o->dgram;
}
