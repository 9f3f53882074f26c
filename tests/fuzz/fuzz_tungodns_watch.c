/* tests/fuzz/fuzz_tungodns_watch.c - both directions of a DNS connection that is passed on. Input:
 * pieces of a byte (bit 0: from the server; the rest: length) and so many bytes. Cut otherwise, and
 * by the other calls that a splice may use, they must teach the same, and pass as they are. */
#include "core/stream.h"
#include "handlers/tungodns_inside.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What lies below: of what the client says one piece at a time, of what it hears a few bytes. */
struct bottom {
    struct layer layer;
    const uint8_t *in;
    size_t in_n, takes;
    uint8_t *room;
};

static struct loop *loop;
static struct router *router;
static struct tungodns *dns;

static enum rc bottom_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct bottom *b = (struct bottom *)l;

    if (b->in_n == 0)
        return RC_AGAIN;
    *ret_n = b->in_n < cap ? b->in_n : cap;
    memcpy(buf, b->in, *ret_n);
    b->in += *ret_n;
    b->in_n -= *ret_n;
    return RC_OK;
}

static enum rc bottom_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct bottom *b = (struct bottom *)l;
    size_t half = b->in_n / 2;
    union {
        const uint8_t *in;
        uint8_t *out;
    } u = {.in = b->in};

    if (b->in_n == 0)
        return RC_AGAIN;
    *ret_n = half > 0 && cap > 1 ? 2 : 1;
    v[0] = (struct iovec){u.out, *ret_n > 1 ? half : b->in_n};
    if (*ret_n > 1)
        v[1] = (struct iovec){u.out + half, b->in_n - half};
    return RC_OK;
}

static enum rc bottom_consume(struct layer *l, size_t n)
{
    struct bottom *b = (struct bottom *)l;

    BUG_ON(n > b->in_n);
    b->in += n;
    b->in_n -= n;
    return RC_OK;
}

static enum rc bottom_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    size_t n = 0;

    for (int i = 0; i < nv; i++)
        n += v[i].iov_len;
    *ret_n = n < ((struct bottom *)l)->takes ? n : ((struct bottom *)l)->takes;
    return RC_OK;
}

static enum rc bottom_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct bottom *b = (struct bottom *)l;

    b->room = malloc(want);
    BUG_ON(!b->room);
    *ret_v = (struct iovec){b->room, want};
    return RC_OK;
}

static enum rc bottom_commit(struct layer *l, size_t n)
{
    (void)n;
    free(((struct bottom *)l)->room);
    return RC_OK;
}

static void bottom_destroy(struct layer *l, bool aborting)
{
    (void)l;
    (void)aborting;
}

static const struct layer_type bottom_type = {
    .name = "bottom",
    .recv = bottom_recv,
    .send = bottom_send,
    .peek = bottom_peek,
    .consume = bottom_consume,
    .reserve = bottom_reserve,
    .commit = bottom_commit,
    .destroy = bottom_destroy,
};

/* From the client: read, or looked at in place. */
static void up(struct stream *s, struct bottom *b, const uint8_t *p, size_t n, size_t step)
{
    uint8_t got[128];
    struct iovec v[2];
    size_t k;
    int nv;

    b->in = p;
    b->in_n = n;
    for (size_t at = 0; at < n; at += k) {
        if (step == 0) {
            BUG_ON(stream_recv(s, got, sizeof got, &k) != RC_OK || memcmp(got, p + at, k) != 0);
            continue;
        }
        BUG_ON(stream_peek(s, v, 2, &nv) != RC_OK || v[0].iov_base != p + at);
        k = n - at < step ? n - at : step;
        BUG_ON(stream_consume(s, k) != RC_OK);
    }
}

/* To the client: written whole, or into its own room; taken in part. */
static void down(struct stream *s, struct bottom *b, uint8_t *p, size_t n, size_t step)
{
    size_t k;

    b->takes = step ? step : n;
    for (size_t at = 0; at < n; at += k) {
        size_t half = (n - at) / 2;
        struct iovec v[2] = {{p + at, half}, {p + at + half, n - at - half}};
        if (step != 2) {
            BUG_ON(stream_send(s, v, 2, &k) != RC_OK || k == 0);
            continue;
        }
        BUG_ON(stream_reserve(s, n - at, v) != RC_OK);
        k = v->iov_len < step ? v->iov_len : step;
        memcpy(v->iov_base, p + at, k);
        BUG_ON(stream_commit(s, k) != RC_OK);
    }
}

/* How many pairs, of a client that is new. */
static size_t learnt(const uint8_t *data, size_t size, size_t step)
{
    static uint32_t clients;
    struct addr client = addr_v4(&clients, 40000), server = addr_v4("\12\0\0\2", 53);
    size_t before = dnsmap_count(dns->map);
    struct bottom *b = calloc(1, sizeof *b);
    struct stream *s = stream_new(loop);

    BUG_ON(!b || !s);
    clients++;
    b->layer.type = &bottom_type;
    b->layer.opened = true;
    stream_push(s, &b->layer);
    tungodns_watch(dns, s, &client, &server);
    for (size_t at = 0; at < size;) {
        size_t n = data[at] >> 1;
        bool answer = data[at++] & 1;
        n = n < size - at ? n : size - at;
        uint8_t *piece = malloc(n ? n : 1); /* its end is watched */
        BUG_ON(!piece);
        memcpy(piece, data + at, n);
        if (answer)
            down(s, b, piece, n, step);
        else
            up(s, b, piece, n, step);
        free(piece);
        at += n;
    }
    stream_close(s);
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    return dnsmap_count(dns->map) - before;
}

static void start(void)
{
    static const struct tungodns_options options = {.map = true};
    struct handler_setup setup = {.service = "fuzz"};

    loop = setup.loop = loop_new(NULL);
    BUG_ON(!loop);
    router = setup.router = router_new(&(struct router_cfg){.loop = loop, .service = "fuzz"});
    BUG_ON(!router || tungodns_new(&setup, &options, false, &dns, NULL) != RC_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!dns)
        start();
    if (dnsmap_count(dns->map) > DNSMAP_MAX / 2) { /* nothing may have to go in between */
        dnsmap_free(dns->map);
        dns->map = dnsmap_new();
        BUG_ON(!dns->map);
    }
    size_t n = learnt(data, size, 0);
    BUG_ON(learnt(data, size, 1) != n || learnt(data, size, 2) != n);
    return 0;
}
