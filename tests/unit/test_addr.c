/* Addresses, prefixes and targets as text; users; log lines. */
#include "core/addr.h"
#include "core/auther.h"
#include "core/log.h"
#include "core/os.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(test_addr_text_round_trip)
{
    static const char *const good[] = {"1.2.3.4:80", "[::1]:443", "0.0.0.0:0",
                                       "[2001:db8::5]:65535"};
    char buf[ADDR_TEXT_MAX];
    struct addr a;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(addr_parse(good[i], &a), "%s", good[i]);
        ck_assert_str_eq(addr_format(&a, buf, sizeof buf), good[i]);
    }
}
END_TEST

START_TEST(test_addr_rejects_what_is_no_address)
{
    static const char *const bad[] = {
        "",           "1.2.3.4",    "1.2.3.4:",   "1.2.3.4:65536",
        "1.2.3.4:x",  "::1:80",     "[::1]",      "[1.2.3.4]:1",
        "1.2.3:80",   "[::1:80",    "a:80",       ":80",
        "1.2.3.4:-1", "1.2.3.4:+1", "01.2.3.4:1", "[fe80::1%nosuch0]:1"};
    struct addr a = {.port = 7};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(!addr_parse(bad[i], &a), "%s", bad[i]);
        ck_assert_uint_eq(a.port, 7); /* untouched on failure */
    }
}
END_TEST

START_TEST(test_addr_kinds)
{
    struct addr a;

    ck_assert(addr_parse("127.9.9.9:1", &a) && addr_is_loopback(&a) && !addr_is_global(&a));
    ck_assert(addr_parse("[::1]:1", &a) && addr_is_loopback(&a));
    ck_assert(addr_parse("224.0.0.251:1", &a) && addr_is_multicast(&a));
    ck_assert(addr_parse("[ff02::1]:1", &a) && addr_is_multicast(&a));
    ck_assert(addr_parse("169.254.1.1:1", &a) && addr_is_link_local(&a));
    ck_assert(addr_parse("[fe80::1]:1", &a) && addr_is_link_local(&a) && !addr_is_global(&a));
    ck_assert(addr_parse("255.255.255.255:1", &a) && !addr_is_global(&a));
    ck_assert(addr_parse("10.0.0.1:1", &a) && addr_is_global(&a));
    ck_assert(addr_parse("[::ffff:10.0.0.1]:1", &a));
    a = addr_unmap(a);
    ck_assert(a.family == AF_INET && a.ip[0] == 10);
}
END_TEST

START_TEST(test_cidr_matches_by_bits)
{
    struct cidr c;
    struct addr in, out;

    ck_assert(cidr_parse("10.1.0.0/15", 11, &c));
    ck_assert(addr_parse("10.0.255.255:0", &in) && addr_parse("10.2.0.0:0", &out));
    ck_assert(cidr_has(&c, &in) && !cidr_has(&c, &out));
    ck_assert(cidr_parse("2001:db8::/33", 13, &c));
    ck_assert(addr_parse("[2001:db8:7fff::1]:0", &in) && addr_parse("[2001:db8:8000::1]:0", &out));
    ck_assert(cidr_has(&c, &in) && !cidr_has(&c, &out));
    ck_assert(cidr_parse("0.0.0.0/0", 9, &c) &&
              cidr_has(&c, &(struct addr){.family = AF_INET, .ip = {9}}));
    ck_assert(!cidr_has(&c, &in)); /* another family */
    ck_assert(!cidr_parse("10.0.0.0/33", 11, &c) && !cidr_parse("10.0.0.0/", 9, &c) &&
              !cidr_parse("a/8", 3, &c));
}
END_TEST

START_TEST(test_target_is_a_name_or_an_address)
{
    char buf[TARGET_TEXT_MAX], long_name[300];
    struct target t;

    ck_assert(target_parse("example.org:443", &t) && target_is_name(&t));
    ck_assert_str_eq(target_format(&t, buf, sizeof buf), "example.org:443");
    ck_assert(target_parse("[2001:db8::1]:53", &t) && !target_is_name(&t));
    ck_assert_str_eq(target_format(&t, buf, sizeof buf), "[2001:db8::1]:53");
    ck_assert(target_parse(":53", &t) && t.addr.port == 53 && !t.addr.family);
    memset(long_name, 'a', sizeof long_name);
    ck_assert(target_set_host(&t, long_name, 255, 1));
    ck_assert(!target_set_host(&t, long_name, 256, 1));
    ck_assert(!target_set_host(&t, "a\0b", 3, 1));
}
END_TEST

