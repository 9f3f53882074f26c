/* app/world.c - from the checked configuration to objects. See world.h. */
#include "app/world.h"
#include "app/registry.h"
#include "chain/chain.h"
#include "chain/forwarder.h"
#include "chain/router.h"
#include "configs/check.h"
#include "core/auther.h"
#include "core/log.h"
#include <stdlib.h>
#include <string.h>

/* What one build needs at hand. */
struct builder {
    struct loop *loop;
    const struct config *cfg;
    struct world *w;
    struct diag *diag;
    struct problems problems; /* of options_fill(); config_load() has told them all before */
};

static enum rc out_of_memory(struct builder *b)
{
    return diag_set(b->diag, RC_NOMEM, "no memory for the configuration");
}

/* Fills obj by a table; the check has passed, so only memory can fail here, or a value that only
 * its type can judge. */
static enum rc fill(struct builder *b, const struct option *table, const struct value *map,
                    void *obj)
{
    if (!table || options_fill(table, map, obj, &b->problems) == RC_OK)
        return RC_OK;
    if (b->problems.n)
        return diag_set(b->diag, RC_INVALID, "%s: %s", b->problems.v[0].place,
                        b->problems.v[0].text);
    return out_of_memory(b);
}

/* A plug-in's own struct, filled. A type without options gets one byte, so that NULL means failure.
 */
static void *fill_new(struct builder *b, const struct option *table, size_t bytes,
                      const struct value *map)
{
    void *obj = calloc(1, bytes ? bytes : 1);

    if (!obj) {
        out_of_memory(b);
        return NULL;
    }
    if (fill(b, table, map, obj) == RC_OK)
        return obj;
    if (table)
        options_done(table, obj);
    free(obj);
    return NULL;
}

static const char *or_null(const char *s)
{
    return s && *s ? s : NULL;
}

static enum rc at_place(struct builder *b, const struct place *at)
{
    char place[PLACE_TEXT_MAX];
    struct diag d = *b->diag;

    place_format(at, place, sizeof place);
    b->diag->rc = RC_OK;
    return diag_set(b->diag, d.rc, "%s: %s", place, d.text);
}

/* The bypasses of a place: *ret_at is NULL where there are none. */
static enum rc bypasses_at(struct builder *b, const char *kind, const char *name,
                           const struct conf_names *names, struct rules_at **ret_at)
{
    enum rc rc = rules_bypasses_at(&b->w->rules, kind, name, names, ret_at);

    return rc == RC_OK ? RC_OK : out_of_memory(b);
}

static struct selector_cfg selector_of(const struct conf_selector *c)
{
    return (struct selector_cfg){
        .strategy = selector_strategy_parse(c->strategy, NULL),
        .max_fails = c->max_fails,
        .fail_timeout_ms = c->fail_timeout_ms,
    };
}

/* ---------------------------------------------------------------- chains */

static void warn_unverified(const struct node *n)
{
    const struct dialer_type *t = n->dialer.type;

    if (t->verifies && !t->verifies(&n->dialer))
        log_write(LOG_WARN,
                  (struct log_field[]){F_STR("kind", "node"), F_STR("node", n->name), LOG_END},
                  "node %s (%s): nobody checks that the server is the right one; set secure=true, "
                  "caFile= or "
                  "pin=sha256:...",
                  n->name, n->addr);
}

static struct node *build_node(struct builder *b, const struct conf_node *c)
{
    const struct connector_type *ct = registry_connector(c->connector.type);
    const struct dialer_type *dt = registry_dialer(c->dialer.type);
    struct tls_cfg c_tls = {0}, d_tls = {0};
    struct node_cfg nc = {
        .loop = b->loop,
        .name = c->name,
        .addr = c->addr,
        .connector = ct,
        .dialer = dt,
        .connector_tls = &c_tls,
        .dialer_tls = &d_tls,
        .user = c->connector.auth.given ? c->connector.auth.user : NULL,
        .password = c->connector.auth.given ? c->connector.auth.password : NULL,
        .so = {.interface = or_null(c->interface), .mark = c->mark, .netns = or_null(c->netns)},
        .hosts = names_hosts(&b->w->names, c->hosts),
        .nameservers = names_resolver(&b->w->names, c->resolver),
        .marker = {.max_fails = c->max_fails,
                   .fail_timeout_ms = c->fail_timeout_ms,
                   .weight = (int)c->weight,
                   .backup = c->backup},
        .proxy_protocol = c->proxy_protocol,
    };
    struct rules_at *rules;
    struct node *n = NULL;

