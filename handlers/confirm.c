/* handlers/confirm.c - see confirm.h. */
#include "handlers/confirm.h"
#include "chain/node.h"

uint32_t confirm_wait_ms(const struct node *n, uint64_t handshake_ms)
{
    if (n && n->eager)
        return CONFIRM_EAGER_MS;
    if (handshake_ms < CONFIRM_MIN_MS / 2)
        return CONFIRM_MIN_MS;
    return handshake_ms > CONFIRM_MAX_MS / 2 ? CONFIRM_MAX_MS : (uint32_t)(2 * handshake_ms);
}

void confirm_learn(struct node *n, bool told)
{
    if (n)
        n->eager = told;
}
