/* Kept answers: found by question and bits, counted down, given up in time and when there is no
 * more room.
 */
#include "chain/answers.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct answers *kept;
static uint8_t query[512], answer[8192], out[8192];
static size_t query_n, answer_n, out_n;
static struct dns_msg asked;
static const struct addr *asker; /* NULL: nobody */

static void ask(const char *name, uint16_t type, uint16_t id)
{
    struct dns_query q = {.id = id, .type = type, .name = name};
    ck_assert_int_eq(dns_format_query(&q, query, sizeof query, &query_n), RC_OK);
    ck_assert_int_eq(dns_parse_query(query, query_n, &asked), RC_OK);
}

/* An answer to what was asked, with one address and this TTL. */
static void make_answer(uint32_t ttl_s)
{
    struct addr a;
    ck_assert(addr_parse_ip("192.0.2.1", 9, &a));
    ck_assert_int_eq(dns_format_answer(query, &asked, DNS_NOERROR, &a, 1, ttl_s, answer,
                                       sizeof answer, &answer_n),
                     RC_OK);
}

static void put(uint64_t now_ms, uint64_t keep_ms, uint32_t bits)
{
    struct answer_key key = {&asked, bits, asker};
    answers_put(kept, &key, now_ms, answer, answer_n, keep_ms);
}

static bool get(uint64_t now_ms, uint32_t bits)
{
    struct answer_key key = {&asked, bits, asker};
    return answers_get(kept, &key, query, now_ms, out, sizeof out, &out_n);
}

static uint32_t ttl(void)
{
    struct dns_msg m;
    struct dns_walk w;
    struct dns_record r;
    ck_assert_int_eq(dns_parse(out, out_n, &m), RC_OK);
    ck_assert_int_eq(dns_walk_start(&w, out, out_n, &m), RC_OK);
    ck_assert_int_eq(dns_walk_next(&w, &r), RC_OK);
    return r.ttl_s;
}

static void start(void)
{
    kept = answers_new();
    ck_assert(kept != NULL);
}

START_TEST(test_an_answer_is_counted_down)
{
    start();
    ask("a.test", DNS_A, 1);
    make_answer(60);
    put(1000, 60000, 0);
    ask("A.tesT", DNS_A, 0x1234);
    ck_assert(get(1999, 0));
    ck_assert_uint_eq(ttl(), 60);
    ck_assert_uint_eq(out[0] << 8 | out[1], 0x1234);
    ck_assert_mem_eq(out + 12, query + 12, query_n - 12); /* the name as it was asked for */
    ck_assert(get(31500, 0));
    ck_assert_uint_eq(ttl(), 30);
    ck_assert(get(60999, 0));
    ck_assert_uint_eq(ttl(), 1);
    ck_assert(!get(61000, 0));
    answers_free(kept);
}
END_TEST

START_TEST(test_what_makes_a_question_another_one)
{
    start();
    ask("a.test", DNS_A, 1);
    make_answer(60);
    put(0, 60000, 5);
    ck_assert(get(1, 5));
    ck_assert(!get(1, 4));
    ask("a.test", DNS_AAAA, 1);
    ck_assert(!get(1, 5));
    ask("b.test", DNS_A, 1);
    ck_assert(!get(1, 5));
    ask("a.test", DNS_A, 1);
    asked.class = 3;
    ck_assert(!get(1, 5));
    answers_free(kept);
}
END_TEST

START_TEST(test_a_longer_or_shorter_life_than_its_ttl)
{
    start();
    ask("a.test", DNS_A, 1);
    make_answer(10);
    put(0, 60000, 0);
    ck_assert(get(30000, 0)); /* kept by the operator's word: its own time is over */
    ck_assert_uint_eq(ttl(), 0);
    make_answer(100);
    put(0, 5000, 0);
    ck_assert(get(4999, 0));
    ck_assert_uint_eq(ttl(), 96);
    ck_assert(!get(5000, 0));
    answers_free(kept);
}
END_TEST

START_TEST(test_the_newest_counts_and_nothing_takes_it_away)
{
    start();
    ask("a.test", DNS_A, 1);
    make_answer(10);
    put(0, 10000, 0);
    make_answer(50);
    put(1000, 50000, 0);
    ck_assert(get(1000, 0));
    ck_assert_uint_eq(ttl(), 50);
    put(2000, 0, 0); /* it may not be kept any more */
    ck_assert(!get(2000, 0));
    answers_free(kept);
}
END_TEST

