/* tests/unit/test_tungosniff.c - the first bytes of clients: what is kept of them has a cap, and
 * one client leaves something of it for others. */
#include "core/floor/mem.h"
#include "core/stream.h"
#include "handlers/tungosniff.h"
#include "run.h"
#include <stdlib.h>
#include <string.h>

enum { HELLO = 16000, MANY = 3000, TURN_MS = 10 };

static struct loop *loop;
static struct tungosniffs all;
static struct stream *near[MANY], *far[MANY];
static struct tungosniff *sniffs[MANY];
static int n_done;

static void on_done(void *arg, enum rc rc)
{
    (void)arg;
    ck_assert_int_eq(rc, RC_OK);
    n_done++;
}

static void on_stop(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static void turns(uint64_t ms)
{
    struct timer t;
    timer_init(loop, &t, on_stop);
    ck_assert(timer_start(&t, ms));
    loop_run(loop);
}

/* A flow of 10.0.0.host that says the beginning of a long hello. */
static void say(int i, uint8_t host)
{
    static uint8_t hello[HELLO] = {22, 3, 1, 62, 124, 1, 0, 62, 120, 3, 3};
    static const struct mem_cfg cfg = {.cap_bytes = HELLO};
    struct addr client = {.family = AF_INET, .ip = {10, 0, 0, host}};
    struct layer *a, *b;
    struct iovec v = {hello, HELLO};
    size_t n;
    ck_assert(mem_pair(loop, &cfg, &a, &b));
    near[i] = stream_new(loop);
    far[i] = stream_new(loop);
    stream_push(near[i], a);
    stream_push(far[i], b);
    ck_assert_int_eq(stream_open(near[i]), RC_OK);
    ck_assert_int_eq(stream_open(far[i]), RC_OK);
    sniffs[i] = tungosniff_start(&all, &client, near[i], false, 60000, on_done, NULL);
    ck_assert_ptr_nonnull(sniffs[i]);
    ck_assert_int_eq(stream_send(far[i], &v, 1, &n), RC_OK);
    ck_assert_uint_eq(n, HELLO);
}

START_TEST(test_one_client_leaves_room_for_others)
{
    loop = loop_new(NULL);
    tungosniffs_init(&all);
    for (int i = 0; i < MANY; i++) {
        say(i, 1);
        turns(0);
    }
    for (int i = 0; i < 500 && n_done == 0; i++)
        turns(TURN_MS);
    ck_assert_uint_gt(all.bytes, TUNGOSNIFF_MAX_BYTES - TUNGOSNIFF_MAX_BYTES / 4);
    ck_assert_uint_le(all.bytes, TUNGOSNIFF_MAX_BYTES - TUNGOSNIFF_MAX_BYTES / 8 + SNIFF_MAX_BYTES);
    ck_assert_int_gt(n_done, 500); /* they go on as they are */
    ck_assert_uint_eq(all.crowded, (uint64_t)n_done);
    int done = n_done;
    tungosniff_free(sniffs[MANY - 1]);
    stream_close(near[MANY - 1]);
    stream_close(far[MANY - 1]);
    say(MANY - 1, 2);
    turns(TURN_MS);
    ck_assert_int_eq(n_done, done); /* the next client's is waited for */
    ck_assert_uint_ge(sniffs[MANY - 1]->n, HELLO);
    for (int i = 0; i < MANY; i++) {
        tungosniff_free(sniffs[i]);
        stream_close(near[i]);
        stream_close(far[i]);
    }
    ck_assert_uint_eq(all.bytes, 0);
    ck_assert_uint_eq(all.shares.n_clients, 0);
    turns(TURN_MS);
    loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungosniff");
    TCase *t = tcase_create("tungosniff");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_one_client_leaves_room_for_others);
    suite_add_tcase(s, t);
    return run_suite(s);
}
