/* tests/unit/test_hush.c - what a flood of failing clients may write into the log. */
#include "core/log.h"
#include "handlers/hush.h"
#include "handlers/report.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse_ip(text, strlen(text), &a));
    return a;
}

/* n lines wanted at one moment; how many are written. */
static unsigned wanted(enum hush_kind kind, const char *client, unsigned n, uint64_t now_ms,
                       uint64_t *ret_unsaid)
{
    struct addr a = ip(client);
    unsigned written = 0;
    uint64_t unsaid = 0;

    *ret_unsaid = 0;
    for (unsigned i = 0; i < n; i++) {
        if (hush_allows(kind, &a, now_ms, &unsaid)) {
            written++;
            *ret_unsaid += unsaid;
        }
    }
    return written;
}

START_TEST(test_a_flood_has_a_bound_and_is_counted)
{
    uint64_t unsaid;

    hush_forget();
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "192.0.2.1", 10000, 5000, &unsaid),
                      HUSH_STRANGER_BURST);
    ck_assert_uint_eq(unsaid, 0);
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "192.0.2.1", 10000, 5100, &unsaid), 0);
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "192.0.2.1", 1, 6000, &unsaid), 1);
    ck_assert_uint_eq(unsaid, 20000 - HUSH_STRANGER_BURST);
    /* others are heard, and so are failures of another kind */
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "198.51.100.7", 10, 6000, &unsaid), 10);
    ck_assert_uint_eq(wanted(HUSH_TARGET, "192.0.2.1", 10, 6000, &unsaid), 10);
    /* a day later it is as new */
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "192.0.2.1", 10000, 86400000, &unsaid),
                      HUSH_STRANGER_BURST);
}
END_TEST

START_TEST(test_an_ipv6_network_is_one_source)
{
    uint64_t unsaid;

    hush_forget();
    for (int i = 0; i < HUSH_STRANGER_BURST; i++) {
        char text[64];
        snprintf(text, sizeof text, "2001:db8:1:2::%x", i);
        ck_assert_uint_eq(wanted(HUSH_STRANGER, text, 1, 1, &unsaid), 1);
    }
    ck_assert_uint_eq(wanted(HUSH_STRANGER, "2001:db8:1:2:ffff::1", 1, 1, &unsaid), 0);
}
END_TEST

START_TEST(test_many_sources_together_have_a_bound)
{
    unsigned written = 0;
    uint64_t unsaid;

    hush_forget();
    for (int i = 0; i < 4096; i++) {
        char text[32];
        snprintf(text, sizeof text, "10.1.%d.%d", i / 256, i % 256);
        written += wanted(HUSH_STRANGER, text, 10, 1, &unsaid);
    }
    ck_assert_uint_gt(written, HUSH_STRANGER_BURST);
    ck_assert_uint_le(written, HUSH_ALL_FACTOR * HUSH_STRANGER_BURST);
}
END_TEST

/* Through report_failed(): the lines of one client that never says what it wants. */
START_TEST(test_reports_keep_to_it)
{
    char path[] = "/tmp/cgost-test-hush-XXXXXX", line[4096];
    struct addr client = ip("192.0.2.9");
    unsigned lines = 0, told = 0;
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    hush_forget();
    ck_assert_int_eq(log_open(&(struct log_cfg){.level = LOG_INFO, .output = path}, NULL), RC_OK);
    for (int i = 0; i < 5000; i++) {
        struct report r;
        client.port = (uint16_t)(1024 + i);
        report_init(&r, "s", "socks5", "tcp", &client, 1000);
        report_failed(&r, RC_INVALID, "garbage", i < 4999 ? 1000 : 3000);
    }
    log_close();
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        lines++;
        told += strstr(line, "\"unsaid\":4899") != NULL;
    }
    fclose(f);
    unlink(path);
    ck_assert_uint_eq(lines, HUSH_STRANGER_BURST + 1);
    ck_assert_uint_eq(told, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hush");
    TCase *tc = tcase_create("hush");
    tcase_add_test(tc, test_a_flood_has_a_bound_and_is_counted);
    tcase_add_test(tc, test_an_ipv6_network_is_one_source);
    tcase_add_test(tc, test_many_sources_together_have_a_bound);
    tcase_add_test(tc, test_reports_keep_to_it);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
