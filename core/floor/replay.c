/* core/floor/replay.c - gives back what was read ahead, then stands aside. See replay.h. */
#include "core/floor/replay.h"
#include <stdlib.h>
#include <string.h>

struct replay {
    struct layer layer;
    size_t from, to;
    unsigned char data[];
};

static enum rc replay_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct replay *r = (struct replay *)l;
    size_t n = r->to - r->from;

    if (!n)
        return layer_recv(l->below, buf, cap, ret_n);
    if (n > cap)
        n = cap;
    memcpy(buf, r->data + r->from, n);
    r->from += n;
    *ret_n = n;
    return RC_OK;
}

static enum rc replay_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct replay *r = (struct replay *)l;

    if (r->from == r->to)
        return layer_peek(l->below, v, cap, ret_n);
    v[0] = (struct iovec){r->data + r->from, r->to - r->from};
    *ret_n = 1;
    return RC_OK;
}

static enum rc replay_consume(struct layer *l, size_t n)
{
    struct replay *r = (struct replay *)l;

    if (r->from == r->to)
        return layer_consume(l->below, n);
    BUG_ON(n > r->to - r->from);
    r->from += n;
    return RC_OK;
}

static enum rc replay_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    return l->below->type->reserve ? l->below->type->reserve(l->below, want, ret_v)
                                   : RC_UNSUPPORTED;
}

static enum rc replay_commit(struct layer *l, size_t n)
{
    return l->below->type->commit(l->below, n);
}

static bool replay_pending(const struct layer *l, unsigned wish)
{
    const struct replay *r = (const struct replay *)l;

    return (wish & STREAM_IN) && r->from < r->to;
}

static enum rc replay_query(struct layer *l, enum layer_query q, void *ret_value)
{
    const struct replay *r = (const struct replay *)l;

    (void)ret_value;
    /* While bytes wait here the socket below must not be read around us. */
    return q == QUERY_FD && r->from < r->to ? RC_AGAIN : RC_UNSUPPORTED;
}

static const struct layer_type replay_type = {
    .name = "replay",
    .recv = replay_recv,
    .peek = replay_peek,
    .consume = replay_consume,
    .reserve = replay_reserve,
    .commit = replay_commit,
    .pending = replay_pending,
    .query = replay_query,
};

struct layer *replay_layer(const void *data, size_t n)
{
    struct replay *r = malloc(sizeof *r + n);

    if (!r)
        return NULL;
    memset(r, 0, sizeof *r);
    r->layer.type = &replay_type;
    r->layer.opened = true; /* there is nothing to open, and the stream stays open */
    r->to = n;
    if (n)
        memcpy(r->data, data, n);
    return &r->layer;
}

enum rc replay_push(struct stream *s, const void *data, size_t n)
{
    struct layer *l;

    if (!n)
        return RC_OK;
    l = replay_layer(data, n);
    if (!l)
        return RC_NOMEM;
    stream_push(s, l);
    return RC_OK;
}
