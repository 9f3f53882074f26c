/* handlers/tungohttp.c - see tungohttp.h.
 *
 *   buf   [ passed | may pass | not judged yet ]
 *         0       from      judged              n
 */
#include "handlers/tungohttp.h"
#include "core/wire/http1body.h"
#include <stdlib.h>
#include <strings.h>

enum { FIRST_ROOM_BYTES = 2048, PEEK_MAX = 64 };

enum watch_state {
    ST_HEAD, /* of the next request */
    ST_BODY,
    ST_OTHER, /* the head at `judged` asks for another host */
    ST_RAW    /* nothing is watched any more */
};

struct watch {
    struct layer layer;
    enum watch_state state;
    struct sniffed host; /* of the requests so far; proto SNIFF_UNKNOWN: there was none */
    struct sniffed next; /* ST_OTHER */
    struct http1_body body;
    char *buf;
    size_t from, judged, n, cap;
    size_t scanned; /* of the head at `judged` */
    bool eof;       /* of the client */
    bool shut;      /* it was told the end of the answers */
    struct loop *loop;
    struct job job;
    tungohttp_fn *on_next;
    void *arg;
};

/* ---------------------------------------------------------------- requests */

static bool same_host(const struct sniffed *a, const struct sniffed *b)
{
    return a->port == b->port && strcasecmp(a->name, b->name) == 0;
}

/* RC_PROTO: not a request that we can follow. */
static enum rc read_host(const struct http1_head *head, struct sniffed *ret_found)
{
    struct http1_authority a;
    struct sniffed found = {.proto = SNIFF_HTTP};
    char name[TARGET_NAME_MAX + 1];
    enum rc rc = http1_authority(head, &a);

    if (rc != RC_OK || a.host.n >= sizeof name)
        return RC_PROTO;
    memcpy(name, a.host.p, a.host.n);
    name[a.host.n] = '\0';
    sniffed_set_name(&found, name, a.port ? a.port : a.https ? 443 : 80);
    *ret_found = found;
    return RC_OK;
}

static bool ends_watching(const struct http1_head *head)
{
    return slice_equal(head->method, "CONNECT") || http1_find(head, "Upgrade", NULL);
}

/* RC_OK: the head may pass; RC_EOF: it asks for another host. */
static enum rc judge_head(struct watch *w)
{
    struct http1_head head;
    struct sniffed found;
    size_t used;
    enum rc rc =
        http1_parse_request(w->buf + w->judged, w->n - w->judged, &w->scanned, &head, &used);

    if (rc == RC_OK)
        rc = read_host(&head, &found);
    if (rc != RC_OK)
        return rc;
    if (w->host.proto != SNIFF_UNKNOWN && found.name[0] && !same_host(&w->host, &found)) {
        w->next = found;
        return RC_EOF;
    }
    if (w->host.proto == SNIFF_UNKNOWN)
        w->host = found;
    if (ends_watching(&head) || http1_body_of_request(&head, &w->body) != RC_OK)
        return RC_PROTO;
    w->judged += used;
    w->scanned = 0;
    w->state = w->body.done || w->body.kind == HTTP1_BODY_NONE ? ST_HEAD : ST_BODY;
    return RC_OK;
}

static enum rc judge_body(struct watch *w)
{
    size_t used;
    enum rc rc = http1_body_feed(&w->body, w->buf + w->judged, w->n - w->judged, &used);

    if (rc != RC_OK)
        return rc;
    w->judged += used;
    if (w->body.done)
        w->state = ST_HEAD;
    return RC_OK;
}

static void judge(struct watch *w)
{
    enum rc rc = RC_OK;

    while (rc == RC_OK && w->judged < w->n && w->state != ST_RAW)
        rc = w->state == ST_BODY ? judge_body(w) : judge_head(w);
    if (rc == RC_EOF) {
        w->state = ST_OTHER;
    } else if (w->state == ST_RAW || (rc != RC_OK && (rc != RC_AGAIN || w->eof))) {
        w->state = ST_RAW;
        w->judged = w->n;
    }
}

/* ---------------------------------------------------------------- bytes */

/* Bytes from below can go up as they are. */
static bool is_open_way(const struct watch *w)
{
    return w->state == ST_RAW || (w->state == ST_BODY && w->body.kind == HTTP1_BODY_LENGTH);
}

static uint64_t open_bytes(const struct watch *w)
{
    return w->state == ST_RAW ? UINT64_MAX : w->body.left;
}

static void passed(struct watch *w, size_t n)
{
    if (w->state == ST_RAW)
        return;
    w->body.left -= n;
    if (w->body.left == 0)
        w->state = ST_HEAD;
}

static enum rc read_some(struct watch *w)
{
    size_t n;

