/* Rule sets: the recorded decisions of real GOST (tests/vectors/bypass.txt), files with all that
 * can happen to them, and admissions.
 */
#include "bypass/admission.h"
#include "bypass/bypass.h"
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include "core/addr.h"
#include "core/loop.h"
#include "pause.h"
#include "run.h"
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop *loop;
static char dir[] = "/tmp/cgost-bypass-XXXXXX", path[64];

static struct target target_of(const char *text)
{
    struct target t;
    ck_assert_msg(target_parse(text, &t), "%s", text);
    return t;
}

static bool has(const struct bypass *b, const char *text)
{
    struct target t = target_of(text);
    return bypass_has(b, "tcp", &t, NULL);
}

/* ---- vectors ---- */

enum { ADDRS_MAX = 64, SETS_MAX = 4 };

static struct target addrs[ADDRS_MAX];
static size_t n_addrs;

static struct bypass *set_of(bool whitelist, const char *network, json_t *list)
{
    const char *patterns[16];
    size_t n = 0, i;
    json_t *item;
    json_array_foreach(list, i, item) patterns[n++] = json_string_value(item);
    struct bypass *b = bypass_new(
        &(struct bypass_cfg){.name = "b",
                             .network = network,
                             .whitelist = whitelist,
                             .source = {.loop = loop, .patterns = patterns, .n_patterns = n}});
    ck_assert_ptr_nonnull(b);
    return b;
}

/* "w1=whitelist .example.com", "b1=blacklist network tcp: example.com", "b1=blacklist network tcp,
 * no matchers" */
static struct bypass *set_in_words(const char *text)
{
    char mode[16], network[16] = "", pattern[64] = "";
    if (sscanf(text, " %*[a-z0-9]=%15s network %15[a-z]: %63s", mode, network, pattern) < 2)
        ck_assert_int_eq(sscanf(text, " %*[a-z0-9]=%15s %63s", mode, pattern), 2);
    json_t *list = *pattern ? json_pack("[s]", pattern) : json_array();
    struct bypass *b = set_of(strcmp(mode, "whitelist") == 0, network, list);
    json_decref(list);
    return b;
}

static void check_vector(char *line)
{
    const char *sets[SETS_MAX];
    const struct bypass *v[SETS_MAX];
    struct bypass_group g = {.v = v};
    char *save, *save2, *mode = strtok_r(line, "|", &save), *what = strtok_r(NULL, "|", &save);
    const char *bits = strtok_r(NULL, "|\n", &save);
    bits += strspn(bits, " ");
    if (what[1] == '[') {
        json_t *list = json_loads(what, 0, NULL);
        ck_assert_msg(list != NULL, "%s", what);
        v[g.n++] = set_of(strncmp(mode, "whitelist", 9) == 0, NULL, list);
        json_decref(list);
    } else {
        size_t n = 0;
        for (char *s = strtok_r(what, ";", &save2); s; s = strtok_r(NULL, ";", &save2))
            sets[n++] = s;
        for (; g.n < n; g.n++)
            v[g.n] = set_in_words(sets[g.n]);
    }
    for (size_t i = 0; i < n_addrs; i++) {
        char text[TARGET_TEXT_MAX];
        struct bypass_hit hit;
        bool yes = bypass_group_has(&g, "tcp", &addrs[i], &hit);
        ck_assert_msg(yes == (bits[i] == '1'), "%s %s: %s is %d", mode, what,
                      target_format(&addrs[i], text, sizeof text), yes);
        ck_assert_int_eq(yes, hit.bypassed);
        ck_assert(!yes || hit.by != NULL);
        ck_assert(g.n > 1 || bypass_has(v[0], "tcp", &addrs[i], NULL) == yes);
    }
    for (size_t i = 0; i < g.n; i++)
        bypass_free((struct bypass *)(uintptr_t)v[i]);
}

START_TEST(test_vectors)
{
    char line[512], addr[128];
    unsigned number, n = 0;
    FILE *f = fopen("tests/vectors/bypass.txt", "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "# %u %127s", &number, addr) == 2) {
            ck_assert_uint_eq(number, n_addrs);
            addrs[n_addrs] = target_of(addr);
            addrs[n_addrs].addr = addr_unmap(addrs[n_addrs].addr);
            n_addrs++;
        } else if (*line != '#') {
            check_vector(line);
            n++;
        }
    }
    (void)fclose(f);
    ck_assert_uint_eq(n_addrs, 30);
    ck_assert_uint_ge(n, 50);
}
END_TEST

