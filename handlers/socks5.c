/* handlers/socks5.c - the SOCKS5 server: CONNECT, BIND, UDP ASSOCIATE, GOST's UDP-TUN. RFC 1928,
 * 1929; wire-protocols.md section 4, gost-config.md 9.
 *
 * Every reply leaves alone; on a plain socket the target's bytes wait a moment behind it (4.3).
 * Reply codes say what the dial really met.
 */
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/floor/tls.h"
#include "core/log.h"
#include "core/wire/hostport.h"
#include "handlers/binding.h"
#include "handlers/socks5_inside.h"
#include "handlers/types.h"
#include "handlers/udptunnel.h"
#include <stdlib.h>

void socks5_refuse(struct conn *c, enum socks5_rep rep, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    size_t n = 0;
    (void)socks5_format_message((uint8_t)rep, NULL, reply, sizeof reply, &n); /* it fits */
    conn_refuse(c, reply, n, rc, reason);
}

size_t socks5_success(const struct addr *bound, uint8_t reply[static SOCKS5_MESSAGE_MAX_BYTES])
{
    struct target t = {.addr = *bound};
    size_t n = 0;
    if (bound->family == 0)
        t.addr = (struct addr){.family = AF_INET};
    (void)socks5_format_message(SOCKS5_REP_OK, &t, reply, SOCKS5_MESSAGE_MAX_BYTES,
                                &n); /* it fits */
    return n;
}

enum rc socks5_own_place(const struct target *t, struct addr *ret_at, bool *ret_any)
{
    uint16_t port;
    *ret_any = hostport_is_wildcard(t, &port);
    *ret_at = *ret_any ? (struct addr){.port = port} : t->addr;
    return ret_at->family == 0 && !*ret_any ? RC_NAME : RC_OK;
}

struct addr socks5_reachable_addr(const struct conn *c, uint16_t port)
{
    const char *text = socks5_front_of(c)->cfg->public_addr;
    struct addr a;
    if (!text || !addr_parse_ip(text, strlen(text), &a))
        a = addr_unmap(c->local);
    a.port = port;
    return a;
}

/* ---------------------------------------------------------------- greeting and credentials */

static void next_state(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    switch (s->state) {
    case ST_METHODS_RECV:
        s->state = s->auth_next ? ST_AUTH_RECV : ST_REQUEST_RECV;
        break;
    case ST_AUTH_RECV:
        s->state = ST_REQUEST_RECV;
        break;
    case ST_REQUEST_RECV:
        break;
    }
    conn_next_request(c, c->front->header_ms);
}

/* The method reply is out and TLS comes next; nothing may have come before it. */
static void push_tls(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    struct layer *l = NULL;
    /* What the client sent behind its greeting is the beginning of its hello. */
    if (replay_push(c->client, c->in, c->in_len) == RC_OK)
        l = tls_server_layer(socks5_front_of(c)->tls);
    if (!l) {
        conn_drop(c, RC_NOMEM, "no memory for TLS");
        return;
    }
    conn_consume(c, c->in_len);
    stream_push(c->client, l);
    s->state = s->auth_next ? ST_AUTH_RECV : ST_REQUEST_RECV;
    conn_reopen(c);
}

static bool can_tls(const struct conn *c)
{
    struct socks5_front *f = (struct socks5_front *)c->front;
    struct diag diag = {.rc = RC_OK};
    bool secure = false;
    if (f->no_tls)
        return false;
    /* Under a carrier that encrypts, a second TLS would only cost. */
    if (stream_query(c->client, QUERY_SECURE, &secure) == RC_OK && secure)
        return false;
    if (!f->tls && tls_server_new(f->front.setup.tls, &f->tls, &diag) != RC_OK) {
        log_warn("%s: no TLS methods for socks5 clients: %s", f->front.setup.service, diag.text);
        f->no_tls = true;
    }
    return !f->no_tls;
}

static int choose_method(const struct conn *c, struct slice offered)
{
    bool auth = c->front->setup.auther != NULL;
    if (socks5_offers(offered, auth ? SOCKS5_TLS_AUTH : SOCKS5_TLS) && can_tls(c))
        return auth ? SOCKS5_TLS_AUTH : SOCKS5_TLS;
    if (auth)
        return socks5_offers(offered, SOCKS5_USERPASS) ? SOCKS5_USERPASS : SOCKS5_NO_METHOD;
    if (socks5_offers(offered, SOCKS5_NO_AUTH))
        return SOCKS5_NO_AUTH;
    /* Somebody who offers only a password gets to say it. */
    return socks5_offers(offered, SOCKS5_USERPASS) ? SOCKS5_USERPASS : SOCKS5_NO_METHOD;
}

static enum rc step_methods(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    struct slice methods;
    uint8_t reply[2];
    size_t used;

    enum rc rc = socks5_parse_greeting(c->in, c->in_len, &methods, &used);
    if (rc != RC_OK)
        return rc;
    int method = choose_method(c, methods);
    socks5_format_method((enum socks5_method)method, reply);
    conn_consume(c, used);
    s->auth_next = method == SOCKS5_USERPASS || method == SOCKS5_TLS_AUTH;
    if (method == SOCKS5_NO_METHOD)
        conn_refuse(c, reply, sizeof reply, RC_AUTH, "no acceptable method offered");
    else
        conn_reply(c, reply, sizeof reply,
                   method == SOCKS5_TLS || method == SOCKS5_TLS_AUTH ? push_tls : next_state);
    return RC_OK;
}

