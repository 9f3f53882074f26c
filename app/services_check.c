/* app/services_check.c - see services_check.h. */
#include "app/services_check.h"
#include "app/collisions.h"
#include "app/registry.h"
#include "chain/chain.h"
#include "chain/forwarder.h"
#include "chain/nameserver.h"
#include "chain/selector.h"
#include "configs/check.h"
#include "configs/model.h"
#include "configs/problem.h"
#include "configs/url.h"
#include "core/floor/tls.h"
#include "core/log.h"
#include "handlers/handler.h"
#include "listeners/listener.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words))
        words++;
    return *words != NULL;
}

/* A struct by its table; the values themselves were checked while loading. NULL: no memory. */
static void *filled(const struct option *table, size_t bytes, const struct value *map)
{
    struct problems told = {0};
    void *obj = calloc(1, bytes ? bytes : 1);

    if (obj && table)
        (void)options_fill(table, map, obj, &told);
    problems_done(&told);
    return obj;
}

/* ---------------------------------------------------------------- one service */

static void check_device(const struct conf_service *c, const struct listener_type *l,
                         struct problems *p)
{
    struct listener_plan plan = {.n_routes = 0};
    struct diag diag = {0};
    void *cfg = filled(l->options, l->cfg_bytes, c->listener.metadata);

    if (cfg && l->plan(cfg, &plan, &diag) != RC_OK)
        problems_add(p, PROBLEM_REFUSE, &c->listener.place, "%s", diag.text);
    free(plan.routes);
    if (cfg && l->options)
        options_done(l->options, cfg);
    free(cfg);
}

static void check_addr(const struct conf_service *c, const struct listener_type *l,
                       struct problems *p)
{
    struct target t;
    char shown[96];

    if (!l->plan && !target_parse(c->addr, &t))
        problems_add(p, PROBLEM_REFUSE, &c->place, "service %s: addr %s is not [host]:port%s",
                     c->name, url_shown(c->addr, shown, sizeof shown), url_hint(c->addr));
}

/* Clients of one kind, a handler for the other: nobody would ever be served. */
static void check_pair(const struct conf_service *c, const struct listener_type *l,
                       const struct handler_type *h, struct problems *p)
{
    bool is_udp = !strcmp(l->name, "udp"), is_device = l->tungo != NULL;
    bool wants_device = !strcmp(h->name, "tungo");

    if (is_device != wants_device)
        problems_add(p, PROBLEM_REFUSE, &c->handler.place,
                     "handler tungo and listener tungo go together, not handler %s and listener %s",
                     h->name, l->name);
    else if (is_udp && !h->serve_dgram)
        problems_add(p, PROBLEM_REFUSE, &c->handler.place,
                     "handler %s can't serve listener udp: it needs connections, such as of "
                     "listener tcp",
                     h->name);
}

/* Does the way end at a node that has a target of its own for who names none (wire-protocols 1.9)?
 */
static bool ends_at_forwarder(const struct conf_service *c)
{
    static const char *const connectors[] = {"relay", "forward", "tcp", NULL};
    const struct conf_chain *chain = c->options.ignore_chain ? NULL : c->chain;
    const struct conf_hop *last = chain && chain->n > 0 ? chain->hops[chain->n - 1] : NULL;

    for (size_t i = 0; last && i < last->n; i++)
        if (is_one_of(last->nodes[i].connector.type, connectors))
            return true;
    return false;
}

static void check_targets(const struct conf_service *c, const struct handler_type *h,
                          struct problems *p)
{
    static const char *const forwarders[] = {"tcp", "udp", "forward", NULL};
    static const char *const users[] = {"tcp", "udp", "forward", "relay", "dns", NULL};
    bool forwards = is_one_of(h->name, forwarders);

    if (c->forwarder.n && !is_one_of(h->name, users))
        problems_add(p, PROBLEM_WARNING, &c->place, "forwarder has no effect with handler %s",
                     h->name);
    if (!c->forwarder.n && forwards && !ends_at_forwarder(c))
        problems_add(p, PROBLEM_ERROR, &c->place,
                     "service %s has no target: each client is closed; -L %s://%s/host:port, or "
                     "forwarder nodes",
                     c->name, h->name, c->addr);
    for (size_t i = 0; i < c->forwarder.n && (forwards || !strcmp(h->name, "relay")); i++) {
        const struct conf_target *t = &c->forwarder.targets[i];
        size_t len = strlen(t->addr);
        struct target parsed;

        if (len > 2 && !strcmp(t->addr + len - 2, ":0"))
            problems_add(p, PROBLEM_ERROR, &c->place, "target %s (%.*s) has no port", t->name,
                         (int)(len - 2), t->addr);
        else if (!target_parse(t->addr, &parsed))
            problems_add(p, PROBLEM_ERROR, &c->place,
                         "target %s (%.100s) is not host:port; an IPv6 address is [address]:port",
                         t->name, t->addr);
    }
}

