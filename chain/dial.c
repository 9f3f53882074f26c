/* chain/dial.c - one request: attempts, each from a route to an open stream or datagram flow.
 *
 * An attempt: choose a node of each hop; resolve and connect (eyeballs) to the first server, which
 * is the first node that needs a connection, or the target itself; push that node's transport
 * floors and open them; for every further node push the floor that asks the one before for it, and
 * its own floors, and open; last, ask the last node for the target. One deadline covers all of it.
 * What is opened stage by stage tells which node failed.
 *
 * Who may still hold a dial when it ends: its timer and job (stopped), its question and race
 * (ended), its stream's or flow's events (taken back or closed). Its memory goes at the end of the
 * turn.
 */
#include "chain/dial.h"
#include "chain/direct_udp.h"
#include "chain/eyeballs.h"
#include "chain/hash.h"
#include "core/dgram.h"
#include "core/floor/tcp.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

enum state {
    ST_START,   /* its turn on the loop */
    ST_CONNECT, /* the name and the connection of the first server */
    ST_NODE,    /* the floors of node `at` */
    ST_TARGET,  /* the last node's word about the target */
    ST_DGRAM    /* the same for datagrams */
};

struct dial {
    struct router *router;
    struct dial *next, **link; /* in the router's list */
    struct dial_req req;
    dial_done_fn *done;
    dial_dgram_fn *done_dgram; /* one of the two is set */
    void *arg;
    int retries_left;
    bool udp_again; /* the same route once more, the connector has learnt something */
    enum state state;
    struct route route;
    int lead; /* so many direct nodes stand before the first one that is connected to */
    int at;   /* the node being reached, or the last one that was; route.n: none */
    struct resolve resolve;
    struct eyeballs *race;
    struct stream *stream;
    struct dgram *dgram;
    struct timer deadline;
    struct job job;
    uint64_t started_ms; /* of the connection */
    struct diag diag;    /* of this attempt */
    struct deferred deferred;
};

static bool target_is_empty(const struct target *t)
{
    return !target_is_name(t) && t->addr.family == 0;
}

/* ---------------------------------------------------------------- the end */

static void clean_up(struct dial *d)
{
    timer_stop(&d->deadline);
    job_cancel(&d->job);
    resolve_cancel(&d->resolve);
    eyeballs_free(d->race);
    d->race = NULL;
    stream_close(d->stream);
    d->stream = NULL;
    dgram_close(d->dgram);
    d->dgram = NULL;
}

static void unlink_dial(struct dial *d)
{
    *d->link = d->next;
    if (d->next != NULL)
        d->next->link = d->link;
}

static void finish(struct dial *d, enum rc rc)
{
    struct dial_result res = {.rc = rc, .direct = d->route.n == 0};
    struct stream *s = NULL;
    struct dgram *dg = NULL;
    if (rc == RC_OK) {
        s = d->stream;
        dg = d->dgram;
        d->stream = NULL;
        d->dgram = NULL;
        if (s != NULL)
            stream_want(s, 0, NULL, NULL);
        if (dg != NULL)
            dgram_want(dg, 0, NULL, NULL);
        if (d->started_ms > 0)
            res.handshake_ms = loop_now_ms(d->router->loop) - d->started_ms;
    } else {
        res.diag = d->diag;
        res.diag.rc = rc;
    }
    (void)route_format(&d->route, res.route, sizeof(res.route));
    if (d->route.n > 0) {
        res.node = d->route.nodes[d->route.n - 1];
        if (rc == RC_OK)
            res.node->handshake_ms = (uint32_t)res.handshake_ms;
    }
    clean_up(d);
    unlink_dial(d);
    if (d->done != NULL)
        d->done(d->arg, s, &res);
    else
        d->done_dgram(d->arg, dg, &res);
    route_done(&d->route);
    loop_free_later(d->router->loop, &d->deferred, free, d);
}

void dial_end(struct dial *d, enum rc rc)
{
    d->diag = (struct diag){.rc = RC_OK};
    (void)diag_set(&d->diag, rc, "%s", rc_name(rc));
    finish(d, rc);
}

