/* app/rules.c - see rules.h. */
#include "app/rules.h"
#include "bypass/admission.h"
#include "bypass/bypass.h"
#include "configs/model.h"
#include "core/addr.h"
#include "core/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 700 };

struct rules_set {
    struct rules *rules;
    const struct conf_rules *conf;
    const char *kind; /* "bypass", "admission" */
    bool is_made;
};

/* Bypasses or admissions of one place; the other list is empty. */
struct rules_at {
    struct rules_at *next;
    const char *kind, *name;
    struct bypass_group bypasses;
    const struct admission **admissions;
    size_t n_admissions;
    const char *missing; /* an admission that does not exist: nobody is let in */
};

/* ---------------------------------------------------------------- the sets */

static const char *pattern_place(void *arg, uint32_t pattern, char *buf, size_t cap)
{
    const struct rules_set *s = arg;

    return place_format(s->conf->places[pattern], buf, cap);
}

static void on_note(void *arg, enum source_note note, const char *text)
{
    struct rules_set *s = arg;
    const struct conf_rules *c = s->conf;
    const struct log_field fields[] = {F_STR("kind", s->kind), F_STR(s->kind, c->name), LOG_END};
    char place[PLACE_TEXT_MAX];

    place_format(c->file_place, place, sizeof place);
    const char *empty = conf_rules_when_empty(c, !strcmp(s->kind, "bypass"));
    if (note == SOURCE_LOADED)
        log_write(*c->file ? LOG_INFO : LOG_DEBUG, fields, "%s %s: %s", s->kind, c->name, text);
    else if (note == SOURCE_DOUBT)
        log_write(LOG_WARN, fields, "%s %s: %s", s->kind, c->name, text);
    else if (note == SOURCE_EMPTY)
        log_write(LOG_WARN, fields, "%s: %s %s%s: %s: %s", place, s->kind, c->name,
                  c->whitelist ? ", a whitelist" : "", text, empty);
    else if (s->is_made)
        log_write(LOG_WARN, fields, "%s: %s %s: %s; the rules stay as they are", place, s->kind,
                  c->name, text);
    else if (c->reload_ms > 0)
        log_write(LOG_ERROR, fields,
                  "%s: %s %s%s: %s; until it can be read, which is tried again, %s", place, s->kind,
                  c->name, c->whitelist ? ", a whitelist" : "", text,
                  c->n > 0 ? "only its matchers count" : empty);
    else if (s->rules->failed.rc == RC_OK)
        diag_set(&s->rules->failed, RC_INVALID, "%s: %s %s: %s", place, s->kind, c->name, text);
}

static struct source_cfg source_of(struct rules_set *s, struct loop *loop)
{
    return (struct source_cfg){
        .loop = loop,
        .patterns = s->conf->patterns,
        .n_patterns = s->conf->n,
        .file = s->conf->file,
        .reload_ms = s->conf->reload_ms,
        .place = pattern_place,
        .note = on_note,
        .arg = s,
    };
}

static bool build_set(struct rules *r, struct loop *loop, const struct conf_rules *c, size_t i,
                      bool is_bypass)
{
    struct rules_set *s = &r->sets[is_bypass ? i : r->n_bypasses + i];
    char place[PLACE_TEXT_MAX];

    *s = (struct rules_set){r, c, is_bypass ? "bypass" : "admission", false};
    place_format(&c->place, place, sizeof place);
    if (is_bypass)
        r->bypasses[i] = bypass_new(&(struct bypass_cfg){.name = c->name,
                                                         .place = place,
                                                         .network = c->network,
                                                         .whitelist = c->whitelist,
                                                         .source = source_of(s, loop)});
    else
        r->admissions[i] = admission_new(&(struct admission_cfg){.name = c->name,
                                                                 .place = place,
                                                                 .whitelist = c->whitelist,
                                                                 .source = source_of(s, loop)});
    s->is_made = true;
    return is_bypass ? r->bypasses[i] != NULL : r->admissions[i] != NULL;
}

enum rc rules_build(struct rules *r, struct loop *loop, const struct config *cfg, struct diag *diag)
{
    bool ok;

    *r = (struct rules){.cfg = cfg};
    r->bypasses = calloc(cfg->n_bypasses + 1, sizeof(struct bypass *));
    r->admissions = calloc(cfg->n_admissions + 1, sizeof(struct admission *));
    r->sets = calloc(cfg->n_bypasses + cfg->n_admissions + 1, sizeof *r->sets);
    ok = r->bypasses && r->admissions && r->sets;
    if (ok) {
        r->n_bypasses = cfg->n_bypasses;
        r->n_admissions = cfg->n_admissions;
    }
    for (size_t i = 0; i < r->n_bypasses && ok; i++)
        ok = build_set(r, loop, &cfg->bypasses[i], i, true);
    for (size_t i = 0; i < r->n_admissions && ok; i++)
        ok = build_set(r, loop, &cfg->admissions[i], i, false);
    if (r->failed.rc != RC_OK)
        return diag_set(diag, r->failed.rc, "%s", r->failed.text);
    return ok ? RC_OK : diag_set(diag, RC_NOMEM, "no memory for the rules");
}

