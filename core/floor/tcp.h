/* core/floor/tcp.h - the bottom floor over a kernel socket.
 *
 * Sockets are non-blocking, TCP_NODELAY, close-on-exec, hot (core/loop.h). The floor owns its fd
 * and is the caller's until it is pushed (core/stream.h).
 */
#ifndef CORE_FLOOR_TCP_H
#define CORE_FLOOR_TCP_H

#include "core/addr.h"
#include "core/os.h"
#include "core/stream.h"

/* A floor that connects to peer when opened; for tools and tests, since dials go by
 * chain/eyeballs.h. so may be NULL. NULL result: reason in diag. */
struct layer *tcp_connect_layer(struct loop *loop, const struct addr *peer,
                                const struct sockopts *so, struct diag *diag);

/* A floor over a connected (or accepted) socket; takes fd, also on failure. */
struct layer *tcp_layer(struct loop *loop, int fd, struct diag *diag);
/* The same when it is hot already: takes the registration with the fd, also on failure. */
struct layer *tcp_layer_hot(struct hotfd *hot, struct diag *diag);

#endif
