/* bypass/bypass.c - see bypass.h. */
#include "bypass/bypass.h"
#include "bypass/matcher.h"
#include "core/addr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bypass {
    char *name, *place, *network;
    bool whitelist;
    struct source *source;
};

struct bypass *bypass_new(const struct bypass_cfg *cfg)
{
    struct bypass *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->name = strdup(cfg->name ? cfg->name : "");
    b->place = strdup(cfg->place ? cfg->place : "");
    b->network = strdup(cfg->network ? cfg->network : "");
    b->whitelist = cfg->whitelist;
    if (b->name && b->place && b->network)
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
    free(b->place);
    free(b->network);
    free(b);
}

/* May it say anything at all? */
static bool is_asked(const struct bypass *b, const char *network, const struct target *t)
{
    return (target_is_name(t) || t->addr.family != 0) &&
           (!*b->network || strcmp(b->network, network) == 0);
}

bool bypass_has(const struct bypass *b, const char *network, const struct target *t,
                struct bypass_hit *ret_hit)
{
    const struct matcher *list = source_list(b->source);
    struct bypass_hit hit = {.bypassed = false};

    if (is_asked(b, network, t)) {
        if (matcher_count(list) == 0) {
            hit.bypassed = *b->network && !b->whitelist; /* all of that network */
        } else {
            hit.listed = matcher_has(list, t, &hit.rule);
            hit.bypassed = hit.listed != b->whitelist;
        }
    }
    if (hit.bypassed || hit.listed)
        hit.by = b;
    if (ret_hit)
        *ret_hit = hit;
    return hit.bypassed;
}

bool bypass_group_has(const struct bypass_group *g, const char *network, const struct target *t,
                      struct bypass_hit *ret_hit)
{
    struct bypass_hit white = {.bypassed = false}, black = {.bypassed = false};

    for (size_t i = 0, n = 0; i < g->n && (n == 0 || white.bypassed); i++) {
        if (!g->v[i]->whitelist)
            continue;
        n++;
        (void)bypass_has(g->v[i], network, t, &white);
    }
    for (size_t i = 0; i < g->n && !white.bypassed && !black.bypassed; i++)
        if (!g->v[i]->whitelist)
            (void)bypass_has(g->v[i], network, t, &black);
    if (ret_hit)
        *ret_hit = black.bypassed ? black : white;
    return black.bypassed || white.bypassed;
}

const char *bypass_hit_format(const struct bypass_hit *hit, char *buf, size_t cap)
{
    const struct bypass *b = hit->by;
    char rule[512];

    if (!b) {
        (void)snprintf(buf, cap, "no rule matches");
    } else if (hit->listed) {
        (void)snprintf(buf, cap, "bypass %s, %s", b->name,
                       source_rule(b->source, hit->rule, rule, sizeof rule));
    } else {
        bool known = *b->place != 0;
        (void)snprintf(buf, cap, "bypass %s, %s%s%s%s", b->name,
                       b->whitelist ? "not in its whitelist" : "all of its network",
                       known ? " (" : "", b->place, known ? ")" : "");
    }
    return buf;
}
