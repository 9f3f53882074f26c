/* configs/decode.c - reads a raw tree by the schema, with the conversions that GOST allows. */
#include "configs/decode.h"
#include "configs/scalar.h"
#include "configs/url.h"
#include <math.h>
#include <string.h>
#include <strings.h>

struct decoder {
    struct tree *tree;
    struct problems *problems;
    struct decode_opts opts;
    bool failed;
};

static const char *const kind_names[] = {
    [VALUE_NULL] = "null",     [VALUE_BOOL] = "a boolean", [VALUE_INT] = "a number",
    [VALUE_UINT] = "a number", [VALUE_FLOAT] = "a number", [VALUE_DURATION] = "a duration",
    [VALUE_TIME] = "a date",   [VALUE_STRING] = "a text",  [VALUE_LIST] = "a list",
    [VALUE_MAP] = "a map",
};

static struct value *mismatch(struct decoder *d, const struct value *v, const char *name,
                              const char *want)
{
    static const char *const secret[] = {"auth",   "auths",         "password",    "token",
                                         "header", "requestHeader", "httpHeaders", NULL};
    bool shown = v->kind == VALUE_STRING && strlen(v->text) <= 40 && !strchr(v->text, '@') &&
                 !*url_hint(v->text);
    for (size_t i = 0; secret[i]; i++)
        shown = shown && strcmp(name, secret[i]) != 0;
    problems_add(d->problems, PROBLEM_FATAL, &v->place, "%s: expected %s, got %s%s%s%s", name, want,
                 kind_names[v->kind], shown ? " \"" : "", shown ? v->text : "", shown ? "\"" : "");
    d->failed = true;
    return NULL;
}

/* Takes over place and spelling of what was written. */
static struct value *typed(struct decoder *d, const struct value *v, enum value_kind kind)
{
    struct value *out = value_new(d->tree, kind, &v->place);
    if (out) {
        out->key_text = v->key_text;
        out->flags = v->flags;
    }
    return out;
}

static struct value *to_string(struct decoder *d, const struct value *v, const char *name)
{
    char buf[SCALAR_TEXT_MAX];
    const char *text = NULL;
    switch (v->kind) {
    case VALUE_STRING:
        text = v->text;
        break;
    case VALUE_BOOL:
        text = v->num ? "1" : "0";
        break;
    case VALUE_INT:
        text = tree_printf(d->tree, "%lld", (long long)v->num);
        break;
    case VALUE_UINT:
        text = tree_printf(d->tree, "%llu", (unsigned long long)v->num);
        break;
    case VALUE_FLOAT:
        text = tree_printf(d->tree, "%s", scalar_format_float(v->real, FLOAT_FULL, buf));
        break;
    case VALUE_NULL:
    case VALUE_DURATION:
    case VALUE_TIME:
    case VALUE_LIST:
    case VALUE_MAP:
        break;
    }
    if (!text || (d->opts.strict && v->kind != VALUE_STRING))
        return mismatch(d, v, name, "a text");
    struct value *out = typed(d, v, VALUE_STRING);
    if (out)
        out->text = text;
    return out;
}

static bool number_of(double real, int64_t *ret)
{
    if (!(real > -9.2e18 && real < 9.2e18))
        return false;
    *ret = (int64_t)real;
    return true;
}

static struct value *to_int(struct decoder *d, const struct value *v, const char *name)
{
    int64_t n = v->num;
    bool good = v->kind == VALUE_INT || (v->kind == VALUE_BOOL && !d->opts.strict);
    if (v->kind == VALUE_FLOAT)
        good = number_of(v->real, &n) && (!d->opts.strict || floor(v->real) == v->real);
    else if (v->kind == VALUE_STRING && !d->opts.strict)
        good = scalar_parse_int(*v->text ? v->text : "0", &n);
    if (!good)
        return mismatch(d, v, name, "an integer");
    struct value *out = typed(d, v, VALUE_INT);
    if (out)
        out->num = n;
    return out;
}

static struct value *to_bool(struct decoder *d, const struct value *v, const char *name)
{
    bool yes = v->num != 0, good = v->kind == VALUE_BOOL;
    if (!d->opts.strict && (v->kind == VALUE_INT || v->kind == VALUE_UINT))
        good = true;
    if (!d->opts.strict && v->kind == VALUE_FLOAT) {
        yes = v->real != 0;
        good = true;
    }
    if (!d->opts.strict && v->kind == VALUE_STRING)
        good = scalar_parse_bool(*v->text ? v->text : "0", &yes);
    if (!good)
        return mismatch(d, v, name, "true or false");
    struct value *out = typed(d, v, VALUE_BOOL);
    if (out)
        out->num = yes;
    return out;
}

