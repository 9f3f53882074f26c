/* listeners/tungo/budget.c - a bucket for all, and one for each client in small sets. */
#include "listeners/tungo/budget.h"
#include "core/loop.h"
#include <string.h>
#include <sys/socket.h>

enum { SET = 4 /* places that a client can have */ };

void budget_init(struct budget *b, const struct budget_limits *limits)
{
    *b = (struct budget){.limits = *limits, .all.tokens = limits->burst};
    loop_random(&b->key, sizeof b->key);
}

static uint64_t id_of(const struct budget *b, const struct addr *client)
{
    uint64_t net[2] = {client->family};

    memcpy(&net[1], client->ip, client->family == AF_INET6 ? 8 : 4);
    uint64_t id = siphash(&b->key, net, sizeof net);
    return id ? id : 1;
}

static struct bucket *own_of(struct budget *b, const struct addr *client, uint64_t now_ms)
{
    uint64_t id = id_of(b, client);
    struct budget_client *set = &b->clients[id % (BUDGET_CLIENTS / SET) * SET], *oldest = set;

    for (int i = 0; i < SET; i++) {
        if (set[i].id == id)
            return &set[i].own;
        if (set[i].own.refilled_ms < oldest->own.refilled_ms)
            oldest = &set[i];
    }
    *oldest = (struct budget_client){id, {now_ms, b->limits.own_burst}};
    return &oldest->own;
}

bool budget_take(struct budget *b, const struct addr *client, uint64_t now_ms)
{
    const struct budget_limits *l = &b->limits;
    struct bucket *own = own_of(b, client, now_ms);

    bucket_fill(&b->all, l->burst, l->per_second, now_ms);
    bucket_fill(own, l->own_burst, l->own_per_second, now_ms);
    if (b->all.tokens == 0 || (b->all.tokens <= l->burst / 2 && own->tokens == 0))
        return false;
    b->all.tokens--;
    own->tokens -= own->tokens > 0;
    return true;
}
