/* configs/check.h - reads a metadata map by a plug-in's table of options, and checks its keys.
 *
 * gost-config.md 3.1: keys without regard to case, of key and aliases the first that exists wins,
 * conversions as in GOST but a bad value is an error (PROBLEM_REFUSE) with its place. A bare number
 * for a duration means seconds. A key with dots may also stand as nested maps in a map of fixed
 * fields (tls: options.minVersion).
 */
#ifndef CONFIGS_CHECK_H
#define CONFIGS_CHECK_H

#include "configs/problem.h"
#include "core/option.h"
#include "core/rc.h"

/* Fills obj (zeroed, or filled by the same table before) with defaults and values. map may be NULL:
 * only defaults. obj NULL: only checks. RC_INVALID: something was refused; RC_NOMEM. obj is for
 * options_done() in each case. */
enum rc options_fill(const struct option *table, const struct value *map, void *obj,
                     struct problems *p);

/* Reports keys of map that no table knows. A key from a URL without prefix may belong to any of
 * `tables` (ended by NULL: the tables of all components that such a parameter is copied to), others
 * must be in own. what: "handler socks5". */
void options_check_keys(const struct value *map, const struct option *own,
                        const struct option *const *tables, const char *what, bool lenient,
                        struct problems *p);

#endif
