/* handlers/socks5.c - the SOCKS5 server: CONNECT, BIND, UDP ASSOCIATE, GOST's UDP-TUN. RFC 1928,
 * 1929; wire-protocols.md section 4, gost-config.md 9.
 *
 * Every reply leaves alone; on a plain socket the target's bytes wait a moment behind it (4.3).
 * Reply codes say what the dial really met.
 */
#include "core/wire/socks5.h"
#include "core/dgram.h"
#include "core/floor/replay.h"
#include "core/floor/tls.h"
#include "core/floor/udp.h"
#include "core/log.h"
#include "core/wire/hostport.h"
#include "handlers/assoc.h"
#include "handlers/binding.h"
#include "handlers/conn.h"
#include "handlers/proxyoptions.h"
#include "handlers/types.h"
#include "handlers/udptunnel.h"
#include <stdlib.h>

struct socks5_front {
    struct front front;
    const struct proxy_options *cfg;
    struct tls_ctx *tls; /* made when the first client offers a TLS method */
    bool no_tls;         /* not wanted, or could not be made */
};

enum {
    BIND_WAIT_MS = 5 * 60 * 1000, /* for the peer of a BIND */
    BIND_AHEAD_MAX_BYTES = 4096   /* that the client says before the peer is there */
};

enum socks5_state { ST_METHODS_RECV, ST_AUTH_RECV, ST_REQUEST_RECV };

struct socks5_conn {
    struct conn conn;
    enum socks5_state state;
    bool auth_next;          /* behind TLS */
    bool tun;                /* UDP-TUN, not ASSOCIATE */
    bool bound;              /* UDP-TUN on a port of this machine */
    struct binding *binding; /* BIND: until the peer came */
    struct udp_tunnel *tunnel;
    struct dgram *assoc; /* until the tunnel has it */
};

static const struct socks5_front *front_of(const struct conn *c)
{
    return (const struct socks5_front *)c->front;
}

static void refuse(struct conn *c, enum socks5_rep rep, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    size_t n = 0;
    (void)socks5_format_message((uint8_t)rep, NULL, reply, sizeof reply, &n); /* it fits */
    conn_refuse(c, reply, n, rc, reason);
}

static size_t format_success(const struct addr *bound,
                             uint8_t reply[static SOCKS5_MESSAGE_MAX_BYTES])
{
    struct target t = {.addr = *bound};
    size_t n = 0;
    if (bound->family == 0)
        t.addr = (struct addr){.family = AF_INET};
    (void)socks5_format_message(SOCKS5_REP_OK, &t, reply, SOCKS5_MESSAGE_MAX_BYTES,
                                &n); /* it fits */
    return n;
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
        l = tls_server_layer(front_of(c)->tls);
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

/* ---------------------------------------------------------------- UDP */

static void start_tun(struct conn *c, struct dgram *carrier, const struct target *target)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct addr bound = {.family = 0};
    struct udp_tunnel_cfg cfg = {
        .max_bytes = (size_t)front_of(c)->cfg->udp_buffer_bytes,
        .single = s->bound,
        .carrier = carrier,
        .target = target,
    };
    if (carrier && dgram_local(carrier, &bound) != RC_OK)
        bound.family = 0;
    size_t n = format_success(&bound, reply);
    udp_tunnel_on_stream(c, &cfg, FRAMING_UDPTUN, reply, n, &s->tunnel);
}

/* The reply of UDP ASSOCIATE is out. */
static void run_association(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct dgram *client = s->assoc;
    struct udp_tunnel_cfg cfg = {
        .max_bytes = (size_t)front_of(c)->cfg->udp_buffer_bytes,
        .carrier = c->then_arg,
        .target = &everywhere,
    };
    s->assoc = NULL;
    c->then_arg = NULL;
    udp_tunnel_on_dgram(c, &cfg, client, &s->tunnel);
}

/* BND must be an address that the client can reach: the one it reached already, or the public one.
 */
static struct addr reachable_addr(const struct conn *c, uint16_t port)
{
    const char *text = front_of(c)->cfg->public_addr;
    struct addr a;
    if (!text || !addr_parse_ip(text, strlen(text), &a))
        a = addr_unmap(c->local);
    a.port = port;
    return a;
}

