/* The rules of the recovery machine one by one, each by the least that shows it: when a resend is
 * lost again, what is measured, how patience comes and goes. Pieces are 1,000 bytes from 5,000 on.
 */
#include "listeners/tungo/recovery.h"
#include "run.h"
#include <check.h>

enum { MSS = 1000, FIRST = 5000, MS = 1000 };

static struct recovery r;
static uint64_t now;

/* n pieces are sent; rtt_us 0: nothing was measured yet. */
static void begin(enum congestion_kind kind, unsigned n, uint64_t rtt_us)
{
    now = 1000000;
    recovery_init(&r, kind, MSS, FIRST, now);
    r.cc.cwnd = 100 * MSS;
    if (rtt_us)
        rtt_add(&r.rtt, rtt_us);
    recovery_sent(&r, FIRST + n * MSS, now);
}

static uint32_t piece(unsigned i)
{
    return FIRST + i * MSS;
}

/* All before piece `at` is acknowledged, [from, to) reported. */
static void ack(unsigned at, unsigned from, unsigned to)
{
    recovery_ack(&r, piece(at), &(struct sack_block){piece(from), piece(to)}, from != to, now);
}

/* The piece below the acknowledgement came twice. */
static void twice(unsigned at, unsigned which)
{
    recovery_ack(&r, piece(at), &(struct sack_block){piece(which), piece(which + 1)}, 1, now);
}

/* Which piece is to be sent again; -1: none. */
static int wanted(void)
{
    uint32_t seq, len;

    return recovery_next(&r, 64 * MSS, &seq, &len) ? (int)((seq - FIRST) / MSS) : -1;
}

static void resend(int which)
{
    uint32_t seq, len;

    ck_assert_int_eq(wanted(), which);
    ck_assert(recovery_next(&r, MSS, &seq, &len));
    recovery_resent(&r, seq, len, now);
}

static void resend_all(void)
{
    for (int i; (i = wanted()) >= 0;)
        resend(i);
}

static void end(void)
{
    recovery_done(&r);
}

/* --- a resend that is lost */

START_TEST(test_lost_when_a_later_resend_arrived)
{
    begin(CONGESTION_CUBIC, 20, 10 * MS);
    ack(0, 1, 4);
    resend(0);
    now += 4 * MS;
    ack(0, 5, 8);
    resend(4);
    now += MS;
    ack(0, 4, 8); /* quicker than a round trip: that was the first one, it says nothing */
    ck_assert_int_eq(wanted(), -1);
    end();

    begin(CONGESTION_CUBIC, 20, 10 * MS);
    ack(0, 1, 4);
    resend(0);
    now += 4 * MS;
    ack(0, 5, 8);
    resend(4);
    now += 10 * MS;
    ack(0, 4, 8);
    ck_assert_int_eq(wanted(), 0);
    end();
}
END_TEST

START_TEST(test_lost_when_what_was_sent_after_it_arrived)
{
    begin(CONGESTION_CUBIC, 10, 10 * MS);
    ack(0, 1, 10);
    resend(0);
    recovery_sent(&r, piece(13), now);
    now += 11 * MS;
    ack(0, 1, 12);
    ck_assert_int_eq(wanted(), -1);
    ack(0, 1, 13);
    ck_assert_int_eq(wanted(), 0);
    end();
}
END_TEST

START_TEST(test_lost_when_nothing_is_heard)
{
    begin(CONGESTION_CUBIC, 10, 10 * MS);
    ack(0, 1, 4);
    resend(0);
    now += 20 * MS;
    ack(0, 1, 5); /* somebody answers */
    ck_assert_int_eq(wanted(), -1);
    now += 11 * MS;
    ck_assert(recovery_tick(&r, now));
    ck_assert_int_eq(wanted(), 0);
    ck_assert_uint_eq(r.count.probes, 0);
    end();
}
END_TEST

