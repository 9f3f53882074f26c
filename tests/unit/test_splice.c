/* Two spliced streams over a nasty wire: every byte, both half-closes, resets, idle limit, replayed
 * bytes. */
#include "core/floor/mem.h"
#include "core/floor/replay.h"
#include "core/splice.h"
#include "pause.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

/* client [end] ~~wire~~ [a] splice [b] ~~wire~~ [end] target */
struct end {
    struct stream *s;
    size_t to_send, sent, received;
    uint32_t tx, rx; /* generators of the expected bytes */
    bool eof, shut, failed;
};

static struct loop *loop;
static struct end client, target;
static struct stream *client_side; /* the splice's own end of the client's wire */
static struct splice_result result;
static bool done;

static unsigned char next_byte(uint32_t *g)
{
    *g = *g * 1103515245u + 12345u;
    return (unsigned char)(*g >> 16);
}

static void end_event(struct stream *s, unsigned ready, void *arg)
{
    struct end *e = arg;
    unsigned char buf[3000];
    unsigned want = 0;
    size_t n;
    enum rc rc;

    if (ready & STREAM_IN) {
        rc = stream_recv(s, buf, sizeof buf, &n);
        if (rc == RC_OK) {
            for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(buf[i], next_byte(&e->rx));
            e->received += n;
        } else if (rc == RC_EOF) {
            e->eof = true;
        } else if (rc != RC_AGAIN) {
            e->failed = true;
        }
    }
    if (ready & STREAM_OUT) {
        if (e->sent < e->to_send) {
            uint32_t g = e->tx;
            struct iovec v = {buf, e->to_send - e->sent < sizeof buf ? e->to_send - e->sent
                                                                     : sizeof buf};

            for (size_t i = 0; i < v.iov_len; i++)
                buf[i] = next_byte(&g);
            rc = stream_send(s, &v, 1, &n);
            if (rc == RC_OK) {
                for (size_t i = 0; i < n; i++)
                    (void)next_byte(&e->tx);
                e->sent += n;
            } else if (rc != RC_AGAIN) {
                e->failed = true;
            }
        } else if (!e->shut && stream_shut(s) == RC_OK) {
            e->shut = true;
        }
    }
    if (!e->eof && !e->failed)
        want |= STREAM_IN;
    if (!e->shut && !e->failed)
        want |= STREAM_OUT;
    stream_want(s, want, end_event, e);
}

static struct stream *with(struct layer *l)
{
    struct stream *s = stream_new(loop);

    stream_push(s, l);
    ck_assert_int_eq(stream_open(s), RC_OK);
    return s;
}

static void on_done(void *arg, const struct splice_result *res)
{
    (void)arg;
    result = *res;
    done = true;
}

static struct splice *start(uint32_t seed, size_t cap, const struct splice_cfg *cfg,
                            const char *ahead)
{
    struct mem_cfg mc = {.seed = seed, .cap_bytes = cap};
    struct layer *l[4];
    struct stream *a, *b;

    done = false;
    ck_assert(mem_pair(loop, &mc, &l[0], &l[1]));
    ck_assert(mem_pair(loop, &mc, &l[2], &l[3]));
    client.s = with(l[0]);
    a = client_side = with(l[1]);
    b = with(l[2]);
    target.s = with(l[3]);
    if (ahead)
        ck_assert_int_eq(replay_push(a, ahead, strlen(ahead)), RC_OK);
    return splice_start(a, b, cfg, on_done, NULL);
}

static void setup(void)
{
    loop = loop_new(NULL);
    client = target = (struct end){0};
}

static void teardown(void)
{
    stream_close(client.s);
    stream_close(target.s);
    loop_free(loop);
}

