/* stream_shut() over floors that keep bytes: RC_OK only when the last of them has left. */
#include "core/floor/mem.h"
#include "core/stream.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { SENT = 10000, WIRE = 1000, READ_MS = 1 };

/* takes everything and hands it down when there is room: as TLS and ws do */
struct holder {
    struct layer layer;
    size_t from, to;
    unsigned char data[SENT];
};

static struct loop *loop;
static struct stream *near_end, *far_end;
static struct timer reader, limit;
static unsigned calls;
static size_t got;
static enum rc last_shut, read_end;

static enum rc holder_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct holder *h = (struct holder *)l;
    size_t n = 0;

    for (int i = 0; i < nv; i++) {
        ck_assert_uint_le(v[i].iov_len, SENT - h->to);
        memcpy(h->data + h->to, v[i].iov_base, v[i].iov_len);
        h->to += v[i].iov_len;
        n += v[i].iov_len;
    }
    *ret_n = n;
    return RC_OK;
}

static unsigned holder_needs(const struct layer *l)
{
    const struct holder *h = (const struct holder *)l;

    return h->from < h->to ? STREAM_OUT : 0;
}

static void holder_run(struct layer *l)
{
    struct holder *h = (struct holder *)l;
    struct iovec v = {h->data + h->from, h->to - h->from};
    size_t n;

    if (layer_send(l->below, &v, 1, &n) == RC_OK)
        h->from += n;
}

static bool holder_pending(const struct layer *l, unsigned wish)
{
    const struct holder *h = (const struct holder *)l;

    return (wish & STREAM_OUT) && h->to < SENT;
}

static const struct layer_type holder_type = {
    .name = "holder",
    .send = holder_send,
    .needs = holder_needs,
    .run = holder_run,
    .pending = holder_pending,
};

/* its last words need no more than the floor below: as TLS inside of a tunnel */
static enum rc polite_shut(struct layer *l)
{
    (void)l;
    return RC_OK;
}

static bool polite_pending(const struct layer *l, unsigned wish)
{
    (void)l;
    return (wish & STREAM_OUT) != 0;
}

static const struct layer_type polite_type = {
    .name = "polite",
    .shut = polite_shut,
    .pending = polite_pending,
};

static void on_reader(struct timer *t)
{
    unsigned char buf[300];
    size_t n;

    read_end = stream_recv(far_end, buf, sizeof buf, &n);
    if (read_end == RC_OK) {
        for (size_t i = 0; i < n; i++)
            ck_assert_uint_eq(buf[i], (got + i) & 255);
        got += n;
    }
    if (read_end == RC_OK || read_end == RC_AGAIN)
        (void)timer_start(t, READ_MS);
    else
        loop_stop(loop);
}

static void on_limit(struct timer *t)
{
    (void)t;
    loop_stop(loop);
}

static void on_near(struct stream *s, unsigned ready, void *arg)
{
    (void)arg;
    calls++;
    ck_assert_uint_eq(ready, STREAM_OUT);
    last_shut = stream_shut(s);
    if (last_shut != RC_AGAIN) {
        stream_close(s);
        near_end = NULL;
    }
}

static void setup(void)
{
    struct diag diag = {0};
    struct mem_cfg mc = {.cap_bytes = WIRE};
    struct layer *l[2], *polite = calloc(1, sizeof *polite);
    struct holder *holder = calloc(1, sizeof *holder);
    unsigned char bytes[SENT];
    size_t n;

    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    ck_assert(mem_pair(loop, &mc, &l[0], &l[1]));
    near_end = stream_new(loop);
    far_end = stream_new(loop);
    holder->layer.type = &holder_type;
    polite->type = &polite_type;
    stream_push(near_end, l[0]);
    stream_push(near_end, &holder->layer);
    stream_push(near_end, polite);
    stream_push(far_end, l[1]);
    ck_assert_int_eq(stream_open(near_end), RC_OK);
    ck_assert_int_eq(stream_open(far_end), RC_OK);
    calls = 0;
    got = 0;
    for (size_t i = 0; i < SENT; i++)
        bytes[i] = (unsigned char)i;
    ck_assert_int_eq(stream_send(near_end, &(struct iovec){bytes, SENT}, 1, &n), RC_OK);
    ck_assert_uint_eq(n, SENT);
    timer_init(loop, &reader, on_reader);
    timer_init(loop, &limit, on_limit);
    ck_assert(timer_start(&limit, 5000));
}

static void teardown(void)
{
    timer_stop(&reader);
    timer_stop(&limit);
    stream_close(near_end);
    stream_close(far_end);
    loop_free(loop);
}

START_TEST(test_what_a_lower_floor_holds_leaves_before_the_end)
{
    ck_assert_int_eq(stream_shut(near_end), RC_AGAIN);
    stream_want(near_end, STREAM_OUT, on_near, NULL);
    ck_assert(timer_start(&reader, READ_MS));
    loop_run(loop);
    ck_assert_int_eq(last_shut, RC_OK);
    ck_assert_int_eq(read_end, RC_EOF);
    ck_assert_uint_eq(got, SENT);
    ck_assert_uint_le(calls, 2); /* it was called when there was something to do, and not before */
}
END_TEST

START_TEST(test_a_reset_while_it_drains_is_told)
{
    ck_assert_int_eq(stream_shut(near_end), RC_AGAIN);
    stream_want(near_end, STREAM_OUT, on_near, NULL);
    stream_abort(far_end);
    far_end = NULL;
    while (near_end) {
        ck_assert(timer_start(&limit, 50));
        loop_run(loop);
        ck_assert_uint_lt(calls, 10);
    }
    ck_assert_int_eq(last_shut, RC_RESET);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream_shut");
    TCase *t = tcase_create("stream_shut");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, test_what_a_lower_floor_holds_leaves_before_the_end);
    tcase_add_test(t, test_a_reset_while_it_drains_is_told);
    suite_add_tcase(s, t);
    return run_suite(s);
}
