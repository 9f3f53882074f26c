/* chain/explain.h - what a router would do with a target, and why, without sending a packet.
 *
 * The account comes from the code that decides for packets (router_udp_route, dial_begin,
 * dial_plan, hop_explain); nothing is marked and no selector loses a turn. What rules said can be
 * asked again of whoever holds them: hop->bypassed_arg and node->bypassed_arg with `network` and
 * `asked`.
 *
 * Owner: the caller's struct; route_account_done() drops its references. Borrows from the router,
 * which must live longer. For `cgost explain` and tests; not for the data path (6 KB).
 */
#ifndef CHAIN_EXPLAIN_H
#define CHAIN_EXPLAIN_H

#include "chain/chain.h"
#include "chain/resolver.h"
#include "chain/router.h"

struct route_account {
    const char *network; /* "tcp", "udp" */
    struct target asked; /* what rules were asked about: a name, an address, or both */
    struct target sent;  /* what the last node is told; direct: what is dialled */
    bool named_here;     /* the service's hosts or resolver give the target's address */
    bool name_open;      /* they would have to be asked first: rules see the address then, too */
    const struct nameservers *service_nameservers; /* borrowed, as all below; NULL: none */
    enum rc rc; /* RC_OK: there is a way; else diag says why there is none */
    struct diag diag;
    struct chain_account chain; /* hop by hop, up to the one where it was decided; n 0: no chain */
    struct route route;         /* n 0: direct */
    bool rejects;               /* a direct node with action=reject answers instead of anybody */
    struct udp_route udp;       /* for UDP, when rc is RC_OK */

    /* The first connection. */
    const struct node *first_node; /* NULL: the target itself */
    struct target first;           /* its address as configured; for a direct dial the target */
    struct sockopts so;            /* borrowed strings */
    const struct nameservers *nameservers; /* who is asked for its name; NULL: this machine's */
    bool has_hosts;                        /* a hosts object comes before them */
    struct addr known[RESOLVE_ADDRS_MAX];  /* what the name is known to be without asking */
    int n_known;
};

void router_explain(struct router *r, const struct dial_req *req, bool udp,
                    struct route_account *ret_a);
void route_account_done(struct route_account *a);

/* The connector_flag bits of a node or a hop in words: "an association for any destination". */
const char *udp_words(unsigned udp);

#endif
