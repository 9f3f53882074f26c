/* connectors/http.c - CONNECT to an HTTP proxy; with X-Gost-Protocol: udp also UDP-TUN frames
 * behind the answer. wire-protocols.md 5.2, gost-config.md 10.3.
 *
 * Only 200 is success and it has no body, whatever its fields say. What came behind the head in the
 * same read is put back under the floor before it leaves.
 */
#include "connectors/connector.h"
#include "core/floor/framed.h"
#include "core/floor/replay.h"
#include "core/secret.h"
#include "core/stream.h"
#include "core/wire/http1.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { REQUEST_MAX_BYTES = 8192, BASIC_MAX_BYTES = 1100, READ_BYTES = 1024 };

struct cfg {
    int64_t timeout_ms;
    struct strmap header;
};

static const struct option options[] = {
    {.key = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct cfg, timeout_ms),
     .def = "0",
     .help = "time for the exchange with the node; 0: only dialTimeout"},
    {.key = "header",
     .type = OPTION_MAP,
     .offset = offsetof(struct cfg, header),
     .help = "more fields of the CONNECT request"},
    OPTION_END};

struct http {
    struct layer layer;
    struct timer timer;
    int64_t limit_ms;
    bool started, late;
    char *out;
    size_t out_at, out_n;
    char *in;
    size_t in_n, in_cap, scanned;
};

static void on_timer(struct timer *timer)
{
    struct http *h = (struct http *)((char *)timer - offsetof(struct http, timer));
    h->late = true;
    layer_wake(&h->layer);
}

static void drop_request(struct http *h)
{
    if (h->out != NULL)
        secret_wipe(h->out, h->out_n);
    free(h->out);
    h->out = NULL;
}

static enum rc send_request(struct http *h)
{
    while (h->out != NULL) {
        struct iovec v = {h->out + h->out_at, h->out_n - h->out_at};
        size_t n;
        enum rc rc = layer_send(h->layer.below, &v, 1, &n);
        if (rc != RC_OK)
            return rc;
        h->out_at += n;
        if (h->out_at == h->out_n)
            drop_request(h);
    }
    return RC_OK;
}

static enum rc rc_of_status(unsigned status)
{
    switch (status) {
    case 401:
    case 407:
        return RC_AUTH;
    case 403:
        return RC_DENIED;
    case 504:
        return RC_TIMEOUT;
    default:
        return RC_UNREACH_HOST;
    }
}

/* The head is whole: what follows it belongs to the tunnel. */
static enum rc on_head(struct http *h, const struct http1_head *head, size_t used)
{
    if (head->status != 200)
        return layer_fail(&h->layer, rc_of_status(head->status), "the node says: %u %s",
                          head->status,
                          http1_reason(head->status) != NULL ? http1_reason(head->status) : "");
    if (used < h->in_n) {
        struct layer *rest = replay_layer(h->in + used, h->in_n - used);
        if (rest == NULL)
            return layer_fail(&h->layer, RC_NOMEM, "no memory for the tunnel's first bytes");
        layer_insert(&h->layer, rest);
    }
    timer_stop(&h->timer);
    free(h->in);
    h->in = NULL;
    h->in_n = h->in_cap = 0;
    return RC_OK;
}

static enum rc read_head(struct http *h)
{
    for (;;) {
        struct http1_head head;
        size_t n, used;
        if (h->in_n == h->in_cap) {
            size_t cap = h->in_cap + READ_BYTES;
            char *in = cap <= HTTP1_HEAD_MAX_BYTES ? realloc(h->in, cap) : NULL;
            if (in == NULL)
                return layer_fail(&h->layer, RC_PROTO, "the node's answer is too long");
            h->in = in;
            h->in_cap = cap;
        }
        enum rc rc = layer_recv(h->layer.below, h->in + h->in_n, h->in_cap - h->in_n, &n);
        if (rc == RC_EOF)
            return layer_fail(&h->layer, RC_RESET, "closed by the node before its answer");
        if (rc != RC_OK)
            return rc;
        h->in_n += n;
        rc = http1_parse_response(h->in, h->in_n, &h->scanned, &head, &used);
        if (rc == RC_OK)
            return on_head(h, &head, used);
        if (rc != RC_AGAIN)
            return layer_fail(&h->layer, RC_PROTO, "the node's answer is not HTTP");
    }
}

static enum rc http_open(struct layer *l)
{
    struct http *h = (struct http *)l;
    if (h->late)
        return layer_fail(l, RC_TIMEOUT, "no answer in %lld ms", (long long)h->limit_ms);
    if (!h->started && h->limit_ms > 0 && !timer_start(&h->timer, (uint64_t)h->limit_ms))
        return layer_fail(l, RC_NOMEM, "no memory for a timer");
    h->started = true;
    enum rc rc = send_request(h);
    return rc == RC_OK ? read_head(h) : rc;
}

