/* bypass/admission.c - see admission.h. */
#include "bypass/admission.h"
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include <stdlib.h>
#include <string.h>

struct admission {
    char *name;
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
    a->whitelist = cfg->whitelist;
    if (a->name)
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
    free(a);
}

const char *admission_name(const struct admission *a)
{
    return a->name;
}

bool admission_pattern_ok(const char *text)
{
    struct pattern p;

    pattern_parse(text, strlen(text), &p);
    return p.kind == PATTERN_ADDRS;
}

bool admission_has(const struct admission *a, const struct addr *client)
{
    struct target t;

    if (client->family == 0)
        return true;
    target_from_addr(&t, client);
    return matcher_has(source_list(a->source), &t, NULL) == a->whitelist;
}
