/* app/doctor_nodes.c - the nodes: is each reached, who is it, does it carry UDP; and does anything
 * of ours go in circles. See doctor.h.
 *
 * Each node is dialled through the hops before it, as a service would, but nothing is asked of it:
 * its connection, its TLS and ws handshakes, its greeting. Then, where its protocol has one, a UDP
 * association is asked for and given back. All nodes at once, each by a chain of its own.
 */
#include "app/doctor.h"
#include "chain/explain.h"
#include "configs/model.h"
#include "core/dgram.h"
#include "core/floor/tls.h"
#include "core/list.h"
#include "core/loop.h"
#include "core/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REACH_MS = 5000, TRIES_MAX = 3, CONFIRM_MS = 1000, PROBES_MAX = 1024, MEND_BYTES = 300 };

struct examination {
    struct doctor *d;
    const char *chain; /* name, as the next */
    const char *hop;
    struct node *node;
    bool first; /* its connection is the first of the chain: our own socket goes to it */
    struct router *router;
    struct dial *dial;
    struct stream *stream; /* open, while the hop before it is still to say that it got through */
    struct timer patience;
    bool unconfirmed; /* that hop stayed silent, which may mean yes */
    enum rc reached, udp;
    struct diag why, why_udp;
    uint64_t handshake_ms;
    bool asked_udp, shown;
    struct tls_shown tls;
    unsigned *open; /* examinations under way */
};

/* ---------------------------------------------------------------- one node, on the loop */

static void over(struct examination *e)
{
    if (--*e->open == 0)
        loop_stop(e->d->c.loop);
}

static void on_dgram(void *arg, struct dgram *dg, const struct dial_result *res)
{
    struct examination *e = arg;

    e->dial = NULL;
    e->udp = res->rc;
    e->why_udp = res->diag;
    dgram_close(dg);
    over(e);
}

/* The node is reached, or not; now its UDP. */
static void reached(struct examination *e, enum rc rc)
{
    struct dial_req anywhere = {.reach = false};

    timer_stop(&e->patience);
    e->reached = rc;
    if (rc != RC_OK && e->stream)
        (void)diag_set(&e->why, rc, "node %s (%s): %s", e->node->name, e->node->addr,
                       stream_diag(e->stream)->text);
    stream_close(e->stream);
    e->stream = NULL;
    e->asked_udp = rc == RC_OK && (node_udp(e->node) & CONNECTOR_UDP_ANY) != 0;
    if (e->asked_udp)
        e->dial = router_dial_dgram(e->router, &anywhere, on_dgram, e);
    if (!e->dial)
        over(e);
}

/* Some nodes before it say at once that they got through to it, some only with its first bytes. */
static void ask_confirmed(struct examination *e)
{
    enum stream_confirmed answer = CONFIRMED_YES;
    enum rc rc = stream_query(e->stream, QUERY_CONFIRMED, &answer);

    if (rc != RC_AGAIN && rc != RC_OK && rc != RC_UNSUPPORTED)
        reached(e, rc);
    else if (rc == RC_UNSUPPORTED || (rc == RC_OK && answer == CONFIRMED_YES))
        reached(e, RC_OK);
}

static void on_word(struct stream *s, unsigned ready, void *arg)
{
    (void)s;
    (void)ready;
    ask_confirmed(arg);
}

static void on_patience(struct timer *t)
{
    struct examination *e = LIST_OWNER(t, struct examination, patience);

    e->unconfirmed = true;
    reached(e, RC_OK);
}

static void on_reached(void *arg, struct stream *s, const struct dial_result *res)
{
    struct examination *e = arg;

    e->dial = NULL;
    e->why = res->diag;
    e->handshake_ms = res->handshake_ms;
    e->stream = s;
    if (!s || !timer_start(&e->patience, CONFIRM_MS)) {
        reached(e, s ? RC_NOMEM : res->rc);
        return;
    }
    (void)stream_query(s, QUERY_EXPEDITE, NULL);
    stream_want(s, STREAM_IN, on_word, e);
    ask_confirmed(e);
}

static void on_shown(void *arg, const struct tls_shown *shown)
{
    struct examination *e = arg;

    e->tls = *shown;
    e->shown = true;
}

/* The hops before it as they are, then a hop with this node alone. */
static struct chain *chain_to(struct examination *e, const struct chain *c, int hop)
{
    struct hop_cfg alone = {.loop = e->d->c.loop, .name = e->hop};
    struct chain *own = chain_new(c->name);
    struct hop *h = hop_new(&alone);
    bool ok = own && h;

