/* connectors/relay_node.h - what the two floors of the relay connector share: the credentials, the
 * request, and what the node's answer means.
 */
#ifndef CONNECTORS_RELAY_NODE_H
#define CONNECTORS_RELAY_NODE_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/relay.h"

struct layer;
struct stream;

struct relay_node {
    bool has_auth;
    char *user, *password;
};

/* On the heap, to be wiped and freed by the caller. */
enum rc relay_node_request(const struct relay_node *n, enum relay_cmd cmd, bool udp,
                           const struct target *t, unsigned char **ret_buf, size_t *ret_n);

/* The first four bytes of an answer: RC_OK, or the failure with its words. */
enum rc relay_check_answer(struct layer *l, const unsigned char head[static RELAY_HEAD_BYTES]);

/* Pushes the floor that asks for a UDP association and waits for the answer. */
enum rc relay_assoc_push(const struct relay_node *n, struct stream *s, int64_t limit_ms);

#endif
