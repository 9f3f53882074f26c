/* configs/tree.h - a configuration as a tree of values, each with the place where it was written.
 *
 * One arena per tree owns every value, key and text of it; tree_free() ends them all. Nothing is
 * freed before. Running out of memory is sticky: the builders below return NULL, accept NULL as
 * parent or child, and tree_ok() tells at the end. Not thread safe.
 */
#ifndef CONFIGS_TREE_H
#define CONFIGS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where something was written: a file with line and column (from 1), or a URL and perhaps its
 * parameter. */
struct place {
    const char *source; /* "gost.yml", "<stdin>", "-L #1 \"socks5://:1080\"", "GOST_API" */
    const char *param;  /* a URL parameter, or NULL */
    unsigned line, column;
};

enum { PLACE_TEXT_MAX = 256 };

/* "gost.yml:12:7", "-F #1 \"relay://h:1\" parameter \"path\"". Returns buf. */
const char *place_format(const struct place *at, char *buf, size_t cap);

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,     /* num */
    VALUE_INT,      /* num */
    VALUE_UINT,     /* num holds the bits: only what does not fit VALUE_INT */
    VALUE_FLOAT,    /* real */
    VALUE_DURATION, /* num, nanoseconds: typed fields only */
    VALUE_TIME,     /* text, RFC 3339 */
    VALUE_STRING,   /* text, without NUL bytes */
    VALUE_LIST,
    VALUE_MAP,
};

enum value_flag {
    /* from an -L or -F parameter without prefix: several components may know it */
    VALUE_FROM_URL = 1,
    /* raw text of a parameter that already had its effect elsewhere; only `-O` shows it */
    VALUE_MOVED = 2,
    VALUE_DERIVED = 4, /* nobody wrote it: a default that GOST prints */
    VALUE_ABSENT = 8,  /* a zero value that nobody wrote but GOST prints */
    VALUE_FIELDS = 16, /* a map with fields in a fixed order; others are printed sorted */
};

struct value {
    enum value_kind kind;
    unsigned flags;
    struct place place;
    const char *key;      /* in a map: as the tree spells it */
    const char *key_text; /* as it was written */
    int64_t num;
    double real;
    const char *text;
    struct value *first, *last, *next; /* items of a list or map, in order */
    size_t n;                          /* how many */
};

struct tree;

struct tree *tree_new(void); /* NULL: no memory */
void tree_free(struct tree *t);
bool tree_ok(const struct tree *t); /* false: an allocation failed, the tree is incomplete */

void *tree_alloc(struct tree *t, size_t bytes); /* zeroed */
char *tree_text(struct tree *t, const char *s, size_t len);
char *tree_printf(struct tree *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct value *value_new(struct tree *t, enum value_kind kind, const struct place *at);
struct value *value_string(struct tree *t, const char *text, const struct place *at);
struct value *value_int(struct tree *t, enum value_kind kind, int64_t num, const struct place *at);
/* A copy that belongs to t, with all that hangs below it; texts are shared. */
struct value *value_copy(struct tree *t, const struct value *v);

void value_append(struct value *list, struct value *item);
/* Adds or replaces; key is kept, not copied. */
void value_put(struct value *map, const char *key, struct value *item);
/* Unlinks the item with exactly this key; false: there was none. */
bool value_drop(struct value *map, const char *key);
struct value *value_get(const struct value *map, const char *key); /* exact */
struct value *value_find(const struct value *map,
                         const char *key); /* exact first, else without regard to case */
/* The text of a string item; "" when it is absent or no string. */
const char *value_text(const struct value *map, const char *key);

#define value_each(item, parent)                                                                   \
    for (struct value *item = (parent) ? (parent)->first : NULL; item; item = item->next)

#endif
