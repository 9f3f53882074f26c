/* core/floor/mem.c - the wire of unit tests: two bottom floors joined by two bounded rings. See
 * mem.h. */
#include "core/floor/mem.h"
#include <stdlib.h>
#include <string.h>

struct pipe {
    unsigned char *data;
    size_t cap, from, n;
    bool ended;  /* the writer shut its side */
    bool broken; /* the writer reset, or the reader is gone */
};

struct wire {
    struct pipe pipe[2]; /* [i]: what end i reads */
    struct mem *end[2];
    uint32_t seed;
};

struct mem {
    struct layer layer;
    struct wire *wire;
    int me;
};

static uint32_t next_random(struct wire *w)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return w->seed >> 8;
}

/* How many of n bytes move in this call; 0: pretend that nothing can. */
static size_t part(struct mem *m, size_t n)
{
    struct wire *w = m->wire;

    if (!w->seed || n == 0)
        return n;
    switch (next_random(w) % 8) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return n;
    default:
        return 1 + next_random(w) % n;
    }
}

static void wake(struct wire *w, int who)
{
    if (w->end[who])
        layer_wake(&w->end[who]->layer);
}

static enum rc lie(struct mem *m)
{
    layer_wake(&m->layer);
    return RC_AGAIN;
}

static enum rc mem_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct mem *m = (struct mem *)l;
    struct pipe *p = &m->wire->pipe[m->me];
    size_t n = p->n < cap ? p->n : cap, first;

    if (p->broken)
        return layer_fail(l, RC_RESET, "reset");
    if (!p->n)
        return p->ended ? RC_EOF : RC_AGAIN;
    n = part(m, n);
    if (!n)
        return lie(m);
    first = p->cap - p->from < n ? p->cap - p->from : n;
    memcpy(buf, p->data + p->from, first);
    memcpy((unsigned char *)buf + first, p->data, n - first);
    p->from = (p->from + n) % p->cap;
    p->n -= n;
    *ret_n = n;
    wake(m->wire, 1 - m->me);
    return RC_OK;
}

static enum rc mem_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct mem *m = (struct mem *)l;
    struct pipe *p = &m->wire->pipe[1 - m->me];
    size_t room = p->cap - p->n, total = 0, done = 0;

    if (p->broken)
        return layer_fail(l, RC_RESET, "peer is gone");
    for (int i = 0; i < nv; i++)
        total += v[i].iov_len;
    if (!room && total)
        return RC_AGAIN;
    room = part(m, room < total ? room : total);
    if (!room && total)
        return lie(m);
    for (int i = 0; i < nv && done < room; i++) {
        for (size_t k = 0; k < v[i].iov_len && done < room; k++, done++)
            p->data[(p->from + p->n++) % p->cap] = ((const unsigned char *)v[i].iov_base)[k];
    }
    *ret_n = done;
    wake(m->wire, 1 - m->me);
    return RC_OK;
}

static enum rc mem_shut(struct layer *l)
{
    struct mem *m = (struct mem *)l;

    m->wire->pipe[1 - m->me].ended = true;
    wake(m->wire, 1 - m->me);
    return RC_OK;
}

static unsigned mem_ready(const struct layer *l, unsigned wish)
{
    const struct mem *m = (const struct mem *)l;
    const struct pipe *in = &m->wire->pipe[m->me], *out = &m->wire->pipe[1 - m->me];
    unsigned r = STREAM_OPEN;

    if (in->n || in->ended || in->broken)
        r |= STREAM_IN;
    if (out->n < out->cap || out->broken)
        r |= STREAM_OUT;
    if (in->broken)
        r |= STREAM_GONE;
    return r & wish;
}

static enum rc mem_query(struct layer *l, enum layer_query q, void *ret_value)
{
    (void)l;
    if (q == QUERY_CONFIRMED) {
        *(enum stream_confirmed *)ret_value = CONFIRMED_YES;
        return RC_OK;
    }
    return RC_UNSUPPORTED;
}

static void mem_destroy(struct layer *l, bool aborting)
{
    struct mem *m = (struct mem *)l;
    struct wire *w = m->wire;
    struct pipe *out = &w->pipe[1 - m->me];

    out->ended = true;
    out->broken |= aborting;
    w->pipe[m->me].broken = true; /* nobody reads it any more */
    w->end[m->me] = NULL;
    wake(w, 1 - m->me);
    if (!w->end[0] && !w->end[1]) {
        free(w->pipe[0].data);
        free(w->pipe[1].data);
        free(w);
    }
}

static const struct layer_type mem_type = {
    .name = "mem",
    .recv = mem_recv,
    .send = mem_send,
    .shut = mem_shut,
    .ready = mem_ready,
    .query = mem_query,
    .destroy = mem_destroy,
};

bool mem_pair(struct loop *loop, const struct mem_cfg *cfg, struct layer **ret_a,
              struct layer **ret_b)
{
    struct wire *w = calloc(1, sizeof *w);
    struct mem *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    size_t cap = cfg && cfg->cap_bytes ? cfg->cap_bytes : 65536;

    (void)loop;
    if (w) {
        w->pipe[0] = (struct pipe){.data = malloc(cap), .cap = cap};
        w->pipe[1] = (struct pipe){.data = malloc(cap), .cap = cap};
        w->seed = cfg ? cfg->seed : 0;
    }
    if (!w || !a || !b || !w->pipe[0].data || !w->pipe[1].data) {
        if (w) {
            free(w->pipe[0].data);
            free(w->pipe[1].data);
        }
        free(w);
        free(a);
        free(b);
        return false;
    }
    a->layer.type = b->layer.type = &mem_type;
    a->wire = b->wire = w;
    b->me = 1;
    w->end[0] = a;
    w->end[1] = b;
    *ret_a = &a->layer;
    *ret_b = &b->layer;
    return true;
}
