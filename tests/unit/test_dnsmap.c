/* tests/unit/test_dnsmap.c - what answers say is remembered for whom they were meant, as long as it
 * holds, and no more of it than fits. */
#include "chain/dnsmap.h"
#include "core/wire/dns.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 1000 };

static struct addr addr(const char *text)
{
    struct addr a;
    ck_assert_msg(addr_parse_ip(text, strlen(text), &a), "%s", text);
    return a;
}

static const char *name_of(struct dnsmap *m, const char *client, const char *ip, uint64_t now_ms,
                           bool *sure)
{
    struct addr c = addr(client), a = addr(ip);
    a.port = 443;
    c.port = 40000;
    const char *name = dnsmap_find(m, &c, &a, now_ms, sure);
    return name != NULL ? name : "unknown";
}

static void put(struct dnsmap *m, const char *client, const char *ip, const char *name,
                uint32_t ttl_s, uint64_t now_ms)
{
    struct addr c = addr(client), a = addr(ip);
    dnsmap_put(m, &c, &a, name, ttl_s, now_ms);
}

START_TEST(test_each_client_has_its_own)
{
    struct dnsmap *m = dnsmap_new();
    bool sure;
    put(m, "10.0.0.1", "192.0.2.1", "one.example", 60, 0);
    put(m, "10.0.0.2", "192.0.2.1", "two.example", 60, 0);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 1, &sure), "one.example");
    ck_assert(sure);
    ck_assert_str_eq(name_of(m, "10.0.0.2", "192.0.2.1", 1, &sure), "two.example");
    ck_assert_str_eq(name_of(m, "10.0.0.3", "192.0.2.1", 1, &sure), "unknown");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.2", 1, &sure), "unknown");
    dnsmap_free(m);
}
END_TEST

START_TEST(test_time_ends_it_and_use_renews_it)
{
    struct dnsmap *m = dnsmap_new();
    bool sure;
    put(m, "10.0.0.1", "192.0.2.1", "short.example", 1, 0);
    put(m, "10.0.0.1", "192.0.2.2", "long.example", 3600, 0);
    put(m, "10.0.0.1", "192.0.2.3", "endless.example", UINT32_MAX, 0);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 299 * S, &sure), "short.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 598 * S, &sure), "short.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 899 * S, &sure), "unknown");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.2", 3599 * S, &sure), "long.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.3", 86400 * S, &sure), "unknown");
    ck_assert_uint_eq(dnsmap_count(m), 1);
    dnsmap_free(m);
}
END_TEST

START_TEST(test_two_names_of_one_address_are_not_sure)
{
    struct dnsmap *m = dnsmap_new();
    bool sure;
    put(m, "10.0.0.1", "192.0.2.1", "one.example", 600, 0);
    put(m, "10.0.0.1", "192.0.2.1", "ONE.example", 600, 0);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 1, &sure), "one.example");
    ck_assert(sure);
    put(m, "10.0.0.1", "192.0.2.1", "two.example", 3600, 10 * S);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 11 * S, &sure), "two.example");
    ck_assert(!sure);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 600 * S, &sure), "two.example");
    ck_assert(sure); /* the first one's time is over */
    dnsmap_free(m);
}
END_TEST

START_TEST(test_what_nobody_connects_to_is_left_out)
{
    struct dnsmap *m = dnsmap_new();
    static const char *const bad[] = {"0.0.0.0", "127.0.0.1", "::", "::1", "224.0.0.1", "fe80::1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        put(m, "10.0.0.1", bad[i], "blocked.example", 60, 0);
    put(m, "10.0.0.1", "192.0.2.1", ".", 60, 0);
    put(m, "10.0.0.1", "192.0.2.1", "", 60, 0);
    put(m, "10.0.0.1", "192.0.2.1", "a\\.b.example", 60, 0);
    ck_assert_uint_eq(dnsmap_count(m), 0);
    dnsmap_free(m);
}
END_TEST

START_TEST(test_the_longest_unused_goes_first)
{
    struct dnsmap *m = dnsmap_new();
    struct addr c = addr("10.0.0.1"), a = addr("20.0.0.0");
    char name[32];
    bool sure;
    for (int i = 0; i < DNSMAP_MAX + 10; i++) {
        a.ip[1] = (uint8_t)(i >> 16);
        a.ip[2] = (uint8_t)(i >> 8);
        a.ip[3] = (uint8_t)i;
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        dnsmap_put(m, &c, &a, name, 60, 0);
        if (i == DNSMAP_MAX - 1)
            ck_assert_str_eq(name_of(m, "10.0.0.1", "20.0.0.0", 1, &sure), "n0.example");
    }
    ck_assert_uint_eq(dnsmap_count(m), DNSMAP_MAX);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "20.0.0.0", 1, &sure), "n0.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "20.0.0.5", 1, &sure), "unknown");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "20.0.0.11", 1, &sure), "n11.example");
    dnsmap_free(m);
}
END_TEST

