/* tests/unit/test_log.c - records as lines: what peers wrote into names can't break them. */
#include "core/log.h"
#include "run.h"
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/cgost-test-log-XXXXXX";
static char line[8192];

static void setup(void)
{
    memcpy(strrchr(path, '-') + 1, "XXXXXX", 6);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(log_open(&(struct log_cfg){.level = LOG_INFO, .output = path}, NULL), RC_OK);
}

static void teardown(void)
{
    log_close();
    unlink(path);
}

/* The n-th record, parsed. */
static json_t *record(int n)
{
    json_error_t err;
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    line[0] = '\0';
    for (int i = 0; i <= n; i++)
        ck_assert(fgets(line, sizeof line, f) != NULL);
    fclose(f);
    json_t *j = json_loads(line, 0, &err);
    ck_assert_msg(j != NULL, "%s: %s", err.text, line);
    return j;
}

static const char *field(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return text ? text : "";
}

static void write_name(const char *name)
{
    log_write(LOG_INFO, (struct log_field[]){F_STR("name", name), LOG_END}, "to %s", name);
}

START_TEST(test_quotes_and_control_characters)
{
    static const char name[] = "a\"b\\c\r\n\x1b[31m\x7f";
    write_name(name);
    json_t *j = record(0);
    ck_assert_str_eq(field(j, "name"), name);
    ck_assert(strpbrk(line, "\x1b\x7f\r") == NULL);
    json_decref(j);
}
END_TEST

START_TEST(test_utf8_passes)
{
    static const char name[] = "b\xc3\xbc\x63her.\xe4\xbe\x8b.\xf0\x9f\x90\x8c";
    write_name(name);
    json_t *j = record(0);
    ck_assert_str_eq(field(j, "name"), name);
    json_decref(j);
}
END_TEST

/* Lone, cut, overlong and surrogate bytes, and the C1 controls, which some terminals obey. */
START_TEST(test_what_is_no_utf8_is_escaped)
{
    static const char *const names[] = {"\x80",         "a\xff",     "\xc3",
                                        "\xc0\xaf",     "\xe0\x80z", "\xed\xa0\x80",
                                        "\xf5\x80\x80", "\xf0\x9f",  "\xc2\x9b[31m"};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        write_name(names[i]);
        json_decref(record(i)); /* it parses: jansson wants UTF-8 */
        for (const char *p = line; *p; p++)
            ck_assert_msg((unsigned char)*p < 0x80, "name %d: %s", i, line);
    }
}
END_TEST

/* Too much for a line: the record is shorter, but one. */
START_TEST(test_long_record_stays_whole)
{
    static char name[3000];
    memset(name, '\x01', sizeof name - 1);
    log_write(LOG_INFO,
              (struct log_field[]){F_STR("a", name), F_STR("b", name), F_INT("c", 1), LOG_END},
              "%s", name);
    json_decref(record(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_quotes_and_control_characters);
    tcase_add_test(tc, test_utf8_passes);
    tcase_add_test(tc, test_what_is_no_utf8_is_escaped);
    tcase_add_test(tc, test_long_record_stays_whole);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
