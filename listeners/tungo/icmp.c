/* listeners/tungo/icmp.c - see icmp.h. */
#include "listeners/tungo/icmp.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"

enum {
    TYPE4_ECHO_REPLY = 0,
    TYPE4_UNREACHABLE = 3,
    TYPE4_SOURCE_QUENCH = 4,
    TYPE4_REDIRECT = 5,
    TYPE4_ECHO = 8,
    TYPE4_TIME_EXCEEDED = 11,
    TYPE4_PARAMETER = 12,
    TYPE6_UNREACHABLE = 1,
    TYPE6_TOO_BIG = 2,
    TYPE6_TIME_EXCEEDED = 3,
    TYPE6_LAST_ERROR = 127,
    TYPE6_ECHO = 128,
    TYPE6_ECHO_REPLY = 129,
};
enum {
    CODE4_NET = 0,
    CODE4_HOST = 1,
    CODE4_PORT = 3,
    CODE4_TOO_BIG = 4,
    CODE4_PROHIBITED = 13,
    CODE6_NO_ROUTE = 0,
    CODE6_PROHIBITED = 1,
    CODE6_ADDRESS = 3,
    CODE6_PORT = 4,
};
enum { QUOTE4_MAX = 576 - IP4_HEADER_BYTES - ICMP_HEADER_BYTES };

/* --- echo */

bool icmp_is_echo(const struct packet *p)
{
    const uint8_t *h = p->ip + p->l4;
    bool v6 = packet_version(p->ip) == 6;

    return h[ICMP_AT_TYPE] == (v6 ? TYPE6_ECHO : TYPE4_ECHO) && h[ICMP_AT_CODE] == 0;
}

bool icmp_echo_answer(struct packet *p)
{
    bool v6 = packet_version(p->ip) == 6;
    size_t n = p->bytes - p->l4;
    size_t header = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;

    if (!icmp_is_echo(p) || addr_is_wildcard(&p->src) || addr_is_multicast(&p->src))
        return false;
    /* options and extension headers of the request are not sent back: the header moves up */
    uint8_t *ip = p->ip + p->l4 - header;
    struct addr src = p->src, dst = p->dst;
    struct ip_fields f = {.src = &dst, .dst = &src, .proto = p->proto};
    ip[header + ICMP_AT_TYPE] = v6 ? TYPE6_ECHO_REPLY : TYPE4_ECHO_REPLY;
    packet_put_ip(ip, &f, n);
    cksum_l4_put(ip, header, header + n, p->proto);
    p->ip = ip;
    p->l4 = (uint16_t)header;
    p->payload = (uint16_t)(header + ICMP_HEADER_BYTES);
    p->bytes = header + n;
    p->src = dst;
    p->dst = src;
    return true;
}

/* --- errors */

static bool is_error_type(uint8_t proto, uint8_t type)
{
    if (proto == IPPROTO_ICMPV6)
        return type <= TYPE6_LAST_ERROR;
    return type == TYPE4_UNREACHABLE || type == TYPE4_SOURCE_QUENCH || type == TYPE4_REDIRECT ||
           type == TYPE4_TIME_EXCEEDED || type == TYPE4_PARAMETER;
}

/* May there be an error about this packet? Its header is whole; behind it there may be nothing. */
static bool may_complain(const uint8_t *ip, size_t n)
{
    bool v6 = packet_version(ip) == 6;
    size_t header = v6 ? IP6_HEADER_BYTES : (size_t)(ip[0] & 15) * 4;

    if (header < IP4_HEADER_BYTES || header > n)
        return false;
    uint8_t proto = v6 ? ip[IP6_AT_NEXT] : ip[IP4_AT_PROTO];
    struct addr src = packet_src(ip), dst = packet_dst(ip);
    if (addr_is_wildcard(&src) || addr_is_multicast(&src) || addr_is_loopback(&src) ||
        addr_is_wildcard(&dst) || addr_is_multicast(&dst))
        return false;
    if (!v6 && (packet_rd16(ip + IP4_AT_FRAG) & IP4_OFFSET_MASK) != 0)
        return false;
    if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
        return n > header && !is_error_type(proto, ip[header]);
    return true;
}

