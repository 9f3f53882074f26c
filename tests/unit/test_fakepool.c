/* tests/unit/test_fakepool.c - names get addresses, keep them, lose them in order of use; and the
 * record on disk, whole, cut, spoiled, not ours, in use. */
#include "chain/fakefile.h"
#include "chain/fakepool.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct cidr cidr(const char *text)
{
    struct cidr c;
    ck_assert(cidr_parse(text, strlen(text), &c));
    return c;
}

static struct addr addr(const char *text)
{
    struct addr a;
    ck_assert_msg(addr_parse_ip(text, strlen(text), &a), "%s", text);
    return a;
}

static struct fakepool *pool(const char *one, const char *two)
{
    struct cidr v[2] = {cidr(one)};
    struct fakepool *p = NULL;
    struct diag d = {.rc = RC_OK};
    if (two != NULL)
        v[1] = cidr(two);
    ck_assert_msg(fakepool_new(v, two != NULL ? 2 : 1, &p, &d) == RC_OK, "%s", d.text);
    return p;
}

static const char *give(struct fakepool *p, const char *name, int family)
{
    static char text[ADDR_TEXT_MAX];
    struct addr a;
    bool is_new;
    return fakepool_give(p, name, family, &a, &is_new) ? addr_format_ip(&a, text, sizeof(text))
                                                       : "none";
}

static const char *name_of(struct fakepool *p, const char *text)
{
    struct addr a = addr(text);
    const char *name = fakepool_name(p, &a);
    return name != NULL ? name : "unknown";
}

/* Who asks for very many names does not get the addresses that others were told just now. */
START_TEST(test_an_address_in_use_is_nobody_elses)
{
    struct fakepool *p = pool("198.18.0.0/20", NULL); /* 4,094 places */
    char name[32];
    fakepool_at(p, NULL, 1000);
    ck_assert_str_eq(give(p, "bank.example", AF_INET), "198.18.0.1");
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "n%d.example", i);
        ck_assert_int_eq(strcmp(give(p, name, AF_INET), "none") == 0, i >= 4093);
    }
    ck_assert_str_eq(name_of(p, "198.18.0.1"), "bank.example");
    fakepool_at(p, NULL, 60000);
    ck_assert_str_eq(name_of(p, "198.18.0.1"), "bank.example"); /* a use */
    fakepool_at(p, NULL, 61000);
    ck_assert_str_eq(give(p, "late.example", AF_INET), "198.18.0.2");
    ck_assert_str_eq(name_of(p, "198.18.0.1"), "bank.example");
    fakepool_free(p);
}
END_TEST

static const struct addr *client(unsigned n)
{
    static struct addr a;
    a = (struct addr){.family = AF_INET, .ip = {10, 0, (uint8_t)(n >> 8), (uint8_t)n}};
    return &a;
}

/* How many of the names c0, c1 ... the client is given. */
static int ask_for(struct fakepool *p, unsigned who, uint64_t now_ms, char c, int n)
{
    char name[32];
    int got = 0;
    fakepool_at(p, client(who), now_ms);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%c%d.example", c, i);
        got += strcmp(give(p, name, AF_INET), "none") != 0;
    }
    return got;
}

static int count(const struct fakepool *p, char c, int n)
{
    char name[32];
    struct addr a;
    int there = 0;
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%c%d.example", c, i);
        there += fakepool_record(p, name, &a);
    }
    return there;
}

/* A flood of names gets refusals for who floods; the next client is answered at once, and keeps
 * what it has. */