void dial_cancel(struct dial *d)
{
    clean_up(d);
    unlink_dial(d);
    route_done(&d->route);
    loop_free_later(d->router->loop, &d->deferred, free, d);
}

/* The node whose fault this failure is: the one that could not be reached; once it was, only when
 * it does not want us or does not speak its protocol (gost-config.md 7.2). */
static struct node *culprit(const struct dial *d, enum rc rc)
{
    if (d->at >= d->route.n || rc == RC_NOMEM || rc == RC_UNSUPPORTED)
        return NULL;
    if (d->state == ST_CONNECT || d->state == ST_NODE || rc == RC_AUTH || rc == RC_PROTO)
        return d->route.nodes[d->at];
    return NULL;
}

/* why: the reason in the words of whoever failed; NULL: d->diag has it already. */
static void fail(struct dial *d, enum rc rc, const struct diag *why)
{
    struct router *r = d->router;
    struct node *node = culprit(d, rc);
    if (why != NULL && d->at < d->route.n)
        (void)diag_set(&d->diag, rc, "node %s (%s): %s", d->route.nodes[d->at]->name,
                       d->route.nodes[d->at]->addr, why->text);
    else if (why != NULL)
        (void)diag_set(&d->diag, rc, "%s", why->text);
    else
        (void)diag_set(&d->diag, rc, "%s", rc_name(rc));
    if (node != NULL)
        marker_fail(&node->marker, loop_now_ms(r->loop));
    if (d->state == ST_DGRAM && rc == RC_UNSUPPORTED && !d->udp_again) {
        d->udp_again = true;
        clean_up(d);
        job_post(r->loop, &d->job);
        return;
    }
    if (d->retries_left == 0 || rc == RC_UNSUPPORTED || rc == RC_INVALID) {
        finish(d, rc);
        return;
    }
    d->retries_left--;
    d->udp_again = false;
    clean_up(d);
    route_done(&d->route);
    job_post(r->loop, &d->job);
}

static void on_deadline(struct timer *timer)
{
    struct dial *d = (struct dial *)((char *)timer - offsetof(struct dial, deadline));
    struct diag why = {.rc = RC_OK};
    enum rc rc = d->race != NULL ? eyeballs_why(d->race, true, &why) : RC_OK;
    static const char *const waited_for[] = {
        [ST_START] = "nothing",
        [ST_CONNECT] = "a connection",
        [ST_NODE] = "its handshake",
        [ST_TARGET] = "its answer about the target",
        [ST_DGRAM] = "its answer about UDP",
    };
    if (rc == RC_OK)
        rc = diag_set(&why, RC_TIMEOUT, "waited %u ms for %s", d->router->dial_timeout_ms,
                      waited_for[d->state]);
    fail(d, rc, &why);
}

/* ---------------------------------------------------------------- the floors */

static void on_stream(struct stream *s, unsigned ready, void *arg);
static void on_dgram(struct dgram *dg, unsigned ready, void *arg);

static void open_dgram(struct dial *d)
{
    enum rc rc = dgram_open(d->dgram);
    if (rc == RC_AGAIN)
        dgram_want(d->dgram, STREAM_OPEN, on_dgram, d);
    else if (rc == RC_OK)
        finish(d, RC_OK);
    else
        fail(d, rc, d->dgram->diag.rc != RC_OK ? &d->dgram->diag : NULL);
}

static void on_dgram(struct dgram *dg, unsigned ready, void *arg)
{
    (void)dg;
    (void)ready;
    open_dgram(arg);
}

