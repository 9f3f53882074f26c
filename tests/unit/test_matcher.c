/* One compiled list of patterns: each class of gost-config.md 6.1, the recorded decisions of real
 * GOST for single lists, and random lists and targets beside the naive twin.
 */
#include "bypass/glob.h"
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include "run.h"
#include "tests/unit/rulestwin.h"
#include <check.h>
#include <stdio.h>

static struct matcher *compile(const char *const *rules, size_t n)
{
    struct matcher *m = matcher_new();
    ck_assert_ptr_nonnull(m);
    for (size_t i = 0; i < n; i++) {
        struct pattern p;
        pattern_parse(rules[i], strlen(rules[i]), &p);
        ck_assert_int_eq(matcher_add(m, &p, (uint32_t)i), RC_OK);
    }
    matcher_finish(m);
    return m;
}

static struct target target_of(const char *text)
{
    struct target t;
    ck_assert_msg(target_parse(text, &t), "%s", text);
    return t;
}

static bool has(const char *rule, const char *target)
{
    struct matcher *m = compile(&rule, 1);
    struct target t = target_of(target);
    uint32_t number = 77;
    bool yes = matcher_has(m, &t, &number);
    ck_assert_uint_eq(number, yes ? 0 : 77);
    ck_assert_msg(yes == twin_target(rule, strlen(rule), &t), "the twin: %s %s", rule, target);
    matcher_free(m);
    return yes;
}

