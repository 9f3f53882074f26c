/* chain/selector.h - picks one of several candidates: round robin, random by weight, first, hash;
 * and remembers failures. gost-config.md 7.3.
 *
 * Values, embedded in a hop or a forwarder; times are the caller's. No I/O, no allocation.
 */
#ifndef CHAIN_SELECTOR_H
#define CHAIN_SELECTOR_H

#include "core/addr.h"
#include <stdint.h>

enum selector_strategy { SELECT_ROUND, SELECT_RANDOM, SELECT_FIFO, SELECT_HASH };

struct selector_cfg {
    enum selector_strategy strategy;
    int64_t max_fails;       /* <= 0: 1 */
    int64_t fail_timeout_ms; /* <= 0: 10,000 */
};
struct selector {
    struct selector_cfg cfg;
    uint32_t turn; /* of round robin */
};
/* One candidate's memory of failures. It is marked failed from max_fails of them on, for
 * fail_timeout_ms after the last one. */
struct marker {
    int64_t fails;                      /* one after another */
    int64_t max_fails, fail_timeout_ms; /* <= 0: the selector's */
    uint64_t failed_ms;                 /* the last one */
    int weight;                         /* of a random choice; <= 0: 1 */
    bool backup;                        /* only while all others are marked */
};

void selector_init(struct selector *s, const struct selector_cfg *cfg);
bool marker_is_failed(const struct marker *m, const struct selector *s, uint64_t now_ms);
void marker_fail(struct marker *m, uint64_t now_ms);
void marker_ok(struct marker *m);
/* v[0..n): the candidates that a rule does not exclude (failed ones included); returns an index, or
 * -1 when n is 0. Failed ones only serve when nothing else is left: then the one whose mark is the
 * oldest. */
int selector_pick(struct selector *s, struct marker *const *v, int n, uint32_t hash,
                  uint64_t now_ms);

/* "round", "rr", "fifo" ...; unknown words are round robin. */
enum selector_strategy selector_strategy_parse(const char *word, bool *ret_known);

#endif
