/* The gate: what passes, and why the rest does not. Every truncation of every good packet is
 * refused or whole. */
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>

static struct cidr own[2];
static struct gate_cfg cfg = {own, 2};
static uint8_t buf[70000];
static size_t n;
static struct packet p;
static const struct virtio_net_hdr vouched = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    return a;
}

/* A whole packet in buf, with every checksum right. options: bytes of TCP options (padding). */
static void make(const char *src, const char *dst, uint8_t proto, size_t options, size_t payload)
{
    struct addr s = ip(src), d = ip(dst);
    struct ip_fields f = {.src = &s, .dst = &d, .proto = proto};
    size_t header = proto == IPPROTO_TCP ? TCP_HEADER_BYTES + options : 8; /* UDP and ICMP alike */
    size_t l4 = packet_put_ip(buf, &f, header + payload);

    n = l4 + header + payload;
    for (size_t i = l4; i < n; i++)
        buf[i] = (uint8_t)(i * 7);
    if (proto == IPPROTO_TCP) {
        packet_wr16(buf + l4 + TCP_AT_SRC, 40000);
        packet_wr16(buf + l4 + TCP_AT_DST, 443);
        buf[l4 + TCP_AT_DOFF] = (uint8_t)((TCP_HEADER_BYTES + options) / 4 << 4);
        memset(buf + l4 + TCP_HEADER_BYTES, 1, options);
    } else if (proto == IPPROTO_UDP) {
        packet_put_udp(buf, l4, 5353, 53, payload);
    }
    cksum_l4_put(buf, l4, n, proto);
}

static void sum4(void)
{
    memset(buf + IP4_AT_SUM, 0, 2);
    uint16_t sum = (uint16_t)~cksum_fold(cksum_add(0, buf, (size_t)(buf[0] & 15) * 4));
    memcpy(buf + IP4_AT_SUM, &sum, 2);
}

static enum gate_verdict gate(const struct virtio_net_hdr *vh)
{
    return gate_check(&cfg, buf, n, vh, &p);
}

static void drops(enum gate_drop why)
{
    ck_assert_int_eq(gate(NULL), GATE_DROP);
    ck_assert_str_eq(gate_drop_name(p.why), gate_drop_name(why));
}

START_TEST(test_gate_passes_tcp_with_its_places)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 12, 100);
    ck_assert_int_eq(gate(NULL), GATE_TCP);
    ck_assert_uint_eq(p.l4, 20);
    ck_assert_uint_eq(p.payload, 52);
    ck_assert_uint_eq(p.bytes, 152);
    ck_assert_uint_eq(p.src.port, 40000);
    ck_assert_uint_eq(p.dst.port, 443);
    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 0, 0);
    ck_assert_int_eq(gate(NULL), GATE_TCP);
    ck_assert_uint_eq(p.l4, 40);
    ck_assert_uint_eq(p.payload, 60);
}
END_TEST

START_TEST(test_gate_passes_udp_and_icmp)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 0);
    ck_assert_int_eq(gate(NULL), GATE_UDP);
    ck_assert_uint_eq(p.payload, 28);
    make("10.1.1.2", "8.8.8.8", IPPROTO_ICMP, 0, 56);
    ck_assert_int_eq(gate(NULL), GATE_ICMP);
    make("fd00::2", "2001:db8::1", IPPROTO_ICMPV6, 0, 56);
    ck_assert_int_eq(gate(NULL), GATE_ICMP);
    make("10.1.1.2", "8.8.8.8", IPPROTO_ICMPV6, 0, 56);
    drops(DROP_PROTO);
    make("10.1.1.2", "8.8.8.8", IPPROTO_GRE, 0, 56);
    drops(DROP_PROTO);
}
END_TEST

START_TEST(test_gate_cuts_to_the_length_in_the_header)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 0, 10);
    n += 30; /* trailing bytes */
    ck_assert_int_eq(gate(NULL), GATE_TCP);
    ck_assert_uint_eq(p.bytes, 50);
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 10);
    packet_wr16(buf + 20 + UDP_AT_LENGTH, 8 + 4); /* UDP says less than IP */
    cksum_l4_put(buf, 20, 32, IPPROTO_UDP);
    ck_assert_int_eq(gate(NULL), GATE_UDP);
    ck_assert_uint_eq(p.bytes, 32);
}
END_TEST

/* In a block of exactly its size, so that AddressSanitizer sees a byte too far. */
static void every_truncation(void)
{
    size_t whole = n;

    for (size_t k = 0; k < whole; k++) {
        uint8_t *exact = malloc(k ? k : 1);
        memcpy(exact, buf, k);
        ck_assert_int_eq(gate_check(&cfg, exact, k, &vouched, &p), GATE_DROP);
        free(exact);
    }
}

START_TEST(test_gate_refuses_every_truncation)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 20, 5);
    every_truncation();
    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 20, 5);
    every_truncation();
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 5);
    every_truncation();
    make("fd00::2", "2001:db8::1", IPPROTO_ICMPV6, 0, 5);
    every_truncation();
}
END_TEST

