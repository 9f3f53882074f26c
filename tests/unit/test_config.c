/* tests/unit/test_config.c - the strict half of the configuration: places and hints, references,
 * inheritance, what is refused. Scalars and options are test_config_options.c, what -O prints is
 * test_config_vectors.c.
 */
#include "configcase.h"
#include "configs/cli.h"

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
