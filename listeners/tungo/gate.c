/* listeners/tungo/gate.c - see gate.h. */
#include "listeners/tungo/gate.h"
#include "core/wire/ip.h"
#include "listeners/tungo/device_io.h"

enum {
    EXTENSIONS_MAX = 8, /* of an IPv6 packet; nobody sends more than three */
    GSO_TYPES = 0x7f,   /* without the ECN bit */
    TCPOPT_END = 0,
    TCPOPT_NOP = 1,
    TCPOPT_SACK = 5,
    SACK_BLOCK_BYTES = 8,
    IP6_FRAGMENT_BYTES = 8,
};

const char *gate_drop_name(enum gate_drop why)
{
    static const char *const names[DROP_REASONS] = {
        [DROP_NONE] = "none",
        [DROP_SHORT] = "short",
        [DROP_VERSION] = "version",
        [DROP_HEADER] = "header",
        [DROP_PROTO] = "protocol",
        [DROP_CHECKSUM] = "checksum",
        [DROP_MULTICAST] = "multicast",
        [DROP_LINK_LOCAL] = "link-local",
        [DROP_OWN_SUBNET] = "own-subnet",
        [DROP_MARTIAN] = "martian",
    };
    return (unsigned)why < DROP_REASONS ? names[why] : "?";
}

static enum gate_verdict drop(struct packet *p, enum gate_drop why)
{
    p->why = why;
    return GATE_DROP;
}

/* --- addresses */

static bool v4_is_broadcast(const struct addr *a)
{
    return a->family == AF_INET && packet_rd32(a->ip) == 0xffffffff;
}

static bool v4_is_zero_net(const struct addr *a)
{
    return a->family == AF_INET && a->ip[0] == 0;
}

enum gate_drop gate_addresses(const struct gate_cfg *cfg, const struct addr *src,
                              const struct addr *dst)
{
    const struct addr *s = src, *d = dst;

    if (addr_is_multicast(d) || v4_is_broadcast(d))
        return DROP_MULTICAST;
    if (addr_is_wildcard(s) || addr_is_loopback(s) || addr_is_multicast(s) || v4_is_broadcast(s) ||
        v4_is_zero_net(s))
        return DROP_MARTIAN;
    if (addr_is_wildcard(d) || addr_is_loopback(d) || v4_is_zero_net(d))
        return DROP_MARTIAN;
    if (addr_is_link_local(d))
        return DROP_LINK_LOCAL;
    for (size_t i = 0; i < cfg->n_own; i++)
        if (cidr_has(&cfg->own[i], d))
            return DROP_OWN_SUBNET;
    return DROP_NONE;
}

/* --- IP */

/* Fills l4, proto, bytes; *ret_fragment. */
static enum gate_drop parse_ip4(struct packet *p, size_t n, bool *ret_fragment)
{
    uint8_t *ip = p->ip;

    if (n < IP4_HEADER_BYTES)
        return DROP_SHORT;
    size_t header = (size_t)(ip[0] & 15) * 4, total = packet_rd16(ip + IP4_AT_TOTAL);
    if (total > n)
        return DROP_SHORT;
    if (header < IP4_HEADER_BYTES || header > total)
        return DROP_HEADER;
    p->bytes = total;
    p->l4 = (uint16_t)header;
    p->proto = ip[IP4_AT_PROTO];
    *ret_fragment = (packet_rd16(ip + IP4_AT_FRAG) & (IP4_MF | IP4_OFFSET_MASK)) != 0;
    return DROP_NONE;
}

/* Length of the extension header of kind `kind` at ext, of which `left` bytes are there; 0: it is
 * none that may be skipped, or it does not fit. */
static size_t extension_bytes(uint8_t kind, const uint8_t *ext, size_t left)
{
    size_t n;

    switch (kind) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_DSTOPTS:
    case IPPROTO_ROUTING:
        if (left < 8)
            return 0;
        /* a routing header that still has stops is not meant for a host (RFC 5095) */
        if (kind == IPPROTO_ROUTING && ext[3] != 0)
            return 0;
        n = ((size_t)ext[1] + 1) * 8;
        return n <= left ? n : 0;
    default:
        return 0;
    }
}

static bool is_extension(uint8_t kind)
{
    return kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS || kind == IPPROTO_ROUTING;
}

static enum gate_drop parse_ip6(struct packet *p, size_t n, bool *ret_fragment)
{
    uint8_t *ip = p->ip;

    if (n < IP6_HEADER_BYTES)
        return DROP_SHORT;
    size_t total = IP6_HEADER_BYTES + (size_t)packet_rd16(ip + IP6_AT_PAYLOAD);
    if (total > n)
        return DROP_SHORT;
    size_t at = IP6_HEADER_BYTES;
    uint8_t kind = ip[IP6_AT_NEXT];
    for (int i = 0; is_extension(kind); i++) {
        size_t len = i < EXTENSIONS_MAX ? extension_bytes(kind, ip + at, total - at) : 0;
        if (!len)
            return DROP_HEADER;
        kind = ip[at];
        at += len;
    }
    if (at > PACKET_BYTES_MAX)
        return DROP_HEADER;
    *ret_fragment = kind == IPPROTO_FRAGMENT;
    if (*ret_fragment && total - at < IP6_FRAGMENT_BYTES)
        return DROP_HEADER;
    p->bytes = total;
    p->l4 = (uint16_t)at;
    p->proto = kind;
    return DROP_NONE;
}

/* --- what is behind */

