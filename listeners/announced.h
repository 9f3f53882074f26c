/* listeners/announced.h - accepted connections whose PROXY header is awaited: nothing of a client
 * is told upward before it is known who it is. gost-config.md 8.1 (proxyProtocol).
 *
 * Owner: an acceptor, where the service has proxyProtocol. Each connection gets 10 s; one that says
 * nothing, or something else, is a client without a header. A header that is wrong closes it, with
 * a warning (one a second, counted). At most ANNOUNCED_MAX wait: a new one ends the oldest.
 */
#ifndef LISTENERS_ANNOUNCED_H
#define LISTENERS_ANNOUNCED_H

#include "core/list.h"
#include "listeners/listener.h"

enum { ANNOUNCED_WAIT_MS = 10000, ANNOUNCED_MAX = 4096 };

/* From the loop, once per connection that has not failed; takes s, whose header has been read. */
typedef void announced_fn(void *arg, struct stream *s, const struct client_info *info);

struct announced {
    struct loop *loop;
    const char *service; /* for messages */
    announced_fn *done;
    void *arg;
    struct list waiting; /* the oldest first */
    unsigned n_waiting;
    uint64_t wrong, told_ms; /* headers; when the latest of them was told */
    uint64_t full_told_ms;   /* when it was told that too many wait */
};

void announced_init(struct announced *a, struct loop *loop, const char *service, announced_fn *done,
                    void *arg);
/* Takes s, with the connection as its only floor. */
void announced_take(struct announced *a, struct stream *s, const struct client_info *info);
void announced_stop(struct announced *a); /* closes those that wait; fine in every state */

#endif
