/* listeners/tungo/plan.c - the listener's options as a plan for core/host: addresses, routes, DNS
 * servers, texts for the hooks. See inside.h. Source: gost-config.md 4.1, 4.3.
 */
#include "listeners/tungo/inside.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MTU_DEFAULT = 1420 };

/* The next word of *text, which moves behind it; 0: there is none. */
static size_t next_word(const char **text, const char **ret_word)
{
    const char *p = *text;

    while (isspace((unsigned char)*p))
        p++;
    *ret_word = p;
    while (*p && !isspace((unsigned char)*p))
        p++;
    *text = p;
    return (size_t)(p - *ret_word);
}

static enum rc parse_gateway(const struct tungo_options *o, struct addr *ret_gw, struct diag *diag)
{
    *ret_gw = (struct addr){0};
    if (o->gw && *o->gw && !addr_parse_ip(o->gw, strlen(o->gw), ret_gw))
        return diag_set(diag, RC_INVALID, "gw: \"%.60s\" is no IP address", o->gw);
    return RC_OK;
}

/* A gateway of the other family is not meant for this route. */
static struct addr gateway_for(const struct cidr *dst, const struct addr *gw)
{
    return gw->family == dst->net.family ? *gw : (struct addr){0};
}

/* "CIDR" or "CIDR GATEWAY" */
static enum rc parse_route(const char *text, const struct addr *gw, struct setup_route *r,
                           struct diag *diag)
{
    const char *p = text, *word;
    size_t n = next_word(&p, &word);

    if (!cidr_parse(word, n, &r->dst))
        return diag_set(diag, RC_INVALID, "routes: \"%.60s\" does not begin with IP/prefix", text);
    r->gateway = gateway_for(&r->dst, gw);
    n = next_word(&p, &word);
    if (n && (!addr_parse_ip(word, n, &r->gateway) || r->gateway.family != r->dst.net.family))
        return diag_set(diag, RC_INVALID, "routes: the gateway in \"%.60s\" does not fit", text);
    if (next_word(&p, &word))
        return diag_set(diag, RC_INVALID, "routes: \"%.60s\" has more than two words", text);
    return RC_OK;
}

static enum rc plan_routes(struct tungo *t, struct diag *diag)
{
    const struct tungo_options *o = t->options;
    size_t most = o->route.n + o->routes.n, n = 0;
    struct addr gw;
    enum rc rc = parse_gateway(o, &gw, diag);

    if (rc != RC_OK || !most)
        return rc;
    t->routes = calloc(most, sizeof *t->routes);
    if (!t->routes)
        return diag_set(diag, RC_NOMEM, "no memory for the routes");
    for (size_t i = 0; i < o->route.n; i++)
        t->routes[n++] =
            (struct setup_route){.dst = o->route.v[i], .gateway = gateway_for(&o->route.v[i], &gw)};
    for (size_t i = 0; i < o->routes.n; i++) {
        const char *p = o->routes.v[i], *word;
        if (!next_word(&p, &word))
            continue;
        rc = parse_route(o->routes.v[i], &gw, &t->routes[n++], diag);
        if (rc != RC_OK)
            return rc;
    }
    t->setup_cfg.routes = t->routes;
    t->setup_cfg.route_count = n;
    return RC_OK;
}

static enum rc plan_dns(struct tungo *t, struct diag *diag)
{
    const struct strlist *list = &t->options->dns;
    size_t n = 0;

    if (!list->n)
        return RC_OK;
    t->dns = calloc(list->n, sizeof *t->dns);
    if (!t->dns)
        return diag_set(diag, RC_NOMEM, "no memory for the DNS servers");
    for (size_t i = 0; i < list->n; i++) {
        const char *p = list->v[i], *word;
        size_t len = next_word(&p, &word);
        if (!len)
            continue;
        if (!addr_parse_ip(word, len, &t->dns[n++]))
            return diag_set(diag, RC_INVALID, "dns: \"%.60s\" is no IP address", list->v[i]);
    }
    t->setup_cfg.dns = t->dns;
    t->setup_cfg.dns_count = n;
    return RC_OK;
}

