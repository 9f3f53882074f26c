/* configs/yaml.c - YAML text to a raw tree, with libyaml's events.
 *
 * Follows the dialect of gost-config.md 3.1: one value per plain scalar by YAML 1.2 rules with the
 * octal and base forms of Go, the same key twice is an error, keys of files are case-insensitive.
 */
#include "configs/scalar.h"
#include "configs/source.h"
#include <ctype.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    struct anchor *next;
    const char *name;
    const struct value *value; /* NULL while it is being read */
};

struct reader {
    const struct source *src;
    yaml_parser_t parser;
    struct anchor *anchors;
    size_t values;
    enum rc rc;
};

static struct place place_of(const struct reader *r, yaml_mark_t mark)
{
    return (struct place){r->src->name, NULL, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static void *fail(struct reader *r, yaml_mark_t mark, const char *what, const char *detail)
{
    struct place at = place_of(r, mark);
    if (r->rc == RC_OK)
        problems_add(r->src->problems, PROBLEM_FATAL, &at, "%s%s%s", what, detail ? ": " : "",
                     detail ? detail : "");
    r->rc = RC_INVALID;
    return NULL;
}

static bool next_event(struct reader *r, yaml_event_t *ev)
{
    if (yaml_parser_parse(&r->parser, ev))
        return true;
    if (r->parser.error == YAML_MEMORY_ERROR) {
        r->rc = RC_NOMEM;
        return false;
    }
    yaml_mark_t mark = r->parser.problem_mark;
    if (r->parser.error == YAML_READER_ERROR)
        mark = r->parser.mark;
    (void)fail(r, mark, r->parser.problem ? r->parser.problem : "not YAML", r->parser.context);
    return false;
}

static bool tag_is(const yaml_char_t *tag, const char *name)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *s = (const char *)tag;
    return s && strncmp(s, prefix, sizeof prefix - 1) == 0 &&
           strcmp(s + sizeof prefix - 1, name) == 0;
}

/* What a text without quotes loses when it begins so: it may be a password. */
static const char *lost_text(const yaml_event_t *ev)
{
    const char *tag = (const char *)ev->data.scalar.tag;
    bool is_empty = ev->data.scalar.length == 0 && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (tag && *tag && strncmp(tag, "tag:", 4) != 0 && (is_empty || strcmp(tag, "!") != 0))
        return "unknown tag: a text that begins with ! stands in quotes";
    if (ev->data.scalar.anchor && is_empty)
        return "an anchor of nothing: a text that begins with & stands in quotes";
    return NULL;
}

static struct value *scalar_value(struct reader *r, const yaml_event_t *ev)
{
    const char *text = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;
    struct place at = place_of(r, ev->start_mark);
    const char *lost = lost_text(ev);
    if (lost)
        return fail(r, ev->start_mark, lost, NULL);
    if (memchr(text, 0, len))
        return fail(r, ev->start_mark, "a NUL byte in a text", NULL);
    struct value *v = value_string(r->src->tree, tree_text(r->src->tree, text, len), &at);
    const yaml_char_t *tag = ev->data.scalar.tag;
    bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (!tag || !*tag);
    bool typed = tag_is(tag, "int") || tag_is(tag, "float") || tag_is(tag, "bool") ||
                 tag_is(tag, "null") || tag_is(tag, "timestamp");
    if (v && (plain || typed)) {
        char buf[SCALAR_TEXT_MAX];
        v->kind = scalar_resolve(text, &v->num, &v->real, buf);
        if (v->kind == VALUE_TIME)
            v->text = tree_text(r->src->tree, buf, strlen(buf));
        if (tag_is(tag, "float") && v->kind == VALUE_INT) {
            v->kind = VALUE_FLOAT;
            v->real = (double)v->num;
        }
    }
    return v;
}

static bool set_anchor(struct reader *r, const yaml_char_t *name, struct anchor **ret_a)
{
    *ret_a = NULL;
    if (!name)
        return true;
    struct anchor *a = tree_alloc(r->src->tree, sizeof *a);
    if (!a)
        return false;
    a->name = tree_text(r->src->tree, (const char *)name, strlen((const char *)name));
    a->next = r->anchors;
    r->anchors = a;
    *ret_a = a;
    return a->name != NULL;
}

/* Counts what an alias brings along, so that a few lines can't become a billion values. */
static bool count_values(struct reader *r, const struct value *v)
{
    if (++r->values > SOURCE_VALUES_MAX)
        return false;
    value_each(item, v)
    {
        if (!count_values(r, item))
            return false;
    }
    return true;
}

static struct value *alias_value(struct reader *r, const yaml_event_t *ev)
{
    const char *name = (const char *)ev->data.alias.anchor;
    const struct anchor *a = r->anchors;
    while (a && strcmp(a->name, name) != 0)
        a = a->next;
    if (!a)
        return fail(r, ev->start_mark, /* its name may be a password */
                    "unknown anchor: a text that begins with * stands in quotes", NULL);
    if (!a->value)
        return fail(r, ev->start_mark, "an anchor that contains itself", name);
    if (!count_values(r, a->value))
        return fail(r, ev->start_mark, "too many values", NULL);
    struct value *v = value_copy(r->src->tree, a->value);
    if (v)
        v->key = v->key_text = NULL;
    return v;
}

static struct value *read_value(struct reader *r, unsigned depth);

/* Puts the keys of a merged map (`<<`) that the map itself does not have. */
static void merge_map(struct reader *r, struct value *map, const struct value *from)
{
    value_each(item, from)
    {
        if (value_get(map, item->key_text))
            continue;
        struct value *copy = value_copy(r->src->tree, item);
        value_put(map, item->key_text, copy);
    }
}

static bool merge_all(struct reader *r, struct value *map, const struct value *merge,
                      yaml_mark_t mark)
{
    if (merge->kind == VALUE_MAP) {
        merge_map(r, map, merge);
        return true;
    }
    bool good = merge->kind == VALUE_LIST;
    value_each(item, merge)
    {
        if (item->kind == VALUE_MAP)
            merge_map(r, map, item);
        else
            good = false;
    }
    if (!good)
        (void)fail(r, mark, "a merge key (<<) needs a map or a list of maps", NULL);
    return good;
}

static const char *lower(struct tree *t, const char *text)
{
    char *s = tree_text(t, text, strlen(text));
    for (char *c = s; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return s;
}

/* Keys in lower case. Of two spellings the one with capitals wins, as in GOST; ours is an error at
 * load. */
static struct value *fold_keys(struct reader *r, struct value *map)
{
    struct value *folded = value_new(r->src->tree, VALUE_MAP, &map->place);
    struct value *next;
    for (struct value *item = map->first; item && folded; item = next) {
        next = item->next;
        const char *key = lower(r->src->tree, item->key_text);
        const struct value *other = key ? value_get(folded, key) : NULL;
        if (other) {
            problems_add(r->src->problems, PROBLEM_REFUSE, &item->place,
                         "key \"%s\" is there twice, also as \"%s\" in line %u", item->key_text,
                         other->key_text, other->place.line);
            if (strcmp(item->key_text, key) == 0)
                continue;
        }
        item->next = NULL;
        value_put(folded, key, item);
    }
    return folded;
}

static struct value *read_map(struct reader *r, yaml_mark_t start, unsigned depth)
{
    struct place at = place_of(r, start);
    struct value *map = value_new(r->src->tree, VALUE_MAP, &at), *merge = NULL;
    yaml_mark_t merge_mark = start;
    for (;;) {
        yaml_event_t ev;
        if (!next_event(r, &ev))
            return NULL;
        if (ev.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&ev);
            break;
        }
        yaml_mark_t mark = ev.start_mark;
        struct value *key = NULL;
        bool is_merge = false;
        struct anchor *anchor = NULL;
        if (ev.type == YAML_ALIAS_EVENT) {
            key = alias_value(r, &ev);
        } else if (ev.type == YAML_SCALAR_EVENT) {
            key = set_anchor(r, ev.data.scalar.anchor, &anchor) ? scalar_value(r, &ev) : NULL;
            is_merge = ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                       strcmp((const char *)ev.data.scalar.value, "<<") == 0;
        }
        if (anchor)
            anchor->value = key;
        const char *text = NULL;
        if (key && key->kind != VALUE_LIST && key->kind != VALUE_MAP) {
            text = key->text; /* resolved scalars keep what was written */
        } else if (r->rc == RC_OK) {
            (void)fail(r, mark, "a key must be a plain value", NULL);
        }
        yaml_event_delete(&ev);
        if (!text)
            return NULL;
        struct value *item = read_value(r, depth + 1);
        if (!item)
            return NULL;
        if (is_merge) {
            merge = item;
            merge_mark = mark;
            continue;
        }
        const struct value *twice = value_get(map, text);
        if (twice) {
            struct place key_at = place_of(r, mark);
            problems_add(r->src->problems, PROBLEM_FATAL, &key_at,
                         "key \"%s\" is there twice, also in line %u", text, twice->place.line);
            r->rc = RC_INVALID;
            return NULL;
        }
        if (map && map->n >= SOURCE_KEYS_MAX)
            return fail(r, mark, "too many keys in one map", NULL);
        item->key_text = NULL;
        value_put(map, text, item);
        item->place = place_of(r, mark); /* messages point at the key */
    }
    if (merge && map && !merge_all(r, map, merge, merge_mark))
        return NULL;
    return map && !r->src->keep_case ? fold_keys(r, map) : map;
}

static struct value *read_list(struct reader *r, yaml_mark_t start, unsigned depth)
{
    struct place at = place_of(r, start);
    struct value *list = value_new(r->src->tree, VALUE_LIST, &at);
    for (;;) {
        struct value *item = read_value(r, depth + 1);
        if (!item)
            return NULL;
        if (item->flags & VALUE_ABSENT) /* the end of the list */
            return list;
        value_append(list, item);
    }
}

/* The next value. Inside a list, its end comes back as a value with VALUE_ABSENT. NULL: r->rc
 * tells, or no memory. */
static struct value *read_value(struct reader *r, unsigned depth)
{
    yaml_event_t ev;
    if (!next_event(r, &ev))
        return NULL;
    struct value *v = NULL;
    struct anchor *anchor = NULL;
    yaml_mark_t mark = ev.start_mark;
    if (depth > SOURCE_DEPTH_MAX || ++r->values > SOURCE_VALUES_MAX) {
        (void)fail(r, mark, depth > SOURCE_DEPTH_MAX ? "nested too deeply" : "too many values",
                   NULL);
        yaml_event_delete(&ev);
        return NULL;
    }
    switch (ev.type) {
    case YAML_ALIAS_EVENT:
        v = alias_value(r, &ev);
        break;
    case YAML_SCALAR_EVENT:
        if (set_anchor(r, ev.data.scalar.anchor, &anchor))
            v = scalar_value(r, &ev);
        break;
    case YAML_SEQUENCE_START_EVENT:
        if (set_anchor(r, ev.data.sequence_start.anchor, &anchor))
            v = read_list(r, mark, depth);
        break;
    case YAML_MAPPING_START_EVENT:
        if (set_anchor(r, ev.data.mapping_start.anchor, &anchor))
            v = read_map(r, mark, depth);
        break;
    case YAML_SEQUENCE_END_EVENT:
        v = value_new(r->src->tree, VALUE_NULL, NULL);
        if (v)
            v->flags = VALUE_ABSENT;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        (void)fail(r, mark, "not YAML", NULL);
        break;
    }
    yaml_event_delete(&ev);
    if (anchor)
        anchor->value = v;
    return v;
}

/* Skips events up to one of this kind; false: an error, or the stream ended before. */
static bool skip_to(struct reader *r, yaml_event_type_t want, yaml_mark_t *ret_mark)
{
    for (;;) {
        yaml_event_t ev;
        if (!next_event(r, &ev))
            return false;
        yaml_event_type_t type = ev.type;
        *ret_mark = ev.start_mark;
        yaml_event_delete(&ev);
        if (type == want)
            return true;
        if (type == YAML_STREAM_END_EVENT)
            return false;
    }
}

enum rc yaml_parse(const struct source *src, const char *text, size_t len, struct value **ret_v)
{
    struct reader r = {.src = src};
    struct place start = {src->name, NULL, 1, 1};
    yaml_mark_t mark;
    if (!yaml_parser_initialize(&r.parser))
        return RC_NOMEM;
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    struct value *v = NULL;
    if (skip_to(&r, YAML_DOCUMENT_START_EVENT, &mark)) {
        v = read_value(&r, 0);
        if (v && skip_to(&r, YAML_DOCUMENT_END_EVENT, &mark) &&
            skip_to(&r, YAML_DOCUMENT_START_EVENT, &mark)) {
            struct place at = place_of(&r, mark);
            problems_add(src->problems, PROBLEM_WARNING, &at,
                         "only the first YAML document counts; this one is ignored");
        }
    } else if (r.rc == RC_OK) {
        v = value_new(src->tree, VALUE_NULL, &start);
    }
    yaml_parser_delete(&r.parser);
    if (r.rc == RC_OK && (!v || !tree_ok(src->tree)))
        r.rc = RC_NOMEM;
    if (r.rc == RC_OK)
        *ret_v = v;
    return r.rc;
}
