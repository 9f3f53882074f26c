/* The relay connector over a floor that lends its buffers, as lwIP's does. */
#include "connectorcase.h"

/* A bottom floor that lends its buffers, as lwIP's does: what is written stands in `out`, what is
 * to be read in `in`.
 */
struct lender {
    struct layer layer;
    char in[64], out[256];
    size_t in_at, in_n, out_n, room; /* room: of the next reserve */
    int sends;
};

static enum rc lend_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct lender *d = (struct lender *)l;
    size_t n = d->in_n - d->in_at < cap ? d->in_n - d->in_at : cap;
    if (n == 0)
        return RC_AGAIN;
    memcpy(buf, d->in + d->in_at, n);
    d->in_at += n;
    *ret_n = n;
    return RC_OK;
}

static enum rc lend_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct lender *d = (struct lender *)l;
    size_t n = 0;
    for (int i = 0; i < nv; i++) {
        memcpy(d->out + d->out_n, v[i].iov_base, v[i].iov_len);
        d->out_n += v[i].iov_len;
        n += v[i].iov_len;
    }
    d->sends++;
    *ret_n = n;
    return RC_OK;
}

static enum rc lend_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct lender *d = (struct lender *)l;
    (void)cap;
    if (d->in_at == d->in_n)
        return RC_AGAIN;
    v[0] = (struct iovec){d->in + d->in_at, d->in_n - d->in_at};
    *ret_n = 1;
    return RC_OK;
}

static enum rc lend_consume(struct layer *l, size_t n)
{
    ((struct lender *)l)->in_at += n;
    return RC_OK;
}

static enum rc lend_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct lender *d = (struct lender *)l;
    (void)want;
    *ret_v = (struct iovec){d->out + d->out_n, d->room};
    return RC_OK;
}

static enum rc lend_commit(struct layer *l, size_t n)
{
    ((struct lender *)l)->out_n += n;
    return RC_OK;
}

static unsigned lend_ready(const struct layer *l, unsigned wish)
{
    (void)l;
    return wish;
}

static const struct layer_type lender_type = {.name = "lender",
                                              .recv = lend_recv,
                                              .send = lend_send,
                                              .peek = lend_peek,
                                              .consume = lend_consume,
                                              .reserve = lend_reserve,
                                              .commit = lend_commit,
                                              .ready = lend_ready};

/* The request stands in the lent room in front of the payload; the answer is consumed before the
 * payload is lent.
 */
START_TEST(test_relay_lends_through)
{
    static const uint8_t request[] = {1, 1, 0, 10, 2, 0, 7, 1, 192, 0, 2, 1, 0, 80};
    struct diag diag = {.rc = RC_OK};
    struct target t = target_of("192.0.2.1:80");
    for (size_t room = 4; room <= 64; room += 30) {
        struct lender *d = calloc(1, sizeof *d);
        struct iovec v;
        int n;
        loop = loop_new(&diag);
        make(&connector_relay);
        begin(NULL, NULL);
        d->layer.type = &lender_type;
        d->room = room;
        struct stream *s = stream_new(loop);
        stream_push(s, &d->layer);
        ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
        ck_assert_int_eq(stream_open(s), RC_OK);
        /* taken and given back: nothing has happened */
        if (room > sizeof request) {
            ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
            ck_assert_int_eq(stream_commit(s, 0), RC_OK);
            ck_assert_uint_eq(d->out_n, 0);
        }
        ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
        memcpy(v.iov_base, "hi", 2);
        ck_assert_int_eq(stream_commit(s, 2), RC_OK);
        ck_assert_uint_eq(d->out_n, sizeof request + 2);
        ck_assert_mem_eq(d->out, request, sizeof request);
        ck_assert_mem_eq(d->out + sizeof request, "hi", 2);
        ck_assert_int_eq(d->sends, room > sizeof request ? 0 : 1);
        ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
        memcpy(v.iov_base, "!", 1);
        ck_assert_int_eq(stream_commit(s, 1), RC_OK);
        ck_assert_uint_eq(d->out_n, sizeof request + 3);

        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        memcpy(d->in, "\1\0\0\0hello", 9);
        d->in_n = 3;
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        d->in_n = 9;
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_OK);
        ck_assert_uint_eq(v.iov_len, 5);
        ck_assert_mem_eq(v.iov_base, "hello", 5);
        ck_assert_int_eq(stream_consume(s, 5), RC_OK);
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        stream_close(s);
        end();
        loop_free(loop);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_relay_lends_through, NULL};
    return vectors_main("connector_relay_lend", tests);
}
