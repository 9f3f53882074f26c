/* app/names.c - see names.h. */
#include "app/names.h"
#include "chain/chain.h"
#include "chain/hosts_table.h"
#include "chain/nameserver.h"
#include "configs/model.h"
#include "configs/problem.h"
#include "core/addr.h"
#include "core/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(enum log_level level, const struct conf_nameserver *c, const char *text)
{
    char place[PLACE_TEXT_MAX];

    place_format(&c->place, place, sizeof place);
    log_write(level, (struct log_field[]){F_STR("kind", "resolver"), LOG_END}, "%s: %s", place,
              text);
}

static enum rc add_server(struct nameservers *to, const struct conf_nameserver *c,
                          struct diag *diag)
{
    struct diag why = {.rc = RC_OK};
    struct nameserver_cfg nc = {.addr = c->addr,
                                .hostname = c->hostname,
                                .ttl_ms = c->ttl_ms,
                                .timeout_ms = c->timeout_ms,
                                .prefer_ipv6 = c->prefer_ipv6,
                                .v4_only = c->v4_only,
                                .v6_only = c->v6_only,
                                .subnet = c->subnet};
    enum rc rc = nameservers_add(to, &nc, &why);

    if (rc == RC_INVALID || rc == RC_LIMIT) {
        tell(LOG_ERROR, c, why.text);
        return RC_OK;
    }
    if (rc != RC_OK) {
        char place[PLACE_TEXT_MAX];

        place_format(&c->place, place, sizeof place);
        return diag_set(diag, rc, "%s: nameserver %s: %s", place, c->addr, why.text);
    }
    if (to->v[to->n - 1].guessed)
        tell(LOG_WARN, c,
             "this scheme is unknown: the nameserver is asked over udp; there are udp, "
             "tcp, tls and https");
    if (!nameserver_is_checked(&to->v[to->n - 1]))
        tell(LOG_WARN, c, "nobody checks that this nameserver is the right one; set its hostname");
    return RC_OK;
}

static void on_news(void *arg, const struct nameserver *s, enum nameserver_news news)
{
    const struct conf_resolver *c = arg;
    char text[240];

    log_write(LOG_WARN,
              (struct log_field[]){F_STR("kind", "resolver"), F_STR("resolver", c->name), LOG_END},
              "%s", nameserver_news_text(s, news, text, sizeof text));
}