/* Notes where the SACK blocks are. Options were not checked by anybody. */
static void find_sack(struct packet *p, size_t header_end)
{
    const uint8_t *ip = p->ip;

    for (size_t at = (size_t)p->l4 + TCP_HEADER_BYTES; at < header_end;) {
        uint8_t kind = ip[at];
        if (kind == TCPOPT_END)
            return;
        if (kind == TCPOPT_NOP) {
            at++;
            continue;
        }
        if (header_end - at < 2 || ip[at + 1] < 2 || ip[at + 1] > header_end - at)
            return;
        size_t len = ip[at + 1];
        if (kind == TCPOPT_SACK && len > 2 && (len - 2) % SACK_BLOCK_BYTES == 0) {
            p->sack = (uint16_t)(at + 2);
            p->sack_blocks = (uint8_t)((len - 2) / SACK_BLOCK_BYTES);
        }
        at += len;
    }
}

static enum gate_drop parse_tcp(struct packet *p)
{
    const uint8_t *h = p->ip + p->l4;
    size_t left = p->bytes - p->l4;

    if (left < TCP_HEADER_BYTES)
        return DROP_HEADER;
    size_t header = (size_t)(h[TCP_AT_DOFF] >> 4) * 4;
    if (header < TCP_HEADER_BYTES || header > left)
        return DROP_HEADER;
    p->src.port = packet_rd16(h + TCP_AT_SRC);
    p->dst.port = packet_rd16(h + TCP_AT_DST);
    if (!p->src.port || !p->dst.port)
        return DROP_HEADER;
    p->tcp_flags = h[TCP_AT_FLAGS];
    p->payload = (uint16_t)(p->l4 + header);
    if (header > TCP_HEADER_BYTES)
        find_sack(p, p->payload);
    return DROP_NONE;
}

static enum gate_drop parse_udp(struct packet *p)
{
    const uint8_t *h = p->ip + p->l4;
    size_t left = p->bytes - p->l4;

    if (left < UDP_HEADER_BYTES)
        return DROP_HEADER;
    size_t len = packet_rd16(h + UDP_AT_LENGTH);
    /* a USO super-packet has the length of the whole, so the same rule */
    if (len < UDP_HEADER_BYTES || len > left)
        return DROP_HEADER;
    p->src.port = packet_rd16(h + UDP_AT_SRC);
    p->dst.port = packet_rd16(h + UDP_AT_DST);
    if (!p->dst.port)
        return DROP_HEADER;
    p->bytes = p->l4 + len;
    p->payload = (uint16_t)(p->l4 + UDP_HEADER_BYTES);
    return DROP_NONE;
}

static enum gate_drop parse_icmp(struct packet *p)
{
    if (p->bytes - p->l4 < ICMP_HEADER_BYTES)
        return DROP_HEADER;
    p->payload = (uint16_t)(p->l4 + ICMP_HEADER_BYTES);
    return DROP_NONE;
}

/* Did the kernel vouch for the upper-layer checksum? Flags 0 mean that nobody looked. */
static bool is_vouched(const struct virtio_net_hdr *vh)
{
    return vh && (vh->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID));
}

static bool gso_matches(const struct virtio_net_hdr *vh, const struct packet *p)
{
    unsigned version = packet_version(p->ip);

    switch (vh->gso_type & GSO_TYPES) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return p->proto == IPPROTO_TCP && version == 4;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return p->proto == IPPROTO_TCP && version == 6;
    case VIRTIO_NET_HDR_GSO_UDP_L4:
        return p->proto == IPPROTO_UDP;
    default:
        return false;
    }
}

enum gate_verdict gate_check(const struct gate_cfg *cfg, uint8_t *data, size_t n,
                             const struct virtio_net_hdr *vh, struct packet *ret_p)
{
    struct packet *p = ret_p;
    bool fragment = false;
    enum gate_verdict verdict;
    enum gate_drop why;

    *p = (struct packet){.ip = data};
    if (n == 0)
        return drop(p, DROP_SHORT);
    unsigned version = packet_version(data);
    if (version == 4)
        why = parse_ip4(p, n, &fragment);
    else if (version == 6)
        why = parse_ip6(p, n, &fragment);
    else
        why = DROP_VERSION;
    if (why != DROP_NONE)
        return drop(p, why);

    p->src = packet_src(data);
    p->dst = packet_dst(data);
    why = gate_addresses(cfg, &p->src, &p->dst);
    if (why != DROP_NONE)
        return drop(p, why);
    if (version == 4 && !cksum_ip4_ok(data))
        return drop(p, DROP_CHECKSUM);
    if (fragment)
        return GATE_FRAGMENT;

    switch (p->proto) {
    case IPPROTO_TCP:
        why = parse_tcp(p);
        verdict = GATE_TCP;
        break;
    case IPPROTO_UDP:
        why = parse_udp(p);
        verdict = GATE_UDP;
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if ((p->proto == IPPROTO_ICMP) != (version == 4))
            return drop(p, DROP_PROTO);
        why = parse_icmp(p);
        verdict = GATE_ICMP;
        break;
    default:
        return drop(p, DROP_PROTO);
    }
    if (why != DROP_NONE)
        return drop(p, why);
    if (vh && vh->gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        if (!gso_matches(vh, p) || vh->gso_size == 0)
            return drop(p, DROP_HEADER);
        if (p->bytes - p->payload > vh->gso_size)
            p->gso_size = vh->gso_size;
    }
    if (!is_vouched(vh) && !cksum_l4_ok(data, p->l4, p->bytes, p->proto))
        return drop(p, DROP_CHECKSUM);
    return verdict;
}
