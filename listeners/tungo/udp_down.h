/* listeners/tungo/udp_down.h - datagrams to a client as IP packets.
 *
 * A burst of equal sizes is one USO packet where the device takes it; what exceeds the MTU goes
 * whole to this machine's own clients (the kernel takes it) and as IP fragments to others.
 */
#ifndef LISTENERS_TUNGO_UDP_DOWN_H
#define LISTENERS_TUNGO_UDP_DOWN_H

#include "core/addr.h"
#include "listeners/tungo/packet_out.h"

struct udp_down {
    struct packet_out out;
    const struct cidr *own; /* addresses of the device, borrowed */
    size_t n_own;
};

/* n bytes cut after every `segment`, the last piece may be shorter; segment >= n: one datagram (n
 * may be 0). from and client are of one family. Returns how many datagrams were lost. */
size_t udp_down_send(struct udp_down *d, const struct addr *client, const struct addr *from,
                     const uint8_t *data, size_t n, size_t segment);
/* Could pieces of that size go together? */
bool udp_down_joins(const struct udp_down *d, const struct addr *client, size_t segment);

enum { UDP_DOWN_BURST_BYTES = 65535 - 48, UDP_DOWN_BURST_SEGMENTS = 64 };

#endif
