/* ICMP: echo answered in place, errors about what may be complained about, errors understood. */
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "run.h"
#include <check.h>

/* The device: what is written is kept. */
static struct tun_caps caps = {.mtu = 1500};
static uint8_t out[70000];
static size_t out_n;
static unsigned writes;

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    (void)t;
    return &caps;
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    (void)t;
    ck_assert(!vh);
    out_n = 0;
    for (int i = 0; i < nv; i++) {
        memcpy(out + out_n, v[i].iov_base, v[i].iov_len);
        out_n += v[i].iov_len;
    }
    ck_assert_uint_le(out_n, caps.mtu);
    writes++;
    return true;
}

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    return a;
}

/* Builds an ICMP packet with n bytes behind its 8-byte header, as the gate would pass it. */
static struct packet make(uint8_t *buf, bool v6, uint8_t type, uint8_t code, size_t n)
{
    struct addr src = ip(v6 ? "fd00::2" : "10.0.0.2"), dst = ip(v6 ? "2001:db8::1" : "8.8.8.8");
    struct ip_fields f = {
        .src = &src, .dst = &dst, .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .ttl = 3};
    size_t l4 = packet_put_ip(buf, &f, 8 + n);

    buf[l4] = type;
    buf[l4 + 1] = code;
    packet_wr32(buf + l4 + 4, 0x12345678);
    cksum_l4_put(buf, l4, l4 + 8 + n, f.proto);
    return (struct packet){.ip = buf,
                           .bytes = l4 + 8 + n,
                           .src = src,
                           .dst = dst,
                           .proto = f.proto,
                           .l4 = (uint16_t)l4,
                           .payload = (uint16_t)(l4 + 8)};
}

START_TEST(test_echo_is_answered_for_any_address)
{
    static uint8_t buf[70000];
    struct icmp ic;

    icmp_init(&ic, NULL);
    memset(buf, 'x', sizeof(buf));
    struct packet p = make(buf, _i, _i ? 128 : 8, 0, 56);
    ck_assert(icmp_packet(&ic, &p));
    ck_assert_uint_eq(out_n, (_i ? 40 : 20) + 64);
    struct addr src = packet_src(out), dst = packet_dst(out);
    struct addr asked = ip(_i ? "2001:db8::1" : "8.8.8.8"), who = ip(_i ? "fd00::2" : "10.0.0.2");
    ck_assert(addr_same_ip(&src, &asked));
    ck_assert(addr_same_ip(&dst, &who));
    ck_assert_uint_eq(out[p.l4], _i ? 129 : 0);
    ck_assert_uint_eq(packet_rd32(out + p.l4 + 4), 0x12345678);
    ck_assert(cksum_l4_ok(out, p.l4, out_n, p.proto));
    ck_assert(_i || cksum_ip4_ok(out));
    ck_assert_uint_eq(out[_i ? IP6_AT_HOPS : IP4_AT_TTL], 64);
    writes = 0;
    p = make(buf, _i, _i ? 128 : 8, 0, 5000); /* came in fragments, leaves in fragments */
    ck_assert(icmp_packet(&ic, &p));
    ck_assert_uint_eq(writes, 4);
    writes = 0;
    ic.block = true;
    p = make(buf, _i, _i ? 128 : 8, 0, 56);
    ck_assert(icmp_packet(&ic, &p));
    p = make(buf, _i, _i ? 129 : 0, 0, 56);
    ck_assert(!icmp_packet(&ic, &p));
    ck_assert_uint_eq(writes, 0);
}
END_TEST

START_TEST(test_echo_with_options_is_answered_without)
{
    uint8_t buf[200] = {0};
    struct packet p = make(buf + 4, false, 8, 0, 16);

    memmove(buf, buf + 4, 20); /* four bytes of options, end of list */
    memset(buf + 20, 0, 4);
    buf[0] = 0x46;
    p.ip = buf;
    p.bytes += 4;
    p.l4 = 24;
    p.payload = 32;
    ck_assert(icmp_echo_answer(&p));
    ck_assert_ptr_eq(p.ip, buf + 4);
    ck_assert_uint_eq(p.ip[0], 0x45);
    ck_assert_uint_eq(p.bytes, 20 + 8 + 16);
    ck_assert(cksum_ip4_ok(p.ip));
    ck_assert(cksum_l4_ok(p.ip, 20, p.bytes, IPPROTO_ICMP));
}
END_TEST

static size_t udp_packet(uint8_t *buf, bool v6, size_t n)
{
    struct addr src = ip(v6 ? "fd00::2" : "10.0.0.2"), dst = ip(v6 ? "2001:db8::1" : "8.8.8.8");
    struct ip_fields f = {.src = &src, .dst = &dst, .proto = IPPROTO_UDP};
    size_t l4 = packet_put_ip(buf, &f, 8 + n);

    packet_put_udp(buf, l4, 5555, 53, n);
    return l4 + 8 + n;
}