START_TEST(test_no_room)
{
    struct answer_key key = {&asked, 0, NULL};
    start();
    ask("a.test", DNS_A, 1);
    make_answer(60);
    put(0, 60000, 0);
    ck_assert(!answers_get(kept, &key, query, 1, out, answer_n - 1, &out_n));
    ck_assert(get(1, 0));
    ask("long.test", DNS_A, 1);
    make_answer(60);
    memset(answer + answer_n, 0, sizeof answer - answer_n);
    answers_put(kept, &key, 0, answer, ANSWER_MAX_BYTES + 1, 60000);
    ck_assert(!get(1, 0));
    answers_put(kept, &key, 0, "no DNS", 6, 60000);
    ck_assert(!get(1, 0));
    answers_free(kept);
}
END_TEST

static void name_of(int i, char *name)
{
    sprintf(name, "n%d.test", i);
}

START_TEST(test_the_longest_unused_go_first)
{
    char name[32];
    start();
    for (int i = 0; i < ANSWERS_MAX + 100; i++) {
        name_of(i, name);
        ask(name, DNS_A, 1);
        make_answer(60);
        put(0, 60000, 0);
        ask("n0.test", DNS_A, 1); /* used all the time */
        ck_assert(get(1, 0));
    }
    int there = 0;
    for (int i = 0; i < ANSWERS_MAX + 100; i++) {
        name_of(i, name);
        ask(name, DNS_A, 1);
        bool found = get(2, 0);
        there += found;
        ck_assert(found == (i == 0 || i > 100));
    }
    ck_assert_int_eq(there, ANSWERS_MAX);
    answers_free(kept);
}
END_TEST

START_TEST(test_bytes_are_capped_too)
{
    char name[32];
    int there = 0;
    start();
    for (int i = 0; i < 2000; i++) {
        name_of(i, name);
        ask(name, DNS_A, 1);
        make_answer(60);
        memset(answer + answer_n, 0, ANSWER_MAX_BYTES - answer_n);
        answer_n = ANSWER_MAX_BYTES;
        put(0, 60000, 0);
    }
    for (int i = 0; i < 2000; i++) {
        name_of(i, name);
        ask(name, DNS_A, 1);
        there += get(1, 0);
    }
    ck_assert_int_lt(there, ANSWERS_MAX_BYTES / ANSWER_MAX_BYTES);
    ck_assert_int_gt(there, ANSWERS_MAX_BYTES / ANSWER_MAX_BYTES / 2);
    answers_free(kept);
}
END_TEST

/* Keeps n answers of so many bytes for the client; their names begin with c. */
static void fill(const struct addr *client, char c, int n, size_t bytes)
{
    char name[32];
    asker = client;
    for (int i = 0; i < n; i++) {
        sprintf(name, "%c%d.test", c, i);
        ask(name, DNS_A, 1);
        make_answer(60);
        memset(answer + answer_n, 0, sizeof answer - answer_n);
        answer_n = bytes > answer_n ? bytes : answer_n;
        put(0, 60000, 0);
    }
}

static int count(char c, int n)
{
    char name[32];
    int there = 0;
    asker = NULL;
    for (int i = 0; i < n; i++) {
        sprintf(name, "%c%d.test", c, i);
        ask(name, DNS_A, 1);
        there += get(1, 0);
    }
    return there;
}

/* One that asks for very many names, or for very large answers, loses its own. */
START_TEST(test_a_greedy_client_loses_its_own)
{
    size_t bytes = _i ? ANSWER_MAX_BYTES : 0;
    struct addr a = {.family = AF_INET, .ip = {10, 0, 0, 1}}, b = a, c = a;
    int room = _i ? 1000 : ANSWERS_MAX;
    b.ip[3] = 2;
    c.ip[3] = 3;
    start();
    fill(&b, 'b', 300, 0); /* as many as can be, whatever the other's are */
    fill(&a, 'a', 10000, bytes);
    ck_assert_int_eq(count('b', 300), 300);
    fill(&c, 'c', 300, 0);
    ck_assert_int_eq(count('b', 300) + count('c', 300), 600);
    ck_assert_int_gt(count('a', 10000), room - 700);
    /* what one with few uses is not the greedy one's to lose, who asked first or not */
    asker = &b;
    ask("a9999.test", DNS_A, 1);
    ck_assert(get(1, 0));
    fill(&a, 'd', 10000, bytes);
    ck_assert_int_eq(count('a', 10000), 1);
    ck_assert_int_eq(count('b', 300), 300);
    answers_free(kept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("answers");
    TCase *tc = tcase_create("answers");
    tcase_add_test(tc, test_an_answer_is_counted_down);
    tcase_add_test(tc, test_what_makes_a_question_another_one);
    tcase_add_test(tc, test_a_longer_or_shorter_life_than_its_ttl);
    tcase_add_test(tc, test_the_newest_counts_and_nothing_takes_it_away);
    tcase_add_test(tc, test_no_room);
    tcase_add_test(tc, test_the_longest_unused_go_first);
    tcase_add_test(tc, test_bytes_are_capped_too);
    tcase_add_loop_test(tc, test_a_greedy_client_loses_its_own, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
