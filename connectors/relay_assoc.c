/* connectors/relay_assoc.c - the floor that asks a relay node for a UDP association (BIND and UDP,
 * 0x82), and what both relay floors share. wire-protocols.md 1.2, 1.3, 1.7.
 */
#include "connectors/handshake.h"
#include "connectors/relay_node.h"
#include "core/secret.h"
#include <stdlib.h>
#include <string.h>

enum { ASSOC_AGAIN_MS = 600000 }; /* a refusal is believed so long */

enum state { ST_REQUEST_SEND, ST_HEAD_RECV, ST_FEATURES_RECV, ST_DONE };

struct assoc {
    struct layer layer;
    struct handshake x;
    enum state state;
    struct relay_node *node;
    struct addr bound;
};

struct relay_node *relay_node_ref(struct relay_node *n)
{
    n->refs++;
    return n;
}

void relay_node_unref(struct relay_node *n)
{
    if (n == NULL || --n->refs > 0)
        return;
    credentials_done(&n->auth);
    free(n);
}

bool relay_node_refused(const struct relay_node *n)
{
    return n->refused_ms != 0 && loop_now_ms(n->loop) < n->refused_ms + ASSOC_AGAIN_MS;
}

enum rc relay_node_request(const struct relay_node *n, enum relay_cmd cmd, bool udp,
                           const struct target *t, unsigned char **ret_buf, size_t *ret_n)
{
    unsigned char buf[RELAY_REQUEST_MAX_BYTES];
    size_t len;
    struct relay_request req = {.cmd = (uint8_t)cmd,
                                .udp = udp,
                                .has_auth = n->auth.given,
                                .user = slice_of(n->auth.user),
                                .pass = slice_of(n->auth.password),
                                .has_addr = true,
                                .target = *t};
    enum rc rc = relay_format_request(&req, buf, sizeof(buf), &len);
    unsigned char *copy = rc == RC_OK ? malloc(len) : NULL;
    if (copy != NULL)
        memcpy(copy, buf, len);
    secret_wipe(buf, sizeof(buf)); /* also what a failed attempt left */
    if (copy == NULL)
        return rc != RC_OK ? rc : RC_NOMEM;
    *ret_buf = copy;
    *ret_n = len;
    return RC_OK;
}

static enum rc rc_of_status(unsigned status)
{
    switch (status) {
    case RELAY_OK:
        return RC_OK;
    case RELAY_UNAUTHORIZED:
        return RC_AUTH;
    case RELAY_FORBIDDEN:
        return RC_DENIED;
    case RELAY_TIMEOUT:
        return RC_TIMEOUT;
    case RELAY_HOST_UNREACHABLE:
        return RC_UNREACH_HOST;
    /* GOST says 7 for every dial that failed, a closed port too: told as the answer that every
     * client takes at once (RST; an ICMP error for a SYN is only a hint to many) */
    case RELAY_NETWORK_UNREACHABLE:
    case RELAY_SERVICE_UNAVAILABLE:
    case RELAY_INTERNAL_ERROR:
        return RC_REFUSED;
    default:
        return RC_PROTO;
    }
}

enum rc relay_check_answer(struct layer *l, const unsigned char head[static RELAY_HEAD_BYTES])
{
    if (head[0] != 1)
        return layer_fail(l, RC_PROTO, "version %u in the node's answer", head[0]);
    enum rc rc = rc_of_status(head[1]);
    return rc == RC_OK ? rc : layer_fail(l, rc, "the node says: %s", relay_status_text(head[1]));
}

static enum rc on_features(struct assoc *a, size_t total)
{
    struct relay_response resp;
    size_t used;
    enum rc rc = handshake_fill(&a->x, total);
    if (rc != RC_OK)
        return rc;
    if (relay_parse_response(a->x.in, a->x.in_n, &resp, &used) != RC_OK)
        return layer_fail(&a->layer, RC_PROTO, "bad features in the node's answer");
    if (resp.has_addr && !target_is_name(&resp.addr))
        a->bound = resp.addr.addr;
    return RC_OK;
}

/* The status that a server without bind=true gives: a flow per destination may still go. */
static enum rc on_head(struct assoc *a)
{
    if (a->x.in[0] == 1 && a->x.in[1] == RELAY_FORBIDDEN) {
        a->node->refused_ms = loop_now_ms(a->node->loop) | 1;
        return layer_fail(&a->layer, RC_UNSUPPORTED,
                          "the node serves no UDP associations (bind=true there would)");
    }
    return relay_check_answer(&a->layer, a->x.in);
}

static enum rc assoc_open(struct layer *l)
{
    struct assoc *a = (struct assoc *)l;
    enum rc rc = handshake_check(&a->x);
    while (rc == RC_OK) {
        switch (a->state) {
        case ST_REQUEST_SEND:
            rc = handshake_flush(&a->x);
            if (rc == RC_OK)
                a->state = ST_HEAD_RECV;
            break;
        case ST_HEAD_RECV:
            rc = handshake_fill(&a->x, RELAY_HEAD_BYTES);
            if (rc == RC_OK)
                rc = on_head(a);
            if (rc == RC_OK)
                a->state = ST_FEATURES_RECV;
            break;
        case ST_FEATURES_RECV:
            rc = on_features(a, RELAY_HEAD_BYTES + (size_t)(a->x.in[2] << 8 | a->x.in[3]));
            if (rc == RC_OK)
                a->state = ST_DONE;
            break;
        case ST_DONE:
            handshake_done(&a->x);
            return RC_OK;
        }
    }
    return rc;
}

static unsigned assoc_wants(const struct layer *l, unsigned wish)
{
    const struct assoc *a = (const struct assoc *)l;
    if (wish != STREAM_OPEN)
        return wish;
    return a->state == ST_REQUEST_SEND ? STREAM_OUT : STREAM_IN;
}

static bool assoc_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && handshake_is_late(&((const struct assoc *)l)->x);
}

static enum rc assoc_query(struct layer *l, enum layer_query q, void *ret_value)
{
    const struct assoc *a = (const struct assoc *)l;
    if (q != QUERY_BOUND_ADDR || a->bound.family == 0)
        return RC_UNSUPPORTED;
    *(struct addr *)ret_value = a->bound;
    return RC_OK;
}

static void assoc_destroy(struct layer *l, bool aborting)
{
    struct assoc *a = (struct assoc *)l;
    (void)aborting;
    handshake_done(&a->x);
    relay_node_unref(a->node);
    a->node = NULL;
}

static const struct layer_type assoc_type = {
    .name = "relay",
    .open = assoc_open,
    .wants = assoc_wants,
    .pending = assoc_pending,
    .query = assoc_query,
    .destroy = assoc_destroy,
};

enum rc relay_assoc_push(struct relay_node *n, struct stream *s, int64_t limit_ms)
{
    static const uint8_t any[4] = {0, 0, 0, 0};
    struct target t;
    struct addr wildcard = addr_v4(any, 0);
    unsigned char *req;
    size_t len;
    struct assoc *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return RC_NOMEM;
    target_from_addr(&t, &wildcard);
    enum rc rc = relay_node_request(n, RELAY_BIND, true, &t, &req, &len);
    if (rc != RC_OK) {
        free(a);
        return rc;
    }
    a->layer.type = &assoc_type;
    a->node = relay_node_ref(n);
    handshake_init(&a->x, stream_loop(s), &a->layer, limit_ms);
    memcpy(a->x.out, req, len);
    a->x.out_n = len;
    secret_wipe(req, len);
    free(req);
    stream_push(s, &a->layer);
    return RC_OK;
}
