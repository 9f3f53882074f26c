/* core/option.h - the options of a plug-in as one table. The URL query, YAML and JSON, the checker
 * and docs/OPTIONS.md all read it; no plug-in parses text itself.
 *
 * A table is `static const struct option x_options[]`, ended by OPTION_END. `offset` is the place
 * of the value in the plug-in's own struct, which starts zeroed; configs/check.h fills in the
 * defaults and then what the user wrote. Keys are compared without regard to case.
 */
#ifndef CORE_OPTION_H
#define CORE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written, and the type of the field that takes it. */
enum option_type {
    OPTION_STRING,   /* char *          heap, owned by the struct; NULL when absent and without
                        default */
    OPTION_INT,      /* int64_t */
    OPTION_BOOL,     /* bool */
    OPTION_DURATION, /* int64_t, milliseconds. In metadata a bare number is seconds
                        (gost-config.md 3.1) */
    OPTION_SIZE,     /* int64_t, bytes */
    OPTION_LIST,     /* struct strlist: a list, or a string split at ',' */
    OPTION_LINES,    /* struct strlist: a list, or one string as its only item (hook commands) */
    OPTION_MAP,      /* struct strmap: string to string */
    OPTION_NETS,     /* struct netlist: "IP/prefix" items, a list or comma separated; bad items are
                        errors */
    OPTION_ENUM,     /* int: index into the words of `values` ("udp|tcp|tls") */
};

enum option_flag {
    /* GOST knows it and so do we, but it has no effect here: accepted in silence */
    OPTION_NOOP = 1,
    OPTION_LATER = 2,   /* GOST has it, we don't yet: a warning */
    OPTION_UNSAFE = 4,  /* GOST has it, we don't yet, and ignoring it would be unsafe: refuse */
    OPTION_OURS = 8,    /* not GOST's */
    OPTION_SIGNED = 16, /* a duration or size below zero means something; else it is an error */
};

struct option {
    const char *key;     /* canonical spelling, as GOST documents it: "ws.path" or "path" */
    const char *aliases; /* comma list in the order in which they are tried after key, or NULL */
    enum option_type type;
    unsigned flags;
    size_t offset;
    const char *def;    /* default as the user would write it, or NULL */
    const char *values; /* OPTION_ENUM: "a|b|c" */
    int64_t min, max;   /* inclusive bounds for INT, DURATION (ms), SIZE; both 0: none, but
                            the latter two are not below 0 */
    const char *help;   /* one line, ends without full stop */
};

#define OPTION_END                                                                                 \
    {                                                                                              \
        .key = NULL                                                                                \
    }

struct strlist {
    char **v;
    size_t n;
};
struct strmap {
    char **keys, **values;
    size_t n;
};
struct netlist {
    struct cidr *v; /* core/addr.h; .net holds the full address, not masked */
    size_t n;
};

/* Frees what the table owns inside obj (strings, lists, maps) and zeroes those fields. */
void options_done(const struct option *table, void *obj);

#endif
