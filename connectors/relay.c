/* connectors/relay.c - the relay connector: a request joined with the first bytes, an answer taken
 * off when the first bytes come. wire-protocols.md section 1, gost-config.md 10.3.
 *
 * CONNECT never waits: the request leaves with the first payload, or after 5 ms, or when somebody
 * is in a hurry (QUERY_EXPEDITE); a GOST server says nothing before its target does. An association
 * (BIND and UDP) is answered at once and is waited for (relay_assoc.c).
 */
#include "connectors/connector.h"
#include "connectors/mux_options.h"
#include "connectors/relay_node.h"
#include "core/floor/framed.h"
#include "core/secret.h"
#include "core/stream.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { LAZY_MS = 5, IOV_MAX_JOINED = 64 };

struct relay {
    struct layer layer;
    struct timer timer;
    unsigned char *head; /* the request, until it has left */
    size_t head_at, head_n;
    bool due;      /* it leaves by itself as soon as it can */
    bool joined;   /* it stands in the room that was reserved below */
    bool answered; /* the response is behind us */
    unsigned char resp[RELAY_HEAD_BYTES];
    size_t resp_n, skip; /* of the response: bytes of its head, bytes of features to come */
};

/* ---------------------------------------------------------------- the request */

static void drop_head(struct relay *r)
{
    timer_stop(&r->timer);
    if (r->head == NULL)
        return;
    secret_wipe(r->head, r->head_n);
    free(r->head);
    r->head = NULL;
}

/* Sends what is left of the request, followed by v. *ret_n: bytes of v. */
static enum rc send_joined(struct relay *r, const struct iovec *v, int nv, size_t *ret_n)
{
    struct iovec all[1 + IOV_MAX_JOINED];
    int n = nv < IOV_MAX_JOINED ? nv : IOV_MAX_JOINED;
    if (n > 0)
        memcpy(all + 1, v, (size_t)n * sizeof(*v));
    while (r->head != NULL) {
        size_t left = r->head_n - r->head_at, sent;
        all[0] = (struct iovec){r->head + r->head_at, left};
        enum rc rc = layer_send(r->layer.below, all, 1 + n, &sent);
        if (rc != RC_OK)
            return rc;
        if (sent < left) {
            r->head_at += sent;
            continue;
        }
        drop_head(r);
        if (sent > left) {
            *ret_n = sent - left;
            return RC_OK;
        }
    }
    if (n == 0)
        return RC_OK;
    return layer_send(r->layer.below, v, nv, ret_n);
}

static enum rc send_head(struct relay *r)
{
    size_t none = 0;
    return r->head != NULL ? send_joined(r, NULL, 0, &none) : RC_OK;
}

static void on_timer(struct timer *timer)
{
    struct relay *r = (struct relay *)((char *)timer - offsetof(struct relay, timer));
    r->due = true;
    layer_wake(&r->layer);
}

static enum rc relay_open(struct layer *l)
{
    struct relay *r = (struct relay *)l;
    if (!timer_start(&r->timer, LAZY_MS)) {
        r->due = true;
        layer_wake(l);
    }
    return RC_OK;
}

static enum rc relay_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct relay *r = (struct relay *)l;
    return r->head != NULL ? send_joined(r, v, nv, ret_n) : layer_send(l->below, v, nv, ret_n);
}

static enum rc relay_shut(struct layer *l)
{
    enum rc rc = send_head((struct relay *)l);
    return rc == RC_OK ? layer_shut(l->below) : rc;
}

static unsigned relay_needs(const struct layer *l)
{
    const struct relay *r = (const struct relay *)l;
    return r->head != NULL && (r->due || r->head_at > 0) ? STREAM_OUT : 0;
}

static void relay_run(struct layer *l)
{
    (void)send_head((struct relay *)l); /* a failure shows again with the owner's next call */
}

/* The request goes in front of what the owner will write. */
static enum rc relay_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct relay *r = (struct relay *)l;
    const struct layer_type *below = l->below->type;
    if (below->reserve == NULL)
        return RC_UNSUPPORTED;
    if (r->head != NULL && r->head_at > 0) {
        enum rc rc = send_head(r);
        if (rc != RC_OK)
            return rc;
    }
    if (r->head == NULL)
        return below->reserve(l->below, want, ret_v);
    struct iovec v;
    enum rc rc = below->reserve(l->below, want + r->head_n, &v);
    if (rc != RC_OK)
        return rc;
    if (v.iov_len <= r->head_n) {
        rc = below->commit(l->below, 0);
        if (rc == RC_OK)
            rc = send_head(r);
        return rc == RC_OK ? below->reserve(l->below, want, ret_v) : rc;
    }
    memcpy(v.iov_base, r->head, r->head_n);
    r->joined = true;
    *ret_v = (struct iovec){(char *)v.iov_base + r->head_n, v.iov_len - r->head_n};
    return RC_OK;
}

