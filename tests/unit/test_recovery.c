/* The recovery machine against a model of a bad link, and against reports that are not true. */
#include "run.h"
#include "tests/unit/lossnet.h"
#include <check.h>

static struct lossnet net;

static double run_mbit(struct lossnet_cfg cfg)
{
    cfg.seed = cfg.seed ? cfg.seed : 7;
    cfg.first = 0xffff0000; /* the sequence wraps soon */
    uint64_t us = lossnet_run(&net, &cfg, 600000000);
    ck_assert_msg(us != 0, "did not end: una %u of %u", net.r.una - cfg.first, (unsigned)cfg.bytes);
    return (double)cfg.bytes * 8 / (double)us;
}

static double wire(void)
{
    return (double)net.sent_bytes / (double)net.cfg.bytes;
}

#define LINK .mbit = 100, .window = 4 << 20, .queue = 300

START_TEST(test_losses_of_the_radio_cost_little)
{
    static const struct {
        uint32_t delay_us, loss, ack_loss;
        double least;
    } t[] = {{1000, 100, 0, 92},    {10000, 100, 0, 88},  {10000, 300, 0, 85},
             {10000, 300, 300, 82}, {1000, 500, 500, 85}, {50000, 100, 0, 65}};

    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
        double mbit =
            run_mbit((struct lossnet_cfg){LINK, .bytes = 50 << 20, .delay_us = t[i].delay_us,
                                          .loss = t[i].loss, .ack_loss = t[i].ack_loss});
        ck_assert_msg(mbit > t[i].least, "%u: %.1f Mbit/s", i, mbit);
        ck_assert_msg(wire() < 1.1, "%u: wire %.3f", i, wire());
    }
}
END_TEST

/* Losses of the first round trips, before anything is known, do not make the flow slow for long. */
START_TEST(test_no_seed_is_unlucky)
{
    for (unsigned seed = 1; seed <= 40; seed++) {
        double mbit = run_mbit((struct lossnet_cfg){.mbit = 300,
                                                    .window = 4 << 20,
                                                    .queue = 1000,
                                                    .bytes = 30 << 20,
                                                    .delay_us = 10000,
                                                    .loss = 100,
                                                    .ack_loss = 100,
                                                    .seed = seed * 77});
        ck_assert_msg(mbit > 130, "seed %u: %.1f Mbit/s", seed, mbit);
    }
}
END_TEST

START_TEST(test_cubic_slows_down)
{
    struct lossnet_cfg cfg = {LINK, .kind = CONGESTION_CUBIC, .bytes = 5 << 20, .delay_us = 10000,
                              .loss = 100};

    ck_assert(run_mbit(cfg) < 30);
    cfg.loss = 0;
    cfg.bytes = 50 << 20;
    ck_assert(run_mbit(cfg) > 85);
}
END_TEST

START_TEST(test_overtaking_is_no_loss)
{
    for (int kind = CONGESTION_TOLERANT; kind <= CONGESTION_CUBIC; kind++)
        for (uint32_t delay = 1000; delay <= 10000; delay *= 10) {
            double mbit = run_mbit((struct lossnet_cfg){LINK, .kind = (enum congestion_kind)kind,
                                                        .bytes = 50 << 20, .delay_us = delay,
                                                        .overtaken = 100, .by = 8});
            ck_assert_msg(mbit >= 90, "%d, %u us: %.1f Mbit/s", kind, delay, mbit);
            ck_assert_uint_gt(net.r.reordering, 1);
        }
}
END_TEST

/* Without reports of doubles the time that packets came late teaches the same. */
START_TEST(test_overtaking_without_dsack)
{
    double mbit = run_mbit((struct lossnet_cfg){LINK, .bytes = 50 << 20, .delay_us = 10000,
                                                .overtaken = 100, .by = 8, .no_doubles = true});
    ck_assert_msg(mbit >= 88, "%.1f Mbit/s", mbit);
}
END_TEST

/* Slow start stops at the queue's beginning, not at its end. */
START_TEST(test_an_empty_queue_loses_little)
{
    for (int kind = CONGESTION_TOLERANT; kind <= CONGESTION_CUBIC; kind++) {
        run_mbit((struct lossnet_cfg){LINK, .kind = (enum congestion_kind)kind, .bytes = 20 << 20,
                                      .delay_us = 10000});
        ck_assert_uint_lt(net.dropped, 50);
    }
}
END_TEST

