/* handlers/socks4.c - SOCKS4 and 4a server: CONNECT only. wire-protocols.md 5.1, gost-config.md 9.
 */
#include "core/wire/socks4.h"
#include "handlers/conn.h"
#include "handlers/proxyoptions.h"
#include "handlers/types.h"
#include <stdlib.h>

static void refuse(struct conn *c, enum socks4_code code, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS4_REPLY_BYTES];
    socks4_format_reply(code, reply);
    conn_refuse(c, reply, sizeof reply, rc, reason);
}

static void step(struct conn *c)
{
    struct socks4_request req;
    size_t used;
    enum rc rc = socks4_parse_request(c->in, c->in_len, &req, &used);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        conn_drop(c, rc, "not a SOCKS4 request");
        return;
    }
    c->report.target = req.target;
    bool known = conn_auth(c, req.user, (struct slice){NULL, 0});
    conn_consume(c, used);
    if (req.cmd != SOCKS4_CONNECT)
        refuse(c, SOCKS4_FAILED, RC_UNSUPPORTED, "only CONNECT is served");
    else if (!known)
        refuse(c, SOCKS4_BAD_USER, RC_AUTH, "unknown user id");
    else if (conn_bypassed(c, "tcp", &req.target))
        refuse(c, SOCKS4_REJECTED, RC_DENIED, "bypass");
    else
        conn_dial(c, &req.target);
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS4_REPLY_BYTES];
    if (rc != RC_OK) {
        refuse(c, SOCKS4_FAILED, rc, reason);
        return;
    }
    socks4_format_reply(SOCKS4_GRANTED, reply);
    conn_splice(c, reply, sizeof reply);
}

static const struct conn_ops ops = {
    .bytes = sizeof(struct conn),
    .in_max = SOCKS4_REQUEST_MAX_BYTES,
    .step = step,
    .dialled = dialled,
};

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    const struct proxy_options *cfg = h->cfg;
    struct front *f = malloc(sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    front_init(f, setup, "socks4", cfg->common.read_timeout_ms);
    f->reply_grace_ms = (uint32_t)cfg->reply_grace_ms;
    h->state = f;
    return RC_OK;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

const struct handler_type handler_socks4 = {
    .name = "socks4",
    .aliases = "socks4a",
    .options = socks4_options,
    .cfg_bytes = sizeof(struct proxy_options),
    .init = init,
    .serve = serve,
    .done = front_done,
    .explain = proxy_explain,
};
