/* bypass/admission.c - see admission.h. */
#include "bypass/admission.h"
#include "bypass/matcher.h"
#include "core/addr.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct admission {
    char *name, *place;
    bool whitelist;
    struct source *source;
};

struct admission *admission_new(const struct admission_cfg *cfg)
{
    struct admission *a = calloc(1, sizeof *a);
    struct source_cfg source = cfg->source;

    if (!a)
        return NULL;
    source.addrs_only = true;
    a->name = strdup(cfg->name ? cfg->name : "");
    a->place = strdup(cfg->place ? cfg->place : "");
    a->whitelist = cfg->whitelist;
    if (a->name && a->place)
        a->source = source_new(&source);
    if (a->source)
        return a;
    admission_free(a);
    return NULL;
}

void admission_free(struct admission *a)
{
    if (!a)
        return;
    source_free(a->source);
    free(a->name);
    free(a->place);
    free(a);
}

static bool is_listed(const struct admission *a, const struct addr *client, uint32_t *ret_rule)
{
    struct target t;

    target_from_addr(&t, client);
    return matcher_has(source_list(a->source), &t, ret_rule);
}

bool admission_has(const struct admission *a, const struct addr *client)
{
    return client->family == 0 || is_listed(a, client, NULL) == a->whitelist;
}

const char *admission_why(const struct admission *a, const struct addr *client, char *buf,
                          size_t cap)
{
    char text[512];
    uint32_t rule;
    bool known = *a->place != 0;

    if (client->family != 0 && is_listed(a, client, &rule))
        (void)snprintf(buf, cap, "admission %s, %s", a->name,
                       source_rule(a->source, rule, text, sizeof text));
    else
        (void)snprintf(buf, cap, "admission %s, not in its list%s%s%s", a->name, known ? " (" : "",
                       a->place, known ? ")" : "");
    return buf;
}
