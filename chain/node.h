/* chain/node.h - one server of a hop: where it is, how it is reached (dialer), how it is asked for
 * a target (connector), and its memory of failures. gost-config.md 3.8, 7.5.
 *
 * Refcounted; immutable after node_new() but for the marker, the remembered addresses and what its
 * connector learns. Streams and datagram flows made through it may outlive it. The address is text
 * and is resolved when it is used: a name that does not resolve is never fatal here.
 */
#ifndef CHAIN_NODE_H
#define CHAIN_NODE_H

#include "chain/bindcache.h"
#include "chain/selector.h"
#include "connectors/connector.h"
#include "core/addr.h"
#include "core/os.h"
#include "dialers/dialer.h"

struct hosts_table;
struct loop;
struct nameservers;
struct resolver;

/* Does a rule exclude this target? network: "tcp" or "udp". Not asked for an empty target. */
typedef bool bypassed_fn(void *arg, const char *network, const struct target *t);

struct node_cfg {
    struct loop *loop;
    const char *name, *addr; /* addr as written: "edge.example.net:443"; copied, as all strings */
    const struct connector_type *connector;
    void *connector_cfg;                 /* taken, also on failure; freed with the type's table */
    const struct tls_cfg *connector_tls; /* borrowed during node_new(), never NULL */
    const struct dialer_type *dialer;
    void *dialer_cfg; /* taken, also on failure */
    const struct tls_cfg *dialer_tls;
    const char *user, *password; /* of the connector; NULL: none */
    struct sockopts so;          /* the node's own, else its hop's */
    struct hosts_table *hosts;   /* of its address; NULL: none. Referenced, as the next */
    struct nameservers *nameservers;
    struct marker marker;   /* max_fails, fail_timeout_ms, weight, backup */
    int64_t proxy_protocol; /* version of the PROXY header it is sent; <= 0: none */
    bypassed_fn *bypassed;  /* NULL: no rule. bypassed_arg must outlive the node */
    void *bypassed_arg;
};

enum { NODE_ADDRS_MAX = 16, NODE_UDP_AGAIN_MS = 60000 };

struct node {
    unsigned refs;
    struct loop *loop;
    char *name, *addr;
    struct target target; /* addr, parsed */
    bool addr_ok;         /* false: addr is not host:port; dialling it fails and says so */
    struct connector connector;
    struct dialer dialer;
    struct sockopts so; /* strings are ours */
    struct bind_cache binds;
    struct marker marker;
    int64_t proxy_protocol;
    bypassed_fn *bypassed;
    void *bypassed_arg;
    struct hosts_table *hosts;
    struct nameservers *nameservers;
    struct resolver *resolver;         /* made when the address is a name */
    struct addr known[NODE_ADDRS_MAX]; /* what the name last resolved to, with port */
    int n_known;
    uint64_t no_udp_ms;    /* when it last refused to carry datagrams at all; 0: never */
    uint32_t handshake_ms; /* of the last dial that opened: connect to open; 0: not known */
    bool
        eager; /* its relay server once confirmed a target before any payload: who saw it sets it */
};

/* NULL: the reason is in diag (bad options, bad certificate files, no memory). Refcount 1. */
struct node *node_new(const struct node_cfg *cfg, struct diag *diag);
struct node *node_ref(struct node *n);
void node_unref(struct node *n); /* NULL is fine */

/* It dials the target itself, from this machine (dialer or connector "direct"). */
bool node_is_direct(const struct node *n);
/* The connector_flag bits that say how it carries UDP, as far as is known by now; 0: it can't. A
 * direct node: any, from one socket of ours. */
unsigned node_udp(const struct node *n);
void node_refused_udp(struct node *n); /* it is no candidate for datagrams for a minute */
/* The node's resolver (bound and marked as the node says); NULL: no memory. */
struct resolver *node_resolver(struct node *n);
/* The same when hosts or nameservers were given, else NULL. */
struct resolver *node_own_resolver(struct node *n);
/* What its name has just resolved to. */
void node_remember(struct node *n, const struct addr *v, int count);
bool node_has_addr(const struct node *n, const struct addr *a); /* with port */

/* Own copies of the strings (never NULL); false: no memory, nothing is owned. */
bool sockopts_copy(const struct sockopts *so, struct sockopts *ret_so);
void sockopts_drop(struct sockopts *so);

#endif
