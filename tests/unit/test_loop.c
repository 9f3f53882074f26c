/* The loop: timers in order, jobs once per post, hot descriptors, memory at the end of the turn. */
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct loop *loop;
static struct diag diag;

static void setup(void)
{
    diag = (struct diag){0};
    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
    loop_free(loop);
}

enum { TIMERS = 500 };
static struct timer timers[TIMERS];
static uint64_t last_due;
static int fired;

static void on_timer(struct timer *t)
{
    ck_assert_uint_ge(t->due_ms, last_due);
    last_due = t->due_ms;
    fired++;
}

START_TEST(test_timers_fire_in_order_and_stopped_ones_do_not)
{
    unsigned seed = 7;

    fired = 0;
    last_due = 0;
    for (int i = 0; i < TIMERS; i++) {
        timer_init(loop, &timers[i], on_timer);
        ck_assert(timer_start(&timers[i], (uint64_t)rand_r(&seed) % 40));
    }
    for (int i = 0; i < TIMERS; i += 3)
        timer_stop(&timers[i]);
    for (int i = 1; i < TIMERS; i += 3)
        ck_assert(timer_start(&timers[i], (uint64_t)rand_r(&seed) % 40));
    loop_run(loop);
    ck_assert_int_eq(fired, TIMERS - (TIMERS + 2) / 3);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__ /* which ends the process where there is no memory */
enum { MANY = 1 << 18 };

static bool no_more_memory(void)
{
    struct rlimit as;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    ck_assert(f != NULL && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &as), 0);
    as.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
    return setrlimit(RLIMIT_AS, &as) == 0;
}

/* The heap is full and can't grow: who has a place reserved is started, nobody else. */
START_TEST(test_a_reserved_timer_starts_without_memory)
{
    static struct timer many[MANY], two[2];
    int n = 0;

    for (int i = 0; i < 2; i++) {
        timer_init(loop, &two[i], on_timer);
        ck_assert(timer_reserve(&two[i]) && timer_reserve(&two[i]));
    }
    for (; n < MANY / 2; n++) {
        timer_init(loop, &many[n], on_timer);
        ck_assert(timer_start(&many[n], 100000));
    }
    ck_assert(no_more_memory());
    for (; n < MANY; n++) {
        timer_init(loop, &many[n], on_timer);
        if (!timer_start(&many[n], 100000))
            break;
    }
    ck_assert_int_lt(n, MANY);
    for (int round = 0; round < 3; round++) {
        ck_assert(timer_start(&two[0], 5) && timer_start(&two[1], 5));
        ck_assert(!timer_start(&many[n], 100000));
        timer_stop(&two[round % 2]);
        ck_assert(!timer_start(&many[n], 100000));
    }
    timer_release(&two[0]);
    timer_release(&two[0]);
    ck_assert(timer_start(&many[n], 100000));
    ck_assert(!timer_start(&two[0], 5)); /* its place is gone */
    ck_assert(timer_start(&two[1], 5));
    timer_release(&two[1]);
    for (int i = 0; i <= n; i++)
        timer_stop(&many[i]);
}
END_TEST
#endif

static struct job jobs[3];
static char order[16];
static int ran;

static void on_job(struct job *job)
{
    order[ran++] = (char)('a' + (job - jobs));
    if (job == &jobs[0] && ran == 1) {
        job_post(loop, &jobs[0]);
        job_cancel(&jobs[1]);
    }
}

START_TEST(test_job_runs_once_per_post_and_can_be_canceled)
{
    ran = 0;
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], on_job);
        job_post(loop, &jobs[i]);
        job_post(loop, &jobs[i]);
    }
    loop_run(loop);
    order[ran] = 0;
    ck_assert_str_eq(order, "aca");
}
END_TEST

/* A job that goes on and on lets descriptors have their turn. */
static struct hotfd between;
static struct job busy;
static int pipe_fds[2], rounds;

static void on_between(struct hotfd *h, unsigned ready)
{
    (void)ready;
    hotfd_remove(h);
    job_cancel(&busy);
}

