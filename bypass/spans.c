/* bypass/spans.c - see spans.h. */
#include "bypass/spans.h"
#include <stdlib.h>

static int compare(struct key a, struct key b)
{
    return a.hi != b.hi ? (a.hi < b.hi ? -1 : 1) : a.lo != b.lo ? (a.lo < b.lo ? -1 : 1) : 0;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int by_first = compare(x->first, y->first);
    return by_first ? by_first : x->rule < y->rule ? -1 : x->rule > y->rule;
}

bool spans_add(struct spans *s, struct key first, struct key last, uint32_t rule)
{
    if (compare(first, last) > 0)
        return true;
    if (s->n == s->room) {
        size_t room = s->room ? s->room * 2 : 16;
        struct span *v = realloc(s->v, room * sizeof *v);
        if (!v)
            return false;
        s->v = v;
        s->room = room;
    }
    s->v[s->n++] = (struct span){first, last, rule};
    return true;
}

/* Sorted, and cut so that none overlaps: of a span only what lies behind all before it is left. */
void spans_finish(struct spans *s)
{
    size_t n = 0;

    if (s->n > 1)
        qsort(s->v, s->n, sizeof *s->v, compare_spans);
    for (size_t i = 0; i < s->n; i++) {
        struct span one = s->v[i];
        if (n > 0 && compare(one.last, s->v[n - 1].last) <= 0)
            continue;
        if (n > 0 && compare(one.first, s->v[n - 1].last) <= 0) {
            one.first = s->v[n - 1].last;
            one.first.hi += ++one.first.lo == 0;
        }
        s->v[n++] = one;
    }
    s->n = n;
    if (n < s->room) {
        struct span *v = realloc(s->v, (n ? n : 1) * sizeof *v);
        s->v = v ? v : s->v;
        s->room = n;
    }
}

const struct span *spans_find(const struct spans *s, struct key x)
{
    size_t lo = 0, hi = s->n; /* the one before lo begins at or before x */

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(s->v[mid].first, x) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && compare(x, s->v[lo - 1].last) <= 0 ? &s->v[lo - 1] : NULL;
}

void spans_done(struct spans *s)
{
    free(s->v);
    *s = (struct spans){0};
}
