/* tests/unit/test_config.c - the strict half of the configuration: places and hints, conversions of
 * options, references, inheritance, what is refused. What -O prints is test_config_vectors.c.
 */
#include "configs/check.h"
#include "configs/cli.h"
#include "configs/model.h"
#include "configs/scalar.h"
#include "core/addr.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- plug-ins of our own ---- */

struct opts {
    char *text;
    int64_t num, wait_ms, bytes;
    bool yes;
    struct strlist list, lines;
    struct strmap map;
    struct netlist nets;
    int word;
};
#define AT(field) offsetof(struct opts, field)
static const struct option table[] = {
    {.key = "text",
     .aliases = "txt,old.text",
     .type = OPTION_STRING,
     .offset = AT(text),
     .def = "none"},
    {.key = "num", .type = OPTION_INT, .offset = AT(num), .min = 1, .max = 10, .def = "3"},
    {.key = "wait", .type = OPTION_DURATION, .offset = AT(wait_ms), .def = "1500ms"},
    {.key = "size", .type = OPTION_SIZE, .offset = AT(bytes)},
    {.key = "yes", .type = OPTION_BOOL, .offset = AT(yes)},
    {.key = "list", .type = OPTION_LIST, .offset = AT(list)},
    {.key = "lines", .type = OPTION_LINES, .offset = AT(lines)},
    {.key = "map", .type = OPTION_MAP, .offset = AT(map)},
    {.key = "nets", .type = OPTION_NETS, .offset = AT(nets)},
    {.key = "word", .type = OPTION_ENUM, .offset = AT(word), .values = "udp|tcp|tls", .def = "tcp"},
    {.key = "later", .type = OPTION_BOOL, .flags = OPTION_LATER, .offset = AT(yes)},
    {.key = "unsafe", .type = OPTION_BOOL, .flags = OPTION_UNSAFE, .offset = AT(yes)},
    {.key = "quiet", .type = OPTION_STRING, .flags = OPTION_NOOP, .offset = AT(text)},
    OPTION_END};
static const struct option wss_table[] = {
    {.key = "path", .aliases = "ws.path", .type = OPTION_STRING}, OPTION_END};
static const struct option no_table[] = {OPTION_END};
#undef AT

static const struct type_entry handlers[] = {{"auto", NULL, no_table},
                                             {"socks5", "socks", table},
                                             {"tcp", NULL, no_table},
                                             {NULL, NULL, NULL}};
static const struct type_entry listeners[] = {
    {"tcp", NULL, no_table}, {"wss", NULL, wss_table}, {NULL, NULL, NULL}};
static const struct type_entry connectors[] = {{"http", NULL, no_table},
                                               {"relay", NULL, no_table},
                                               {"socks5", NULL, table},
                                               {NULL, NULL, NULL}};
static const struct type_entry dialers[] = {
    {"tcp", NULL, no_table}, {"wss", NULL, wss_table}, {NULL, NULL, NULL}};
static struct type_names names = {handlers, listeners, connectors,   dialers,
                                  NULL,     NULL,      CONFIG_BYPASS};

/* ---- helpers ---- */

static struct problems problems;
static struct config *cfg;
static char dir[] = "/tmp/cgost-test-XXXXXX";

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    (void)setenv("HOME", dir, 1);
}