/* One client learns far more than there is room for, others have a few, by IPv6 too. */
START_TEST(test_a_greedy_client_loses_its_own)
{
    struct dnsmap *m = dnsmap_new();
    struct addr c = addr("10.0.0.1"), a = addr("20.0.0.0");
    char name[32];
    bool sure;
    put(m, "10.0.0.2", "192.0.2.1", "first.example", 60, 0);
    put(m, "fd00::1", "192.0.2.1", "second.example", 60, 0);
    for (int i = 0; i < 2 * DNSMAP_MAX; i++) {
        a.ip[1] = (uint8_t)(i >> 16);
        a.ip[2] = (uint8_t)(i >> 8);
        a.ip[3] = (uint8_t)i;
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        dnsmap_put(m, &c, &a, name, 60, 0);
    }
    ck_assert_uint_eq(dnsmap_count(m), DNSMAP_MAX);
    for (int i = 0; i < 100; i++) { /* the greedy one makes room for them */
        struct addr b = addr("10.0.0.2");
        a.ip[1] = 99;
        a.ip[3] = (uint8_t)i;
        (void)snprintf(name, sizeof(name), "m%d.example", i);
        dnsmap_put(m, &b, &a, name, 60, 0);
    }
    ck_assert_uint_eq(dnsmap_count(m), DNSMAP_MAX);
    ck_assert_str_eq(name_of(m, "10.0.0.2", "192.0.2.1", 1, &sure), "first.example");
    ck_assert_str_eq(name_of(m, "fd00::1", "192.0.2.1", 1, &sure), "second.example");
    a.ip[3] = 0;
    char text[ADDR_TEXT_MAX];
    ck_assert_str_eq(name_of(m, "10.0.0.2", addr_format_ip(&a, text, sizeof text), 1, &sure),
                     "m0.example");
    dnsmap_free(m);
}
END_TEST

/* ---------------------------------------------------------------- answers */

#define HEAD(flags1, flags2, answers) "\x12\x34" flags1 flags2 "\0\1\0" answers "\0\0\0\0"
#define QUESTION_A                    "\3www\7example\0\0\1\0\1"
#define QUESTION_TXT                  "\3www\7example\0\0\x10\0\1"
#define TTL                           "\0\0\2\x58"
#define LEARN(m, bytes)               learn(m, bytes, sizeof(bytes) - 1)

static int learn(struct dnsmap *m, const char *bytes, size_t n)
{
    struct addr client = addr("10.0.0.1");
    return dnsmap_learn(m, &client, bytes, n, 0);
}

START_TEST(test_answers_are_learnt_through_cnames)
{
    static const char answer[] = HEAD("\x81", "\x80", "\4") QUESTION_A
        "\xc0\x0c\0\5\0\1" TTL "\0\6\3cdn\xc0\x10"       /* www.example is cdn.example */
        "\3cdn\xc0\x10\0\1\0\1" TTL "\0\4\xc0\0\2\1"     /* compressed into the middle */
        "\3CDN\7EXAMPLE\0\0\1\0\1" TTL "\0\4\xc0\0\2\2"  /* not compressed, other case */
        "\4evil\xc0\x10\0\1\0\1" TTL "\0\4\xc0\0\2\x63"; /* of a name that nobody asked for */
    struct dnsmap *m = dnsmap_new();
    bool sure;
    ck_assert_int_eq(LEARN(m, answer), 2);
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.1", 599 * S, &sure), "www.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.2", 599 * S, &sure), "www.example");
    ck_assert_str_eq(name_of(m, "10.0.0.1", "192.0.2.99", 1, &sure), "unknown");
    for (size_t n = 0; n < sizeof(answer) - 1;
         n++) { /* cut ones: a part or nothing, no reading on */
        char *copy = malloc(n + 1);
        memcpy(copy, answer, n);
        (void)learn(m, copy, n);
        free(copy);
    }
    dnsmap_free(m);
}
END_TEST

START_TEST(test_lies_are_not_learnt)
{
    struct dnsmap *m = dnsmap_new();
    ck_assert_int_eq(LEARN(m, HEAD("\1", "\0", "\1") QUESTION_A /* no answer */
                           "\xc0\x0c\0\1\0\1" TTL "\0\4\xc0\0\2\1"),
                     0);
    ck_assert_int_eq(LEARN(m, HEAD("\x81", "\x83", "\1") QUESTION_A /* NXDOMAIN */
                           "\xc0\x0c\0\1\0\1" TTL "\0\4\xc0\0\2\1"),
                     0);
    ck_assert_int_eq(LEARN(m, HEAD("\x81", "\x80", "\1") QUESTION_TXT /* asked for something else */
                           "\xc0\x0c\0\1\0\1" TTL "\0\4\xc0\0\2\1"),
                     0);
    ck_assert_int_eq(LEARN(m, HEAD("\x81", "\x80", "\2") QUESTION_A /* a ring */
                           "\xc0\x0c\0\5\0\1" TTL "\0\6\3cdn\xc0\x10"
                           "\3cdn\xc0\x10\0\5\0\1" TTL "\0\2\xc0\x0c"),
                     0);
    ck_assert_int_eq(LEARN(m,
                           HEAD("\x81", "\x80", "\1") QUESTION_A /* a name that points to itself */
                           "\xc0\x1d\0\1\0\1" TTL "\0\4\xc0\0\2\1"),
                     0);
    ck_assert_int_eq(LEARN(m, HEAD("\x81", "\x80", "\1") QUESTION_A /* five bytes of address */
                           "\xc0\x0c\0\1\0\1" TTL "\0\5\xc0\0\2\1\1"),
                     0);
    ck_assert_uint_eq(dnsmap_count(m), 0);
    dnsmap_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dnsmap");
    TCase *t = tcase_create("all");
    tcase_add_test(t, test_each_client_has_its_own);
    tcase_add_test(t, test_time_ends_it_and_use_renews_it);
    tcase_add_test(t, test_two_names_of_one_address_are_not_sure);
    tcase_add_test(t, test_what_nobody_connects_to_is_left_out);
    tcase_add_test(t, test_the_longest_unused_goes_first);
    tcase_add_test(t, test_a_greedy_client_loses_its_own);
    tcase_add_test(t, test_answers_are_learnt_through_cnames);
    tcase_add_test(t, test_lies_are_not_learnt);
    suite_add_tcase(s, t);
    return run_suite(s);
}