/* The last node is reached: ask it for datagrams. */
static void ask_dgram(struct dial *d)
{
    struct node *n = d->route.nodes[d->at];
    struct stream *s = d->stream;
    bool fixed = (node_udp(n) & CONNECTOR_UDP_FIXED) != 0 && !target_is_empty(&d->req.target);
    bool behind = false;
    for (int i = d->lead; i < d->at; i++)
        behind = behind || !node_is_direct(d->route.nodes[i]);
    d->state = ST_DGRAM;
    d->stream = NULL;
    stream_want(s, 0, NULL, NULL);
    enum rc rc = n->connector.type->dgram(&n->connector, s, fixed ? &d->req.target : NULL,
                                          behind ? NULL : &n->so, &d->dgram);
    if (rc != RC_OK) {
        d->dgram = NULL;
        fail(d, rc, NULL);
        return;
    }
    open_dgram(d);
}

/* Pushes what comes after node `at`: the request for the next server and its floors. */
static enum rc push_more(struct dial *d)
{
    struct node *n = d->route.nodes[d->at];
    int next = d->at + 1;
    while (next < d->route.n && node_is_direct(d->route.nodes[next]))
        next++; /* it stands where the one before is: that one dials */
    if (next == d->route.n) {
        d->state = ST_TARGET;
        return n->connector.type->push(&n->connector, d->stream, &d->req.target);
    }
    struct node *m = d->route.nodes[next];
    if (!m->addr_ok) {
        d->at = next;
        return diag_set(&d->diag, RC_INVALID, "node %s: \"%s\" is not host:port", m->name, m->addr);
    }
    enum rc rc = n->connector.type->push(&n->connector, d->stream, &m->target);
    d->at = next;
    if (rc != RC_OK || m->dialer.type->push == NULL)
        return rc;
    return m->dialer.type->push(&m->dialer, d->stream);
}

static void open_stream(struct dial *d)
{
    for (;;) {
        enum rc rc = stream_open(d->stream);
        if (rc == RC_AGAIN) {
            stream_want(d->stream, STREAM_OPEN, on_stream, d);
            return;
        }
        if (rc != RC_OK) {
            fail(d, rc, stream_diag(d->stream));
            return;
        }
        if (d->at >= d->route.n || d->state == ST_TARGET) {
            finish(d, RC_OK);
            return;
        }
        marker_ok(&d->route.nodes[d->at]->marker);
        bool last = true;
        for (int i = d->at + 1; i < d->route.n; i++)
            last = last && node_is_direct(d->route.nodes[i]);
        if (last && d->done_dgram != NULL) {
            ask_dgram(d);
            return;
        }
        rc = push_more(d);
        if (rc != RC_OK) {
            fail(d, rc, NULL);
            return;
        }
    }
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    open_stream(arg);
}

/* ---------------------------------------------------------------- the first connection */

/* Who dials the first server, and which server that is. */
static const struct sockopts *first_sockopts(const struct dial *d)
{
    if (d->lead > 0)
        return &d->route.nodes[d->lead - 1]->so;
    return d->route.n > 0 ? &d->route.nodes[0]->so : &d->router->so;
}

static struct resolver *first_resolver(struct dial *d)
{
    if (d->lead > 0)
        return node_resolver(d->route.nodes[d->lead - 1]);
    return d->route.n > 0 ? node_resolver(d->route.nodes[0]) : router_resolver(d->router);
}

static const struct target *first_target(const struct dial *d)
{
    return d->at < d->route.n ? &d->route.nodes[d->at]->target : &d->req.target;
}

static void on_connected(void *arg, enum rc rc, int fd, const struct addr *peer)
{
    struct dial *d = arg;
    struct diag why = {.rc = RC_OK};
    (void)peer;
    if (rc != RC_OK) {
        (void)eyeballs_why(d->race, false, &why);
        fail(d, rc, &why);
        return;
    }
    eyeballs_free(d->race);
    d->race = NULL;
    struct layer *l = tcp_layer(d->router->loop, fd, &why);
    if (l == NULL) {
        fail(d, why.rc, &why);
        return;
    }
    if (d->stream == NULL)
        d->stream = stream_new(d->router->loop);
    if (d->stream == NULL) {
        l->type->destroy(l, true);
        free(l);
        fail(d, RC_NOMEM, NULL);
        return;
    }
    stream_push(d->stream, l);
    if (d->at < d->route.n) {
        struct node *n = d->route.nodes[d->at];
        d->state = ST_NODE;
        rc = n->dialer.type->push != NULL ? n->dialer.type->push(&n->dialer, d->stream) : RC_OK;
        if (rc != RC_OK) {
            fail(d, rc, NULL);
            return;
        }
    }
    open_stream(d);
}