static enum rc relay_commit(struct layer *l, size_t n)
{
    struct relay *r = (struct relay *)l;
    size_t more = r->joined && n > 0 ? r->head_n : 0;
    r->joined = false;
    if (more > 0)
        drop_head(r);
    return l->below->type->commit(l->below, n + more);
}

/* ---------------------------------------------------------------- the answer */

/* Takes bytes of the answer out of p[0..n). RC_OK: it is whole; RC_AGAIN: more; else it says no. */
static enum rc feed(struct relay *r, const unsigned char *p, size_t n, size_t *ret_used)
{
    size_t used = 0;
    while (r->resp_n < RELAY_HEAD_BYTES && used < n) {
        r->resp[r->resp_n++] = p[used++];
        if (r->resp_n < RELAY_HEAD_BYTES)
            continue;
        /* The features of an answer to CONNECT say nothing to us: their length is enough. */
        r->skip = (size_t)(r->resp[2] << 8 | r->resp[3]);
        enum rc rc = relay_check_answer(&r->layer, r->resp);
        if (rc != RC_OK)
            return rc;
    }
    size_t skipped = n - used < r->skip ? n - used : r->skip;
    r->skip -= skipped;
    *ret_used = used + skipped;
    r->answered = r->resp_n == RELAY_HEAD_BYTES && r->skip == 0;
    return r->answered ? RC_OK : RC_AGAIN;
}

/* The end of the stream before the answer: a GOST server that had nothing to pass on never gave
 * one; a cut one is an error. */
static enum rc early_end(struct relay *r)
{
    return r->resp_n == 0 ? RC_EOF : layer_fail(&r->layer, RC_PROTO, "the node's answer was cut");
}

static enum rc relay_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct relay *r = (struct relay *)l;
    for (;;) {
        size_t n, used;
        enum rc rc = layer_recv(l->below, buf, cap, &n);
        if (rc == RC_OK && r->answered)
            *ret_n = n;
        if (r->answered)
            return rc;
        if (rc != RC_OK)
            return rc == RC_EOF ? early_end(r) : rc;
        rc = feed(r, buf, n, &used);
        if (rc != RC_OK && rc != RC_AGAIN)
            return rc;
        if (used < n) {
            memmove(buf, (unsigned char *)buf + used, n - used);
            *ret_n = n - used;
            return RC_OK;
        }
    }
}

/* Reads the answer and not a byte more. */
static enum rc read_answer(struct relay *r)
{
    unsigned char buf[256];
    while (!r->answered) {
        size_t n, used,
            want = r->resp_n < RELAY_HEAD_BYTES ? RELAY_HEAD_BYTES - r->resp_n : r->skip;
        if (want > sizeof(buf))
            want = sizeof(buf);
        enum rc rc = layer_recv(r->layer.below, buf, want, &n);
        if (rc != RC_OK)
            return rc == RC_EOF ? early_end(r) : rc;
        rc = feed(r, buf, n, &used);
        if (rc != RC_OK && rc != RC_AGAIN)
            return rc;
    }
    return RC_OK;
}

static enum rc relay_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct relay *r = (struct relay *)l;
    if (l->below->type->peek == NULL)
        return RC_UNSUPPORTED;
    enum rc rc = read_answer(r);
    return rc == RC_OK ? layer_peek(l->below, v, cap, ret_n) : rc;
}

static enum rc relay_consume(struct layer *l, size_t n)
{
    return layer_consume(l->below, n);
}

static enum rc confirmed(struct relay *r, enum stream_confirmed *ret_c)
{
    enum rc rc = read_answer(r);
    if (rc == RC_EOF)
        return layer_fail(&r->layer, RC_RESET, "closed by the node before its answer");
    if (rc != RC_OK && rc != RC_AGAIN)
        return rc;
    *ret_c = rc == RC_OK ? CONFIRMED_YES : CONFIRMED_PENDING;
    return RC_OK;
}

