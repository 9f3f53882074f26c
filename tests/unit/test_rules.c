/* Rules from a configuration: what is said of a decision and where its rule stands, what can't be
 * meant, files that can't be read, references that lead nowhere.
 */
#include "app/names.h"
#include "app/registry.h"
#include "app/rules.h"
#include "configs/load.h"
#include "configs/model.h"
#include "core/addr.h"
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct config *cfg;
static struct problems problems;
static struct rules rules;
static struct diag diag;
static char path[64], list[64];

static void put(const char *where, const char *text)
{
    FILE *f = fopen(where, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    ck_assert_int_eq(fclose(f), 0);
}

/* One service that names what `service` says, and the sections. */
static enum rc load(const char *service, const char *sections)
{
    char text[2048];
    const char *const sources[] = {path};
    struct config_args args = {.sources = sources, .n_sources = 1};
    snprintf(text, sizeof text, "services: [{name: s, addr: ':1', %s}]\n%s", service, sections);
    put(path, text);
    return config_load(&args, registry_names(), &cfg, &problems);
}

static void unload(void)
{
    rules_done(&rules);
    config_free(cfg);
    cfg = NULL;
    problems_done(&problems);
    memset(&problems, 0, sizeof problems);
    memset(&diag, 0, sizeof diag);
}

static struct target target_of(const char *text)
{
    struct target t;
    ck_assert(target_parse(text, &t));
    return t;
}

/* Is it so, and in these words? "@" stands for the configuration's path. */
static void says(const struct rules_at *at, const char *network, const char *target, bool yes,
                 const char *words)
{
    char text[512], want[512];
    const char *mark = strchr(words, '@');
    struct target t = target_of(target);
    snprintf(want, sizeof want, "%.*s%s%s", mark ? (int)(mark - words) : (int)strlen(words), words,
             mark ? path : "", mark ? mark + 1 : "");
    ck_assert_int_eq(rules_explain_bypassed(at, network, &t, text, sizeof text), yes);
    ck_assert_str_eq(text, want);
    if (at)
        ck_assert_int_eq(rules_bypassed((struct rules_at *)(uintptr_t)at, network, &t), yes);
}

START_TEST(test_words_and_places)
{
    struct rules_at *at;
    ck_assert_int_eq(load("bypasses: [w, b]", "bypasses:\n"
                                              "- name: w\n"
                                              "  whitelist: true\n"
                                              "  matchers: [.test]\n"
                                              "- {name: b, network: udp,\n"
                                              "   matchers: [a.test, 'x.test:53']}\n"
                                              "- {name: all, network: udp}\n"),
                     RC_OK);
    ck_assert(rules_check(cfg, true, &problems));
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK);
    const struct conf_names *names = &cfg->services[0].bypasses;
    ck_assert_int_eq(rules_bypasses_at(&rules, "service", "s", names, &at), RC_OK);
    says(at, "tcp", "a.test:1", false, "bypass w, \".test\" (@:5:14): a whitelist spares it");
    says(at, "udp", "a.test:1", true, "bypass b, \"a.test\" (@:7:15)");
    says(at, "udp", "x.test:53", true, "bypass b, \"x.test:53\" (@:7:23)");
    says(at, "udp", "x.test:54", false, "bypass w, \".test\" (@:5:14): a whitelist spares it");
    says(at, "tcp", "a.other:1", true, "bypass w, not in its whitelist (@:3:3)");
    says(NULL, "tcp", "a.test:1", false, "no rule matches");
    const char *all[] = {"all"};
    ck_assert_int_eq(
        rules_bypasses_at(&rules, "hop", "h", &(struct conf_names){.v = all, .n = 1}, &at), RC_OK);
    says(at, "udp", "a.test:1", true, "bypass all, all of its network (@:8:3)");
    says(at, "tcp", "a.test:1", false, "no rule matches");
    unload();
}
END_TEST

