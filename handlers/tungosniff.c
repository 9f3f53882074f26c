/* handlers/tungosniff.c - see tungosniff.h. */
#include "handlers/tungosniff.h"
#include "core/floor/replay.h"
#include "core/stream.h"
#include "sniff/dns.h"
#include "sniff/quic.h"
#include <stdlib.h>

enum {
    FIRST_ROOM_BYTES = 2048, /* most hellos and heads */
    KNOWN_BYTES = 5,         /* so many tell a protocol (gost-config 5.1) */
    REST_MS = 15000, /* as a request has on every listener: what was lost is sent again by then */
    DATAGRAMS_MS = 1000
};

static uint32_t longer(int64_t timeout_ms, uint32_t least_ms)
{
    return timeout_ms > least_ms ? (uint32_t)timeout_ms : least_ms;
}

uint32_t tungosniff_datagrams_ms(int64_t timeout_ms)
{
    return longer(timeout_ms, DATAGRAMS_MS);
}

static void finish(struct tungosniff *w, enum rc rc)
{
    timer_stop(&w->timer);
    stream_want(w->client, 0, NULL, NULL);
    w->done(w->arg, rc);
}

static void on_timer(struct timer *timer)
{
    struct tungosniff *w =
        (struct tungosniff *)((char *)timer - offsetof(struct tungosniff, timer));

    w->found = (struct sniffed){.proto = SNIFF_UNKNOWN};
    finish(w, RC_OK);
}

static enum rc make_room(struct tungosniff *w)
{
    struct tungosniffs *all = w->all;
    size_t cap = w->cap ? 2 * w->cap : FIRST_ROOM_BYTES;

    if (w->n < w->cap)
        return RC_OK;
    if (!shares_may(shares_of(&all->shares, &w->peer), all->bytes, TUNGOSNIFF_MAX_BYTES)) {
        all->crowded++;
        return RC_PROTO; /* as it is */
    }
    if (cap > SNIFF_MAX_BYTES)
        cap = SNIFF_MAX_BYTES;
    char *buf = realloc(w->buf, cap); /* n < SNIFF_MAX_BYTES: what reaches it is not RC_AGAIN */
    if (!buf)
        return RC_NOMEM;
    shares_weigh(&all->shares, &w->share, cap);
    all->bytes += cap - w->cap;
    w->buf = buf;
    w->cap = cap;
    return RC_OK;
}

/* RC_AGAIN: the answer is not known yet. */
static enum rc read_some(struct tungosniff *w)
{
    size_t n;

    enum rc rc = make_room(w);
    if (rc != RC_OK)
        return rc;
    rc = stream_recv(w->client, w->buf + w->n, w->cap - w->n, &n);
    if (rc == RC_EOF)
        return RC_PROTO; /* that was all: as it is */
    if (rc != RC_OK)
        return rc;
    w->n += n;
    rc = sniff_stream(w->buf, w->n, &w->found);
    if (rc == RC_OK || !w->dns)
        return rc;
    enum rc dns = sniff_dns_stream(w->buf, w->n, &w->found);
    return dns == RC_PROTO ? rc : dns;
}

static void on_bytes(struct stream *s, unsigned ready, void *arg)
{
    struct tungosniff *w = arg;
    enum rc rc = read_some(w);

    (void)s;
    (void)ready;
    switch (rc) {
    case RC_OK:
        finish(w, RC_OK);
        break;
    case RC_PROTO:
        w->found = (struct sniffed){.proto = SNIFF_UNKNOWN};
        finish(w, RC_OK);
        break;
    case RC_AGAIN:
        if (w->n >= KNOWN_BYTES && !w->more_time) {
            w->more_time = true;
            (void)timer_start(&w->timer, longer(w->timeout_ms, REST_MS));
        }
        break;
    default:
        finish(w, rc);
    }
}

void tungosniffs_init(struct tungosniffs *all)
{
    shares_init(&all->shares);
    all->bytes = 0;
    all->crowded = 0;
}

struct tungosniff *tungosniff_start(struct tungosniffs *all, const struct addr *client,
                                    struct stream *s, bool dns, uint32_t timeout_ms,
                                    tungosniff_fn *done, void *arg)
{
    struct tungosniff *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    *w = (struct tungosniff){.all = all,
                             .peer = *client,
                             .client = s,
                             .dns = dns,
                             .timeout_ms = timeout_ms,
                             .done = done,
                             .arg = arg,
                             .found.proto = SNIFF_UNKNOWN};
    timer_init(stream_loop(s), &w->timer, on_timer);
    if (!shares_add(&all->shares, &w->share, client, 0) || !timer_start(&w->timer, timeout_ms)) {
        shares_remove(&all->shares, &w->share);
        free(w);
        return NULL;
    }
    stream_want(s, STREAM_IN, on_bytes, w);
    return w;
}

enum rc tungosniff_give_back(struct tungosniff *w)
{
    return replay_push(w->client, w->buf, w->n);
}

static void release(void *obj)
{
    struct tungosniff *w = obj;

    free(w->buf);
    free(w);
}

void tungosniff_free(struct tungosniff *w)
{
    if (!w)
        return;
    timer_stop(&w->timer);
    shares_remove(&w->all->shares, &w->share);
    w->all->bytes -= w->cap;
    loop_free_later(w->timer.loop, &w->deferred, release, w);
}

enum rc tungosniff_datagrams(struct quic_hello *q, const struct slice *v, int n, uint16_t port,
                             struct sniffed *ret_found)
{
    enum rc rc = sniff_dns_query(v[0].p, v[0].n, port, ret_found);

    if (rc == RC_OK)
        return RC_OK;
    quic_hello_start(q);
    rc = RC_AGAIN;
    for (int i = 0; i < n && rc == RC_AGAIN; i++)
        rc = quic_hello_add(q, v[i].p, v[i].n, ret_found);
    return rc;
}
