/* chain/dial_first.c - the first connection of an attempt: the name and the race to the first
 * server, which is the first node that needs a connection, or the target itself. See dial.h.
 */
#include "chain/dial.h"
#include "chain/named_dgram.h"
#include "core/dgram.h"
#include "core/floor/tcp.h"
#include "core/floor/udp.h"
#include "core/stream.h"
#include <stdlib.h>
#include <string.h>

/* Who dials the first server, and which server that is. */
const struct sockopts *dial_first_sockopts(const struct dial *d)
{
    if (d->lead > 0)
        return &d->route.nodes[d->lead - 1]->so;
    return d->route.n > 0 ? &d->route.nodes[0]->so : &d->router->so;
}

static struct bind_cache *first_binds(struct dial *d)
{
    if (d->lead > 0)
        return &d->route.nodes[d->lead - 1]->binds;
    return d->route.n > 0 ? &d->route.nodes[0]->binds : &d->router->binds;
}

struct resolver *dial_first_resolver(struct dial *d)
{
    if (d->lead > 0)
        return node_resolver(d->route.nodes[d->lead - 1]);
    return d->route.n > 0 ? node_resolver(d->route.nodes[0]) : router_resolver(d->router);
}

const struct target *dial_first_target(const struct dial *d)
{
    return !dial_is_direct(d) ? &d->route.nodes[d->at]->target : &d->sent;
}

static void on_connected(void *arg, enum rc rc, struct hotfd *hot, const struct addr *peer)
{
    struct dial *d = arg;
    struct diag why = {.rc = RC_OK};
    (void)peer;
    if (rc != RC_OK) {
        (void)eyeballs_why(d->race, false, &why);
        dial_fail(d, rc, &why);
        return;
    }
    struct layer *l = tcp_layer_hot(hot, &why);
    eyeballs_free(d->race);
    d->race = NULL;
    if (l == NULL) {
        dial_fail(d, why.rc, &why);
        return;
    }
    if (d->stream == NULL)
        d->stream = stream_new(d->router->loop);
    if (d->stream == NULL) {
        l->type->destroy(l, true);
        free(l);
        dial_fail(d, RC_NOMEM, NULL);
        return;
    }
    stream_push(d->stream, l);
    if (!dial_is_direct(d)) {
        struct node *n = d->route.nodes[d->at];
        d->state = ST_NODE;
        rc = dial_push_node(d, n);
        if (rc != RC_OK) {
            dial_fail(d, rc, NULL);
            return;
        }
    }
    dial_open_stream(d);
}

/* Datagrams leave from here: v are the addresses of a fixed target, n == 0: any destination. */
static void make_udp(struct dial *d, const struct addr *v, int n)
{
    struct router *r = d->router;
    struct resolver *resolver = dial_first_resolver(d);
    struct addr best = {.family = 0};
    for (int i = 0; i < n; i++)
        if (best.family == 0 ||
            (v[i].family == (r->prefer_ipv6 ? AF_INET6 : AF_INET) && best.family != v[i].family))
            best = v[i];
    best.port = d->req.target.addr.port;
    if (resolver != NULL)
        d->dgram = named_dgram(udp_dgram(r->loop, dial_first_sockopts(d)),
                               &(struct named_dgram_cfg){.resolver = resolver,
                                                         .v4_only = d->req.v4_only,
                                                         .v6_only = d->req.v6_only,
                                                         .prefer_ipv6 = r->prefer_ipv6,
                                                         .fixed = n > 0 ? &d->req.target : NULL,
                                                         .fixed_addr = n > 0 ? &best : NULL});
    if (d->dgram == NULL) {
        dial_fail(d, RC_NOMEM, NULL);
        return;
    }
    d->state = ST_DGRAM;
    dial_open_dgram(d);
}

/* Is this our own service, which would dial it again? */
static bool comes_back(const struct dial *d, const struct addr *a)
{
    const struct addr *in = &d->req.arrived;
    const char *netns = dial_first_sockopts(d)->netns;
    if (in->family == 0 || (dial_is_direct(d) && !d->req.verbatim) || (netns && *netns))
        return false;
    return dial_first_target(d)->addr.port == in->port &&
           (addr_same_ip(a, in) || addr_is_wildcard(a)); /* no address is this machine's */
}

