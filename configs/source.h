/* configs/source.h - turns one text (YAML or JSON) into a raw tree: values as written, keys of
 * files in lower case.
 *
 * Raw trees are untyped; configs/decode.h makes typed ones. Results: RC_OK, or RC_INVALID /
 * RC_NOMEM with a PROBLEM_FATAL that has the place. An empty text is VALUE_NULL.
 */
#ifndef CONFIGS_SOURCE_H
#define CONFIGS_SOURCE_H

#include "configs/problem.h"
#include "core/rc.h"

enum {
    SOURCE_BYTES_MAX = 16 * 1024 * 1024,
    SOURCE_DEPTH_MAX = 100,      /* nesting */
    SOURCE_VALUES_MAX = 1000000, /* values of one source, aliases expanded */
    SOURCE_KEYS_MAX = 4096,      /* keys of one map */
};

struct source {
    struct tree *tree;
    struct problems *problems;
    const char *name; /* for places; lives as long as the tree */
    bool keep_case;   /* inline JSON: metadata keys stay as written */
};

/* The first YAML document; further ones are a warning. Anchors, aliases and merge keys are
 * resolved. */
enum rc yaml_parse(const struct source *src, const char *text, size_t len, struct value **ret_v);
enum rc json_parse(const struct source *src, const char *text, size_t len, struct value **ret_v);

/* The kinds of -C: "-" (standard input), "{...}", a file by its extension. text is NULL: the
 * default file search; RC_EOF: it finds none (a PROBLEM_FATAL as well). */
enum rc source_read(struct tree *t, struct problems *p, const char *text, struct value **ret_v,
                    bool *ret_strict);

#endif
