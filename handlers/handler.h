/* handlers/handler.h - the contract of a handler: speaks the client's protocol, asks for a target.
 *
 * A handler owns every client it was given until the client is gone; done() ends them all. Streams
 * arrive not opened (listeners/listener.h). Each client has a deadline for everything before its
 * request is complete.
 */
#ifndef HANDLERS_HANDLER_H
#define HANDLERS_HANDLER_H

#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"

struct addr;
struct auther;
struct client_info;
struct dgram;
struct forwarder;
struct handler;
struct loop;
struct router;
struct stream;
struct tls_cfg;
struct tungo;
struct target;

struct handler_setup {
    struct loop *loop;
    const char *service;         /* for messages and log fields; lives as long as the handler */
    const char *listener;        /* type name, for log fields */
    struct router *router;       /* lives longer than the handler */
    struct auther *auther;       /* NULL: everybody passes */
    const struct tls_cfg *tls;   /* never NULL; socks5's TLS methods */
    struct forwarder *forwarder; /* NULL: none; lives longer than the handler (chain/forwarder.h) */
    struct tungo *tungo;         /* only for the tungo handler */
    const char *netns;           /* where clients reach us: name or path, NULL: our own namespace */
    /* The service's bypass: is this target excluded? network: "tcp" or "udp". NULL: no rule. */
    bool (*bypassed)(void *arg, const char *network, const struct target *t);
    void *bypassed_arg; /* lives longer than the handler */
    /* May this client be served? Asked by the tungo handler, whose clients the service does not
     * see; it logs a no. NULL: everybody may. */
    bool (*admitted)(void *arg, const struct addr *client);
    void *admitted_arg; /* as above */
};

/* What a handler makes of one request before the router is asked: for `cgost explain`. */
struct handler_question {
    const char *network; /* "tcp" or "udp" */
    const struct target *target;
    const char *name; /* carried by the first bytes (a TLS server name); NULL: none */
};
struct handler_plan {
    struct target rule; /* the service's rules are asked about it */
    struct target dial;
    struct target seen; /* the rules of hops and nodes go by it */
    bool answered;      /* the handler answers itself, nothing is dialled */
    bool by_name;       /* of the dial (chain/router.h) */
    enum rc rc;         /* RC_OK; RC_UNSUPPORTED: not served; RC_INVALID: no such request */
    char note[160];     /* why, or what else is worth knowing; may be empty */
};

struct handler_type {
    const char *name;
    const char *aliases;
    const struct option *options;
    size_t cfg_bytes;
    enum rc (*init)(struct handler *h, const struct handler_setup *setup, struct diag *diag);
    void (*serve)(struct handler *h, struct stream *s,
                  const struct client_info *info); /* NULL: not for streams */
    void (*serve_dgram)(struct handler *h, struct dgram *d,
                        const struct client_info *info); /* NULL: not for UDP */
    void (*done)(struct handler *h);                     /* ends all clients; accepts half-built */
    /* The same decision as for a client, without one. ret_p has the target in all three places.
     * NULL: so it stays. */
    void (*explain)(const void *cfg, const struct handler_question *q, struct handler_plan *ret_p);
};

struct handler {
    const struct handler_type *type;
    void *cfg;
    void *state;
};

#endif