static void start_association(struct conn *c, struct dgram *carrier)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct proxy_options *o = front_of(c)->cfg;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct diag diag = {.rc = RC_OK};
    struct addr bound;
    struct assoc_cfg cfg = {
        .loop = conn_loop(c),
        .netns = c->front->setup.netns,
        .local = addr_unmap(c->local),
        .peer = addr_unmap(c->report.client),
        .port_min = (uint16_t)o->port_min,
        .port_max = (uint16_t)o->port_max,
    };
    enum rc rc = assoc_open(&cfg, &s->assoc, &diag);
    if (rc == RC_OK)
        rc = dgram_local(s->assoc, &bound);
    if (rc != RC_OK) {
        dgram_close(carrier);
        refuse(c, SOCKS5_REP_FAILURE, rc, diag.text);
        return;
    }
    bound = reachable_addr(c, bound.port);
    c->then_arg = carrier;
    conn_reply(c, reply, format_success(&bound, reply), run_association);
}

static void begin_udp(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};

    c->report.network = "udp";
    enum rc rc = router_udp_route(c->front->setup.router, &everywhere, &route, &diag);
    if (rc != RC_OK)
        refuse(c, SOCKS5_REP_FAILURE, rc, diag.text);
    else if (!route.fixed)
        conn_dial_dgram(c, NULL);
    else if (s->tun) /* flows are dialled as destinations come up */
        start_tun(c, NULL, NULL);
    else
        start_association(c, NULL);
}

/* The address of this machine that a client names; a wildcard is both families. RC_NAME: none. */
static enum rc own_place(const struct target *t, struct addr *ret_at, bool *ret_any)
{
    uint16_t port;
    *ret_any = hostport_is_wildcard(t, &port);
    *ret_at = *ret_any ? (struct addr){.port = port} : t->addr;
    return ret_at->family == 0 && !*ret_any ? RC_NAME : RC_OK;
}

/* UDP-TUN in bind mode: one socket of this machine, whatever the chain is. */
static void begin_bound(struct conn *c, const struct target *t)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct target everywhere = {.name = ""};
    struct diag diag = {.rc = RC_OK};
    struct addr at;
    bool any;
    int fd;
    struct sockopts so = {.netns = c->front->setup.netns};
    enum rc rc = own_place(t, &at, &any);
    if (rc == RC_OK)
        rc = os_bind_udp(&at, any, &so, &fd, &diag);
    struct dgram *d = rc == RC_OK ? udp_dgram_fd(conn_loop(c), fd) : NULL;
    if (!d) {
        refuse(c, SOCKS5_REP_FAILURE, rc == RC_OK ? RC_NOMEM : rc, diag.text);
        return;
    }
    s->bound = true;
    c->report.network = "udp";
    start_tun(c, d, &everywhere);
}

static void dialled_dgram(struct conn *c, struct dgram *d, enum rc rc, const char *reason)
{
    const struct target everywhere = {.name = ""};
    if (rc != RC_OK)
        refuse(c, SOCKS5_REP_FAILURE, rc, reason);
    else if (((struct socks5_conn *)c)->tun)
        start_tun(c, d, &everywhere);
    else
        start_association(c, d);
}

/* ---------------------------------------------------------------- BIND */

/* The client while its peer is awaited: what it says goes to the peer, its end ends the port. */
static void on_bind_client(struct stream *client, unsigned ready, void *arg)
{
    struct conn *c = arg;
    enum rc rc = conn_fill(c, BIND_AHEAD_MAX_BYTES);
    if (ready & STREAM_GONE)
        conn_drop(c, RC_RESET, "the client reset its connection");
    else if (rc == RC_LIMIT)
        stream_want(client, STREAM_GONE, on_bind_client, c);
    else if (rc == RC_EOF)
        conn_drop(c, RC_CANCELED, "the client left before its peer came");
    else if (rc != RC_OK && rc != RC_AGAIN)
        conn_drop(c, rc, stream_diag(client)->text);
}