    for (int i = 0; ok && i < hop; i++)
        ok = chain_add(own, hop_ref(c->hops[i])) == RC_OK;
    ok = ok && hop_add(h, node_ref(e->node)) == RC_OK;
    if (ok && chain_add(own, h) == RC_OK)
        return own;
    hop_unref(h);
    chain_unref(own);
    return NULL;
}

static void start(struct examination *e, const struct chain *c, int hop)
{
    struct router_cfg rc = {.loop = e->d->c.loop, .service = "doctor", .dial_timeout_ms = REACH_MS};
    struct dial_req only = {.reach = true};
    const struct dialer_type *t = e->node->dialer.type;

    /* a dead node before it is not its fault, when another one is there */
    for (int i = 0; i < hop; i++)
        rc.retries += c->hops[i]->n_nodes - 1;
    rc.retries = rc.retries < TRIES_MAX ? rc.retries : TRIES_MAX;
    e->reached = RC_NOMEM;
    timer_init(e->d->c.loop, &e->patience, on_patience);
    rc.chain = chain_to(e, c, hop);
    e->router = rc.chain ? router_new(&rc) : NULL;
    chain_unref(rc.chain);
    if (t->tls)
        tls_ctx_watch(t->tls(&e->node->dialer), on_shown, e);
    if (e->router)
        e->dial = router_dial(e->router, &only, on_reached, e);
    if (e->dial)
        ++*e->open;
}

/* ---------------------------------------------------------------- what was found */

static const char *mend_of(enum rc rc)
{
    switch (rc) {
    case RC_REFUSED:
        return "is the server running, is this its port?";
    case RC_TIMEOUT:
    case RC_UNREACH_NET:
    case RC_UNREACH_HOST:
        return "look at the route to it and at firewalls on the way; interface= binds our sockets";
    case RC_NAME:
        return "is the name right? Give the address, or a resolver or hosts for the hop";
    case RC_CERT:
        return "caFile= of its CA, or pin= with the key that the server shows";
    case RC_AUTH:
        return "user and password of the node";
    case RC_PROTO:
    case RC_RESET:
    case RC_EOF:
        return "do scheme, port and path fit the server?";
    default:
        return "see the reason";
    }
}

static void tell_tls(struct examination *e)
{
    const struct dialer_type *t = e->node->dialer.type;
    char mend[MEND_BYTES];

    if (!t->tls || e->reached != RC_OK)
        return;
    if (t->verifies(&e->node->dialer)) {
        doctor_fine(e->d, "node-tls", "node %s: %s, verified", e->node->name,
                    e->shown ? e->tls.version : "TLS");
    } else {
        (void)snprintf(mend, sizeof mend, "%s%s",
                       e->shown && !e->tls.trouble[0] ? "secure=true, or pin=" : "pin=",
                       e->shown ? e->tls.pin : "sha256:...");
        doctor_note(e->d, "node-tls", mend,
                    "node %s: %s, but nobody checks that it is the right server%s%s", e->node->name,
                    e->shown ? e->tls.version : "TLS",
                    !e->shown           ? ""
                    : e->tls.trouble[0] ? "; secure=true would fail: "
                                        : "; secure=true would accept it",
                    e->tls.trouble);
    }
    if (e->shown && e->tls.days_left < 0)
        doctor_note(e->d, "node-tls", "renew it on the server", "node %s: its certificate expired",
                    e->node->name);
}

static void tell_udp(struct examination *e)
{
    unsigned udp = node_udp(e->node);

    if (e->reached != RC_OK)
        return;
    if (e->asked_udp && e->udp == RC_AUTH)
        doctor_wrong(e->d, "node-auth", mend_of(RC_AUTH), "%s", e->why_udp.text);
    else if (e->asked_udp && e->udp != RC_OK && udp != CONNECTOR_UDP_FIXED)
        doctor_note(e->d, "node-udp", "let the server serve UDP (udp=true; relay: bind=true)",
                    "node %s: no association for UDP: %s", e->node->name, e->why_udp.text);
    else if (udp == 0)
        doctor_note(e->d, "node-udp", NULL, "node %s: %s carries no UDP", e->node->name,
                    e->node->connector.type->name);
    else
        doctor_fine(e->d, "node-udp", "node %s: %s", e->node->name, udp_words(udp));
}

/* Would our own socket to it end in one of our devices? */
static bool tell_loop(struct examination *e)
{
    const struct node *n = e->node;
    const struct addr *v = target_is_name(&n->target) ? n->known : &n->target.addr;
    int count = target_is_name(&n->target) ? n->n_known : 1;
    char ip[ADDR_TEXT_MAX];

    for (int i = 0; e->first && i < count; i++) {
        const struct doctor_tun *t = doctor_loops(e->d, &n->so, &v[i]);

        if (!t)
            continue;
        doctor_wrong(e->d, "loop",
                     "interface=NAME for the hop or node, so_mark= with a rule, or a route to the "
                     "node beside the device",
                     "node %s (%s): the way to it leads into our own device %s", n->name,
                     addr_format(&v[i], ip, sizeof ip), t->plan.device);
        return true;
    }
    return false;
}

