/* core/host/setup.c - the steps that make a device usable, and back. */
#include "core/host/setup.h"
#include "core/host/address.h"
#include "core/host/link.h"
#include "core/host/resolver.h"
#include "core/host/route.h"
#include <errno.h>
#include <stdio.h>

/* Ours win over every other route, and the guard's stand right behind them. For IPv6 the kernel
 * reads 0 as 1024. */
enum { METRIC4 = 0, METRIC6 = 1 };

static struct route device_route(const struct setup_route *r, int index)
{
    bool via = r->gateway.family != 0;

    return (struct route){.dst = r->dst,
                          .gateway = r->gateway,
                          .index = via ? 0 : index,
                          .metric = r->dst.net.family == AF_INET6 ? METRIC6 : METRIC4};
}

static enum rc set_addresses(struct setup *s, const struct setup_cfg *cfg, struct journal *j,
                             struct diag *diag)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < cfg->address_count && rc == RC_OK; i++)
        rc = address_add(&s->nl, s->device.index, &cfg->addresses[i], j, diag);
    return rc;
}

static enum rc set_routes(struct setup *s, const struct setup_cfg *cfg, struct journal *j,
                          struct diag *diag)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < cfg->route_count && rc == RC_OK; i++) {
        struct route r = device_route(&cfg->routes[i], s->device.index);
        rc = route_replace(&s->nl, &r, j, diag);
    }
    return rc;
}

/* What ours will replace is kept before, the guard follows once ours stand. */
static enum rc keep_routes(struct setup *s, const struct setup_cfg *cfg, struct diag *diag)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < cfg->route_count && rc == RC_OK; i++) {
        struct route r = device_route(&cfg->routes[i], s->device.index);
        rc = route_keep(&s->nl, &r, &s->around, diag);
    }
    return rc;
}

static enum rc open_guard(struct setup *s, const struct setup_cfg *cfg, struct diag *diag)
{
    struct device_cfg guard = {
        .name = "cgost-guard%d", .mtu = s->device.mtu, .netns = cfg->device.netns, .plain = true};

    enum rc rc = device_open(&guard, &s->guard, diag);
    if (rc == RC_OK) /* nothing may wait in it: it would be held for ever */
        rc = link_set_txqueuelen(&s->nl, s->guard.index, 0, diag);
    if (rc == RC_OK)
        rc = link_set_up(&s->nl, s->guard.index, true, diag);
    return rc;
}

static enum rc set_guard(struct setup *s, const struct setup_cfg *cfg, struct diag *diag)
{
    enum rc rc = RC_OK;

    if (!cfg->guard || cfg->route_count == 0)
        return RC_OK;
    rc = open_guard(s, cfg, diag);
    for (size_t i = 0; i < cfg->route_count && rc == RC_OK; i++) {
        struct route r = {.dst = cfg->routes[i].dst, .index = s->guard.index};
        r.metric = (r.dst.net.family == AF_INET6 ? METRIC6 : METRIC4) + 1;
        rc = route_keep(&s->nl, &r, &s->around, diag);
        if (rc == RC_OK)
            rc = route_replace(&s->nl, &r, &s->around, diag);
    }
    return rc;
}

static void set_dns(struct setup *s, const struct setup_cfg *cfg, setup_warn_fn *warn, void *arg)
{
    struct diag why = {0};

    if (cfg->dns_count == 0)
        return;
    if (cfg->device.netns && cfg->device.netns[0])
        (void)diag_set(&why, RC_UNSUPPORTED,
                       "DNS servers are not set for a device in another network namespace");
    else if (resolver_set(s->device.name, cfg->dns, cfg->dns_count, &s->own, &why) == RC_OK)
        return;
    if (warn)
        warn(arg, why.text);
}

static enum rc dress(struct setup *s, const struct setup_cfg *cfg, bool first, setup_warn_fn *warn,
                     void *arg, struct diag *diag)
{
    enum rc rc = set_addresses(s, cfg, &s->own, diag);

    if (rc == RC_OK)
        rc = link_set_up(&s->nl, s->device.index, true, diag);
    if (rc == RC_OK && first)
        rc = keep_routes(s, cfg, diag);
    if (rc == RC_OK)
        rc = set_routes(s, cfg, &s->own, diag);
    if (rc == RC_OK && first)
        rc = set_guard(s, cfg, diag);
    if (rc == RC_OK)
        set_dns(s, cfg, warn, arg);
    return rc;
}

enum rc setup_open(const struct setup_cfg *cfg, struct setup *ret_s, setup_warn_fn *warn, void *arg,
                   struct diag *diag)
{
    struct setup s = {.nl.fd = -1};

    enum rc rc = netlink_open(&s.nl, cfg->device.netns, diag);
    if (rc == RC_OK)
        rc = device_open(&cfg->device, &s.device, diag);
    if (rc == RC_OK)
        rc = dress(&s, cfg, true, warn, arg, diag);
    if (rc != RC_OK) {
        setup_close(&s, warn, arg);
        return rc;
    }
    *ret_s = s;
    return RC_OK;
}

enum rc setup_reopen(struct setup *s, const struct setup_cfg *cfg, setup_warn_fn *warn, void *arg,
                     struct diag *diag)
{
    /* addresses, on-link routes and DNS went with the device; a route via a gateway may be left */
    journal_undo(&s->own, &s->nl, NULL, NULL);
    device_close(&s->device);
    enum rc rc = device_open(&cfg->device, &s->device, diag);
    if (rc == RC_OK)
        rc = dress(s, cfg, false, warn, arg, diag);
    if (rc != RC_OK) {
        journal_undo(&s->own, &s->nl, NULL, NULL);
        device_close(&s->device);
    }
    return rc;
}

enum rc setup_restore(struct setup *s, const struct setup_cfg *cfg, struct diag *diag)
{
    enum rc rc = set_addresses(s, cfg, NULL, diag);

    return rc == RC_OK ? set_routes(s, cfg, NULL, diag) : rc;
}

enum rc setup_mend(struct setup *s, const struct setup_cfg *cfg, bool *ret_any, struct diag *diag)
{
    enum rc rc = RC_OK;

    *ret_any = false;
    for (size_t i = 0; i < cfg->address_count && rc == RC_OK; i++) {
        rc = address_add(&s->nl, s->device.index, &cfg->addresses[i], NULL, diag);
        *ret_any = *ret_any || (rc == RC_OK && s->nl.err != EEXIST);
    }
    for (size_t i = 0; i < cfg->route_count && rc == RC_OK; i++) {
        struct route r = device_route(&cfg->routes[i], s->device.index);
        bool added = false;
        rc = route_add_missing(&s->nl, &r, &added, diag);
        *ret_any = *ret_any || added;
    }
    return rc;
}

void setup_close(struct setup *s, setup_warn_fn *warn, void *arg)
{
    journal_undo(&s->own, &s->nl, warn, arg);
    journal_undo(&s->around, &s->nl, warn, arg);
    device_close(&s->device);
    device_close(&s->guard);
    netlink_done(&s->nl);
}