/* from NULL: in the name of the packet's destination. */
static bool build_from(uint8_t *buf, const struct addr *from, const uint8_t *ip, size_t n,
                       uint8_t type, uint8_t code, uint32_t word, size_t *ret_n)
{
    if (n < IP4_HEADER_BYTES || (packet_version(ip) != 4 && packet_version(ip) != 6))
        return false;
    bool v6 = packet_version(ip) == 6;
    if ((v6 && n < IP6_HEADER_BYTES) || !may_complain(ip, n))
        return false;
    size_t header = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    size_t room = v6 ? ICMP_ERROR_BYTES - header - ICMP_HEADER_BYTES : QUOTE4_MAX;
    size_t quote = n < room ? n : room;
    struct addr src = packet_src(ip), dst = packet_dst(ip);
    struct ip_fields f = {.src = from ? from : &dst,
                          .dst = &src,
                          .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
                          .tos = v6 ? 0 : 0xc0};
    uint8_t *icmp = buf + header;

    packet_put_ip(buf, &f, ICMP_HEADER_BYTES + quote);
    icmp[ICMP_AT_TYPE] = type;
    icmp[ICMP_AT_CODE] = code;
    packet_wr32(icmp + 4, word);
    memcpy(icmp + ICMP_HEADER_BYTES, ip, quote);
    *ret_n = header + ICMP_HEADER_BYTES + quote;
    cksum_l4_put(buf, header, *ret_n, f.proto);
    return true;
}

static bool build(uint8_t *buf, const uint8_t *ip, size_t n, uint8_t type, uint8_t code,
                  uint32_t word, size_t *ret_n)
{
    return build_from(buf, NULL, ip, n, type, code, word, ret_n);
}

static uint8_t code4(enum rc why)
{
    switch ((int)why) { /* all other results mean the host */
    case RC_REFUSED:
    case RC_UNSUPPORTED:
        return CODE4_PORT;
    case RC_UNREACH_NET:
        return CODE4_NET;
    case RC_DENIED:
        return CODE4_PROHIBITED;
    default:
        return CODE4_HOST;
    }
}

static uint8_t code6(enum rc why)
{
    switch ((int)why) {
    case RC_REFUSED:
    case RC_UNSUPPORTED:
        return CODE6_PORT;
    case RC_UNREACH_NET:
        return CODE6_NO_ROUTE;
    case RC_DENIED:
        return CODE6_PROHIBITED;
    default:
        return CODE6_ADDRESS;
    }
}

bool icmp_error_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                      enum rc why, size_t *ret_n)
{
    if (n == 0)
        return false;
    if (packet_version(ip) == 6)
        return build(buf, ip, n, TYPE6_UNREACHABLE, code6(why), 0, ret_n);
    return build(buf, ip, n, TYPE4_UNREACHABLE, code4(why), 0, ret_n);
}

bool icmp_too_big_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                        uint32_t mtu, size_t *ret_n)
{
    if (n == 0)
        return false;
    if (packet_version(ip) == 6)
        return build(buf, ip, n, TYPE6_TOO_BIG, 0, mtu, ret_n);
    return build(buf, ip, n, TYPE4_UNREACHABLE, CODE4_TOO_BIG, mtu & 0xffff, ret_n);
}

bool icmp_expired_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                        const struct addr *from, size_t *ret_n)
{
    if (n == 0)
        return false;
    return build_from(buf, from, ip, n,
                      packet_version(ip) == 6 ? TYPE6_TIME_EXCEEDED : TYPE4_TIME_EXCEEDED, 0, 0,
                      ret_n);
}

/* --- errors of clients */

/* The upper header in the quoted packet of n bytes: its offset, or 0. */
static size_t quoted_l4(const uint8_t *ip, size_t n, uint8_t *ret_proto)
{
    if (n < IP4_HEADER_BYTES)
        return 0;
    if (packet_version(ip) == 4) {
        size_t header = (size_t)(ip[0] & 15) * 4;
        if (header < IP4_HEADER_BYTES || (packet_rd16(ip + IP4_AT_FRAG) & IP4_OFFSET_MASK) != 0)
            return 0;
        *ret_proto = ip[IP4_AT_PROTO];
        return header;
    }
    if (packet_version(ip) != 6 || n < IP6_HEADER_BYTES)
        return 0;
    *ret_proto = ip[IP6_AT_NEXT];
    if (*ret_proto != IPPROTO_FRAGMENT) /* the only extension header that we send */
        return IP6_HEADER_BYTES;
    const uint8_t *frag = ip + IP6_HEADER_BYTES;
    if (n < IP6_HEADER_BYTES + 8 || (packet_rd16(frag + 2) & ~7u) != 0)
        return 0;
    *ret_proto = frag[0];
    return IP6_HEADER_BYTES + 8;
}