START_TEST(test_auther_checks_both_words)
{
    struct auther *a = auther_new();

    ck_assert_int_eq(auther_add(a, "u", "secret"), RC_OK);
    ck_assert_int_eq(auther_add(a, "open", ""), RC_OK);
    ck_assert(auther_check(a, "u", "secret"));
    ck_assert(!auther_check(a, "u", "secre") && !auther_check(a, "u", "secret1") &&
              !auther_check(a, "v", "secret"));
    ck_assert(!auther_check(a, NULL, NULL) && !auther_check(a, "u", NULL));
    ck_assert(
        auther_check(a, "open", "anything")); /* as GOST: an empty stored password accepts any */
    ck_assert(auther_check(NULL, NULL, NULL));
    auther_free(a);
}
END_TEST

static void read_log(const char *path, char *buf, size_t cap)
{
    FILE *f = fopen(path, "r");

    ck_assert_ptr_nonnull(f);
    buf[fread(buf, 1, cap - 1, f)] = 0;
    fclose(f);
}

START_TEST(test_log_escapes_what_peers_said)
{
    char path[] = "/tmp/cgost-log-XXXXXX", file[64], text[4096];
    struct log_cfg cfg = {.level = LOG_INFO, .output = file};

    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(file, sizeof file, "%s/sub/log", path);
    ck_assert_int_eq(log_open(&cfg, NULL), RC_OK);
    log_write(LOG_INFO, (struct log_field[]){F_STR("host", "a\"b\n\x01"), F_INT("n", -5), LOG_END},
              "hello %d", 7);
    log_debug("not wanted");
    log_close();
    read_log(file, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(
        text, "\"level\":\"info\",\"msg\":\"hello 7\",\"host\":\"a\\\"b\\n\\u0001\",\"n\":-5}\n"));
    ck_assert_ptr_null(strstr(text, "not wanted"));
    unlink(file);
    snprintf(file, sizeof file, "%s/sub", path);
    rmdir(file);
    rmdir(path);
}
END_TEST

START_TEST(test_log_counts_repeats)
{
    char file[] = "/tmp/cgost-log-XXXXXX", text[8192];
    struct log_cfg cfg = {.level = LOG_INFO, .output = file, .text = true};
    int lines = 0;

    close(mkstemp(file));
    ck_assert_int_eq(log_open(&cfg, NULL), RC_OK);
    for (int i = 0; i < 1000; i++)
        log_warn("the same trouble");
    log_close();
    read_log(file, text, sizeof text);
    for (const char *p = text; (p = strchr(p, '\n')); p++)
        lines++;
    ck_assert_int_le(lines, 25); /* two seconds at most, 10 each, and a note */
    unlink(file);
}
END_TEST

START_TEST(test_interface_list_names_what_is_missing)
{
    struct sockopts so = {.interface = "nosuch0!,lo"};
    struct bind_choice v[4];
    struct diag d = {0};
    struct addr to;
    int n;

    ck_assert(addr_parse("127.0.0.1:1", &to));
    ck_assert_int_ne(os_bind_choices(&so, &to, v, 4, &n, &d), RC_OK);
    ck_assert_ptr_nonnull(strstr(d.text, "nosuch0"));
    so.interface = "nosuch0, 127.0.0.1";
    d = (struct diag){0};
    ck_assert_int_eq(os_bind_choices(&so, &to, v, 4, &n, &d), RC_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_str_eq(v[0].device, "lo"); /* an address binds the device that owns it, too */
    so.interface = "127.0.0.1,nosuch0";
    ck_assert_int_eq(os_bind_choices(&so, &to, v, 4, &n, &d), RC_OK);
    ck_assert_int_eq(d.rc, RC_OK); /* nothing went wrong that a later failure would be taken for */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("addr");
    TCase *t = tcase_create("addr");

    tcase_add_test(t, test_addr_text_round_trip);
    tcase_add_test(t, test_addr_rejects_what_is_no_address);
    tcase_add_test(t, test_addr_kinds);
    tcase_add_test(t, test_cidr_matches_by_bits);
    tcase_add_test(t, test_target_is_a_name_or_an_address);
    tcase_add_test(t, test_auther_checks_both_words);
    tcase_add_test(t, test_log_escapes_what_peers_said);
    tcase_add_test(t, test_log_counts_repeats);
    tcase_add_test(t, test_interface_list_names_what_is_missing);
    suite_add_tcase(s, t);
    return run_suite(s);
}
