/* listeners/tungo/budget.h - how many answers go to those who send what nobody asked for.
 *
 * All clients together have one budget. Its first half is anybody's, the second one only for a
 * client (an IPv4 address, or an IPv6 network of 64 bits) that has something left of its own: one
 * that floods uses up what it can get, and the others are still answered.
 *
 * Pure; times are the caller's. Memory: fixed. Of very many clients the one that was answered
 * longest ago is forgotten, and has its own share again. Owner: who answers.
 */
#ifndef LISTENERS_TUNGO_BUDGET_H
#define LISTENERS_TUNGO_BUDGET_H

#include "core/addr.h"
#include "core/siphash.h"
#include "listeners/tungo/bucket.h"

enum { BUDGET_CLIENTS = 256 };

struct budget_limits {
    uint32_t burst, per_second;         /* of all */
    uint32_t own_burst, own_per_second; /* of each, once only half of the burst is left */
};

struct budget {
    struct budget_limits limits;
    struct siphash_key key;
    struct bucket all;
    struct budget_client {
        uint64_t id; /* 0: nobody's */
        struct bucket own;
    } clients[BUDGET_CLIENTS];
};

void budget_init(struct budget *b, const struct budget_limits *limits);
/* One answer for this client. false: not now. */
bool budget_take(struct budget *b, const struct addr *client, uint64_t now_ms);

#endif