START_TEST(test_network_and_empty_targets)
{
    const char *all[] = {"*"};
    struct bypass_cfg cfg = {.network = "udp", .source = {.loop = loop}};
    struct target t = target_of("a.com:80"), empty = {.name = ""};
    struct bypass_hit hit;
    char text[128];
    struct bypass *b = bypass_new(&cfg);
    ck_assert(bypass_has(b, "udp", &t, &hit) && !bypass_has(b, "tcp", &t, NULL));
    ck_assert(!bypass_has(b, "udp", &empty, NULL));
    ck_assert_str_eq(bypass_hit_format(&hit, text, sizeof text), "bypass , all of its network");
    bypass_free(b);
    cfg.whitelist = true;
    b = bypass_new(&cfg);
    ck_assert(!bypass_has(b, "udp", &t, NULL));
    bypass_free(b);
    cfg.source.patterns = all;
    cfg.source.n_patterns = 1;
    cfg.whitelist = false;
    cfg.name = "every";
    b = bypass_new(&cfg);
    ck_assert(bypass_has(b, "udp", &t, &hit) && !bypass_has(b, "udp", &empty, NULL));
    ck_assert_str_eq(bypass_hit_format(&hit, text, sizeof text), "bypass every, \"*\"");
    bypass_free(b);
}
END_TEST

/* ---- files ---- */

static struct {
    int loaded, doubts, trouble;
    char last[512];
} told;

static void note(void *arg, enum source_note what, const char *text)
{
    (void)arg;
    told.loaded += what == SOURCE_LOADED;
    told.doubts += what == SOURCE_DOUBT;
    told.trouble += what == SOURCE_TROUBLE;
    snprintf(told.last, sizeof told.last, "%s", text);
    loop_stop(loop);
}