START_TEST(test_lines_of_a_file)
{
    char sections[256], words[256];
    struct rules_at *at;
    put(list, "# none\na.test\n10.0.0.0/8\n");
    snprintf(sections, sizeof sections, "bypasses: [{name: f, file: {path: %s}}]\n", list);
    ck_assert_int_eq(load("bypass: f", sections), RC_OK);
    ck_assert(rules_check(cfg, true, &problems));
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK);
    ck_assert_int_eq(rules_bypasses_at(&rules, "service", "s", &cfg->services[0].bypasses, &at),
                     RC_OK);
    snprintf(words, sizeof words, "bypass f, %s:2", list);
    says(at, "tcp", "a.test:1", true, words);
    snprintf(words, sizeof words, "bypass f, %s:3", list);
    says(at, "tcp", "10.9.8.7:1", true, words);
    unload();
}
END_TEST

static bool admits(const struct rules_at *at, const char *client, const char *words)
{
    char text[512];
    struct addr a;
    ck_assert(addr_parse(client, &a));
    bool yes = rules_explain_admitted(at, &a, text, sizeof text);
    ck_assert_msg(strstr(text, words) != NULL, "%s", text);
    if (at)
        ck_assert_int_eq(rules_admitted((struct rules_at *)(uintptr_t)at, &a), yes);
    return yes;
}

START_TEST(test_admissions)
{
    struct rules_at *at;
    ck_assert_int_eq(load("admissions: [in, out]",
                          "admissions:\n"
                          "- {name: in, whitelist: true, matchers: [10.0.0.0/8, '::1']}\n"
                          "- {name: out, matchers: ['10.0.0.1-10.0.0.9', '::ffff:10.0.1.1']}\n"),
                     RC_OK);
    ck_assert(rules_check(cfg, true, &problems));
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK);
    ck_assert_int_eq(rules_admissions_at(&rules, "service", "s", &cfg->services[0].admissions, &at),
                     RC_OK);
    ck_assert(admits(at, "10.0.0.10:5", "no rule is against it"));
    ck_assert(admits(at, "[::1]:5", "no rule is against it"));
    ck_assert(!admits(at, "11.0.0.1:5", "admission in, not in its list ("));
    ck_assert(!admits(at, "10.0.0.9:5", "admission out, \"10.0.0.1-10.0.0.9\" ("));
    ck_assert(!admits(at, "10.0.1.1:5", "admission out, \"::ffff:10.0.1.1\" ("));
    ck_assert(admits(NULL, "11.0.0.1:5", "no rule is against it"));
    unload();

    ck_assert_int_eq(load("admission: nobody", ""), RC_OK);
    ck_assert_int_eq(problems.worst, PROBLEM_ERROR);
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK);
    ck_assert_int_eq(rules_admissions_at(&rules, "service", "s", &cfg->services[0].admissions, &at),
                     RC_OK);
    ck_assert(!admits(at, "10.0.0.1:5", "admission nobody does not exist"));
    unload();
}
END_TEST

/* What rules_check() says about the only set of a kind. */
static void check(const char *section, const char *set, enum severity severity, const char *words)
{
    char sections[512];
    snprintf(sections, sizeof sections, "%s: [{name: x, %s}]\n", section, set);
    ck_assert_msg(load("handler: {type: socks5}", sections) == RC_OK, "%s", set);
    ck_assert_uint_eq(problems.n, 0);
    ck_assert_msg(!rules_check(cfg, true, &problems), "%s", set);
    ck_assert_uint_eq(problems.n, 1);
    ck_assert_int_eq(problems.v[0].severity, severity);
    ck_assert_msg(strncmp(problems.v[0].place, path, strlen(path)) == 0, "%s", problems.v[0].place);
    ck_assert_msg(strstr(problems.v[0].text, words) != NULL, "%s", problems.v[0].text);
    unload();
}

