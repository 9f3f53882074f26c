/* tests/unit/test_sniff_dns.c - names in DNS messages: whose bytes count as a query, and where. */
#include "core/wire/dns.h"
#include "sniff/dns.h"
#include "tests/unit/vectors.h"

static uint8_t msg[2000];

static size_t query(const char *name, uint16_t type, uint16_t edns)
{
    struct dns_query q = {.id = 7, .type = type, .name = name, .edns_bytes = edns};
    size_t n;

    ck_assert_int_eq(dns_format_query(&q, msg, sizeof msg, &n), RC_OK);
    return n;
}

static void finds(size_t n, uint16_t port, const char *name)
{
    struct sniffed found;

    ck_assert_int_eq(sniff_dns_query(msg, n, port, &found), RC_OK);
    ck_assert_int_eq(found.proto, SNIFF_DNS);
    ck_assert_str_eq(found.name, name);
    ck_assert_uint_eq(found.port, name[0] ? 53 : 0);
}

static void finds_nothing(size_t n, uint16_t port)
{
    struct sniffed found;

    ck_assert_int_eq(sniff_dns_query(msg, n, port, &found), RC_PROTO);
}

START_TEST(test_names_of_queries)
{
    char long_name[300] = "";

    finds(query("example.com", DNS_A, 0), 53, "example.com");
    finds(query("Www.Example.COM.", DNS_AAAA, 1232), 53, "Www.Example.COM");
    finds(query("4.3.2.1.in-addr.arpa", DNS_PTR, 0), 53, "4.3.2.1.in-addr.arpa");
    finds(query(".", DNS_NS, 0), 53, "");
    finds(query("192.0.2.1", DNS_A, 0), 53, ""); /* an address is no name */
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 60; k++)
            strcat(long_name, k == 59 ? "." : "x");
    size_t n = query(long_name, DNS_A, 0);
    long_name[239] = '\0'; /* the final dot */
    finds(n, 53, long_name);
}
END_TEST

START_TEST(test_other_ports_want_every_detail)
{
    size_t n = query("example.com", DNS_A, 0), with_edns;

    finds(n, 5353, "example.com");
    msg[n] = 0; /* something behind it */
    finds(n + 1, 53, "example.com");
    finds_nothing(n + 1, 5353);
    msg[3] = 0x30; /* RA off, AD and CD on */
    finds(n, 5353, "example.com");
    msg[2] = 0x04 | 1;
    finds(n, 53, "example.com");
    finds_nothing(n, 5353);
    with_edns = query("example.com", DNS_A, 1232);
    finds(with_edns, 5353, "example.com");
    finds_nothing(with_edns - 1, 5353);
    msg[n + 2] = DNS_TXT; /* instead of OPT */
    finds_nothing(with_edns, 5353);
    (void)query("example.com", DNS_A, 0);
    msg[n - 1] = 3; /* CHAOS */
    finds(n, 53, "example.com");
    finds_nothing(n, 5353);
    msg[n - 1] = 1;
    msg[7] = 1; /* an answer in a query */
    finds_nothing(n, 5353);
}
END_TEST

START_TEST(test_answers)
{
    size_t n = query("example.com", DNS_A, 0), all;
    struct sniffed found;
    struct dns_msg m;
    struct addr a = addr_v4("\xc0\0\x02\x01", 0);
    uint8_t answer[600];

    ck_assert_int_eq(sniff_dns_answer(msg, n, &found), RC_PROTO);
    ck_assert_int_eq(dns_parse_query(msg, n, &m), RC_OK);
    ck_assert_int_eq(
        dns_format_answer(msg, &m, DNS_NOERROR, &a, 1, 60, answer, sizeof answer, &all), RC_OK);
    ck_assert_int_eq(sniff_dns_answer(answer, all, &found), RC_OK);
    ck_assert_str_eq(found.name, "example.com");
    ck_assert_int_eq(sniff_dns_query(answer, all, 53, &found), RC_PROTO);
}
END_TEST

START_TEST(test_streams)
{
    uint8_t wire[600];
    struct sniffed found;
    size_t n = query("example.com", DNS_A, 0);

    wire[0] = (uint8_t)(n >> 8);
    wire[1] = (uint8_t)n;
    memcpy(wire + 2, msg, n);
    for (size_t i = 0; i < n + 2; i++)
        ck_assert_int_eq(sniff_dns_stream(wire, i, &found), RC_AGAIN);
    ck_assert_int_eq(sniff_dns_stream(wire, n + 2, &found), RC_OK);
    ck_assert_str_eq(found.name, "example.com");
    ck_assert_int_eq(sniff_dns_stream("\0\x05hello", 7, &found), RC_PROTO);
    ck_assert_int_eq(sniff_dns_stream("\x10\x01", 2, &found), RC_PROTO); /* no query is that long */
    ck_assert_int_eq(sniff_dns_stream("\x10\0", 2, &found), RC_AGAIN);
}
END_TEST

START_TEST(test_cut_anywhere)
{
    size_t n = query("example.com", DNS_A, 0);

    for (size_t i = 0; i < n; i++) {
        struct sniffed found;
        uint8_t *exact = malloc(i ? i : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, msg, i);
        ck_assert_int_eq(sniff_dns_query(exact, i, 53, &found), RC_PROTO);
        free(exact);
    }
}
END_TEST

int main(void)
{
    static const TTest *tests[8];
    size_t n = 0;

    tests[n++] = test_names_of_queries;
    tests[n++] = test_other_ports_want_every_detail;
    tests[n++] = test_answers;
    tests[n++] = test_streams;
    tests[n++] = test_cut_anywhere;
    return vectors_main("sniff_dns", tests);
}
