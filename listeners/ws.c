/* listeners/ws.c - WebSocket over TCP (ws) and over TLS (wss). wire-protocols.md section 2,
 * gost-config.md 10.1. The options are those of the ws floor. TLS handshake and upgrade run when
 * the handler opens the stream, under its header deadline. */
#include "core/floor/ws/ws.h"
#include "core/floor/tls.h"
#include "listeners/accept.h"
#include "listeners/types.h"
#include <stdlib.h>

struct state {
    struct acceptor acceptor; /* first: accept_start() and the like */
    struct ws_ctx *ws;
    struct tls_ctx *tls; /* NULL: ws */
};

static enum rc push(void *arg, struct stream *s)
{
    const struct state *st = arg;
    if (st->tls) {
        struct layer *tls = tls_server_layer(st->tls);
        if (!tls)
            return RC_NOMEM;
        stream_push(s, tls);
    }
    struct layer *ws = ws_server_layer(st->ws);
    if (!ws)
        return RC_NOMEM;
    stream_push(s, ws);
    return RC_OK;
}

static enum rc open_as(struct listener *l, const struct listener_setup *setup, bool secure,
                       struct diag *diag)
{
    struct state *st = calloc(1, sizeof *st);
    if (!st)
        return diag_set(diag, RC_NOMEM, "no memory");
    l->state = st;
    enum rc rc = ws_server_new(setup->loop, l->cfg, &st->ws, diag);
    if (rc == RC_OK && secure)
        rc = tls_server_new(setup->tls, &st->tls, diag);
    if (rc != RC_OK)
        return rc;
    if (st->tls)
        accept_tell_tls(setup, st->tls);
    rc = acceptor_open(&st->acceptor, setup, NULL, diag);
    st->acceptor.push = push;
    st->acceptor.push_arg = st;
    return rc;
}

static enum rc open_ws(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    return open_as(l, setup, false, diag);
}

static enum rc open_wss(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    return open_as(l, setup, true, diag);
}

static void done(struct listener *l)
{
    struct state *st = l->state;
    if (!st)
        return;
    accept_stop(l);
    ws_ctx_unref(st->ws);
    tls_ctx_unref(st->tls);
    free(st);
    l->state = NULL;
}

#define WS_LISTENER(NAME, OPEN)                                                                    \
    {                                                                                              \
        .name = NAME, .options = ws_listener_options, .cfg_bytes = sizeof(struct ws_cfg),          \
        .open = OPEN, .start = accept_start, .stop = accept_stop, .done = done,                    \
        .where = accept_where                                                                      \
    }

const struct listener_type listener_ws = WS_LISTENER("ws", open_ws);
const struct listener_type listener_wss = WS_LISTENER("wss", open_wss);
