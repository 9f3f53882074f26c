/* dialers/ws.c - WebSocket over TCP (ws) and over TLS (wss). gost-config.md 10.2, wire-protocols.md
 * section 2. The options are those of the ws floor.
 */
#include "core/floor/ws/ws.h"
#include "core/floor/tls.h"
#include "dialers/dialer.h"
#include "dialers/tls_node.h"
#include <stdlib.h>
#include <string.h>

struct state {
    struct ws_ctx *ws;
    char *addr; /* the Host header when the options name none */
    bool secure;
    struct tls_node tls;
};

static enum rc init_as(struct dialer *d, const struct dialer_setup *setup, bool secure,
                       struct diag *diag)
{
    struct state *st = calloc(1, sizeof(*st));
    if (st == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    d->state = st;
    st->secure = secure;
    st->addr = strdup(setup->node_addr);
    if (st->addr == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    struct diag why = {.rc = RC_OK};
    enum rc rc = ws_client_new(setup->loop, d->cfg, &st->ws, &why);
    if (rc != RC_OK)
        return diag_set(diag, rc, "node %s: ws: %s", setup->node_name, why.text);
    return secure ? tls_node_init(&st->tls, setup, diag) : RC_OK;
}

static enum rc init_ws(struct dialer *d, const struct dialer_setup *setup, struct diag *diag)
{
    return init_as(d, setup, false, diag);
}

static enum rc init_wss(struct dialer *d, const struct dialer_setup *setup, struct diag *diag)
{
    return init_as(d, setup, true, diag);
}

static enum rc push(struct dialer *d, struct stream *s)
{
    const struct state *st = d->state;
    if (st->secure) {
        enum rc rc = tls_node_push(&st->tls, s);
        if (rc != RC_OK)
            return rc;
    }
    struct layer *l = ws_client_layer(st->ws, st->addr);
    if (l == NULL)
        return RC_NOMEM;
    stream_push(s, l);
    return RC_OK;
}

static bool verifies(const struct dialer *d)
{
    const struct state *st = d->state;
    return tls_ctx_verifies(st->tls.ctx);
}

static struct tls_ctx *tls(const struct dialer *d)
{
    const struct state *st = d->state;
    return st->tls.ctx;
}

static void done(struct dialer *d)
{
    struct state *st = d->state;
    if (st == NULL)
        return;
    if (st->ws != NULL)
        ws_ctx_unref(st->ws);
    tls_node_done(&st->tls);
    free(st->addr);
    free(st);
    d->state = NULL;
}

const struct dialer_type dialer_ws = {
    .name = "ws",
    .base = DIALER_TCP,
    .options = ws_dialer_options,
    .cfg_bytes = sizeof(struct ws_cfg),
    .init = init_ws,
    .push = push,
    .done = done,
};

const struct dialer_type dialer_wss = {
    .name = "wss",
    .base = DIALER_TCP,
    .options = ws_dialer_options,
    .cfg_bytes = sizeof(struct ws_cfg),
    .init = init_wss,
    .push = push,
    .verifies = verifies,
    .tls = tls,
    .done = done,
};