START_TEST(test_a_flood_of_names_leaves_places_for_others)
{
    struct fakepool *p = pool("198.18.0.0/20", NULL); /* 4,094 places */
    struct addr a;
    bool is_new;
    ck_assert_int_eq(ask_for(p, 2, 1000, 'm', 100), 100);
    int got = ask_for(p, 1, 2000, 'g', 10000);
    ck_assert_int_ge(got, 4094 - 4094 / 8 - 101);
    ck_assert_int_lt(got, 4094 - 4094 / 8);
    ck_assert_int_eq(ask_for(p, 2, 3000, 'n', 100), 100);
    ck_assert_int_eq(ask_for(p, 3, 3000, 'o', 100), 100);
    ck_assert_int_eq(ask_for(p, 1, 3000, 'g', 10), 10); /* it keeps what it has, too */
    ck_assert_int_eq(ask_for(p, 1, 3000, 'h', 10), 0);
    /* it can't keep the names of others from getting old, by connecting to all of the pool */
    for (uint64_t now = 4000; now < 70000; now += 1000) {
        fakepool_at(p, client(1), now);
        for (uint32_t i = 0; i < 4094; i++) {
            a = addr("198.18.0.1");
            a.ip[2] = (uint8_t)((i + 1) >> 8);
            a.ip[3] = (uint8_t)(i + 1);
            (void)fakepool_name(p, &a);
        }
    }
    ck_assert_int_eq(ask_for(p, 2, 70000, 'q', 100), 100);
    /* a minute later it loses its own, and nobody else anything */
    ck_assert_int_ge(ask_for(p, 1, 140000, 'i', 10000), 3000);
    ck_assert_uint_eq(fakepool_count(p), 4094);
    ck_assert_int_eq(count(p, 'm', 100) + count(p, 'n', 100) + count(p, 'o', 100), 300);
    ck_assert_int_eq(ask_for(p, 3, 140000, 'p', 100), 100);
    ck_assert_int_eq(count(p, 'm', 100) + count(p, 'n', 100) + count(p, 'o', 100), 300);
    ck_assert(fakepool_give(p, "m0.example", AF_INET, &a, &is_new) && !is_new);
    fakepool_free(p);
}
END_TEST

/* In a small pool nothing is kept for a minute, but who has few names keeps them. */
START_TEST(test_a_small_pool_is_shared_out)
{
    struct fakepool *p = pool("198.18.0.0/24", NULL); /* 254 places */
    ck_assert_int_eq(ask_for(p, 2, 1000, 'm', 50), 50);
    ck_assert_int_eq(ask_for(p, 1, 2000, 'g', 5000), 5000);
    ck_assert_int_eq(count(p, 'm', 50), 50);
    ck_assert_int_eq(ask_for(p, 3, 2000, 'o', 50), 50);
    ck_assert_int_eq(count(p, 'm', 50) + count(p, 'o', 50), 100);
    ck_assert_uint_eq(fakepool_count(p), 254);
    fakepool_free(p);
}
END_TEST

START_TEST(test_a_name_keeps_its_address_in_both_families)
{
    struct fakepool *p = pool("fd00:f::/64", "198.18.0.0/15");
    ck_assert_str_eq(give(p, "example.com", AF_INET), "198.18.0.1");
    ck_assert_str_eq(give(p, "other.example", AF_INET6), "fd00:f::2");
    ck_assert_str_eq(give(p, "EXAMPLE.com", AF_INET), "198.18.0.1");
    ck_assert_str_eq(give(p, "example.com", AF_INET6), "fd00:f::1");
    ck_assert_str_eq(name_of(p, "fd00:f::1"), "example.com");
    ck_assert_str_eq(name_of(p, "198.18.0.2"), "other.example");
    ck_assert_str_eq(name_of(p, "198.18.0.3"), "unknown");
    ck_assert_str_eq(name_of(p, "198.18.0.0"), "unknown");
    ck_assert_str_eq(name_of(p, "198.19.255.255"), "unknown");
    ck_assert_str_eq(name_of(p, "fd00:f::1:0:0:1"), "unknown");
    struct addr a = addr("198.19.1.1"), b = addr("198.20.0.1");
    ck_assert(fakepool_has(p, &a) && !fakepool_has(p, &b));
    ck_assert_uint_eq(fakepool_count(p), 2);
    fakepool_free(p);
}
END_TEST

