/* core/wire/ip.h - IP, TCP, UDP and ICMP headers as bytes: places of the fields, Internet
 * checksums, building of headers.
 *
 * Pure: no I/O, no allocation. Nothing here checks lengths: a packet must have passed the gate
 * (listeners/tungo/gate.h) or have been built by ourselves. Values are in host order unless the
 * name ends in _be; checksums are in memory order and are stored and compared as they are.
 * RFC 791, 8200, 9293, 768, 792, 4443, 1071.
 */
#ifndef CORE_WIRE_IP_H
#define CORE_WIRE_IP_H

#include "core/addr.h"
#include <string.h>

enum {
    IP4_HEADER_BYTES = 20, /* without options */
    IP6_HEADER_BYTES = 40,
    TCP_HEADER_BYTES = 20, /* without options */
    UDP_HEADER_BYTES = 8,
    ICMP_HEADER_BYTES = 8, /* echo and errors, v4 and v6 */
    PACKET_BYTES_MAX = 65535,
};

/* Offsets of fields that are read or written in place. */
enum {
    IP4_AT_TOS = 1,
    IP4_AT_TOTAL = 2,
    IP4_AT_ID = 4,
    IP4_AT_FRAG = 6, /* flags and offset */
    IP4_AT_TTL = 8,
    IP4_AT_PROTO = 9,
    IP4_AT_SUM = 10,
    IP4_AT_SRC = 12,
    IP4_AT_DST = 16,
    IP6_AT_PAYLOAD = 4,
    IP6_AT_NEXT = 6,
    IP6_AT_HOPS = 7,
    IP6_AT_SRC = 8,
    IP6_AT_DST = 24,
    TCP_AT_SRC = 0,
    TCP_AT_DST = 2,
    TCP_AT_SEQ = 4,
    TCP_AT_ACK = 8,
    TCP_AT_DOFF = 12,
    TCP_AT_FLAGS = 13,
    TCP_AT_WINDOW = 14,
    TCP_AT_SUM = 16,
    UDP_AT_SRC = 0,
    UDP_AT_DST = 2,
    UDP_AT_LENGTH = 4,
    UDP_AT_SUM = 6,
    ICMP_AT_TYPE = 0,
    ICMP_AT_CODE = 1,
    ICMP_AT_SUM = 2,
};

enum { IP4_DF = 0x4000, IP4_MF = 0x2000, IP4_OFFSET_MASK = 0x1fff };

/* Bits of the TCP flags byte (lwIP owns the names TCP_FIN ...). */
enum {
    TCPFLAG_FIN = 1,
    TCPFLAG_SYN = 2,
    TCPFLAG_RST = 4,
    TCPFLAG_PSH = 8,
    TCPFLAG_ACK = 16,
};

static inline uint16_t packet_rd16(const void *at)
{
    const uint8_t *p = at;
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t packet_rd32(const void *at)
{
    const uint8_t *p = at;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void packet_wr16(void *at, unsigned v)
{
    uint8_t *p = at;
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void packet_wr32(void *at, uint32_t v)
{
    packet_wr16(at, v >> 16);
    packet_wr16((uint8_t *)at + 2, v & 0xffff);
}

/* 4, 6, or whatever the first nibble says. */
static inline unsigned packet_version(const uint8_t *ip)
{
    return ip[0] >> 4;
}

/* --- checksums. sum is a running one's complement sum of 16-bit words in memory order; start with
 * 0. Only the last piece of a message may have an odd length. */
uint64_t cksum_add(uint64_t sum, const void *data, size_t n);
uint16_t cksum_fold(uint64_t sum); /* folded, not inverted */

/* Sum of the pseudo header of an IP packet (either version): what NEEDS_CSUM wants folded in the
 * checksum field, and what a full checksum starts with. l4_bytes: upper-layer header and payload.
 */
uint64_t cksum_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_bytes);

/* Does the upper-layer checksum of this packet hold? l4: offset of the TCP, UDP, ICMP or ICMPv6
 * header, end: offset of the end of the packet. A UDP checksum of 0 over IPv4 holds. */
bool cksum_l4_ok(const uint8_t *ip, size_t l4, size_t end, uint8_t proto);
bool cksum_ip4_ok(const uint8_t *ip); /* of the header */

/* Both checksums of a packet with a TCP or UDP header at l4 that ends at `end`, as its length
 * fields say. A UDP checksum of 0 over IPv4 stays. */
void packet_complete(uint8_t *ip, size_t l4, size_t end, uint8_t proto);

/* Writes the full checksum of an upper-layer message that lies in one piece. proto as above; the
 * place of the field follows from it. UDP: a sum of 0 becomes 0xffff. */
void cksum_l4_put(uint8_t *ip, size_t l4, size_t end, uint8_t proto);

/* --- addresses and headers */

/* Ports are left 0. */
struct addr packet_src(const uint8_t *ip);
struct addr packet_dst(const uint8_t *ip);

struct ip_fields {
    const struct addr *src, *dst; /* same family; ports are not used */
    uint8_t proto;
    uint8_t ttl;   /* 0: 64 */
    uint8_t tos;   /* DSCP and ECN */
    uint16_t id;   /* v4 only */
    uint16_t frag; /* v4 only: IP4_DF, IP4_MF, offset in units of 8 bytes */
};

/* Writes a header without options, with its checksum (v4); returns its length: 20 or 40. l4_bytes:
 * what follows, at most 65,515 (v4) or 65,535 (v6). */
size_t packet_put_ip(uint8_t *at, const struct ip_fields *f, size_t l4_bytes);

/* Writes a UDP header; the checksum field gets the folded pseudo-header sum (NEEDS_CSUM). ip must
 * be filled in already. */
void packet_put_udp(uint8_t *ip, size_t l4, uint16_t src_port, uint16_t dst_port,
                    size_t payload_bytes);

#endif