static void fail_returning(struct dial *d)
{
    struct diag why = {.rc = RC_OK};
    char text[ADDR_TEXT_MAX];
    (void)diag_set(&why, RC_REFUSED, "%s is this service itself: a loop",
                   addr_format(&d->req.arrived, text, sizeof text));
    resolve_cancel(&d->resolve);
    dial_fail(d, RC_REFUSED, &why);
}

/* Addresses of the first server. d may be gone afterwards. */
static void have_addrs(struct dial *d, const struct addr *all, int n_all, bool last)
{
    struct router *r = d->router;
    struct addr v[EYEBALLS_ADDRS_MAX];
    int n = 0;
    for (int i = 0; i < n_all && n < EYEBALLS_ADDRS_MAX; i++) {
        if (comes_back(d, &all[i]))
            d->returns = true;
        else
            v[n++] = all[i];
    }
    if (n == 0 && d->returns && d->race == NULL) {
        if (last)
            fail_returning(d);
        return;
    }
    if (dial_is_direct(d) && dial_wants_dgram(d)) {
        resolve_cancel(&d->resolve);
        make_udp(d, v, n);
        return;
    }
    if (d->race == NULL) {
        d->started_ms = loop_now_ms(r->loop);
        d->race = eyeballs_new(&(struct eyeballs_cfg){.loop = r->loop,
                                                      .so = dial_first_sockopts(d),
                                                      .binds = first_binds(d),
                                                      .port = dial_first_target(d)->addr.port,
                                                      .prefer_ipv6 = r->prefer_ipv6},
                               on_connected, d, NULL);
    }
    if (d->race == NULL)
        dial_fail(d, RC_NOMEM, NULL);
    else
        eyeballs_add(d->race, v, n, last);
}

static bool is_wanted(const struct dial *d, const struct addr *a)
{
    bool direct = dial_is_direct(d);
    return !direct || (a->family == AF_INET ? !d->req.v6_only : !d->req.v4_only);
}

void dial_resolved(struct resolve *q, enum rc rc, const struct addr *v, int n, bool last)
{
    struct dial *d = (struct dial *)((char *)q - offsetof(struct dial, resolve));
    if (d->state == ST_NAME) {
        dial_told(d, rc, v, n, last);
        return;
    }
    if (d->naming) {
        dial_named(d, rc, v, n);
        return;
    }
    if (n > 0 && !dial_is_direct(d))
        node_remember(d->route.nodes[d->at], v, n);
    if (n > 0 || d->race != NULL || d->returns) {
        have_addrs(d, v, n, last);
        return;
    }
    struct diag why = d->diag;
    d->diag.rc = RC_OK;
    if (last)
        dial_fail(d, rc, &why);
}

void dial_connect_first(struct dial *d)
{
    const struct target *t = dial_first_target(d);
    struct diag why = {.rc = RC_OK};
    d->state = ST_CONNECT;
    d->returns = false;
    if (!dial_is_direct(d) && !d->route.nodes[d->at]->addr_ok) {
        (void)diag_set(&why, RC_INVALID, "the address is not host:port");
        dial_fail(d, RC_INVALID, &why);
        return;
    }
    if (dial_is_direct(d) && d->n_known > 0) {
        have_addrs(d, d->known, d->n_known, true);
        return;
    }
    bool told = dial_is_direct(d) && d->req.addr_known && t->addr.family != 0;
    if (target_is_name(t) && !told) {
        struct resolver *r = dial_first_resolver(d);
        bool direct = dial_is_direct(d);
        if (r == NULL || !resolve_start(r, &d->resolve, t->name, !direct || !d->req.v6_only,
                                        !direct || !d->req.v4_only, &d->diag))
            dial_fail(d, RC_NOMEM, NULL);
        return;
    }
    if (dial_is_direct(d) && dial_is_anywhere(d)) {
        make_udp(d, NULL, 0);
        return;
    }
    struct addr a = t->addr;
    if (target_is_empty(t)) { /* as Go: no host is this machine */
        (void)addr_parse_ip("127.0.0.1", strlen("127.0.0.1"), &a);
        a.port = t->addr.port;
    }
    if (!is_wanted(d, &a)) {
        (void)diag_set(&why, RC_UNREACH_NET, "only IPv%d is wanted", d->req.v6_only ? 6 : 4);
        dial_fail(d, RC_UNREACH_NET, &why);
        return;
    }
    have_addrs(d, &a, 1, true);
}
