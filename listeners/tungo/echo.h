/* listeners/tungo/echo.h - pings that really leave (`icmp: forward`): echo requests of clients go
 * out by unprivileged ping sockets, bound as direct connections are, and what comes back goes to
 * the client as it came: answers, and "unreachable" as an ICMP error about the request. It leaves
 * with one hop less than it came with; where that is used up, the client hears it from that router.
 *
 *   (client, identifier) -> one socket; the kernel puts an identifier of its own in place
 *
 * Owner: the listener. The handler says which destinations are reached directly (struct
 * tungo_events, on_echo). At most 256 sockets; then the client that has most of them
 * (core/shares.h) loses the one it did not use for longest. Each ends after 15 s of silence. RFC
 * 792, 4443; icmp(7) "ping_group_range".
 */
#ifndef LISTENERS_TUNGO_ECHO_H
#define LISTENERS_TUNGO_ECHO_H

#include "core/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct echo;
struct icmp;
struct loop;
struct packet;
struct sockopts;
struct tungo;

enum { ECHO_SESSIONS_MAX = 256, ECHO_IDLE_MS = 15000 };

struct echo *echo_new(struct loop *loop, struct tungo *t, struct icmp *icmp); /* NULL: no memory */
void echo_free(struct echo *e);                                               /* NULL is fine */

/* Sends the request in p (a GATE_ICMP packet that is one) on. RC_OK: it is on its way, or lost as
 * on any network; else the client should hear why it is not. RC_SYS: no ping socket can be had
 * here, the reason is in diag. */
enum rc echo_forward(struct echo *e, const struct packet *p, const struct sockopts *so,
                     struct diag *diag);
unsigned echo_sessions(const struct echo *e);
uint64_t echo_evicted(const struct echo *e); /* sessions that ended for others */

#endif
