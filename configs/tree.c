/* configs/tree.c - the arena and the values that live in it. */
#include "configs/tree.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHUNK_BYTES = 16 * 1024 };

struct chunk {
    struct chunk *next;
    size_t used, cap;
    max_align_t bytes[];
};

struct tree {
    struct chunk *chunks; /* the first one is filled */
    bool nomem;
};

struct tree *tree_new(void)
{
    return calloc(1, sizeof(struct tree));
}

void tree_free(struct tree *t)
{
    if (!t)
        return;
    for (struct chunk *c = t->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(t);
}

bool tree_ok(const struct tree *t)
{
    return t && !t->nomem;
}

void *tree_alloc(struct tree *t, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        goto nomem;
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct chunk *c = t->chunks;
    if (!c || c->cap - c->used < bytes) {
        size_t cap = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = calloc(1, sizeof *c + cap);
        if (!c)
            goto nomem;
        c->cap = cap;
        c->next = t->chunks;
        t->chunks = c;
    }
    void *p = (char *)c->bytes + c->used;
    c->used += bytes;
    return p;
nomem:
    t->nomem = true;
    return NULL;
}

char *tree_text(struct tree *t, const char *s, size_t len)
{
    char *p = tree_alloc(t, len + 1);
    if (p && len)
        memcpy(p, s, len);
    return p;
}

char *tree_printf(struct tree *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : tree_alloc(t, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

const char *place_format(const struct place *at, char *buf, size_t cap)
{
    const char *source = at && at->source ? at->source : "";
    if (at && at->line)
        (void)snprintf(buf, cap, "%s:%u:%u", source, at->line, at->column);
    else if (at && at->param)
        (void)snprintf(buf, cap, "%s parameter \"%s\"", source, at->param);
    else
        (void)snprintf(buf, cap, "%s", source);
    return buf;
}

struct value *value_new(struct tree *t, enum value_kind kind, const struct place *at)
{
    struct value *v = tree_alloc(t, sizeof *v);
    if (!v)
        return NULL;
    v->kind = kind;
    if (at)
        v->place = *at;
    return v;
}

struct value *value_string(struct tree *t, const char *text, const struct place *at)
{
    struct value *v = text ? value_new(t, VALUE_STRING, at) : NULL;
    if (v)
        v->text = text;
    return v;
}

struct value *value_int(struct tree *t, enum value_kind kind, int64_t num, const struct place *at)
{
    struct value *v = value_new(t, kind, at);
    if (v)
        v->num = num;
    return v;
}

struct value *value_copy(struct tree *t, const struct value *v)
{
    struct value *copy = tree_alloc(t, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *v;
    copy->first = copy->last = copy->next = NULL;
    copy->n = 0;
    value_each(item, v) value_append(copy, value_copy(t, item));
    return copy;
}

void value_append(struct value *list, struct value *item)
{
    if (!list || !item)
        return;
    item->next = NULL;
    if (list->last)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
    list->n++;
}

void value_put(struct value *map, const char *key, struct value *item)
{
    if (!map || !item || !key)
        return;
    item->key = key;
    if (!item->key_text)
        item->key_text = key;
    for (struct value **p = &map->first; *p; p = &(*p)->next) {
        if (strcmp((*p)->key, key) != 0)
            continue;
        item->next = (*p)->next;
        if (map->last == *p)
            map->last = item;
        *p = item;
        return;
    }
    value_append(map, item);
}

bool value_drop(struct value *map, const char *key)
{
    struct value *before = NULL;
    value_each(item, map)
    {
        if (strcmp(item->key, key) != 0) {
            before = item;
            continue;
        }
        if (before)
            before->next = item->next;
        else
            map->first = item->next;
        if (map->last == item)
            map->last = before;
        map->n--;
        return true;
    }
    return false;
}

struct value *value_get(const struct value *map, const char *key)
{
    value_each(item, map)
    {
        if (item->key && strcmp(item->key, key) == 0)
            return item;
    }
    return NULL;
}

struct value *value_find(const struct value *map, const char *key)
{
    struct value *v = value_get(map, key);
    if (v)
        return v;
    value_each(item, map)
    {
        if (item->key && strcasecmp(item->key, key) == 0)
            return item;
    }
    return NULL;
}

const char *value_text(const struct value *map, const char *key)
{
    const struct value *v = value_get(map, key);
    return v && v->kind == VALUE_STRING ? v->text : "";
}