START_TEST(test_every_byte_arrives_both_ways)
{
    struct splice_cfg cfg = {0};
    bool bytewise = _i % 2; /* a turn of the loop for each byte: fewer of them */

    client = (struct end){.to_send = bytewise ? 30000 : 300000, .tx = 1, .rx = 2};
    target = (struct end){.to_send = bytewise ? 20000 : 200000, .tx = 2, .rx = 1};
    ck_assert_ptr_nonnull(start((uint32_t)_i, bytewise ? 1 : 5000, &cfg, NULL));
    stream_want(client.s, STREAM_IN | STREAM_OUT, end_event, &client);
    stream_want(target.s, STREAM_IN | STREAM_OUT, end_event, &target);
    loop_run(loop);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_OK);
    ck_assert_uint_eq(target.received, client.to_send);
    ck_assert_uint_eq(client.received, target.to_send);
    ck_assert_uint_eq(result.up_bytes, client.to_send);
    ck_assert_uint_eq(result.down_bytes, target.to_send);
}
END_TEST

START_TEST(test_answer_flows_after_the_client_ended_its_writing)
{
    struct splice_cfg cfg = {0};

    client = (struct end){.to_send = 10, .tx = 1, .rx = 2};
    target = (struct end){.to_send = 100000, .tx = 2, .rx = 1};
    ck_assert_ptr_nonnull(start(9, 700, &cfg, NULL));
    stream_want(client.s, STREAM_IN | STREAM_OUT, end_event, &client);
    stream_want(target.s, STREAM_IN, end_event, &target); /* writes only from its second event on */
    loop_run(loop);
    ck_assert(done && client.eof && target.eof);
    ck_assert_uint_eq(client.received, 100000);
}
END_TEST

START_TEST(test_reset_of_the_target_resets_the_client)
{
    struct splice_cfg cfg = {0};

    client = (struct end){.to_send = 1, .tx = 1};
    ck_assert_ptr_nonnull(start(0, 0, &cfg, NULL));
    stream_want(client.s, STREAM_IN, end_event, &client);
    stream_abort(target.s);
    target.s = NULL;
    loop_run(loop);
    ck_assert(done && client.failed);
    ck_assert_int_eq(result.diag.rc, RC_RESET);
    ck_assert_int_eq(result.side, 'b');
}
END_TEST

START_TEST(test_idle_limit_ends_a_silent_splice)
{
    struct splice_cfg cfg = {.idle_ms = 20};

    ck_assert_ptr_nonnull(start(0, 0, &cfg, NULL));
    loop_run(loop);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_TIMEOUT);
}
END_TEST

START_TEST(test_stop_reports_canceled)
{
    struct splice_cfg cfg = {0};
    struct splice *sp = start(0, 0, &cfg, NULL);

    splice_stop(sp);
    ck_assert(!done);
    loop_run(loop);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_CANCELED);
}
END_TEST

START_TEST(test_bytes_read_ahead_come_first)
{
    struct splice_cfg cfg = {0};
    uint32_t g = 5;
    char ahead[6] = "";

    for (int i = 0; i < 5; i++) {
        unsigned char c = next_byte(&g);

        ahead[i] = (char)(c ? c : 1);
    }
    client = (struct end){.to_send = 1000, .tx = g};
    target = (struct end){.rx = 5};
    ck_assert_ptr_nonnull(start(3, 0, &cfg, ahead));
    stream_want(client.s, STREAM_IN | STREAM_OUT, end_event, &client);
    stream_want(target.s, STREAM_IN | STREAM_OUT, end_event, &target);
    loop_run(loop);
    ck_assert(done);
    ck_assert_uint_eq(target.received, 1005);
}
END_TEST

static void run_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

/* Nobody reads from the client because the target takes nothing: its reset is noticed all the same.
 */
START_TEST(test_reset_behind_a_blocked_target_is_noticed)
{
    static unsigned char bytes[4096];
    struct splice_cfg cfg = {.last_words_ms = 500};
    size_t n;

    ck_assert_ptr_nonnull(start(0, 1000, &cfg, NULL));
    while (stream_send(client.s, &(struct iovec){bytes, sizeof bytes}, 1, &n) == RC_OK)
        run_ms(2);
    run_ms(50);
    ck_assert(!done);
    stream_abort(client.s);
    client.s = NULL;
    run_ms(5);
    ck_assert(!done); /* what it said can still be taken */
    run_ms(900);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_RESET);
}
END_TEST

