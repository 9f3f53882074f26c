/* connectors/socks5_floor.c - one SOCKS5 exchange: methods, TLS if the node chooses so, user and
 * password, request, reply. RFC 1928, RFC 1929, wire-protocols.md section 4.
 *
 * Each message goes alone and nothing follows before its answer: GOST's ends throw away what is
 * glued to a message. Answers are read to the byte, so the floor can leave when it is done; only
 * with ASSOCIATE it stays, to answer for the address that the node bound.
 */
#include "connectors/exchange.h"
#include "connectors/socks5_node.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum state {
    ST_METHODS_SEND,
    ST_METHOD_RECV,
    ST_TLS_OPEN,
    ST_AUTH_SEND,
    ST_AUTH_RECV,
    ST_REQUEST_SEND,
    ST_REPLY_RECV,
    ST_DONE
};

struct socks5 {
    struct layer layer;
    struct exchange x;
    enum state state;
    struct socks5_node *node;
    enum socks5_cmd cmd;
    struct target target;
    bool may_learn;
    uint8_t method;
    struct addr bound;
};

static enum rc write_methods(struct socks5 *s)
{
    uint8_t v[4], n = 0;
    v[n++] = SOCKS5_NO_AUTH;
    if (s->node->has_auth)
        v[n++] = SOCKS5_USERPASS;
    if (s->node->tls != NULL)
        v[n++] = SOCKS5_TLS;
    if (s->node->tls != NULL && s->node->has_auth)
        v[n++] = SOCKS5_TLS_AUTH;
    return socks5_format_greeting(v, n, s->x.out, sizeof(s->x.out), &s->x.out_n);
}

static enum rc write_auth(struct socks5 *s)
{
    return socks5_format_auth(slice_of(s->node->user), slice_of(s->node->password), s->x.out,
                              sizeof(s->x.out), &s->x.out_n);
}

static enum rc write_request(struct socks5 *s)
{
    const struct target *t = &s->target;
    struct target here;
    if (s->cmd == SOCKS5_CONNECT && !target_is_name(t) && t->addr.family == 0) {
        /* As GOST's client: no host is the node's own machine. */
        (void)target_set_host(&here, "127.0.0.1", strlen("127.0.0.1"), t->addr.port);
        t = &here;
    }
    return socks5_format_message((uint8_t)s->cmd, s->cmd == SOCKS5_ASSOCIATE ? NULL : t, s->x.out,
                                 sizeof(s->x.out), &s->x.out_n);
}

/* The next message: written into x.out, to be sent in state `to`. */
static enum rc go(struct socks5 *s, enum state to)
{
    enum rc rc = RC_OK;
    s->x.in_n = 0;
    s->state = to;
    if (to == ST_AUTH_SEND)
        rc = write_auth(s);
    else if (to == ST_REQUEST_SEND)
        rc = write_request(s);
    return rc == RC_OK ? rc : layer_fail(&s->layer, RC_INVALID, "the request can't be written");
}

static enum rc start_tls(struct socks5 *s)
{
    struct layer *tls = tls_client_layer(s->node->tls, s->node->host, NULL);
    if (tls == NULL)
        return layer_fail(&s->layer, RC_NOMEM, "no memory for TLS");
    layer_insert(&s->layer, tls);
    return go(s, ST_TLS_OPEN);
}

static enum rc on_method(struct socks5 *s)
{
    size_t used;
    enum rc rc = exchange_fill(&s->x, 2);
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_method(s->x.in, s->x.in_n, &s->method, &used);
    if (rc == RC_AUTH)
        return layer_fail(&s->layer, rc, "the node accepts none of our methods%s",
                          s->node->has_auth ? "" : " (it may want a user)");
    if (rc != RC_OK)
        return layer_fail(&s->layer, RC_PROTO, "the node's answer is not SOCKS5");
    bool wants_user = s->method == SOCKS5_USERPASS || s->method == SOCKS5_TLS_AUTH;
    if (wants_user && !s->node->has_auth)
        return layer_fail(&s->layer, RC_AUTH, "the node wants a user and a password");
    switch (s->method) {
    case SOCKS5_NO_AUTH:
        return go(s, ST_REQUEST_SEND);
    case SOCKS5_USERPASS:
        return go(s, ST_AUTH_SEND);
    case SOCKS5_TLS:
    case SOCKS5_TLS_AUTH:
        if (s->node->tls != NULL)
            return start_tls(s);
        break;
    }
    return layer_fail(&s->layer, RC_PROTO, "the node chose method 0x%02x, which was not offered",
                      s->method);
}

static enum rc on_auth(struct socks5 *s)
{
    size_t used;
    enum rc rc = exchange_fill(&s->x, 2);
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_auth_reply(s->x.in, s->x.in_n, &used);
    if (rc != RC_OK)
        return layer_fail(&s->layer, RC_AUTH, "the node does not accept user and password");
    return go(s, ST_REQUEST_SEND);
}

