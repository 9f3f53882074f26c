/* tests/unit/test_shares.c - who holds most loses its own; nothing that others do takes from those
 * that have few. */
#include "core/shares.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS = 4000, CLIENTS = 60 };

static struct shares all;
static struct share v[ITEMS];

static struct addr client(unsigned n)
{
    return (struct addr){.family = AF_INET, .ip = {10, 0, (uint8_t)(n >> 8), (uint8_t)n}};
}

static void start(void)
{
    memset(v, 0, sizeof v);
    shares_init(&all);
}

static void add(struct share *x, unsigned who, size_t weight)
{
    struct addr a = client(who);
    ck_assert(shares_add(&all, x, &a, weight));
}

static size_t of(unsigned who)
{
    struct addr a = client(who);
    return shares_of(&all, &a);
}

START_TEST(test_the_one_that_holds_most_loses_its_oldest)
{
    start();
    ck_assert_ptr_null(shares_oldest(&all));
    add(&v[0], 1, 1);
    add(&v[1], 1, 1);
    add(&v[2], 2, 1);
    for (int i = 10; i < 110; i++)
        add(&v[i], 3, 1);
    for (int i = 10; i < 108; i++) {
        ck_assert_ptr_eq(shares_oldest(&all), &v[i]);
        shares_remove(&all, &v[i]);
    }
    ck_assert_uint_eq(of(1), 2);
    ck_assert_uint_eq(of(2), 1);
    ck_assert_uint_eq(of(3), 2);
    ck_assert_uint_eq(of(4), 0);
    shares_used(&all, &v[0], NULL);
    shares_remove(&all, &v[108]);
    ck_assert_ptr_eq(shares_oldest(&all), &v[1]); /* the other one was used later */
    shares_remove(&all, &v[108]);                 /* again: nothing */
    struct share never = {0};
    shares_remove(&all, &never);
    shares_remove(&all, &v[0]);
    shares_remove(&all, &v[1]);
    shares_remove(&all, &v[2]);
    shares_remove(&all, &v[109]);
    ck_assert_uint_eq(all.n_clients, 0);
    ck_assert_ptr_null(shares_oldest(&all));
}
END_TEST

START_TEST(test_of_equals_the_one_that_used_nothing_loses)
{
    start();
    for (unsigned i = 0; i < 5; i++)
        add(&v[i], i, 1);
    shares_used(&all, &v[0], NULL);
    ck_assert_ptr_eq(shares_oldest(&all), &v[1]);
    add(&v[5], 5, 1);
    shares_used(&all, &v[1], NULL);
    ck_assert_ptr_eq(shares_oldest(&all), &v[2]);
    shares_weigh(&all, &v[4], 7);
    ck_assert_ptr_eq(shares_oldest(&all), &v[4]);
    ck_assert_uint_eq(of(4), 7);
    shares_weigh(&all, &v[4], 0);
    ck_assert_ptr_eq(shares_oldest(&all), &v[2]);
    for (int i = 0; i < 6; i++)
        shares_remove(&all, &v[i]);
    ck_assert_uint_eq(all.n_clients, 0);
}
END_TEST

START_TEST(test_what_several_use_is_of_the_one_that_has_least)
{
    struct addr one = client(1), two = client(2);
    start();
    ck_assert(shares_add(&all, &v[0], NULL, 1));
    shares_used(&all, &v[0], &one); /* nobody's is whoever's that uses it */
    ck_assert_uint_eq(of(1), 1);
    shares_used(&all, &v[0], &two);
    ck_assert(share_is_of(&v[0], &one)); /* that would only move it */
    add(&v[1], 1, 1);
    add(&v[2], 1, 1);
    shares_used(&all, &v[0], &two);
    ck_assert(share_is_of(&v[0], &two));
    shares_used(&all, &v[0], &one); /* who has more cannot take it back */
    shares_used(&all, &v[0], NULL);
    ck_assert(share_is_of(&v[0], &two));
    ck_assert_uint_eq(of(1), 2);
    for (int i = 0; i < 3; i++)
        shares_remove(&all, &v[i]);
    ck_assert_uint_eq(all.n_clients, 0);
}
END_TEST

START_TEST(test_an_ipv6_network_is_one_client)
{
    struct addr a = {.family = AF_INET6, .port = 1, .ip = {32, 1, [7] = 1, [15] = 1}}, b = a, c = a;
    struct addr v4 = {.family = AF_INET, .ip = {32, 1}};
    start();
    b.ip[15] = 2;
    b.port = 2;
    c.ip[7] = 2;
    ck_assert(shares_add(&all, &v[0], &a, 1) && shares_add(&all, &v[1], &b, 1));
    ck_assert(shares_add(&all, &v[2], &c, 1) && shares_add(&all, &v[3], &v4, 1));
    ck_assert_uint_eq(shares_of(&all, &b), 2);
    ck_assert_uint_eq(shares_of(&all, &c), 1);
    ck_assert_uint_eq(shares_of(&all, &v4), 1);
    for (int i = 0; i < 4; i++)
        shares_remove(&all, &v[i]);
}
END_TEST

/* Against sums that are kept here: the one that loses holds at least 7/8 of what anybody holds. */
START_TEST(test_most_is_most)
{
    size_t sum[CLIENTS] = {0};
    unsigned owner[ITEMS] = {0};
    start();
    srand(7);
    for (int i = 0; i < 60000; i++) {
        int at = rand() % ITEMS;
        unsigned who = (unsigned)((rand() % CLIENTS) * (rand() % CLIENTS) / CLIENTS);
        if (v[at].holder) {
            shares_remove(&all, &v[at]);
            sum[owner[at]] -= v[at].weight;
        } else {
            add(&v[at], who, 1 + (size_t)rand() % 5);
            owner[at] = who;
            sum[who] += v[at].weight;
        }
        size_t most = 0;
        for (int k = 0; k < CLIENTS; k++)
            most = sum[k] > most ? sum[k] : most;
        struct share *x = shares_oldest(&all);
        ck_assert(x ? sum[owner[x - v]] >= most - most / 8 : most == 0);
        ck_assert_uint_eq(of(who), sum[who]);
    }
    for (int i = 0; i < ITEMS; i++)
        shares_remove(&all, &v[i]);
    ck_assert_uint_eq(all.n_clients, 0);
}
END_TEST

START_TEST(test_something_is_left_for_the_next_one)
{
    size_t n = 0, has[20] = {0};
    for (int who = 0; who < 20; who++) {
        while (shares_may(has[who], n, 4096)) {
            has[who]++;
            n++;
        }
        ck_assert(who > 9 || has[who] >= 4096u / 8 / (2u << who));
    }
    ck_assert_uint_eq(has[0], 4096 - 4096 / 8);
    ck_assert_uint_le(n, 4096);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("shares");
    TCase *t = tcase_create("shares");
    tcase_add_test(t, test_the_one_that_holds_most_loses_its_oldest);
    tcase_add_test(t, test_of_equals_the_one_that_used_nothing_loses);
    tcase_add_test(t, test_what_several_use_is_of_the_one_that_has_least);
    tcase_add_test(t, test_an_ipv6_network_is_one_client);
    tcase_add_test(t, test_most_is_most);
    tcase_add_test(t, test_something_is_left_for_the_next_one);
    suite_add_tcase(s, t);
    return run_suite(s);
}
