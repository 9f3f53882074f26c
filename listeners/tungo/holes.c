/* listeners/tungo/holes.c - see holes.h. */
#include "listeners/tungo/holes.h"
#include "listeners/tungo/seq.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 16 };

static uint32_t size_of(const struct hole *x)
{
    return x->to - x->from;
}

static bool room_for_one(struct holes *h)
{
    if (h->n < h->cap)
        return true;
    if (h->cap >= HOLES_MAX)
        return false;
    unsigned cap = h->cap ? h->cap * 2 : FIRST_CAP;
    struct hole *v = realloc(h->v, cap * sizeof *v);
    if (!v)
        return false;
    h->v = v;
    h->cap = cap;
    return true;
}

static void insert(struct holes *h, unsigned i, const struct hole *x)
{
    memmove(h->v + i + 1, h->v + i, (h->n - i) * sizeof *h->v);
    h->v[i] = *x;
    h->n++;
}

/* The first hole that ends behind seq; n: none. */
static unsigned first_behind(const struct holes *h, uint32_t seq)
{
    unsigned low = 0, high = h->n;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (seq_le(h->v[mid].to, seq))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* n bytes of x are no hole any more. */
static void uncount(struct holes *h, const struct hole *x, uint32_t n)
{
    h->bytes -= n;
    if (x->lost)
        h->lost_bytes -= n;
}

bool holes_add(struct holes *h, uint32_t from, uint32_t to, uint64_t now_us)
{
    if (!room_for_one(h))
        return false;
    struct hole x = {.from = from, .to = to, .at_us = now_us};
    insert(h, h->n, &x);
    h->bytes += size_of(&x);
    return true;
}

bool holes_split(struct holes *h, unsigned i, uint32_t at)
{
    if (!room_for_one(h))
        return false;
    struct hole right = h->v[i];
    right.from = at;
    h->v[i].to = at;
    insert(h, i + 1, &right);
    return true;
}

static void tell(const struct hole *x, struct holes_news *news)
{
    news->any = true;
    if (x->tries) {
        if (x->at_us > news->resent_us)
            news->resent_us = x->at_us;
    } else if (!news->late_us || x->at_us < news->late_us) {
        news->late_us = x->at_us;
    }
}

void holes_clear(struct holes *h, uint32_t from, uint32_t to, struct holes_news *news)
{
    unsigned first = first_behind(h, from), i = first, gone = first;

    if (i == h->n)
        return;
    if (seq_lt(h->v[i].from, from)) { /* its left part stays */
        struct hole *x = &h->v[i];
        if (seq_lt(to, x->to)) {
            /* without room for two it stays unknown that these bytes arrived */
            if (!holes_split(h, i, to))
                return;
            x = &h->v[i];
        }
        tell(x, news);
        uncount(h, x, x->to - from);
        x->to = from;
        i = gone = first + 1; /* after a split: the right half, and it begins at `to` */
    }
    for (; gone < h->n && seq_le(h->v[gone].to, to); gone++) {
        tell(&h->v[gone], news);
        uncount(h, &h->v[gone], size_of(&h->v[gone]));
    }
    if (gone < h->n && seq_lt(h->v[gone].from, to)) { /* its right part stays */
        tell(&h->v[gone], news);
        uncount(h, &h->v[gone], to - h->v[gone].from);
        h->v[gone].from = to;
    }
    if (gone > i) /* also: without any hole there is no memory */
        memmove(h->v + i, h->v + gone, (h->n - gone) * sizeof *h->v);
    h->n -= gone - i;
    if (!h->n)
        holes_forget(h);
}

bool holes_have(const struct holes *h, uint32_t seq)
{
    unsigned i = first_behind(h, seq);

    return i < h->n && seq_le(h->v[i].from, seq);
}

int holes_find(const struct holes *h, uint32_t seq)
{
    unsigned i = first_behind(h, seq);

    return i < h->n && h->v[i].from == seq ? (int)i : -1;
}

void holes_set_lost(struct holes *h, unsigned i, bool lost)
{
    struct hole *x = &h->v[i];

    if (x->lost == lost)
        return;
    x->lost = lost;
    if (lost)
        h->lost_bytes += size_of(x);
    else
        h->lost_bytes -= size_of(x);
}

void holes_forget(struct holes *h)
{
    free(h->v);
    *h = (struct holes){0};
}
