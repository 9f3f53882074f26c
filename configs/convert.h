/* configs/convert.h - one written value to the type of an option (core/option.h), with GOST's weak
 * typing.
 *
 * Bad values are PROBLEM_REFUSE and RC_INVALID in `rc`. What convert_field() allocated is for
 * options_done(), also when it returns false.
 */
#ifndef CONFIGS_CONVERT_H
#define CONFIGS_CONVERT_H

#include "configs/problem.h"
#include "core/option.h"
#include "core/rc.h"

struct convert {
    const struct option *o;
    const struct value *v; /* what was written; of defaults a string without place */
    struct problems *problems;
    enum rc rc;
};

/* Room for any type; starts zeroed. */
union field {
    char *text;
    int64_t num;
    bool yes;
    struct strlist list;
    struct strmap map;
    struct netlist nets;
    int word;
};

size_t convert_bytes(enum option_type type); /* how much of it the type uses */
bool convert_field(struct convert *c, union field *to);

#endif