/* Only where files or pins are given: nothing is generated here. */
static void check_tls(const struct option *table, const struct value *tls, const struct place *at,
                      struct problems *p)
{
    struct tls_cfg *cfg = filled(table, sizeof *cfg, tls);
    struct tls_ctx *ctx = NULL;
    struct diag diag = {0};
    enum rc rc = RC_OK;

    if (cfg && table == tls_client_options)
        rc = tls_client_new(cfg, &ctx, &diag);
    else if (cfg && cfg->cert_file)
        rc = tls_server_new(cfg, &ctx, &diag);
    if (rc != RC_OK)
        problems_add(p, PROBLEM_REFUSE, at, "tls: %s", diag.text);
    tls_ctx_unref(ctx);
    if (cfg)
        options_done(table, cfg);
    free(cfg);
}

static bool has_tls(const char *type)
{
    return !strcmp(type, "tls") || !strcmp(type, "wss");
}

static void check_nodes(const struct conf_hop *h, struct problems *p)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct conf_plugin *d = &h->nodes[i].dialer;

        if (d->tls && has_tls(d->type))
            check_tls(tls_client_options, d->tls, &d->place, p);
    }
}

/* Datagrams and packets have no first bytes of a connection. */
static void check_announced(const struct conf_service *c, const struct listener_type *l,
                            struct problems *p)
{
    const struct value *mode = value_find(c->listener.metadata, "mode"), *v;
    bool is_dns_udp =
        !strcmp(l->name, "dns") && (!mode || !mode->text || !strcasecmp(mode->text, "udp"));

    if (c->options.proxy_protocol > 0 && (l->tungo || !strcmp(l->name, "udp") || is_dns_udp))
        problems_add(p, PROBLEM_WARNING, &c->place,
                     "proxyProtocol of service %s has no effect with listener %s: there are no "
                     "connections",
                     c->name, l->name);
    v = value_find(c->handler.metadata, "proxyProtocol");
    if (v && !strcmp(l->name, "udp"))
        problems_add(p, PROBLEM_WARNING, &v->place,
                     "proxyProtocol of handler %s has no effect with listener udp: datagrams carry "
                     "no header",
                     c->handler.type);
}

static void check_service(const struct config *cfg, const struct conf_service *c, bool thorough,
                          struct problems *p)
{
    const struct listener_type *l = registry_listener(c->listener.type);
    const struct handler_type *h = registry_handler(c->handler.type);
    const struct value *tls = c->listener.tls ? c->listener.tls : cfg->tls;

    if (!l || !h)
        return;
    check_addr(c, l, p);
    check_pair(c, l, h, p);
    check_targets(c, h, p);
    check_announced(c, l, p);
    if (l->plan)
        check_device(c, l, p);
    if (thorough && tls && has_tls(l->name))
        check_tls(tls_server_options, tls, &c->listener.place, p);
    if (thorough && c->handler.tls)
        check_tls(tls_server_options, c->handler.tls, &c->handler.place, p);
}

/* ---------------------------------------------------------------- names and words */

static void check_nameservers(const struct conf_resolver *c, struct problems *p)
{
    struct nameservers *list = nameservers_new();

    for (size_t i = 0; list && i < c->n; i++) {
        struct nameserver_cfg nc = {.addr = c->servers[i].addr, .hostname = c->servers[i].hostname};
        struct diag diag = {0};

        if (nameservers_add(list, &nc, &diag) != RC_OK)
            problems_add(p, PROBLEM_ERROR, &c->servers[i].place, "%s: it is left out", diag.text);
        else if (list->v[list->n - 1].guessed)
            problems_add(p, PROBLEM_WARNING, &c->servers[i].place,
                         "nameserver %.80s: this scheme is unknown, it is asked over udp; there "
                         "are udp, tcp, tls and https",
                         nc.addr);
    }
    nameservers_unref(list);
}

static void check_hosts(const struct conf_hosts *c, struct problems *p)
{
    if (*c->file && access(c->file, R_OK))
        problems_add(p, PROBLEM_ERROR, NULL, "hosts %s: cannot read %s: %s", c->name, c->file,
                     strerror(errno));
}

