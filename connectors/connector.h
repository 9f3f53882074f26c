/* connectors/connector.h - the contract of a connector: asks a node for the target, with one floor.
 *
 * Lives as long as its node; floors hold what they need themselves. What "open" means is the
 * protocol's business: socks5 and http have their reply; relay has sent its header (see
 * QUERY_CONFIRMED in core/stream.h).
 */
#ifndef CONNECTORS_CONNECTOR_H
#define CONNECTORS_CONNECTOR_H

#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"

struct loop;
struct stream;
struct dgram;
struct sockopts;
struct tls_cfg;
struct connector;

struct connector_setup {
    struct loop *loop;
    const struct tls_cfg *tls;   /* never NULL; socks5's TLS methods use it */
    const char *node_name;       /* for messages */
    const char *node_host;       /* SNI of socks5's TLS */
    const char *user, *password; /* NULL: none; copied by init */
};

enum connector_flag {
    CONNECTOR_UDP_FIXED = 1, /* dgram() with a target: one flow to that target */
    CONNECTOR_UDP_ANY = 2,   /* dgram() without a target: any destination, replies of anybody.
                                Preferred where there is no one target and a node does both */
    CONNECTOR_UDP_PLAIN = 8, /* what dgram() makes can't carry empty datagrams; dgram_plain() can */
    CONNECTOR_DIRECT = 4,    /* no node is asked: the target is dialled from here, as the node's
                                sockopts say. push() may push a bottom floor on a stream without
                                floors instead (RC_OK); RC_UNSUPPORTED: dial the target */
};

struct connector_type {
    const char *name;
    const char *aliases;
    unsigned flags;
    const struct option *options;
    size_t cfg_bytes;
    enum rc (*init)(struct connector *c, const struct connector_setup *setup, struct diag *diag);
    /* Pushes what comes before any request (socks5: methods, TLS, user): it is opened as a part of
     * reaching the node, so its failure is the node's. NULL: nothing. */
    enum rc (*greet)(struct connector *c, struct stream *s);
    /* TCP: pushes the floor that asks for t. RC_NAME: the protocol carries no names, come again
     * with t's IPv4 address. */
    enum rc (*push)(struct connector *c, struct stream *s, const struct target *t);
    /* UDP over s (taken, also on failure). t NULL: any destination. so: for a second socket beside
     * the stream; NULL: the node is behind other hops, there can be none. NULL slot: this connector
     * can't carry UDP. When opening the result ends with RC_UNSUPPORTED the connector has learnt
     * that the node wants it another way: dial once more. CONNECTOR_DIRECT: s is NULL, RC_OK
     * without a result means: a socket of our own. */
    enum rc (*dgram)(struct connector *c, struct stream *s, const struct target *t,
                     const struct sockopts *so, struct dgram **ret_d);
    /* The same for any destination, with whole datagrams beside the stream, empty ones too. so:
     * never NULL. May be NULL. */
    enum rc (*dgram_plain)(struct connector *c, struct stream *s, const struct sockopts *so,
                           struct dgram **ret_d);
    /* The CONNECTOR_UDP_ bits as far as is known by now; NULL: those of flags. */
    unsigned (*udp)(const struct connector *c);
    void (*done)(struct connector *c);
};

struct connector {
    const struct connector_type *type;
    void *cfg;
    void *state;
};

extern const struct connector_type connector_direct, connector_forward, connector_http,
    connector_relay, connector_socks4, connector_socks5;

#endif
