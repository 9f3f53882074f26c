/* connectors/socks5_request.c - one SOCKS5 request and its reply, behind the greeting. RFC 1928
 * section 4 to 6, wire-protocols.md 4.2, 4.3.
 *
 * The request goes alone and nothing follows before the reply: GOST's ends throw away what is glued
 * to a message. The reply is read to the byte, so the floor can leave when it is done; only with
 * ASSOCIATE it stays, to answer for the address that the node bound.
 */
#include "connectors/handshake.h"
#include "connectors/socks5_node.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

struct request {
    struct layer layer;
    struct handshake x;
    struct socks5_node *node;
    enum socks5_cmd cmd;
    bool may_learn;
    struct addr bound;
};

static enum rc write_request(struct request *r, const struct target *t)
{
    struct target here;
    if (r->cmd == SOCKS5_CONNECT && !target_is_name(t) && t->addr.family == 0) {
        /* As GOST's client: no host is the node's own machine. */
        (void)target_set_host(&here, "127.0.0.1", strlen("127.0.0.1"), t->addr.port);
        t = &here;
    }
    return socks5_format_message((uint8_t)r->cmd, r->cmd == SOCKS5_ASSOCIATE ? NULL : t, r->x.out,
                                 sizeof(r->x.out), &r->x.out_n);
}

/* A node that does not know, or not want, UDP-TUN: try the standard way from now on. */
static bool has_learnt(struct request *r)
{
    if (r->cmd != SOCKS5_UDP_TUN || !r->may_learn)
        return false;
    r->node->refused_ms = loop_now_ms(stream_loop(r->layer.stream));
    return true;
}

static enum rc on_refusal(struct request *r, uint8_t rep)
{
    enum rc rc = socks5_rep_to_rc(rep);
    if (has_learnt(r))
        rc = RC_UNSUPPORTED;
    else if (rc == RC_UNSUPPORTED && r->cmd != SOCKS5_CONNECT)
        rc = RC_DENIED;
    return layer_fail(&r->layer, rc, "the node says: %s", socks5_rep_text(rep));
}

static enum rc on_reply(struct request *r)
{
    struct handshake *x = &r->x;
    struct socks5_message msg;
    size_t used;
    /* The shortest reply has seven bytes; the fifth tells how long this one is. */
    enum rc rc = handshake_fill(x, 5);
    if (rc == RC_OK && x->in[3] == ATYP_NAME)
        rc = handshake_fill(x, 7 + (size_t)x->in[4]);
    else if (rc == RC_OK)
        rc = handshake_fill(x, x->in[3] == ATYP_IPV6 ? 22 : 10);
    if (rc == RC_RESET && has_learnt(r))
        return RC_UNSUPPORTED;
    if (rc != RC_OK)
        return rc;
    rc = socks5_parse_message(x->in, x->in_n, &msg, &used);
    if (rc != RC_OK || used != x->in_n)
        return layer_fail(&r->layer, RC_PROTO, "bad reply");
    if (msg.code != SOCKS5_REP_OK)
        return on_refusal(r, msg.code);
    if (!target_is_name(&msg.target))
        r->bound = msg.target.addr;
    handshake_done(x);
    return RC_OK;
}

static enum rc request_open(struct layer *l)
{
    struct request *r = (struct request *)l;
    enum rc rc = handshake_check(&r->x);
    if (rc == RC_OK)
        rc = handshake_flush(&r->x);
    return rc == RC_OK ? on_reply(r) : rc;
}

static unsigned request_wants(const struct layer *l, unsigned wish)
{
    const struct request *r = (const struct request *)l;
    return wish != STREAM_OPEN ? wish : r->x.out_n > 0 ? STREAM_OUT : STREAM_IN;
}

static bool request_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && handshake_is_late(&((const struct request *)l)->x);
}

static enum rc request_query(struct layer *l, enum layer_query q, void *ret_value)
{
    const struct request *r = (const struct request *)l;
    if (q != QUERY_BOUND_ADDR || r->bound.family == 0)
        return RC_UNSUPPORTED;
    *(struct addr *)ret_value = r->bound;
    return RC_OK;
}

static void request_destroy(struct layer *l, bool aborting)
{
    struct request *r = (struct request *)l;
    (void)aborting;
    handshake_done(&r->x);
    socks5_node_unref(r->node);
    r->node = NULL;
}

#define REQUEST_SLOTS                                                                              \
    .name = "socks5", .open = request_open, .wants = request_wants, .pending = request_pending,    \
    .query = request_query, .destroy = request_destroy

static const struct layer_type leaving_type = {REQUEST_SLOTS, .flags = LAYER_SETUP};
static const struct layer_type staying_type = {REQUEST_SLOTS};

enum rc socks5_push(struct socks5_node *n, struct stream *stream, enum socks5_cmd cmd,
                    const struct target *t, bool may_learn)
{
    struct request *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return RC_NOMEM;
    r->cmd = cmd;
    r->may_learn = may_learn;
    handshake_init(&r->x, stream_loop(stream), &r->layer, n->timeout_ms);
    enum rc rc = write_request(r, t);
    if (rc != RC_OK) {
        free(r);
        return rc;
    }
    r->layer.type = cmd == SOCKS5_ASSOCIATE ? &staying_type : &leaving_type;
    r->node = socks5_node_ref(n);
    stream_push(stream, &r->layer);
    return RC_OK;
}
