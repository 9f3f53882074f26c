/* chain/answers.h - DNS answers kept for their time, whole as they came; asked for by question.
 *
 * Bounded: 4,096 answers of at most 4 KiB, 4 MiB in all; then the client that holds most
 * (core/shares.h; a large answer counts for several) loses those it did not use for longest. Names
 * without regard to case. One owner, one loop.
 */
#ifndef CHAIN_ANSWERS_H
#define CHAIN_ANSWERS_H

#include "core/wire/dns.h"

enum { ANSWERS_MAX = 4096, ANSWER_MAX_BYTES = 4096, ANSWERS_MAX_BYTES = 4 << 20 };

struct answers;
struct answers *answers_new(void); /* NULL: no memory */
void answers_free(struct answers *a);

/* A question as parsed, and what else makes answers differ (flags, DNSSEC wish: the owner's bits).
 * client: who asks, which makes no difference to the answer; NULL: nobody. */
struct answer_key {
    const struct dns_msg *question;
    uint32_t bits;
    const struct addr *client;
};
/* The answer with its TTLs counted down, the question's id and its name as it was asked (query: the
 * message of `question`). false: there is none, or no room in buf. */
bool answers_get(struct answers *a, const struct answer_key *key, const void *query,
                 uint64_t now_ms, void *buf, size_t cap, size_t *ret_n);
/* Keeps a copy for so long; what does not fit is not kept. */
void answers_put(struct answers *a, const struct answer_key *key, uint64_t now_ms,
                 const void *answer, size_t n, uint64_t keep_ms);

#endif
