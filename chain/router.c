/* chain/router.c - a service's way out: its chain, its own sockets' options, its requests. */
#include "chain/dial.h"
#include "chain/hosts_table.h"
#include "chain/nameserver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct router *router_new(const struct router_cfg *cfg)
{
    struct router *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->service = strdup(cfg->service != NULL ? cfg->service : "");
    r->loop = cfg->loop;
    r->retries = cfg->retries > 0 ? cfg->retries : 0;
    r->dial_timeout_ms = cfg->dial_timeout_ms > 0 ? cfg->dial_timeout_ms : DIAL_TIMEOUT_MS;
    r->prefer_ipv6 = cfg->prefer_ipv6;
    if (r->service == NULL || !sockopts_copy(&cfg->so, &r->so)) {
        free(r->service);
        free(r);
        return NULL;
    }
    r->chain = cfg->chain != NULL ? chain_ref(cfg->chain) : NULL;
    r->hosts = cfg->hosts != NULL ? hosts_table_ref(cfg->hosts) : NULL;
    r->nameservers = cfg->nameservers != NULL ? nameservers_ref(cfg->nameservers) : NULL;
    return r;
}

uint64_t router_patience_ms(const struct router *r)
{
    return (uint64_t)r->dial_timeout_ms * (1 + (unsigned)r->retries);
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    while (r->dials != NULL)
        dial_end(r->dials, RC_CANCELED);
    resolver_unref(r->resolver);
    hosts_table_unref(r->hosts);
    nameservers_unref(r->nameservers);
    chain_unref(r->chain);
    sockopts_drop(&r->so);
    free(r->service);
    free(r);
}

struct resolver *router_resolver(struct router *r)
{
    if (r->resolver == NULL)
        r->resolver = resolver_new(&(struct resolver_cfg){
            .loop = r->loop, .so = r->so, .table = r->hosts, .nameservers = r->nameservers});
    return r->resolver;
}

struct dial *router_dial(struct router *r, const struct dial_req *req, dial_done_fn *done,
                         void *arg)
{
    return dial_new(r, req, done, NULL, arg);
}

struct dial *router_dial_dgram(struct router *r, const struct dial_req *req, dial_dgram_fn *done,
                               void *arg)
{
    return dial_new(r, req, NULL, done, arg);
}

/* A question and its answer: no cone is needed, and a flow of its own takes the question along with
 * its request, where an association is waited for. */
bool target_is_dns(const struct target *t)
{
    return t->addr.port == 53;
}

/* One more piece of a route's text: the node if there is one choice, else the hop. */
static size_t add_text(char *buf, size_t cap, size_t at, const struct hop *h,
                       const struct node *only)
{
    int n = at >= cap      ? 0
            : only != NULL ? snprintf(buf + at, cap - at, "%s%s@%s", at > 0 ? " > " : "",
                                      only->name, only->addr)
                           : snprintf(buf + at, cap - at, "%s%s", at > 0 ? " > " : "", h->name);
    return at + (n > 0 ? (size_t)n : 0);
}

struct target router_told(struct router *r, const struct target *t)
{
    struct target both = *t;
    struct addr a;
    if ((r->hosts == NULL && r->nameservers == NULL) || !target_is_name(t) ||
        router_resolver(r) == NULL || resolver_peek(r->resolver, t->name, &a, 1) == 0)
        return both;
    both.addr = a;
    both.addr.port = t->addr.port;
    return both;
}

/* Equal for equal candidates at each hop, up to the one where the route ends; 0: direct. */
static uint32_t way_of(struct router *r, const char *network, const struct target *t)
{
    struct target both = router_told(r, t);
    struct hop_ask ask = {.network = network, .target = &both};
    uint32_t id = 2166136261u;
    int depth = 0, n_hops = r->chain != NULL ? r->chain->n_hops : 0;
    for (; depth < n_hops; depth++) {
        unsigned udp = 0;
        uint32_t key = 0;
        struct node *only = NULL;
        if (hop_survey(r->chain->hops[depth], &ask, true, &udp, &key, &only) != HOP_USED)
            break;
        id = (id ^ key) * 16777619u;
    }
    return depth == 0 ? 0 : id != 0 ? id : 1;
}

bool router_same_way(struct router *r, const char *network, const struct target *a,
                     const struct target *b)
{
    return way_of(r, network, a) == way_of(r, network, b);
}

bool router_has_rules(const struct router *r)
{
    int n_hops = r->chain != NULL ? r->chain->n_hops : 0;
    for (int i = 0; i < n_hops; i++) {
        const struct hop *h = r->chain->hops[i];
        if (h->bypassed != NULL)
            return true;
        for (int k = 0; k < h->n_nodes; k++)
            if (h->nodes[k]->bypassed != NULL)
                return true;
    }
    return false;
}

