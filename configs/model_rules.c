/* configs/model_rules.c - bypasses and admissions (gost-config.md 3.9, 3.10), and who names them.
 * What their patterns mean is app's business (app/rules.h).
 */
#include "configs/build.h"
#include <string.h>

static void make_matchers(struct maker *m, const struct value *item, struct conf_rules *to)
{
    const struct value *list = value_get(item, "matchers");
    to->patterns = make_array(m, list, sizeof *to->patterns);
    to->places = make_array(m, list, sizeof *to->places);
    value_each(v, list)
    {
        if (!to->patterns || !to->places || v->kind != VALUE_STRING)
            continue;
        to->places[to->n] = &v->place;
        to->patterns[to->n++] = v->text; /* an empty one counts as well */
    }
}

const char *conf_rules_when_empty(const struct conf_rules *r, bool is_bypass)
{
    if (!is_bypass)
        return r->whitelist ? "nobody is let in" : "everybody is let in";
    return r->whitelist || !*r->network ? "nothing is bypassed" : "all of its network is bypassed";
}

/* A list that says nothing: works, but what it does is not to be seen. */
static void tell_empty(struct maker *m, const char *section, const struct conf_rules *r)
{
    bool is_bypass = strcmp(section, "bypasses") == 0;

    problems_add(m->problems, PROBLEM_WARNING, &r->place, "%s %s%s has no matchers: %s",
                 is_bypass ? "bypass" : "admission", r->name, r->whitelist ? ", a whitelist," : "",
                 conf_rules_when_empty(r, is_bypass));
}

static struct conf_rules *make_section(struct maker *m, const struct value *root,
                                       const char *section, size_t *ret_n)
{
    const struct value *list = value_get(root, section);
    struct conf_rules *v = make_array(m, list, sizeof *v);
    value_each(item, list)
    {
        if (!v || item->kind != VALUE_MAP)
            continue;
        const struct value *file = value_get(item, "file");
        int64_t reload_ms = make_num(item, "reload") / 1000000;
        struct conf_rules *r = &v[(*ret_n)++];
        *r = (struct conf_rules){
            .name = value_text(item, "name"),
            .network = value_text(item, "network"),
            .file = file ? value_text(file, "path") : "",
            .whitelist = make_num(item, "whitelist") || make_num(item, "reverse"),
            .place = item->place,
            .reload_ms = reload_ms < 0            ? 0
                         : reload_ms > UINT32_MAX ? UINT32_MAX
                                                  : (uint32_t)reload_ms,
        };
        r->file_place = file ? &file->place : &r->place;
        make_matchers(m, item, r);
        if (r->n == 0 && !file)
            tell_empty(m, section, r);
        if (file && !*r->file)
            problems_add(m->problems, PROBLEM_REFUSE, &file->place, "file without path");
        if (reload_ms > 0 && !file)
            problems_add(m->problems, PROBLEM_WARNING, &value_get(item, "reload")->place,
                         "reload has no effect without a file");
    }
    return v;
}

void make_rules(struct maker *m, const struct value *root)
{
    m->cfg->bypasses = make_section(m, root, "bypasses", &m->cfg->n_bypasses);
    m->cfg->admissions = make_section(m, root, "admissions", &m->cfg->n_admissions);
}

/* Names that don't exist stay in the list: what that means depends on the kind. */
static struct conf_names make_references(struct maker *m, const struct value *owner,
                                         const char *one, const char *many, unsigned feature,
                                         const char *when_missing)
{
    struct conf_names names = make_names(m, owner, one, many);
    const struct value *at = value_get(owner, one);
    if (!at || at->kind != VALUE_STRING || !*at->text)
        at = value_get(owner, many);
    if (names.n > 0 && !(m->names->features & feature))
        problems_add(m->problems, PROBLEM_REFUSE, &at->place,
                     "%s is not served here, and ignoring it would be unsafe", one);
    for (size_t i = 0; i < names.n; i++) {
        if (!make_find(m->cfg->root, many, names.v[i]))
            problems_add(m->problems, PROBLEM_ERROR, &at->place, "%s \"%s\" does not exist: %s",
                         one, names.v[i], when_missing);
    }
    return names;
}

struct conf_names make_bypass_names(struct maker *m, const struct value *owner)
{
    return make_references(m, owner, "bypass", "bypasses", CONFIG_BYPASS, "nothing is bypassed");
}

struct conf_names make_admission_names(struct maker *m, const struct value *service)
{
    return make_references(m, service, "admission", "admissions", CONFIG_ADMISSION,
                           "nobody is let in");
}
