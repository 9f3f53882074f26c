/* How a nameserver's address is read. */
#include "chain/nameserver.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct nameservers *list;

static enum rc add(const char *addr, const char *hostname, struct diag *diag)
{
    struct nameserver_cfg cfg = {.addr = addr, .hostname = hostname};
    *diag = (struct diag){.rc = RC_OK};
    return nameservers_add(list, &cfg, diag);
}

static const struct {
    const char *addr;
    enum nameserver_scheme scheme;
    const char *target, *path;
} good[] = {
    {"192.0.2.1", NAMESERVER_UDP, "192.0.2.1:53", NULL},
    {"192.0.2.1:5353", NAMESERVER_UDP, "192.0.2.1:5353", NULL},
    {"udp://192.0.2.1", NAMESERVER_UDP, "192.0.2.1:53", NULL},
    {"UDP://192.0.2.1", NAMESERVER_UDP, "192.0.2.1:53", NULL},
    {"quic://192.0.2.1", NAMESERVER_UDP, "192.0.2.1:53", NULL}, /* unknown: udp, as in GOST */
    {"tcp://192.0.2.1", NAMESERVER_TCP, "192.0.2.1:53", NULL},
    {"tls://192.0.2.1", NAMESERVER_TLS, "192.0.2.1:853", NULL},
    {"dot://dns.example", NAMESERVER_TLS, "dns.example:853", NULL},
    {"tls://dns.example:8853", NAMESERVER_TLS, "dns.example:8853", NULL},
    {"https://dns.example", NAMESERVER_HTTPS, "dns.example:443", "/dns-query"},
    {"https://dns.example:8443/a/b?c=d", NAMESERVER_HTTPS, "dns.example:8443", "/a/b?c=d"},
    {"https://[2001:db8::1]/x", NAMESERVER_HTTPS, "[2001:db8::1]:443", "/x"},
    {"2001:db8::1", NAMESERVER_UDP, "[2001:db8::1]:53", NULL},
    {"[2001:db8::1]", NAMESERVER_UDP, "[2001:db8::1]:53", NULL},
    {"[2001:db8::1]:54", NAMESERVER_UDP, "[2001:db8::1]:54", NULL},
    {"udp://[::1]", NAMESERVER_UDP, "[::1]:53", NULL},
    {":5353", NAMESERVER_UDP, "127.0.0.1:5353", NULL},
    {"dns.example", NAMESERVER_UDP, "dns.example:53", NULL},
};

START_TEST(test_addresses)
{
    char text[TARGET_TEXT_MAX];
    struct diag diag;
    list = nameservers_new();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(add(good[i].addr, "name.example", &diag) == RC_OK, "%s: %s", good[i].addr,
                      diag.text);
        const struct nameserver *s = &list->v[i];
        ck_assert_str_eq(s->text, good[i].addr);
        ck_assert_int_eq(s->scheme, good[i].scheme);
        ck_assert_str_eq(target_format(&s->target, text, sizeof text), good[i].target);
        if (good[i].path != NULL)
            ck_assert_str_eq(s->path, good[i].path);
        ck_assert(nameserver_is_checked(s));
        ck_assert_uint_eq(s->timeout_ms, NAMESERVER_TIMEOUT_MS);
    }
    nameservers_unref(list);
}
END_TEST

START_TEST(test_what_is_no_address)
{
    static const char *const bad[] = {
        "",      "udp://", "1.2.3.4:99999", "a:b",          "[::1",    "[dns.example]",
        "host:", "a b",    "https://h/a b", "https://h/\1", "tls://:x"};
    struct diag diag;
    list = nameservers_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum rc rc = add(bad[i], NULL, &diag);
        ck_assert_msg(rc == RC_INVALID, "%s: %s", bad[i], rc_name(rc));
        ck_assert_msg(strstr(diag.text, "nameserver") != NULL, "%s", diag.text);
        ck_assert_int_eq(list->n, 0);
    }
    nameservers_unref(list);
}
END_TEST