START_TEST(test_only_one_family)
{
    struct fakepool *p = pool("198.18.0.0/29", NULL);
    ck_assert_str_eq(give(p, "example.com", AF_INET6), "none");
    ck_assert(!fakepool_has_family(p, AF_INET6));
    ck_assert_uint_eq(fakepool_count(p), 0);
    fakepool_free(p);
}
END_TEST

START_TEST(test_the_longest_unused_name_loses_its_place)
{
    struct fakepool *p = pool("198.18.0.0/29", NULL); /* six places */
    char name[16], last[ADDR_TEXT_MAX];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(name, sizeof(name), "n%d.example", i);
        (void)snprintf(last, sizeof(last), "198.18.0.%d", i + 1);
        ck_assert_str_eq(give(p, name, AF_INET), last);
    }
    ck_assert_str_eq(name_of(p, "198.18.0.1"), "n0.example"); /* used: the second is older now */
    ck_assert_str_eq(give(p, "new.example", AF_INET), "198.18.0.2");
    ck_assert_str_eq(name_of(p, "198.18.0.2"), "new.example");
    ck_assert_str_eq(give(p, "n1.example", AF_INET), "198.18.0.3");
    ck_assert_uint_eq(fakepool_count(p), 6);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "x%d.example", i);
        ck_assert_str_ne(give(p, name, AF_INET), "none");
        struct addr a;
        bool is_new;
        ck_assert(fakepool_give(p, name, AF_INET, &a, &is_new) && !is_new);
        ck_assert_str_eq(fakepool_name(p, &a), name);
    }
    ck_assert_uint_eq(fakepool_count(p), 6);
    fakepool_free(p);
}
END_TEST

START_TEST(test_names_that_can_have_none)
{
    struct fakepool *p = pool("198.18.0.0/15", NULL);
    char longest[300];
    static const char *const bad[] = {
        "",          ".",         "a..b",        ".a",    "a.",       "a\\.b", "a b",
        "a/b",       "192.0.2.1", "2001:db8::1", "\xc3",  "a\\009.b", "a:b.c", "host.name\n",
        "*.example", "localhost", "a.LOCALHOST", "127.1", "0x7f.0x1", "1",     "a.09"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(strcmp(give(p, bad[i], AF_INET), "none") == 0, "%s", bad[i]);
    memset(longest, 'a', sizeof(longest));
    longest[64] = 0;
    ck_assert_str_eq(give(p, longest, AF_INET), "none");
    for (size_t i = 50; i < sizeof(longest); i += 50)
        longest[i] = '.';
    longest[64] = 'a';
    longest[253] = 0;
    ck_assert_str_ne(give(p, longest, AF_INET), "none");
    longest[253] = 'a';
    longest[254] = 0;
    ck_assert_str_eq(give(p, longest, AF_INET), "none");
    ck_assert_str_ne(give(p, "_dmarc.xn--bcher-kva.example", AF_INET), "none");
    ck_assert_str_ne(give(p, "router", AF_INET), "none");
    fakepool_free(p);
}
END_TEST

START_TEST(test_ranges_that_can_be_none)
{
    static const char *const bad[] = {"198.18.0.0/30", "127.0.0.0/8",    "224.0.0.0/8", "0.0.0.0/8",
                                      "fe80::/64",     "169.254.0.0/16", "::1/128",     "ff00::/8"};
    struct fakepool *p = NULL;
    struct cidr two[2] = {cidr("198.18.0.0/15"), cidr("10.0.0.0/8")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cidr c = cidr(bad[i]);
        struct diag d = {.rc = RC_OK};
        ck_assert_msg(fakepool_new(&c, 1, &p, &d) == RC_INVALID, "%s", bad[i]);
        ck_assert_int_ne(d.text[0], 0);
    }
    ck_assert_int_eq(fakepool_new(two, 2, &p, NULL), RC_INVALID);
    ck_assert_int_eq(fakepool_new(two, 0, &p, NULL), RC_INVALID);
    p = pool("198.18.7.9/24", NULL); /* the address of a host: its net is meant */
    ck_assert_str_eq(give(p, "a.example", AF_INET), "198.18.7.1");
    fakepool_free(p);
}
END_TEST

/* ---------------------------------------------------------------- the record */

static char dir[64], path[128];

static void set_up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/cgost-fake-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/state/pool", dir);
}