START_TEST(test_errors_quote_the_packet_and_are_parsed_back)
{
    static const struct {
        enum rc why;
        uint8_t code4, code6;
    } v[] = {{RC_REFUSED, 3, 4}, {RC_UNSUPPORTED, 3, 4},  {RC_UNREACH_NET, 0, 0},
             {RC_DENIED, 13, 1}, {RC_UNREACH_HOST, 1, 3}, {RC_NAME, 1, 3},
             {RC_TIMEOUT, 1, 3}};
    uint8_t buf[2000] = {0}, error[ICMP_ERROR_BYTES];
    size_t n, len = udp_packet(buf, _i, 1400);

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        ck_assert(icmp_error_build(error, buf, len, v[i].why, &n));
        size_t l4 = _i ? 40 : 20;
        uint8_t proto = _i ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
        ck_assert_uint_eq(n, _i ? 1280 : 576);
        ck_assert_uint_eq(error[l4], _i ? 1 : 3);
        ck_assert_uint_eq(error[l4 + 1], _i ? v[i].code6 : v[i].code4);
        ck_assert(cksum_l4_ok(error, l4, n, proto));
        ck_assert(_i || cksum_ip4_ok(error));
        ck_assert_mem_eq(error + l4 + 8, buf, n - l4 - 8);
        struct packet p = {.ip = error,
                           .bytes = n,
                           .l4 = (uint16_t)l4,
                           .payload = (uint16_t)(l4 + 8),
                           .proto = proto};
        struct icmp_note note;
        ck_assert(icmp_note_parse(&p, &note));
        ck_assert_int_eq(note.kind, ICMP_NOTE_UNREACHABLE);
        ck_assert_uint_eq(note.proto, IPPROTO_UDP);
        ck_assert_uint_eq(note.src.port, 5555);
        ck_assert_uint_eq(note.dst.port, 53);
        for (p.bytes = p.payload; p.bytes < l4 + 8 + l4 + 8; p.bytes++)
            ck_assert(!icmp_note_parse(&p, &note));
    }
    ck_assert(icmp_too_big_build(error, buf, len, 1280, &n));
    struct packet p = {.ip = error, .bytes = n, .l4 = _i ? 40 : 20, .payload = _i ? 48 : 28};
    struct icmp_note note;
    ck_assert(icmp_note_parse(&p, &note));
    ck_assert_int_eq(note.kind, ICMP_NOTE_TOO_BIG);
    ck_assert_uint_eq(note.mtu, 1280);
}
END_TEST

START_TEST(test_no_error_about_errors_fragments_and_groups)
{
    uint8_t buf[2000] = {0}, error[ICMP_ERROR_BYTES];
    size_t n = 0, len = udp_packet(buf, _i, 100);

    for (size_t cut = 0; cut < (_i ? 40u : 20u); cut++)
        ck_assert(!icmp_error_build(error, buf, cut, RC_REFUSED, &n));
    uint8_t *last = buf + (_i ? IP6_AT_DST : IP4_AT_DST);
    uint8_t kept = *last;
    *last = _i ? 0xff : 0xe0;
    ck_assert(!icmp_error_build(error, buf, len, RC_REFUSED, &n));
    *last = kept;
    uint8_t *first = buf + (_i ? IP6_AT_SRC : IP4_AT_SRC);
    *first = _i ? 0xff : 0xe0;
    ck_assert(!icmp_error_build(error, buf, len, RC_REFUSED, &n));
    struct packet p = make(buf, _i, _i ? 1 : 3, 1, 40);
    ck_assert(!icmp_error_build(error, buf, p.bytes, RC_REFUSED, &n));
    p = make(buf, _i, _i ? 128 : 8, 0, 40);
    ck_assert(icmp_error_build(error, buf, p.bytes, RC_DENIED, &n));
    if (!_i) {
        packet_wr16(buf + IP4_AT_FRAG, 100);
        ck_assert(!icmp_error_build(error, buf, p.bytes, RC_DENIED, &n));
    }
    buf[0] = 0;
    ck_assert(!icmp_error_build(error, buf, p.bytes, RC_DENIED, &n));
}
END_TEST

START_TEST(test_errors_are_rate_limited)
{
    uint8_t buf[200] = {0};
    size_t len = udp_packet(buf, false, 10);
    struct icmp ic;

    icmp_init(&ic, NULL);
    for (int i = 0; i < 1000; i++)
        icmp_refuse(&ic, buf, len, RC_REFUSED, 5000);
    ck_assert_uint_eq(ic.errors, ICMP_BURST / 2);
    ck_assert_uint_eq(ic.limited, 1000 - ICMP_BURST / 2);
    for (uint64_t now = 5001; now <= 6000; now++)
        icmp_refuse(&ic, buf, len, RC_REFUSED, now);
    ck_assert_uint_eq(ic.errors, ICMP_BURST / 2 + ICMP_PER_SECOND);
}
END_TEST

