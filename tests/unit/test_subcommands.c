/* What explain and doctor are made of, one by one: their flags, the story, a handler's plan, a
 * device's plan, the kernel's route.
 */
#include "app/registry.h"
#include "app/story.h"
#include "app/way.h"
#include "chain/explain.h"
#include "configs/check.h"
#include "configs/cli.h"
#include "core/host/netlink.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- flags */

static struct own {
    const char *sni;
    bool json;
} own;

static const struct cli_flag own_flags[] = {
    {"sni", NULL, &own.sni, "name", "a name in the first bytes"},
    {"json", &own.json, NULL, NULL, "as JSON"},
    {.name = NULL},
};
static const struct cli_command own_command = {
    .name = "explain", .words = "tcp|udp host:port", .help = "say it", .flags = own_flags};

static int parse(struct cli *c, const char *line)
{
    static char words[512];
    static char *argv[16];
    int argc = 0;
    own = (struct own){.sni = NULL};
    snprintf(words, sizeof words, "%s", line);
    for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
        argv[argc++] = w;
    return cli_parse_command(c, argc, argv, &own_command);
}

START_TEST(test_flags_and_words_come_in_any_order)
{
    struct cli c;
    ck_assert_int_eq(parse(&c, "explain tcp -L :1 --sni a.b h:1 --json -F x://y:1"), -1);
    ck_assert_uint_eq(c.n_operands, 2);
    ck_assert_str_eq(c.operands[0], "tcp");
    ck_assert_str_eq(c.operands[1], "h:1");
    ck_assert_str_eq(own.sni, "a.b");
    ck_assert(own.json && c.args.n_services == 1 && c.args.n_nodes == 1 && !c.ignored);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "explain -sni=x --json=false udp"), -1);
    ck_assert_str_eq(own.sni, "x");
    ck_assert(!own.json);
    cli_done(&c);
}
END_TEST

START_TEST(test_flags_that_are_wrong)
{
    struct cli c;
    ck_assert_int_eq(parse(&c, "explain --sni"), 2);
    ck_assert_str_eq(c.error, "flag needs an argument: -sni");
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "explain --json=maybe"), 2);
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "explain --snip x"), 2);
    ck_assert_str_eq(c.error, "flag provided but not defined: -snip");
    cli_done(&c);
    ck_assert_int_eq(parse(&c, "explain -t tcp h:1"), -1);
    ck_assert_int_eq(c.action, CLI_TEST); /* which the command refuses */
    cli_done(&c);
}
END_TEST

static const char *told(const struct cli_command *command)
{
    static char text[4096];
    const struct cli_command *const all[] = {&own_command, NULL};
    FILE *out = fmemopen(text, sizeof text, "w");
    ck_assert_ptr_nonnull(out);
    if (command)
        cli_usage_command(out, "cgost", command);
    else
        cli_usage(out, "cgost", all);
    fclose(out);
    return text;
}

START_TEST(test_a_command_tells_its_own_flags_and_those_of_the_configuration)
{
    ck_assert_ptr_nonnull(strstr(told(NULL), "\n  explain tcp|udp host:port [--sni name] [--json]\n"
                                             "    \tsay it\n"));
    ck_assert_ptr_nonnull(strstr(told(NULL), "\n  -D\tdebug log\n  -DD\n    \ttrace log\n"));
    ck_assert_ptr_nonnull(strstr(told(NULL), "\n  -F url\n    \tnext hop"));
    const char *text = told(&own_command);
    ck_assert_ptr_eq(
        strstr(text, "Usage: cgost explain tcp|udp host:port [--sni name] [--json] [flags]\n"),
        text);
    ck_assert_ptr_nonnull(strstr(text, "\n  -sni name\n    \ta name in the first bytes\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  -json\n    \tas JSON\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n  -F url\n    \tnext hop"));
    ck_assert_ptr_null(strstr(text, "  -t\t"));
    ck_assert_ptr_null(strstr(text, "-metrics"));
}
END_TEST

/* ---------------------------------------------------------------- the story */

START_TEST(test_a_story_is_one_record_for_both_forms)
{
    struct story s;
    story_init(&s);
    json_t *step = story_step(&s, 1, "hop", "h", "used", "%d of %d", 1, 2);
    story_detail(&s, step, "udp", "none");
    (void)story_step(&s, 0, "result", "", "", "%s", "");
    story_step(&s, 0, "name", "\xff\xfe", "", "%s", "\xc3\x28");
    story_fact(&s, "device", NULL);
    ck_assert(!s.nomem);
    char *text = json_dumps(s.root, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text,
                     "{\"device\":null,\"steps\":[{\"depth\":1,\"name\":\"h\",\"step\":\"hop\","
                     "\"text\":\"1 of 2\",\"udp\":\"none\",\"verdict\":\"used\"},{\"depth\":0,"
                     "\"step\":\"result\"},{\"depth\":0,\"name\":\"(not UTF-8)\",\"step\":"
                     "\"name\",\"text\":\"(not UTF-8)\"}]}");
    free(text);
    story_done(&s);
}
END_TEST

