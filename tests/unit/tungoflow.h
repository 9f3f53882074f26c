/* One client with one flow on the netstack of tungonet.h, for the tests that are written in Check.
 */
#ifndef TESTS_TUNGOFLOW_H
#define TESTS_TUNGOFLOW_H

#include "run.h"
#include "tests/unit/tungonet.h"
#include <check.h>

static struct stream *s;
static struct client c;

static const struct out *last(void)
{
    ck_assert_uint_gt(n_outs, 0);
    return &outs[(n_outs - 1) % OUT_MAX];
}

static inline uint32_t last_u32(size_t at)
{
    return packet_rd32(last()->data + last()->p.l4 + at);
}

static inline struct tcp_pcb *pcb_now(void)
{
    struct flow_key key = flow_key_of(&c.src, &c.dst);
    struct tungo_flow *f = flow_find(ns, &key);
    ck_assert(f && f->pcb);
    return f->pcb;
}

/* Three-way handshake; s is open. */
static inline void establish_from(const char *target, uint16_t port, unsigned mss, int scale)
{
    c = client_new(target, port);
    send_syn(&c, mss, scale);
    ck_assert_ptr_nonnull(parked);
    s = tungo_flow_accept(parked);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(stream_open(s), RC_AGAIN);
    ck_assert_uint_eq(last()->p.tcp_flags, TCPFLAG_SYN | TCPFLAG_ACK);
    c.ack = last_u32(TCP_AT_SEQ) + 1;
    c.seq++;
    send_data(&c, 0, 0);
    ck_assert_int_eq(stream_open(s), RC_OK);
}

static inline void establish(const char *target, unsigned mss, int scale)
{
    establish_from(target, 40000, mss, scale);
}

static inline size_t drain(size_t most)
{
    char buf[65536];
    size_t n, done = 0;

    while (done < most &&
           stream_recv(s, buf, most - done < sizeof buf ? most - done : sizeof buf, &n) == RC_OK)
        done += n;
    return done;
}

/* Fills what the layer offers; returns how much. */
static inline size_t push(size_t want)
{
    struct iovec v;
    enum rc rc = stream_reserve(s, want, &v);

    if (rc != RC_OK)
        return 0;
    memset(v.iov_base, 'd', v.iov_len);
    ck_assert_int_eq(stream_commit(s, v.iov_len), RC_OK);
    return v.iov_len;
}

/* A smaller window is believed from a newer segment only. */
static inline void shrink_window(uint16_t window)
{
    c.window = window;
    send_data(&c, 0, 1);
    send_data(&c, 0, 0);
}

static inline int run_tests(const char *name, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *t = tcase_create(name);

    tcase_add_checked_fixture(t, net_up, net_down);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(t, tests[i]);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}

#endif
