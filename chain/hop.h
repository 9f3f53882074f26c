/* chain/hop.h - a set of nodes of which one serves each flow: rules, then the selector.
 * gost-config.md 3.7, 6.3, 7.3.
 *
 * Refcounted (several chains may use one hop); nodes are added before the first use.
 */
#ifndef CHAIN_HOP_H
#define CHAIN_HOP_H

#include "chain/node.h"
#include "chain/selector.h"

struct hop_cfg {
    struct loop *loop;
    const char *name; /* copied */
    struct selector_cfg selector;
    bypassed_fn *bypassed; /* NULL: no rule. bypassed_arg must outlive the hop */
    void *bypassed_arg;
};

struct hop {
    unsigned refs;
    struct loop *loop;
    char *name;
    struct selector selector;
    bypassed_fn *bypassed;
    void *bypassed_arg;
    struct node **nodes;
    int n_nodes;
    uint64_t trial_ms; /* the latest try while all were marked; 0: none */
};

enum { HOP_NODES_MAX = 256, HOP_TRIAL_MS = 1000 };

struct hop *hop_new(const struct hop_cfg *cfg); /* NULL: no memory. Refcount 1 */
struct hop *hop_ref(struct hop *h);
void hop_unref(struct hop *h);
enum rc hop_add(struct hop *h, struct node *n); /* takes n, also on failure */

/* What one flow asks of a hop. */
struct hop_ask {
    const char *network;         /* "tcp" or "udp" */
    const struct target *target; /* empty (no name, no address): no rule is asked */
    uint32_t hash;               /* of the client, for the hash strategy */
    bool again;   /* it has tried a node before: the trial of marked ones goes on with the next */
    unsigned udp; /* connector_flag bits of which the node needs one; 0: TCP, or not the last hop */
};

enum hop_fate {
    HOP_USED,     /* *ret_n serves */
    HOP_BYPASSED, /* a rule of the hop, or of every node: the route ends before this hop */
    HOP_UNABLE,   /* it has nodes, none of them can do what was asked (UDP) */
    HOP_EMPTY,    /* it has no nodes at all */
    HOP_FAILED    /* of several nodes each is marked failed; only hop_select() says it */
};
/* ret_n is not referenced. A mark is there to choose another node. With one node there is none to
 * choose, and it is always tried. When several are all marked, one flow in HOP_TRIAL_MS tries the
 * one whose mark is the oldest, so that their return is noticed; the others are refused at once. */
enum hop_fate hop_select(struct hop *h, const struct hop_ask *ask, struct node **ret_n);

/* What a hop made of a flow, for those who explain it. */
enum node_fate {
    NODE_CANDIDATE,
    NODE_BYPASSED, /* a rule of the node */
    NODE_UNABLE,   /* it can't do what was asked (UDP) */
    NODE_NOT_ASKED /* the hop's own rule came first */
};
struct hop_account {
    const struct hop *hop;
    enum hop_fate fate;
    bool own_rule; /* HOP_BYPASSED: by the hop's rule; else by those of all its nodes */
    uint8_t nodes[HOP_NODES_MAX]; /* enum node_fate, as in hop->nodes */
    const struct node *picked;    /* HOP_USED: whom the selector would take now; else NULL */
    int n_candidates;
};
/* hop_select() without an effect on later choices. ret_n may be NULL; a says why. */
enum hop_fate hop_explain(const struct hop *h, const struct hop_ask *ask, struct node **ret_n,
                          struct hop_account *a);

/* The same decision without choosing: what would be candidates. *ret_udp: the union of their UDP
 * flags; a direct one has those of the hop before it, which stay in *ret_udp (first: there is none
 * before it); *ret_key: equal for equal candidates; *ret_only: the candidate if it is the only one.
 */
enum hop_fate hop_survey(const struct hop *h, const struct hop_ask *ask, bool first,
                         unsigned *ret_udp, uint32_t *ret_key, struct node **ret_only);

#endif
