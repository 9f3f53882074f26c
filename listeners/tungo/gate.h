/* listeners/tungo/gate.h - what comes from the device is looked at here before anybody trusts it.
 *
 * Pure: bytes and virtio flags in, verdict and parsed places out; no I/O, no allocation, no state.
 * A packet that passes has: a whole IP header of its version, a total length that was really read
 * (longer reads are cut to it), no extension headers behind which something could hide, a whole
 * TCP, UDP or ICMP header whose own length field fits, a checksum somebody has verified, and
 * addresses a flow may have. lwIP checks much of this later than it reads (RFC 791, 8200, 9293,
 * 768).
 */
#ifndef LISTENERS_TUNGO_GATE_H
#define LISTENERS_TUNGO_GATE_H

#include "core/addr.h"
#include <linux/virtio_net.h>

enum gate_verdict { GATE_TCP, GATE_UDP, GATE_ICMP, GATE_FRAGMENT, GATE_DROP };

enum gate_drop {
    DROP_NONE,
    DROP_SHORT,      /* less was read than the headers say */
    DROP_VERSION,    /* neither 4 nor 6 */
    DROP_HEADER,     /* ihl, doff, UDP length or an extension header do not fit */
    DROP_PROTO,      /* nobody here speaks that protocol */
    DROP_CHECKSUM,   /* verified in software and wrong */
    DROP_MULTICAST,  /* to a group or to everybody */
    DROP_LINK_LOCAL, /* to a link-local address */
    DROP_OWN_SUBNET, /* to a neighbour on the device's own subnet: there is nobody */
    DROP_MARTIAN,    /* loopback, unspecified or group source, loopback destination ... */
    DROP_REASONS,
};
const char *gate_drop_name(enum gate_drop why);

/* One packet, pointing into the buffer that was read. Offsets count from ip. */
struct packet {
    uint8_t *ip;
    size_t bytes;         /* by the header's own length field */
    struct addr src, dst; /* with ports for TCP and UDP */
    uint8_t proto;        /* IPPROTO_TCP, _UDP, _ICMP, _ICMPV6; of a fragment: as its header says */
    uint8_t tcp_flags;
    uint16_t l4;       /* the TCP, UDP or ICMP header; of an IPv6 fragment: its fragment header */
    uint16_t payload;  /* behind that header and its options; ICMP: 8 bytes behind l4 */
    uint16_t gso_size; /* not 0: a super-packet; its payload is pieces of this size */
    uint16_t sack;     /* offset of the SACK option's first block, 0: none (TCP) */
    uint8_t sack_blocks;
    enum gate_drop why; /* for GATE_DROP */
};

struct gate_cfg {
    const struct cidr *own; /* the device's addresses with their prefixes */
    size_t n_own;
};

/* May a packet have these addresses? Ports don't count. A part of gate_check(). */
enum gate_drop gate_addresses(const struct gate_cfg *cfg, const struct addr *src,
                              const struct addr *dst);

/* n bytes were read behind vh (NULL: the device has no virtio headers). ret_p is filled as far as
 * parsing went. */
enum gate_verdict gate_check(const struct gate_cfg *cfg, uint8_t *data, size_t n,
                             const struct virtio_net_hdr *vh, struct packet *ret_p);

#endif
