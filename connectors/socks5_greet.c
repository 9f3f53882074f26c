/* connectors/socks5_greet.c - the beginning of every SOCKS5 exchange: methods, TLS if the node
 * chooses so, user and password. RFC 1928, RFC 1929, wire-protocols.md 4.1.
 *
 * Answers are read to the byte, so the floor can leave when it is done. With GOST's methods 0x80
 * and 0x82 TLS starts where the method was chosen: it goes under this floor and stays.
 */
#include "connectors/handshake.h"
#include "connectors/socks5_node.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include <stdlib.h>

enum state { ST_METHODS_SEND, ST_METHOD_RECV, ST_TLS_OPEN, ST_AUTH_SEND, ST_AUTH_RECV, ST_DONE };

struct greet {
    struct layer layer;
    struct handshake x;
    enum state state;
    struct socks5_node *node;
    uint8_t method;
};

static enum rc write_methods(struct greet *g)
{
    uint8_t v[4], n = 0;
    v[n++] = SOCKS5_NO_AUTH;
    if (g->node->auth.given)
        v[n++] = SOCKS5_USERPASS;
    if (g->node->tls != NULL)
        v[n++] = SOCKS5_TLS;
    if (g->node->tls != NULL && g->node->auth.given)
        v[n++] = SOCKS5_TLS_AUTH;
    return socks5_format_greeting(v, n, g->x.out, sizeof(g->x.out), &g->x.out_n);
}

static enum rc start_auth(struct greet *g)
{
    g->x.in_n = 0;
    g->state = ST_AUTH_SEND;
    enum rc rc = socks5_format_auth(slice_of(g->node->auth.user), slice_of(g->node->auth.password),
                                    g->x.out, sizeof(g->x.out), &g->x.out_n);
    return rc == RC_OK ? rc : layer_fail(&g->layer, RC_INVALID, "user or password is too long");
}

static enum rc start_tls(struct greet *g)
{
    struct layer *tls = tls_client_layer(g->node->tls, g->node->host, NULL);
    if (tls == NULL)
        return layer_fail(&g->layer, RC_NOMEM, "no memory for TLS");
    layer_insert(&g->layer, tls);
    g->state = ST_TLS_OPEN;
    return RC_OK;
}

static enum rc on_method(struct greet *g)
{
    size_t used;
    enum rc rc = handshake_fill(&g->x, 2);
    if (rc == RC_RESET) /* not a word: whatever it is, it does not speak SOCKS5 to us */
        return RC_PROTO;
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_method(g->x.in, g->x.in_n, &g->method, &used);
    if (rc == RC_AUTH)
        return layer_fail(&g->layer, rc, "the node accepts none of our methods%s",
                          g->node->auth.given ? "" : " (it may want a user)");
    if (rc != RC_OK)
        return layer_fail(&g->layer, RC_PROTO, "the node's answer is not SOCKS5");
    bool wants_user = g->method == SOCKS5_USERPASS || g->method == SOCKS5_TLS_AUTH;
    if (wants_user && !g->node->auth.given)
        return layer_fail(&g->layer, RC_AUTH, "the node wants a user and a password");
    switch (g->method) {
    case SOCKS5_NO_AUTH:
        g->state = ST_DONE;
        return RC_OK;
    case SOCKS5_USERPASS:
        return start_auth(g);
    case SOCKS5_TLS:
    case SOCKS5_TLS_AUTH:
        if (g->node->tls != NULL)
            return start_tls(g);
        break;
    }
    return layer_fail(&g->layer, RC_PROTO, "the node chose method 0x%02x, which was not offered",
                      g->method);
}

static enum rc on_auth(struct greet *g)
{
    size_t used;
    enum rc rc = handshake_fill(&g->x, 2);
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_auth_reply(g->x.in, g->x.in_n, &used);
    if (rc != RC_OK)
        return layer_fail(&g->layer, RC_AUTH, "the node does not accept user and password");
    g->state = ST_DONE;
    return RC_OK;
}

static enum rc greet_open(struct layer *l)
{
    struct greet *g = (struct greet *)l;
    enum rc rc = handshake_check(&g->x);
    while (rc == RC_OK) {
        switch (g->state) {
        case ST_METHODS_SEND:
            rc = handshake_flush(&g->x);
            if (rc == RC_OK)
                g->state = ST_METHOD_RECV;
            break;
        case ST_METHOD_RECV:
            rc = on_method(g);
            break;
        case ST_TLS_OPEN:
            rc = layer_open(l->below);
            if (rc == RC_OK && g->method == SOCKS5_TLS_AUTH)
                rc = start_auth(g);
            else if (rc == RC_OK)
                g->state = ST_DONE;
            break;
        case ST_AUTH_SEND:
            rc = handshake_flush(&g->x);
            if (rc == RC_OK)
                g->state = ST_AUTH_RECV;
            break;
        case ST_AUTH_RECV:
            rc = on_auth(g);
            break;
        case ST_DONE:
            handshake_done(&g->x);
            return RC_OK;
        }
    }
    return rc;
}

static unsigned greet_wants(const struct layer *l, unsigned wish)
{
    const struct greet *g = (const struct greet *)l;
    return wish != STREAM_OPEN ? wish : g->x.out_n > 0 ? STREAM_OUT : STREAM_IN;
}

static bool greet_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && handshake_is_late(&((const struct greet *)l)->x);
}

static void greet_destroy(struct layer *l, bool aborting)
{
    struct greet *g = (struct greet *)l;
    (void)aborting;
    handshake_done(&g->x);
    socks5_node_unref(g->node);
    g->node = NULL;
}

static const struct layer_type greet_type = {
    .name = "socks5",
    .flags = LAYER_SETUP,
    .open = greet_open,
    .wants = greet_wants,
    .pending = greet_pending,
    .destroy = greet_destroy,
};

enum rc socks5_greet(struct socks5_node *n, struct stream *stream)
{
    struct greet *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return RC_NOMEM;
    g->layer.type = &greet_type;
    g->node = socks5_node_ref(n);
    handshake_init(&g->x, stream_loop(stream), &g->layer, n->timeout_ms);
    (void)write_methods(g); /* six bytes at most: there is room */
    stream_push(stream, &g->layer);
    return RC_OK;
}