static enum rc build_resolver(struct conf_resolver *c, struct nameservers **ret_s,
                              struct diag *diag)
{
    *ret_s = nameservers_new();
    if (!*ret_s)
        return diag_set(diag, RC_NOMEM, "no memory for resolver %s", c->name);
    (*ret_s)->tell = on_news;
    (*ret_s)->tell_arg = c;
    for (size_t i = 0; i < c->n; i++) {
        enum rc rc = add_server(*ret_s, &c->servers[i], diag);

        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc build_hosts(const struct conf_hosts *c, struct hosts_table **ret_h,
                           struct diag *diag)
{
    *ret_h = hosts_table_new(c->file);
    for (size_t i = 0; *ret_h && i < c->n; i++) {
        if (hosts_table_add(*ret_h, c->mappings[i].name, &c->mappings[i].addr) != RC_OK)
            return diag_set(diag, RC_NOMEM, "no memory for hosts %s", c->name);
    }
    return *ret_h ? RC_OK : diag_set(diag, RC_NOMEM, "no memory for hosts %s", c->name);
}

enum rc names_build(struct names *n, const struct config *cfg, struct diag *diag)
{
    enum rc rc = RC_OK;

    *n = (struct names){.cfg = cfg};
    n->resolvers = calloc(cfg->n_resolvers + 1, sizeof(struct nameservers *));
    n->hosts = calloc(cfg->n_hosts + 1, sizeof(struct hosts_table *));
    if (!n->resolvers || !n->hosts)
        return diag_set(diag, RC_NOMEM, "no memory for the configuration");
    n->n_resolvers = cfg->n_resolvers;
    n->n_hosts = cfg->n_hosts;
    for (size_t i = 0; i < n->n_resolvers && rc == RC_OK; i++)
        rc = build_resolver(&cfg->resolvers[i], &n->resolvers[i], diag);
    for (size_t i = 0; i < n->n_hosts && rc == RC_OK; i++)
        rc = build_hosts(&cfg->hosts[i], &n->hosts[i], diag);
    return rc;
}

/* ---------------------------------------------------------------- loops */

/* Does a node of the chain need this resolver for its own address? Then neither ever gets one. */
static const struct conf_node *find_loop(const struct conf_chain *c, const char *resolver)
{
    struct target t;

    for (size_t i = 0; c && i < c->n; i++) {
        const struct conf_hop *h = c->hops[i];

        for (size_t k = 0; k < h->n; k++)
            if (h->nodes[k].resolver && !strcmp(h->nodes[k].resolver, resolver) &&
                !(h->nodes[k].hosts && *h->nodes[k].hosts) && /* which may know it */
                target_parse(h->nodes[k].addr, &t) && target_is_name(&t))
                return &h->nodes[k];
    }
    return NULL;
}

/* false: there is none. */
static bool loop_text(const struct conf_nameserver *c, const char *resolver, char *text, size_t cap)
{
    const struct conf_node *n = find_loop(c->chain, resolver);

    if (n)
        (void)snprintf(text, cap,
                       "nameserver %.60s is asked by the chain whose node %.40s has its address "
                       "from this resolver: a loop. Give the node an IP address, hosts or another "
                       "resolver",
                       c->addr, n->name);
    return n != NULL;
}

static void set_chain(struct nameserver *s, const struct conf_nameserver *c, struct chain *chain,
                      const char *resolver)
{
    char text[300];

    s->chain = chain;
    if (loop_text(c, resolver, text, sizeof text))
        tell(LOG_ERROR, c, text);
}

bool names_check(const struct config *cfg, struct problems *p)
{
    char text[300];
    bool ok = true;

    for (size_t i = 0; i < cfg->n_resolvers; i++) {
        const struct conf_resolver *r = &cfg->resolvers[i];

        for (size_t k = 0; k < r->n; k++) {
            if (!loop_text(&r->servers[k], r->name, text, sizeof text))
                continue;
            problems_add(p, PROBLEM_ERROR, &r->servers[k].place, "%s", text);
            ok = false;
        }
    }
    return ok;
}

void names_set_chains(struct names *n, struct chain *const *chains)
{
    for (size_t i = 0; i < n->n_resolvers; i++) {
        const struct conf_resolver *c = &n->cfg->resolvers[i];
        int at = 0;

        /* those that were left out don't match: the order is the same */
        for (size_t k = 0; k < c->n && at < n->resolvers[i]->n; k++) {
            struct nameserver *s = &n->resolvers[i]->v[at];

            if (strcmp(s->text, c->servers[k].addr) != 0)
                continue;
            if (c->servers[k].chain)
                set_chain(s, &c->servers[k], chains[c->servers[k].chain - n->cfg->chains], c->name);
            at++;
        }
    }
}

void names_done(struct names *n)
{
    for (size_t i = 0; i < n->n_resolvers; i++) {
        if (n->resolvers[i])
            nameservers_stop(n->resolvers[i]);
        nameservers_unref(n->resolvers[i]);
    }
    for (size_t i = 0; i < n->n_hosts; i++)
        hosts_table_unref(n->hosts[i]);
    free(n->resolvers);
    free(n->hosts);
    *n = (struct names){0};
}

struct nameservers *names_resolver(const struct names *n, const char *name)
{
    for (size_t i = 0; *name && i < n->n_resolvers; i++)
        if (strcmp(n->cfg->resolvers[i].name, name) == 0)
            return n->resolvers[i];
    return NULL;
}

struct hosts_table *names_hosts(const struct names *n, const char *name)
{
    for (size_t i = 0; *name && i < n->n_hosts; i++)
        if (strcmp(n->cfg->hosts[i].name, name) == 0)
            return n->hosts[i];
    return NULL;
}
