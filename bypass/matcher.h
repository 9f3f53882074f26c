/* bypass/matcher.h - one compiled list of patterns: does any of them match this target?
 *
 * The cost of a question does not grow with the list: names are looked up by each of their ends in
 * one hash table, addresses by binary search, globs under the literal part at their end or their
 * beginning; only globs without such a part are tried one by one.
 *
 * Owner: a rule set. matcher_add() as often as needed, matcher_finish() once, then it is immutable
 * and may be read by any thread. Semantics: gost-config.md 6.1, in the version that ignores case.
 */
#ifndef BYPASS_MATCHER_H
#define BYPASS_MATCHER_H

#include "core/rc.h"
#include <stdint.h>

struct matcher;
struct pattern;
struct target;

struct matcher *matcher_new(void); /* NULL: no memory */
void matcher_free(struct matcher *m);

/* For about so many patterns to come. Only makes it faster. */
void matcher_reserve(struct matcher *m, uint32_t patterns);
/* rule: what matcher_has() tells. RC_NOMEM; RC_LIMIT: a glob with too many alternatives. */
enum rc matcher_add(struct matcher *m, const struct pattern *p, uint32_t rule);
void matcher_finish(struct matcher *m);

/* A target with a name and an address matches by either. No port is port 0. *ret_rule, which may be
 * NULL, is one of the rules that match. */
bool matcher_has(const struct matcher *m, const struct target *t, uint32_t *ret_rule);

uint32_t matcher_count(const struct matcher *m); /* patterns that were added */
size_t matcher_bytes(const struct matcher *m);   /* of memory */

#endif