static void on_busy(struct job *job)
{
    ck_assert_int_le(++rounds, 100);
    if (rounds == 10)
        ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    job_post_later(loop, job);
}

START_TEST(test_job_posted_for_later_waits_for_the_descriptors)
{
    rounds = 0;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(hotfd_add(loop, &between, pipe_fds[0], on_between), RC_OK);
    job_init(&busy, on_busy);
    job_post_later(loop, &busy);
    loop_run(loop);
    ck_assert_int_ge(rounds, 10);
    ck_assert_int_le(rounds, 12);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
END_TEST

/* Two that post each other, as streams do that always have bytes for each other. */
static struct job turn_about[2];

static void on_turn_about(struct job *job)
{
    ck_assert_int_le(++rounds, 200);
    if (rounds == 10)
        ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
    job_post(loop, &turn_about[job == &turn_about[0]]);
}

static void on_end_of_turns(struct hotfd *h, unsigned ready)
{
    (void)ready;
    hotfd_remove(h);
    job_cancel(&turn_about[0]);
    job_cancel(&turn_about[1]);
}

START_TEST(test_jobs_that_post_each_other_let_descriptors_have_their_turn)
{
    rounds = 0;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(hotfd_add(loop, &between, pipe_fds[0], on_end_of_turns), RC_OK);
    job_init(&turn_about[0], on_turn_about);
    job_init(&turn_about[1], on_turn_about);
    job_post(loop, &turn_about[0]);
    loop_run(loop);
    ck_assert_int_ge(rounds, 10);
    ck_assert_int_le(rounds, 100);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}
END_TEST

static struct timer restless, other;
static unsigned restarts, others;

static void on_restless(struct timer *t)
{
    restarts++;
    ck_assert_uint_lt(restarts, 100000); /* it never lets go of the loop */
    ck_assert(timer_start(t, 0));
}

static void on_other(struct timer *t)
{
    (void)t;
    if (++others < 5)
        ck_assert(timer_start(t, 2));
    else
        loop_stop(loop);
}

START_TEST(test_a_timer_that_starts_itself_at_once_lets_others_have_their_turn)
{
    restarts = others = 0;
    timer_init(loop, &restless, on_restless);
    timer_init(loop, &other, on_other);
    ck_assert(timer_start(&restless, 0));
    ck_assert(timer_start(&other, 2));
    loop_run(loop);
    ck_assert_uint_eq(others, 5);
    ck_assert_uint_gt(restarts, 2);
    timer_stop(&restless);
}
END_TEST

static struct hotfd hot;
static int seen;
static int pipe_fd[2];

static void on_hot(struct hotfd *h, unsigned ready)
{
    char c;

    ck_assert(ready & HOT_IN);
    ck_assert_int_eq(read(h->fd, &c, 1), 1);
    seen++;
    hotfd_remove(h);
}

START_TEST(test_hot_descriptor_reports_and_leaves)
{
    seen = 0;
    ck_assert_int_eq(pipe(pipe_fd), 0);
    ck_assert_int_eq(hotfd_add(loop, &hot, pipe_fd[0], on_hot), RC_OK);
    ck_assert_int_eq(write(pipe_fd[1], "x", 1), 1);
    loop_run(loop); /* ends by itself: nothing is registered any more */
    ck_assert_int_eq(seen, 1);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *t = tcase_create("loop");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_timers_fire_in_order_and_stopped_ones_do_not);
#ifndef __SANITIZE_ADDRESS__
    tcase_add_test(t, test_a_reserved_timer_starts_without_memory);
#endif
    tcase_add_test(t, test_job_runs_once_per_post_and_can_be_canceled);
    tcase_add_test(t, test_a_timer_that_starts_itself_at_once_lets_others_have_their_turn);
    tcase_add_test(t, test_job_posted_for_later_waits_for_the_descriptors);
    tcase_add_test(t, test_jobs_that_post_each_other_let_descriptors_have_their_turn);
    tcase_add_test(t, test_hot_descriptor_reports_and_leaves);
    suite_add_tcase(s, t);
    return run_suite(s);
}