static void on_peer(void *arg, struct stream *peer, const struct addr *from, enum rc rc,
                    const char *reason)
{
    struct conn *c = arg;
    struct socks5_conn *s = arg;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    stream_want(c->client, 0, NULL, NULL);
    binding_free(s->binding);
    s->binding = NULL;
    if (rc != RC_OK) {
        refuse(c, rc == RC_TIMEOUT ? SOCKS5_REP_TTL_EXPIRED : SOCKS5_REP_FAILURE, rc, reason);
        return;
    }
    c->target = peer;
    target_from_addr(&c->report.target, from);
    conn_splice(c, reply, format_success(from, reply));
}

/* The first reply, with the port, is out. */
static void await_peer(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    timer_stop(&c->timer); /* the binding has its own */
    c->state = CONN_OTHER;
    enum rc rc = binding_start(s->binding, BIND_WAIT_MS, on_peer, c);
    if (rc == RC_OK)
        stream_want(c->client, STREAM_IN, on_bind_client, c);
    else
        refuse(c, SOCKS5_REP_FAILURE, rc, "the bound port can't be watched");
}

static void begin_bind(struct conn *c, const struct target *t)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct diag diag = {.rc = RC_OK};
    struct addr at, bound;
    bool any;
    enum rc rc = own_place(t, &at, &any);
    if (rc == RC_OK)
        rc =
            binding_open(conn_loop(c), c->front->setup.netns, &at, any, &s->binding, &bound, &diag);
    if (rc != RC_OK) {
        refuse(c, SOCKS5_REP_FAILURE, rc, rc == RC_NAME ? "BIND to a name" : diag.text);
        return;
    }
    bound = reachable_addr(c, bound.port);
    conn_reply(c, reply, format_success(&bound, reply), await_peer);
}

/* ---------------------------------------------------------------- requests */

static void begin_connect(struct conn *c, const struct target *asked)
{
    struct target t = *asked;
    if (!t.name[0] &&
        t.addr.family == 0) /* an empty name: this machine, as GOST's client says it */
        t.addr = addr_v4("\x7f\0\0\1", t.addr.port);
    if (conn_bypassed(c, "tcp", &t))
        refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "bypass");
    else
        conn_dial(c, &t);
}

static enum rc step_request(struct conn *c)
{
    struct socks5_conn *s = (struct socks5_conn *)c;
    const struct proxy_options *o = front_of(c)->cfg;
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
        refuse(c, SOCKS5_REP_HOST_UNREACHABLE, RC_PROTO, "a name with a NUL byte");
    else if (m.code == SOCKS5_CONNECT)
        begin_connect(c, &m.target);
    else if ((m.code == SOCKS5_BIND || m.code == SOCKS5_MUX_BIND) && !o->bind)
        refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "BIND is not enabled");
    else if (m.code == SOCKS5_BIND)
        begin_bind(c, &m.target);
    else if (m.code == SOCKS5_MUX_BIND)
        refuse(c, SOCKS5_REP_CMD_UNSUPPORTED, RC_UNSUPPORTED, "multiplexed BIND is not served");
    else if (m.code != SOCKS5_ASSOCIATE && !s->tun)
        refuse(c, SOCKS5_REP_CMD_UNSUPPORTED, RC_UNSUPPORTED, "unknown command");
    else if (relay ? !o->udp : !o->bind)
        refuse(c, SOCKS5_REP_NOT_ALLOWED, RC_DENIED, "UDP is not enabled");
    else if (relay)
        begin_udp(c);
    else
        begin_bound(c, &m.target);
    return RC_OK;
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    uint8_t reply[SOCKS5_MESSAGE_MAX_BYTES];
    struct addr bound = {.family = 0};
    if (rc != RC_OK) {
        refuse(c, socks5_rep_from_rc(rc), rc, reason);
        return;
    }
    if (stream_query(c->target, QUERY_LOCAL_ADDR, &bound) != RC_OK)
        bound.family = 0;
    conn_splice(c, reply, format_success(&bound, reply));
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
    .dialled_dgram = dialled_dgram,
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
