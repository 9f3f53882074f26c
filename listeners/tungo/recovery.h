/* listeners/tungo/recovery.h - how much may be under way to the client, and what is sent again.
 *
 * lwIP's congestion control is not used: cwnd stands open, the client's window is the limit, and
 * what got lost is sent again by lwIP (three duplicate acknowledgements, or its timeout).
 */
#ifndef LISTENERS_TUNGO_RECOVERY_H
#define LISTENERS_TUNGO_RECOVERY_H

#include <stdint.h>

struct packet;
struct tungo_flow;

/* Around every segment of an established flow. before: SACK blocks are still readable in p. */
void recovery_before_input(struct tungo_flow *f, const struct packet *p);
void recovery_after_input(struct tungo_flow *f);
void recovery_after_tick(struct tungo_flow *f);
/* Bytes that may be beyond the last acknowledged one. */
uint32_t recovery_limit(const struct tungo_flow *f);

#endif