/* One client's flood: the next one hears of its first errors at once, and of some each second. */
START_TEST(test_a_flood_leaves_errors_for_others)
{
    uint8_t greedy[200] = {0}, modest[200] = {0};
    size_t len = udp_packet(greedy, _i, 10);
    uint64_t heard = 0, before;
    struct icmp ic;

    (void)udp_packet(modest, _i, 10);
    modest[15]++; /* of IPv4 another host, of IPv6 another net of 64 bits */
    icmp_init(&ic, NULL);
    for (uint64_t now = 5000; now < 15000; now++) {
        for (int i = 0; i < 10; i++)
            icmp_refuse(&ic, greedy, len, RC_REFUSED, now);
        before = ic.errors;
        if (now % 100 == 0)
            icmp_refuse(&ic, modest, len, RC_REFUSED, now);
        heard += ic.errors - before;
    }
    ck_assert_uint_eq(heard, 100);
    ck_assert_uint_ge(ic.errors, 10 * ICMP_PER_SECOND); /* what others leave is the greedy one's */
    ck_assert_uint_le(ic.errors, 10 * ICMP_PER_SECOND + ICMP_BURST);
    if (_i) { /* its other addresses are no other clients */
        greedy[IP6_AT_SRC + 15]++;
        before = ic.errors;
        icmp_refuse(&ic, greedy, len, RC_REFUSED, 14999);
        ck_assert_uint_eq(ic.errors, before);
    }
}
END_TEST

/* More clients than are known by name: nothing grows, the cap of all holds. */
START_TEST(test_errors_to_very_many_clients)
{
    uint8_t buf[200] = {0};
    size_t len = udp_packet(buf, false, 10);
    struct icmp ic;

    icmp_init(&ic, NULL);
    for (int i = 0; i < 5000; i++) {
        packet_wr16(buf + IP4_AT_SRC + 2, (unsigned)i);
        icmp_refuse(&ic, buf, len, RC_REFUSED, 5000);
    }
    ck_assert_uint_eq(ic.errors, ICMP_BURST);
}
END_TEST

START_TEST(test_the_last_hop_is_told_by_a_neighbour)
{
    static const struct {
        const char *own;
        uint8_t bits;
        const char *neighbour; /* NULL: there is none */
    } v[] = {{"192.168.123.1", 24, "192.168.123.2"},
             {"10.0.0.2", 30, "10.0.0.1"},
             {"10.0.0.3", 24, "10.0.0.1"},
             {"10.0.0.252", 24, "10.0.0.254"},
             {"10.0.0.4", 31, "10.0.0.5"},
             {"10.0.0.1", 32, NULL},
             {"10.0.1.3", 16, "10.0.1.1"},
             {"fd12:3::1", 64, "fd12:3::2"},
             {"fd12:3::1", 128, NULL}};
    uint8_t buf[200] = {0};
    struct icmp ic;

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct cidr own = {.net = ip(v[i].own), .bits = v[i].bits};
        struct addr want = ip(v[i].neighbour ? v[i].neighbour : v[i].own), got;
        bool found = icmp_neighbour(&own, 1, own.net.family, &got);
        ck_assert_int_eq(found, v[i].neighbour != NULL);
        ck_assert(!found || addr_same_ip(&got, &want));
        ck_assert(!icmp_neighbour(&own, 1, own.net.family == AF_INET ? AF_INET6 : AF_INET, &got));
    }
    struct cidr own = {.net = ip(_i ? "fd12:3::1" : "192.168.123.1"), .bits = _i ? 64 : 24};
    struct addr from = ip(_i ? "fd12:3::2" : "192.168.123.2"),
                dst = ip(_i ? "2001:db8::1" : "8.8.8.8");
    size_t len = udp_packet(buf, _i, 40);
    icmp_init(&ic, NULL);
    ic.own = &own;
    ic.n_own = 1;
    icmp_expired(&ic, buf, len, NULL, 1);
    size_t l4 = _i ? 40 : 20;
    struct addr src = packet_src(out);
    ck_assert(addr_same_ip(&src, &from));
    ck_assert_uint_eq(out[l4], _i ? 3 : 11);
    ck_assert_uint_eq(out[l4 + 1], 0);
    ck_assert_mem_eq(out + l4 + 8, buf, len);
    ck_assert(cksum_l4_ok(out, l4, out_n, _i ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
    ic.n_own = 0;
    icmp_expired(&ic, buf, len, NULL, 1);
    src = packet_src(out);
    ck_assert(addr_same_ip(&src, &dst));
    writes = 0;
    struct packet p = make(buf, _i, _i ? 3 : 11, 0, 56); /* never about an error */
    icmp_expired(&ic, p.ip, p.bytes, NULL, 1);
    ck_assert_uint_eq(writes, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("icmp");
    TCase *t = tcase_create("both families");

    tcase_add_loop_test(t, test_echo_is_answered_for_any_address, 0, 2);
    tcase_add_loop_test(t, test_the_last_hop_is_told_by_a_neighbour, 0, 2);
    tcase_add_test(t, test_echo_with_options_is_answered_without);
    tcase_add_loop_test(t, test_errors_quote_the_packet_and_are_parsed_back, 0, 2);
    tcase_add_loop_test(t, test_no_error_about_errors_fragments_and_groups, 0, 2);
    tcase_add_test(t, test_errors_are_rate_limited);
    tcase_add_loop_test(t, test_a_flood_leaves_errors_for_others, 0, 2);
    tcase_add_test(t, test_errors_to_very_many_clients);
    suite_add_tcase(s, t);
    return run_suite(s);
}