START_TEST(test_udp_words)
{
    ck_assert_str_eq(udp_words(0), "none");
    ck_assert_str_eq(udp_words(CONNECTOR_DIRECT), "none");
    ck_assert_str_eq(udp_words(CONNECTOR_UDP_FIXED), "a flow per destination");
    ck_assert_str_eq(udp_words(CONNECTOR_UDP_ANY), "an association for any destination");
}
END_TEST

/* ---------------------------------------------------------------- plans */

/* An option struct from "key=value&key=value". */
static void *options(const struct option *table, size_t bytes, const char *text)
{
    struct problems none = {.n = 0};
    struct tree *t = tree_new();
    const struct place at = {.source = "test"};
    struct value *map = value_new(t, VALUE_MAP, &at);
    void *cfg = calloc(1, bytes);
    char words[256];
    snprintf(words, sizeof words, "%s", text);
    for (char *w = strtok(words, "&"); w; w = strtok(NULL, "&")) {
        char *eq = strchr(w, '=');
        value_put(map, tree_text(t, w, (size_t)(eq - w)),
                  value_string(t, tree_text(t, eq + 1, strlen(eq + 1)), &at));
    }
    ck_assert_int_eq(options_fill(table, map, cfg, &none), RC_OK);
    ck_assert_uint_eq(none.n, 0);
    tree_free(t);
    return cfg;
}

static struct handler_plan plan_of(const char *handler, const char *keys, const char *network,
                                   const char *target, const char *name)
{
    const struct handler_type *h = registry_handler(handler);
    struct target t;
    ck_assert(target_parse(target, &t));
    struct handler_question q = {network, &t, name};
    struct handler_plan p = {.rule = t, .dial = t, .seen = t};
    void *cfg = options(h->options, h->cfg_bytes, keys);
    h->explain(cfg, &q, &p);
    options_done(h->options, cfg);
    free(cfg);
    return p;
}

static void is(const struct target *t, const char *text)
{
    char buf[TARGET_TEXT_MAX];
    ck_assert_str_eq(target_format(t, buf, sizeof buf), text);
}

START_TEST(test_what_the_tungo_handler_makes_of_a_name)
{
    struct handler_plan p = plan_of("tungo", "sniffing=true", "tcp", "192.0.2.9:8443", "a.example");
    is(&p.rule, "a.example:443");
    is(&p.dial, "a.example:8443");
    is(&p.seen, "a.example:8443");
    p = plan_of("tungo", "sniffing=true&sniffing.override=false", "tcp", "192.0.2.9:8443",
                "a.example");
    is(&p.dial, "192.0.2.9:8443");
    is(&p.seen, "a.example:8443");
    p = plan_of("tungo", "sniffing=true", "tcp", "192.0.2.9:443", NULL);
    is(&p.rule, "192.0.2.9:443");
    p = plan_of("tungo", "sniffing=true", "udp", "192.0.2.9:443", "a.example");
    is(&p.seen, "192.0.2.9:443");
    ck_assert(strstr(p.note, "sniffing.udp is off") != NULL);
    p = plan_of("tungo", "sniffing.udp=true", "udp", "192.0.2.9:443", "a.example");
    is(&p.seen, "a.example:443");
    is(&p.dial, "192.0.2.9:443");
    p = plan_of("tungo", "", "tcp", "a.example:443", NULL);
    ck_assert_int_eq(p.rc, RC_INVALID);
}
END_TEST

START_TEST(test_what_the_tungo_handler_makes_of_dns)
{
    struct handler_plan p =
        plan_of("tungo", "dns.fake=198.18.0.0/15", "tcp", "198.18.3.4:443", "a.example");
    is(&p.dial, "a.example:443");
    p = plan_of("tungo", "dns.fake=198.18.0.0/15", "tcp", "198.18.3.4:443", NULL);
    ck_assert_int_eq(p.rc, RC_INVALID);
    p = plan_of("tungo", "dns.hijack=true", "udp", "192.0.2.53:53", NULL);
    ck_assert(p.answered);
    p = plan_of("tungo", "", "udp", "192.0.2.53:53", NULL);
    ck_assert(!p.answered && p.rc == RC_OK);
    p = plan_of("dns", "", "udp", "192.0.2.53:53", NULL);
    ck_assert(p.answered);
}
END_TEST

