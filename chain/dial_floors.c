/* chain/dial_floors.c - the floors of one attempt above its first connection, stage by stage: each
 * node, then the target. See dial.h.
 */
#include "chain/dial.h"
#include "core/dgram.h"
#include "core/floor/proxyproto.h"
#include "core/stream.h"

static void on_stream(struct stream *s, unsigned ready, void *arg);
static void on_dgram(struct dgram *dg, unsigned ready, void *arg);

void dial_open_dgram(struct dial *d)
{
    enum rc rc = dgram_open(d->dgram);
    if (rc == RC_AGAIN)
        dgram_want(d->dgram, STREAM_OPEN, on_dgram, d);
    else if (rc == RC_OK)
        dial_finish(d, RC_OK);
    else
        dial_fail(d, rc, d->dgram->diag.rc != RC_OK ? &d->dgram->diag : NULL);
}

static void on_dgram(struct dgram *dg, unsigned ready, void *arg)
{
    (void)dg;
    (void)ready;
    dial_open_dgram(arg);
}

/* The last node is reached: ask it for datagrams. */
static void ask_dgram(struct dial *d)
{
    struct node *n = d->route.nodes[d->at];
    struct stream *s = d->stream;
    bool fixed = (node_udp(n) & CONNECTOR_UDP_FIXED) != 0 && !dial_is_anywhere(d);
    bool behind = false;
    for (int i = d->lead; i < d->at; i++)
        behind = behind || !node_is_direct(d->route.nodes[i]);
    d->state = ST_DGRAM;
    d->stream = NULL;
    stream_want(s, 0, NULL, NULL);
    bool plain = d->req.plain && (node_udp(n) & CONNECTOR_UDP_PLAIN) != 0 && !behind;
    enum rc rc = plain ? n->connector.type->dgram_plain(&n->connector, s, &n->so, &d->dgram)
                       : n->connector.type->dgram(&n->connector, s, fixed ? &d->sent : NULL,
                                                  behind ? NULL : &n->so, &d->dgram);
    if (rc != RC_OK) {
        d->dgram = NULL;
        dial_fail(d, rc, NULL);
        return;
    }
    dial_open_dgram(d);
}

/* Tells whoever is at the far end who our client is. version <= 0: nothing. */
static enum rc push_header(struct dial *d, int64_t version)
{
    const struct addr *dest = d->req.dest.family != 0 ? &d->req.dest : &d->req.target.addr;
    if (version <= 0)
        return RC_OK;
    struct layer *l = proxyproto_send_layer(version, &d->req.client, dest);
    if (l == NULL)
        return RC_NOMEM;
    stream_push(d->stream, l);
    return RC_OK;
}

/* The floors that reach node n: its PROXY header, its dialer's, then what its connector says before
 * any request. */
enum rc dial_push_node(struct dial *d, struct node *n)
{
    enum rc rc = push_header(d, n->proxy_protocol);
    if (rc == RC_OK && n->dialer.type->push != NULL)
        rc = n->dialer.type->push(&n->dialer, d->stream);
    if (rc == RC_OK && n->connector.type->greet != NULL)
        rc = n->connector.type->greet(&n->connector, d->stream);
    return rc;
}

/* The node after `at` that is asked for, past direct ones: each stands where the one before is, so
 * that one dials. route.n: the target itself. */
static int next_node(const struct dial *d)
{
    int next = d->at + 1;
    while (next < d->route.n && node_is_direct(d->route.nodes[next]))
        next++;
    return next;
}

/* Pushes what comes after node `at`: the request for the next server and its floors. known: its
 * address, when the connector can't carry its name; NULL: not asked yet. RC_NAME: it is needed. */
static enum rc push_more(struct dial *d, const struct addr *known)
{
    struct node *n = d->route.nodes[d->at];
    int next = next_node(d);
    struct node *m = next < d->route.n ? d->route.nodes[next] : NULL;
    struct target t = m != NULL ? m->target : d->sent;
    if (m != NULL && !m->addr_ok) {
        d->at = next;
        return diag_set(&d->diag, RC_INVALID, "node %s: \"%s\" is not host:port", m->name, m->addr);
    }
    if (known != NULL) {
        t.name[0] = 0;
        uint16_t port = t.addr.port;
        t.addr = *known;
        t.addr.port = port;
    }
    /* A node whose configuration names a resolver or hosts is asked for by its address. */
    struct resolver *own =
        known == NULL && m != NULL && target_is_name(&t) ? node_own_resolver(m) : NULL;
    if (own != NULL && resolver_claims(own, t.name)) {
        d->naming = true;
        return resolve_start(own, &d->resolve, t.name, true, true, &d->diag) ? RC_NAME : RC_NOMEM;
    }
    enum rc rc = n->connector.type->push(&n->connector, d->stream, &t);
    if (rc == RC_NAME && known == NULL && target_is_name(&t)) {
        struct resolver *r = node_resolver(n);
        d->naming = true;
        return r != NULL && resolve_start(r, &d->resolve, t.name, true, false, &d->diag) ? RC_NAME
                                                                                         : RC_NOMEM;
    }
    if (m == NULL)
        d->state = ST_TARGET;
    else
        d->at = next;
    return rc == RC_OK && m != NULL ? dial_push_node(d, m) : rc;
}

void dial_open_stream(struct dial *d)
{
    for (;;) {
        enum rc rc = stream_open(d->stream);
        if (rc == RC_AGAIN) {
            stream_want(d->stream, STREAM_OPEN, on_stream, d);
            return;
        }
        if (rc != RC_OK) {
            dial_fail(d, rc, stream_diag(d->stream));
            return;
        }
        if (dial_is_direct(d) || d->state == ST_TARGET) {
            if (d->announced || d->req.proxy_protocol <= 0) {
                dial_finish(d, RC_OK);
                return;
            }
            d->announced = true;
            rc = push_header(d, d->req.proxy_protocol);
            if (rc != RC_OK) {
                dial_fail(d, rc, NULL);
                return;
            }
            continue;
        }
        marker_ok(&d->route.nodes[d->at]->marker);
        if (d->req.reach && next_node(d) == d->route.n) {
            dial_finish(d, RC_OK);
            return;
        }
        if (dial_wants_dgram(d) && next_node(d) == d->route.n) {
            ask_dgram(d);
            return;
        }
        rc = push_more(d, NULL);
        if (rc == RC_NAME && d->naming) {
            stream_want(d->stream, 0, NULL, NULL);
            return;
        }
        if (rc != RC_OK) {
            dial_fail(d, rc, NULL);
            return;
        }
    }
}

void dial_named(struct dial *d, enum rc rc, const struct addr *v, int n)
{
    struct diag why = d->diag;
    d->naming = false;
    d->diag.rc = RC_OK;
    resolve_cancel(&d->resolve);
    if (n == 0) {
        d->state = ST_TARGET; /* not this node's fault */
        dial_fail(d, rc, &why);
        return;
    }
    rc = push_more(d, &v[0]);
    if (rc != RC_OK)
        dial_fail(d, rc, NULL);
    else
        dial_open_stream(d);
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    dial_open_stream(arg);
}