static void tell(struct examination *e)
{
    const struct node *n = e->node;
    bool loops = tell_loop(e);

    if (e->reached == RC_OK)
        doctor_fine(e->d, "node", "chain %s, hop %s: node %s (%s) %s after %llu ms", e->chain,
                    e->hop, n->name, n->addr,
                    e->unconfirmed ? "is not denied by the hop before it" : "answers",
                    (unsigned long long)e->handshake_ms);
    else
        doctor_wrong(e->d, "node", loops ? "mend the loop first: see above" : mend_of(e->reached),
                     "chain %s, hop %s: %s", e->chain, e->hop,
                     e->why.text[0] ? e->why.text : rc_name(e->reached));
    tell_tls(e);
    tell_udp(e);
}

/* ---------------------------------------------------------------- all of them */

/* A hop may be shared by chains: its nodes are looked at once for each place in a chain. */
static size_t count(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_chains; i++)
        for (int h = 0; h < w->chains[i]->n_hops; h++)
            for (int k = 0; k < w->chains[i]->hops[h]->n_nodes; k++)
                n += !node_is_direct(w->chains[i]->hops[h]->nodes[k]);
    return n;
}

static size_t start_all(struct doctor *d, struct examination *v, size_t most, unsigned *open)
{
    const struct world *w = &d->c.world;
    size_t n = 0;

    for (size_t i = 0; i < w->n_chains; i++) {
        const struct chain *c = w->chains[i];
        bool first = true;

        for (int h = 0; h < c->n_hops; h++) {
            bool direct = false;

            for (int k = 0; k < c->hops[h]->n_nodes && n < most; k++) {
                struct node *node = c->hops[h]->nodes[k];

                if (node_is_direct(node)) {
                    direct = true;
                    continue;
                }
                v[n] = (struct examination){.d = d,
                                            .chain = c->name,
                                            .hop = c->hops[h]->name,
                                            .node = node,
                                            .first = first,
                                            .open = open};
                start(&v[n++], c, h);
            }
            first = first && direct;
        }
    }
    return n;
}

void doctor_check_nodes(struct doctor *d)
{
    size_t all = count(&d->c.world), most = all;
    unsigned open = 0;
    struct examination *v;

    if (most == 0)
        return;
    most = most < PROBES_MAX ? most : PROBES_MAX;
    v = calloc(most, sizeof *v);
    if (!v) {
        d->story.nomem = true;
        return;
    }
    os_raise_fd_limit();
    most = start_all(d, v, most, &open);
    if (open > 0)
        loop_run(d->c.loop);
    for (size_t i = 0; i < most; i++) {
        const struct dialer_type *t = v[i].node->dialer.type;

        tell(&v[i]);
        if (t->tls)
            tls_ctx_watch(t->tls(&v[i].node->dialer), NULL, NULL);
        router_free(v[i].router);
    }
    if (all > PROBES_MAX)
        doctor_note(d, "nodes", "give -C with the other hops alone to look at those",
                    "only the first %d nodes of %zu were looked at", PROBES_MAX, all);
    free(v);
}

/* ---------------------------------------------------------------- the service's own dials */

/* Does a service that dials targets itself dial those that the device brings into the device? */
static void check_service(struct doctor *d, const struct conf_service *s,
                          const struct listener_plan *p)
{
    struct sockopts so = {s->interface, s->mark, s->netns_out};
    char ip[ADDR_TEXT_MAX];

    for (size_t i = 0; i < p->n_routes; i++) {
        struct addr to = doctor_inside(&p->routes[i]);

        if (!doctor_loops(d, &so, &to))
            continue;
        doctor_wrong(d, "loop", "interface=NAME (or auto) for the service, or so_mark= with a rule",
                     "service %s dials targets itself, but the way to %s/%u leads into our own "
                     "device %s",
                     s->name, addr_format_ip(&p->routes[i].net, ip, sizeof ip), p->routes[i].bits,
                     p->device);
        return;
    }
}

void doctor_check_loops(struct doctor *d)
{
    const struct config *cfg = d->c.cfg;

    for (size_t i = 0; cfg && i < cfg->n_services; i++)
        for (size_t k = 0; k < d->n_tuns && doctor_dials(&cfg->services[i]); k++)
            check_service(d, &cfg->services[i], &d->tuns[k].plan);
}
