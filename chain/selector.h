/* chain/selector.h - picks one of several candidates: round robin, random by weight, first, hash;
 * and remembers failures. gost-config.md 7.3.
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
    uint32_t turn;
};
/* One candidate's memory of failures. */
struct marker {
    int64_t fails, max_fails, fail_timeout_ms; /* max_fails, fail_timeout_ms <= 0: the selector's */
    uint64_t failed_ms;
    int weight; /* <= 0: 1 */
    bool backup;
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
