/* listeners/tungo/device_io.h - how packets leave for the device; shared by TCP, UDP and ICMP.
 *
 * A packet is whole when it is given: IP header with its checksum, upper-layer header, payload.
 * With VIRTIO_NET_HDR_F_NEEDS_CSUM the upper-layer checksum field holds the folded pseudo-header
 * sum (core/wire/ip.h) and the kernel completes it; a device without virtio headers gets the sum
 * from software here, so callers need not care. gso_type other than NONE only where tun_caps says
 * so. Nothing is queued: what the kernel does not take is lost and counted.
 */
#ifndef LISTENERS_TUNGO_DEVICE_IO_H
#define LISTENERS_TUNGO_DEVICE_IO_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct tungo;

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* newer than Debian 12's headers */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct tun_caps {
    bool vnet;    /* the device speaks virtio_net_hdr: checksums are completed by the kernel */
    bool tso;     /* super-segments of TCP may be written and will be read */
    bool uso;     /* the same for UDP (at most 64 segments each) */
    unsigned mtu; /* bytes, of an IP packet */
};
const struct tun_caps *tungo_caps(const struct tungo *t);

enum { TUN_IOV_MAX = 1000 }; /* pieces of one packet */

/* One packet, in at most TUN_IOV_MAX pieces. vh NULL: all zero (checksums are complete). false:
 * lost, and counted. */
bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh);

/* The virtio header of a TCP or UDP packet whose upper-layer header begins at l4 and whose payload
 * begins at header_bytes. segment_bytes: payload of one piece when the kernel shall cut it, 0:
 * whole. */
struct virtio_net_hdr tun_vnet(bool ip6, bool tcp, size_t l4, size_t header_bytes,
                               size_t segment_bytes);

#endif