START_TEST(test_resets_of_both_blocked_sides_end_it_at_once)
{
    static unsigned char bytes[4096];
    struct splice_cfg cfg = {0};
    size_t n;

    ck_assert_ptr_nonnull(start(0, 1000, &cfg, NULL));
    while (stream_send(client.s, &(struct iovec){bytes, sizeof bytes}, 1, &n) == RC_OK ||
           stream_send(target.s, &(struct iovec){bytes, sizeof bytes}, 1, &n) == RC_OK)
        run_ms(2);
    stream_abort(client.s);
    stream_abort(target.s);
    client.s = target.s = NULL;
    run_ms(5);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_RESET);
}
END_TEST

START_TEST(test_reset_behind_a_half_close_resets_the_target)
{
    struct splice_cfg cfg = {0};
    char buf[8];
    size_t n;

    ck_assert_ptr_nonnull(start(0, 1000, &cfg, NULL));
    ck_assert_int_eq(stream_shut(client.s), RC_OK);
    run_ms(5);
    ck_assert_int_eq(stream_recv(target.s, buf, sizeof buf, &n), RC_EOF);
    ck_assert(!done);
    stream_abort(client.s);
    client.s = NULL;
    run_ms(5);
    ck_assert(done);
    ck_assert_int_eq(result.diag.rc, RC_RESET);
    ck_assert_int_eq(result.side, 'a');
    ck_assert_int_eq(stream_recv(target.s, buf, sizeof buf, &n), RC_RESET);
}
END_TEST

static size_t drain_target(void)
{
    static unsigned char waste[65536];
    size_t got = 0, n;

    run_ms(20);
    while (stream_recv(target.s, waste, sizeof waste, &n) == RC_OK)
        got += n;
    return got;
}

/* The turn's share is used up in the middle of a buffer, because a short read came first: its rest
 * leaves although the source is silent from then on. */
START_TEST(test_rest_of_a_buffer_leaves_when_the_turn_is_over)
{
    enum { SHORT = 100, BUF = 65536, SENT = 8 * BUF, ROOM = SHORT + 7 * BUF + BUF - 36 };
    static unsigned char bytes[SENT];
    struct splice_cfg cfg = {0};
    size_t n;
    struct splice *sp = start(0, ROOM, &cfg, NULL);

    ck_assert_ptr_nonnull(sp);
    ck_assert_int_eq(stream_send(client.s, &(struct iovec){bytes, 1}, 1, &n), RC_OK);
    ck_assert_uint_eq(drain_target(), 1);
    ck_assert_int_eq(stream_send(client.s, &(struct iovec){bytes, SENT}, 1, &n), RC_OK);
    ck_assert_uint_eq(n, SENT);
    ck_assert_int_eq(replay_push(client_side, bytes, SHORT), RC_OK);
    ck_assert_uint_eq(drain_target(), ROOM);
    ck_assert_uint_eq(drain_target(), SHORT + SENT - ROOM);
    splice_free(sp);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("splice");
    TCase *t = tcase_create("splice");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_loop_test(t, test_every_byte_arrives_both_ways, 0, 12);
    tcase_add_test(t, test_answer_flows_after_the_client_ended_its_writing);
    tcase_add_test(t, test_reset_of_the_target_resets_the_client);
    tcase_add_test(t, test_idle_limit_ends_a_silent_splice);
    tcase_add_test(t, test_stop_reports_canceled);
    tcase_add_test(t, test_bytes_read_ahead_come_first);
    tcase_add_test(t, test_reset_behind_a_blocked_target_is_noticed);
    tcase_add_test(t, test_resets_of_both_blocked_sides_end_it_at_once);
    tcase_add_test(t, test_reset_behind_a_half_close_resets_the_target);
    tcase_add_test(t, test_rest_of_a_buffer_leaves_when_the_turn_is_over);
    suite_add_tcase(s, t);
    return run_suite(s);
}