static void teardown(void)
{
    config_free(cfg);
    problems_done(&problems);
    (void)unlink("gost.yml");
    (void)unlink("users");
    (void)rmdir(dir);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static enum rc load_args(const struct config_args *args)
{
    config_free(cfg);
    cfg = NULL;
    problems_done(&problems);
    return config_load(args, &names, &cfg, &problems);
}

static enum rc load_yaml(const char *text)
{
    write_file("gost.yml", text);
    return load_args(
        &(struct config_args){.sources = (const char *[]){"gost.yml"}, .n_sources = 1});
}

static enum rc load_urls(const char *service, const char *node)
{
    return load_args(&(struct config_args){
        .services = &service, .n_services = 1, .nodes = &node, .n_nodes = node != NULL});
}

static void assert_problem(enum severity severity, const char *place, const char *text)
{
    for (size_t i = 0; i < problems.n; i++) {
        const struct problem *p = &problems.v[i];
        if (p->severity == severity && strcmp(p->place, place) == 0 && strcmp(p->text, text) == 0)
            return;
    }
    for (size_t i = 0; i < problems.n; i++)
        (void)fprintf(stderr, "  %d [%s] [%s]\n", problems.v[i].severity, problems.v[i].place,
                      problems.v[i].text);
    ck_abort_msg("no such problem: [%s] [%s]", place, text);
}

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
        {"{wait: true}", "wait: expected a duration such as 30s"},
        {"{yes: on}", "yes: expected true or false, got \"on\""},
        {"{size: 10XB}", "size: expected a size such as 4096 or 64KB, got \"10XB\""},
        {"{nets: 10.9.0.1}",
         "nets: expected addresses with their prefix, such as 192.168.123.1/24, got \"10.9.0.1\""},
        {"{word: sctp}", "word: expected one of udp|tcp|tls, got \"sctp\""},
        {"{list: {a: b}}", "list: expected a text"},
        {"{map: 'Authorization: Bearer secret'}", "map: expected a map"},
        {"{Txet: x}", "unknown key \"Txet\" in handler socks5; did you mean \"text\"?"},
        {"{unsafe: true}", "unsafe is not supported yet, and ignoring it would be unsafe"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(fill(cases[i].metadata, &o), RC_INVALID);
        assert_problem(PROBLEM_REFUSE, "gost.yml:6:16", cases[i].text);
    }
    ck_assert_int_eq(fill("{later: true, quiet: x}", &o), RC_OK);
    assert_problem(PROBLEM_WARNING, "gost.yml:6:16", "later is not supported yet and is ignored");
    options_done(table, &o);
}
END_TEST

/* ---- places and hints ---- */

START_TEST(test_unknown_key_has_place_and_hint)
{
    static const char text[] = "services:\n- name: s\n  addr: :1\n  intreface: eth0\n";
    ck_assert_int_eq(load_yaml(text), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:4:3",
                   "unknown key \"intreface\" in service; did you mean \"interface\"?");
    struct config_args lenient = {
        .sources = (const char *[]){"gost.yml"}, .n_sources = 1, .lenient = true};
    ck_assert_int_eq(load_args(&lenient), RC_OK);
    assert_problem(PROBLEM_WARNING, "gost.yml:4:3",
                   "unknown key \"intreface\" in service; did you mean \"interface\"?");
}
END_TEST

START_TEST(test_duplicate_keys_are_errors)
{
    ck_assert_int_eq(load_yaml("services:\n- name: s\n  addr: :1\n  name: t\n"), RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:4:3", "key \"name\" is there twice, also in line 2");
    ck_assert_int_eq(load_yaml("services:\n- name: s\n  addr: :1\n  Name: t\n"), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:4:3",
                   "key \"Name\" is there twice, also as \"name\" in line 2");
}
END_TEST

START_TEST(test_yaml_anchors_merge_and_limits)
{
    ck_assert_int_eq(
        load_yaml("x: &h {type: socks5, metadata: {num: 2}}\n"
                  "services:\n- name: s\n  addr: :1\n  handler: {<<: *h, retries: 1}\n"),
        RC_INVALID); /* x is unknown */
    ck_assert_int_eq(load_yaml("services:\n- &a {name: s, addr: ':1', handler: {type: socks5}}\n"
                               "- {<<: *a, name: t}\n"),
                     RC_OK);
    ck_assert_uint_eq(cfg->n_services, 2);
    ck_assert_str_eq(cfg->services[1].name, "t");
    ck_assert_str_eq(cfg->services[1].handler.type, "socks5");
    ck_assert_int_eq(load_yaml("a: &a [*a]\n"), RC_INVALID);
    char bomb[1024] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 9; i++) {
        char line[96];
        (void)snprintf(line, sizeof line, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n",
                       i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
        (void)strcat(bomb, line);
    }
    ck_assert_int_eq(load_yaml(bomb), RC_INVALID);
    char deep[1024];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    ck_assert_int_eq(load_yaml(deep), RC_INVALID);
}
END_TEST

