/* connectors/socks5_node.h - what the parts of the socks5 connector share: the node as the floors
 * know it (refcounted, since they may outlive it), and the floors.
 */
#ifndef CONNECTORS_SOCKS5_NODE_H
#define CONNECTORS_SOCKS5_NODE_H

#include "connectors/credentials.h"
#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/socks5.h"

struct dgram;
struct loop;
struct sockopts;
struct stream;
struct tls_ctx;

struct socks5_node {
    unsigned refs;
    struct credentials auth;
    char *host;          /* for SNI */
    struct tls_ctx *tls; /* NULL: the TLS methods are not offered */
    int64_t timeout_ms;
    uint64_t refused_ms; /* when it refused UDP-TUN; 0: it did not */
    struct loop *loop;
};

struct socks5_node *socks5_node_ref(struct socks5_node *n);
void socks5_node_unref(struct socks5_node *n);

/* Pushes the floor that agrees on a method, with TLS and user if the node wants them; then it
 * leaves. */
enum rc socks5_greet(struct socks5_node *n, struct stream *s);

/* Pushes the floor that makes one request; it leaves when the node has granted it. may_learn: a
 * refused UDP-TUN is remembered and ends with RC_UNSUPPORTED ("dial once more"). */
enum rc socks5_push(struct socks5_node *n, struct stream *s, enum socks5_cmd cmd,
                    const struct target *t, bool may_learn);

/* A UDP association (RFC 1928 section 7) beside s, which is taken. */
enum rc socks5_udp_dgram(struct socks5_node *n, struct stream *s, const struct sockopts *so,
                         struct dgram **ret_d);

#endif