    if (bypasses_at(b, "node", c->name, &c->bypasses, &rules) != RC_OK)
        return NULL;
    nc.bypassed = rules ? rules_bypassed : NULL;
    nc.bypassed_arg = rules;
    if (!ct || !dt) {
        diag_set(b->diag, RC_INVALID, "node %s: connector %s or dialer %s is not served", c->name,
                 c->connector.type, c->dialer.type);
        return NULL;
    }
    if (fill(b, tls_client_options, c->connector.tls, &c_tls) == RC_OK &&
        fill(b, tls_client_options, c->dialer.tls, &d_tls) == RC_OK) {
        nc.connector_cfg = fill_new(b, ct->options, ct->cfg_bytes, c->connector.metadata);
        nc.dialer_cfg =
            nc.connector_cfg ? fill_new(b, dt->options, dt->cfg_bytes, c->dialer.metadata) : NULL;
        if (nc.dialer_cfg) {
            n = node_new(&nc, b->diag);
        } else if (nc.connector_cfg) {
            if (ct->options)
                options_done(ct->options, nc.connector_cfg);
            free(nc.connector_cfg);
        }
    }
    options_done(tls_client_options, &c_tls);
    options_done(tls_client_options, &d_tls);
    if (n)
        warn_unverified(n);
    else
        at_place(b, &c->place);
    return n;
}

static struct hop *build_hop(struct builder *b, const struct conf_hop *c)
{
    struct hop_cfg hc = {.loop = b->loop, .name = c->name, .selector = selector_of(&c->selector)};
    struct rules_at *rules;
    struct hop *h;

    if (bypasses_at(b, "hop", c->name, &c->bypasses, &rules) != RC_OK)
        return NULL;
    hc.bypassed = rules ? rules_bypassed : NULL;
    hc.bypassed_arg = rules;
    h = hop_new(&hc);
    if (!h) {
        out_of_memory(b);
        return NULL;
    }
    for (size_t i = 0; i < c->n; i++) {
        struct node *n = build_node(b, &c->nodes[i]);

        if (!n || hop_add(h, n) != RC_OK) {
            diag_set(b->diag, RC_NOMEM, "hop %s: no memory", c->name); /* the count was checked */
            hop_unref(h);
            return NULL;
        }
    }
    return h;
}

/* A hop of the top-level list is shared by the chains that name it. */
static struct hop *hop_for(struct builder *b, const struct conf_hop *c)
{
    for (size_t i = 0; i < b->cfg->n_hops; i++) {
        if (&b->cfg->hops[i] != c)
            continue;
        if (!b->w->hops[i])
            b->w->hops[i] = build_hop(b, c);
        return b->w->hops[i] ? hop_ref(b->w->hops[i]) : NULL;
    }
    return build_hop(b, c);
}

static enum rc build_chain(struct builder *b, const struct conf_chain *c, struct chain **ret_c)
{
    struct chain *chain = chain_new(c->name);

    if (!chain)
        return out_of_memory(b);
    for (size_t i = 0; i < c->n; i++) {
        struct hop *h = hop_for(b, c->hops[i]);

        if (!h || chain_add(chain, h) != RC_OK) {
            diag_set(b->diag, RC_LIMIT, "chain %s: more than %d hops", c->name, CHAIN_HOPS_MAX);
            chain_unref(chain);
            return b->diag->rc;
        }
    }
    *ret_c = chain;
    return RC_OK;
}

static struct chain *chain_for(const struct builder *b, const struct conf_chain *c)
{
    return c ? b->w->chains[c - b->cfg->chains] : NULL;
}

/* ---------------------------------------------------------------- services */

static enum rc build_auther(struct builder *b, const struct conf_service *c, struct auther **ret_a)
{
    struct auther *a;
    enum rc rc = RC_OK;

    if (!c->n_authers && !c->handler.auth.given)
        return RC_OK;
    a = auther_new();
    if (!a)
        return out_of_memory(b);
    for (size_t i = 0; i < c->n_authers && rc == RC_OK; i++)
        for (size_t k = 0; k < c->authers[i]->n && rc == RC_OK; k++)
            rc = auther_add(a, c->authers[i]->users[k].user, c->authers[i]->users[k].password);
    if (!c->n_authers) {
        rc = auther_add(a, c->handler.auth.user, c->handler.auth.password);
        if (!c->handler.auth.password[0]) /* those of authers were told while reading them */
            log_warn("%s: user without password: any password is accepted", c->name);
    }
    if (rc != RC_OK) {
        auther_free(a);
        return out_of_memory(b);
    }
    *ret_a = a;
    return RC_OK;
}

static enum rc build_forwarder(struct builder *b, const struct conf_service *c,
                               struct forwarder **ret_f)
{
    struct selector_cfg sc = selector_of(&c->forwarder.selector);
    struct forwarder *f;

    if (!c->forwarder.n)
        return RC_OK;
    f = forwarder_new(b->loop, &sc);
    if (!f)
        return out_of_memory(b);
    *ret_f = f;
    for (size_t i = 0; i < c->forwarder.n; i++) {
        const struct conf_target *ct = &c->forwarder.targets[i];
        struct rules_at *rules;
        struct target t;

        if (!target_parse(ct->addr, &t) && !target_set_host(&t, ct->addr, strlen(ct->addr), 0))
            return diag_set(b->diag, RC_INVALID, "target %s: \"%s\" is no host:port", ct->name,
                            ct->addr);
        if (forwarder_add(f, ct->name, &t) != RC_OK ||
            bypasses_at(b, "target", ct->name, &ct->bypasses, &rules) != RC_OK)
            return out_of_memory(b);
        if (rules)
            forwarder_exclude(f, rules_bypassed, rules);
    }
    return RC_OK;
}