/* As an editor does it: never half of it under the name. */
static void put(const char *text)
{
    char beside[80];
    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *f = fopen(beside, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(rename(beside, path), 0);
}

static struct bypass *from_file(const char *const *patterns, size_t n, uint32_t reload_ms)
{
    memset(&told, 0, sizeof told);
    struct bypass *b = bypass_new(&(struct bypass_cfg){.name = "list",
                                                       .source = {.loop = loop,
                                                                  .patterns = patterns,
                                                                  .n_patterns = n,
                                                                  .file = path,
                                                                  .reload_ms = reload_ms,
                                                                  .note = note}});
    ck_assert_ptr_nonnull(b);
    return b;
}

static void turn_for(uint64_t ms)
{
    pause_ms(loop, ms);
}

START_TEST(test_lines)
{
    const char *own[] = {"own.com"};
    struct bypass_hit hit;
    struct target t = target_of("last.com:1");
    char text[256], want[256];
    put("\xef\xbb\xbf"
        "first.com # comment\r\n\n  \t "
        ".second.com:443\t\n#all.com\n*.third.com#\n10.0.0.0/8\nlast.com");
    struct bypass *b = from_file(own, 1, 0);
    ck_assert_int_eq(told.loaded, 1);
    ck_assert_int_eq(told.doubts + told.trouble, 0);
    ck_assert(has(b, "own.com:1") && has(b, "first.com:1") && has(b, "a.second.com:443"));
    ck_assert(has(b, "a.third.com:1") && has(b, "10.1.1.1:1") && has(b, "last.com:1"));
    ck_assert(!has(b, "all.com:1") && !has(b, "second.com:80") && !has(b, "comment:1"));
    ck_assert(bypass_has(b, "tcp", &t, &hit));
    snprintf(want, sizeof want, "bypass list, %s:7", path);
    ck_assert_str_eq(bypass_hit_format(&hit, text, sizeof text), want);
    bypass_free(b);
}
END_TEST

START_TEST(test_bad_lines_and_files)
{
    const char *own[] = {"own.com"};
    char *text = malloc(200000);
    size_t n = 0;
    for (int i = 0; i < 6; i++)
        n += (size_t)sprintf(text + n, "http://x%d.com/\n", i);
    memset(text + n, 'a', 5000);
    strcpy(text + n + 5000, "\ngood.com\n");
    put(text);
    struct bypass *b = from_file(own, 1, 0);
    ck_assert_int_eq(told.doubts, 4); /* three of them, then how many more */
    ck_assert_int_eq(told.loaded, 1);
    ck_assert(has(b, "good.com:1"));
    bypass_free(b);

    memset(text, 'a', 199999);
    text[199999] = 0;
    put(text);
    b = from_file(own, 1, 0);
    ck_assert_int_eq(told.trouble, 1);
    ck_assert_msg(strstr(told.last, "a line of more than") != NULL, "%s", told.last);
    ck_assert(has(b, "own.com:1"));
    bypass_free(b);
    free(text);

    ck_assert_int_eq(unlink(path), 0);
    b = from_file(own, 1, 0);
    ck_assert_int_eq(told.trouble, 1);
    ck_assert_msg(strstr(told.last, "No such file") != NULL, "%s", told.last);
    ck_assert(has(b, "own.com:1") && !has(b, "a.com:1"));
    bypass_free(b);

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    b = from_file(NULL, 0, 0);
    ck_assert_msg(strstr(told.last, "not a regular file") != NULL, "%s", told.last);
    ck_assert(!has(b, "a.com:1")); /* no pattern at all */
    bypass_free(b);
    ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* The steps of a file's life; each is noticed within its second. */
START_TEST(test_reload)
{
    put("a.com\n");
    struct bypass *b = from_file(NULL, 0, 1); /* a second is the least */
    ck_assert(told.loaded == 1 && has(b, "a.com:1"));

    turn_for(1500);
    ck_assert_int_eq(told.loaded, 1); /* it did not change */

    put("b.com\n");
    turn_for(5000);
    ck_assert(told.loaded == 2 && has(b, "b.com:1") && !has(b, "a.com:1"));

    ck_assert_int_eq(unlink(path), 0);
    turn_for(5000);
    ck_assert_int_eq(told.trouble, 1);
    turn_for(1500);
    ck_assert_int_eq(told.trouble, 1); /* told once */
    ck_assert(has(b, "b.com:1"));

    put("# nothing\n");
    turn_for(5000);
    ck_assert_int_eq(told.trouble, 2);
    ck_assert(has(b, "b.com:1"));

    put("c.com\n~d.com\n");
    turn_for(5000);
    if (told.loaded == 2) /* the doubt comes first */
        turn_for(5000);
    ck_assert(told.loaded == 3 && told.doubts == 1 && has(b, "c.com:1") && !has(b, "b.com:1"));
    bypass_free(b);
}
END_TEST

START_TEST(test_end_while_a_file_is_read)
{
    enum { LINES = 400000 };
    put("a.com\n");
    struct bypass *b = from_file(NULL, 0, 1000);
    FILE *f = fopen(path, "we");
    for (int i = 0; i < LINES; i++)
        fprintf(f, "host-%d.example.com\n", i);
    ck_assert_int_eq(fclose(f), 0);
    turn_for(1005); /* it has begun */
    bypass_free(b);
}
END_TEST

/* ---- admissions ---- */

static bool admits(bool whitelist, const char *const *patterns, size_t n, const char *client)
{
    struct addr a;
    ck_assert(addr_parse(client, &a));
    memset(&told, 0, sizeof told);
    struct admission *ad = admission_new(&(struct admission_cfg){
        .name = "doors",
        .whitelist = whitelist,
        .source = {.loop = loop, .patterns = patterns, .n_patterns = n, .note = note}});
    ck_assert_ptr_nonnull(ad);
    bool yes = admission_has(ad, &a);
    admission_free(ad);
    return yes;
}

START_TEST(test_admission)
{
    const char *list[] = {"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::ffff:198.51.100.7"};
    static const char *const in[] = {"10.9.9.9:1", "192.0.2.1:9", "[2001:db8::5]:1",
                                     "[::ffff:10.1.1.1]:1", "198.51.100.7:5"};
    static const char *const out[] = {"11.9.9.9:1", "192.0.2.2:9", "[2001:db9::5]:1"};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        ck_assert(admits(true, list, 4, in[i]) && !admits(false, list, 4, in[i]));
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        ck_assert(!admits(true, list, 4, out[i]) && admits(false, list, 4, out[i]));
    ck_assert(!admits(true, NULL, 0, "10.0.0.1:1") && admits(false, NULL, 0, "10.0.0.1:1"));

    const char *odd[] = {"*", "10.0.0.*", "localhost", "10.0.0.1:80"};
    ck_assert(admits(false, odd, 4, "10.0.0.1:80"));
    ck_assert_int_eq(told.doubts, 0); /* judged by whoever read the configuration */
    for (size_t i = 0; i < 4; i++) {
        bool ignored;
        ck_assert(pattern_doubt(odd[i], strlen(odd[i]), true, &ignored) && ignored);
        ck_assert(!pattern_doubt(list[i], strlen(list[i]), true, &ignored) && !ignored);
    }
}
END_TEST

static void start(void)
{
    struct diag diag = {.rc = RC_OK};
    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/list", dir);
}

static void stop(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
    loop_free(loop);
}

int main(void)
{
    Suite *suite = suite_create("bypass");
    TCase *tc = tcase_create("bypass");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, test_vectors);
    tcase_add_test(tc, test_network_and_empty_targets);
    tcase_add_test(tc, test_lines);
    tcase_add_test(tc, test_bad_lines_and_files);
    tcase_add_test(tc, test_reload);
    tcase_add_test(tc, test_end_while_a_file_is_read);
    tcase_add_test(tc, test_admission);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