void rules_done(struct rules *r)
{
    for (struct rules_at *at = r->places, *next; at; at = next) {
        next = at->next;
        free(at->bypasses.v);
        free(at->admissions);
        free(at);
    }
    for (size_t i = 0; i < r->n_bypasses; i++)
        bypass_free(r->bypasses[i]);
    for (size_t i = 0; i < r->n_admissions; i++)
        admission_free(r->admissions[i]);
    free(r->bypasses);
    free(r->admissions);
    free(r->sets);
    *r = (struct rules){0};
}

/* ---------------------------------------------------------------- places */

static struct rules_at *at_new(struct rules *r, const char *kind, const char *name, size_t n)
{
    struct rules_at *at = calloc(1, sizeof *at);

    if (!at)
        return NULL;
    *at = (struct rules_at){.next = r->places, .kind = kind, .name = name};
    r->places = at;
    at->bypasses.v = calloc(n, sizeof(struct bypass *));
    at->admissions = calloc(n, sizeof(struct admission *));
    return at->bypasses.v && at->admissions ? at : NULL;
}

enum rc rules_bypasses_at(struct rules *r, const char *kind, const char *name,
                          const struct conf_names *names, struct rules_at **ret_at)
{
    struct rules_at *at = names->n ? at_new(r, kind, name, names->n) : NULL;

    for (size_t i = 0; at && i < names->n; i++)
        for (size_t k = 0; k < r->n_bypasses; k++)
            if (!strcmp(r->cfg->bypasses[k].name, names->v[i]))
                at->bypasses.v[at->bypasses.n++] = r->bypasses[k];
    *ret_at = at && at->bypasses.n ? at : NULL; /* those that don't exist were told */
    return at || !names->n ? RC_OK : RC_NOMEM;
}

enum rc rules_admissions_at(struct rules *r, const char *kind, const char *name,
                            const struct conf_names *names, struct rules_at **ret_at)
{
    struct rules_at *at = names->n ? at_new(r, kind, name, names->n) : NULL;

    for (size_t i = 0; at && i < names->n; i++) {
        size_t k = 0;

        while (k < r->n_admissions && strcmp(r->cfg->admissions[k].name, names->v[i]) != 0)
            k++;
        if (k < r->n_admissions)
            at->admissions[at->n_admissions++] = r->admissions[k];
        else
            at->missing = names->v[i];
    }
    *ret_at = at;
    return at || !names->n ? RC_OK : RC_NOMEM;
}

/* ---------------------------------------------------------------- questions */

bool rules_bypassed(void *arg, const char *network, const struct target *t)
{
    const struct rules_at *at = arg;
    struct bypass_hit hit;
    bool yes = bypass_group_has(&at->bypasses, network, t, &hit);
    char target[TARGET_TEXT_MAX], why[WHY_MAX];

    if (yes && log_wants(LOG_DEBUG))
        log_write(LOG_DEBUG,
                  (struct log_field[]){F_STR("kind", at->kind), F_STR(at->kind, at->name), LOG_END},
                  "%s is bypassed (%s): %s", target_format(t, target, sizeof target), network,
                  bypass_hit_format(&hit, why, sizeof why));
    return yes;
}

bool rules_explain_bypassed(const struct rules_at *at, const char *network, const struct target *t,
                            char *buf, size_t cap)
{
    struct bypass_hit hit = {.bypassed = false};
    char why[WHY_MAX];

    if (at)
        (void)bypass_group_has(&at->bypasses, network, t, &hit);
    bypass_hit_format(&hit, why, sizeof why);
    (void)snprintf(buf, cap, "%s%s", why, hit.by && !hit.bypassed ? ": a whitelist spares it" : "");
    return hit.bypassed;
}

/* The first of them that is against it; NULL: none. */
static const struct admission *who_denies(const struct rules_at *at, const struct addr *client)
{
    for (size_t i = 0; at && i < at->n_admissions; i++)
        if (!admission_has(at->admissions[i], client))
            return at->admissions[i];
    return NULL;
}

bool rules_admitted(void *arg, const struct addr *client)
{
    const struct rules_at *at = arg;

    return !at->missing && !who_denies(at, client);
}

bool rules_explain_admitted(const struct rules_at *at, const struct addr *client, char *buf,
                            size_t cap)
{
    const struct admission *a = who_denies(at, client);

    if (at && at->missing)
        (void)snprintf(buf, cap, "admission %s does not exist", at->missing);
    else if (a)
        admission_why(a, client, buf, cap);
    else
        (void)snprintf(buf, cap, "no rule is against it");
    return !a && !(at && at->missing);
}
