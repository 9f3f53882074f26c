/* dialers/tls_node.h - what the tls and wss dialers keep of TLS to one node: the shared client
 * context, the name to ask for and the key of its tickets.
 */
#ifndef DIALERS_TLS_NODE_H
#define DIALERS_TLS_NODE_H

#include "dialers/dialer.h"

struct tls_ctx;

struct tls_node {
    struct tls_ctx *ctx;
    char *host, *addr;
};

enum rc tls_node_init(struct tls_node *t, const struct dialer_setup *setup, struct diag *diag);
enum rc tls_node_push(const struct tls_node *t, struct stream *s);
void tls_node_done(struct tls_node *t); /* accepts half-built */

#endif
