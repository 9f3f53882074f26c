/* configs/load.c - reads and merges all sources, then has the result checked. */
#include "configs/load.h"
#include "configs/cmdline.h"
#include "configs/decode.h"
#include "configs/merge.h"
#include "configs/source.h"
#include <stdlib.h>
#include <string.h>

struct loader {
    const struct config_args *args;
    struct tree *tree;
    struct problems *problems;
    struct value *merged;
};

static enum rc add(struct loader *l, const struct value *raw, bool strict)
{
    struct decode_opts opts = {.strict = strict, .lenient = l->args->lenient};
    struct value *v;
    enum rc rc = decode_config(l->tree, l->problems, &opts, raw, &v);
    if (rc == RC_OK)
        merge_config(l->merged, v);
    return rc;
}

/* text NULL: the default file search. */
static enum rc add_source(struct loader *l, const char *text)
{
    struct value *raw;
    bool strict;
    enum rc rc = source_read(l->tree, l->problems, text, &raw, &strict);
    return rc == RC_OK ? add(l, raw, strict) : rc;
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == 0;
}

static void add_env(struct loader *l)
{
    static const struct {
        const char *name, *section, *key;
    } vars[] = {
        {"GOST_LOGGER_LEVEL", "log", "level"},
        {"GOST_API", "api", "addr"},
        {"GOST_METRICS", "metrics", "addr"},
        {"GOST_PROFILING", "profiling", "addr"},
    };
    for (size_t i = 0; i < sizeof vars / sizeof *vars; i++) {
        const char *text = getenv(vars[i].name);
        struct place at = {vars[i].name, NULL, 0, 0};
        if (text && *text)
            merge_set(l->tree, l->merged, vars[i].section, vars[i].key,
                      tree_text(l->tree, text, strlen(text)), &at);
    }
}

static enum rc add_object(struct loader *l, struct cmdline *c, const char *flag, const char *text)
{
    struct value *v;
    if (!text || is_blank(text))
        return RC_OK;
    enum rc rc = cmdline_api(c, flag, text, &v);
    if (rc == RC_OK)
        value_put(l->merged, flag + 1, v);
    return rc;
}

enum rc config_read(const struct config_args *args, struct tree *t, struct problems *p,
                    struct value **ret_v)
{
    struct loader l = {args, t, p, value_new(t, VALUE_MAP, NULL)};
    size_t n_sources = 0;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < args->n_sources && rc == RC_OK; i++) {
        if (is_blank(args->sources[i]))
            continue;
        rc = add_source(&l, args->sources[i]);
        n_sources++;
    }
    bool no_service = true;
    for (size_t i = 0; i < args->n_services; i++)
        no_service = no_service && is_blank(args->services[i]);
    if (rc == RC_OK && n_sources == 0 && no_service && !args->api)
        rc = add_source(&l, NULL);
    struct cmdline c = {.tree = t, .problems = p, .taken = l.merged};
    if (rc == RC_OK)
        rc = cmdline_build(&c, args->nodes, args->n_nodes, args->services, args->n_services);
    if (rc == RC_OK)
        rc = add(&l, c.config, false);
    if (rc == RC_OK)
        add_env(&l);
    struct place flag = {args->trace ? "-DD" : "-D", NULL, 0, 0};
    if (rc == RC_OK && (args->debug || args->trace))
        merge_set(t, l.merged, "log", "level", args->trace ? "trace" : "debug", &flag);
    if (rc == RC_OK)
        rc = add_object(&l, &c, "-api", args->api);
    if (rc == RC_OK)
        rc = add_object(&l, &c, "-metrics", args->metrics);
    if (rc != RC_OK || !tree_ok(t)) /* without memory even good input looks bad */
        return tree_ok(t) ? rc : RC_NOMEM;
    struct decode_opts opts = {.lenient = args->lenient};
    return decode_config(t, p, &opts, l.merged, ret_v);
}