START_TEST(test_classes)
{
    static const struct {
        const char *rule, *yes, *no; /* targets, divided by blanks */
    } cases[] = {
        {"example.com", "example.com:1 EXAMPLE.com:2", "www.example.com:1 example.com.:1 com:1"},
        {".example.com", "example.com:1 a.b.Example.com:0", "badexample.com:1 example.com.:1"},
        {"*.example.com", "a.example.com:1 a.b.example.com:1 .example.com:1", "example.com:1"},
        {".com", "com:1 a.com:1", "acom:1"},
        {".", "a.:1 b.a.:1", "a:1 a.b:1"},
        {"a..b", "a..b:1", "a.b:1"},
        {".b.c", "a.b.c:1 x.a.b.c:1", "x..a.b.c:1"}, /* it looks no further than that */
        {"*.b.c", "a.b.c:1 x..a.b.c:1", "b.c:1"},
        {"example.com:443", "example.com:443", "example.com:444 example.com:0"},
        {"example.com:80-90", "example.com:80 example.com:90", "example.com:79 example.com:91"},
        {"example.com:0-65535", "example.com:0 example.com:65535", "a:1"},
        {"example.com:http", "example.com:1", "a:1"},
        {"example.com:-5", "example.com:1", "a:1"},
        {"example.com:70000", "example.com:1", "a:1"},
        {"example.com:1-70000", "example.com:1 example.com:65535", "example.com:0"},
        {"example.com:70000-80000", "", "example.com:1 example.com:0 example.com:65535"},
        {"example.com:+80", "example.com:80", "example.com:81"},
        {"10.0.0.0/8", "10.255.255.255:1 [::ffff:10.0.0.1]:1", "11.0.0.0:1 x10.0.0.1:1"},
        {"10.0.0.1/8", "10.255.255.255:1", "9.255.255.255:1"},
        {"10.0.0.0/08", "10.0.0.1:1", "11.0.0.1:1"},
        {"0.0.0.0/0", "0.0.0.0:1 255.255.255.255:1", "[::1]:1"},
        {"::/0", "[::1]:1", "1.2.3.4:1"},
        {"10.1.2.3/31", "10.1.2.2:1 10.1.2.3:1", "10.1.2.1:1 10.1.2.4:1"},
        {"2001:db8::/33", "[2001:db8:7fff::]:1", "[2001:db8:8000::]:1"},
        {"::ffff:10.0.0.0/104", "10.9.9.9:1", "11.0.0.0:1"},
        {"10.1.2.3-10.1.2.5", "10.1.2.3:1 10.1.2.5:1", "10.1.2.2:1 10.1.2.6:1"},
        {" 10.1.2.3 -\t10.1.2.5 ", "10.1.2.4:1", "10.1.2.6:1"},
        {"10.1.2.5-10.1.2.3", "", "10.1.2.3:1 10.1.2.4:1 10.1.2.5:1"},
        {"10.0.0.0-2001:db8::", "10.0.0.0:1 255.0.0.0:1 [::]:1 [2001:db8::]:1",
         "9.0.0.0:1 [2001:db8::1]:1"},
        {"10.1.2.3:80", "10.1.2.3:80", "10.1.2.3:81"},
        {".2.3", "10.1.2.3:1", "10.1.22.3:1"}, /* an address is text, too */
        {"*.2.3", "10.1.2.3:1", "10.1.22.3:1"},
        {"[2001:DB8::1]:80", "[2001:db8::1]:80", "[2001:db8::1]:81"},
        {"2001:db8::1", "[2001:db8::1]:80", "[2001:db8::2]:80"},
        {"10.1.2.*", "10.1.2.3:1 10.1.2.:1", "10.1.3.2:1"},
        {"2001:db8:*", "[2001:db8::5]:1", "[2001:db9::5]:1"},
        {"*", "a:1 1.2.3.4:0 [::1]:1", ""},
        {"*:443", "a:443 1.2.3.4:443 [::1]:443", "a:80"},
        {"**", "a:1", ""},
        {"?", "a:1", "ab:1"},
        {"www.*", "www.a:1 WWW.:1", "www:1 a.www.b:1"},
        {"*ads*", "ads.com:1 a.bads.c:1", "a.ds:1"},
        {"w?[w-y].{com,n[eo]t}", "www.com:1 wax.net:1 wby.not:1", "www.nit:1 wwz.com:1 www.:1"},
        {"*.{a,b{c,d*}}.e", "x.a.e:1 x.bc.e:1 x.bdd.e:1", "x.b.e:1 a.e:1"},
        {"{a,b*}.com:80", "a.com:80 bb.com:80", "a.com:81 c.com:80"},
        {"{.a,b*}.com", ".a.com:1 b.com:1", "x.a.com:1 a.com:1"},
        {"*{a,b", "xa:1 xb:1", "x:1"},
        {"[!a]?", "bb:1", "ab:1 b:1"},
        {"a\\*?", "a*b:1", "axb:1"},
        {"?\xc3\xa4.de", "\xc3\xb6\xc3\xa4.de:1 x\xc3\xa4.de:1", "xy\xc3\xa4.de:1"},
        {"[a-z0-9]*", "", "abc:1"},       /* one range is all that a class can have */
        {"[Z-a]*", "", "a:1 z:1 Z:1"},    /* falls in small letters */
        {"[a]*.com:80", "", "ab.com:80"}, /* as Go splits it, the port is part of the host */
        {"{www,mail}.example.com", "", "www.example.com:1"},
        {"[we]ww.example.com", "", "www.example.com:1"},
        {"10.1", "", "10.1.0.0:1 10.1.2.3:1"},
        {"::ffff:10.1.2.3", "", "10.1.2.3:1"},
        {"", "", "a:1 1.2.3.4:1"},
        {":443", "", "a:443"},
        {"http://a.com/", "", "a.com:80"},
        {"~a.com", "", "a.com:80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int yes = 0; yes < 2; yes++) {
            char list[256];
            snprintf(list, sizeof list, "%s", yes ? cases[i].yes : cases[i].no);
            for (char *save, *t = strtok_r(list, " ", &save); t; t = strtok_r(NULL, " ", &save))
                ck_assert_msg(has(cases[i].rule, t) == yes, "\"%s\" against %s", cases[i].rule, t);
        }
    }
}
END_TEST

