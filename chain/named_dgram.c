/* chain/named_dgram.c - see the header. */
#include "chain/named_dgram.h"
#include "chain/resolver.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 8, HELD_MAX_BYTES = 64 * 1024, ADDRS = 2 * RESOLVE_ADDRS_MAX };

struct held {
    struct held *next;
    size_t n;
    unsigned char data[];
};

/* A name under way and the datagrams that wait for it. */
struct waiting {
    struct resolve resolve;
    struct named *owner;
    struct waiting *next;
    struct target to;
    struct addr best;
    struct diag diag;
    struct held *first, **end;
    struct deferred deferred;
};

struct named {
    struct dgram dgram;
    struct dgram *below;
    struct resolver *resolver;
    bool v4_only, v6_only, prefer_ipv6;
    bool fixed;
    struct target target;
    struct addr addr;
    struct waiting *names;
    int n_names;
    size_t held_bytes;
};

static void on_below(struct dgram *below, unsigned ready, void *arg)
{
    struct named *d = arg;
    (void)ready;
    /* One look is enough: what is still wanted is asked for again by named_ready(). */
    dgram_want(below, 0, NULL, NULL);
    dgram_wake(&d->dgram);
}

static enum rc sent(struct named *d, enum rc rc)
{
    if (rc == RC_OK || rc == RC_AGAIN)
        return rc;
    return diag_set(&d->dgram.diag, rc, "%s", d->below->diag.text);
}

static bool better(const struct named *d, const struct addr *a, const struct addr *than)
{
    if ((d->v4_only && a->family != AF_INET) || (d->v6_only && a->family != AF_INET6))
        return false;
    if (than->family == 0)
        return true;
    int wanted = d->prefer_ipv6 ? AF_INET6 : AF_INET;
    return a->family == wanted && than->family != wanted;
}

static void end_waiting(struct waiting *w)
{
    struct named *d = w->owner;
    struct waiting **at = &d->names;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    d->n_names--;
    resolve_cancel(&w->resolve);
    while (w->first != NULL) {
        struct held *h = w->first;
        w->first = h->next;
        d->held_bytes -= sizeof(*h) + h->n;
        free(h);
    }
    loop_free_later(d->dgram.loop, &w->deferred, free, w);
}

static void on_resolved(struct resolve *q, enum rc rc, const struct addr *v, int n, bool last)
{
    struct waiting *w = (struct waiting *)((char *)q - offsetof(struct waiting, resolve));
    struct named *d = w->owner;
    (void)rc;
    for (int i = 0; i < n; i++)
        if (better(d, &v[i], &w->best))
            w->best = v[i];
    if (w->best.family == 0 && !last)
        return;
    w->best.port = w->to.addr.port;
    struct target t;
    target_from_addr(&t, &w->best);
    for (struct held *h = w->first; h != NULL; h = h->next)
        if (w->best.family == 0 || dgram_send(d->below, &t, h->data, h->n) != RC_OK)
            d->dgram.dropped++;
    end_waiting(w);
}

static enum rc hold(struct named *d, const struct target *to, const void *data, size_t n)
{
    struct waiting *w = d->names;
    while (w != NULL && !target_equal(&w->to, to))
        w = w->next;
    size_t bytes = sizeof(struct held) + n; /* empty ones cost memory too */
    if (d->held_bytes + bytes > HELD_MAX_BYTES || (w == NULL && d->n_names == NAMES_MAX))
        return RC_AGAIN;
    struct held *h = malloc(bytes);
    if (h == NULL)
        return RC_AGAIN;
    *h = (struct held){.n = n};
    memcpy(h->data, data, n);
    if (w == NULL) {
        w = calloc(1, sizeof(*w));
        if (w == NULL) {
            free(h);
            return RC_AGAIN;
        }
        w->owner = d;
        w->to = *to;
        w->end = &w->first;
        resolve_init(&w->resolve, on_resolved);
        if (!resolve_start(d->resolver, &w->resolve, to->name, !d->v6_only, !d->v4_only,
                           &w->diag)) {
            free(w);
            free(h);
            return RC_AGAIN;
        }
        w->next = d->names;
        d->names = w;
        d->n_names++;
    }
    *w->end = h;
    w->end = &h->next;
    d->held_bytes += bytes;
    return RC_OK;
}

/* Where a message to `to` goes; RC_AGAIN: the name is not known yet. */
static enum rc way_to(struct named *d, const struct target *to, struct target *ret_t)
{
    struct addr best = {.family = 0};
    if ((d->below->flags & DGRAM_NAMES) != 0 && target_is_name(to) && !d->fixed &&
        !resolver_claims(d->resolver, to->name)) {
        *ret_t = *to;
        return RC_OK;
    }
    if (d->fixed) {
        best = d->addr;
    } else if (!target_is_name(to)) {
        best = to->addr;
    } else {
        struct addr v[ADDRS];
        int count = resolver_peek(d->resolver, to->name, v, ADDRS);
        for (int i = 0; i < count; i++)
            if (better(d, &v[i], &best))
                best = v[i];
        best.port = to->addr.port;
    }
    if (best.family == 0)
        return RC_AGAIN;
    target_from_addr(ret_t, &best);
    return RC_OK;
}