START_TEST(test_gate_refuses_lengths_that_do_not_fit)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 0, 0);
    buf[0] = 0x44; /* ihl below 20 */
    drops(DROP_HEADER);
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 0, 0);
    buf[0] = 0x4f; /* ihl beyond the packet */
    drops(DROP_HEADER);
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 0, 0);
    buf[20 + TCP_AT_DOFF] = 0x40;
    drops(DROP_HEADER);
    buf[20 + TCP_AT_DOFF] = 0x60;
    drops(DROP_HEADER);
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 4);
    packet_wr16(buf + 20 + UDP_AT_LENGTH, 7);
    drops(DROP_HEADER);
    packet_wr16(buf + 20 + UDP_AT_LENGTH, 13);
    drops(DROP_HEADER);
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 4);
    buf[0] = 0x35;
    drops(DROP_VERSION);
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 4);
    packet_wr16(buf + 20 + UDP_AT_DST, 0);
    drops(DROP_HEADER);
}
END_TEST

START_TEST(test_gate_verifies_what_nobody_vouched_for)
{
    for (int v6 = 0; v6 < 2; v6++) {
        const char *s = v6 ? "fd00::2" : "10.1.1.2", *d = v6 ? "2001:db8::1" : "8.8.8.8";
        for (size_t odd = 0; odd < 2; odd++) {
            make(s, d, IPPROTO_TCP, 0, 100 + odd);
            buf[n - 1] ^= 1;
            drops(DROP_CHECKSUM);
            ck_assert_int_eq(gate(&(struct virtio_net_hdr){0}), GATE_DROP);
            ck_assert_int_eq(gate(&vouched), GATE_TCP);
            buf[n - 1] ^= 1;
            ck_assert_int_eq(gate(&(struct virtio_net_hdr){0}), GATE_TCP);
        }
    }
    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 9);
    packet_wr16(buf + 20 + UDP_AT_SUM, 0); /* none, as IPv4 allows */
    ck_assert_int_eq(gate(NULL), GATE_UDP);
    make("fd00::2", "2001:db8::1", IPPROTO_UDP, 0, 9);
    packet_wr16(buf + 40 + UDP_AT_SUM, 0); /* and IPv6 does not */
    drops(DROP_CHECKSUM);
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 0, 9);
    buf[IP4_AT_TTL]++; /* the IP header's own sum */
    ck_assert_int_eq(gate(&vouched), GATE_DROP);
    ck_assert_int_eq(p.why, DROP_CHECKSUM);
}
END_TEST

START_TEST(test_gate_refuses_addresses_no_flow_may_have)
{
    static const struct {
        const char *src, *dst;
        enum gate_drop why;
    } cases[] = {
        {"10.1.1.2", "224.0.0.251", DROP_MULTICAST},
        {"10.1.1.2", "255.255.255.255", DROP_MULTICAST},
        {"fd00::2", "ff02::fb", DROP_MULTICAST},
        {"fe80::2", "fe80::1", DROP_LINK_LOCAL},
        {"10.1.1.2", "169.254.1.1", DROP_LINK_LOCAL},
        {"10.1.1.2", "192.168.123.77", DROP_OWN_SUBNET},
        {"fd00::2", "fd12:3::77", DROP_OWN_SUBNET},
        {"127.0.0.1", "8.8.8.8", DROP_MARTIAN},
        {"224.0.0.1", "8.8.8.8", DROP_MARTIAN},
        {"0.0.0.0", "8.8.8.8", DROP_MARTIAN},
        {"10.1.1.2", "127.0.0.1", DROP_MARTIAN},
        {"10.1.1.2", "0.1.2.3", DROP_MARTIAN},
        {"::1", "2001:db8::1", DROP_MARTIAN},
        {"fd00::2", "::", DROP_MARTIAN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make(cases[i].src, cases[i].dst, IPPROTO_UDP, 0, 4);
        drops(cases[i].why);
    }
}
END_TEST

/* Inserts an extension header of `units` times 8 bytes behind the IPv6 header. */
static void extend(uint8_t kind, uint8_t units, const uint8_t head[4])
{
    size_t len = (size_t)units * 8;

    memmove(buf + 40 + len, buf + 40, n - 40);
    memset(buf + 40, 0, len);
    memcpy(buf + 40, head, 4);
    buf[40] = buf[IP6_AT_NEXT];
    buf[41] = (uint8_t)(units - 1);
    buf[IP6_AT_NEXT] = kind;
    n += len;
    packet_wr16(buf + IP6_AT_PAYLOAD, (unsigned)(n - 40));
}

START_TEST(test_gate_steps_over_extension_headers)
{
    static const uint8_t plain[4] = {0}, stops[4] = {0, 0, 0, 1};

    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 0, 3);
    extend(IPPROTO_DSTOPTS, 1, plain);
    extend(IPPROTO_HOPOPTS, 3, plain);
    ck_assert_int_eq(gate(NULL), GATE_TCP);
    ck_assert_uint_eq(p.l4, 72);
    every_truncation();
    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 0, 3);
    extend(IPPROTO_ROUTING, 1, stops);
    drops(DROP_HEADER);
    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 0, 3);
    for (int i = 0; i < 9; i++)
        extend(IPPROTO_DSTOPTS, 1, plain);
    drops(DROP_HEADER);
    make("fd00::2", "2001:db8::1", IPPROTO_TCP, 0, 3);
    extend(IPPROTO_HOPOPTS, 1, plain);
    buf[41] = 255; /* longer than the packet */
    drops(DROP_HEADER);
}
END_TEST