static unsigned http_wants(const struct layer *l, unsigned wish)
{
    const struct http *h = (const struct http *)l;
    return wish != STREAM_OPEN ? wish : h->out != NULL ? STREAM_OUT : STREAM_IN;
}

static bool http_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && ((const struct http *)l)->late;
}

static void http_destroy(struct layer *l, bool aborting)
{
    struct http *h = (struct http *)l;
    (void)aborting;
    timer_stop(&h->timer);
    drop_request(h);
    free(h->in);
    h->in = NULL;
}

static const struct layer_type http_type = {
    .name = "http",
    .flags = LAYER_SETUP,
    .open = http_open,
    .wants = http_wants,
    .pending = http_pending,
    .destroy = http_destroy,
};

/* ---------------------------------------------------------------- the connector */

struct state {
    char *basic; /* NULL: no credentials */
    struct http1_extra *extra;
};

static enum rc init(struct connector *c, const struct connector_setup *setup, struct diag *diag)
{
    const struct cfg *cfg = c->cfg;
    struct state *st = calloc(1, sizeof(*st));
    c->state = st;
    if (st == NULL)
        goto no_memory;
    if (cfg->header.n > 0) {
        st->extra = calloc(cfg->header.n, sizeof(*st->extra));
        if (st->extra == NULL)
            goto no_memory;
        for (size_t i = 0; i < cfg->header.n; i++)
            st->extra[i] = (struct http1_extra){cfg->header.keys[i], cfg->header.values[i]};
    }
    if (setup->user == NULL && setup->password == NULL)
        return RC_OK;
    size_t n;
    st->basic = malloc(BASIC_MAX_BYTES);
    if (st->basic == NULL)
        goto no_memory;
    if (http1_format_basic(slice_of(setup->user != NULL ? setup->user : ""),
                           slice_of(setup->password != NULL ? setup->password : ""), st->basic,
                           BASIC_MAX_BYTES, &n) != RC_OK)
        return diag_set(diag, RC_INVALID, "node %s: user or password is too long",
                        setup->node_name);
    return RC_OK;
no_memory:
    return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
}

static enum rc push_connect(struct connector *c, struct stream *s, const struct target *t, bool udp)
{
    const struct cfg *cfg = c->cfg;
    const struct state *st = c->state;
    struct http *h = calloc(1, sizeof(*h));
    char *out = malloc(REQUEST_MAX_BYTES);
    struct http1_connect req = {
        .target = t, .basic = st->basic, .udp = udp, .extra = st->extra, .n_extra = cfg->header.n};
    enum rc rc = RC_NOMEM;
    if (h != NULL && out != NULL)
        rc = http1_format_connect(&req, out, REQUEST_MAX_BYTES, &h->out_n);
    if (rc != RC_OK) {
        if (out != NULL)
            secret_wipe(out, REQUEST_MAX_BYTES); /* the credentials may stand in it */
        free(h);
        free(out);
        return rc;
    }
    h->layer.type = &http_type;
    h->out = out;
    h->limit_ms = cfg->timeout_ms;
    timer_init(stream_loop(s), &h->timer, on_timer);
    stream_push(s, &h->layer);
    return RC_OK;
}

static enum rc push(struct connector *c, struct stream *s, const struct target *t)
{
    return push_connect(c, s, t, false);
}

static enum rc dgram(struct connector *c, struct stream *s, const struct target *t,
                     const struct sockopts *so, struct dgram **ret_d)
{
    struct target any = {.name = ""};
    (void)t;
    (void)so;
    enum rc rc = push_connect(c, s, &any, true);
    if (rc != RC_OK) {
        stream_close(s);
        return rc;
    }
    struct dgram *d = framed_dgram(s, &(struct framed_cfg){.framing = FRAMING_UDPTUN});
    if (d == NULL)
        return RC_NOMEM;
    *ret_d = d;
    return RC_OK;
}

static void done(struct connector *c)
{
    struct state *st = c->state;
    if (st == NULL)
        return;
    if (st->basic != NULL)
        secret_wipe(st->basic, BASIC_MAX_BYTES);
    free(st->basic);
    free(st->extra);
    free(st);
    c->state = NULL;
}

const struct connector_type connector_http = {
    .name = "http",
    .flags = CONNECTOR_UDP_ANY,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .init = init,
    .push = push,
    .dgram = dgram,
    .done = done,
};