START_TEST(test_proxies_say_whether_they_serve_udp)
{
    ck_assert_int_eq(plan_of("socks5", "", "udp", "192.0.2.9:1", NULL).rc, RC_UNSUPPORTED);
    ck_assert_int_eq(plan_of("socks5", "udp=true", "udp", "192.0.2.9:1", NULL).rc, RC_OK);
    ck_assert_int_eq(plan_of("socks4", "", "udp", "192.0.2.9:1", NULL).rc, RC_UNSUPPORTED);
    ck_assert_int_eq(plan_of("http", "", "tcp", "192.0.2.9:1", NULL).rc, RC_OK);
}
END_TEST

START_TEST(test_a_device_tells_what_it_will_be)
{
    const struct listener_type *l = registry_listener("tungo");
    void *cfg = options(l->options, l->cfg_bytes,
                        "name=dev&net=192.0.2.1/24,2001:db8:1::1/64&mtu=1300&route=198.51.100.0/24&"
                        "dns=192.0.2.53");
    struct listener_plan p;
    struct diag diag = {.rc = RC_OK};
    struct addr to;
    ck_assert_int_eq(l->plan(cfg, &p, &diag), RC_OK);
    ck_assert_str_eq(p.device, "dev");
    ck_assert_uint_eq(p.mtu, 1300);
    ck_assert_uint_eq(p.n_addresses, 2);
    ck_assert_uint_eq(p.n_routes, 1);
    ck_assert_uint_eq(p.routes[0].bits, 24);
    ck_assert(p.dns);
    free(p.routes);
    static const struct {
        const char *to, *why;
    } drops[] = {{"192.0.2.7", "own-subnet"},      {"224.0.0.1", "multicast"},
                 {"255.255.255.255", "multicast"}, {"2001:db8:1::9", "own-subnet"},
                 {"fe80::1", "link-local"},        {"127.0.0.1", "martian"},
                 {"198.51.100.1", NULL},           {"2001:db8::9", NULL}};
    for (size_t i = 0; i < sizeof drops / sizeof *drops; i++) {
        ck_assert(addr_parse_ip(drops[i].to, strlen(drops[i].to), &to));
        const char *why = l->drops(cfg, &to);
        ck_assert_msg(why == drops[i].why || (why && drops[i].why && !strcmp(why, drops[i].why)),
                      "%s: %s", drops[i].to, why ? why : "passes");
    }
    options_done(l->options, cfg);
    free(cfg);
}
END_TEST

/* ---------------------------------------------------------------- the kernel's way */

START_TEST(test_the_way_to_this_machine_is_its_loopback)
{
    struct netlink nl;
    struct diag diag = {.rc = RC_OK};
    struct sockopts so = {.interface = NULL};
    struct addr to;
    struct way w;
    char text[128];
    ck_assert_int_eq(netlink_open(&nl, NULL, &diag), RC_OK);
    ck_assert(addr_parse_ip("127.0.0.9", 9, &to));
    ck_assert_int_eq(way_find(&nl, &so, &to, &w, &diag), RC_OK);
    ck_assert_str_eq(way_format(&w, text, sizeof text), "lo, on the link");
    ck_assert_int_eq(w.choices, 0);
    ck_assert(!w.tun && w.bits >= 8);
    so.interface = "lo";
    ck_assert_int_eq(way_find(&nl, &so, &to, &w, &diag), RC_OK);
    ck_assert_int_ge(w.choices, 1);
    ck_assert_str_eq(w.bound, "lo");
    so.interface = "no-such-device";
    ck_assert_int_ne(way_find(&nl, &so, &to, &w, &diag), RC_OK);
    ck_assert(strstr(diag.text, "no-such-device") != NULL);
    netlink_done(&nl);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("subcommands");
    TCase *tc = tcase_create("parts");
    (void)registry_names();
    tcase_add_test(tc, test_flags_and_words_come_in_any_order);
    tcase_add_test(tc, test_flags_that_are_wrong);
    tcase_add_test(tc, test_a_command_tells_its_own_flags_and_those_of_the_configuration);
    tcase_add_test(tc, test_a_story_is_one_record_for_both_forms);
    tcase_add_test(tc, test_udp_words);
    tcase_add_test(tc, test_what_the_tungo_handler_makes_of_a_name);
    tcase_add_test(tc, test_what_the_tungo_handler_makes_of_dns);
    tcase_add_test(tc, test_proxies_say_whether_they_serve_udp);
    tcase_add_test(tc, test_a_device_tells_what_it_will_be);
    tcase_add_test(tc, test_the_way_to_this_machine_is_its_loopback);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
