/* app/rules_check.c - what in the rules can't be meant. See rules.h. */
#include "app/rules.h"
#include "bypass/pattern.h"
#include "configs/model.h"
#include "configs/problem.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

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

static bool check_file(const struct conf_rules *c, const char *kind, struct problems *p)
{
    if (!*c->file || !access(c->file, R_OK))
        return true;
    problems_add(p, c->reload_ms > 0 ? PROBLEM_ERROR : PROBLEM_REFUSE, c->file_place,
                 "%s %s: cannot read %s: %s%s", kind, c->name, c->file, strerror(errno),
                 c->reload_ms > 0 ? "" : "; with `reload` it could come later");
    return false;
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
        ok = (!files || check_file(c, "bypass", p)) && ok;
    }
    for (size_t i = 0; i < cfg->n_admissions; i++) {
        ok = check_patterns(&cfg->admissions[i], "admission", true, p) && ok;
        ok = (!files || check_file(&cfg->admissions[i], "admission", p)) && ok;
    }
    return ok;
}
