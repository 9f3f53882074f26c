/* chain/dial.h - what router.c and dial.c share: the router itself and one request under way. */
#ifndef CHAIN_DIAL_H
#define CHAIN_DIAL_H

#include "chain/chain.h"
#include "chain/resolver.h"
#include "chain/router.h"

enum { DIAL_TIMEOUT_MS = 15000 };

struct router {
    struct loop *loop;
    char *service;
    struct chain *chain; /* NULL: always direct */
    struct sockopts so;  /* strings are ours */
    int retries;
    uint32_t dial_timeout_ms;
    bool prefer_ipv6;
    struct resolver *resolver; /* of direct dials; made with the first name */
    struct dial *dials;        /* under way */
};

struct resolver *router_resolver(struct router *r); /* NULL: no memory */

/* The request starts with the loop's next round of jobs. NULL: no memory. */
struct dial *dial_new(struct router *r, const struct dial_req *req, dial_done_fn *done,
                      dial_dgram_fn *done_dgram, void *arg);
/* Ends it with this result, calling done. */
void dial_end(struct dial *d, enum rc rc);

#endif
