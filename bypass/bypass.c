/* bypass/bypass.c - see bypass.h. */
#include "bypass/bypass.h"
#include "bypass/matcher.h"
#include "core/addr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bypass {
    char *name, *network;
    bool whitelist;
    struct source *source;
};

struct bypass *bypass_new(const struct bypass_cfg *cfg)
{
    struct bypass *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->name = strdup(cfg->name ? cfg->name : "");
    b->network = strdup(cfg->network ? cfg->network : "");
    b->whitelist = cfg->whitelist;
    if (b->name && b->network)
        b->source = source_new(&cfg->source);
    if (b->source)
        return b;
    bypass_free(b);
    return NULL;
}

void bypass_free(struct bypass *b)
{
    if (!b)
        return;
    source_free(b->source);
    free(b->name);
    free(b->network);
    free(b);
}

const char *bypass_name(const struct bypass *b)
{
    return b->name;
}

bool bypass_has(const struct bypass *b, const char *network, const struct target *t,
                struct bypass_hit *ret_hit)
{
    const struct matcher *list = source_list(b->source);
    struct bypass_hit hit = {.by = b};
    bool bypassed;

    if ((!target_is_name(t) && t->addr.family == 0) ||
        (*b->network && strcmp(b->network, network) != 0))
        return false;
    if (matcher_count(list) == 0) {
        bypassed = *b->network && !b->whitelist; /* all of that network */
    } else {
        hit.listed = matcher_has(list, t, &hit.rule);
        bypassed = hit.listed != b->whitelist;
    }
    if (bypassed && ret_hit)
        *ret_hit = hit;
    return bypassed;
}

bool bypass_group_has(const struct bypass_group *g, const char *network, const struct target *t,
                      struct bypass_hit *ret_hit)
{
    struct bypass_hit hit = {.by = NULL};
    bool any = false, all = true;

    for (size_t i = 0; i < g->n && all; i++) {
        if (!g->v[i]->whitelist)
            continue;
        any = true;
        all = bypass_has(g->v[i], network, t, &hit);
    }
    bool bypassed = any && all;
    for (size_t i = 0; i < g->n && !bypassed; i++)
        bypassed = !g->v[i]->whitelist && bypass_has(g->v[i], network, t, &hit);
    if (ret_hit)
        *ret_hit = bypassed ? hit : (struct bypass_hit){.by = NULL};
    return bypassed;
}

const char *bypass_hit_format(const struct bypass_hit *hit, char *buf, size_t cap)
{
    char rule[256];

    if (!hit->by)
        (void)snprintf(buf, cap, "no bypass");
    else if (hit->listed)
        (void)snprintf(buf, cap, "bypass %s, %s", hit->by->name,
                       source_rule(hit->by->source, hit->rule, rule, sizeof rule));
    else
        (void)snprintf(buf, cap, "bypass %s, %s", hit->by->name,
                       hit->by->whitelist ? "not in its whitelist" : "all of its network");
    return buf;
}
