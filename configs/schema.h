/* configs/schema.h - which sections and fields a configuration has, in GOST's order (gost-config.md
 * section 3).
 *
 * Static tables. `-O` prints fields in table order; configs/decode.c reads them; what is not served
 * yet says so here.
 * Pure.
 */
#ifndef CONFIGS_SCHEMA_H
#define CONFIGS_SCHEMA_H

#include "configs/problem.h"

enum field_type {
    FIELD_STRING,
    FIELD_INT,
    FIELD_BOOL,
    FIELD_DURATION,
    FIELD_STRINGS,
    FIELD_OBJECT,  /* of schema `sub` */
    FIELD_OBJECTS, /* list of them */
    FIELD_STRMAP,  /* string to string */
    FIELD_ANYMAP,  /* metadata */
};

enum field_flag {
    FIELD_ALWAYS = 1,  /* printed also when empty */
    FIELD_LATER = 2,   /* GOST has it, we don't yet: warning */
    FIELD_UNSAFE = 4,  /* GOST has it, we don't yet, ignoring it would be unsafe: refuse */
    FIELD_NOOP = 8,    /* documented by GOST, without effect there: warning */
    FIELD_SHORT = 16,  /* an object with only its first field may be written as that string
                          (chainGroup.chains) */
    FIELD_HIDDEN = 32, /* not in the tree, not printed */
};

struct schema;
struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
    const struct schema *sub;
};

struct schema {
    const char *what;           /* "service": for messages */
    const struct field *fields; /* ended by name NULL */
};

extern const struct schema schema_config;

const struct field *schema_field(const struct schema *s,
                                 const char *name); /* without regard to case */
/* Says that `key` is no field of s, with the nearest one as a hint. */
void schema_unknown(const struct schema *s, const struct value *item, enum severity severity,
                    struct problems *p);

#endif
