/* The receive window follows what the client can use. */
#include "listeners/tungo/inwindow.h"
#include "run.h"
#include <check.h>

enum { MOST = 4 << 20 };

static struct inwindow w;

/* A window's worth comes and is consumed but for unread; it takes so long. */
static void round_of(uint64_t us, uint32_t unread)
{
    uint32_t at = w.mark;
    uint64_t from = w.mark_us;

    inwindow_consumed(&w, at - 1, unread, from + us);
    inwindow_consumed(&w, at, unread, from + us);
}

static void begin(uint64_t rtt_us)
{
    inwindow_init(&w, INWINDOW_FIRST_BYTES, MOST, 0xffffff00, 1000000);
    inwindow_set_rtt(&w, rtt_us);
}

START_TEST(test_grows_while_it_is_the_limit)
{
    begin(100000);
    round_of(110000, 0);
    ck_assert_uint_eq(w.bytes, 2 * INWINDOW_FIRST_BYTES);
    for (int i = 0; i < 10; i++)
        round_of(110000, 0);
    ck_assert_uint_eq(w.bytes, MOST);
}
END_TEST

START_TEST(test_stays_when_something_else_is)
{
    begin(100000);
    for (int i = 0; i < 10; i++)
        round_of(400000, 0);
    ck_assert_uint_eq(w.bytes, INWINDOW_FIRST_BYTES);
}
END_TEST

START_TEST(test_near_clients_stay_in_the_cache)
{
    begin(50);
    for (int i = 0; i < 10; i++)
        round_of(100, 0);
    ck_assert_uint_eq(w.bytes, INWINDOW_NEAR_BYTES);
}
END_TEST

START_TEST(test_gives_back_what_lies_unread)
{
    begin(100000);
    for (int i = 0; i < 10; i++)
        round_of(110000, 0);
    round_of(110000, MOST / 2 + 1);
    ck_assert_uint_eq(w.bytes, MOST / 2);
    for (int i = 0; i < 10; i++)
        round_of(110000, MOST);
    ck_assert_uint_eq(w.bytes, INWINDOW_FIRST_BYTES);
}
END_TEST

START_TEST(test_asked_for_is_asked_for)
{
    inwindow_init(&w, 65536, 65536, 7, 1000000);
    inwindow_set_rtt(&w, 100000);
    round_of(1000, 0);
    round_of(1000, 65536);
    ck_assert_uint_eq(w.bytes, 65536);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_grows_while_it_is_the_limit,    test_stays_when_something_else_is,
        test_near_clients_stay_in_the_cache, test_gives_back_what_lies_unread,
        test_asked_for_is_asked_for,
    };
    Suite *suite = suite_create("inwindow");
    TCase *t = tcase_create("inwindow");

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