START_TEST(test_small_hole_at_the_end_waits_a_little)
{
    begin(CONGESTION_CUBIC, 3, 10 * MS);
    ack(0, 1, 2);
    ck_assert_uint_le(recovery_due(&r), now + 5 * MS);
    now += 7 * MS;
    ck_assert(recovery_tick(&r, now));
    ck_assert_int_eq(wanted(), -1);
    now += MS;
    ck_assert(recovery_tick(&r, now));
    ck_assert_int_eq(wanted(), 0);
    ck_assert_uint_eq(r.count.probes, 0);
    end();
}
END_TEST

/* When nothing is heard at all, one piece goes whatever the window says, or the credit. */
START_TEST(test_one_piece_goes_without_room)
{
    begin(CONGESTION_CUBIC, 10, 10 * MS);
    ack(0, 1, 4);
    resend(0);
    r.cc.cwnd = 5 * MSS; /* six are on their way */
    now += 31 * MS;
    ck_assert(recovery_tick(&r, now));
    ck_assert_uint_eq(r.count.probes, 1);
    resend(0);
    ck_assert_int_eq(wanted(), -1);
    end();

    begin(CONGESTION_CUBIC, 10, 10 * MS);
    congestion_spend(&r.cc, UINT32_MAX);
    recovery_all_lost(&r, now);
    resend(0);
    ck_assert_int_eq(wanted(), -1);
    end();
}
END_TEST

/* --- what is measured */

START_TEST(test_round_trips_of_what_was_sent_once)
{
    begin(CONGESTION_CUBIC, 3, 0);
    now += 30 * MS;
    ack(0, 1, 2); /* the first piece, which is timed, has not come */
    ck_assert_uint_eq(r.rtt.smooth_us, 0);
    end();

    begin(CONGESTION_CUBIC, 3, 0);
    now = recovery_due(&r);
    ck_assert(recovery_tick(&r, now)); /* a probe: which one is answered? */
    ck_assert_int_eq(wanted(), 2);
    ack(3, 0, 0);
    ck_assert_uint_eq(r.rtt.smooth_us, 0);
    end();

    begin(CONGESTION_CUBIC, 3, 0);
    now += 30 * MS;
    ack(1, 0, 0);
    ck_assert_uint_eq(r.rtt.smooth_us, 30 * MS);
    end();
}
END_TEST

/* --- patience */

START_TEST(test_what_came_late_teaches_patience)
{
    begin(CONGESTION_CUBIC, 10, 10 * MS);
    ack(0, 1, 3);
    ck_assert_uint_eq(r.reordering, 0);
    now += 4 * MS;
    ack(3, 0, 0);
    ck_assert_uint_ge(r.reordering, 2); /* quarters of a round trip */
    ck_assert_uint_eq(r.count.resends, 0);
    ack(3, 4, 7); /* three above a hole do not say any more that it is lost */
    ck_assert_int_eq(wanted(), -1);
    end();
}
END_TEST

START_TEST(test_doubles_teach_patience_once_in_a_round_trip)
{
    begin(CONGESTION_CUBIC, 6, 10 * MS);
    ack(0, 2, 6);
    resend(0);
    resend(1);
    ack(6, 0, 0);
    recovery_sent(&r, piece(9), now);
    r.reordering = 4;
    twice(6, 0);
    ck_assert_uint_eq(r.reordering, 5);
    twice(6, 1);
    ck_assert_uint_eq(r.reordering, 5);
    ck_assert_uint_eq(r.count.undone, 1);
    end();
}
END_TEST

START_TEST(test_patience_goes_when_there_are_no_doubles)
{
    unsigned at = 0;

    begin(CONGESTION_CUBIC, 5, 10 * MS);
    r.reordering = 8;
    for (int i = 0; i < 20; i++, at += 5) {
        now += 30 * MS;
        ack(at, at + 1, at + 5);
        now += 30 * MS;
        ck_assert(recovery_tick(&r, now));
        resend((int)at);
        now += 10 * MS;
        ack(at + 5, 0, 0);
        recovery_sent(&r, piece(at + 10), now);
        if (i < 10)
            ck_assert_uint_eq(r.reordering, 8);
    }
    ck_assert_uint_eq(r.reordering, 1);
    end();
}
END_TEST

