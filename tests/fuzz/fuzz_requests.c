/* tests/fuzz/fuzz_requests.c - the requests of one HTTP connection: whatever the bytes, they pass
 * unchanged, and where reading ends for another host does not depend on how they came or are read.
 *
 * First byte: how the wire cuts the second time. The rest: what the client sends.
 */
#include "handlers/tungohttp.h"
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum { INPUT_MAX = 60000, ENDS_MAX = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---------------------------------------------------------------- the wire: a bottom floor */

struct wire {
    struct layer layer;
    const uint8_t *data;
    size_t n, at;
    unsigned cut; /* 0: whole pieces */
};

static size_t piece(const struct wire *w)
{
    size_t left = w->n - w->at;
    size_t most = w->cut ? 1 + (w->at * 7 + w->cut) % (4 * w->cut) : left;

    return left < most ? left : most;
}

static enum rc wire_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct wire *w = (struct wire *)l;
    size_t n = piece(w) < cap ? piece(w) : cap;

    if (n == 0)
        return RC_EOF;
    memcpy(buf, w->data + w->at, n);
    w->at += n;
    *ret_n = n;
    return RC_OK;
}

static enum rc wire_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct wire *w = (struct wire *)l;

    (void)cap;
    if (piece(w) == 0)
        return RC_EOF;
    v[0] = (struct iovec){(void *)(uintptr_t)(w->data + w->at), piece(w)};
    *ret_n = 1;
    return RC_OK;
}

static enum rc wire_consume(struct layer *l, size_t n)
{
    ((struct wire *)l)->at += n;
    return RC_OK;
}

static enum rc wire_shut(struct layer *l)
{
    (void)l;
    return RC_OK;
}

static unsigned wire_ready(const struct layer *l, unsigned wish)
{
    (void)l;
    return wish;
}

static void wire_destroy(struct layer *l, bool aborting)
{
    (void)l;
    (void)aborting;
}

static const struct layer_type wire_type = {
    .name = "wire",
    .recv = wire_recv,
    .peek = wire_peek,
    .consume = wire_consume,
    .shut = wire_shut,
    .ready = wire_ready,
    .destroy = wire_destroy,
};

/* ---------------------------------------------------------------- one reading */

struct reading {
    uint8_t got[INPUT_MAX];
    size_t n;
    struct end {
        size_t at;
        struct sniffed found;
    } ends[ENDS_MAX];
    size_t n_ends;
};

static void take(struct reading *r, const void *data, size_t n)
{
    MUST(n > 0 && r->n + n <= sizeof r->got);
    memcpy(r->got + r->n, data, n);
    r->n += n;
}

static enum rc read_some(struct stream *s, struct reading *r, bool peeks)
{
    uint8_t buf[777];
    struct iovec v[2];
    size_t n;
    int nv;
    enum rc rc = peeks ? stream_peek(s, v, 2, &nv) : stream_recv(s, buf, sizeof buf, &n);

    if (rc == RC_OK && peeks) {
        n = v[0].iov_len > 900 ? 900 : v[0].iov_len;
        take(r, v[0].iov_base, n);
        return stream_consume(s, n);
    }
    if (rc == RC_OK)
        take(r, buf, n);
    return rc;
}

static void on_next(void *arg)
{
    (void)arg;
}

static void read_all(struct loop *loop, const uint8_t *data, size_t n, unsigned cut,
                     struct reading *r)
{
    struct wire *w = calloc(1, sizeof *w);
    struct layer *requests = tungohttp_layer(loop, on_next, NULL);
    struct stream *s = stream_new(loop);
    bool over = false;

    MUST(w && requests && s);
    w->layer.type = &wire_type;
    w->data = data;
    w->n = n;
    w->cut = cut;
    stream_push(s, &w->layer);
    MUST(stream_open(s) == RC_OK);
    stream_push(s, requests);
    r->n = r->n_ends = 0;
    for (unsigned i = 0; !over; i++) {
        enum rc rc = read_some(s, r, cut && (i + cut) % 3);
        MUST(rc == RC_OK || rc == RC_EOF);
        if (rc == RC_OK)
            continue;
        over = !tungohttp_has_next(requests);
        if (!over) {
            MUST(r->n_ends < ENDS_MAX);
            struct end *e = &r->ends[r->n_ends++];
            e->at = r->n;
            tungohttp_next(requests, &e->found);
        }
    }
    stream_close(s);
    loop_run(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *loop;
    static struct reading whole, cut;

    if (size < 2 || size > 20000)
        return 0;
    if (!loop)
        loop = loop_new(NULL);
    read_all(loop, data + 1, size - 1, 0, &whole);
    MUST(whole.n == size - 1 && memcmp(whole.got, data + 1, size - 1) == 0);
    read_all(loop, data + 1, size - 1, 1 + data[0], &cut);
    MUST(cut.n == whole.n && memcmp(cut.got, whole.got, whole.n) == 0);
    MUST(cut.n_ends == whole.n_ends);
    for (size_t i = 0; i < cut.n_ends; i++) {
        const struct end *a = &cut.ends[i], *b = &whole.ends[i];
        MUST(a->at == b->at && strcmp(a->found.name, b->found.name) == 0);
        MUST(a->found.port == b->found.port && a->found.name[0] && a->at > 0);
    }
    return 0;
}