static enum rc relay_query(struct layer *l, enum layer_query q, void *ret_value)
{
    struct relay *r = (struct relay *)l;
    enum rc rc;
    switch (q) {
    case QUERY_CONFIRMED:
        return confirmed(r, ret_value);
    case QUERY_EXPEDITE:
        r->due = true;
        rc = send_head(r);
        return rc == RC_OK || rc == RC_AGAIN ? RC_UNSUPPORTED : rc; /* and whoever is below */
    case QUERY_FD:
        return r->head == NULL && r->answered ? RC_UNSUPPORTED : RC_AGAIN;
    case QUERY_LOCAL_ADDR:
    case QUERY_PEER_ADDR:
    case QUERY_BOUND_ADDR:
    case QUERY_SECURE:
    case QUERY_ALPN:
    case QUERY_SOCKET:
        break;
    }
    return RC_UNSUPPORTED;
}

static void relay_destroy(struct layer *l, bool aborting)
{
    (void)aborting;
    drop_head((struct relay *)l);
}

static const struct layer_type relay_type = {
    .name = "relay",
    .open = relay_open,
    .recv = relay_recv,
    .send = relay_send,
    .peek = relay_peek,
    .consume = relay_consume,
    .reserve = relay_reserve,
    .commit = relay_commit,
    .shut = relay_shut,
    .needs = relay_needs,
    .run = relay_run,
    .query = relay_query,
    .destroy = relay_destroy,
};

/* ---------------------------------------------------------------- the connector */

struct cfg {
    int64_t connect_ms;
    bool nodelay;
    struct mux_ignored mux;
};

static const struct option options[] = {
    {.key = "connectTimeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct cfg, connect_ms),
     .def = "0",
     .help = "time for the answer to a UDP association; a CONNECT is never waited for"},
    {.key = "nodelay",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = offsetof(struct cfg, nodelay),
     .def = "false",
     .help = "accepted: the request leaves with the first bytes or after 5 ms either way"},
    MUX_IGNORED_OPTIONS(struct cfg, mux),
    OPTION_END};

static enum rc init(struct connector *c, const struct connector_setup *setup, struct diag *diag)
{
    struct relay_node *n = calloc(1, sizeof(*n));
    c->state = n;
    if (n == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    n->refs = 1;
    n->loop = setup->loop;
    return credentials_init(&n->auth, setup, diag);
}

static enum rc push_connect(struct connector *c, struct stream *s, const struct target *t, bool udp)
{
    struct relay *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return RC_NOMEM;
    enum rc rc = relay_node_request(c->state, RELAY_CONNECT, udp, t, &r->head, &r->head_n);
    if (rc != RC_OK) {
        free(r);
        return rc;
    }
    r->layer.type = &relay_type;
    timer_init(stream_loop(s), &r->timer, on_timer);
    stream_push(s, &r->layer);
    return RC_OK;
}

static enum rc push(struct connector *c, struct stream *s, const struct target *t)
{
    return push_connect(c, s, t, false);
}

static enum rc dgram(struct connector *c, struct stream *s, const struct target *t,
                     const struct sockopts *so, struct dgram **ret_d)
{
    const struct cfg *cfg = c->cfg;
    (void)so;
    enum rc rc;
    if (t != NULL)
        rc = push_connect(c, s, t, true);
    else if (relay_node_refused(c->state))
        rc = RC_UNSUPPORTED;
    else
        rc = relay_assoc_push(c->state, s, cfg->connect_ms);
    if (rc != RC_OK) {
        stream_close(s);
        return rc;
    }
    struct dgram *d = framed_dgram(
        s, &(struct framed_cfg){.framing = t != NULL ? FRAMING_LEN : FRAMING_UDPTUN, .fixed = t});
    if (d == NULL)
        return RC_NOMEM;
    *ret_d = d;
    return RC_OK;
}

static unsigned udp(const struct connector *c)
{
    return relay_node_refused(c->state) ? CONNECTOR_UDP_FIXED
                                        : CONNECTOR_UDP_FIXED | CONNECTOR_UDP_ANY;
}

static void done(struct connector *c)
{
    relay_node_unref(c->state);
    c->state = NULL;
}

const struct connector_type connector_relay = {
    .name = "relay",
    .flags = CONNECTOR_UDP_FIXED | CONNECTOR_UDP_ANY,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .init = init,
    .push = push,
    .dgram = dgram,
    .udp = udp,
    .done = done,
};