static struct value *to_duration(struct decoder *d, const struct value *v, const char *name)
{
    int64_t ns = v->num;
    bool good = v->kind == VALUE_INT || v->kind == VALUE_DURATION;
    if (v->kind == VALUE_FLOAT)
        good = number_of(v->real, &ns) && (!d->opts.strict || floor(v->real) == v->real);
    else if (v->kind == VALUE_STRING && !d->opts.strict)
        good = scalar_parse_duration(v->text, &ns);
    if (!good)
        return mismatch(d, v, name, d->opts.strict ? "nanoseconds" : "a duration such as 30s");
    bool bare = v->kind != VALUE_STRING && v->kind != VALUE_DURATION && !d->opts.strict;
    if (bare && ns > 0 && ns < 1000000)
        problems_add(d->problems, PROBLEM_WARNING, &v->place,
                     "%s: a bare number means nanoseconds here; write a unit, such as 30s", name);
    struct value *out = typed(d, v, VALUE_DURATION);
    if (out)
        out->num = ns;
    return out;
}

static void append_string(struct decoder *d, struct value *list, const struct value *v,
                          const char *name)
{
    if (v->kind == VALUE_NULL)
        value_append(list, value_string(d->tree, "", &v->place));
    else
        value_append(list, to_string(d, v, name));
}

static struct value *to_strings(struct decoder *d, const struct value *v, const char *name)
{
    struct value *list = typed(d, v, VALUE_LIST);
    if (v->kind == VALUE_LIST) {
        value_each(item, v) append_string(d, list, item, name);
    } else if (d->opts.strict || v->kind == VALUE_MAP) {
        return mismatch(d, v, name, "a list of texts");
    } else if (v->kind == VALUE_STRING) {
        for (const char *s = v->text; *v->text;) {
            size_t len = strcspn(s, ",");
            value_append(list, value_string(d->tree, tree_text(d->tree, s, len), &v->place));
            if (!s[len])
                break;
            s += len + 1;
        }
    } else {
        append_string(d, list, v, name);
    }
    return list;
}

static struct value *to_strmap(struct decoder *d, const struct value *v, const char *name)
{
    if (v->kind != VALUE_MAP)
        return mismatch(d, v, name, "a map");
    struct value *map = typed(d, v, VALUE_MAP);
    value_each(item, v)
    {
        struct value *text = item->kind == VALUE_NULL ? value_string(d->tree, "", &item->place)
                                                      : to_string(d, item, item->key);
        value_put(map, item->key, text);
    }
    return map;
}

static struct value *to_anymap(struct decoder *d, const struct value *v, const char *name)
{
    if (v->kind == VALUE_LIST && v->n == 0 && !d->opts.strict)
        return typed(d, v, VALUE_MAP);
    if (v->kind != VALUE_MAP)
        return mismatch(d, v, name, "a map");
    return value_copy(d->tree, v);
}

static struct value *to_object(struct decoder *d, const struct value *v, const struct field *f);

static struct value *to_objects(struct decoder *d, const struct value *v, const struct field *f)
{
    struct value *list = typed(d, v, VALUE_LIST);
    if (v->kind == VALUE_MAP && !d->opts.strict) {
        if (v->n > 0)
            value_append(list, to_object(d, v, f));
        return list;
    }
    if (v->kind == VALUE_STRING && !*v->text && !d->opts.strict)
        return list;
    if (v->kind != VALUE_LIST)
        return mismatch(d, v, f->name, "a list");
    value_each(item, v)
    {
        if (item->kind == VALUE_NULL) {
            problems_add(d->problems, PROBLEM_REFUSE, &item->place, "%s: a null item", f->name);
            value_append(list, typed(d, item, VALUE_NULL));
        } else {
            value_append(list, to_object(d, item, f));
        }
    }
    return list;
}

static struct value *to_field(struct decoder *d, const struct value *v, const struct field *f)
{
    switch (f->type) {
    case FIELD_STRING:
        return to_string(d, v, f->name);
    case FIELD_INT:
        return to_int(d, v, f->name);
    case FIELD_BOOL:
        return to_bool(d, v, f->name);
    case FIELD_DURATION:
        return to_duration(d, v, f->name);
    case FIELD_STRINGS:
        return to_strings(d, v, f->name);
    case FIELD_OBJECT:
        return to_object(d, v, f);
    case FIELD_OBJECTS:
        return to_objects(d, v, f);
    case FIELD_STRMAP:
        return to_strmap(d, v, f->name);
    case FIELD_ANYMAP:
        return to_anymap(d, v, f->name);
    }
    return NULL;
}