/* --- giving up */

/* Its reports are forgotten again and again, but it gets on. */
START_TEST(test_progress_is_no_end)
{
    begin(CONGESTION_CUBIC, 40, 10 * MS);
    for (unsigned at = 0; at < 40; at++) {
        ack(at, 0, 0);
        for (uint8_t forgot = r.forgot; r.forgot == forgot;) {
            now += 50 * MS;
            ck_assert(recovery_tick(&r, now));
            resend_all();
        }
    }
    end();
}
END_TEST

/* --- the window */

START_TEST(test_a_queue_that_shows_is_heeded)
{
    for (int queue = 0; queue <= 1; queue++) {
        begin(CONGESTION_TOLERANT, 50, 10 * MS);
        for (int i = 0; i < RTT_RECENT; i++)
            rtt_add(&r.rtt, queue ? 20 * MS : 10 * MS);
        ack(0, 1, 5);
        ck_assert_int_eq(wanted(), 0);
        ck_assert_int_eq(r.cut, queue);
        end();
    }
}
END_TEST

/* A cut counts for all that was under way when it was made, also when it was not the first loss. */
START_TEST(test_a_late_cut_is_one_cut)
{
    begin(CONGESTION_TOLERANT, 30, 10 * MS);
    r.cc.cwnd = 60 * MSS;
    ack(0, 1, 5); /* tolerated */
    ck_assert(r.in_episode && !r.cut);
    recovery_sent(&r, piece(50), now);
    ack(0, 25, 29); /* too many */
    ck_assert(r.cut);
    uint32_t cwnd = r.cc.cwnd;
    now += 10 * MS;
    resend_all();
    now += 10 * MS;
    ack(30, 0, 0);
    ck_assert(r.in_episode);
    r.reordering = 0;
    ack(30, 35, 50);
    ck_assert_int_eq(wanted(), 30);
    ck_assert_uint_ge(r.cc.cwnd, cwnd);
    end();
}
END_TEST

START_TEST(test_who_waits_for_credit_is_told_so)
{
    begin(CONGESTION_CUBIC, 0, 100 * MS);
    r.cc.cwnd = 4000 * MSS;
    ck_assert(!recovery_is_paced(&r));
    now += MS;
    recovery_ack(&r, FIRST, NULL, 0, now);
    recovery_sent(&r, FIRST + recovery_limit(&r), now);
    ck_assert(recovery_is_paced(&r));
    now += 50 * MS;
    recovery_ack(&r, FIRST, NULL, 0, now);
    ck_assert(!recovery_is_paced(&r));
    end();
}
END_TEST

/* Whoever asks often gets no less. */
START_TEST(test_credit_comes_in_parts_of_a_byte)
{
    begin(CONGESTION_CUBIC, 0, 200 * MS);
    r.cc.cwnd = 2 * MSS;
    congestion_refill(&r.cc, &r.rtt, now);
    congestion_spend(&r.cc, UINT32_MAX);
    for (int i = 0; i < 10000; i++) {
        now += 10;
        congestion_refill(&r.cc, &r.rtt, now);
    }
    ck_assert_uint_ge(r.cc.credit, MSS);
    ck_assert_uint_le(r.cc.credit, 2 * MSS);
    end();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_lost_when_a_later_resend_arrived,
        test_lost_when_what_was_sent_after_it_arrived,
        test_lost_when_nothing_is_heard,
        test_small_hole_at_the_end_waits_a_little,
        test_one_piece_goes_without_room,
        test_round_trips_of_what_was_sent_once,
        test_what_came_late_teaches_patience,
        test_doubles_teach_patience_once_in_a_round_trip,
        test_patience_goes_when_there_are_no_doubles,
        test_progress_is_no_end,
        test_a_queue_that_shows_is_heeded,
        test_a_late_cut_is_one_cut,
        test_who_waits_for_credit_is_told_so,
        test_credit_comes_in_parts_of_a_byte,
    };
    Suite *suite = suite_create("recovery_rules");
    TCase *t = tcase_create("rules");

    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
