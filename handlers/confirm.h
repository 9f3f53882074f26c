/* handlers/confirm.h - how long the last node's word about the target is waited for.
 *
 * A node whose connector can't tell yet (QUERY_CONFIRMED: pending; a relay server that is silent
 * until its target speaks) gets twice its handshake's time. One that has told before any payload
 * does so always: its word is waited for until its own dial must have ended.
 *
 * No state but what the node remembers (chain/node.h).
 */
#ifndef HANDLERS_CONFIRM_H
#define HANDLERS_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

struct node;

enum { CONFIRM_MIN_MS = 20, CONFIRM_MAX_MS = 250, CONFIRM_EAGER_MS = 20000 };

/* n: the last hop's node; NULL: direct. */
uint32_t confirm_wait_ms(const struct node *n, uint64_t handshake_ms);
/* told: it said yes before any payload; else it let the time pass, and nobody waits that long for
 * it again until it has told once more. NULL is fine. */
void confirm_learn(struct node *n, bool told);

#endif
