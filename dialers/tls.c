/* dialers/tls.c - TLS over TCP. gost-config.md 10.2, wire-protocols.md section 3. */
#include "core/floor/tls.h"
#include "dialers/dialer.h"
#include "dialers/keepalive.h"
#include "dialers/tls_node.h"
#include <stddef.h>
#include <stdlib.h>

struct cfg {
    struct keepalive_cfg keepalive;
    int64_t handshake_ms;
};

static const struct option options[] = {{.key = "handshakeTimeout",
                                         .type = OPTION_DURATION,
                                         .flags = OPTION_NOOP,
                                         .offset = offsetof(struct cfg, handshake_ms),
                                         .def = "0",
                                         .help = "accepted; dialTimeout bounds the handshake"},
                                        KEEPALIVE_OPTIONS(struct cfg, keepalive, ""),
                                        OPTION_END};

static enum rc init(struct dialer *d, const struct dialer_setup *setup, struct diag *diag)
{
    struct tls_node *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    d->state = t;
    return tls_node_init(t, setup, diag);
}

static enum rc push(struct dialer *d, struct stream *s)
{
    const struct cfg *cfg = d->cfg;
    keepalive_apply(&cfg->keepalive, s);
    return tls_node_push(d->state, s);
}

static bool verifies(const struct dialer *d)
{
    const struct tls_node *t = d->state;
    return tls_ctx_verifies(t->ctx);
}

static struct tls_ctx *tls(const struct dialer *d)
{
    const struct tls_node *t = d->state;
    return t->ctx;
}

static void done(struct dialer *d)
{
    if (d->state == NULL)
        return;
    tls_node_done(d->state);
    free(d->state);
    d->state = NULL;
}

const struct dialer_type dialer_tls = {
    .name = "tls",
    .base = DIALER_TCP,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .init = init,
    .push = push,
    .verifies = verifies,
    .tls = tls,
    .done = done,
};