START_TEST(test_url_parameters_belong_to_somebody)
{
    ck_assert_int_eq(load_urls("socks5+wss://:1080?num=2&path=/x&dialTimeout=3s", NULL), RC_OK);
    ck_assert_uint_eq(problems.n, 0);
    ck_assert_int_eq(cfg->services[0].options.dial_timeout_ms, 3000);
    ck_assert_int_eq(load_urls("socks5+wss://u:secret@:1080?paht=/x", NULL), RC_INVALID);
    ck_assert_uint_eq(problems.n, 1);
    assert_problem(PROBLEM_REFUSE, "-L #1 \"socks5+wss://:1080\" parameter \"paht\"",
                   "unknown parameter; did you mean \"path\"?");
    ck_assert_int_eq(load_urls("socks5+wss://:1080?handler.path=/x", NULL), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "-L #1 \"socks5+wss://:1080\" parameter \"handler.path\"",
                   "unknown key \"path\" in handler socks5");
    ck_assert_int_eq(
        load_urls("socks5://:1080", "relay+wss://a:1?path=/x&weight=2&interface=eth0&secure=true"),
        RC_OK);
    ck_assert_uint_eq(problems.n, 0);
    const struct conf_node *n = &cfg->chains[0].hops[0]->nodes[0];
    ck_assert_int_eq(n->weight, 2);
    ck_assert_str_eq(n->interface, "eth0");
    ck_assert_int_eq(load_urls("socks5://:1080", "relay+wss://a:1?node.path=/x"), RC_INVALID);
    ck_assert_int_eq(load_urls("socks5://:1080", "relay+wss://a:1?pin=sha256:00"), RC_OK);
    ck_assert_str_eq(value_text(cfg->chains[0].hops[0]->nodes[0].dialer.tls, "pin"), "sha256:00");
    ck_assert_int_eq(load_urls("socks5://:1080", "relay+wss://a:1?pin=sha256:a+b/c="), RC_OK);
    ck_assert_str_eq(value_text(cfg->chains[0].hops[0]->nodes[0].dialer.tls, "pin"),
                     "sha256:a+b/c=");
}
END_TEST

START_TEST(test_url_types)
{
    ck_assert_int_eq(load_urls("socks5://:1080", "relay+wsss://h:443"), RC_OK);
    assert_problem(PROBLEM_WARNING, "-F #1 \"relay+wsss://h:443\"",
                   "unknown dialer \"wsss\", using tcp; did you mean \"wss\"?");
    ck_assert_int_eq(load_urls("socks5://:1080", "relay+quic://h:443"), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "-F #1 \"relay+quic://h:443\"",
                   "dialer type \"quic\" is not served yet");
    ck_assert_int_eq(load_yaml("services:\n- {name: s, addr: ':1', handler: {type: sock5}}\n"),
                     RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:2:35",
                   "unknown handler type \"sock5\"; did you mean \"socks5\"?");
}
END_TEST