enum rc router_udp_route(struct router *r, const struct target *t, struct udp_route *ret_route,
                         struct diag *diag)
{
    struct udp_route route = {.id = 0};
    struct target both = router_told(r, t);
    struct hop_ask ask = {.network = "udp", .target = &both};
    unsigned udp = 0;
    uint32_t id = 2166136261u;
    size_t at = 0;
    int depth = 0, n_hops = r->chain != NULL ? r->chain->n_hops : 0;
    for (; depth < n_hops; depth++) {
        struct hop *h = r->chain->hops[depth];
        uint32_t key = 0;
        struct node *only = NULL;
        enum hop_fate fate = hop_survey(h, &ask, depth == 0, &udp, &key, &only);
        if (fate == HOP_EMPTY)
            return diag_set(diag, RC_INVALID, "chain %s: hop %s has no nodes", r->chain->name,
                            h->name);
        if (fate != HOP_USED)
            break;
        id = (id ^ key) * 16777619u;
        at = add_text(route.route, sizeof(route.route), at, h, only);
    }
    if (depth == 0) {
        (void)snprintf(route.route, sizeof(route.route), "direct");
        *ret_route = route;
        return RC_OK;
    }
    route.dns_tcp = udp == 0 && target_is_dns(t);
    bool some = target_is_empty(t) && router_has_rules(r); /* may go where it can be carried */
    if (udp == 0 && !route.dns_tcp && !some)
        return diag_set(diag, RC_UNSUPPORTED, "chain %s: hop %s can't carry UDP", r->chain->name,
                        r->chain->hops[depth - 1]->name);
    route.id = id != 0 ? id : 1;
    route.fixed =
        (udp & CONNECTOR_UDP_ANY) == 0 || ((udp & CONNECTOR_UDP_FIXED) != 0 && target_is_dns(t));
    route.empty_apart = !route.fixed && (udp & CONNECTOR_UDP_FIXED) != 0;
    route.empty_plain = !route.fixed && !route.empty_apart && depth == 1 &&
                        (udp & CONNECTOR_UDP_PLAIN) != 0; /* a socket beside: not behind others */
    *ret_route = route;
    return RC_OK;
}

int router_hosts(struct router *r, const char *name, struct addr *v, int cap)
{
    return r->hosts != NULL ? hosts_table_lookup(r->hosts, name, loop_now_ms(r->loop), v, cap) : 0;
}

struct nameservers *router_nameservers(const struct router *r)
{
    return r->nameservers;
}

const struct sockopts *router_sockopts(const struct router *r)
{
    return &r->so;
}

static bool is_named(const struct target *t, const char *name)
{
    return target_is_name(t) && strcasecmp(t->name, name) == 0;
}

/* The hops whose nodes are dialled from here: after a direct node the next hop's are as well. */
static bool goes_through(const struct hop *h)
{
    for (int k = 0; k < h->n_nodes; k++)
        if (node_is_direct(h->nodes[k]))
            return true;
    return false;
}

bool router_is_own_name(const struct router *r, const char *name, struct addr *v, int cap,
                        int *ret_n)
{
    int n_hops = r->chain != NULL ? r->chain->n_hops : 0, n = 0;
    bool found = false;
    for (int i = 0; r->nameservers != NULL && i < r->nameservers->n && !found; i++)
        found = is_named(&r->nameservers->v[i].target, name);
    for (int i = 0; i < n_hops; i++) {
        const struct hop *h = r->chain->hops[i];
        for (int k = 0; k < h->n_nodes; k++) {
            const struct node *node = h->nodes[k];
            if (!node->addr_ok || !is_named(&node->target, name))
                continue;
            found = true;
            for (int j = 0; j < node->n_known && n < cap; j++) {
                v[n] = node->known[j];
                v[n++].port = 0;
            }
        }
        if (!goes_through(h))
            break;
    }
    *ret_n = n;
    return found;
}

bool router_is_node(const struct router *r, const struct addr *a)
{
    int n_hops = r->chain != NULL ? r->chain->n_hops : 0;
    for (int i = 0; i < n_hops; i++) {
        const struct hop *h = r->chain->hops[i];
        bool through = false; /* a direct node: the next hop's are dialled from here as well */
        for (int k = 0; k < h->n_nodes; k++) {
            if (node_is_direct(h->nodes[k]))
                through = true;
            else if (node_has_addr(h->nodes[k], a))
                return true;
        }
        if (!through)
            return false;
    }
    return false;
}

bool router_is_dialling(const struct router *r, const struct addr *from, const struct addr *to)
{
    for (const struct dial *d = r->dials; d != NULL; d = d->next)
        if (d->race != NULL && eyeballs_has(d->race, from, to))
            return true;
    return false;
}
