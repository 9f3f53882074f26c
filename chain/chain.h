/* chain/chain.h - a list of hops: a flow goes through one node of each. gost-config.md 3.6, 7.2.
 *
 * Refcounted; hops are added before the first use, then it does not change.
 */
#ifndef CHAIN_CHAIN_H
#define CHAIN_CHAIN_H

#include "chain/hop.h"

enum { CHAIN_HOPS_MAX = 16 };

struct chain {
    unsigned refs;
    char *name;
    struct hop *hops[CHAIN_HOPS_MAX];
    int n_hops;
};

struct chain *chain_new(const char *name); /* NULL: no memory. Refcount 1 */
struct chain *chain_ref(struct chain *c);
void chain_unref(struct chain *c);
/* Takes h, also on failure. RC_LIMIT: too many hops. */
enum rc chain_add(struct chain *c, struct hop *h);

/* The nodes of one flow, in order; references are held. n == 0: direct. */
struct route {
    struct node *nodes[CHAIN_HOPS_MAX];
    int n;
};

/* ask->udp counts for the last hop in use. RC_OK; RC_UNSUPPORTED: a hop can't carry UDP;
 * RC_INVALID: a hop without nodes; RC_REFUSED: one whose nodes have all failed lately (hop.h). diag
 * names the hop. The chain is never left because nodes are marked failed. */
enum rc chain_route(struct chain *c, const struct hop_ask *ask, struct route *ret_route,
                    struct diag *diag);

/* What each hop that was looked at made of a flow. */
struct chain_account {
    struct hop_account hops[CHAIN_HOPS_MAX];
    int n;
};
/* chain_route() without an effect on later routes; a says why, also on failure. */
enum rc chain_explain(struct chain *c, const struct hop_ask *ask, struct route *ret_route,
                      struct chain_account *a, struct diag *diag);
void route_done(struct route *r); /* drops the references; n becomes 0 */
/* "a@192.0.2.1:443 > b@node:1080" or "direct", cut to cap. Returns buf. */
const char *route_format(const struct route *r, char *buf, size_t cap);

#endif