START_TEST(test_messages_have_no_secrets)
{
    static const char *const urls[] = {
        "http://u:secret@:80?a=b", "http://u:secret/x@:80",    "http://u:secret?x@:80",
        "u:secret@:80?a=b",        "http://u:se%zzsecret@:80", "http://:80?auth=secret!",
        "http://u:secret:80",      "http://a:1,u:secret:80",   "u:secret:80",
        "http://u:secret"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        ck_assert_int_eq(load_urls(urls[i], urls[i]), RC_INVALID);
        for (size_t k = 0; k < problems.n; k++)
            ck_assert_msg(!strstr(problems.v[k].place, "secret") &&
                              !strstr(problems.v[k].text, "secret"),
                          "%s", problems.v[k].place);
    }
    ck_assert_int_eq(load_urls("socks5://:1", "socks5://u:secret:80"), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "-F #1 \"socks5://...\"",
                   "node node-0: addr \"...\" is not host:port; with a user and a password it is "
                   "user:password@host:port");
    ck_assert_int_eq(load_urls("socks5://:1", "socks5://fe80::1:80"), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "-F #1 \"socks5://fe80::1:80\"",
                   "node node-0: addr \"fe80::1:80\" is not host:port");
    ck_assert_int_eq(load_yaml("services: {name: s, addr: ':1', handler: {auth: 'u:secret'}}\n"),
                     RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:1:43", "auth: expected a map, got a text");
    ck_assert_int_eq(
        load_yaml("hops:\n- {name: h, nodes: [{name: n, http: {header: 'A: secret'}}]}\n"),
        RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:2:38", "header: expected a map, got a text");
}
END_TEST

START_TEST(test_passwords_that_became_something_else_are_not_shown)
{
    static const char *const yaml[] = {
        "services: [{name: s, addr: ':1', handler: {auth: {password: *secret}}}]\n",
        "services:\n- {name: s, addr: ':1', handler: {auth: {password: !secret }}}\n",
        "services:\n- {name: s, addr: ':1', handler: {auth: {password: &secret }}}\n",
        "services: [{name: s, addr: ':1', handler: {auth: {username: u, password:secret}}}]\n",
        "services: [{name: s, addr: ':1', handler: {metadata: {u:secret}}}]\n",
        "services: ['socks5://u:secret@:1']\n",
        "chains: ['socks5://u:secret:1']\n",
    };
    static const char *const urls[] = {"http://u:pass?secret=5@:80", "http://u:1?secret@:80"};

    for (size_t i = 0; i < sizeof yaml / sizeof *yaml + sizeof urls / sizeof *urls; i++) {
        size_t n = sizeof yaml / sizeof *yaml;
        ck_assert_int_eq(i < n ? load_yaml(yaml[i]) : load_urls(urls[i - n], NULL), RC_INVALID);
        ck_assert_uint_gt(problems.n, 0);
        for (size_t k = 0; k < problems.n; k++)
            ck_assert_msg(!strstr(problems.v[k].place, "secret") &&
                              !strstr(problems.v[k].text, "secret"),
                          "%s: %s", problems.v[k].place, problems.v[k].text);
    }
    ck_assert_int_eq(load_yaml(yaml[0]), RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:1:61",
                   "unknown anchor: a text that begins with * stands in quotes");
    ck_assert_int_eq(load_yaml(yaml[1]), RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:2:52",
                   "unknown tag: a text that begins with ! stands in quotes");
    ck_assert_int_eq(load_yaml(yaml[2]), RC_INVALID);
    assert_problem(PROBLEM_FATAL, "gost.yml:2:52",
                   "an anchor of nothing: a text that begins with & stands in quotes");
    ck_assert_int_eq(load_yaml(yaml[3]), RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:1:64",
                   "unknown key \"password:...\" in auth; a blank goes behind the colon");
}
END_TEST

START_TEST(test_url_mistakes_are_errors)
{
    static const char *const bad[] = {"socks5://:http",
                                      "socks5://:99999",
                                      "socks5://:2000-",
                                      "socks5://:3-2",
                                      "://:80",
                                      "socks5://:1?so_mark=0x64",
                                      "socks5://:1?retries=many",
                                      "socks5://:1?ca=x",
                                      "tcp://:1/a:1/b:2",
                                      "tcp://:1/a:1,,b:2",
                                      "socks5://:1?climiter=5",
                                      "socks5://:1?admission=10.0.0.1",
                                      "socks5://u@p@:1%zz",
                                      "ht_tp://:80",
                                      "socks5://:1-65000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(load_urls(bad[i], NULL) == RC_INVALID, "%s", bad[i]);
    static const char *const bad_nodes[] = {
        "socks5://",          "socks5://a:http",           "socks5://a b:1",
        "socks5://proxy",     "socks5://a:1?secure=maybe", "",
        "socks5://a:1?auth=*"};
    for (size_t i = 0; i < sizeof bad_nodes / sizeof *bad_nodes; i++)
        ck_assert_msg(load_urls("socks5://:1", bad_nodes[i]) == RC_INVALID, "%s", bad_nodes[i]);
    ck_assert_int_eq(load_urls("socks5://:1", "socks5://[::1]:1,[::2]:2"), RC_OK);
    ck_assert_str_eq(cfg->chains[0].hops[0]->nodes[1].addr, "[::2]:2");
    ck_assert_str_eq(value_text(cfg->chains[0].hops[0]->nodes[1].dialer.tls, "serverName"), "");
}
END_TEST

/* ---- references ---- */

START_TEST(test_missing_auther_refuses_others_are_told)
{
    ck_assert_int_eq(load_yaml("services:\n- name: s\n  addr: :1\n  bypass: nob\n  resolver: nor\n"
                               "  handler: {type: socks5, chain: noc}\n"),
                     RC_OK);
    assert_problem(PROBLEM_ERROR, "gost.yml:4:3",
                   "bypass \"nob\" does not exist: nothing is bypassed");
    assert_problem(PROBLEM_ERROR, "gost.yml:5:3", "resolver \"nor\" does not exist and is ignored");
    assert_problem(PROBLEM_ERROR, "gost.yml:6:27",
                   "chain \"noc\" does not exist: connections go out directly");
    ck_assert_ptr_null(cfg->services[0].chain);
    ck_assert_int_eq(
        load_yaml("services:\n- {name: s, addr: ':1', handler: {type: socks5, auther: noau}}\n"),
        RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:2:49",
                   "auther \"noau\" does not exist: everybody would be let in");
}
END_TEST

START_TEST(test_users_come_from_lists_and_files)
{
    write_file("users", "# comment\nu1 p1\n\nu2\tp2 rest\nu3\n");
    ck_assert_int_eq(
        load_yaml(
            "authers:\n- name: a\n  auths: [{username: u, password: p}]\n  file: {path: users}\n"
            "services:\n- {name: s, addr: ':1', handler: {type: socks5, auther: a}}\n"),
        RC_OK);
    const struct conf_auther *a = cfg->services[0].authers[0];
    ck_assert_uint_eq(a->n, 4);
    ck_assert_str_eq(a->users[2].user, "u2");
    ck_assert_str_eq(a->users[2].password, "p2");
    ck_assert_str_eq(a->users[3].password, "");
    ck_assert_int_eq(
        load_yaml("authers:\n- {name: a, file: {path: none}}\nservices: {name: s, addr: ':1'}\n"),
        RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:2:13",
                   "cannot read \"none\": No such file or directory");
}
END_TEST

START_TEST(test_nodes_inherit_from_their_hop)
{
    ck_assert_int_eq(
        load_yaml(
            "services:\n- {name: s, addr: ':1', handler: {chain: c}, interface: lo, sockopts: "
            "{mark: 5}}\n"
            "chains:\n- name: c\n  hops:\n  - name: h\n    interface: old\n"
            "    metadata: {interface: eth0, so_mark: 7}\n    nodes:\n"
            "    - {name: n0, addr: 'a:1'}\n"
            "    - {name: n1, addr: 'a:1', interface: eth1, metadata: {so_mark: 8, weight: 2}}\n"
            "  - name: top\n  - name: gone\nhops:\n- {name: top, nodes: [{name: x, addr: "
            "'b:2'}]}\n"),
        RC_OK);
    ck_assert_uint_eq(cfg->chains[0].n, 2); /* ends before the missing hop */
    ck_assert_str_eq(cfg->chains[0].hops[1]->nodes[0].addr, "b:2");
    const struct conf_node *n = cfg->chains[0].hops[0]->nodes;
    ck_assert_str_eq(n[0].interface, "eth0");
    ck_assert_uint_eq(n[0].mark, 7);
    ck_assert_str_eq(n[1].interface, "eth1");
    ck_assert_uint_eq(n[1].mark, 8);
    ck_assert_str_eq(cfg->services[0].interface, "lo");
    ck_assert_uint_eq(cfg->services[0].mark, 5);
}
END_TEST

/* What GOST keeps in 64 bits and we in fewer: never another number in silence. */
START_TEST(test_numbers_that_do_not_fit)
{
    static const char *const marks[] = {"-1", "4294967296"};
    for (size_t i = 0; i < 2; i++) {
        char text[400];
        (void)snprintf(text, sizeof text,
                       "services:\n- name: s\n  addr: :1\n  sockopts: {mark: %s}\n"
                       "  handler: {type: socks5, chain: c}\nchains:\n- name: c\n  hops:\n"
                       "  - name: h\n    sockopts: {mark: %s}\n    nodes:\n"
                       "    - {name: n, addr: 'a:1', sockopts: {mark: %s}}\n",
                       marks[i], marks[i], marks[i]);
        ck_assert_int_eq(load_yaml(text), RC_INVALID);
        assert_problem(PROBLEM_REFUSE, "gost.yml:4:14", "mark: expected 0 to 4294967295");
        assert_problem(PROBLEM_REFUSE, "gost.yml:10:16", "mark: expected 0 to 4294967295");
        assert_problem(PROBLEM_REFUSE, "gost.yml:12:41", "mark: expected 0 to 4294967295");
    }
    ck_assert_int_eq(load_yaml("services:\n- name: s\n  addr: :1\n"
                               "  handler: {type: socks5, retries: 4294967296}\n"
                               "  sockopts: {mark: 4294967295}\n"),
                     RC_OK);
    ck_assert_uint_eq(cfg->services[0].mark, UINT32_MAX);
    ck_assert_int_eq(cfg->services[0].retries, INT32_MAX);
    ck_assert_int_eq(load_yaml("services: [{name: s, addr: ':1', handler: {type: socks5}}]\n"
                               "hops:\n- name: h\n  nodes:\n"
                               "  - {name: n, addr: 'a:1', metadata: {weight: 4294967296}}\n"),
                     RC_OK);
    ck_assert_int_eq(cfg->hops[0].nodes[0].weight, INT32_MAX);
}
END_TEST

START_TEST(test_names_are_unique_and_generated_ones_step_aside)
{
    ck_assert_int_eq(load_yaml("services:\n- {name: s, addr: ':1'}\n- {name: s, addr: ':2'}\n"),
                     RC_INVALID);
    assert_problem(PROBLEM_REFUSE, "gost.yml:3:3", "services: the name \"s\" is there twice");
    write_file("gost.yml", "services:\n- {name: service-0, addr: ':1'}\n");
    struct config_args both = {.sources = (const char *[]){"gost.yml"},
                               .n_sources = 1,
                               .services = (const char *[]){"socks5://:2"},
                               .n_services = 1};
    ck_assert_int_eq(load_args(&both), RC_OK);
    ck_assert_str_eq(cfg->services[1].name, "service-1");
}
END_TEST

START_TEST(test_what_is_not_served_refuses_or_warns)
{
    static const char matcher[] =
        "hops: [{name: h, nodes: [{name: n, addr: 'a:1', matcher: {rule: x}}]}]\n"
        "services: {name: s, addr: ':1'}\n";
    static const char *const refused[] = {
        "api: {addr: ':1'}\n",
        "metrics: {addr: ':1'}\n",
        "services: [null]\n",
        "services: []\n",
        "services: {name: s, addr: ':1', limiter: l}\n",
        "services: {name: s, addr: ':1', handler: {chainGroup: {chains: [a]}}}\n",
        "services: {name: s, addr: ':1', handler: {auth: {file: users}}}\n",
        matcher};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        ck_assert_msg(load_yaml(refused[i]) == RC_INVALID, "%s", refused[i]);
    ck_assert_int_eq(
        load_yaml(
            "services: {name: s, addr: ':1', logger: x}\nchains: [{name: c, selector: {}}]\n"),
        RC_OK);
    ck_assert_uint_eq(problems.worst, PROBLEM_WARNING);
    names.features = 0;
    ck_assert_int_eq(load_urls("socks5://:1?bypass=a.com", NULL), RC_INVALID);
    names.features = CONFIG_BYPASS;
    ck_assert_int_eq(load_urls("socks5://:1?bypass=~a.com,b.com", NULL), RC_OK);
    ck_assert(cfg->bypasses[0].whitelist);
    ck_assert_uint_eq(cfg->bypasses[0].n, 2);
}
END_TEST

START_TEST(test_rules_that_are_empty_are_told)
{
    names.features = CONFIG_BYPASS | CONFIG_ADMISSION;
    ck_assert_int_eq(load_urls("socks5://:1?bypass=~", NULL), RC_OK);
    ck_assert(cfg->bypasses[0].whitelist && cfg->bypasses[0].n == 0);
    assert_problem(PROBLEM_WARNING, "-L #1 \"socks5://:1\" parameter \"bypass\"",
                   "bypass bypass-0, a whitelist, has no matchers: nothing is bypassed");
    ck_assert_int_eq(load_urls("socks5://:1?admission=~", NULL), RC_OK);
    assert_problem(PROBLEM_WARNING, "-L #1 \"socks5://:1\" parameter \"admission\"",
                   "admission admission-0, a whitelist, has no matchers: nobody is let in");
    ck_assert_int_eq(load_yaml("services: {name: s, addr: ':1'}\n"
                               "bypasses: [{name: b, network: udp}, {name: f, file: {path: x}}]\n"),
                     RC_OK);
    ck_assert_uint_eq(problems.n, 1);
    assert_problem(PROBLEM_WARNING, "gost.yml:2:12",
                   "bypass b has no matchers: all of its network is bypassed");
}
END_TEST

/* ---- command line ---- */

static int parse(struct cli *c, const char *a, const char *b, const char *d)
{
    char *argv[] = {strdup("cgost"), a ? strdup(a) : NULL, b ? strdup(b) : NULL,
                    d ? strdup(d) : NULL, NULL};
    int argc = 1 + (a != NULL) + (b != NULL) + (d != NULL), code = cli_parse(c, argc, argv);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return code;
}

START_TEST(test_flags_follow_go)
{
    struct cli c;
    ck_assert_int_eq(parse(&c, "--D=true", "-t", "--lenient"), -1);
    ck_assert(c.args.debug && c.args.lenient && c.action == CLI_TEST);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-D=maybe", NULL, NULL), 2);
    ck_assert_str_eq(c.error, "invalid boolean value \"maybe\" for -D: parse error");
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-V", "-x", NULL), 2);
    ck_assert_str_eq(c.error, "flag provided but not defined: -x");
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-Lhttp://u:secret@:80", NULL, NULL), 2);
    ck_assert_str_eq(c.error, "flag provided but not defined: -L...; a blank goes behind a flag");
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-L", NULL, NULL), 2);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-h", NULL, NULL), 0);
    ck_assert_int_eq(c.action, CLI_USAGE);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-V", NULL, NULL), 0);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-api", ":1", NULL), 2);
    ck_assert(!c.usage);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-R", "30", NULL), 2);
    ck_assert(c.usage);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-L", "--", "-L"), 2);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "-O", "json", "word"), -1);
    ck_assert(c.action == CLI_PRINT && c.json && c.ignored);
    cli_done(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_durations_read_and_print_as_go);
    tcase_add_test(tc, test_plain_scalars_follow_the_dialect);
    tcase_add_test(tc, test_floats_print_as_go);
    tcase_add_test(tc, test_options_convert_what_gost_converts);
    tcase_add_test(tc, test_options_have_defaults_and_the_first_key_wins);
    tcase_add_test(tc, test_options_refuse_bad_values_with_their_place);
    tcase_add_test(tc, test_unknown_key_has_place_and_hint);
    tcase_add_test(tc, test_duplicate_keys_are_errors);
    tcase_add_test(tc, test_yaml_anchors_merge_and_limits);
    tcase_add_test(tc, test_url_parameters_belong_to_somebody);
    tcase_add_test(tc, test_url_types);
    tcase_add_test(tc, test_rules_that_are_empty_are_told);
    tcase_add_test(tc, test_messages_have_no_secrets);
    tcase_add_test(tc, test_passwords_that_became_something_else_are_not_shown);
    tcase_add_test(tc, test_url_mistakes_are_errors);
    tcase_add_test(tc, test_missing_auther_refuses_others_are_told);
    tcase_add_test(tc, test_users_come_from_lists_and_files);
    tcase_add_test(tc, test_nodes_inherit_from_their_hop);
    tcase_add_test(tc, test_numbers_that_do_not_fit);
    tcase_add_test(tc, test_names_are_unique_and_generated_ones_step_aside);
    tcase_add_test(tc, test_what_is_not_served_refuses_or_warns);
    tcase_add_test(tc, test_flags_follow_go);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