static bool note_kind(const struct packet *p, struct icmp_note *n)
{
    const uint8_t *h = p->ip + p->l4;

    if (packet_version(p->ip) == 6) {
        n->kind = h[ICMP_AT_TYPE] == TYPE6_TOO_BIG ? ICMP_NOTE_TOO_BIG : ICMP_NOTE_UNREACHABLE;
        n->mtu = n->kind == ICMP_NOTE_TOO_BIG ? packet_rd32(h + 4) : 0;
        return h[ICMP_AT_TYPE] == TYPE6_TOO_BIG || h[ICMP_AT_TYPE] == TYPE6_UNREACHABLE;
    }
    n->kind = h[ICMP_AT_CODE] == CODE4_TOO_BIG ? ICMP_NOTE_TOO_BIG : ICMP_NOTE_UNREACHABLE;
    n->mtu = n->kind == ICMP_NOTE_TOO_BIG ? packet_rd16(h + 6) : 0;
    return h[ICMP_AT_TYPE] == TYPE4_UNREACHABLE;
}

bool icmp_note_parse(const struct packet *p, struct icmp_note *ret_note)
{
    struct icmp_note note = {0};
    const uint8_t *ip = p->ip + p->payload;
    size_t n = p->bytes - p->payload;

    if (!note_kind(p, &note))
        return false;
    size_t l4 = quoted_l4(ip, n, &note.proto);
    if (l4 == 0 || n < l4 + 8 || packet_version(ip) != packet_version(p->ip) ||
        (note.proto != IPPROTO_TCP && note.proto != IPPROTO_UDP))
        return false;
    note.src = packet_src(ip);
    note.dst = packet_dst(ip);
    note.src.port = packet_rd16(ip + l4); /* at the same place for TCP and UDP */
    note.dst.port = packet_rd16(ip + l4 + 2);
    if (note.proto == IPPROTO_TCP)
        note.seq = packet_rd32(ip + l4 + TCP_AT_SEQ);
    *ret_note = note;
    return true;
}

/* --- with state */

void icmp_init(struct icmp *ic, struct tungo *t)
{
    static const struct budget_limits limits = {ICMP_BURST, ICMP_PER_SECOND, ICMP_OWN_BURST,
                                                ICMP_OWN_PER_SECOND};

    *ic = (struct icmp){.echoes = 0};
    budget_init(&ic->budget, &limits);
    packet_out_init(&ic->out, t);
}

bool icmp_packet(struct icmp *ic, struct packet *p)
{
    if (!icmp_is_echo(p))
        return false;
    if (ic->block || !icmp_echo_answer(p))
        return true;
    ic->echoes++;
    /* lost is lost: the one who asked will ask again */
    (void)packet_out_write(&ic->out, p->ip, p->payload, p->ip + p->payload, p->bytes - p->payload,
                           tungo_caps(ic->out.tungo)->mtu);
    return true;
}

static void send_error(struct icmp *ic, const uint8_t *buf, size_t len, uint64_t now_ms)
{
    struct addr client = packet_dst(buf);

    if (!budget_take(&ic->budget, &client, now_ms)) {
        ic->limited++;
        return;
    }
    ic->errors++;
    (void)packet_out_write(&ic->out, buf, len, NULL, 0, 0); /* never above 1,280 bytes */
}

bool icmp_neighbour(const struct cidr *own, size_t n, uint8_t family, struct addr *ret_a)
{
    for (size_t i = 0; i < n; i++) {
        unsigned bits = family == AF_INET6 ? 128 : 32, left = bits - own[i].bits;
        struct addr a = own[i].net;
        uint8_t *last = &a.ip[bits / 8 - 1], host;

        if (a.family != family || own[i].bits >= bits)
            continue;
        *last = (uint8_t)(*last ^ (left < 2 ? 1 : 3));
        host = (uint8_t)(left < 8 ? (1u << left) - 1 : 0xff);
        /* neither the network's own address nor, as far as the last byte tells, everybody's */
        if (left >= 2 && ((*last & host) == 0 || (*last & host) == host))
            *last ^= 1;
        *ret_a = a;
        return true;
    }
    return false;
}

void icmp_expired(struct icmp *ic, const uint8_t *ip, size_t n, const struct addr *from,
                  uint64_t now_ms)
{
    uint8_t buf[ICMP_ERROR_BYTES];
    struct addr own;
    size_t len;

    if (!from &&
        icmp_neighbour(ic->own, ic->n_own, packet_version(ip) == 6 ? AF_INET6 : AF_INET, &own))
        from = &own;
    if (icmp_expired_build(buf, ip, n, from, &len))
        send_error(ic, buf, len, now_ms);
}

void icmp_refuse(struct icmp *ic, const uint8_t *ip, size_t n, enum rc why, uint64_t now_ms)
{
    uint8_t buf[ICMP_ERROR_BYTES];
    size_t len;

    if (icmp_error_build(buf, ip, n, why, &len))
        send_error(ic, buf, len, now_ms);
}
