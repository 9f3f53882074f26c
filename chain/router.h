/* chain/router.h - from a target to an open stream or datagram flow: directly, or through the hops
 * of a chain.
 *
 * One router per service: its interface, mark, retries, dialTimeout, and its chain (shared,
 * refcounted). gost-config.md section 7. A request ends with exactly one done() call, from the
 * loop, unless dial_cancel() came first.
 */
#ifndef CHAIN_ROUTER_H
#define CHAIN_ROUTER_H

#include "core/addr.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/rc.h"

struct chain;
struct dgram;
struct dial;
struct hosts_table;
struct nameservers;
struct resolver;
struct router;
struct stream;

struct router_cfg {
    struct loop *loop;
    const char *service;      /* for messages */
    struct chain *chain;      /* NULL: always direct. The router takes a reference */
    struct sockopts so;       /* of direct dials; strings are copied */
    int retries;              /* extra attempts */
    uint32_t dial_timeout_ms; /* per attempt; 0: 15,000 */
    bool prefer_ipv6;
    /* Names of targets are resolved by these before the chain (gost-config.md 3.12). Referenced;
     * NULL: none. */
    struct hosts_table *hosts;
    struct nameservers *nameservers;
};
struct router *router_new(const struct router_cfg *cfg); /* NULL: no memory */
/* The longest a request can take: dialTimeout for each attempt. */
uint64_t router_patience_ms(const struct router *r);
void router_free(struct router *r); /* pending dials end with RC_CANCELED before it returns */

struct dial_req {
    struct target target; /* for UDP without a target: an empty one */
    struct target seen;   /* what rules go by instead of it: a sniffed name; for UDP without a
                             target whom the flow is made for, so that it takes the route that
                             router_udp_route() told. Empty: the target */
    struct addr client;   /* family 0: unknown */
    /* For PROXY headers. dest: where the client's own connection or datagram went; family 0:
     * unknown, the target's address is taken where it has one. proxy_protocol: the version of a
     * header that the target itself is sent first; <= 0: none. */
    struct addr dest;
    int64_t proxy_protocol;
    /* Where the client's connection came in, an address of ours; family 0: unknown. Whoever is
     * found there is this service: a node there would be asked for its own target again, for ever,
     * and so would a target there that is sent what the client said (verbatim). Not dialled. */
    struct addr arrived;
    bool verbatim;
    bool one;        /* UDP: an empty target is not "anybody" but what the node forwards to */
    bool plain;      /* UDP without a target: as whole datagrams, empty ones too */
    bool udp_only;   /* no stream instead of datagrams, also for DNS */
    bool reach;      /* no target: only as far as the last node, of which nothing is asked */
    bool by_name;    /* a chain is told the name: the service's nameservers are for direct dials,
                        its hosts for all */
    bool addr_known; /* the address beside the target's name is its own: a direct dial asks
                        nobody for another */
    bool v6_only, v4_only;
};

struct dial_result {
    enum rc rc;
    struct diag diag;      /* the reason, when rc is not RC_OK: of the first address really tried */
    bool direct;           /* no hop was used */
    bool dns_tcp;          /* the chain can't carry UDP: these are DNS questions over TCP */
    char route[200];       /* "node-0@192.0.2.1:443 > node-1@..." or "direct" */
    uint64_t handshake_ms; /* time from the first packet to open */
    struct node *node;     /* last hop's node, NULL when direct: valid during the call */
};

/* s is open and belongs to the callee (NULL unless rc is RC_OK). */
typedef void dial_done_fn(void *arg, struct stream *s, const struct dial_result *res);
typedef void dial_dgram_fn(void *arg, struct dgram *d, const struct dial_result *res);

struct dial *router_dial(struct router *r, const struct dial_req *req, dial_done_fn *done,
                         void *arg);
/* Where the chain can't carry datagrams, those to port 53 go over TCP through it as DNS questions
 * (RFC 7766); the owner of the flow should say so. */
struct dial *router_dial_dgram(struct router *r, const struct dial_req *req, dial_dgram_fn *done,
                               void *arg);
void dial_cancel(struct dial *d); /* done is not called */

/* Do rules of hops or nodes send some targets another way? */
bool router_has_rules(const struct router *r);

/* How UDP to this target would go, without doing it. RC_UNSUPPORTED: a hop can't carry UDP (diag
 * names it; an empty target is then fixed where rules may send some destinations elsewhere). When a
 * dial without a target ends with RC_UNSUPPORTED a node has turned out not to
 * serve every destination: ask again, flows may be fixed from then on. */
struct udp_route {
    uint32_t id;      /* equal ids share one association per source; 0: direct */
    bool fixed;       /* one flow per destination: all that the carrier can, or DNS */
    bool empty_apart; /* not fixed, and an empty datagram can only go by a flow of its destination
                         (wire-protocols 4.6) */
    bool empty_plain; /* the same by an association of its own for all destinations (struct
                         dial_req, plain) */
    bool dns_tcp;     /* fixed, and over TCP: no hop can carry it otherwise */
    char route[200];  /* as above */
};
enum rc router_udp_route(struct router *r, const struct target *t, struct udp_route *ret_route,
                         struct diag *diag);

/* Do the rules of all hops and nodes say the same of both, so that they have the same nodes to
 * choose from? network: "tcp" or "udp". */
bool router_same_way(struct router *r, const char *network, const struct target *a,
                     const struct target *b);

/* What the service's hosts say about a name: the count of addresses (port 0), at most cap. */
int router_hosts(struct router *r, const char *name, struct addr *v, int cap);

/* The nameservers that resolve its targets (borrowed; NULL: none); how its own sockets leave. */
struct nameservers *router_nameservers(const struct router *r);
const struct sockopts *router_sockopts(const struct router *r);

/* Is this the name of a node that is dialled from here, or of a nameserver? Then v gets the
 * addresses that a node's name last had (port 0), as far as they are known. */
bool router_is_own_name(const struct router *r, const char *name, struct addr *v, int cap,
                        int *ret_n);
/* Is this the address of one of the nodes that this router dials? (A flow to it that arrives on the
 * TUN is a loop.) */
bool router_is_node(const struct router *r, const struct addr *a);
/* Is a connection of ours under way from `from` to `to`? (The same, whoever it goes to.) */
bool router_is_dialling(const struct router *r, const struct addr *from, const struct addr *to);

#endif
