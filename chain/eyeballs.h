/* chain/eyeballs.h - one TCP connection to the first of several addresses that answers: RFC 8305
 * with 250 ms between the starts, over the choices of an interface list (gost-config.md 7.5).
 *
 * Owner: who called eyeballs_new(); exactly one done call from the loop unless freed before. It has
 * no deadline of its own: the owner has.
 * Choices of one address are tried in order, one after another: the next when the socket can't be
 * bound or the connect fails or has said nothing for 3 s. A refusal is the target's word: other
 * choices are not tried, nor after a choice that is strict ('!'), unless it is of the wrong family.
 * Failure: the reason is that of the first address really tried (a packet left); addresses without
 * a route only count when there was no other.
 */
#ifndef CHAIN_EYEBALLS_H
#define CHAIN_EYEBALLS_H

#include "chain/bindcache.h"
#include "core/addr.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/rc.h"

struct eyeballs;
/* The connected socket and its registration belong to the callee, who moves them elsewhere before
 * it returns (tcp_layer_hot); NULL when rc is not RC_OK. */
typedef void eyeballs_fn(void *arg, enum rc rc, struct hotfd *hot, const struct addr *peer);

enum { EYEBALLS_ADDRS_MAX = 32, EYEBALLS_STAGGER_MS = 250, EYEBALLS_CHOICE_MS = 3000 };

struct eyeballs_cfg {
    struct loop *loop;
    const struct sockopts *so; /* must live as long as the race, as the next */
    struct bind_cache *binds;
    uint16_t port; /* of all addresses */
    bool prefer_ipv6;
};
struct eyeballs *eyeballs_new(const struct eyeballs_cfg *cfg, eyeballs_fn *done, void *arg,
                              struct diag *diag); /* NULL: no memory. diag: first reason */
/* More addresses; the families take turns. last: no more will come. May be called until then. */
void eyeballs_add(struct eyeballs *e, const struct addr *v, int n, bool last);
/* The reason so far; RC_OK: nothing has failed yet. tried: only what the target or the network
 * said. */
enum rc eyeballs_why(const struct eyeballs *e, bool tried, struct diag *diag);
/* Is a connect under way from this local address to that one? */
bool eyeballs_has(const struct eyeballs *e, const struct addr *from, const struct addr *to);
void eyeballs_free(struct eyeballs *e); /* closes what is open; NULL is fine */

#endif