static enum rc build_parts(struct builder *b, const struct conf_service *c, struct service_parts *p)
{
    struct router_cfg rc = {
        .loop = b->loop,
        .service = c->name,
        .chain = c->options.ignore_chain ? NULL : chain_for(b, c->chain),
        .so = {.interface = or_null(c->interface), .mark = c->mark, .netns = or_null(c->netns_out)},
        .retries = (int)c->retries,
        .dial_timeout_ms = (uint32_t)c->options.dial_timeout_ms,
        .hosts = names_hosts(&b->w->names, c->hosts),
        .nameservers = names_resolver(&b->w->names, c->resolver),
    };
    const struct value *tls = c->listener.tls ? c->listener.tls : b->cfg->tls;

    p->options = &c->options;
    p->place = &c->place;
    p->mark = c->mark;
    p->name = strdup(c->name);
    p->addr = strdup(c->addr);
    if (!p->name || !p->addr)
        return out_of_memory(b);
    p->listener = registry_listener(c->listener.type);
    p->handler = registry_handler(c->handler.type);
    if (!p->listener || !p->handler)
        return diag_set(b->diag, RC_INVALID, "service %s: handler %s or listener %s is not served",
                        c->name, c->handler.type, c->listener.type);
    p->listener_cfg =
        fill_new(b, p->listener->options, p->listener->cfg_bytes, c->listener.metadata);
    p->handler_cfg = p->listener_cfg ? fill_new(b, p->handler->options, p->handler->cfg_bytes,
                                                c->handler.metadata)
                                     : NULL;
    if (!p->handler_cfg || fill(b, tls_server_options, tls, &p->listener_tls) != RC_OK ||
        fill(b, tls_server_options, c->handler.tls ? c->handler.tls : b->cfg->tls,
             &p->handler_tls) != RC_OK ||
        build_auther(b, c, &p->auther) != RC_OK || build_forwarder(b, c, &p->forwarder) != RC_OK)
        return b->diag->rc;
    if (bypasses_at(b, "service", c->name, &c->bypasses, &p->bypasses) != RC_OK)
        return b->diag->rc;
    if (rules_admissions_at(&b->w->rules, "service", c->name, &c->admissions, &p->admissions) !=
        RC_OK)
        return out_of_memory(b);
    p->router = router_new(&rc);
    return p->router ? RC_OK : out_of_memory(b);
}

static enum rc build_service(struct builder *b, const struct conf_service *c,
                             struct service **ret_s)
{
    struct service_parts p = {0};

    if (build_parts(b, c, &p) != RC_OK) {
        service_parts_done(&p);
        return at_place(b, &c->place);
    }
    *ret_s = service_new(b->loop, &p);
    return *ret_s ? RC_OK : out_of_memory(b);
}

enum rc world_build(struct loop *loop, const struct config *cfg, struct world *w, struct diag *diag)
{
    struct builder b = {.loop = loop, .cfg = cfg, .w = w, .diag = diag};
    enum rc rc = RC_OK;

    *w = (struct world){.loop = loop,
                        .n_services = cfg->n_services,
                        .n_chains = cfg->n_chains,
                        .n_hops = cfg->n_hops};
    w->services = calloc(cfg->n_services + 1, sizeof(*w->services));
    w->chains = calloc(cfg->n_chains + 1, sizeof(*w->chains));
    w->hops = calloc(cfg->n_hops + 1, sizeof(*w->hops));
    if (!w->services || !w->chains || !w->hops) {
        rc = out_of_memory(&b);
        w->n_services = w->n_chains = w->n_hops = 0;
    }
    if (rc == RC_OK)
        rc = names_build(&w->names, cfg, diag);
    if (rc == RC_OK)
        rc = rules_build(&w->rules, loop, cfg, diag);
    for (size_t i = 0; i < w->n_chains && rc == RC_OK; i++)
        rc = build_chain(&b, &cfg->chains[i], &w->chains[i]);
    if (rc == RC_OK)
        names_set_chains(&w->names, w->chains);
    for (size_t i = 0; i < w->n_services && rc == RC_OK; i++)
        rc = build_service(&b, &cfg->services[i], &w->services[i]);
    problems_done(&b.problems);
    if (rc != RC_OK)
        world_done(w);
    return rc;
}

void world_done(struct world *w)
{
    for (size_t i = w->n_services; i-- > 0;)
        service_free(w->services[i]);
    names_done(&w->names);
    for (size_t i = 0; i < w->n_chains; i++)
        chain_unref(w->chains[i]);
    for (size_t i = 0; i < w->n_hops; i++)
        hop_unref(w->hops[i]);
    rules_done(&w->rules);
    free(w->services);
    free(w->chains);
    free(w->hops);
    *w = (struct world){0};
}