static enum rc named_send(struct dgram *dgram, const struct target *to, const void *data, size_t n)
{
    struct named *d = (struct named *)dgram;
    struct target t;
    if (way_to(d, to, &t) != RC_OK)
        return hold(d, to, data, n);
    return sent(d, dgram_send(d->below, &t, data, n));
}

static enum rc named_send_burst(struct dgram *dgram, const struct target *to, const void *data,
                                size_t n, size_t segment)
{
    struct named *d = (struct named *)dgram;
    struct target t;
    if (way_to(d, to, &t) == RC_OK)
        return sent(d, dgram_send_burst(d->below, &t, data, n, segment));
    enum rc rc = RC_OK;
    for (size_t at = 0; at < n; at += segment) {
        size_t one = n - at < segment ? n - at : segment;
        if (hold(d, to, (const char *)data + at, one) != RC_OK) {
            dgram->dropped++;
            rc = RC_AGAIN;
        }
    }
    return rc;
}

/* What came from below: RC_OK to hand it up, RC_AGAIN: not for us, look for the next. */
static enum rc received(struct named *d, enum rc rc, struct target *from)
{
    if (rc != RC_OK)
        return diag_set(&d->dgram.diag, rc, "%s", d->below->diag.text);
    if (!d->fixed)
        return RC_OK;
    if (!addr_equal(&from->addr, &d->addr)) {
        d->dgram.dropped++;
        d->dgram.strangers++;
        return RC_AGAIN;
    }
    *from = d->target;
    return RC_OK;
}

static enum rc named_recv(struct dgram *dgram, void *buf, size_t cap, size_t *ret_n,
                          struct target *ret_from)
{
    struct named *d = (struct named *)dgram;
    for (;;) {
        enum rc rc = dgram_recv(d->below, buf, cap, ret_n, ret_from);
        if (rc == RC_AGAIN)
            return rc;
        rc = received(d, rc, ret_from);
        if (rc != RC_AGAIN)
            return rc;
    }
}

static enum rc named_recv_burst(struct dgram *dgram, void *buf, size_t cap, size_t *ret_n,
                                size_t *ret_segment, struct target *ret_from)
{
    struct named *d = (struct named *)dgram;
    for (;;) {
        enum rc rc = dgram_recv_burst(d->below, buf, cap, ret_n, ret_segment, ret_from);
        if (rc == RC_AGAIN)
            return rc;
        rc = received(d, rc, ret_from);
        if (rc != RC_AGAIN)
            return rc;
    }
}

static enum rc named_trouble(struct dgram *dgram, struct target *ret_about, enum rc *ret_why)
{
    return dgram_trouble(((struct named *)dgram)->below, ret_about, ret_why);
}

static unsigned named_ready(struct dgram *dgram, unsigned wish)
{
    struct named *d = (struct named *)dgram;
    unsigned ready = wish & STREAM_OPEN;
    unsigned below = wish & (STREAM_IN | STREAM_OUT);
    if (d->below->diag.rc != RC_OK)
        return wish;
    if (below == 0)
        return ready;
    ready |= d->below->type->ready(d->below, below) & below;
    if ((ready & below) == 0)
        dgram_want(d->below, below, on_below, d);
    return ready;
}

static enum rc named_local(struct dgram *dgram, struct addr *ret_addr)
{
    return dgram_local(((struct named *)dgram)->below, ret_addr);
}

static void named_destroy(struct dgram *dgram)
{
    struct named *d = (struct named *)dgram;
    while (d->names != NULL)
        end_waiting(d->names);
    dgram_close(d->below);
    resolver_unref(d->resolver);
}

static const struct dgram_type named_type = {
    .name = "named",
    .send = named_send,
    .recv = named_recv,
    .ready = named_ready,
    .local = named_local,
    .destroy = named_destroy,
    .send_burst = named_send_burst,
    .recv_burst = named_recv_burst,
    .trouble = named_trouble,
};

struct dgram *named_dgram(struct dgram *below, const struct named_dgram_cfg *cfg)
{
    struct named *d = below != NULL ? calloc(1, sizeof(*d)) : NULL;
    if (d == NULL) {
        dgram_close(below);
        return NULL;
    }
    dgram_init(&d->dgram, &named_type, below->loop, cfg->fixed != NULL ? DGRAM_FIXED : DGRAM_NAMES);
    d->below = below;
    dgram_want(below, 0, NULL, NULL);
    d->resolver = resolver_ref(cfg->resolver);
    d->v4_only = cfg->v4_only;
    d->v6_only = cfg->v6_only;
    d->prefer_ipv6 = cfg->prefer_ipv6;
    if (cfg->fixed != NULL) {
        d->fixed = true;
        d->target = *cfg->fixed;
        d->addr = *cfg->fixed_addr;
    }
    return &d->dgram;
}
