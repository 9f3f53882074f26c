/* core/wire/ip.c - see ip.h. */
#include "core/wire/ip.h"

uint64_t cksum_add(uint64_t sum, const void *data, size_t n)
{
    const uint8_t *p = data;

    /* 32-bit words into a 64-bit sum: no carry is lost before 2^32 words */
    while (n >= 32) {
        uint32_t w[8];
        memcpy(w, p, sizeof w);
        sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
        sum += (uint64_t)w[4] + w[5] + w[6] + w[7];
        p += 32;
        n -= 32;
    }
    while (n >= 2) {
        uint16_t w;
        memcpy(&w, p, sizeof w);
        sum += w;
        p += 2;
        n -= 2;
    }
    if (n == 1) {
        uint16_t w = 0;
        memcpy(&w, p, 1);
        sum += w;
    }
    return sum;
}

uint16_t cksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t cksum_pseudo(const uint8_t *ip, uint8_t proto, size_t l4_bytes)
{
    uint8_t tail[8];
    packet_wr32(tail, (uint32_t)l4_bytes);
    packet_wr32(tail + 4, proto);
    uint64_t sum = packet_version(ip) == 6 ? cksum_add(0, ip + IP6_AT_SRC, 32)
                                           : cksum_add(0, ip + IP4_AT_SRC, 8);
    return cksum_add(sum, tail, sizeof tail);
}

static uint64_t l4_start(const uint8_t *ip, size_t l4, size_t end, uint8_t proto)
{
    return proto == IPPROTO_ICMP ? 0 : cksum_pseudo(ip, proto, end - l4);
}

bool cksum_l4_ok(const uint8_t *ip, size_t l4, size_t end, uint8_t proto)
{
    if (proto == IPPROTO_UDP && packet_version(ip) == 4 && packet_rd16(ip + l4 + UDP_AT_SUM) == 0)
        return true;
    return cksum_fold(cksum_add(l4_start(ip, l4, end, proto), ip + l4, end - l4)) == 0xffff;
}

bool cksum_ip4_ok(const uint8_t *ip)
{
    return cksum_fold(cksum_add(0, ip, (size_t)(ip[0] & 15) * 4)) == 0xffff;
}

static size_t sum_place(uint8_t proto)
{
    switch (proto) {
    case IPPROTO_TCP:
        return TCP_AT_SUM;
    case IPPROTO_UDP:
        return UDP_AT_SUM;
    default:
        return ICMP_AT_SUM;
    }
}

void cksum_l4_put(uint8_t *ip, size_t l4, size_t end, uint8_t proto)
{
    uint8_t *at = ip + l4 + sum_place(proto);
    memset(at, 0, 2);
    uint64_t sum = l4_start(ip, l4, end, proto);
    uint16_t v = (uint16_t)~cksum_fold(cksum_add(sum, ip + l4, end - l4));
    if (v == 0 && proto == IPPROTO_UDP)
        v = 0xffff;
    memcpy(at, &v, sizeof v);
}

void packet_complete(uint8_t *ip, size_t l4, size_t end, uint8_t proto)
{
    static const uint8_t none[2] = {0};

    if (packet_version(ip) == 4) {
        memset(ip + IP4_AT_SUM, 0, 2);
        uint16_t v = (uint16_t)~cksum_fold(cksum_add(0, ip, (size_t)(ip[0] & 15) * 4));
        memcpy(ip + IP4_AT_SUM, &v, sizeof v);
        if (proto == IPPROTO_UDP && memcmp(ip + l4 + UDP_AT_SUM, none, sizeof none) == 0)
            return;
    }
    cksum_l4_put(ip, l4, end, proto);
}

struct addr packet_src(const uint8_t *ip)
{
    return packet_version(ip) == 6 ? addr_v6(ip + IP6_AT_SRC, 0) : addr_v4(ip + IP4_AT_SRC, 0);
}

struct addr packet_dst(const uint8_t *ip)
{
    return packet_version(ip) == 6 ? addr_v6(ip + IP6_AT_DST, 0) : addr_v4(ip + IP4_AT_DST, 0);
}

size_t packet_put_ip(uint8_t *at, const struct ip_fields *f, size_t l4_bytes)
{
    uint8_t ttl = f->ttl ? f->ttl : 64;

    if (f->src->family == AF_INET6) {
        packet_wr32(at, 6u << 28 | (uint32_t)f->tos << 20);
        packet_wr16(at + IP6_AT_PAYLOAD, (unsigned)l4_bytes);
        at[IP6_AT_NEXT] = f->proto;
        at[IP6_AT_HOPS] = ttl;
        memcpy(at + IP6_AT_SRC, f->src->ip, 16);
        memcpy(at + IP6_AT_DST, f->dst->ip, 16);
        return IP6_HEADER_BYTES;
    }
    at[0] = 0x45;
    at[IP4_AT_TOS] = f->tos;
    packet_wr16(at + IP4_AT_TOTAL, (unsigned)(IP4_HEADER_BYTES + l4_bytes));
    packet_wr16(at + IP4_AT_ID, f->id);
    packet_wr16(at + IP4_AT_FRAG, f->frag);
    at[IP4_AT_TTL] = ttl;
    at[IP4_AT_PROTO] = f->proto;
    memset(at + IP4_AT_SUM, 0, 2);
    memcpy(at + IP4_AT_SRC, f->src->ip, 4);
    memcpy(at + IP4_AT_DST, f->dst->ip, 4);
    uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, at, IP4_HEADER_BYTES));
    memcpy(at + IP4_AT_SUM, &sum, sizeof sum);
    return IP4_HEADER_BYTES;
}

void packet_put_udp(uint8_t *ip, size_t l4, uint16_t src_port, uint16_t dst_port,
                    size_t payload_bytes)
{
    uint8_t *u = ip + l4;
    size_t n = UDP_HEADER_BYTES + payload_bytes;
    packet_wr16(u + UDP_AT_SRC, src_port);
    packet_wr16(u + UDP_AT_DST, dst_port);
    packet_wr16(u + UDP_AT_LENGTH, (unsigned)n);
    uint16_t sum = cksum_fold(cksum_pseudo(ip, IPPROTO_UDP, n));
    memcpy(u + UDP_AT_SUM, &sum, sizeof sum);
}