static bool is_empty(const struct value *v, enum field_type type)
{
    switch (v->kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_DURATION:
        return v->num == 0;
    case VALUE_STRING:
        return *v->text == 0;
    case VALUE_LIST:
        return v->n == 0;
    case VALUE_MAP:
        return v->n == 0 && type != FIELD_OBJECT;
    case VALUE_FLOAT:
    case VALUE_TIME:
        return false;
    }
    return false;
}

static struct value *zero_value(struct decoder *d, const struct field *f, const struct place *at)
{
    struct value *v = NULL;
    switch (f->type) {
    case FIELD_STRING:
        v = value_string(d->tree, "", at);
        break;
    case FIELD_INT:
        v = value_int(d->tree, VALUE_INT, 0, at);
        break;
    case FIELD_DURATION:
        v = value_int(d->tree, VALUE_DURATION, 0, at);
        break;
    case FIELD_BOOL:
        v = value_int(d->tree, VALUE_BOOL, 0, at);
        break;
    case FIELD_STRINGS:
    case FIELD_OBJECTS:
        v = value_new(d->tree, VALUE_LIST, at);
        break;
    case FIELD_OBJECT:
    case FIELD_STRMAP:
    case FIELD_ANYMAP:
        break;
    }
    if (v)
        v->flags = VALUE_ABSENT;
    return v;
}

/* One line for a field that is there but has no effect (yet). */
static void tell_status(struct decoder *d, const struct value *v, const struct field *f,
                        const struct schema *s)
{
    if (f->flags & FIELD_UNSAFE)
        problems_add(d->problems, PROBLEM_REFUSE, &v->place,
                     "%s in %s is not served yet, and ignoring it would be unsafe", f->name,
                     s->what);
    else if (f->flags & FIELD_LATER)
        problems_add(d->problems, PROBLEM_WARNING, &v->place,
                     "%s in %s is not served yet and is ignored", f->name, s->what);
    else if (f->flags & FIELD_NOOP)
        problems_add(d->problems, PROBLEM_WARNING, &v->place, "%s in %s has no effect", f->name,
                     s->what);
}

static struct value *read_object(struct decoder *d, const struct value *v, const struct schema *s)
{
    struct value *out = typed(d, v, VALUE_MAP);
    if (out)
        out->flags |= VALUE_FIELDS;
    for (const struct field *f = s->fields; f->name; f++) {
        const struct value *item = value_find(v, f->name);
        struct value *field = item && item->kind != VALUE_NULL ? to_field(d, item, f) : NULL;
        if (field && !is_empty(field, f->type))
            tell_status(d, item, f, s);
        if (f->flags & FIELD_HIDDEN)
            continue;
        if (field && (!is_empty(field, f->type) || (f->flags & FIELD_ALWAYS)))
            value_put(out, f->name, field);
        else if (f->flags & FIELD_ALWAYS)
            value_put(out, f->name, zero_value(d, f, &v->place));
    }
    value_each(item, v)
    {
        if (!schema_field(s, item->key))
            schema_unknown(s, item, d->opts.lenient ? PROBLEM_WARNING : PROBLEM_REFUSE,
                           d->problems);
    }
    return out;
}

static struct value *to_object(struct decoder *d, const struct value *v, const struct field *f)
{
    if ((f->flags & FIELD_SHORT) && v->kind == VALUE_STRING && !d->opts.strict)
        return value_copy(d->tree, v);
    if (v->kind != VALUE_MAP)
        return mismatch(d, v, f->name, "a map");
    struct value *out = read_object(d, v, f->sub);
    /* an entry that only names its chain is printed as that name */
    if (out && (f->flags & FIELD_SHORT) && out->n == 1 && out->first->kind == VALUE_STRING &&
        strcmp(out->first->key, f->sub->fields[0].name) == 0)
        return value_string(d->tree, out->first->text, &out->place);
    return out;
}

enum rc decode_config(struct tree *t, struct problems *p, const struct decode_opts *opts,
                      const struct value *raw, struct value **ret_v)
{
    struct decoder d = {t, p, *opts, false};
    struct value *v = NULL;
    if (raw->kind == VALUE_NULL) {
        struct value *none = value_new(t, VALUE_MAP, &raw->place);
        v = none ? read_object(&d, none, &schema_config) : NULL;
    } else if (raw->kind == VALUE_MAP) {
        v = read_object(&d, raw, &schema_config);
    } else {
        mismatch(&d, raw, "configuration", "a map");
    }
    if (d.failed)
        return RC_INVALID;
    if (!v || !tree_ok(t))
        return RC_NOMEM;
    *ret_v = v;
    return RC_OK;
}