START_TEST(test_everything_at_once)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        run_mbit((struct lossnet_cfg){LINK, .kind = (enum congestion_kind)(seed % 2),
                                      .bytes = 1 << 20, .delay_us = 1000 + seed * 1000,
                                      .loss = seed * 50, .ack_loss = seed * 50, .overtaken = 200,
                                      .by = 1 + seed, .doubled = 100, .seed = seed});
        ck_assert_msg(wire() < 1.5, "seed %u: %.3f", seed, wire());
    }
}
END_TEST

START_TEST(test_small_windows)
{
    static const uint32_t windows[] = {NET_MSS, 2304, 16384};

    for (unsigned i = 0; i < 3; i++)
        run_mbit((struct lossnet_cfg){
            .mbit = 100, .window = windows[i], .bytes = 300000, .delay_us = 1000, .loss = 300});
}
END_TEST

/* RFC 2018 8: what was reported and then dropped is sent again after some timeouts. */
START_TEST(test_receiver_that_forgets)
{
    run_mbit((struct lossnet_cfg){LINK, .bytes = 20 << 20, .delay_us = 10000, .loss = 100,
                                  .forgets_us = 300000});
    ck_assert_uint_gt(net.r.count.timeouts, 0);
}
END_TEST

START_TEST(test_nobody_answers)
{
    struct lossnet_cfg cfg = {.bytes = 100000, .delay_us = 1000, .loss = 10000, .seed = 1};

    ck_assert_uint_eq(lossnet_run(&net, &cfg, 1000000000), 0);
    ck_assert(net.gave_up);
    ck_assert_uint_lt(net.sent_bytes, 100000);
    ck_assert_uint_gt(net.link->now, 60000000);
}
END_TEST

/* --- by hand */

static struct recovery r;
static uint64_t now = 1000000;

static void begin(uint32_t bytes)
{
    recovery_init(&r, CONGESTION_CUBIC, 1000, 5000, now);
    recovery_sent(&r, 5000 + bytes, now);
}

static void ack(uint32_t at, uint32_t from, uint32_t to)
{
    recovery_ack(&r, at, &(struct sack_block){from, to}, from != to, now);
}

START_TEST(test_three_pieces_above_mean_lost)
{
    uint32_t seq, len;

    begin(10000);
    now += 1000;
    ack(6000, 7000, 8000);
    ck_assert(!recovery_next(&r, 64000, &seq, &len));
    ack(6000, 7000, 9000);
    ck_assert(!recovery_next(&r, 64000, &seq, &len));
    ack(6000, 7000, 10000);
    ck_assert(recovery_next(&r, 64000, &seq, &len));
    ck_assert_uint_eq(seq, 6000);
    ck_assert_uint_eq(len, 1000);
    recovery_resent(&r, seq, len, now);
    ck_assert(!recovery_next(&r, 64000, &seq, &len));
    ck_assert_uint_eq(r.cc.cwnd, 6300); /* 9,000 were on their way */
    recovery_done(&r);
}
END_TEST

START_TEST(test_double_undoes_the_cut)
{
    uint32_t seq, len;

    begin(10000);
    now += 1000;
    ack(6000, 7000, 10000);
    ck_assert(recovery_next(&r, 64000, &seq, &len));
    recovery_resent(&r, seq, len, now);
    ck_assert_uint_lt(r.cc.cwnd, 10000);
    now += 100;
    ack(10000, 0, 0); /* it was late */
    ack(10000, 6000, 7000);
    ck_assert_uint_ge(r.cc.cwnd, 10000);
    ck_assert_uint_eq(r.count.undone, 1);
    ck_assert_uint_gt(r.reordering, 0);
    recovery_done(&r);
}
END_TEST

