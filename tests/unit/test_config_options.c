/* tests/unit/test_config_options.c - plain scalars as YAML's and Go's dialect has them, and what an
 * option table makes of them.
 */
#include "configcase.h"
#include "configs/scalar.h"

/* ---- scalars ---- */

START_TEST(test_durations_read_and_print_as_go)
{
    static const struct {
        const char *text, *again;
        int64_t ns;
    } good[] = {{"1m30s", "1m30s", 90000000000},
                {"300ms", "300ms", 300000000},
                {"0", "0s", 0},
                {"-1.5h", "-1h30m0s", -5400000000000},
                {"1us", "1\xc2\xb5s", 1000},
                {"2540400h", "2540400h0m0s", 9145440000000000000},
                {".5s", "500ms", 500000000},
                {"1.000000001s", "1.000000001s", 1000000001}};
    static const char *const bad[] = {"",   "30",  "1d",   "10 sec",     "s",
                                      ".s", "1s ", "--1s", "9999999999h"};
    int64_t ns;
    char buf[SCALAR_TEXT_MAX];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(scalar_parse_duration(good[i].text, &ns), "%s", good[i].text);
        ck_assert_int_eq(ns, good[i].ns);
        ck_assert_str_eq(scalar_format_duration(ns, buf), good[i].again);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!scalar_parse_duration(bad[i], &ns), "%s", bad[i]);
}
END_TEST

