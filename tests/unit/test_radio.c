/* What is taken for the radio's loss, and what is not. */
#include "listeners/tungo/radio.h"
#include "run.h"
#include <check.h>

enum { MSS = 1000, TOP = 100 * MSS, LOW = 70 * MSS };

static struct radio radio;
static uint32_t round_trip;

static struct radio_view at(double window)
{
    return (struct radio_view){window, MSS, 0.02, round_trip};
}

/* A round trip with a window, of which `lost` packets get lost one by one. The last answer. */
static enum radio_answer pass(double window, unsigned lost)
{
    struct radio_view v = at(window);
    enum radio_answer answer = RADIO_TOLERATE;

    radio_on_arrived(&radio, window - lost * MSS, &v);
    while (lost--)
        answer = radio_on_lost(&radio, MSS, &v);
    round_trip++;
    return answer;
}

static void cut(double lost)
{
    radio_on_cut(&radio, TOP, lost);
    radio_on_settled(&radio);
}

static void begin(void)
{
    radio = (struct radio){0};
    round_trip = 1;
}

/* It loses 1 % in every round trip, whatever the window is. */
static void learn(void)
{
    begin();
    cut(0.01);
    ck_assert_int_eq(pass(LOW, 1), RADIO_TOLERATE);
    ck_assert_int_eq(pass(LOW, 1), RADIO_TOLERATE);
    ck_assert_int_eq(pass(LOW, 1), RADIO_UNDO);
}

START_TEST(test_first_loss_is_heeded)
{
    begin();
    ck_assert_int_eq(pass(TOP, 1), RADIO_HEED);
}
END_TEST

START_TEST(test_losses_that_go_on_are_the_radios)
{
    learn();
    ck_assert_double_gt(radio.rate, 0.005);
    ck_assert_double_lt(radio.rate, 0.02);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(pass(TOP, 1), RADIO_TOLERATE);
}
END_TEST

START_TEST(test_losses_that_stop_were_a_queues)
{
    begin();
    for (int cycle = 0; cycle < 10; cycle++) {
        cut(0.03);
        for (double w = LOW; w < TOP; w += MSS / 2)
            ck_assert_int_eq(pass(w, 0), RADIO_TOLERATE);
        ck_assert_int_eq(pass(TOP, 3), RADIO_HEED);
        ck_assert_double_eq(radio.rate, 0);
    }
}
END_TEST

/* Somebody else fills the queue while our window is low: many losses, but in few round trips. */
START_TEST(test_a_burst_is_no_radio)
{
    begin();
    for (int cycle = 0; cycle < 10; cycle++) {
        cut(0.03);
        for (int i = 0; i < 60; i++)
            ck_assert_int_eq(pass(LOW, i == 20 ? 8 : 0), RADIO_TOLERATE);
        ck_assert_int_eq(pass(TOP, 1), RADIO_HEED);
        ck_assert_double_eq(radio.rate, 0);
    }
}
END_TEST

/* As often as a CUBIC of that window loses anyway. */
START_TEST(test_what_cubic_lives_with_is_no_radio)
{
    begin();
    cut(0.01);
    for (int i = 0; i < 200; i++)
        pass(LOW, i % 60 == 59);
    ck_assert_double_eq(radio.rate, 0);
    ck_assert_int_eq(pass(TOP, 1), RADIO_HEED);
}
END_TEST

START_TEST(test_more_than_the_radio_is_heeded)
{
    int rounds = 0;

    learn();
    while (pass(TOP, 4) != RADIO_HEED)
        ck_assert_int_lt(++rounds, 20);
}
END_TEST

/* The cut was right: far more was lost before it than after it. */
START_TEST(test_a_cut_for_a_queue_stands)
{
    begin();
    cut(0.3);
    pass(LOW, 1);
    pass(LOW, 1);
    ck_assert_int_eq(pass(LOW, 1), RADIO_TOLERATE);
    ck_assert_double_gt(radio.rate, 0);
}
END_TEST

START_TEST(test_a_radio_that_is_good_again_is_forgotten)
{
    learn();
    cut(0.05);
    for (int i = 0; i < 40; i++)
        pass(LOW, 0);
    ck_assert_double_gt(radio.rate, 0);
    pass(TOP, 0);
    ck_assert_double_eq(radio.rate, 0);
    ck_assert_int_eq(pass(TOP, 1), RADIO_HEED);
}
END_TEST

START_TEST(test_never_more_than_a_sixteenth)
{
    int heeded = 0;

    begin();
    cut(0.2);
    for (int i = 0; i < 3; i++)
        pass(LOW, 20);
    for (int i = 0; i < 50; i++)
        heeded += pass(TOP, 8) == RADIO_HEED;
    ck_assert_int_gt(heeded, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_first_loss_is_heeded,
        test_losses_that_go_on_are_the_radios,
        test_losses_that_stop_were_a_queues,
        test_a_burst_is_no_radio,
        test_what_cubic_lives_with_is_no_radio,
        test_more_than_the_radio_is_heeded,
        test_a_cut_for_a_queue_stands,
        test_a_radio_that_is_good_again_is_forgotten,
        test_never_more_than_a_sixteenth,
    };
    Suite *suite = suite_create("radio");
    TCase *t = tcase_create("radio");

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