static const struct place *log_place(const struct config *cfg, const char *key)
{
    const struct value *log = value_get(cfg->root, "log"), *at = log ? value_get(log, key) : NULL;

    return at ? &at->place : NULL;
}

static void check_output(const struct config *cfg, struct problems *p)
{
    struct diag diag = {0};

    if (log_check_output(cfg->log.output, &diag) != RC_OK)
        problems_add(p, PROBLEM_REFUSE, log_place(cfg, "output"), "log output: %s", diag.text);
}

static void check_word(const struct config *cfg, const char *key, const char *word,
                       const char *const *known, const char *used, struct problems *p)
{
    struct nearest n;
    char hint[80];

    if (!*word || is_one_of(word, known))
        return;
    nearest_init(&n, word);
    for (size_t i = 0; known[i]; i++)
        nearest_try(&n, known[i]);
    problems_add(p, PROBLEM_WARNING, log_place(cfg, key), "log %s \"%.20s\" is unknown, using %s%s",
                 key, word, used, nearest_hint(&n, hint, sizeof hint));
}

static void check_strategy(const struct conf_selector *s, const struct place *at,
                           struct problems *p)
{
    bool known;

    (void)selector_strategy_parse(s->strategy, &known);
    if (!known)
        problems_add(
            p, PROBLEM_WARNING, at,
            "strategy \"%.40s\" is unknown, using round; there are round, random, fifo and "
            "hash",
            s->strategy);
}

/* Caps that the start would run into. */
static void check_counts(const struct config *cfg, struct problems *p)
{
    for (size_t i = 0; i < cfg->n_services; i++)
        if (cfg->services[i].forwarder.n > FORWARDER_TARGETS_MAX)
            problems_add(p, PROBLEM_REFUSE, &cfg->services[i].place,
                         "service %s: more than %d targets", cfg->services[i].name,
                         FORWARDER_TARGETS_MAX);
    for (size_t i = 0; i < cfg->n_chains; i++) {
        const struct conf_chain *c = &cfg->chains[i];

        if (c->n > CHAIN_HOPS_MAX)
            problems_add(p, PROBLEM_REFUSE, &c->place, "chain %s: more than %d hops", c->name,
                         CHAIN_HOPS_MAX);
        for (size_t k = 0; k < c->n; k++)
            if (c->hops[k]->n > HOP_NODES_MAX)
                problems_add(p, PROBLEM_REFUSE, &c->hops[k]->place, "hop %s: more than %d nodes",
                             c->hops[k]->name, HOP_NODES_MAX);
    }
}

static void check_strategies(const struct config *cfg, struct problems *p)
{
    for (size_t i = 0; i < cfg->n_services; i++)
        check_strategy(&cfg->services[i].forwarder.selector, &cfg->services[i].place, p);
    for (size_t i = 0; i < cfg->n_chains; i++)
        for (size_t k = 0; k < cfg->chains[i].n; k++)
            check_strategy(&cfg->chains[i].hops[k]->selector, &cfg->chains[i].hops[k]->place, p);
}

bool services_check(const struct config *cfg, bool thorough, struct problems *p)
{
    static const char *const levels[] = {"trace",   "debug", "info",  "warn",
                                         "warning", "error", "fatal", NULL};
    static const char *const formats[] = {"json", "text", NULL};
    size_t before = p->n;
    bool ok = !p->nomem;

    check_word(cfg, "level", cfg->log.level, levels, "info", p);
    check_word(cfg, "format", cfg->log.format, formats, "json", p);
    for (size_t i = 0; i < cfg->n_services; i++)
        check_service(cfg, &cfg->services[i], thorough, p);
    if (thorough) {
        check_output(cfg, p);
        collisions_check(cfg, p);
    }
    check_counts(cfg, p);
    check_strategies(cfg, p);
    for (size_t i = 0; thorough && i < cfg->n_chains; i++)
        for (size_t k = 0; k < cfg->chains[i].n; k++)
            check_nodes(cfg->chains[i].hops[k], p);
    for (size_t i = 0; i < cfg->n_hosts; i++)
        check_hosts(&cfg->hosts[i], p);
    for (size_t i = 0; thorough && i < cfg->n_resolvers; i++)
        check_nameservers(&cfg->resolvers[i], p);
    for (size_t i = before; i < p->n; i++)
        ok = ok && p->v[i].severity == PROBLEM_WARNING;
    return ok;
}