static enum rc step_auth(struct conn *c)
{
    struct slice user, pass;
    uint8_t reply[2];
    size_t used;

    enum rc rc = socks5_parse_auth(c->in, c->in_len, &user, &pass, &used);
    if (rc != RC_OK)
        return rc;
    bool known = conn_auth(c, user, pass);
    conn_consume(c, used);
    socks5_format_auth_reply(known, reply);
    if (known)
        conn_reply(c, reply, sizeof reply, next_state);
    else
        conn_refuse(c, reply, sizeof reply, RC_AUTH, "unknown user or wrong password");
    return RC_OK;
}

/* ---------------------------------------------------------------- requests */

static void begin_connect(struct conn *c, const struct target *asked)
{
    struct target t = *asked;
    if (!t.name[0] &&
        t.addr.family == 0) /* an empty name: this machine, as GOST's client says it */
        t.addr = addr_v4("\x7f\0\0\1", t.addr.port);
    if (conn_bypassed(c, "tcp", &t))
        socks5_refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "bypass");
    else
        conn_dial(c, &t);
}

static enum rc step_request(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct proxy_options *o = socks5_front_of(c)->cfg;
    struct socks5_message m;
    size_t used;
    uint16_t port;

    enum rc rc = socks5_parse_message(c->in, c->in_len, &m, &used);
    if (rc != RC_OK)
        return rc;
    conn_consume(c, used);
    c->report.target = m.target;
    s->tun = m.code == SOCKS5_UDP_TUN;
    bool relay = !s->tun || (hostport_is_wildcard(&m.target, &port) && port == 0);
    if (!m.valid)
        socks5_refuse(c, SOCKS5_REP_HOST_UNREACHABLE, RC_PROTO, "a name with a NUL byte");
    else if (m.code == SOCKS5_CONNECT)
        begin_connect(c, &m.target);
    else if ((m.code == SOCKS5_BIND || m.code == SOCKS5_MUX_BIND) && !o->bind)
        socks5_refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "BIND is not enabled");
    else if (m.code == SOCKS5_BIND)
        socks5_begin_bind(c, &m.target);
    else if (m.code == SOCKS5_MUX_BIND)
        socks5_refuse(c, SOCKS5_REP_CMD_UNSUPPORTED, RC_UNSUPPORTED,
                      "multiplexed BIND is not served");
    else if (m.code != SOCKS5_ASSOCIATE && !s->tun)
        socks5_refuse(c, SOCKS5_REP_CMD_UNSUPPORTED, RC_UNSUPPORTED, "unknown command");
    else if (relay ? !o->udp : !o->bind)
        socks5_refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "UDP is not enabled");
    else if (relay)
        socks5_begin_udp(c);
    else
        socks5_begin_bound(c, &m.target);
    return RC_OK;
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct addr bound = {.family = 0};
    if (rc != RC_OK) {
        socks5_refuse(c, socks5_rep_from_rc(rc), rc, reason);
        return;
    }
    if (stream_query(c->target, QUERY_LOCAL_ADDR, &bound) != RC_OK)
        bound.family = 0;
    conn_splice(c, reply, socks5_success(&bound, reply));
}

static void step(struct conn *c)
{
    enum rc rc = RC_AGAIN;
    switch (((struct socks5_conn *)c)->state) {
    case ST_METHODS_RECV:
        rc = step_methods(c);
        break;
    case ST_AUTH_RECV:
        rc = step_auth(c);
        break;
    case ST_REQUEST_RECV:
        rc = step_request(c);
        break;
    }
    if (rc != RC_OK && rc != RC_AGAIN)
        conn_drop(c, rc, "not SOCKS5");
}

static void conn_gone(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    binding_free(s->binding);
    udp_tunnel_free(s->tunnel);
    if (s->assoc) { /* between its reply and its tunnel: the carrier waits with it */
        dgram_close(s->assoc);
        dgram_close(c->then_arg);
    }
}

static const struct conn_ops ops = {
    .bytes = sizeof(struct socks5_conn),
    .in_max = 1024, /* more than the longest unit */
    .step = step,
    .dialled = dialled,
    .dialled_dgram = socks5_dialled_dgram,
    .done = conn_gone,
};

/* ---------------------------------------------------------------- the plug-in */

static void done(struct handler *h)
{
    struct socks5_front *f = h->state;
    if (!f)
        return;
    tls_ctx_unref(f->tls);
    f->tls = NULL;
    front_free(&f->front);
    h->state = NULL;
}

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    struct socks5_front *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->cfg = h->cfg;
    front_init(&f->front, setup, "socks5", f->cfg->common.read_timeout_ms);
    f->no_tls = f->cfg->notls;
    f->front.reply_grace_ms = (uint32_t)f->cfg->reply_grace_ms;
    h->state = f;
    if (f->cfg->port_max < f->cfg->port_min)
        return diag_set(diag, RC_INVALID, "udp.bindRange.max is below udp.bindRange.min");
    return RC_OK;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

const struct handler_type handler_socks5 = {
    .name = "socks5",
    .aliases = "socks",
    .options = socks5_options,
    .cfg_bytes = sizeof(struct proxy_options),
    .init = init,
    .serve = serve,
    .done = done,
    .explain = proxy_explain,
};
