/* handlers/forward.c - port forwarding: every client goes to a node of the forwarder. One engine
 * under three names: tcp, udp, forward; rtcp and rudp on reverse listeners. gost-config.md 9, 7.3.
 *
 * Without a forwarder the target is empty (":0"): the last node of the chain knows it
 * (wire-protocols 1.9).
 */
#include "chain/dial.h"
#include "chain/forwarder.h"
#include "core/dgram.h"
#include "core/wire/dns.h"
#include "handlers/conn.h"
#include "handlers/options.h"
#include "handlers/types.h"
#include "handlers/udptunnel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_BYTES = 1500, ASKERS_MAX = 64 };

struct forward_options {
    struct common_options common;
    int64_t idle_ms, udp_buffer_bytes, proxy_protocol;
    bool keepalive, stateless;
};

#define AT(field) offsetof(struct forward_options, field)
static const struct option options[] = {
    HANDLER_OPTIONS(forward_options),
    HANDLER_UDP_BUFFER(forward_options, udp_buffer_bytes),
    {.key = "bufferSize",
     .aliases = "readBufferSize",
     .type = OPTION_SIZE,
     .offset = AT(udp_buffer_bytes),
     .def = "65535",
     .min = 512,
     .max = 65535,
     .help = "largest datagram"},
    {.key = "idleTimeout",
     .type = OPTION_DURATION,
     .offset = AT(idle_ms),
     .max = UINT32_MAX,
     .help = "silence that ends a connection; 0: never"},
    {.key = "proxyProtocol",
     .type = OPTION_INT,
     .offset = AT(proxy_protocol),
     .help = "above 0: a PROXY header of this version tells the target our client (not UDP)"},
    {.key = "http.keepalive",
     .aliases = "keepalive",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(keepalive),
     .help = "connections are never cut after a request"},
    {.key = "stateless",
     .type = OPTION_BOOL,
     .flags = OPTION_NOOP,
     .offset = AT(stateless),
     .help = "one datagram in, one out"},
    OPTION_END,
};
#undef AT

struct forward_front {
    struct front front;
    const struct forward_options *cfg;
};

struct forward_conn {
    struct conn conn;
    int picked; /* -1: none */
    struct udp_tunnel *tunnel;
};

/* false: the conn is gone. */
static bool pick(struct forward_conn *w, struct target *ret_t)
{
    struct conn *c = &w->conn;
    struct forwarder *f = c->front->setup.forwarder;
    w->picked = -1;
    *ret_t = (struct target){.name = ""};
    if (!f)
        return true;
    w->picked = forwarder_pick(f, &c->report.client, ret_t);
    c->report.target = *ret_t;
    if (w->picked < 0)
        conn_drop(c, RC_REFUSED, "the forwarder has no node");
    else if (conn_bypassed(c, c->report.network, ret_t))
        conn_drop(c, RC_DENIED, "bypass");
    return !conn_is_over(c);
}

static void step(struct conn *c)
{
    struct forward_conn *w = (struct forward_conn *)c;
    struct target t;
    if (!pick(w, &t))
        return;
    c->proxy_protocol = ((const struct forward_front *)c->front)->cfg->proxy_protocol;
    c->verbatim = true;
    if (c->client_dgram)
        conn_dial_dgram(c, &t);
    else
        conn_dial(c, &t);
}

/* Questions to a server that is not to be had: who asked shall not wait. */
static void tell_askers(struct conn *c)
{
    uint8_t query[ASK_BYTES], answer[DNS_FAILURE_MAX_BYTES];
    struct target from;
    size_t n, m;

    if (!c->client_dgram || !target_is_dns(&c->report.target))
        return;
    for (int i = 0; i < ASKERS_MAX; i++) {
        if (dgram_recv(c->client_dgram, query, sizeof query, &n, &from) != RC_OK)
            return;
        if (dns_format_failure(query, n, answer, sizeof answer, &m) == RC_OK)
            (void)dgram_send(c->client_dgram, &from, answer, m); /* a lost one is only lost */
    }
}

/* false: the conn is gone. */
static bool mark(struct forward_conn *w, enum rc rc, const char *reason)
{
    struct conn *c = &w->conn;
    if (w->picked >= 0)
        forwarder_mark(c->front->setup.forwarder, w->picked, rc == RC_OK);
    if (rc == RC_OK)
        return true;
    if (c->client && (rc == RC_REFUSED || rc == RC_RESET)) { /* the client sees what we saw */
        stream_abort(c->client);
        c->client = NULL;
    }
    tell_askers(c);
    conn_drop(c, rc, reason);
    return false;
}

static void dialled(struct conn *c, enum rc rc, const char *reason)
{
    if (mark((struct forward_conn *)c, rc, reason))
        conn_splice(c, NULL, 0);
}

static void dialled_dgram(struct conn *c, struct dgram *d, enum rc rc, const char *reason)
{
    struct forward_conn *w = (struct forward_conn *)c;
    const struct forward_options *cfg = ((const struct forward_front *)c->front)->cfg;
    if (!mark(w, rc, reason))
        return;
    struct udp_tunnel_cfg tc = {
        .max_bytes = (size_t)cfg->udp_buffer_bytes,
        .idle_ms = (uint32_t)cfg->idle_ms,
        .single = true,
        .carrier = d,
        .target = &c->report.target,
    };
    struct dgram *client = c->client_dgram;
    c->client_dgram = NULL;
    udp_tunnel_on_dgram(c, &tc, client, &w->tunnel);
}

static void conn_gone(struct conn *c)
{
    udp_tunnel_free(((struct forward_conn *)c)->tunnel);
}

static const struct conn_ops ops = {
    .bytes = sizeof(struct forward_conn),
    .in_max = 16 * 1024,
    .step = step,
    .dialled = dialled,
    .dialled_dgram = dialled_dgram,
    .done = conn_gone,
};

static void explain(const void *cfg, const struct handler_question *q, struct handler_plan *p)
{
    const struct forward_options *o = cfg;

    if (o->proxy_protocol > 0 && !strcmp(q->network, "tcp"))
        (void)snprintf(p->note, sizeof p->note,
                       "a PROXY header of version %d tells the target who the client is",
                       o->proxy_protocol == 1 ? 1 : 2);
}

static enum rc init(struct handler *h, const struct handler_setup *setup, struct diag *diag)
{
    struct forward_front *f = calloc(1, sizeof *f);
    if (!f)
        return diag_set(diag, RC_NOMEM, "no memory");
    f->cfg = h->cfg;
    front_init(&f->front, setup, h->type->name, f->cfg->common.read_timeout_ms);
    f->front.idle_ms = (uint32_t)f->cfg->idle_ms;
    h->state = f;
    return RC_OK;
}

static void serve(struct handler *h, struct stream *s, const struct client_info *info)
{
    conn_serve(h->state, &ops, s, info);
}

static void serve_dgram(struct handler *h, struct dgram *d, const struct client_info *info)
{
    conn_serve_dgram(h->state, &ops, d, info);
}

#define FORWARD_HANDLER(NAME)                                                                      \
    {                                                                                              \
        .name = NAME, .options = options, .cfg_bytes = sizeof(struct forward_options),             \
        .init = init, .serve = serve, .serve_dgram = serve_dgram, .done = front_done,              \
        .explain = explain                                                                         \
    }

const struct handler_type handler_tcp = FORWARD_HANDLER("tcp");
const struct handler_type handler_udp = FORWARD_HANDLER("udp");
const struct handler_type handler_forward = FORWARD_HANDLER("forward");
