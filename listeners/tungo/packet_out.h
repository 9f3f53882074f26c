/* listeners/tungo/packet_out.h - packets of any size to a client: whole where they fit or where the
 * client is this machine, else as IP fragments.
 *
 * Shared by udp.c and icmp.c; above device_io.h. Nothing is queued.
 */
#ifndef LISTENERS_TUNGO_PACKET_OUT_H
#define LISTENERS_TUNGO_PACKET_OUT_H

#include "listeners/tungo/device_io.h"
#include <stdint.h>

struct packet_out {
    struct tungo *tungo;
    uint32_t next_id; /* of fragments; starts at random */
};

void packet_out_init(struct packet_out *o, struct tungo *t);

/* header: an IP header without options and what follows it up to `payload`, `header_bytes` of both;
 * all checksums complete. mtu 0: whole, whatever its size. false: lost, wholly or in part. */
bool packet_out_write(struct packet_out *o, const uint8_t *header, size_t header_bytes,
                      const void *payload, size_t n, size_t mtu);

#endif
