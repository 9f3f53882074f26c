/* chain/dial.h - what router.c, dial.c (life of a request), dial_first.c (its first connection) and
 * dial_floors.c (the floors above it) share. Private to them.
 */
#ifndef CHAIN_DIAL_H
#define CHAIN_DIAL_H

#include "chain/chain.h"
#include "chain/eyeballs.h"
#include "chain/resolver.h"
#include "chain/router.h"

enum { DIAL_TIMEOUT_MS = 15000 };

struct router {
    struct loop *loop;
    char *service;
    struct chain *chain; /* NULL: always direct */
    struct sockopts so;  /* strings are ours */
    struct bind_cache binds;
    int retries;
    uint32_t dial_timeout_ms;
    bool prefer_ipv6;
    struct hosts_table *hosts;
    struct nameservers *nameservers;
    struct resolver *resolver; /* of targets; made with the first name */
    struct dial *dials;        /* under way */
};

enum dial_state {
    ST_START,   /* its turn on the loop */
    ST_NAME,    /* the target's address, by the service's hosts or resolver */
    ST_CONNECT, /* the name and the connection of the first server */
    ST_NODE,    /* the floors of node `at` */
    ST_TARGET,  /* the last node's word about the target */
    ST_DGRAM    /* the same for datagrams */
};

struct dial {
    struct router *router;
    struct dial *next, **link; /* in the router's list */
    struct dial_req req;
    struct target asked; /* the target as rules see it: name and address, as far as known */
    struct target sent;  /* as the last node is told: an address once the service resolved it */
    struct addr known[RESOLVE_ADDRS_MAX]; /* what the service resolved it to */
    int n_known;
    dial_done_fn *done;
    dial_dgram_fn *done_dgram; /* one of the two is set */
    void *arg;
    int retries_left;
    bool udp_again; /* the same route once more, the connector has learnt something */
    bool dns_tcp;   /* no datagrams that way: the question goes over a stream (chain/dns_dgram.h) */
    enum dial_state state;
    struct route route;
    int lead; /* so many direct nodes stand before the first one that is connected to */
    int at;   /* the node being reached, or the last one that was; route.n: none */
    struct resolve resolve;
    bool announced; /* the target has been sent its PROXY header */
    bool returns;   /* an address of the first server was left out: it is our own */
    bool naming;    /* it asks for the connector's sake (dial_named), not for the first server */
    struct eyeballs *race;
    struct stream *stream;
    struct dgram *dgram;
    struct timer deadline;
    struct job job;
    uint64_t started_ms; /* of the connection */
    struct diag diag;    /* of this attempt */
    struct deferred deferred;
};

static inline bool dial_is_direct(const struct dial *d) /* the target is the first server */
{
    return d->at >= d->route.n;
}
static inline bool dial_wants_dgram(const struct dial *d)
{
    return d->done_dgram != NULL && !d->dns_tcp;
}
static inline bool target_is_empty(const struct target *t)
{
    return !target_is_name(t) && t->addr.family == 0;
}
static inline bool dial_is_anywhere(const struct dial *d) /* datagrams to whom the owner will say */
{
    return d->done_dgram != NULL && !d->req.one && target_is_empty(&d->req.target);
}

static inline const struct target *dial_seen(const struct dial *d) /* by rules */
{
    return target_is_empty(&d->req.seen) ? &d->req.target : &d->req.seen;
}

bool target_is_dns(const struct target *t);
struct resolver *router_resolver(struct router *r); /* NULL: no memory */

/* The target with its address beside its name, as far as that is known by now. */
struct target router_told(struct router *r, const struct target *t);

/* The request starts with the loop's next round of jobs. NULL: no memory. */
struct dial *dial_new(struct router *r, const struct dial_req *req, dial_done_fn *done,
                      dial_dgram_fn *done_dgram, void *arg);
/* Ends it with this result, calling done. */
void dial_end(struct dial *d, enum rc rc);

/* The attempt failed: mark, try again or end. why: the words of whoever failed; NULL: d->diag has
 * them already, or rc must do. d may be gone afterwards, as with all functions below. */
void dial_fail(struct dial *d, enum rc rc, const struct diag *why);
void dial_finish(struct dial *d, enum rc rc);

/* Before anybody is asked: what rules see, and what is sent. True: the service's own resolver has a
 * say about the target's name. */
bool dial_begin(struct dial *d);
void dial_set_known(struct dial *d, const struct addr *v, int n); /* it has said: n > 0 */
/* Which nodes, and who connects to whom first. *ret_made: to nobody, d->stream is all (it rejects).
 * told: why; NULL: nobody asks, and it counts as a turn of the selectors. */
enum rc dial_plan(struct dial *d, struct chain_account *told, bool *ret_made);
/* Of the first connection, after dial_plan(): whose options, whose resolver (NULL: no memory), and
 * to which server. */
const struct sockopts *dial_first_sockopts(const struct dial *d);
struct resolver *dial_first_resolver(struct dial *d);
const struct target *dial_first_target(const struct dial *d);

/* The service's word about the target's name. */
void dial_told(struct dial *d, enum rc rc, const struct addr *v, int n, bool last);
void dial_connect_first(struct dial *d);
resolve_fn dial_resolved; /* of d->resolve */
/* An address for a name that the last node's connector can't carry. n == 0: rc and d->diag say
 * why. */
void dial_named(struct dial *d, enum rc rc, const struct addr *v, int n);
/* The stream is there, with the first server's connection or more in it: open it and go on. */
void dial_open_stream(struct dial *d);
void dial_open_dgram(struct dial *d);
/* The floors that reach node n: its PROXY header, its dialer's, then what its connector says before
 * any request. */
enum rc dial_push_node(struct dial *d, struct node *n);

#endif
