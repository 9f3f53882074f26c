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
#include "chain/dns_dgram.h"
#include "chain/hash.h"
#include "chain/named_dgram.h"
#include "chain/one_dgram.h"
#include "core/dgram.h"
#include "core/stream.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- the end */

static void clean_up(struct dial *d)
{
    timer_stop(&d->deadline);
    job_cancel(&d->job);
    resolve_cancel(&d->resolve);
    d->naming = false;
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

/* The stream that was dialled for questions becomes their flow. */
static enum rc wrap_stream(struct dial *d)
{
    struct stream *s = d->stream;
    d->stream = NULL;
    stream_want(s, 0, NULL, NULL);
    d->dgram = dns_dgram(s, &d->req.target);
    enum rc rc = d->dgram != NULL ? dgram_open(d->dgram) : RC_NOMEM;
    if (rc == RC_OK)
        return rc;
    return diag_set(&d->diag, rc, "the flow for DNS: %s", rc_name(rc));
}

/* Who named a target hears that one only, also over a carrier that hears everybody. */
static enum rc keep_to_target(struct dial *d)
{
    if ((d->dgram->flags & DGRAM_FIXED) != 0 || target_is_empty(&d->req.target))
        return RC_OK;
    d->dgram = one_dgram(d->dgram, &d->sent);
    return d->dgram != NULL ? dgram_open(d->dgram) : RC_NOMEM;
}

/* A flow through the chain that goes anywhere: the service's own hosts and nameservers come before
 * those of the far end, as for a target (what leaves directly knows them already). */
static enum rc resolve_here(struct dial *d)
{
    struct router *r = d->router;
    if (dial_is_direct(d) || !dial_is_anywhere(d) || d->req.by_name ||
        (r->hosts == NULL && r->nameservers == NULL))
        return RC_OK;
    struct resolver *resolver = router_resolver(r);
    struct dgram *below = d->dgram;
    d->dgram = NULL;
    if (resolver == NULL) {
        dgram_close(below);
        return RC_NOMEM;
    }
    d->dgram = named_dgram(below, &(struct named_dgram_cfg){.resolver = resolver,
                                                            .v4_only = d->req.v4_only,
                                                            .v6_only = d->req.v6_only,
                                                            .prefer_ipv6 = r->prefer_ipv6});
    return d->dgram != NULL ? dgram_open(d->dgram) : RC_NOMEM;
}

void dial_finish(struct dial *d, enum rc rc)
{
    if (rc == RC_OK && d->dns_tcp)
        rc = wrap_stream(d);
    if (rc == RC_OK && d->dgram != NULL)
        rc = keep_to_target(d);
    if (rc == RC_OK && d->dgram != NULL)
        rc = resolve_here(d);
    struct dial_result res = {.rc = rc, .direct = d->route.n == 0, .dns_tcp = d->dns_tcp};
    struct loop *loop = d->router->loop; /* the router may go in done() */
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
    size_t n = strlen(res.route);
    if (d->dns_tcp)
        (void)snprintf(res.route + n, sizeof(res.route) - n, " (DNS over TCP)");
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
    loop_free_later(loop, &d->deferred, free, d);
}

void dial_end(struct dial *d, enum rc rc)
{
    d->diag = (struct diag){.rc = RC_OK};
    (void)diag_set(&d->diag, rc, "%s", rc_name(rc));
    dial_finish(d, rc);
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
    if (d->state == ST_NAME || dial_is_direct(d) || rc == RC_NOMEM || rc == RC_UNSUPPORTED)
        return NULL;
    if (d->state == ST_CONNECT || d->state == ST_NODE || rc == RC_AUTH || rc == RC_PROTO)
        return d->route.nodes[d->at];
    return NULL;
}

/* The last node refuses to carry datagrams at all: told so by its connector, which has no other way
 * left. */
static bool refuses_udp(const struct dial *d, enum rc rc)
{
    if (d->state != ST_DGRAM || dial_is_direct(d) ||
        (rc != RC_DENIED && rc != RC_UNSUPPORTED && rc != RC_REFUSED && rc != RC_UNREACH_HOST &&
         rc != RC_PROTO))
        return false;
    return (node_udp(d->route.nodes[d->at]) & CONNECTOR_UDP_FIXED) == 0;
}

/* May a question go over TCP where datagrams can't? */
static bool may_use_tcp(const struct dial *d)
{
    return dial_wants_dgram(d) && !d->req.udp_only && target_is_dns(&d->req.target);
}

/* why: the reason in the words of whoever failed; NULL: d->diag has it already. */
void dial_fail(struct dial *d, enum rc rc, const struct diag *why)
{
    struct router *r = d->router;
    struct node *node = culprit(d, rc);
    if (why != NULL && !dial_is_direct(d))
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
    if (refuses_udp(d, rc)) {
        node_refused_udp(d->route.nodes[d->at]);
        if (may_use_tcp(d)) {
            d->udp_again = false;
            clean_up(d);
            route_done(&d->route);
            job_post(r->loop, &d->job);
            return;
        }
        rc = RC_UNSUPPORTED; /* who asks again is told another way */
    }
    if (d->retries_left == 0 || rc == RC_UNSUPPORTED || rc == RC_INVALID) {
        dial_finish(d, rc);
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
        [ST_NAME] = "the resolver",
        [ST_CONNECT] = "a connection",
        [ST_NODE] = "its handshake",
        [ST_TARGET] = "its answer about the target",
        [ST_DGRAM] = "its answer about UDP",
    };
    if (rc == RC_OK)
        rc = diag_set(&why, RC_TIMEOUT, "waited %u ms for %s", d->router->dial_timeout_ms,
                      waited_for[d->state]);
    dial_fail(d, rc, &why);
}

/* ---------------------------------------------------------------- an attempt */

/* Direct nodes, wherever they stand, may refuse instead of dialling (action=reject). RC_OK: the
 * stream is made; RC_UNSUPPORTED: dial. */
static enum rc ask_direct(struct dial *d)
{
    for (int i = 0; i < d->route.n; i++) {
        struct node *n = d->route.nodes[i];
        struct dgram *none = NULL;
        enum rc rc;
        if (!node_is_direct(n))
            continue;
        if (dial_wants_dgram(d)) {
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

/* The chain knows whether its last node can carry datagrams; where that is a direct one, the node
 * before it must. */
static enum rc check_carrier(struct dial *d)
{
    int i = d->route.n;
    while (i > 0 && node_is_direct(d->route.nodes[i - 1]))
        i--;
    if (!dial_wants_dgram(d) || i == 0 || node_udp(d->route.nodes[i - 1]) != 0)
        return RC_OK;
    return diag_set(&d->diag, RC_UNSUPPORTED, "node %s can't carry UDP",
                    d->route.nodes[i - 1]->name);
}

/* The nodes, and those of them that stand before the first connection. What rules see is the flow
 * that the client asked for, also where its questions go over TCP. */
static enum rc find_route(struct dial *d, struct chain_account *told)
{
    struct router *r = d->router;
    if (r->chain != NULL && !d->udp_again) {
        unsigned need =
            dial_is_anywhere(d) ? CONNECTOR_UDP_ANY : CONNECTOR_UDP_ANY | CONNECTOR_UDP_FIXED;
        struct hop_ask ask = {.network = d->done_dgram != NULL ? "udp" : "tcp",
                              .target = &d->asked,
                              .hash = hash_client(&d->req.client),
                              .again = d->retries_left < r->retries,
                              .udp = dial_wants_dgram(d) ? need : 0};
        route_done(&d->route);
        enum rc rc = told != NULL ? chain_explain(r->chain, &ask, &d->route, told, &d->diag)
                                  : chain_route(r->chain, &ask, &d->route, &d->diag);
        if (rc == RC_REFUSED)
            d->retries_left = 0; /* it would be told the same again */
        if (rc != RC_OK)
            return rc;
    }
    d->lead = 0;
    while (d->lead < d->route.n && node_is_direct(d->route.nodes[d->lead]))
        d->lead++;
    enum rc rc = check_carrier(d);
    if (rc != RC_UNSUPPORTED || !may_use_tcp(d))
        return rc;
    d->dns_tcp = true; /* by the same nodes */
    d->diag = (struct diag){.rc = RC_OK};
    return RC_OK;
}

/* Known without asking a selector: no node of the last hop carries datagrams. */
static bool needs_tcp(struct dial *d)
{
    struct udp_route route = {.dns_tcp = false};
    return may_use_tcp(d) && !d->udp_again &&
           router_udp_route(d->router, dial_seen(d), &route, NULL) == RC_OK && route.dns_tcp;
}

enum rc dial_plan(struct dial *d, struct chain_account *told, bool *ret_made)
{
    *ret_made = false;
    d->dns_tcp = false; /* of an attempt before */
    d->dns_tcp = needs_tcp(d);
    enum rc rc = find_route(d, told);
    d->at = d->route.n;
    if (rc != RC_OK)
        return rc;
    rc = ask_direct(d);
    *ret_made = rc == RC_OK;
    if (rc != RC_UNSUPPORTED)
        return rc;
    d->at = d->lead;
    return RC_OK;
}

/* Which nodes, now that all is known about the target that will be. */
static void choose(struct dial *d)
{
    bool made = false;
    d->state = ST_START;
    enum rc rc = dial_plan(d, NULL, &made);
    if (rc != RC_OK)
        dial_fail(d, rc, NULL);
    else if (made)
        dial_open_stream(d);
    else
        dial_connect_first(d);
}

void dial_set_known(struct dial *d, const struct addr *v, int n)
{
    struct addr first = v[0];
    d->n_known = n < RESOLVE_ADDRS_MAX ? n : RESOLVE_ADDRS_MAX;
    memcpy(d->known, v, (size_t)d->n_known * sizeof(*v));
    first.port = d->req.target.addr.port;
    d->asked.addr = first;
    target_from_addr(&d->sent, &first);
}

void dial_told(struct dial *d, enum rc rc, const struct addr *v, int n, bool last)
{
    if (n == 0 && !last)
        return;
    struct diag why = d->diag;
    d->diag.rc = RC_OK;
    resolve_cancel(&d->resolve);
    if (n == 0) {
        dial_fail(d, rc, &why);
        return;
    }
    dial_set_known(d, v, n);
    choose(d);
}

/* Before anybody is asked: what rules see, and what is sent. True: the service's own resolver has a
 * say about the target's name. */
bool dial_begin(struct dial *d)
{
    struct router *r = d->router;
    d->asked = router_told(r, dial_seen(d));
    d->sent = d->req.target;
    d->n_known = 0;
    if (!target_is_name(&d->req.target))
        return false;
    struct addr unused;
    if (d->req.by_name)
        return router_hosts(r, d->req.target.name, &unused, 1) > 0;
    return r->hosts != NULL || r->nameservers != NULL;
}

static void on_start(struct job *job)
{
    struct dial *d = (struct dial *)((char *)job - offsetof(struct dial, job));
    struct router *r = d->router;
    d->state = ST_START;
    d->diag = (struct diag){.rc = RC_OK};
    d->started_ms = 0;
    d->announced = false;
    d->at = d->route.n;
    if (!timer_start(&d->deadline, r->dial_timeout_ms)) {
        dial_fail(d, RC_NOMEM, NULL);
        return;
    }
    if (d->udp_again) {
        choose(d);
        return;
    }
    if (!dial_begin(d)) {
        choose(d);
        return;
    }
    if (router_resolver(r) == NULL) {
        dial_fail(d, RC_NOMEM, NULL);
        return;
    }
    if (!resolver_claims(r->resolver, d->req.target.name)) {
        choose(d);
        return;
    }
    d->state = ST_NAME;
    if (!resolve_start(r->resolver, &d->resolve, d->req.target.name, !d->req.v6_only,
                       !d->req.v4_only, &d->diag))
        dial_fail(d, RC_NOMEM, NULL);
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
    resolve_init(&d->resolve, dial_resolved);
    d->next = r->dials;
    d->link = &r->dials;
    if (r->dials != NULL)
        r->dials->link = &d->next;
    r->dials = d;
    job_post(r->loop, &d->job);
    return d;
}
