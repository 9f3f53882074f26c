/* How flows on lwIP end: both sides first, resets, clients that vanish, timers that stop. */
#include "tests/unit/tungoflow.h"

static unsigned told;

static void on_told(struct stream *stream, unsigned ready, void *arg)
{
    (void)stream;
    (void)arg;
    told |= ready;
}

/* Is the flow said to have failed, to an owner that does not read? */
static bool is_gone(void)
{
    told = 0;
    stream_want(s, STREAM_GONE, on_told, NULL);
    turn();
    stream_want(s, 0, on_told, NULL);
    return (told & STREAM_GONE) != 0;
}

START_TEST(test_client_ends_first)
{
    char buf[10];
    size_t n;

    establish("8.8.8.8", 1380, 7);
    send_data(&c, TCPFLAG_FIN, 3);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_EOF);
    ck_assert_uint_eq(push(500), 500); /* ours goes on */
    ck_assert_int_eq(stream_shut(s), RC_OK);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_FIN, TCPFLAG_FIN);
    stream_close(s);
    ck_assert_uint_eq(ns->table.n, 1); /* until the client has it all */
    c.ack += 501;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(ns->table.n, 0);
    turn();
    ck_assert_uint_eq(ns->idle.n, 0);
}
END_TEST

START_TEST(test_we_end_first)
{
    char buf[10];
    size_t n;

    establish("8.8.8.8", 1380, 7);
    ck_assert_int_eq(stream_shut(s), RC_OK);
    c.ack++;
    send_data(&c, 0, 0);
    ck_assert_int_eq(pcb_now()->state, FIN_WAIT_2);
    pass(50000); /* nobody ends a half-closed stream but its owner */
    send_data(&c, 0, 5);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    n_outs = 0;
    send_data(&c, TCPFLAG_FIN, 0);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), c.seq);
    ck_assert_uint_eq(ns->table.n, 0); /* no TIME_WAIT */
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_EOF);
    ck_assert(!is_gone()); /* both ended properly */
    stream_close(s);
}
END_TEST

START_TEST(test_client_resets)
{
    char buf[10];
    size_t n;

    establish("8.8.8.8", 1380, 7);
    send_data(&c, 0, 4);
    ck_assert(!is_gone());
    send_data(&c, TCPFLAG_RST, 0);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert(is_gone());
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK); /* what came before */
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_RESET);
    stream_close(s);
}
END_TEST

START_TEST(test_close_with_unread_bytes_resets)
{
    establish("8.8.8.8", 1380, 7);
    send_data(&c, 0, 4);
    stream_close(s);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_RST, TCPFLAG_RST);
    ck_assert_uint_eq(ns->table.n, 0);
}
END_TEST

START_TEST(test_bytes_after_close_are_answered_with_a_reset)
{
    establish("8.8.8.8", 1380, 7);
    stream_close(s);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_FIN, TCPFLAG_FIN);
    c.ack++;
    send_data(&c, 0, 4);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_RST, TCPFLAG_RST);
    ck_assert_uint_eq(ns->table.n, 0);
}
END_TEST

START_TEST(test_handshake_that_never_ends)
{
    c = client_new("8.8.8.8", 40000);
    send_syn(&c, 1380, 7);
    s = tungo_flow_accept(parked);
    pass(25000);
    ck_assert_uint_ge(n_outs, 3); /* SYN-ACK again and again */
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_int_eq(stream_open(s), RC_TIMEOUT);
    stream_close(s);
}
END_TEST

START_TEST(test_vanished_client_leaves_nothing)
{
    establish("8.8.8.8", 1380, 7);
    n_outs = 0;
    pass(50000);
    ck_assert_uint_eq(n_outs, 0);
    pass(20000);
    ck_assert_uint_eq(n_outs, 1); /* a keepalive */
    ck_assert_uint_eq(last_u32(TCP_AT_SEQ), c.ack - 1);
    send_data(&c, 0, 0); /* answered: all begins anew */
    pass(50000);
    ck_assert_uint_eq(n_outs, 1);
    pass(9 * 36000);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_uint_eq(n_outs, 1 + IDLE_PROBES + 1); /* and a reset */
    char ch;
    size_t n;
    ck_assert_int_eq(stream_recv(s, &ch, 1, &n), RC_TIMEOUT);
    stream_close(s);
    ck_assert(!timer_is_running(&ns->idle.timer));
}
END_TEST

