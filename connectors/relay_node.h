/* connectors/relay_node.h - what the two floors of the relay connector share: the node as they know
 * it (refcounted, since an association may outlive it), the request, and what the answer means.
 */
#ifndef CONNECTORS_RELAY_NODE_H
#define CONNECTORS_RELAY_NODE_H

#include "connectors/credentials.h"
#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/relay.h"

struct layer;
struct loop;
struct stream;

struct relay_node {
    unsigned refs;
    struct credentials auth;
    struct loop *loop;
    uint64_t refused_ms; /* when it refused an association; 0: it did not */
};

struct relay_node *relay_node_ref(struct relay_node *n);
void relay_node_unref(struct relay_node *n); /* NULL is fine */

/* On the heap, to be wiped and freed by the caller. */
enum rc relay_node_request(const struct relay_node *n, enum relay_cmd cmd, bool udp,
                           const struct target *t, unsigned char **ret_buf, size_t *ret_n);

/* The first four bytes of an answer: RC_OK, or the failure with its words. */
enum rc relay_check_answer(struct layer *l, const unsigned char head[static RELAY_HEAD_BYTES]);

/* Did it say lately that there are no associations (a server without bind=true)? */
bool relay_node_refused(const struct relay_node *n);

/* Pushes the floor that asks for a UDP association and waits for the answer. RC_UNSUPPORTED at its
 * opening: the node serves none, which is remembered for a while. */
enum rc relay_assoc_push(struct relay_node *n, struct stream *s, int64_t limit_ms);

#endif