    if (w->from == w->n) {
        w->from = w->judged = w->n = 0;
    } else if (w->from > 0) {
        memmove(w->buf, w->buf + w->from, w->n - w->from);
        w->judged -= w->from;
        w->n -= w->from;
        w->from = 0;
    }
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : FIRST_ROOM_BYTES;
        char *buf = realloc(w->buf, cap); /* a head that never ends is RC_LIMIT before long */
        if (!buf)
            return RC_NOMEM;
        w->buf = buf;
        w->cap = cap;
    }
    enum rc rc = layer_recv(w->layer.below, w->buf + w->n, w->cap - w->n, &n);
    if (rc == RC_EOF)
        w->eof = true;
    else if (rc != RC_OK)
        return rc;
    else
        w->n += n;
    judge(w);
    return RC_OK;
}

/* RC_OK: buf has something to pass, or the way is open. */
static enum rc get_ready(struct watch *w)
{
    enum rc rc = RC_OK;

    while (rc == RC_OK && w->from == w->judged && !is_open_way(w)) {
        if (w->state == ST_OTHER)
            job_post(w->loop, &w->job); /* who reads is there to hear it */
        if (w->state == ST_OTHER || w->eof)
            return RC_EOF;
        rc = read_some(w);
    }
    return rc;
}

/* ---------------------------------------------------------------- the layer */

static enum rc watch_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct watch *w = (struct watch *)l;
    enum rc rc = get_ready(w);
    size_t n = w->judged - w->from;

    if (rc != RC_OK)
        return rc;
    if (n == 0) {
        if (cap > open_bytes(w))
            cap = (size_t)open_bytes(w);
        rc = layer_recv(l->below, buf, cap, ret_n);
        if (rc == RC_OK)
            passed(w, *ret_n);
        return rc;
    }
    if (n > cap)
        n = cap;
    memcpy(buf, w->buf + w->from, n);
    w->from += n;
    *ret_n = n;
    return RC_OK;
}

static enum rc watch_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct watch *w = (struct watch *)l;
    enum rc rc = get_ready(w);
    uint64_t left = open_bytes(w);

    if (rc != RC_OK)
        return rc;
    if (w->from < w->judged) {
        v[0] = (struct iovec){w->buf + w->from, w->judged - w->from};
        *ret_n = 1;
        return RC_OK;
    }
    rc = layer_peek(l->below, v, cap, ret_n);
    for (int i = 0; rc == RC_OK && i < *ret_n; i++) {
        if (v[i].iov_len > left)
            v[i].iov_len = (size_t)left;
        left -= v[i].iov_len;
        if (left == 0)
            *ret_n = i + 1;
    }
    return rc;
}

static enum rc watch_consume(struct layer *l, size_t n)
{
    struct watch *w = (struct watch *)l;

    if (w->from < w->judged) {
        BUG_ON(n > w->judged - w->from);
        w->from += n;
        return RC_OK;
    }
    passed(w, n);
    return layer_consume(l->below, n);
}

static enum rc watch_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    return l->below->type->reserve ? l->below->type->reserve(l->below, want, ret_v)
                                   : RC_UNSUPPORTED;
}

static enum rc watch_commit(struct layer *l, size_t n)
{
    return l->below->type->commit(l->below, n);
}

static enum rc watch_shut(struct layer *l)
{
    struct watch *w = (struct watch *)l;

    if (tungohttp_has_next(l))
        return RC_OK;
    w->shut = true;
    return layer_shut(l->below);
}

static bool watch_pending(const struct layer *l, unsigned wish)
{
    const struct watch *w = (const struct watch *)l;

    return (wish & STREAM_IN) && (w->from < w->judged || w->state == ST_OTHER);
}

static void watch_destroy(struct layer *l, bool aborting)
{
    struct watch *w = (struct watch *)l;

    (void)aborting;
    job_cancel(&w->job);
    free(w->buf);
}

static const struct layer_type watch_type = {
    .name = "requests",
    .recv = watch_recv,
    .peek = watch_peek,
    .consume = watch_consume,
    .reserve = watch_reserve,
    .commit = watch_commit,
    .shut = watch_shut,
    .pending = watch_pending,
    .destroy = watch_destroy,
};

static void on_job(struct job *job)
{
    struct watch *w = (struct watch *)((char *)job - offsetof(struct watch, job));

    w->on_next(w->arg);
}

struct layer *tungohttp_layer(struct loop *loop, tungohttp_fn *on_next, void *arg)
{
    struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->layer.type = &watch_type;
    w->loop = loop;
    w->on_next = on_next;
    w->arg = arg;
    job_init(&w->job, on_job);
    w->layer.opened = true; /* there is nothing to open, and the stream stays open */
    return &w->layer;
}

bool tungohttp_has_next(const struct layer *l)
{
    const struct watch *w = (const struct watch *)l;

    return w->state == ST_OTHER && w->from == w->judged && !w->shut;
}

void tungohttp_next(struct layer *l, struct sniffed *ret_found)
{
    struct watch *w = (struct watch *)l;

    *ret_found = w->next;
    w->host = (struct sniffed){.proto = SNIFF_UNKNOWN};
    w->state = ST_HEAD;
    w->scanned = 0;
    judge(w);
    layer_wake(l);
}
