/* chain/explain.c - a dial that ends before its first packet. See explain.h. */
#include "chain/explain.h"
#include "chain/dial.h"
#include "chain/nameserver.h"
#include "core/stream.h"
#include <string.h>

/* Only its address counts: it makes the dial one for datagrams. */
static void never(void *arg, struct dgram *d, const struct dial_result *res)
{
    (void)arg;
    (void)d;
    (void)res;
}

/* A resolver whose nameservers were all left out, as wrong, knows no name. */
static void fail_unless_askable(struct route_account *a, const struct nameservers *list,
                                const char *name)
{
    if (list == NULL || list->n > 0 || a->rc != RC_OK)
        return;
    a->rc = diag_set(&a->diag, RC_NAME, "%s: its resolver has no nameserver left", name);
}

/* The name of the target, as far as it is the service's business. */
static void name_it(struct route_account *a, struct dial *d)
{
    struct addr v[RESOLVE_ADDRS_MAX];
    const char *name = d->req.target.name;
    if (!dial_begin(d) || router_resolver(d->router) == NULL ||
        !resolver_claims(d->router->resolver, name))
        return;
    int n = resolver_peek(d->router->resolver, name, v, RESOLVE_ADDRS_MAX);
    a->named_here = true;
    a->service_nameservers = d->router->nameservers;
    a->name_open = n == 0;
    if (n > 0)
        dial_set_known(d, v, n);
    else
        fail_unless_askable(a, a->service_nameservers, name);
}

/* Who is asked for the first server's name. */
static void tell_names(struct route_account *a, struct dial *d)
{
    const struct node *n = d->lead > 0      ? d->route.nodes[d->lead - 1]
                           : d->route.n > 0 ? d->route.nodes[0]
                                            : NULL;
    struct resolver *r = dial_first_resolver(d);
    a->nameservers = n != NULL ? n->nameservers : d->router->nameservers;
    a->has_hosts = (n != NULL ? n->hosts : d->router->hosts) != NULL;
    if (r != NULL && target_is_name(&a->first))
        a->n_known = resolver_peek(r, a->first.name, a->known, RESOLVE_ADDRS_MAX);
    if (target_is_name(&a->first) && a->n_known == 0)
        fail_unless_askable(a, a->nameservers, a->first.name);
}

static void tell_first(struct route_account *a, struct dial *d)
{
    a->so = *dial_first_sockopts(d);
    a->first = *dial_first_target(d);
    if (!dial_is_direct(d))
        a->first_node = d->route.nodes[d->at];
    else if (target_is_empty(&a->first)) /* datagrams, each says where to */
        a->first = a->sent;
    tell_names(a, d);
}

void router_explain(struct router *r, const struct dial_req *req, bool udp,
                    struct route_account *ret_a)
{
    struct route_account *a = ret_a;
    struct dial d = {.router = r, .req = *req, .done_dgram = udp ? never : NULL};
    *a = (struct route_account){.network = udp ? "udp" : "tcp"};
    if (udp) {
        d.req.seen = *dial_seen(&d);
        a->rc = router_udp_route(r, &d.req.seen, &a->udp, &a->diag);
        if (a->rc == RC_OK && !a->udp.fixed)
            d.req.target = (struct target){.name = ""};
    }
    name_it(a, &d);
    enum rc rc = dial_plan(&d, &a->chain, &a->rejects);
    if (a->rc == RC_OK) {
        a->rc = rc;
        a->diag = d.diag;
    }
    a->asked = d.asked;
    a->sent = target_is_empty(&d.sent) ? req->target : d.sent;
    if (a->rc == RC_OK && !a->rejects)
        tell_first(a, &d);
    a->route = d.route;
    stream_close(d.stream);
}

void route_account_done(struct route_account *a)
{
    route_done(&a->route);
}

const char *udp_words(unsigned udp)
{
    switch (udp & (CONNECTOR_UDP_ANY | CONNECTOR_UDP_FIXED)) {
    case CONNECTOR_UDP_ANY | CONNECTOR_UDP_FIXED:
        return "an association for any destination, or a flow per destination";
    case CONNECTOR_UDP_ANY:
        return "an association for any destination";
    case CONNECTOR_UDP_FIXED:
        return "a flow per destination";
    }
    return "none";
}