START_TEST(test_plain_scalars_follow_the_dialect)
{
    static const struct {
        const char *text;
        enum value_kind kind;
        int64_t num;
    } cases[] = {{"0755", VALUE_INT, 493},
                 {"0o17", VALUE_INT, 15},
                 {"0x1F", VALUE_INT, 31},
                 {"-0b11", VALUE_INT, -3},
                 {"1_000", VALUE_INT, 1000},
                 {"yes", VALUE_STRING, 0},
                 {"y", VALUE_STRING, 0},
                 {"True", VALUE_BOOL, 1},
                 {"tRue", VALUE_STRING, 0},
                 {"~", VALUE_NULL, 0},
                 {"", VALUE_NULL, 0},
                 {"1e3", VALUE_FLOAT, 0},
                 {".5", VALUE_FLOAT, 0},
                 {".inf", VALUE_FLOAT, 0},
                 {"09", VALUE_FLOAT, 0},
                 {"1.2.3.4", VALUE_STRING, 0},
                 {"2024-01-01", VALUE_TIME, 0},
                 {"2024-02-30", VALUE_STRING, 0},
                 {"18446744073709551615", VALUE_UINT, -1},
                 {"2001-12-14t21:59:43.10-05:00", VALUE_TIME, 0},
                 {"-", VALUE_STRING, 0},
                 {"1:30", VALUE_STRING, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t num = 0;
        double real;
        char buf[SCALAR_TEXT_MAX];
        ck_assert_msg(scalar_resolve(cases[i].text, &num, &real, buf) == cases[i].kind, "%s",
                      cases[i].text);
        if (cases[i].kind == VALUE_INT || cases[i].kind == VALUE_BOOL ||
            cases[i].kind == VALUE_UINT)
            ck_assert_int_eq(num, cases[i].num);
    }
}
END_TEST

START_TEST(test_floats_print_as_go)
{
    char buf[SCALAR_TEXT_MAX];
    ck_assert_str_eq(scalar_format_float(1000, FLOAT_YAML, buf), "1000");
    ck_assert_str_eq(scalar_format_float(1e6, FLOAT_YAML, buf), "1e+06");
    ck_assert_str_eq(scalar_format_float(1e6, FLOAT_JSON, buf), "1000000");
    ck_assert_str_eq(scalar_format_float(1e-7, FLOAT_JSON, buf), "1e-7");
    ck_assert_str_eq(scalar_format_float(0.1, FLOAT_YAML, buf), "0.1");
    ck_assert_str_eq(scalar_format_float(-2.5, FLOAT_FULL, buf), "-2.5");
    ck_assert_uint_gt(strlen(scalar_format_float(1.7e308, FLOAT_FULL, buf)), 300);
}
END_TEST

/* ---- options ---- */

static enum rc fill(const char *metadata, struct opts *o)
{
    char text[2048];
    (void)snprintf(
        text, sizeof text,
        "services:\n- name: s\n  addr: :1\n  handler:\n    type: socks5\n    metadata: %s\n",
        metadata);
    enum rc rc = load_yaml(text);
    if (rc == RC_OK)
        rc = options_fill(table, cfg->services[0].handler.metadata, o, &problems);
    return rc;
}

START_TEST(test_options_convert_what_gost_converts)
{
    struct opts o = {0};
    ck_assert_int_eq(
        fill("{TXT: 12, num: '7', wait: 5, size: 64KB, yes: 1, list: 'a, b,,c', lines: 'a, b', "
             "map: {X-Y: 1.5}, nets: [10.0.0.1/8, 'fd00::1/64'], word: TLS, later: false}",
             &o),
        RC_OK);
    ck_assert_str_eq(o.text, "12");
    ck_assert_int_eq(o.num, 7);
    ck_assert_int_eq(o.wait_ms, 5000);
    ck_assert_int_eq(o.bytes, 65536);
    ck_assert_uint_eq(o.list.n, 3);
    ck_assert_str_eq(o.list.v[1], "b");
    ck_assert_uint_eq(o.lines.n, 1);
    ck_assert_str_eq(o.lines.v[0], "a, b");
    ck_assert_str_eq(o.map.keys[0], "X-Y");
    ck_assert_str_eq(o.map.values[0], "1.5");
    ck_assert_uint_eq(o.nets.n, 2);
    ck_assert_int_eq(o.nets.v[0].bits, 8);
    ck_assert_int_eq(o.word, 2);
    ck_assert_uint_eq(problems.n, 0);
    options_done(table, &o);
    ck_assert_ptr_null(o.text);
    ck_assert_ptr_null(o.nets.v);
    options_done(table, &o);
}
END_TEST

START_TEST(test_options_have_defaults_and_the_first_key_wins)
{
    struct opts o = {0};
    ck_assert_int_eq(fill("{old.text: b, txt: a}", &o), RC_OK);
    ck_assert_str_eq(o.text, "a");
    ck_assert_int_eq(o.num, 3);
    ck_assert_int_eq(o.wait_ms, 1500);
    ck_assert_int_eq(o.word, 1);
    options_done(table, &o);
    ck_assert_int_eq(options_fill(table, NULL, &o, &problems), RC_OK);
    ck_assert_str_eq(o.text, "none");
    options_done(table, &o);
}
END_TEST

START_TEST(test_options_refuse_bad_values_with_their_place)
{
    struct opts o = {0};
    static const struct {
        const char *metadata, *text;
    } cases[] = {
        {"{num: many}", "num: expected an integer, got \"many\""},
        {"{num: 11}", "num: expected 1 to 10"},
        {"{wait: 1d}", "wait: expected a duration such as 30s, got \"1d\""},
        {"{wait: -1s}", "wait: expected a duration, not below 0, got \"-1s\""},
        {"{wait: -3}", "wait: expected a duration, not below 0"},
        {"{size: -1}", "size: expected a size, not below 0"},
        {"{wait: true}", "wait: expected a duration such as 30s"},
        {"{yes: on}", "yes: expected true or false, got \"on\""},
        {"{size: 10XB}", "size: expected a size such as 4096 or 64KB, got \"10XB\""},
        {"{nets: 10.9.0.1}",
         "nets: expected addresses with their prefix, such as 192.168.123.1/24, got \"10.9.0.1\""},
        {"{word: sctp}", "word: expected one of udp|tcp|tls, got \"sctp\""},
        {"{list: {a: b}}", "list: expected a text"},
        {"{map: 'Authorization: Bearer secret'}", "map: expected a map"},
        {"{Txet: x}", "unknown key \"Txet\" in handler socks5; did you mean \"text\"?"},
        {"{unsafe: true}", "unsafe is not served yet, and ignoring it would be unsafe"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(fill(cases[i].metadata, &o), RC_INVALID);
        assert_problem(PROBLEM_REFUSE, "gost.yml:6:16", cases[i].text);
    }
    ck_assert_int_eq(fill("{later: true, quiet: x}", &o), RC_OK);
    assert_problem(PROBLEM_WARNING, "gost.yml:6:16", "later is not served yet and is ignored");
    options_done(table, &o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config options");
    TCase *tc = tcase_create("config options");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_durations_read_and_print_as_go);
    tcase_add_test(tc, test_plain_scalars_follow_the_dialect);
    tcase_add_test(tc, test_floats_print_as_go);
    tcase_add_test(tc, test_options_convert_what_gost_converts);
    tcase_add_test(tc, test_options_have_defaults_and_the_first_key_wins);
    tcase_add_test(tc, test_options_refuse_bad_values_with_their_place);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
