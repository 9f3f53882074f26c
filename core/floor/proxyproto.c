/* core/floor/proxyproto.c - the PROXY header on the wire. See proxyproto.h. */
#include "core/floor/proxyproto.h"
#include "core/wire/proxyproto.h"
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 1024 };

/* ---------------------------------------------------------------- sending */

struct sender {
    struct layer layer;
    size_t at, n;
    uint8_t bytes[PROXYPROTO_LINE_MAX_BYTES];
};

static enum rc sender_open(struct layer *l)
{
    struct sender *s = (struct sender *)l;

    while (s->at < s->n) {
        struct iovec v = {s->bytes + s->at, s->n - s->at};
        size_t n;
        enum rc rc = layer_send(l->below, &v, 1, &n);

        if (rc != RC_OK)
            return rc;
        s->at += n;
    }
    return RC_OK;
}

static unsigned sender_wants(const struct layer *l, unsigned wish)
{
    (void)l;
    return wish == STREAM_OPEN ? STREAM_OUT : wish;
}

static const struct layer_type sender_type = {
    .name = "PROXY header",
    .flags = LAYER_SETUP,
    .open = sender_open,
    .wants = sender_wants,
};

struct layer *proxyproto_send_layer(int64_t version, const struct addr *source,
                                    const struct addr *dest)
{
    struct sender *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->layer.type = &sender_type;
    s->n = proxyproto_format(version, source, dest, s->bytes);
    return &s->layer;
}

/* ---------------------------------------------------------------- receiving */

struct receiver {
    struct layer layer;
    struct timer timer;
    uint32_t wait_ms;
    bool started, late;
    struct proxyproto header;
    uint8_t *rest; /* what was read and is not the header's: [from, to); NULL: nothing is left */
    size_t from, to;
};

static void on_timer(struct timer *timer)
{
    struct receiver *r = (struct receiver *)((char *)timer - offsetof(struct receiver, timer));

    r->late = true;
    layer_wake(&r->layer);
}

/* The header is read, or there is none: what else was read goes up first. */
static enum rc give_back(struct receiver *r, const uint8_t *more, size_t n)
{
    size_t kept = r->header.outcome == PROXYPROTO_NONE ? r->header.n_kept : 0;

    timer_stop(&r->timer);
    if (kept + n == 0)
        return RC_OK;
    r->rest = malloc(kept + n);
    if (!r->rest)
        return RC_NOMEM;
    memcpy(r->rest, r->header.kept, kept);
    if (n > 0)
        memcpy(r->rest + kept, more, n);
    r->to = kept + n;
    return RC_OK;
}

/* Silence or the end of the stream before a header was whole. */
static enum rc incomplete(struct receiver *r, enum rc rc)
{
    if (!proxyproto_is_header(&r->header))
        return give_back(r, NULL, 0);
    return layer_fail(&r->layer, rc, "the header is not whole %s",
                      rc == RC_TIMEOUT ? "in time" : "at the end of the connection");
}

static enum rc receiver_open(struct layer *l)
{
    struct receiver *r = (struct receiver *)l;
    uint8_t buf[READ_BYTES];

    if (!r->started && !timer_start(&r->timer, r->wait_ms))
        return RC_NOMEM;
    r->started = true;
    for (;;) {
        size_t n, used;
        enum rc rc = layer_recv(l->below, buf, sizeof buf, &n);

        if (rc == RC_AGAIN && r->late)
            return incomplete(r, RC_TIMEOUT);
        if (rc == RC_EOF)
            return incomplete(r, RC_PROTO);
        if (rc != RC_OK)
            return rc;
        rc = proxyproto_feed(&r->header, buf, n, &used);
        if (rc == RC_OK)
            return give_back(r, buf + used, n - used);
        if (rc != RC_AGAIN)
            return layer_fail(l, rc, "%s", r->header.why);
    }
}

static enum rc receiver_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct receiver *r = (struct receiver *)l;
    size_t n = r->to - r->from;

    if (!r->rest)
        return layer_recv(l->below, buf, cap, ret_n);
    if (n > cap)
        n = cap;
    memcpy(buf, r->rest + r->from, n);
    r->from += n;
    *ret_n = n;
    if (r->from == r->to) {
        free(r->rest);
        r->rest = NULL;
    }
    return RC_OK;
}

static bool receiver_pending(const struct layer *l, unsigned wish)
{
    const struct receiver *r = (const struct receiver *)l;

    return ((wish & STREAM_IN) && r->rest) || ((wish & STREAM_OPEN) && r->late);
}

static enum rc receiver_query(struct layer *l, enum layer_query q, void *ret_value)
{
    struct receiver *r = (struct receiver *)l;

    if (q == QUERY_FD && r->rest) /* the socket must not be read around us */
        return RC_AGAIN;
    if (q != QUERY_PEER_ADDR || r->header.outcome != PROXYPROTO_ANNOUNCED)
        return RC_UNSUPPORTED;
    *(struct addr *)ret_value = r->header.source;
    return RC_OK;
}

static void receiver_destroy(struct layer *l, bool aborting)
{
    struct receiver *r = (struct receiver *)l;

    (void)aborting;
    timer_stop(&r->timer);
    free(r->rest);
    r->rest = NULL;
}

static const struct layer_type receiver_type = {
    .name = "PROXY header",
    .open = receiver_open,
    .recv = receiver_recv,
    .pending = receiver_pending,
    .query = receiver_query,
    .destroy = receiver_destroy,
};

struct layer *proxyproto_recv_layer(struct loop *loop, uint32_t wait_ms)
{
    struct receiver *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->layer.type = &receiver_type;
    r->wait_ms = wait_ms;
    timer_init(loop, &r->timer, on_timer);
    proxyproto_init(&r->header);
    return &r->layer;
}

bool proxyproto_announced(const struct layer *l, struct addr *ret_source, struct addr *ret_dest)
{
    const struct receiver *r = (const struct receiver *)l;

    if (r->header.outcome != PROXYPROTO_ANNOUNCED)
        return false;
    *ret_source = r->header.source;
    *ret_dest = r->header.dest;
    return true;
}
