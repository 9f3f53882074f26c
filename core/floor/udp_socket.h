/* core/floor/udp_socket.h - one kernel socket of core/floor/udp.c: made for a destination, bound as
 * the interface list says, and made anew when that has come to mean something else: an interface
 * went, came back under another number, or the default route moved. The port is kept where that is
 * possible, so that a mapping the peers know stays good.
 *
 * Private to core/floor/udp*.c. Owner: struct udp, which embeds its sockets. The descriptors are
 * edge-triggered: `readable` remembers the last edge until a call says EAGAIN.
 */
#ifndef CORE_FLOOR_UDP_SOCKET_H
#define CORE_FLOOR_UDP_SOCKET_H

#include "core/loop.h"
#include "core/os.h"

struct udp;

struct udp_socket {
    struct hotfd hot; /* fd -1: not there */
    struct udp *udp;
    bool mapped; /* an IPv6 socket that also takes IPv4, as mapped addresses */
    bool readable, errors, gro_asked, gro, no_segment;
    uint32_t epoch;            /* of the network, when it was last looked at */
    struct bind_choice choice; /* in use; no device and no address: not bound */
};

/* For a destination of its family. fn: of its descriptor. RC_UNREACH_NET: there is no way now. */
enum rc udp_socket_open(struct udp_socket *s, struct loop *loop, const struct sockopts *so,
                        const struct addr *to, hotfd_fn *fn, struct diag *diag);
/* Takes over fd on RC_OK only. */
enum rc udp_socket_adopt(struct udp_socket *s, struct loop *loop, int fd, int family, hotfd_fn *fn);
/* The network has changed, or sending failed as if it had: is the socket still the right one? Makes
 * it anew where not; RC_UNREACH_NET: there is no way now, the old one is kept for later. */
enum rc udp_socket_renew(struct udp_socket *s, struct loop *loop, const struct sockopts *so,
                         const struct addr *to, hotfd_fn *fn, struct diag *diag);
/* Is the device gone that it is bound to? */
bool udp_socket_is_lost(const struct udp_socket *s);
void udp_socket_close(struct udp_socket *s); /* fine when not open */

#endif
