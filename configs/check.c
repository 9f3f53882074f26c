/* configs/check.c - metadata by tables of options. */
#include "configs/check.h"
#include "configs/convert.h"
#include "configs/scalar.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Written, but with the meaning of "not used": nothing to warn about. */
static bool is_off(const struct value *v)
{
    bool yes = false;
    return ((v->kind == VALUE_BOOL || v->kind == VALUE_INT) && v->num == 0) ||
           (v->kind == VALUE_STRING && (!*v->text || (scalar_parse_bool(v->text, &yes) && !yes)));
}

static void tell_status(struct convert *c)
{
    const char *key = c->v->key_text ? c->v->key_text : c->o->key;
    if (is_off(c->v))
        return;
    if (c->o->flags & OPTION_UNSAFE) {
        problems_add(c->problems, PROBLEM_REFUSE, &c->v->place,
                     "%s is not served yet, and ignoring it would be unsafe", key);
        c->rc = RC_INVALID;
    } else if (c->o->flags & OPTION_LATER) {
        problems_add(c->problems, PROBLEM_WARNING, &c->v->place,
                     "%s is not served yet and is ignored", key);
    }
}

/* The value under key; with dots also through nested maps of fixed fields. */
static const struct value *find_key(const struct value *map, const char *key, size_t len)
{
    char name[64];
    if (len >= sizeof name)
        return NULL;
    memcpy(name, key, len);
    name[len] = 0;
    const struct value *v = value_find(map, name);
    if (v)
        return v->flags & VALUE_MOVED ? NULL : v;
    char *dot = strchr(name, '.');
    if (!dot || !(map->flags & VALUE_FIELDS))
        return NULL;
    *dot = 0;
    size_t used = (size_t)(dot - name) + 1;
    v = value_find(map, name);
    return v && v->kind == VALUE_MAP ? find_key(v, key + used, len - used) : NULL;
}

static const struct value *find_option(const struct value *map, const struct option *o)
{
    const struct value *v = map ? find_key(map, o->key, strlen(o->key)) : NULL;
    for (const char *alias = o->aliases; map && !v && alias && *alias;) {
        size_t len = strcspn(alias, ",");
        v = find_key(map, alias, len);
        alias += len + (alias[len] == ',');
    }
    return v && v->kind != VALUE_NULL ? v : NULL;
}

/* options_done() for one field that stands alone. */
static void field_done(const struct option *o, void *field)
{
    struct option one[2] = {*o, OPTION_END};
    one[0].offset = 0;
    options_done(one, field);
}

enum rc options_fill(const struct option *table, const struct value *map, void *obj,
                     struct problems *p)
{
    enum rc rc = RC_OK;
    for (const struct option *o = table; o && o->key; o++) {
        const struct value def = {.kind = VALUE_STRING, .text = o->def};
        struct convert c = {.o = o, .v = find_option(map, o), .problems = p, .rc = RC_OK};
        union field field;
        if (c.v)
            tell_status(&c);
        else if (o->def && obj)
            c.v = &def;
        else
            continue;
        memset(&field, 0, sizeof field);
        bool good = convert_field(&c, &field);
        if (good && obj) {
            void *place = (char *)obj + o->offset;
            field_done(o, place);
            memcpy(place, &field, convert_bytes(o->type));
        } else {
            field_done(o, &field);
        }
        if (c.rc == RC_NOMEM || rc == RC_OK)
            rc = c.rc;
    }
    return rc;
}

static bool table_has(const struct option *table, const char *key, struct nearest *n)
{
    for (const struct option *o = table; o && o->key; o++) {
        if (strcasecmp(o->key, key) == 0)
            return true;
        nearest_try(n, o->key);
        for (const char *alias = o->aliases; alias && *alias;) {
            size_t len = strcspn(alias, ",");
            if (strlen(key) == len && strncasecmp(alias, key, len) == 0)
                return true;
            alias += len + (alias[len] == ',');
        }
    }
    return false;
}

/* Parameters that become fields or objects of their own (configs/cmdline_*.c): for hints. */
static const char *const taken_service[] = {
    "admission", "auth",     "bypass",      "cert",      "key",      "ca",      "climiter",
    "hosts",     "limiter",  "netns",       "prefer",    "resolver", "retries", "rlimiter",
    "strategy",  "maxFails", "failTimeout", "interface", "so_mark",  NULL};
static const char *const taken_node[] = {
    "auth",     "bypass",      "resolver",   "hosts",    "secure",  "cert",   "key",
    "ca",       "pin",         "serverName", "certFile", "keyFile", "caFile", "strategy",
    "maxFails", "failTimeout", "interface",  "so_mark",  NULL};

/* What GOST has and nothing here serves; those that end in a dot begin the name. */
static bool is_gosts(const char *key)
{
    static const char *const keys[] = {
        "sniffing",      "sniffing.",     "mitm.",       "hash", "skipauth",  "observer.",
        "observePeriod", "enableStats",   "limiter.",    "mux.", "recorder.", "tproxy",
        "idleTimeout",   "proxyProtocol", "fingerprint", NULL};
    for (const char *const *k = keys; *k; k++) {
        size_t len = strlen(*k);
        if ((*k)[len - 1] == '.' ? strncasecmp(key, *k, len) == 0 : strcasecmp(key, *k) == 0)
            return true;
    }
    return false;
}

/* A plain parameter is told once for all its copies. */
static void tell_unknown(const struct value *item, struct nearest *n, const char *what,
                         enum severity severity, struct problems *p)
{
    bool plain = item->flags & VALUE_FROM_URL;
    bool of_node = item->place.source && strncmp(item->place.source, "-F", 2) == 0;
    const char *const *taken = of_node ? taken_node : taken_service;
    char hint[80], shown[KEY_SHOWN_MAX];
    bool is_taken = false;
    for (; plain && *taken; taken++) {
        nearest_try(n, *taken);
        is_taken = is_taken || strcasecmp(item->key, *taken) == 0;
    }
    bool has_hint = *nearest_hint(n, hint, sizeof hint) != 0;
    if (is_taken && item->kind == VALUE_STRING && !*item->text)
        problems_add(p, severity, &item->place, "it has no value");
    else if (plain && !has_hint && is_gosts(item->key))
        problems_add(p, severity, &item->place, "GOST has it; it is not served here yet");
    else if (!has_hint && is_gosts(item->key))
        problems_add(p, severity, &item->place, "%s in %s is not served yet", item->key_text, what);
    else if (plain)
        problems_add(p, severity, &item->place, "unknown parameter%s", is_taken ? "" : hint);
    else
        problems_add(p, severity, &item->place, "unknown key \"%s\" in %s%s",
                     key_shown(item->key_text, shown), what, hint);
}

void options_check_keys(const struct value *map, const struct option *own,
                        const struct option *const *tables, const char *what, bool lenient,
                        struct problems *p)
{
    value_each(item, map)
    {
        struct nearest n;
        bool plain = item->flags & VALUE_FROM_URL, known = false;
        nearest_init(&n, item->key_text);
        for (size_t i = 0; plain && tables && tables[i] && !known; i++)
            known = table_has(tables[i], item->key, &n);
        if ((item->flags & VALUE_MOVED) || known || (!plain && table_has(own, item->key, &n)))
            continue;
        tell_unknown(item, &n, what, lenient ? PROBLEM_WARNING : PROBLEM_REFUSE, p);
    }
}