/* Datagrams leave from here: v are the addresses of a fixed target, n == 0: any destination. */
static void make_direct_udp(struct dial *d, const struct addr *v, int n)
{
    struct router *r = d->router;
    struct resolver *resolver = first_resolver(d);
    struct addr best = {.family = 0};
    for (int i = 0; i < n; i++)
        if (best.family == 0 ||
            (v[i].family == (r->prefer_ipv6 ? AF_INET6 : AF_INET) && best.family != v[i].family))
            best = v[i];
    best.port = d->req.target.addr.port;
    if (resolver != NULL)
        d->dgram = direct_udp(&(struct direct_udp_cfg){.loop = r->loop,
                                                       .so = first_sockopts(d),
                                                       .resolver = resolver,
                                                       .v4_only = d->req.v4_only,
                                                       .v6_only = d->req.v6_only,
                                                       .prefer_ipv6 = r->prefer_ipv6,
                                                       .fixed = n > 0 ? &d->req.target : NULL,
                                                       .fixed_addr = n > 0 ? &best : NULL});
    if (d->dgram == NULL) {
        fail(d, RC_NOMEM, NULL);
        return;
    }
    d->state = ST_DGRAM;
    open_dgram(d);
}

/* Addresses of the first server. d may be gone afterwards. */
static void have_addrs(struct dial *d, const struct addr *v, int n, bool last)
{
    struct router *r = d->router;
    bool direct = d->at >= d->route.n;
    if (direct && d->done_dgram != NULL) {
        resolve_cancel(&d->resolve);
        make_direct_udp(d, v, n);
        return;
    }
    if (d->race == NULL) {
        d->started_ms = loop_now_ms(r->loop);
        d->race = eyeballs_new(&(struct eyeballs_cfg){.loop = r->loop,
                                                      .so = first_sockopts(d),
                                                      .port = first_target(d)->addr.port,
                                                      .prefer_ipv6 = r->prefer_ipv6},
                               on_connected, d, NULL);
    }
    if (d->race == NULL)
        fail(d, RC_NOMEM, NULL);
    else
        eyeballs_add(d->race, v, n, last);
}

static bool is_wanted(const struct dial *d, const struct addr *a)
{
    bool direct = d->at >= d->route.n;
    return !direct || (a->family == AF_INET ? !d->req.v6_only : !d->req.v4_only);
}

static void on_resolved(struct resolve *q, enum rc rc, const struct addr *v, int n, bool last)
{
    struct dial *d = (struct dial *)((char *)q - offsetof(struct dial, resolve));
    if (n > 0 && d->at < d->route.n)
        node_remember(d->route.nodes[d->at], v, n);
    if (n > 0 || d->race != NULL) {
        have_addrs(d, v, n, last);
        return;
    }
    struct diag why = d->diag;
    d->diag.rc = RC_OK;
    if (last)
        fail(d, rc, &why);
}

static void connect_first(struct dial *d)
{
    const struct target *t = first_target(d);
    struct diag why = {.rc = RC_OK};
    d->state = ST_CONNECT;
    if (d->at < d->route.n && !d->route.nodes[d->at]->addr_ok) {
        (void)diag_set(&why, RC_INVALID, "the address is not host:port");
        fail(d, RC_INVALID, &why);
        return;
    }
    if (target_is_name(t)) {
        struct resolver *r = first_resolver(d);
        bool direct = d->at >= d->route.n;
        if (r == NULL || !resolve_start(r, &d->resolve, t->name, !direct || !d->req.v6_only,
                                        !direct || !d->req.v4_only, &d->diag))
            fail(d, RC_NOMEM, NULL);
        return;
    }
    if (target_is_empty(t) && d->done_dgram != NULL) {
        make_direct_udp(d, NULL, 0);
        return;
    }
    struct addr a = t->addr;
    if (target_is_empty(t)) { /* as Go: no host is this machine */
        (void)addr_parse_ip("127.0.0.1", strlen("127.0.0.1"), &a);
        a.port = t->addr.port;
    }
    if (!is_wanted(d, &a)) {
        (void)diag_set(&why, RC_UNREACH_NET, "only IPv%d is wanted", d->req.v6_only ? 6 : 4);
        fail(d, RC_UNREACH_NET, &why);
        return;
    }
    have_addrs(d, &a, 1, true);
}