START_TEST(test_unacknowledged_bytes_end_the_flow)
{
    establish("8.8.8.8", 1380, 7);
    ck_assert_uint_gt(push(5000), 0);
    pass(600000);
    ck_assert_uint_eq(ns->table.n, 0);
    stream_close(s);
    ck_assert_uint_eq(ns->blocks.n_used, 0);
    ck_assert(!timer_is_running(&ns->tick));
}
END_TEST

START_TEST(test_closed_flow_with_closed_window_ends)
{
    establish("8.8.8.8", 1380, 7);
    shrink_window(0);
    drain(1);
    push(65536);
    stream_close(s);
    for (int i = 0; i < 40 && ns->table.n; i++) {
        pass(5000);
        if (ns->table.n)
            send_data(&c, 0, 0); /* "still closed" */
    }
    ck_assert_uint_eq(ns->table.n, 0);
}
END_TEST

START_TEST(test_new_syn_on_an_old_flow)
{
    establish("8.8.8.8", 1380, 7);
    struct stream *old = s;
    n_outs = 0;
    uint32_t seq = c.seq;
    c.seq += 9000000;
    send_syn(&c, 1380, 7); /* established: an acknowledgement, as RFC 5961 wants it */
    ck_assert_uint_eq(n_parked, 1);
    ck_assert_uint_eq(last()->p.tcp_flags, TCPFLAG_ACK);
    c.seq = seq;
    send_data(&c, TCPFLAG_FIN, 0);
    c.seq += 9000000;
    n_outs = 0;
    send_syn(&c, 1380, 7); /* the client's end is closed: the old flow is over */
    ck_assert_uint_eq(n_parked, 2);
    ck_assert_uint_eq(n_outs, 0);
    establish("8.8.8.8", 1380, 7);
    ck_assert_ptr_ne(old, s);
    struct iovec v;
    ck_assert_int_eq(stream_reserve(old, 10, &v), RC_RESET);
    stream_close(old);
    ck_assert_uint_eq(ns->table.n, 1);
    stream_close(s);
}
END_TEST

START_TEST(test_flow_unused_for_longest_makes_room)
{
    struct stream *streams[3];
    struct client first;
    char ch;
    size_t n;

    ns->flows_max = 3;
    for (uint16_t i = 0; i < 3; i++) {
        establish_from("8.8.8.8", (uint16_t)(41000 + i), 1380, 7);
        streams[i] = s;
        if (i == 0)
            first = c;
        pass(2000);
    }
    send_data(&first, 0, 0); /* so the second is the one */
    establish_from("8.8.8.8", 42000, 1380, 7);
    ck_assert_uint_eq(ns->stats.evicted, 1);
    ck_assert_uint_eq(ns->table.n, 3);
    ck_assert_int_eq(stream_recv(streams[0], &ch, 1, &n), RC_AGAIN);
    ck_assert_int_eq(stream_recv(streams[1], &ch, 1, &n), RC_LIMIT);
    ck_assert_int_eq(stream_recv(streams[2], &ch, 1, &n), RC_AGAIN);
    for (int i = 0; i < 3; i++)
        stream_abort(streams[i]);
    stream_abort(s);
}
END_TEST

START_TEST(test_idle_device_wakes_nobody)
{
    establish("8.8.8.8", 1380, 7);
    pass(1000);
    ck_assert(!timer_is_running(&ns->tick));
    ck_assert(list_is_empty(&ns->ticks));
    stream_abort(s);
    turn();
    ck_assert(!timer_is_running(&ns->idle.timer));
}
END_TEST

START_TEST(test_broken_device_harms_nobody)
{
    establish("8.8.8.8", 1380, 7);
    device_broken = true;
    ck_assert_uint_gt(push(5000), 0);
    pass(1000);
    device_broken = false;
    n_outs = 0;
    pass(3000);
    ck_assert_uint_ge(n_outs, 1);
    stream_abort(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_client_ends_first,
        test_we_end_first,
        test_client_resets,
        test_close_with_unread_bytes_resets,
        test_bytes_after_close_are_answered_with_a_reset,
        test_handshake_that_never_ends,
        test_vanished_client_leaves_nothing,
        test_unacknowledged_bytes_end_the_flow,
        test_closed_flow_with_closed_window_ends,
        test_new_syn_on_an_old_flow,
        test_flow_unused_for_longest_makes_room,
        test_idle_device_wakes_nobody,
        test_broken_device_harms_nobody,
    };

    return run_tests("netstack_ends", tests, sizeof tests / sizeof *tests);
}