START_TEST(test_gate_hands_fragments_to_reassembly)
{
    static const uint8_t plain[4] = {0};

    make("10.1.1.2", "8.8.8.8", IPPROTO_UDP, 0, 40);
    packet_wr16(buf + IP4_AT_FRAG, IP4_MF);
    sum4();
    ck_assert_int_eq(gate(NULL), GATE_FRAGMENT);
    ck_assert_uint_eq(p.l4, 20);
    packet_wr16(buf + IP4_AT_FRAG, 5);
    sum4();
    ck_assert_int_eq(gate(NULL), GATE_FRAGMENT);
    make("fd00::2", "2001:db8::1", IPPROTO_UDP, 0, 40);
    extend(IPPROTO_FRAGMENT, 1, plain);
    ck_assert_int_eq(gate(NULL), GATE_FRAGMENT);
    ck_assert_uint_eq(p.l4, 40);
    make("10.1.1.2", "224.0.0.251", IPPROTO_UDP, 0, 40);
    packet_wr16(buf + IP4_AT_FRAG, IP4_MF);
    sum4();
    drops(DROP_MULTICAST);
}
END_TEST

START_TEST(test_gate_reads_super_packets)
{
    struct virtio_net_hdr vh = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                .gso_type = VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
                                .gso_size = 1000};

    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 12, 65000);
    ck_assert_int_eq(gate(&vh), GATE_TCP);
    ck_assert_uint_eq(p.gso_size, 1000);
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 12, 1000);
    ck_assert_int_eq(gate(&vh), GATE_TCP);
    ck_assert_uint_eq(p.gso_size, 0); /* one piece only */
    vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    ck_assert_int_eq(gate(&vh), GATE_DROP);
    vh.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    vh.gso_size = 0;
    ck_assert_int_eq(gate(&vh), GATE_DROP);
}
END_TEST

START_TEST(test_gate_finds_sack_blocks)
{
    make("10.1.1.2", "8.8.8.8", IPPROTO_TCP, 20, 0);
    uint8_t *o = buf + 40;
    o[0] = o[1] = 1;
    o[2] = 5;
    o[3] = 18;
    ck_assert_int_eq(gate(&vouched), GATE_TCP);
    ck_assert_uint_eq(p.sack, 44);
    ck_assert_uint_eq(p.sack_blocks, 2);
    o[3] = 19; /* no whole blocks, and beyond the header */
    ck_assert_int_eq(gate(&vouched), GATE_TCP);
    ck_assert_uint_eq(p.sack, 0);
    o[3] = 0; /* a length that would not advance */
    ck_assert_int_eq(gate(&vouched), GATE_TCP);
    ck_assert_uint_eq(p.sack, 0);
    memset(o, 1, 20);
    o[19] = 5; /* a kind as the last byte */
    ck_assert_int_eq(gate(&vouched), GATE_TCP);
}
END_TEST

START_TEST(test_checksums_agree_with_a_naive_sum)
{
    uint8_t data[200];

    for (size_t len = 0; len < sizeof data; len++) {
        uint32_t sum = 0;
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)(i * 89 + len);
            sum += (uint32_t)data[i] << (i % 2 ? 0 : 8);
        }
        while (sum >> 16)
            sum = (sum & 0xffff) + (sum >> 16);
        uint16_t fast = cksum_fold(cksum_add(0, data, len));
        ck_assert_uint_eq(packet_rd16(&fast), sum);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gate");
    TCase *t = tcase_create("gate");

    if (!cidr_parse("192.168.123.1/24", 16, &own[0]) || !cidr_parse("fd12:3::1/64", 12, &own[1]))
        return 1;
    tcase_add_test(t, test_gate_passes_tcp_with_its_places);
    tcase_add_test(t, test_gate_passes_udp_and_icmp);
    tcase_add_test(t, test_gate_cuts_to_the_length_in_the_header);
    tcase_add_test(t, test_gate_refuses_every_truncation);
    tcase_add_test(t, test_gate_refuses_lengths_that_do_not_fit);
    tcase_add_test(t, test_gate_verifies_what_nobody_vouched_for);
    tcase_add_test(t, test_gate_refuses_addresses_no_flow_may_have);
    tcase_add_test(t, test_gate_steps_over_extension_headers);
    tcase_add_test(t, test_gate_hands_fragments_to_reassembly);
    tcase_add_test(t, test_gate_reads_super_packets);
    tcase_add_test(t, test_gate_finds_sack_blocks);
    tcase_add_test(t, test_checksums_agree_with_a_naive_sum);
    suite_add_tcase(s, t);
    return run_suite(s);
}