/* "192.168.123.1/24,fd00::1/64" */
static char *nets_text(const struct netlist *net)
{
    size_t cap = net->n * (ADDR_TEXT_MAX + 8) + 1, n = 0;
    char *text = malloc(cap), one[ADDR_TEXT_MAX];

    if (!text)
        return NULL;
    *text = 0;
    for (size_t i = 0; i < net->n; i++) {
        int k = snprintf(text + n, cap - n, "%s%s/%u", i ? "," : "",
                         addr_format_ip(&net->v[i].net, one, sizeof one), net->v[i].bits);
        n += k > 0 ? (size_t)k : 0;
    }
    return text;
}

static enum rc plan_texts(struct tungo *t, const struct sockopts *so, struct diag *diag)
{
    if (so && so->netns && *so->netns) {
        t->netns = strdup(so->netns);
        if (!t->netns)
            return diag_set(diag, RC_NOMEM, "no memory");
    }
    snprintf(t->mtu_text, sizeof t->mtu_text, "%u", t->setup_cfg.device.mtu);
    t->addr_text = nets_text(&t->options->net);
    return t->addr_text ? RC_OK : diag_set(diag, RC_NOMEM, "no memory");
}

enum rc plan_make(struct tungo *t, const struct sockopts *so, struct diag *diag)
{
    const struct tungo_options *o = t->options;
    int64_t mtu = o->mtu > 0 ? o->mtu : MTU_DEFAULT;
    enum rc rc;

    if (mtu < DEVICE_MTU_MIN || mtu > DEVICE_MTU_MAX)
        return diag_set(diag, RC_INVALID, "mtu: %lld is not within %d..%d", (long long)mtu,
                        DEVICE_MTU_MIN, DEVICE_MTU_MAX);
    t->setup_cfg = (struct setup_cfg){
        .device = {.name = o->name && *o->name ? o->name : "tungo",
                   .mtu = (uint32_t)mtu,
                   .offload_off = o->offload ? 0 : ~0u},
        .addresses = o->net.v,
        .address_count = o->net.n,
        .guard = o->guard,
    };
    t->gate = (struct gate_cfg){.own = o->net.v, .n_own = o->net.n};
    rc = plan_routes(t, diag);
    if (rc == RC_OK)
        rc = plan_dns(t, diag);
    if (rc == RC_OK)
        rc = plan_texts(t, so, diag);
    t->setup_cfg.device.netns = t->netns;
    return rc;
}

void plan_free(struct tungo *t)
{
    free(t->routes);
    free(t->dns);
    free(t->netns);
    free(t->addr_text);
}

enum rc plan_tell(const void *cfg, struct listener_plan *ret_p, struct diag *diag)
{
    const struct tungo_options *o = cfg;
    struct tungo *t = calloc(1, sizeof *t);
    enum rc rc;

    if (!t)
        return diag_set(diag, RC_NOMEM, "no memory");
    t->options = o;
    rc = plan_make(t, NULL, diag);
    if (rc == RC_OK) {
        const struct setup_cfg *c = &t->setup_cfg;

        *ret_p = (struct listener_plan){
            .device = c->device.name,
            .mtu = c->device.mtu,
            .addresses = c->addresses,
            .n_addresses = c->address_count,
            .routes = calloc(c->route_count + 1, sizeof *ret_p->routes),
            .n_routes = c->route_count,
            .dns = c->dns_count > 0,
        };
        for (size_t i = 0; ret_p->routes && i < c->route_count; i++)
            ret_p->routes[i] = c->routes[i].dst;
        if (!ret_p->routes)
            rc = diag_set(diag, RC_NOMEM, "no memory");
    }
    plan_free(t);
    free(t);
    return rc;
}

const char *plan_drops(const void *cfg, const struct addr *dst)
{
    static const uint8_t v4[4] = {192, 0, 2, 1}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    const struct tungo_options *o = cfg;
    struct gate_cfg gate = {.own = o->net.v, .n_own = o->net.n};
    struct addr anybody = dst->family == AF_INET ? addr_v4(v4, 0) : addr_v6(v6, 0);
    enum gate_drop why = gate_addresses(&gate, &anybody, dst);

    return why == DROP_NONE ? NULL : gate_drop_name(why);
}
