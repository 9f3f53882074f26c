/* The order in which a hosts object looks for a name, and its file. */
#include "chain/hosts_table.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct hosts_table *table;

static void map(const char *name, const char *ip)
{
    struct addr a;
    ck_assert(addr_parse_ip(ip, strlen(ip), &a));
    a.port = 99;
    ck_assert_int_eq(hosts_table_add(table, name, &a), RC_OK);
}

/* The addresses in a line. */
static const char *find_at(const char *name, uint64_t now_ms)
{
    static char line[512];
    char text[ADDR_TEXT_MAX];
    struct addr v[8];
    int n = hosts_table_lookup(table, name, now_ms, v, 8);
    line[0] = 0;
    for (int i = 0; i < n; i++) {
        ck_assert_uint_eq(v[i].port, 0);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s", i > 0 ? " " : "",
                 addr_format_ip(&v[i], text, sizeof text));
    }
    return line;
}
static const char *find(const char *name)
{
    return find_at(name, 1000);
}

START_TEST(test_the_order)
{
    table = hosts_table_new("");
    ck_assert_str_eq(find("a.test"), "");
    map("a.test", "192.0.2.1");
    map(".test", "192.0.2.2");
    map(".b.test", "192.0.2.3");
    map("A.TEST", "2001:db8::1");
    map("a.test", "192.0.2.4");
    ck_assert_str_eq(find("a.test"), "192.0.2.1 2001:db8::1 192.0.2.4"); /* in the order given */
    ck_assert_str_eq(find("A.Test."), "192.0.2.1 2001:db8::1 192.0.2.4");
    ck_assert_str_eq(find("test"), "192.0.2.2"); /* the apex */
    ck_assert_str_eq(find("x.test"), "192.0.2.2");
    ck_assert_str_eq(find("x.a.test"), "192.0.2.2");
    ck_assert_str_eq(find("b.test"), "192.0.2.3");
    ck_assert_str_eq(find("y.x.B.test"), "192.0.2.3");
    ck_assert_str_eq(find("xb.test"), "192.0.2.2");
    ck_assert_str_eq(find("example.org"), "");
    map(".", "192.0.2.9");
    ck_assert_str_eq(find("example.org"), "192.0.2.9");
    ck_assert_str_eq(find("a.test"), "192.0.2.1 2001:db8::1 192.0.2.4");
    hosts_table_unref(table);
}
END_TEST

START_TEST(test_what_is_no_name)
{
    char name[400];
    table = hosts_table_new("");
    map(".", "192.0.2.9");
    ck_assert_str_eq(find(""), "");
    memset(name, 'a', sizeof name);
    name[TARGET_NAME_MAX + 1] = 0;
    ck_assert_str_eq(find(name), "");
    name[TARGET_NAME_MAX] = 0;
    ck_assert_str_eq(find(name), "192.0.2.9");
    ck_assert_str_eq(find("."), "192.0.2.9");
    ck_assert_str_eq(find(".."), "192.0.2.9");
    hosts_table_unref(table);
    hosts_table_unref(NULL);
}
END_TEST

START_TEST(test_a_file_beside_the_mappings)
{
    char path[] = "/tmp/test-hosts-table-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    dprintf(fd, "\xef\xbb\xbf"
                "192.0.2.10 one.test two.test # comment\r\n2001:db8::10 one.test\n"
                "192.0.2.11 .domain.test\nbad line\n192.0.2.12 own.test\n"
                "::ffff:192.0.2.14 whole.test.\n");
    table = hosts_table_new(path);
    map("own.test", "192.0.2.1");
    map("owndot.test.", "::ffff:192.0.2.2");
    ck_assert_str_eq(find("owndot.test"), "192.0.2.2");
    ck_assert_str_eq(find("whole.test"), "192.0.2.14");
    ck_assert_str_eq(find("whole.test."), "192.0.2.14");
    ck_assert_str_eq(find("One.test"), "192.0.2.10 2001:db8::10");
    ck_assert_str_eq(find("two.test"), "192.0.2.10");
    ck_assert_str_eq(find("x.domain.test"), "192.0.2.11");
    ck_assert_str_eq(find("own.test"), "192.0.2.1"); /* the mapping first */
    ck_assert_str_eq(find("three.test"), "");
    usleep(20000); /* another time of change */
    dprintf(fd, "192.0.2.13 three.test\n");
    ck_assert_str_eq(find_at("three.test", 5000), "192.0.2.13");
    struct hosts_table *again = hosts_table_ref(table);
    hosts_table_unref(table);
    ck_assert_str_eq(find_at("three.test", 5000), "192.0.2.13");
    unlink(path);
    (void)find_at("one.test", 10000); /* a file that has gone is no crash */
    hosts_table_unref(again);
    close(fd);
}
END_TEST

START_TEST(test_many_names)
{
    char name[32], ip[32];
    table = hosts_table_new("");
    for (int i = 20000; i-- > 0;) {
        snprintf(name, sizeof name, "n%d.test", i * 7919 % 20000);
        snprintf(ip, sizeof ip, "10.0.%d.%d", i * 7919 % 20000 / 256, i * 7919 % 20000 % 256);
        map(name, ip);
    }
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "n%d.test", i);
        snprintf(ip, sizeof ip, "10.0.%d.%d", i / 256, i % 256);
        ck_assert_str_eq(find(name), ip);
    }
    hosts_table_unref(table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hosts_table");
    TCase *tc = tcase_create("hosts_table");
    tcase_add_test(tc, test_the_order);
    tcase_add_test(tc, test_what_is_no_name);
    tcase_add_test(tc, test_a_file_beside_the_mappings);
    tcase_add_test(tc, test_many_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
