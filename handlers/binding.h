/* handlers/binding.h - a port of this machine that waits for one connection on behalf of a client
 * (SOCKS BIND). wire-protocols.md 4.4.
 *
 * Owner: who opened it; binding_free() at any time, also from peer(). Listens from binding_open(),
 * accepts from binding_start(): one connection, then the port is closed. peer() is called once,
 * from the loop, unless the binding was freed before.
 */
#ifndef HANDLERS_BINDING_H
#define HANDLERS_BINDING_H

#include "core/addr.h"
#include "core/rc.h"

struct binding;
struct loop;
struct stream;

/* RC_OK: s is open and the callee's, from is its far end. Else s is NULL and reason says why. */
typedef void binding_peer_fn(void *arg, struct stream *s, const struct addr *from, enum rc rc,
                             const char *reason);

/* netns: where it waits; NULL: our own namespace. dual: both families, for the wildcard. *ret_at:
 * the address as bound. */
enum rc binding_open(struct loop *loop, const char *netns, const struct addr *at, bool dual,
                     struct binding **ret_b, struct addr *ret_at, struct diag *diag);
/* Waits wait_ms at most. RC_NOMEM, or the error of the event queue: peer() is not called. */
enum rc binding_start(struct binding *b, uint32_t wait_ms, binding_peer_fn *peer, void *arg);
void binding_free(struct binding *b); /* NULL is fine */

#endif