START_TEST(test_what_cant_be_meant)
{
    static const char *const odd[] = {"10.0.0.0/33",
                                      "10.1",
                                      "http://a/",
                                      "a b",
                                      "10.1.1.9-10.1.1.1",
                                      "a:0",
                                      "a:http",
                                      "~a",
                                      "::ffff:10.1.2.3",
                                      "[::1]",
                                      "a*[",
                                      "",
                                      "10.0.0.1-10.0.0.9:80",
                                      "a..b",
                                      "<p>",
                                      "m\xc3\xbc.test",
                                      "a=b"};
    char set[128];
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        snprintf(set, sizeof set, "matchers: [good.test, '%s']", odd[i]);
        check("bypasses", set, PROBLEM_ERROR, odd[i]);
    }
    check("bypasses", "matchers: ['{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}*']",
          PROBLEM_REFUSE, "too many alternatives");
    check("bypasses", "network: tcp4, matchers: [a]", PROBLEM_ERROR, "neither tcp nor udp");
    check("admissions", "matchers: [localhost]", PROBLEM_REFUSE, "no address or network");
    check("admissions", "matchers: ['10.0.0.1:80']", PROBLEM_REFUSE, "no address or network");
    check("admissions", "matchers: [10.0.0.9-10.0.0.1]", PROBLEM_ERROR, "the range falls");
    check("bypasses", "file: {path: /nowhere/at/all}", PROBLEM_REFUSE, "/nowhere/at/all");
    check("admissions", "reload: 5s, file: {path: /nowhere/at/all}", PROBLEM_ERROR, "No such file");
}
END_TEST

/* A file is read when a configuration is looked at: what is odd in it is told, no list is one. */
START_TEST(test_what_is_odd_in_a_file)
{
    static const struct {
        const char *lines, *section, *set, *words;
    } cases[] = {
        {"", "bypasses", "whitelist: true,",
         "bypass x, a whitelist: the file has no pattern: "
         "nothing is bypassed"},
        {"# a\n\n", "bypasses", "", "nothing is bypassed"},
        {"", "bypasses", "network: udp,", "all of its network is bypassed"},
        {"", "admissions", "whitelist: true,", "nobody is let in"},
        {"", "admissions", "reload: 1s,", "everybody is let in"},
        {"<html>\n<p>gone</p>\n", "bypasses", "whitelist: true,", "\"<html>\": "},
        {"a.test\nhttp://b/\n", "bypasses", "", ":2: pattern \"http://b/\": "},
        {"10.0.0.1\nlocalhost\n", "admissions", "", ":2: pattern \"localhost\": "},
        {"", "bypasses", "matchers: [a],", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sections[512];
        put(list, cases[i].lines);
        snprintf(sections, sizeof sections, "%s: [{name: x, %s file: {path: %s}}]\n",
                 cases[i].section, cases[i].set, list);
        ck_assert_int_eq(load("handler: {type: socks5}", sections), RC_OK);
        ck_assert(rules_check(cfg, true, &problems)); /* it serves */
        ck_assert(cases[i].words ? problems.n > 0 : problems.n == 0);
        ck_assert(!cases[i].words || problems.v[0].severity == PROBLEM_WARNING);
        ck_assert_msg(!cases[i].words || strstr(problems.v[0].text, cases[i].words) != NULL, "%s",
                      problems.v[0].text);
        unload();
    }
}
END_TEST

START_TEST(test_files_that_cant_be_read)
{
    struct rules_at *at;
    ck_assert_int_eq(load("bypass: x", "bypasses: [{name: x, file: {path: /nowhere}}]\n"), RC_OK);
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_INVALID);
    ck_assert_msg(strstr(diag.text, ":2:22: bypass x: cannot read /nowhere") != NULL, "%s",
                  diag.text);
    unload();
    ck_assert_int_eq(load("bypass: x", "bypasses: [{name: x, matchers: [a.test], reload: 1s, file: "
                                       "{path: /nowhere}}]\n"),
                     RC_OK);
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK); /* it may come */
    ck_assert_int_eq(rules_bypasses_at(&rules, "service", "s", &cfg->services[0].bypasses, &at),
                     RC_OK);
    says(at, "tcp", "a.test:1", true, "bypass x, \"a.test\" (@:2:33)");
    unload();
}
END_TEST

