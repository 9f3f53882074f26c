/* bypass/spans.h - a set of ranges of 128-bit numbers, each with the number of the rule that it
 * comes from: addresses, and ports of a name.
 *
 * spans_add() in any order, spans_finish() once, then spans_find() in O(log n). Owner: one matcher.
 */
#ifndef BYPASS_SPANS_H
#define BYPASS_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key {
    uint64_t hi, lo;
};

struct span {
    struct key first, last; /* both belong to it */
    uint32_t rule;
};

struct spans {
    struct span *v;
    size_t n, room;
};

/* false: no memory. A falling range is an empty one. */
bool spans_add(struct spans *s, struct key first, struct key last, uint32_t rule);
void spans_finish(struct spans *s);
const struct span *spans_find(const struct spans *s, struct key x); /* NULL: in none */
void spans_done(struct spans *s);

#endif