static void tear_down(void)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *text, size_t n)
{
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/state", dir);
    (void)mkdir(folder, 0755);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static struct fakefile *open_file(struct fakepool *p, struct fakefile_found *found)
{
    struct fakefile *f = NULL;
    struct diag d = {.rc = RC_OK};
    ck_assert_msg(fakefile_open(path, p, &f, found, &d) == RC_OK, "%s", d.text);
    return f;
}

static void note(struct fakefile *f, struct fakepool *p, const char *name)
{
    struct addr a;
    bool is_new;
    ck_assert(fakepool_give(p, name, AF_INET6, &a, &is_new));
    ck_assert(fakepool_record(p, name, &a));
    fakefile_add(f, &a, name);
    ck_assert_int_eq(fakefile_flush(f, NULL), RC_OK);
}

START_TEST(test_addresses_outlive_a_restart_and_a_crash)
{
    struct fakepool *p = pool("198.18.0.0/15", "fd00::/64"), *q;
    struct fakefile_found found;
    struct fakefile *f = open_file(p, &found), *g;
    ck_assert_uint_eq(found.names, 0);
    note(f, p, "one.example");
    note(f, p, "two.example");
    struct addr a = addr("198.18.0.1");
    ck_assert_str_eq(fakepool_name(p, &a), "one.example");
    fakefile_close(f); /* orderly: in the order of use */
    fakepool_free(p);

    p = pool("198.18.0.0/15", NULL); /* without the other family */
    f = open_file(p, &found);
    ck_assert_uint_eq(found.names, 2);
    ck_assert_uint_eq(found.spoiled, 0);
    ck_assert_str_eq(give(p, "one.example", AF_INET), "198.18.0.1");
    ck_assert_str_eq(give(p, "three.example", AF_INET), "198.18.0.3");
    ck_assert(fakepool_record(p, "three.example", &a));
    fakefile_add(f, &a, "three.example");
    ck_assert_int_eq(fakefile_flush(f, NULL), RC_OK);

    q = pool("198.18.0.0/15", "fd00::/64");
    ck_assert_int_eq(fakefile_open(path, q, &g, &found, NULL), RC_LIMIT); /* in use */
    FILE *file = fopen(path, "r");
    char text[256] = "";
    ck_assert_ptr_nonnull(file);
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert(fakefile_parse(q, text, n, &found));
    ck_assert_uint_eq(found.names, 3);
    ck_assert_str_eq(name_of(q, "fd00::3"), "three.example");
    fakefile_close(f);
    fakepool_free(p);
    fakepool_free(q);
}
END_TEST

START_TEST(test_a_spoiled_record_gives_what_is_left)
{
    static const char text[] = FAKEFILE_HEAD "198.18.0.1 one.example\n"
                                             "\n"
                                             "198.18.0.2\n"
                                             "198.18.0.3 \n"
                                             "198.18.0.4 a b\n"
                                             "not an address\n"
                                             "10.0.0.1 elsewhere.example\n"
                                             "198.18.0.0 first.example\n"
                                             "198.18.0.6 six\0.example\n"
                                             "198.18.0.7 seven.example\n"
                                             "198.18.0.1 newer.example\n"
                                             "198.18.0.9 newer.example\n"
                                             "198.18.0.8 cut.exam";
    struct fakepool *p = pool("198.18.0.0/15", NULL);
    struct fakefile_found found;
    write_file(text, sizeof(text) - 1);
    struct fakefile *f = open_file(p, &found);
    ck_assert_uint_eq(found.spoiled, 9);
    ck_assert_uint_eq(found.names, 2);
    ck_assert(!found.set_aside);
    ck_assert_str_eq(name_of(p, "198.18.0.1"), "unknown");
    ck_assert_str_eq(name_of(p, "198.18.0.7"), "seven.example");
    ck_assert_str_eq(name_of(p, "198.18.0.9"), "newer.example");
    ck_assert_str_eq(name_of(p, "198.18.0.8"), "unknown");
    fakefile_close(f);
    fakepool_free(p);
}
END_TEST

START_TEST(test_a_file_of_somebody_else_is_set_aside)
{
    static const char text[] = "[Unit]\nDescription=important\n";
    struct fakepool *p = pool("198.18.0.0/15", NULL);
    struct fakefile_found found;
    char bad[160], back[64] = "";
    write_file(text, sizeof(text) - 1);
    struct fakefile *f = open_file(p, &found);
    ck_assert(found.set_aside);
    (void)snprintf(bad, sizeof(bad), "%s.bad", path);
    FILE *file = fopen(bad, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(back, 1, sizeof(back), file), sizeof(text) - 1);
    ck_assert_str_eq(back, text);
    ck_assert_int_eq(fclose(file), 0);
    fakefile_close(f);
    fakepool_free(p);
}
END_TEST

START_TEST(test_a_record_that_can_not_be)
{
    struct fakepool *p = pool("198.18.0.0/15", NULL);
    struct fakefile_found found;
    struct fakefile *f = NULL;
    struct diag d = {.rc = RC_OK};
    ck_assert_int_ne(fakefile_open("/proc/none/pool", p, &f, &found, &d), RC_OK);
    ck_assert_ptr_nonnull(strstr(d.text, "/proc/none/pool"));
    ck_assert_int_ne(fakefile_open(dir, p, &f, &found, NULL), RC_OK); /* a folder */
    ck_assert_str_eq(give(p, "still.example", AF_INET), "198.18.0.1");
    fakepool_free(p);
}
END_TEST

START_TEST(test_a_record_does_not_grow_without_end)
{
    struct fakepool *p = pool("198.18.0.0/26", NULL); /* 62 places, names come and go */
    struct fakefile_found found;
    struct fakefile *f = open_file(p, &found);
    char name[64];
    struct stat st;
    off_t most = 0;
    for (int i = 0; i < 60000; i++) {
        struct addr a;
        bool is_new;
        (void)snprintf(name, sizeof(name), "some-longer-name-%d.example.org", i);
        ck_assert(fakepool_give(p, name, AF_INET, &a, &is_new) && is_new);
        fakefile_add(f, &a, name);
        if (i % 64 != 0)
            continue;
        ck_assert_int_eq(fakefile_flush(f, NULL), RC_OK);
        ck_assert_int_eq(stat(path, &st), 0);
        if (st.st_size > most)
            most = st.st_size;
    }
    ck_assert_int_lt(most, 2 << 20);
    ck_assert_int_gt(most, 1 << 19);
    fakefile_close(f);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_lt(st.st_size, 4096);
    fakepool_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fakepool");
    TCase *names = tcase_create("names"), *record = tcase_create("record");
    tcase_add_test(names, test_a_name_keeps_its_address_in_both_families);
    tcase_add_test(names, test_an_address_in_use_is_nobody_elses);
    tcase_add_test(names, test_a_flood_of_names_leaves_places_for_others);
    tcase_add_test(names, test_a_small_pool_is_shared_out);
    tcase_add_test(names, test_only_one_family);
    tcase_add_test(names, test_the_longest_unused_name_loses_its_place);
    tcase_add_test(names, test_names_that_can_have_none);
    tcase_add_test(names, test_ranges_that_can_be_none);
    suite_add_tcase(s, names);
    tcase_add_checked_fixture(record, set_up, tear_down);
    tcase_add_test(record, test_addresses_outlive_a_restart_and_a_crash);
    tcase_add_test(record, test_a_spoiled_record_gives_what_is_left);
    tcase_add_test(record, test_a_file_of_somebody_else_is_set_aside);
    tcase_add_test(record, test_a_record_that_can_not_be);
    tcase_add_test(record, test_a_record_does_not_grow_without_end);
    suite_add_tcase(s, record);
    return run_suite(s);
}
