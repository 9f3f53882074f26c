/* handlers/auto.c - one port for socks4, socks5 and http: the first byte tells.
 * wire-protocols.md 5.4.
 *
 * The byte goes back as a replay floor, and the client to the handler that knows its protocol.
 */
#include "core/log.h"
#include "handlers/conn.h"
#include "handlers/proxyoptions.h"
#include "handlers/types.h"
#include <stdlib.h>

enum { KIND_SOCKS4, KIND_SOCKS5, KIND_HTTP, KINDS };

struct auto_front {
    struct front front;
    struct handler handler[KINDS];
};

static void step(struct conn *c)
{
    struct auto_front *f = (struct auto_front *)c->front;
    if (c->in_len == 0)
        return;
    int kind = c->in[0] == 4 ? KIND_SOCKS4 : c->in[0] == 5 ? KIND_SOCKS5 : KIND_HTTP;
    conn_hand_over(c, &f->handler[kind]);
}

static const struct conn_ops ops = {.bytes = sizeof(struct conn), .in_max = 1024, .step = step};

static void done(struct handler *h)
{
    struct auto_front *f = h->state;
    if (!f)
        return;
    for (int i = 0; i < KINDS; i++)
        if (f->handler[i].type)
            f->handler[i].type->done(&f->handler[i]);
    front_free(&f->front);
    h->state = NULL;
}

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    static const struct handler_type *const types[KINDS] = {&handler_socks4, &handler_socks5,
                                                            &handler_http};
    const struct proxy_options *cfg = h->cfg;
    struct auto_front *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    front_init(&f->front, setup, "auto", cfg->common.read_timeout_ms);
    h->state = f;
    for (int i = 0; i < KINDS; i++) {
        f->handler[i] = (struct handler){.type = types[i], .cfg = h->cfg};
        enum rc rc = types[i]->init(&f->handler[i], setup, diag);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

const struct handler_type handler_auto = {
    .name = "auto",
    .options = auto_options,
    .cfg_bytes = sizeof(struct proxy_options),
    .init = init,
    .serve = serve,
    .done = done,
    .explain = proxy_explain,
};
