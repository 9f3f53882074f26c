/* connectors/socks4.c - SOCKS4a, or plain SOCKS4 with disable4a=true. wire-protocols.md 5.1. */
#include "core/wire/socks4.h"
#include "connectors/connector.h"
#include "connectors/handshake.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct cfg {
    int64_t timeout_ms;
    bool disable4a;
};

static const struct option options[] = {
    {.key = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct cfg, timeout_ms),
     .def = "0",
     .help = "time for the exchange with the node; 0: only dialTimeout"},
    {.key = "disable4a",
     .type = OPTION_BOOL,
     .offset = offsetof(struct cfg, disable4a),
     .def = "false",
     .help = "plain SOCKS4: names are resolved here, to IPv4"},
    OPTION_END};

struct socks4 {
    struct layer layer;
    struct handshake x;
};

static enum rc socks4_open(struct layer *l)
{
    struct socks4 *s = (struct socks4 *)l;
    uint8_t code;
    size_t used;
    enum rc rc = handshake_check(&s->x);
    if (rc == RC_OK)
        rc = handshake_flush(&s->x);
    if (rc == RC_OK)
        rc = handshake_fill(&s->x, SOCKS4_REPLY_BYTES);
    if (rc != RC_OK)
        return rc;
    if (socks4_parse_reply(s->x.in, s->x.in_n, &code, &used) != RC_OK)
        return layer_fail(l, RC_PROTO, "the node's answer is not SOCKS4");
    switch (code) {
    case SOCKS4_GRANTED:
        handshake_done(&s->x);
        return RC_OK;
    case SOCKS4_FAILED:
        return layer_fail(l, RC_UNREACH_HOST, "the node says: failed");
    case SOCKS4_REJECTED:
        return layer_fail(l, RC_DENIED, "the node says: rejected");
    case SOCKS4_BAD_USER:
        return layer_fail(l, RC_AUTH, "the node does not accept the user");
    default:
        return layer_fail(l, RC_PROTO, "code 0x%02x in the node's answer", code);
    }
}

static unsigned socks4_wants(const struct layer *l, unsigned wish)
{
    const struct socks4 *s = (const struct socks4 *)l;
    return wish != STREAM_OPEN ? wish : s->x.out_n > 0 ? STREAM_OUT : STREAM_IN;
}

static bool socks4_pending(const struct layer *l, unsigned wish)
{
    return wish == STREAM_OPEN && handshake_is_late(&((const struct socks4 *)l)->x);
}

static void socks4_destroy(struct layer *l, bool aborting)
{
    (void)aborting;
    handshake_done(&((struct socks4 *)l)->x);
}

static const struct layer_type socks4_type = {
    .name = "socks4",
    .flags = LAYER_SETUP,
    .open = socks4_open,
    .wants = socks4_wants,
    .pending = socks4_pending,
    .destroy = socks4_destroy,
};

static enum rc init(struct connector *c, const struct connector_setup *setup, struct diag *diag)
{
    c->state = strdup(setup->user != NULL ? setup->user : "");
    return c->state != NULL ? RC_OK
                            : diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
}

static enum rc push(struct connector *c, struct stream *stream, const struct target *t)
{
    const struct cfg *cfg = c->cfg;
    if (cfg->disable4a && target_is_name(t))
        return RC_NAME;
    if (cfg->disable4a && t->addr.family != AF_INET)
        return RC_UNREACH_NET;
    struct socks4 *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return RC_NOMEM;
    s->layer.type = &socks4_type;
    handshake_init(&s->x, stream_loop(stream), &s->layer, cfg->timeout_ms);
    struct socks4_request req = {
        .cmd = SOCKS4_CONNECT, .is_4a = !cfg->disable4a, .user = slice_of(c->state), .target = *t};
    enum rc rc = socks4_format_request(&req, s->x.out, sizeof(s->x.out), &s->x.out_n);
    if (rc != RC_OK) {
        free(s);
        return rc;
    }
    stream_push(stream, &s->layer);
    return RC_OK;
}

static void done(struct connector *c)
{
    free(c->state);
    c->state = NULL;
}

const struct connector_type connector_socks4 = {
    .name = "socks4",
    .aliases = "socks4a",
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .init = init,
    .push = push,
    .done = done,
};
