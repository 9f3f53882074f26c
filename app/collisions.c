/* app/collisions.c - see collisions.h. */
#include "app/collisions.h"
#include "app/registry.h"
#include "configs/check.h"
#include "configs/model.h"
#include "configs/problem.h"
#include "core/addr.h"
#include "listeners/listener.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { KIND_NONE, KIND_TCP, KIND_UDP, KIND_DEVICE };

/* What a service asks the machine for. */
struct claim {
    const struct conf_service *service;
    enum kind kind;
    struct target at;     /* KIND_TCP, KIND_UDP */
    bool dual, reuseport; /* dual: both families */
    char device[16];      /* KIND_DEVICE */
};

static const void *option_at(const struct listener_type *l, const void *cfg, const char *key)
{
    for (const struct option *o = l->options; o && o->key; o++)
        if (!strcmp(o->key, key))
            return (const char *)cfg + o->offset;
    return NULL;
}

static void claim_device(const struct listener_type *l, const void *cfg, struct claim *c)
{
    struct listener_plan plan = {.n_routes = 0};
    struct diag diag = {0};

    if (l->plan(cfg, &plan, &diag) == RC_OK && plan.device) {
        c->kind = KIND_DEVICE;
        snprintf(c->device, sizeof c->device, "%.15s", plan.device);
    }
    free(plan.routes);
}

static void claim_port(const struct listener_type *l, const void *cfg, struct claim *c)
{
    const char *text = c->service->addr;
    const bool *reuseport = option_at(l, cfg, "reuseport");
    const struct value *mode = value_find(c->service->listener.metadata, "mode");
    bool is_udp =
        !strcmp(l->name, "udp") ||
        (!strcmp(l->name, "dns") && (!mode || !mode->text || !strcasecmp(mode->text, "udp")));

    if (!target_parse(text, &c->at) || c->at.addr.port == 0) /* 0: any port that is free */
        return;
    c->kind = is_udp ? KIND_UDP : KIND_TCP;
    c->dual = (text[0] == ':' || text[0] == '[') && !target_is_name(&c->at) &&
              (c->at.addr.family == 0 || addr_is_wildcard(&c->at.addr));
    c->reuseport = reuseport && *reuseport;
}

static struct claim claim_of(const struct conf_service *s)
{
    const struct listener_type *l = registry_listener(s->listener.type);
    struct claim c = {.service = s, .kind = KIND_NONE};
    struct problems told = {0};
    void *cfg = l ? calloc(1, l->cfg_bytes ? l->cfg_bytes : 1) : NULL;

    if (cfg &&
        (!l->options || options_fill(l->options, s->listener.metadata, cfg, &told) == RC_OK)) {
        if (l->plan)
            claim_device(l, cfg, &c);
        else
            claim_port(l, cfg, &c);
    }
    if (cfg && l->options)
        options_done(l->options, cfg);
    free(cfg);
    problems_done(&told);
    return c;
}

static bool is_any(const struct claim *c)
{
    return !target_is_name(&c->at) && (c->at.addr.family == 0 || addr_is_wildcard(&c->at.addr));
}

static bool is_ipv4(const struct claim *c) /* a name is looked up as IPv4 */
{
    return target_is_name(&c->at) || c->at.addr.family == AF_INET;
}

static bool ports_collide(const struct claim *a, const struct claim *b)
{
    if (a->reuseport && b->reuseport)
        return false;
    if (a->dual || b->dual)
        return true;
    if (is_ipv4(a) != is_ipv4(b))
        return false;
    if (is_any(a) || is_any(b))
        return true;
    if (target_is_name(&a->at) || target_is_name(&b->at))
        return target_is_name(&a->at) && target_is_name(&b->at) &&
               !strcasecmp(a->at.name, b->at.name);
    return addr_equal(&a->at.addr, &b->at.addr);
}

static bool collide(const struct claim *a, const struct claim *b)
{
    const char *a_net = a->service->options.netns, *b_net = b->service->options.netns;

    if (strcmp(a_net ? a_net : "", b_net ? b_net : ""))
        return false;
    return a->kind == KIND_DEVICE ? !strcmp(a->device, b->device) : ports_collide(a, b);
}

static uint32_t group_of(const struct claim *c)
{
    return (uint32_t)c->kind << 16 | (c->kind == KIND_DEVICE ? 0u : c->at.addr.port);
}

/* By what can collide at all, within it as in the configuration. */
static int by_group(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;

    if (group_of(a) != group_of(b))
        return group_of(a) < group_of(b) ? -1 : 1;
    return a->service < b->service ? -1 : a->service > b->service;
}

static void tell(const struct claim *c, const struct claim *before, struct problems *p)
{
    const struct conf_service *s = c->service, *first = before->service;
    char place[PLACE_TEXT_MAX];

    place_format(&first->place, place, sizeof place);
    if (c->kind == KIND_DEVICE)
        problems_add(p, PROBLEM_REFUSE, &s->place,
                     "service %s: device %s is that of service %s (%s): give it another name",
                     s->name, c->device, first->name, place);
    else
        problems_add(p, PROBLEM_REFUSE, &s->place,
                     "service %s: %s port %u is that of service %s (%s)", s->name,
                     c->kind == KIND_TCP ? "TCP" : "UDP", c->at.addr.port, first->name, place);
}

void collisions_check(const struct config *cfg, struct problems *p)
{
    struct claim *v = calloc(cfg->n_services + 1, sizeof *v);

    if (!v) {
        p->nomem = true;
        return;
    }
    for (size_t i = 0; i < cfg->n_services; i++)
        v[i] = claim_of(&cfg->services[i]);
    qsort(v, cfg->n_services, sizeof *v, by_group);
    for (size_t i = 0; i < cfg->n_services; i++) {
        for (size_t k = i; v[i].kind != KIND_NONE && k-- > 0;) {
            if (group_of(&v[k]) != group_of(&v[i]))
                break;
            if (collide(&v[k], &v[i])) {
                tell(&v[i], &v[k], p);
                break;
            }
        }
    }
    free(v);
}
