/* chain/forwarder.h - the targets of a forwarding service (tcp, udp, forward, relay in forward
 * mode, dns) with their selector. gost-config.md 3.5, 7.3.
 *
 * Owner: the service; its handler picks. Targets are added before the first pick.
 */
#ifndef CHAIN_FORWARDER_H
#define CHAIN_FORWARDER_H

#include "chain/selector.h"
#include "core/addr.h"

struct forwarder;
struct loop;

enum { FORWARDER_TARGETS_MAX = 256 };

/* NULL: no memory. */
struct forwarder *forwarder_new(struct loop *loop, const struct selector_cfg *cfg);
void forwarder_free(struct forwarder *f); /* NULL is fine */
/* Copies both. RC_NOMEM; RC_LIMIT: there are FORWARDER_TARGETS_MAX. */
enum rc forwarder_add(struct forwarder *f, const char *name, const struct target *t);
/* The targets in their order, as forwarder_pick() numbers them; false: there are no more. */
bool forwarder_target(const struct forwarder *f, int i, struct target *ret_t);
/* The target that was added last does not serve what fn says yes to. arg lives longer than f. */
void forwarder_exclude(struct forwarder *f,
                       bool (*fn)(void *arg, const char *network, const struct target *asked),
                       void *arg);
/* Picks a target; -1: there is none. mark() tells how it went. */
int forwarder_pick(struct forwarder *f, const struct addr *client, struct target *ret_t);
/* The same for what a client asks about; -1: none that serves it. */
int forwarder_pick_for(struct forwarder *f, const struct addr *client, const char *network,
                       const struct target *asked, struct target *ret_t);
void forwarder_mark(struct forwarder *f, int picked, bool ok);

#endif