START_TEST(test_doubtful_patterns_are_told)
{
    static const char *const doubtful[] = {"",
                                           "a b",
                                           "10.1",
                                           "010.1.2.3",
                                           "10.0.0.0/33",
                                           "http://a.com/x",
                                           "~a.com",
                                           "!a.com",
                                           "a.com:0-0",
                                           "a.com:90-80",
                                           "10.0.0.9-10.0.0.1",
                                           ":443",
                                           "{a,b}.com",
                                           "[ab].com",
                                           "2001:db8::1:x",
                                           "::ffff:1.2.3.4",
                                           "[a*",
                                           "[2001:db8::1]",
                                           "a.com:",
                                           "a.com:x",
                                           "[a]*.com:80"};
    static const char *const fine[] = {"a",
                                       ".a.b",
                                       "xn--mnchen-3ya.example",
                                       "*",
                                       "*.a:1-2",
                                       "10.0.0.0/8",
                                       "::/0",
                                       "1.2.3.4",
                                       "[::1]:80",
                                       "1.1.1.1 - 1.1.1.9",
                                       "1.2.3.4:80",
                                       ".1.2",
                                       "a_b.c",
                                       "{a,b}*.c",
                                       "10.1.2.*"};
    struct pattern p;
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
        pattern_parse(doubtful[i], strlen(doubtful[i]), &p);
        ck_assert_msg(p.doubt != NULL, "\"%s\"", doubtful[i]);
    }
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        pattern_parse(fine[i], strlen(fine[i]), &p);
        ck_assert_msg(p.doubt == NULL, "\"%s\": %s", fine[i], p.doubt);
    }
}
END_TEST

START_TEST(test_the_rule_that_matches_is_told)
{
    static const char *const rules[] = {
        "10.0.0.0/8",       "a.com:80",         "*.com:90", "a.com:80-85",
        "w*.net",           "10.1.0.0/16",      "*:7",      "b.com",
        "10.0.0.0/16",      "11.0.0.0/8",       "b.com:1",  "8.8.8.8",
        "9.9.9.9-9.9.9.12", "9.9.9.10-9.9.9.20"};
    static const struct {
        const char *target;
        int rule;
    } cases[] = {{"10.200.0.1:1", 0}, {"10.1.0.1:1", 0}, {"a.com:80", 1},   {"a.com:85", 3},
                 {"x.com:90", 2},     {"x.com:91", -1},  {"www.net:1", 4},  {"zz:7", 6},
                 {"b.com:1", 7},      {"11.1.1.1:1", 9}, {"8.8.8.8:1", 11}, {"9.9.9.11:1", 12},
                 {"9.9.9.13:1", 13},  {"a.com:86", -1},  {"9.9.9.21:1", -1}};
    struct matcher *m = compile(rules, sizeof rules / sizeof *rules);
    ck_assert_uint_eq(matcher_count(m), sizeof rules / sizeof *rules);
    ck_assert_uint_gt(matcher_bytes(m), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct target t = target_of(cases[i].target);
        uint32_t rule = 99;
        bool yes = matcher_has(m, &t, &rule);
        ck_assert_msg((yes ? (int)rule : -1) == cases[i].rule, "%s: %d", cases[i].target,
                      (int)rule);
        ck_assert_int_eq(matcher_has(m, &t, NULL), yes);
    }
    matcher_free(m);
}
END_TEST

START_TEST(test_a_target_with_name_and_address_matches_by_either)
{
    static const char *const rules[] = {"a.com", "10.0.0.0/8"};
    struct matcher *m = compile(rules, 2);
    struct target t = target_of("b.com:80");
    ck_assert(!matcher_has(m, &t, NULL));
    t.addr = addr_v4("\x0a\0\0\1", 80);
    ck_assert(matcher_has(m, &t, NULL));
    t.addr = addr_v4("\x0b\0\0\1", 80);
    ck_assert(!matcher_has(m, &t, NULL));
    snprintf(t.name, sizeof t.name, "a.com");
    ck_assert(matcher_has(m, &t, NULL));
    matcher_free(m);
}
END_TEST

START_TEST(test_a_glob_with_too_many_alternatives_is_refused)
{
    struct matcher *m = matcher_new();
    struct pattern p;
    const char *many = "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}*";
    char longer[GLOB_MAX_BYTES + 2] = "*";
    pattern_parse(many, strlen(many), &p);
    ck_assert_int_eq(matcher_add(m, &p, 0), RC_LIMIT);
    memset(longer + 1, 'a', sizeof longer - 2);
    pattern_parse(longer, strlen(longer), &p);
    ck_assert_int_eq(matcher_add(m, &p, 0), RC_LIMIT);
    matcher_finish(m);
    struct target t = target_of("aaaaaaaaa.b:1");
    ck_assert(!matcher_has(m, &t, NULL)); /* not even its first alternatives are in */
    matcher_free(m);
}
END_TEST