/* A node that does not know, or not want, UDP-TUN: try the standard way from now on. */
static enum rc refused(struct socks5 *s, enum rc rc, const char *why)
{
    if (s->cmd == SOCKS5_UDP_TUN && s->may_learn) {
        s->node->refused_ms = loop_now_ms(stream_loop(s->layer.stream));
        return layer_fail(&s->layer, RC_UNSUPPORTED, "UDP-TUN: %s", why);
    }
    if (rc == RC_UNSUPPORTED && s->cmd != SOCKS5_CONNECT)
        rc = RC_DENIED;
    return layer_fail(&s->layer, rc, "the node says: %s", why);
}

static enum rc on_reply(struct socks5 *s)
{
    struct exchange *x = &s->x;
    struct socks5_message msg;
    size_t used;
    /* The shortest reply has seven bytes; the fifth tells how long this one is. */
    enum rc rc = exchange_fill(x, 5);
    if (rc == RC_OK && x->in[3] == ATYP_NAME)
        rc = exchange_fill(x, 7 + (size_t)x->in[4]);
    else if (rc == RC_OK)
        rc = exchange_fill(x, x->in[3] == ATYP_IPV6 ? 22 : 10);
    if (rc == RC_RESET && s->cmd == SOCKS5_UDP_TUN && s->may_learn) {
        s->node->refused_ms = loop_now_ms(stream_loop(s->layer.stream));
        return RC_UNSUPPORTED;
    }
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_message(x->in, x->in_n, &msg, &used);
    if (rc != RC_OK || used != x->in_n)
        return layer_fail(&s->layer, RC_PROTO, "bad reply");
    if (msg.code != SOCKS5_REP_OK)
        return refused(s, socks5_rep_to_rc(msg.code), socks5_rep_text(msg.code));
    if (!target_is_name(&msg.target))
        s->bound = msg.target.addr;
    s->state = ST_DONE;
    return RC_OK;
}

static enum rc socks5_open(struct layer *l)
{
    struct socks5 *s = (struct socks5 *)l;
    enum rc rc = exchange_check(&s->x);
    while (rc == RC_OK) {
        switch (s->state) {
        case ST_METHODS_SEND:
            rc = exchange_flush(&s->x);
            if (rc == RC_OK)
                s->state = ST_METHOD_RECV;
            break;
        case ST_METHOD_RECV:
            rc = on_method(s);
            break;
        case ST_TLS_OPEN:
            rc = layer_open(l->below);
            if (rc == RC_OK)
                rc = go(s, s->method == SOCKS5_TLS ? ST_REQUEST_SEND : ST_AUTH_SEND);
            break;
        case ST_AUTH_SEND:
            rc = exchange_flush(&s->x);
            if (rc == RC_OK)
                s->state = ST_AUTH_RECV;
            break;
        case ST_AUTH_RECV:
            rc = on_auth(s);
            break;
        case ST_REQUEST_SEND:
            rc = exchange_flush(&s->x);
            if (rc == RC_OK)
                s->state = ST_REPLY_RECV;
            break;
        case ST_REPLY_RECV:
            rc = on_reply(s);
            break;
        case ST_DONE:
            exchange_done(&s->x);
            return RC_OK;
        }
    }
    return rc;
}

static unsigned socks5_wants(const struct layer *l, unsigned wish)
{
    const struct socks5 *s = (const struct socks5 *)l;
    if (wish != STREAM_OPEN)
        return wish;
    return s->x.out_n > 0 ? STREAM_OUT : STREAM_IN;
}

static bool socks5_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && exchange_is_late(&((const struct socks5 *)l)->x);
}

static enum rc socks5_query(struct layer *l, enum layer_query q, void *ret_value)
{
    const struct socks5 *s = (const struct socks5 *)l;
    if (q != QUERY_BOUND_ADDR || s->bound.family == 0)
        return RC_UNSUPPORTED;
    *(struct addr *)ret_value = s->bound;
    return RC_OK;
}

static void socks5_destroy(struct layer *l, bool aborting)
{
    struct socks5 *s = (struct socks5 *)l;
    (void)aborting;
    exchange_done(&s->x);
    socks5_node_unref(s->node);
    s->node = NULL;
}

#define SOCKS5_SLOTS                                                                               \
    .name = "socks5", .open = socks5_open, .wants = socks5_wants, .pending = socks5_pending,       \
    .query = socks5_query, .destroy = socks5_destroy

static const struct layer_type leaving_type = {SOCKS5_SLOTS, .flags = LAYER_SETUP};
static const struct layer_type staying_type = {SOCKS5_SLOTS};

enum rc socks5_push(struct socks5_node *n, struct stream *stream, enum socks5_cmd cmd,
                    const struct target *t, bool may_learn)
{
    struct socks5 *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return RC_NOMEM;
    s->layer.type = cmd == SOCKS5_ASSOCIATE ? &staying_type : &leaving_type;
    s->node = socks5_node_ref(n);
    s->cmd = cmd;
    s->target = *t;
    s->may_learn = may_learn;
    exchange_init(&s->x, stream_loop(stream), &s->layer, n->timeout_ms);
    (void)write_methods(s); /* six bytes at most: there is room */
    stream_push(stream, &s->layer);
    return RC_OK;
}
