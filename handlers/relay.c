/* handlers/relay.c - the relay server. wire-protocols.md section 1, gost-config.md 9.
 *
 * The response leaves right after the dial, joined with the target's first bytes when they are at
 * hand: right for clients that wait for it and for those that don't. Errors are drained before the
 * close. A UDP request becomes a udp tunnel: CONNECT+UDP to one target, BIND+UDP to any.
 */
#include "core/wire/relay.h"
#include "chain/forwarder.h"
#include "core/dgram.h"
#include "core/floor/udp.h"
#include "core/wire/hostport.h"
#include "handlers/conn.h"
#include "handlers/options.h"
#include "handlers/types.h"
#include "handlers/udptunnel.h"
#include <stdlib.h>

struct relay_options {
    struct common_options common;
    bool bind, nodelay;
    int64_t udp_buffer_bytes;
};

static const struct option options[] = {
    HANDLER_OPTIONS(relay_options),
    HANDLER_UDP_BUFFER(relay_options, udp_buffer_bytes),
    {.key = "bind",
     .type = OPTION_BOOL,
     .offset = offsetof(struct relay_options, bind),
     .help = "serve BIND and UDP associations"},
    {.key = "nodelay",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = offsetof(struct relay_options, nodelay),
     .help = "the response never waits here"},
    OPTION_END,
};

struct relay_front {
    struct front front;
    const struct relay_options *cfg;
};

struct relay_conn {
    struct conn conn;
    bool udp;      /* CONNECT+UDP */
    bool any;      /* an association: frames with addresses */
    bool bound;    /* to a port of this machine */
    int forwarded; /* forward mode: the picked node; -1: none */
    struct udp_tunnel *tunnel;
};

static const struct relay_options *options_of(const struct conn *c)
{
    return ((const struct relay_front *)c->front)->cfg;
}

static void refuse(struct conn *c, enum relay_status status, enum rc rc, const char *reason)
{
    uint8_t reply[RELAY_RESPONSE_MAX_BYTES];
    size_t n = 0;
    (void)relay_format_response(status, NULL, reply, sizeof reply, &n); /* it fits */
    conn_refuse(c, reply, n, rc, reason);
}

/* Where a forwarding service goes: the client's address is ignored. */
static void begin_forward(struct relay_conn *r)
{
    struct conn *c = &r->conn;
    struct target t;
    r->forwarded = forwarder_pick(c->front->setup.forwarder, &c->report.client, &t);
    if (r->forwarded < 0)
        refuse(c, RELAY_SERVICE_UNAVAILABLE, RC_REFUSED, "the forwarder has no node");
    else if (r->udp)
        conn_dial_dgram(c, &t);
    else
        conn_dial(c, &t);
}

static void begin_connect(struct relay_conn *r, const struct relay_request *req)
{
    struct conn *c = &r->conn;
    const struct target *t = &req->target;
    if (!req->has_addr)
        refuse(c, RELAY_BAD_REQUEST, RC_PROTO, "CONNECT without an address");
    else if (!t->name[0] && t->addr.family == 0)
        refuse(c, RELAY_NETWORK_UNREACHABLE, RC_PROTO, "CONNECT without a host");
    else if (conn_bypassed(c, r->udp ? "udp" : "tcp", t))
        refuse(c, RELAY_FORBIDDEN, RC_DENIED, "bypass");
    else if (req->has_network && req->network != RELAY_NET_TCP && req->network != RELAY_NET_UDP)
        refuse(c, RELAY_NETWORK_UNREACHABLE, RC_UNSUPPORTED, "only tcp and udp are served");
    else if (r->udp)
        conn_dial_dgram(c, t);
    else
        conn_dial(c, t);
}

static void start_tunnel(struct relay_conn *r, struct dgram *d, const struct target *target)
{
    struct conn *c = &r->conn;
    uint8_t reply[RELAY_RESPONSE_MAX_BYTES];
    struct target bound = {.name = ""};
    size_t n = 0;
    struct udp_tunnel_cfg cfg = {
        .max_bytes = (size_t)options_of(c)->udp_buffer_bytes,
        .single = !r->any || r->bound,
        .carrier = d,
        .target = target,
    };

    /* An association tells where it listens; what is not known is the wildcard. */
    if (!d || dgram_local(d, &bound.addr) != RC_OK || bound.addr.family == 0)
        bound.addr = (struct addr){.family = AF_INET6};
    (void)relay_format_response(RELAY_OK, r->any ? &bound : NULL, reply, sizeof reply, &n);
    udp_tunnel_on_stream(c, &cfg, r->any ? FRAMING_UDPTUN : FRAMING_LEN, reply, n, &r->tunnel);
}

/* UDP BIND of a port: one socket of this machine, whatever the chain is. */
static void begin_bound(struct relay_conn *r, const struct target *t, uint16_t port)
{
    const struct target everywhere = {.name = ""};
    struct conn *c = &r->conn;
    struct addr at = t->addr;
    struct diag diag = {.rc = RC_OK};
    uint16_t ignored;
    int fd;
    bool any = hostport_is_wildcard(t, &ignored);

    at.port = port;
    if (any)
        at = (struct addr){.port = port};
    struct sockopts so = {.netns = c->front->setup.netns};
    enum rc rc = os_bind_udp(&at, any, &so, &fd, &diag);
    struct dgram *d = rc == RC_OK ? udp_dgram_fd(conn_loop(c), fd) : NULL;
    if (!d) {
        refuse(c, RELAY_SERVICE_UNAVAILABLE, rc == RC_OK ? RC_NOMEM : rc, diag.text);
        return;
    }
    r->bound = true;
    c->report.network = "udp";
    start_tunnel(r, d, &everywhere);
}

