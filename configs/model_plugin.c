/* configs/model_plugin.c - handler, listener, connector and dialer: is the type served, does its
 * table know the keys. */
#include "configs/build.h"
#include "configs/check.h"
#include "configs/url.h"
#include <stdio.h>
#include <string.h>

struct kind {
    const char *what, *def;
    const char *const *known; /* all that GOST has */
};

static const struct kind kinds[] = {
    [PLUGIN_HANDLER] = {"handler", "auto", known_handlers},
    [PLUGIN_LISTENER] = {"listener", "tcp", known_listeners},
    [PLUGIN_CONNECTOR] = {"connector", "http", known_connectors},
    [PLUGIN_DIALER] = {"dialer", "tcp", known_dialers},
};

const struct type_entry *type_find(const struct type_entry *table, const char *name)
{
    for (const struct type_entry *e = table; e && e->name; e++) {
        if (strcmp(e->name, name) == 0)
            return e;
        for (const char *alias = e->aliases; alias && *alias;) {
            size_t len = strcspn(alias, ",");
            if (strlen(name) == len && strncmp(alias, name, len) == 0)
                return e;
            alias += len + (alias[len] == ',');
        }
    }
    return NULL;
}

static const struct type_entry *table_of(const struct maker *m, enum plugin_kind kind)
{
    switch (kind) {
    case PLUGIN_HANDLER:
        return m->names->handlers;
    case PLUGIN_LISTENER:
        return m->names->listeners;
    case PLUGIN_CONNECTOR:
        return m->names->connectors;
    case PLUGIN_DIALER:
        return m->names->dialers;
    }
    return NULL;
}

const struct option *make_table(struct maker *m, enum plugin_kind kind, const struct conf_plugin *p)
{
    const struct type_entry *e = type_find(table_of(m, kind), p->type);
    static const struct option none[] = {OPTION_END};
    return !e ? NULL : e->options ? e->options : none;
}

/* "redirect://" names both parts: what the first was told need not be told of the second. */
static bool is_told(const struct maker *m, const struct value *owner, enum plugin_kind kind,
                    const char *type)
{
    bool second = kind == PLUGIN_LISTENER || kind == PLUGIN_DIALER;
    enum plugin_kind other = kind == PLUGIN_LISTENER ? PLUGIN_HANDLER : PLUGIN_CONNECTOR;
    const struct value *first = value_get(owner, kinds[other].what);
    return second && first && strcmp(value_text(first, "type"), type) == 0 &&
           word_in(type, kinds[other].known) && !type_find(table_of(m, other), type);
}

static void check_type(struct maker *m, enum plugin_kind kind, const struct conf_plugin *p)
{
    const struct kind *k = &kinds[kind];
    struct nearest n;
    char hint[80];
    if (type_find(table_of(m, kind), p->type))
        return;
    if (word_in(p->type, k->known)) {
        problems_add(m->problems, PROBLEM_REFUSE, &p->place, "%s type \"%s\" is not served yet",
                     k->what, p->type);
        return;
    }
    nearest_init(&n, p->type);
    for (size_t i = 0; k->known[i]; i++)
        nearest_try(&n, k->known[i]);
    problems_add(m->problems, PROBLEM_REFUSE, &p->place, "unknown %s type \"%s\"%s", k->what,
                 p->type, nearest_hint(&n, hint, sizeof hint));
}

void make_plugin(struct maker *m, const struct value *owner, enum plugin_kind kind,
                 struct conf_plugin *to)
{
    const struct kind *k = &kinds[kind];
    const struct value *v = value_get(owner, k->what);
    const struct option *tls = kind == PLUGIN_CONNECTOR || kind == PLUGIN_DIALER
                                   ? m->names->tls_client
                                   : m->names->tls_server;
    *to = (struct conf_plugin){.type = v ? value_text(v, "type") : "",
                               .place = v ? v->place : owner->place};
    if (!*to->type)
        to->type = k->def;
    to->metadata = v ? value_get(v, "metadata") : NULL;
    to->tls = v ? value_get(v, "tls") : NULL;
    make_auth(m, v ? value_get(v, "auth") : NULL, kind == PLUGIN_CONNECTOR || kind == PLUGIN_DIALER,
              &to->auth);
    const struct value *type = v ? value_get(v, "type") : NULL;
    if (type && !(type->flags & VALUE_ABSENT))
        to->place = type->place;
    if (!is_told(m, owner, kind, to->type))
        check_type(m, kind, to);
    if (to->tls && tls && options_fill(tls, to->tls, NULL, m->problems) == RC_NOMEM)
        m->rc = RC_NOMEM;
}

void make_check_keys(struct maker *m, enum plugin_kind kind, const struct conf_plugin *p,
                     const struct option *const *tables)
{
    char what[64];
    const struct type_entry *e = type_find(table_of(m, kind), p->type);
    if (!e || !p->metadata)
        return;
    (void)snprintf(what, sizeof what, "%s %s", kinds[kind].what, p->type);
    options_check_keys(p->metadata, e->options, tables, what, m->lenient, m->problems);
    if (options_fill(e->options, p->metadata, NULL, m->problems) == RC_NOMEM)
        m->rc = RC_NOMEM;
}