/* A token there would be sent as part of a name, to whoever resolves it, and as SNI. */
START_TEST(test_users_are_refused_and_not_told)
{
    static const char *const bad[] = {"https://secret@dns.example/dns-query",
                                      "https://u:secret@dns.example", "tls://secret@192.0.2.1",
                                      "secret@dns.example:53"};
    struct diag diag;
    list = nameservers_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_msg(add(bad[i], NULL, &diag) == RC_INVALID, "%s", bad[i]);
        ck_assert_msg(strstr(diag.text, "user") != NULL, "%s", diag.text);
        ck_assert_msg(strstr(diag.text, "secret") == NULL, "%s", diag.text);
    }
    ck_assert_int_eq(add("https://u:secret/x@dns.example", NULL, &diag), RC_INVALID);
    ck_assert_msg(strstr(diag.text, "secret") == NULL, "%s", diag.text);
    ck_assert_int_eq(add("https://dns.example/a@b", NULL, &diag), RC_OK);
    ck_assert_str_eq(list->v[0].path, "/a@b");
    nameservers_unref(list);
}
END_TEST

START_TEST(test_who_is_checked)
{
    struct diag diag;
    list = nameservers_new();
    ck_assert_int_eq(add("tls://192.0.2.1", NULL, &diag), RC_OK);
    ck_assert(!nameserver_is_checked(&list->v[0]));
    ck_assert_int_eq(add("tls://192.0.2.1", "", &diag), RC_OK);
    ck_assert(!nameserver_is_checked(&list->v[1]));
    ck_assert_int_eq(add("tls://192.0.2.1", "dns.example", &diag), RC_OK);
    ck_assert(nameserver_is_checked(&list->v[2]));
    ck_assert_int_eq(add("tls://192.0.2.1?hostname=dns.example", NULL, &diag), RC_OK);
    ck_assert(nameserver_is_checked(&list->v[3]));
    ck_assert_uint_eq(list->v[3].target.addr.port, 853);
    ck_assert_int_eq(add("https://192.0.2.1", NULL, &diag), RC_OK);
    ck_assert(nameserver_is_checked(&list->v[4]));
    nameservers_unref(list);
}
END_TEST

START_TEST(test_a_cap_and_words)
{
    struct diag diag;
    char text[240];
    list = nameservers_new();
    for (int i = 0; i < NAMESERVERS_MAX; i++)
        ck_assert_int_eq(add("192.0.2.1", NULL, &diag), RC_OK);
    ck_assert_int_eq(add("192.0.2.1", NULL, &diag), RC_LIMIT);
    struct nameserver *s = &list->v[0];
    nameserver_failed(s, RC_REFUSED, "one");
    nameserver_failed(s, RC_TIMEOUT, "two");
    ck_assert_uint_eq(s->failed, 2);
    ck_assert_int_eq(s->last.rc, RC_TIMEOUT);
    ck_assert_str_eq(s->last.text, "192.0.2.1: two");
    s->lies = 1000;
    ck_assert(strstr(nameserver_news_text(s, NAMESERVER_LIED, text, sizeof text), "1000") != NULL);
    ck_assert(strstr(nameserver_news_text(s, NAMESERVER_OVER_TCP, text, sizeof text), "TCP") !=
              NULL);
    struct nameservers *again = nameservers_ref(list);
    nameservers_unref(list);
    nameservers_stop(again);
    nameservers_unref(again);
    nameservers_unref(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nameserver");
    TCase *tc = tcase_create("nameserver");
    tcase_add_test(tc, test_addresses);
    tcase_add_test(tc, test_what_is_no_address);
    tcase_add_test(tc, test_users_are_refused_and_not_told);
    tcase_add_test(tc, test_who_is_checked);
    tcase_add_test(tc, test_a_cap_and_words);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