static void begin_association(struct relay_conn *r, const struct relay_request *req)
{
    const struct target everywhere = {.name = ""};
    struct conn *c = &r->conn;
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};
    uint16_t port = 0;
    bool wildcard = !req->has_addr || hostport_is_wildcard(&req->target, &port);

    if (!options_of(c)->bind) {
        refuse(c, RELAY_FORBIDDEN, RC_DENIED, "BIND is not enabled");
        return;
    }
    if (!r->udp) {
        refuse(c, RELAY_SERVICE_UNAVAILABLE, RC_UNSUPPORTED, "TCP BIND is not served");
        return;
    }
    r->any = true;
    if (!wildcard || port != 0) {
        if (!wildcard)
            port = req->target.addr.port;
        if (req->target.name[0] && !wildcard)
            refuse(c, RELAY_SERVICE_UNAVAILABLE, RC_NAME, "BIND needs an address of this machine");
        else
            begin_bound(r, &req->target, port);
        return;
    }
    c->report.network = "udp";
    enum rc rc = router_udp_route(c->front->setup.router, &everywhere, &route, &diag);
    if (rc != RC_OK)
        refuse(c, RELAY_NETWORK_UNREACHABLE, rc, diag.text);
    else if (route.fixed) /* flows are dialled as destinations come up */
        start_tunnel(r, NULL, NULL);
    else
        conn_dial_dgram(c, NULL);
}

static void step(struct conn *c)
{
    struct relay_conn *r = (struct relay_conn *)c;
    struct relay_request req;
    size_t used;

    enum rc rc = relay_parse_request(c->in, c->in_len, &req, &used);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        conn_drop(c, rc, "not a relay request");
        return;
    }
    c->report.target = req.target;
    r->udp = req.udp;
    r->forwarded = -1;
    bool known = conn_auth(c, req.user, req.pass);
    conn_consume(c, used);
    if (!known)
        refuse(c, RELAY_UNAUTHORIZED, RC_AUTH, "unknown user or wrong password");
    else if (c->front->setup.forwarder)
        begin_forward(r);
    else if (req.cmd == RELAY_CONNECT || req.cmd == 0)
        begin_connect(r, &req);
    else if (req.cmd == RELAY_BIND)
        begin_association(r, &req);
    else
        refuse(c, RELAY_BAD_REQUEST, RC_PROTO, "unknown command");
}

/* GOST says "network unreachable" whatever it was; a client that knows more words hears more. */
static enum relay_status status_of(const struct relay_conn *r, enum rc rc)
{
    if (r->forwarded >= 0)
        return RELAY_HOST_UNREACHABLE;
    switch ((int)rc) {
    case RC_DENIED:
        return RELAY_FORBIDDEN;
    case RC_UNREACH_HOST:
    case RC_NAME:
        return RELAY_HOST_UNREACHABLE;
    case RC_TIMEOUT:
        return RELAY_TIMEOUT;
    default:
        return RELAY_NETWORK_UNREACHABLE;
    }
}

static bool refuse_failed_dial(struct relay_conn *r, enum rc rc, const char *reason)
{
    struct conn *c = &r->conn;
    if (r->forwarded >= 0)
        forwarder_mark(c->front->setup.forwarder, r->forwarded, rc == RC_OK);
    if (rc == RC_OK)
        return false;
    refuse(c, status_of(r, rc), rc, reason);
    return true;
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    uint8_t reply[RELAY_RESPONSE_MAX_BYTES];
    size_t n = 0;
    if (refuse_failed_dial((struct relay_conn *)c, rc, reason))
        return;
    (void)relay_format_response(RELAY_OK, NULL, reply, sizeof reply, &n); /* it fits */
    conn_splice_joined(c, reply, n);
}

static void dialled_dgram(struct conn *c, struct dgram *d, enum rc rc, const char *reason)
{
    struct relay_conn *r = (struct relay_conn *)c;
    if (!refuse_failed_dial(r, rc, reason))
        start_tunnel(r, d, &c->report.target);
}

static void conn_gone(struct conn *c)
{
    udp_tunnel_free(((struct relay_conn *)c)->tunnel);
}

static const struct conn_ops ops = {
    .bytes = sizeof(struct relay_conn),
    .in_max = RELAY_MESSAGE_MAX_BYTES,
    .step = step,
    .dialled = dialled,
    .dialled_dgram = dialled_dgram,
    .done = conn_gone,
};

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    struct relay_front *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->cfg = h->cfg;
    front_init(&f->front, setup, "relay", f->cfg->common.read_timeout_ms);
    h->state = f;
    return RC_OK;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

const struct handler_type handler_relay = {
    .name = "relay",
    .options = options,
    .cfg_bytes = sizeof(struct relay_options),
    .init = init,
    .serve = serve,
    .done = front_done,
};
