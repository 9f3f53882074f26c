/* chain/selector.c - the strategies and the failure rule of gost-config.md 7.3. */
#include "chain/selector.h"
#include "core/loop.h"
#include <string.h>
#include <strings.h>

enum { FAILS_DEFAULT = 1, FAIL_TIMEOUT_DEFAULT_MS = 10000, CANDIDATES_MAX = 256 };

void selector_init(struct selector *s, const struct selector_cfg *cfg)
{
    *s = (struct selector){.cfg = *cfg};
    if (s->cfg.max_fails <= 0)
        s->cfg.max_fails = FAILS_DEFAULT;
    if (s->cfg.fail_timeout_ms <= 0)
        s->cfg.fail_timeout_ms = FAIL_TIMEOUT_DEFAULT_MS;
}

bool marker_is_failed(const struct marker *m, const struct selector *s, uint64_t now_ms)
{
    int64_t max_fails = m->max_fails > 0 ? m->max_fails : s->cfg.max_fails;
    int64_t timeout_ms = m->fail_timeout_ms > 0 ? m->fail_timeout_ms : s->cfg.fail_timeout_ms;
    return m->fails >= max_fails && now_ms - m->failed_ms < (uint64_t)timeout_ms;
}

void marker_fail(struct marker *m, uint64_t now_ms)
{
    if (m->fails < INT64_MAX)
        m->fails++;
    m->failed_ms = now_ms;
}

void marker_ok(struct marker *m)
{
    m->fails = 0;
}

static int pick_weighted(struct marker *const *v, const int *list, int n)
{
    uint64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[list[i]]->weight > 0 ? (uint64_t)v[list[i]]->weight : 1;
    uint64_t r;
    loop_random(&r, sizeof(r));
    r %= sum;
    for (int i = 0; i < n; i++) {
        uint64_t w = v[list[i]]->weight > 0 ? (uint64_t)v[list[i]]->weight : 1;
        if (r < w)
            return list[i];
        r -= w;
    }
    return list[n - 1];
}

/* The one that had the longest time to recover. */
static int oldest_mark(struct marker *const *v, int n)
{
    int at = 0;
    for (int i = 1; i < n; i++)
        if (v[i]->failed_ms < v[at]->failed_ms)
            at = i;
    return n > 0 ? at : -1;
}

int selector_pick(struct selector *s, struct marker *const *v, int n, uint32_t hash,
                  uint64_t now_ms)
{
    if (n > CANDIDATES_MAX)
        n = CANDIDATES_MAX;
    int list[CANDIDATES_MAX], count = 0, primaries = 0;
    for (int i = 0; i < n; i++) {
        if (marker_is_failed(v[i], s, now_ms))
            continue;
        list[count++] = i;
        primaries += !v[i]->backup;
    }
    if (count == 0)
        return oldest_mark(v, n);
    if (primaries > 0 && primaries < count) {
        int kept = 0;
        for (int i = 0; i < count; i++)
            if (!v[list[i]]->backup)
                list[kept++] = list[i];
        count = kept;
    }
    if (count == 1)
        return list[0];
    switch (s->cfg.strategy) {
    case SELECT_ROUND:
        return list[s->turn++ % (uint32_t)count];
    case SELECT_RANDOM:
        return pick_weighted(v, list, count);
    case SELECT_FIFO:
        return list[0];
    case SELECT_HASH:
        return list[hash % (uint32_t)count];
    }
    return list[0];
}

enum selector_strategy selector_strategy_parse(const char *word, bool *ret_known)
{
    static const struct {
        const char *word;
        enum selector_strategy strategy;
    } words[] = {{"round", SELECT_ROUND}, {"rr", SELECT_ROUND},  {"random", SELECT_RANDOM},
                 {"rand", SELECT_RANDOM}, {"fifo", SELECT_FIFO}, {"ha", SELECT_FIFO},
                 {"hash", SELECT_HASH},   {"", SELECT_ROUND}};
    if (word == NULL)
        word = "";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(word, words[i].word) != 0)
            continue;
        if (ret_known != NULL)
            *ret_known = true;
        return words[i].strategy;
    }
    if (ret_known != NULL)
        *ret_known = false;
    return SELECT_ROUND;
}
