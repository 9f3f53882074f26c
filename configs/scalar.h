/* configs/scalar.h - how GOST reads and writes single values: plain YAML scalars, Go numbers, words
 * and durations.
 *
 * Pure functions on texts; gost-config.md 3.1. Parsers return false and leave their result alone
 * when the text is bad.
 */
#ifndef CONFIGS_SCALAR_H
#define CONFIGS_SCALAR_H

#include "configs/tree.h"

enum { SCALAR_TEXT_MAX = 400 }; /* the longest float in positional form fits */

/* What an unquoted YAML scalar means. Fills in kind, num, real (and for VALUE_TIME: buf holds the
 * text). */
enum value_kind scalar_resolve(const char *text, int64_t *ret_num, double *ret_real,
                               char buf[SCALAR_TEXT_MAX]);

/* 1 t T true TRUE True 0 f F false FALSE False */
bool scalar_parse_bool(const char *text, bool *ret);
/* Decimal, or with a prefix 0x 0o 0b 0; an optional sign. */
bool scalar_parse_int(const char *text, int64_t *ret);
/* Decimal digits with an optional sign, nothing else. */
bool scalar_parse_decimal(const char *text, int64_t *ret);
bool scalar_parse_float(const char *text, double *ret);
/* "1m30s", "300ms", "0", "-1.5h": nanoseconds. A number without unit is refused. */
bool scalar_parse_duration(const char *text, int64_t *ret_ns);

/* "1m0s", "30ns", "0s". Returns buf. */
const char *scalar_format_duration(int64_t ns, char buf[SCALAR_TEXT_MAX]);
enum float_form {
    FLOAT_YAML, /* 1.25, 1e+06, .inf */
    FLOAT_JSON, /* 1.25, 1000000, 1e+21 */
    FLOAT_FULL, /* never an exponent */
};
/* The shortest digits that read back as the same number. Returns buf. */
const char *scalar_format_float(double real, enum float_form form, char buf[SCALAR_TEXT_MAX]);

#endif
