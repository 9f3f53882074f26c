/* listeners/tls.c - TLS over TCP. wire-protocols.md section 3, gost-config.md 10.1. The handshake
 * runs when the handler opens the stream, under its header deadline. */
#include "core/floor/tls.h"
#include "listeners/accept.h"
#include "listeners/types.h"
#include <stdlib.h>

struct tls_listener_options {
    struct accept_options accept;
};

static const struct option options[] = {
    ACCEPT_OPTIONS(tls_listener_options, accept),
    OPTION_END,
};

struct state {
    struct acceptor acceptor; /* first: accept_start() and the like */
    struct tls_ctx *tls;
};

static enum rc push(void *arg, struct stream *s)
{
    struct layer *l = tls_server_layer(((struct state *)arg)->tls);
    if (!l)
        return RC_NOMEM;
    stream_push(s, l);
    return RC_OK;
}

static enum rc tls_open(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    const struct tls_listener_options *cfg = l->cfg;
    struct state *st = calloc(1, sizeof *st);
    if (!st)
        return diag_set(diag, RC_NOMEM, "no memory");
    l->state = st;
    enum rc rc = tls_server_new(setup->tls, &st->tls, diag);
    if (rc != RC_OK)
        return rc;
    accept_tell_tls(setup, st->tls);
    rc = acceptor_open(&st->acceptor, setup, &cfg->accept, diag);
    st->acceptor.push = push;
    st->acceptor.push_arg = st;
    return rc;
}

static void done(struct listener *l)
{
    struct state *st = l->state;
    if (!st)
        return;
    accept_stop(l);
    tls_ctx_unref(st->tls);
    free(st);
    l->state = NULL;
}

const struct listener_type listener_tls = {
    .name = "tls",
    .options = options,
    .cfg_bytes = sizeof(struct tls_listener_options),
    .open = tls_open,
    .start = accept_start,
    .stop = accept_stop,
    .done = done,
    .where = accept_where,
};