START_TEST(test_tail_is_probed_then_times_out)
{
    uint32_t seq, len;

    begin(3500);
    now += 1000;
    ack(6000, 0, 0);
    uint64_t due = recovery_due(&r);
    ck_assert_uint_le(due, now + 13000);
    now = due;
    ck_assert(recovery_tick(&r, now));
    ck_assert(recovery_next(&r, 64000, &seq, &len));
    ck_assert_uint_eq(seq + len, 8500);
    ck_assert_uint_eq(len, 1000);
    recovery_resent(&r, seq, len, now);
    ck_assert(!recovery_next(&r, 64000, &seq, &len));
    ck_assert_uint_ge(recovery_due(&r), now + 200000);
    now = recovery_due(&r);
    ck_assert(recovery_tick(&r, now));
    ck_assert(recovery_next(&r, 64000, &seq, &len));
    ck_assert_uint_eq(seq, 6000);
    ck_assert_uint_eq(r.cc.cwnd, 2000);
    recovery_done(&r);
}
END_TEST

START_TEST(test_lies_change_nothing)
{
    static const struct sack_block lies[] = {{4000, 5000},
                                             {15000, 16000},
                                             {14000, 15001},
                                             {9000, 8000},
                                             {8000, 8000},
                                             {0, 0xffffffff},
                                             {5000 + 0x80000000, 9000},
                                             {4000, 4500}};

    begin(10000);
    for (unsigned i = 0; i < sizeof lies / sizeof *lies; i++) {
        recovery_ack(&r, 5000, &lies[i], 1, now);
        ck_assert_uint_eq(r.fack, 5000);
        ck_assert_uint_eq(r.holes.n, 0);
    }
    recovery_ack(&r, 15001, NULL, 0, now); /* never sent */
    recovery_ack(&r, 4999, NULL, 0, now);
    ck_assert_uint_eq(r.una, 5000);
    ck_assert_uint_eq(recovery_limit(&r), 10000);
    recovery_done(&r);
}
END_TEST

/* A client may report every second byte: the list has an end, and nothing is believed that does not
 * fit into it. */
START_TEST(test_thousands_of_holes)
{
    uint32_t seq, len, n = 0;

    begin(9000);
    for (uint32_t at = 5001; at < 14000; at += 2)
        ack(5000, at, at + 1);
    ck_assert_uint_eq(r.holes.n, HOLES_MAX);
    ck_assert_uint_lt(r.fack, 8000);
    while (recovery_next(&r, 64000, &seq, &len) && n++ < 5000)
        recovery_resent(&r, seq, len, now);
    ck_assert_uint_le(n, HOLES_MAX);
    ack(14000, 0, 0);
    ck_assert_uint_eq(r.holes.n, 0);
    ck_assert_ptr_null(r.holes.v);
    recovery_done(&r);
}
END_TEST

START_TEST(test_bursts_wait_for_their_turn)
{
    recovery_init(&r, CONGESTION_CUBIC, 1000, 5000, now);
    r.cc.cwnd = 4000000;
    rtt_add(&r.rtt, 100000);
    now += 1000;
    recovery_ack(&r, 5000, NULL, 0, now);
    uint32_t first = recovery_limit(&r);
    ck_assert_uint_le(first, 1000000); /* 100 ms have 4 MB */
    recovery_sent(&r, 5000 + first, now);
    ck_assert_uint_le(recovery_limit(&r), first + 1000);
    now += 5000;
    recovery_ack(&r, 5000, NULL, 0, now);
    ck_assert_uint_gt(recovery_limit(&r), first + 200000);
    ck_assert_uint_lt(recovery_limit(&r), first + 500000);
    recovery_done(&r);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_losses_of_the_radio_cost_little,
        test_no_seed_is_unlucky,
        test_cubic_slows_down,
        test_overtaking_is_no_loss,
        test_overtaking_without_dsack,
        test_an_empty_queue_loses_little,
        test_everything_at_once,
        test_small_windows,
        test_receiver_that_forgets,
        test_nobody_answers,
        test_three_pieces_above_mean_lost,
        test_double_undoes_the_cut,
        test_tail_is_probed_then_times_out,
        test_lies_change_nothing,
        test_thousands_of_holes,
        test_bursts_wait_for_their_turn,
    };
    Suite *suite = suite_create("recovery");
    TCase *t = tcase_create("recovery");

    tcase_set_timeout(t, 60);
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