START_TEST(test_what_has_no_effect_is_told)
{
    ck_assert_int_eq(load("bypass: nobody", "bypasses: [{name: x, reload: 5s, matchers: [a]}]\n"),
                     RC_OK);
    ck_assert_uint_eq(problems.n, 2);
    ck_assert_msg(strstr(problems.v[0].text, "reload has no effect") != NULL, "%s",
                  problems.v[0].text);
    ck_assert_msg(strstr(problems.v[1].text, "nothing is bypassed") != NULL, "%s",
                  problems.v[1].text);
    ck_assert_int_eq(rules_build(&rules, loop, cfg, &diag), RC_OK);
    struct rules_at *at;
    ck_assert_int_eq(rules_bypasses_at(&rules, "service", "s", &cfg->services[0].bypasses, &at),
                     RC_OK);
    ck_assert_ptr_null(at);
    unload();
    ck_assert_int_eq(load("bypass: x", "bypasses: [{name: x, file: {}}]\n"), RC_INVALID);
    unload();
    ck_assert_int_eq(
        load("forwarder: {nodes: [{name: t, addr: 'a:1', bypass: x}]}, handler: {type: "
             "tcp}",
             "bypasses: [{name: x, matchers: [a]}]\n"),
        RC_OK);
    ck_assert_uint_eq(problems.n, 1);
    ck_assert_msg(strstr(problems.v[0].text, "no effect with handler tcp") != NULL, "%s",
                  problems.v[0].text);
    unload();
}
END_TEST

/* Not of rules, but as quietly without effect. */
START_TEST(test_a_resolver_that_waits_for_itself)
{
    static const struct {
        const char *hop, *addr;
        bool ok;
    } cases[] = {{"resolver: r, ", "node.test:1", false},
                 {"resolver: r, hosts: h, ", "node.test:1", true},
                 {"resolver: r, ", "192.0.2.1:1", true},
                 {"", "node.test:1", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        snprintf(text, sizeof text,
                 "chains: [{name: c, hops: [{name: h, %snodes: [{name: n, addr: '%s', connector: "
                 "{type: socks5}, dialer: {type: tcp}}]}]}]\n"
                 "hosts: [{name: h, mappings: [{ip: 192.0.2.1, hostname: node.test}]}]\n"
                 "resolvers: [{name: r, nameservers: [{addr: 'udp://192.0.2.53', chain: c}]}]\n",
                 cases[i].hop, cases[i].addr);
        ck_assert_int_eq(load("handler: {type: socks5}", text), RC_OK);
        ck_assert_int_eq(names_check(cfg, &problems), cases[i].ok);
        ck_assert_uint_eq(problems.n, !cases[i].ok);
        ck_assert(cases[i].ok || strstr(problems.v[0].text, "a loop") != NULL);
        unload();
    }
}
END_TEST

static void start(void)
{
    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    snprintf(path, sizeof path, "/tmp/cgost-rules-%d.yml", (int)getpid());
    snprintf(list, sizeof list, "/tmp/cgost-rules-%d.txt", (int)getpid());
}

static void stop(void)
{
    (void)unlink(path);
    (void)unlink(list);
    loop_free(loop);
}

int main(void)
{
    Suite *suite = suite_create("rules");
    TCase *tc = tcase_create("rules");
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, test_words_and_places);
    tcase_add_test(tc, test_lines_of_a_file);
    tcase_add_test(tc, test_admissions);
    tcase_add_test(tc, test_what_cant_be_meant);
    tcase_add_test(tc, test_what_is_odd_in_a_file);
    tcase_add_test(tc, test_files_that_cant_be_read);
    tcase_add_test(tc, test_what_has_no_effect_is_told);
    tcase_add_test(tc, test_a_resolver_that_waits_for_itself);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