/* ---------------------------------------------------------------- an attempt */

/* Direct nodes in front may refuse instead of dialling (action=reject). RC_OK: the stream is made;
 * RC_UNSUPPORTED: dial. */
static enum rc ask_direct(struct dial *d)
{
    for (int i = 0; i < d->lead; i++) {
        struct node *n = d->route.nodes[i];
        struct dgram *none = NULL;
        enum rc rc;
        if (d->done_dgram != NULL) {
            rc = n->connector.type->dgram(&n->connector, NULL, NULL, NULL, &none);
            if (rc != RC_OK)
                return diag_set(&d->diag, rc, "node %s rejects all", n->name);
            continue;
        }
        if (d->stream == NULL && (d->stream = stream_new(d->router->loop)) == NULL)
            return RC_NOMEM;
        rc = n->connector.type->push(&n->connector, d->stream, &d->req.target);
        if (rc != RC_UNSUPPORTED)
            return rc;
    }
    return RC_UNSUPPORTED;
}

static void on_start(struct job *job)
{
    struct dial *d = (struct dial *)((char *)job - offsetof(struct dial, job));
    struct router *r = d->router;
    bool udp = d->done_dgram != NULL;
    d->state = ST_START;
    d->diag = (struct diag){.rc = RC_OK};
    d->started_ms = 0;
    d->at = d->route.n;
    if (!timer_start(&d->deadline, r->dial_timeout_ms)) {
        fail(d, RC_NOMEM, NULL);
        return;
    }
    if (r->chain != NULL && !d->udp_again) {
        unsigned need = target_is_empty(&d->req.target) ? CONNECTOR_UDP_ANY
                                                        : CONNECTOR_UDP_ANY | CONNECTOR_UDP_FIXED;
        enum rc rc = chain_route(r->chain,
                                 &(struct hop_ask){.network = udp ? "udp" : "tcp",
                                                   .target = &d->req.target,
                                                   .hash = hash_client(&d->req.client),
                                                   .udp = udp ? need : 0},
                                 &d->route, &d->diag);
        d->at = d->route.n;
        if (rc != RC_OK) {
            fail(d, rc, NULL);
            return;
        }
    }
    d->lead = 0;
    while (d->lead < d->route.n && node_is_direct(d->route.nodes[d->lead]))
        d->lead++;
    d->at = d->lead;
    if (d->lead > 0) {
        enum rc rc = ask_direct(d);
        if (rc == RC_OK) {
            d->at = d->route.n;
            open_stream(d);
            return;
        }
        if (rc != RC_UNSUPPORTED) {
            d->at = d->route.n;
            fail(d, rc, NULL);
            return;
        }
    }
    connect_first(d);
}

struct dial *dial_new(struct router *r, const struct dial_req *req, dial_done_fn *done,
                      dial_dgram_fn *done_dgram, void *arg)
{
    struct dial *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->router = r;
    d->req = *req;
    d->done = done;
    d->done_dgram = done_dgram;
    d->arg = arg;
    d->retries_left = r->retries;
    job_init(&d->job, on_start);
    timer_init(r->loop, &d->deadline, on_deadline);
    resolve_init(&d->resolve, on_resolved);
    d->next = r->dials;
    d->link = &r->dials;
    if (r->dials != NULL)
        r->dials->link = &d->next;
    r->dials = d;
    job_post(r->loop, &d->job);
    return d;
}