/* ---- random lists and targets ---- */

static uint64_t seed = 88172645463325252u;

static unsigned roll(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 11) % n);
}

static const char *pick(const char *const *v, unsigned n)
{
    return v[roll(n)];
}
#define PICK(...)                                                                                  \
    pick((const char *const[]){__VA_ARGS__},                                                       \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void random_ip(char *s, size_t cap)
{
    if (roll(3))
        snprintf(s, cap, "%s.%u.%u", PICK("10.1", "10.2", "192.168", "0.0", "255.255"), roll(4),
                 roll(3) ? roll(16) : roll(256));
    else
        snprintf(s, cap, "%s%x", PICK("2001:db8::", "::", "fd00::1:", "::ffff:10.1.2.", "fe80::"),
                 roll(16) % 10);
}

static void random_name(char *s, size_t cap, bool odd)
{
    size_t n = 0;
    for (unsigned labels = 1 + roll(4); labels > 0 && n < cap; labels--)
        n += (size_t)snprintf(s + n, cap - n, "%s%s",
                              PICK("a", "b", "www", "WWW", "ads", "example", "xn--a", "10", "1"),
                              labels > 1 ? odd && roll(40) == 0 ? ".." : "." : "");
    if (n < cap && roll(2))
        snprintf(s + n, cap - n, "%s", PICK(".com", ".net", ".Com", ".com.", ".org"));
}

static void random_glob(char *s, size_t cap)
{
    static const char pieces[][8] = {"*",  "*",    "?",    "a",    "b",   "www", ".",  ".",
                                     "c",  ".com", "[ab]", "[!w]", "ads", "{a,", "b}", ",",
                                     "\\", "[a-w", "]",    "x",    "-",   "10",  ".1", ":"};
    size_t n = 0, stars = 0;
    for (unsigned k = 1 + roll(7); k > 0 && n < cap; k--) {
        const char *piece = pieces[roll(sizeof pieces / sizeof *pieces)];
        if (*piece == '*' && ++stars > 3)
            continue;
        n += (size_t)snprintf(s + n, cap - n, "%s", piece);
    }
}

static void random_rule(char *s, size_t cap)
{
    char a[160], b[64];
    random_name(a, sizeof a, true);
    switch (roll(8)) {
    case 0:
        random_ip(a, sizeof a);
        snprintf(s, cap, "%s/%u", a, strchr(a, ':') ? roll(130) : roll(34));
        return;
    case 1:
        random_ip(a, sizeof a);
        random_ip(b, sizeof b);
        snprintf(s, cap, roll(2) ? "%s-%s" : "%s", a, b);
        return;
    case 2:
        random_ip(b, sizeof b);
        snprintf(a, sizeof a, strchr(b, ':') ? "[%s]" : "%s", b);
        break;
    case 3:
    case 4:
        random_glob(a, sizeof a);
        break;
    case 5:
        snprintf(s, cap, "*.%s", a);
        snprintf(a, sizeof a, "%.150s", s);
        break;
    default:
        if (roll(2)) {
            snprintf(s, cap, ".%s", a);
            snprintf(a, sizeof a, "%.150s", s);
        }
    }
    snprintf(s, cap, "%s%s", a,
             PICK("", "", "", ":80", ":79-81", ":0", ":81-79", ":", ":x", ":0-65535", ":443"));
}

static void random_target(struct target *t)
{
    char host[128];
    memset(t, 0, sizeof *t);
    if (roll(3))
        random_name(host, sizeof host, roll(10) == 0);
    else
        random_ip(host, sizeof host);
    ck_assert(
        target_set_host(t, host, strlen(host),
                        (uint16_t)strtoul(PICK("0", "79", "80", "81", "443", "65535"), NULL, 10)));
}

enum { LISTS = 20000, RULES_MAX = 12, TARGETS = 60 };

START_TEST(test_random_beside_the_twin)
{
    unsigned long matched = 0, asked = 0;
    for (int list = 0; list < LISTS; list++) {
        char text[RULES_MAX][200];
        const char *rules[RULES_MAX];
        size_t n = 1 + roll(RULES_MAX);
        for (size_t i = 0; i < n; i++) {
            random_rule(text[i], sizeof text[i]);
            rules[i] = text[i];
        }
        struct matcher *m = compile(rules, n);
        for (int k = 0; k < TARGETS; k++) {
            struct target t;
            uint32_t rule = 0;
            bool twin = false;
            char where[TARGET_TEXT_MAX];
            random_target(&t);
            for (size_t i = 0; i < n && !twin; i++)
                twin = twin_target(rules[i], strlen(rules[i]), &t);
            bool yes = matcher_has(m, &t, &rule);
            target_format(&t, where, sizeof where);
            if (yes != twin)
                for (size_t i = 0; i < n; i++)
                    fprintf(stderr, "rule %s%s\n", rules[i],
                            twin_target(rules[i], strlen(rules[i]), &t) ? " (twin: yes)" : "");
            ck_assert_msg(yes == twin, "%s: %d, the twin: %d", where, yes, twin);
            ck_assert_msg(!yes || (rule < n && twin_target(rules[rule], strlen(rules[rule]), &t)),
                          "%s: not by rule %u", where, rule);
            asked++;
            matched += yes;
        }
        matcher_free(m);
    }
    ck_assert_uint_ge(asked, 1000000);
    ck_assert_uint_gt(matched, asked / 20); /* it is about something */
    ck_assert_uint_lt(matched, asked / 20 * 19);
}
END_TEST

/* Many rules of each class, few questions. */
START_TEST(test_many_rules_beside_the_twin)
{
    enum { MANY = 20000, ASKED = 300 };
    struct matcher *m = matcher_new();
    char(*rules)[200] = calloc(MANY, sizeof *rules);
    matcher_reserve(m, MANY / 2);
    for (uint32_t i = 0; i < MANY; i++) {
        struct pattern p;
        random_rule(rules[i], sizeof rules[i]);
        if (strcmp(rules[i], "*") == 0 || strchr(rules[i], '/') || roll(3))
            snprintf(rules[i], sizeof rules[i], "%s%u.%s:%u", PICK("", ".", "*.", "w*."), i % 7000,
                     PICK("a.com", "b.net"), 1 + roll(5000));
        pattern_parse(rules[i], strlen(rules[i]), &p);
        ck_assert_int_eq(matcher_add(m, &p, i), RC_OK);
    }
    matcher_finish(m);
    for (int k = 0; k < ASKED; k++) {
        struct target t;
        uint32_t rule = 0;
        bool twin = false;
        char host[64];
        random_target(&t);
        if (roll(4)) {
            snprintf(host, sizeof host, "%s%u.%s", PICK("", "x.", "w."), roll(7000),
                     PICK("a.com", "b.net"));
            ck_assert(target_set_host(&t, host, strlen(host), (uint16_t)(1 + roll(5000))));
        }
        for (size_t i = 0; i < MANY && !twin; i++)
            twin = twin_target(rules[i], strlen(rules[i]), &t);
        ck_assert_int_eq(matcher_has(m, &t, &rule), twin);
        ck_assert(!twin || twin_target(rules[rule], strlen(rules[rule]), &t));
    }
    free(rules);
    matcher_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matcher");
    TCase *tc = tcase_create("matcher");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_classes);
    tcase_add_test(tc, test_doubtful_patterns_are_told);
    tcase_add_test(tc, test_the_rule_that_matches_is_told);
    tcase_add_test(tc, test_a_target_with_name_and_address_matches_by_either);
    tcase_add_test(tc, test_a_glob_with_too_many_alternatives_is_refused);
    tcase_add_test(tc, test_random_beside_the_twin);
    tcase_add_test(tc, test_many_rules_beside_the_twin);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
