/* app/rules_check.c - what in the rules can't be meant. See rules.h. */
#include "app/rules.h"
#include "bypass/pattern.h"
#include "bypass/source.h"
#include "configs/model.h"
#include "configs/problem.h"
#include <string.h>

static bool check_patterns(const struct conf_rules *c, const char *kind, bool addrs_only,
                           struct problems *p)
{
    bool ok = true;

    for (size_t i = 0; i < c->n; i++) {
        bool ignored;
        const char *text = c->patterns[i];
        const char *doubt = pattern_doubt(text, strlen(text), addrs_only, &ignored);

        if (doubt)
            problems_add(p, ignored ? PROBLEM_REFUSE : PROBLEM_ERROR, c->places[i],
                         "%s %s: pattern \"%.100s\" can't be meant: %s", kind, c->name, text,
                         doubt);
        ok = ok && !doubt;
    }
    return ok;
}

/* One reading of a file. */
struct reading {
    const struct conf_rules *conf;
    const char *kind;
    struct problems *problems;
    bool ok;
};

/* Lines of a list are often somebody else's: what is odd about them is told, and no more. */
static void on_note(void *arg, enum source_note note, const char *text)
{
    struct reading *r = arg;
    const struct conf_rules *c = r->conf;

    if (note == SOURCE_LOADED)
        return;
    if (note == SOURCE_DOUBT)
        problems_add(r->problems, PROBLEM_WARNING, NULL, "%s %s: %s", r->kind, c->name, text);
    else if (note == SOURCE_EMPTY)
        problems_add(r->problems, PROBLEM_WARNING, c->file_place, "%s %s%s: %s: %s", r->kind,
                     c->name, c->whitelist ? ", a whitelist" : "", text,
                     conf_rules_when_empty(c, !strcmp(r->kind, "bypass")));
    else
        problems_add(r->problems, c->reload_ms > 0 ? PROBLEM_ERROR : PROBLEM_REFUSE, c->file_place,
                     "%s %s: %s%s", r->kind, c->name, text,
                     c->reload_ms > 0 ? "" : "; with `reload` it could come later");
    r->ok = r->ok && note != SOURCE_TROUBLE;
}

static bool check_file(const struct conf_rules *c, const char *kind, bool addrs_only,
                       struct problems *p)
{
    struct reading r = {c, kind, p, true};

    if (!*c->file)
        return true;
    struct source *s = source_new(&(struct source_cfg){.patterns = c->patterns,
                                                       .n_patterns = c->n,
                                                       .file = c->file,
                                                       .addrs_only = addrs_only,
                                                       .note = on_note,
                                                       .arg = &r});
    p->nomem = p->nomem || !s;
    source_free(s);
    return s && r.ok;
}

static bool check_network(const struct conf_rules *c, struct problems *p)
{
    if (!*c->network || !strcmp(c->network, "tcp") || !strcmp(c->network, "udp"))
        return true;
    problems_add(p, PROBLEM_ERROR, &c->place,
                 "bypass %s: network \"%.20s\" is neither tcp nor udp: nothing is bypassed",
                 c->name, c->network);
    return false;
}

bool rules_check(const struct config *cfg, bool files, struct problems *p)
{
    bool ok = true;

    for (size_t i = 0; i < cfg->n_bypasses; i++) {
        const struct conf_rules *c = &cfg->bypasses[i];

        ok = check_patterns(c, "bypass", false, p) && ok;
        ok = check_network(c, p) && ok;
        ok = (!files || check_file(c, "bypass", false, p)) && ok;
    }
    for (size_t i = 0; i < cfg->n_admissions; i++) {
        ok = check_patterns(&cfg->admissions[i], "admission", true, p) && ok;
        ok = (!files || check_file(&cfg->admissions[i], "admission", true, p)) && ok;
    }
    return ok;
}
