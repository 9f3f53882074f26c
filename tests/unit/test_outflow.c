/* The recovery machine mounted on a flow: what leaves the device when a client reports holes. */
#include "listeners/tungo/outflow.h"
#include "tests/unit/tungoflow.h"

static uint32_t base; /* sequence number of the first byte down */

/* A client with SACK; n bytes are pushed, each telling its place. */
static void begin(const char *target, size_t n)
{
    struct iovec v;
    size_t done = 0;

    establish(target, 1380, 7);
    base = c.ack;
    while (done < n && stream_reserve(s, n - done, &v) == RC_OK) {
        for (size_t i = 0; i < v.iov_len; i++)
            ((uint8_t *)v.iov_base)[i] = (uint8_t)((done + i) * 7 + ((done + i) >> 8));
        ck_assert_int_eq(stream_commit(s, v.iov_len), RC_OK);
        done += v.iov_len;
    }
    ck_assert_uint_eq(done, n);
}

/* Acknowledges up to at and reports [from, to), both counted from base. */
static void report(uint32_t at, uint32_t from, uint32_t to)
{
    c.ack = base + at;
    if (from != to) {
        const uint8_t head[4] = {1, 1, 5, 10};
        memcpy(c.options, head, sizeof head);
        packet_wr32(c.options + 4, base + from);
        packet_wr32(c.options + 8, base + to);
        c.options_n = 12;
    }
    send_data(&c, 0, 0);
    c.options_n = 0;
}

/* The last packet carries [from, to), with its bytes. */
static void is_piece(uint32_t from, uint32_t to)
{
    const struct out *o = last();
    const uint8_t *at = o->data + o->p.payload;

    ck_assert_uint_eq(last_u32(TCP_AT_SEQ) - base, from);
    ck_assert_uint_eq(o->p.bytes - o->p.payload, to - from);
    for (uint32_t i = from; i < to; i++)
        ck_assert_uint_eq(*at++, (uint8_t)(i * 7 + (i >> 8)));
    if (packet_version(o->data) == 4)
        ck_assert_uint_eq(packet_rd16(o->data + IP4_AT_FRAG), IP4_DF);
}

START_TEST(test_hole_is_sent_again_alone)
{
    const char *const targets[] = {"8.8.8.8", "2001:db8::1"};

    for (int i = 0; i < 2; i++) {
        uint32_t m = i ? 1360 : 1380;
        begin(targets[i], 10 * m);
        n_outs = 0;
        pass(5);
        report(m, 2 * m, 4 * m);
        ck_assert_uint_eq(n_outs, 0);
        report(m, 2 * m, 5 * m);
        ck_assert_uint_eq(n_outs, 1);
        is_piece(m, 2 * m);
        ck_assert_uint_eq(last()->vh.gso_size, 0);
        report(m, 2 * m, 6 * m);
        ck_assert_uint_eq(n_outs, 1);
        report(10 * m, 0, 0);
        ck_assert_ptr_null(pcb_now()->unacked);
        stream_abort(s);
        turn();
    }
}
END_TEST

START_TEST(test_long_hole_is_one_packet)
{
    begin("8.8.8.8", 13800);
    n_outs = 0;
    pass(5);
    report(0, 6900, 13800);
    ck_assert_uint_eq(n_outs, 1);
    is_piece(0, 6900);
    ck_assert_uint_eq(last()->vh.gso_size, 1380);
    stream_abort(s);
}
END_TEST

START_TEST(test_device_that_cannot_cut)
{
    tun.caps.tso = false;
    begin("8.8.8.8", 13800);
    n_outs = 0;
    pass(5);
    report(0, 6900, 13800);
    ck_assert_uint_ge(n_outs, 2);
    is_piece((n_outs - 1) * 1380, n_outs * 1380);
    stream_abort(s);
}
END_TEST

START_TEST(test_tail_and_fin_are_probed)
{
    begin("8.8.8.8", 5000);
    pass(5);
    report(1380, 0, 0);
    ck_assert_int_eq(stream_shut(s), RC_OK);
    n_outs = 0;
    pass(60);
    ck_assert_uint_ge(n_outs, 1);
    ck_assert_uint_eq(packet_rd32(outs[0].data + outs[0].p.l4 + TCP_AT_SEQ) - base, 5001 - 1380);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_FIN, TCPFLAG_FIN);
    report(5000, 0, 0);
    n_outs = 0;
    pass(1000);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_FIN, TCPFLAG_FIN);
    ck_assert_uint_eq(last_u32(TCP_AT_SEQ) - base, 5000);
    report(5001, 0, 0);
    n_outs = 0;
    pass(2000);
    ck_assert_uint_eq(n_outs, 0);
    ck_assert(!timer_is_running(&ns->outflows.timer));
    stream_abort(s);
}
END_TEST

START_TEST(test_client_that_vanished_is_given_up)
{
    char buf[1] = {0};

    begin("8.8.8.8", 5000);
    pass(900000);
    ck_assert_uint_eq(ns->outflows.stats.given_up + ns->stats.keepalive_ends, 1);
    ck_assert_uint_lt(n_outs, 40);
    ck_assert_int_eq(stream_send(s, &(struct iovec){buf, 1}, 1, &(size_t){0}), RC_TIMEOUT);
    stream_close(s);
    ck_assert_uint_eq(ns->outflows.n, 0);
}
END_TEST

START_TEST(test_smaller_link_sends_all_again)
{
    struct icmp_note note = {.kind = ICMP_NOTE_TOO_BIG, .mtu = 1240, .proto = IPPROTO_TCP};

    begin("8.8.8.8", 5520);
    note.src = c.dst;
    note.dst = c.src;
    note.seq = base;
    n_outs = 0;
    netstack_too_big(ns, &note);
    ck_assert_uint_eq(n_outs, 1);
    is_piece(0, 5520);
    ck_assert_uint_eq(last()->vh.gso_size, 1200);
    stream_abort(s);
}
END_TEST

/* Nobody tells that a link is small: after three timeouts shorter packets are tried. */
START_TEST(test_silent_small_link_is_found)
{
    begin("8.8.8.8", 5520);
    struct tungo_flow *f = pcb_now()->callback_arg;
    pass(500);
    ck_assert_uint_eq(f->mss, 1380);
    pass(9500);
    ck_assert_uint_eq(f->mss, 1240);
    ck_assert_uint_le(last()->p.bytes - last()->p.payload, 2480);
    pass(40000);
    ck_assert_uint_eq(f->mss, 536);
    stream_abort(s);
}
END_TEST

/* Errors about packets that were never sent, and links that can't be. */
START_TEST(test_errors_that_cannot_be_true)
{
    struct icmp_note note = {.kind = ICMP_NOTE_TOO_BIG, .mtu = 1240, .proto = IPPROTO_TCP};

    begin("8.8.8.8", 5520);
    struct tungo_flow *f = pcb_now()->callback_arg;
    note.src = c.dst;
    note.dst = c.src;
    for (int i = 0; i < 4; i++) {
        note.seq = i == 0 ? base - 1 : i == 1 ? base + 5520 : base;
        note.mtu = i == 2 ? 575 : 1240;
        note.dst.port = (uint16_t)(i == 3 ? 1 : c.src.port);
        netstack_too_big(ns, &note);
    }
    ck_assert_uint_eq(f->mss, 1380);
    ck_assert_uint_eq(ns->stats.notes, 4);
    stream_abort(s);
}
END_TEST

START_TEST(test_without_sack_the_window_is_open)
{
    establish("8.8.8.8", 1380, -1); /* that SYN has no SACK either */
    ck_assert_uint_eq(push(65536), 64860);
    stream_abort(s);
}
END_TEST

/* Reports that are not true, in segments that lwIP would not obey either. */
START_TEST(test_strangers_reports_are_not_read)
{
    begin("8.8.8.8", 13800);
    n_outs = 0;
    pass(5);
    c.seq += 0x40000000;
    report(0, 1380, 13800);
    c.seq -= 0x40000000;
    struct tcp_pcb *pcb = pcb_now();
    ck_assert_uint_eq(((struct tungo_flow *)pcb->callback_arg)->outflow->recovery.holes.n, 0);
    report(0, 1380, 13801); /* never sent */
    ck_assert_uint_eq(((struct tungo_flow *)pcb->callback_arg)->outflow->recovery.holes.n, 0);
    stream_abort(s);
}
END_TEST

/* The other way: what came around a gap is acknowledged once a batch, with all of it. */
START_TEST(test_gap_is_reported_once_a_batch)
{
    establish("8.8.8.8", 1380, 7);
    uint32_t first = c.seq;

    n_outs = 0;
    for (uint32_t i = 1; i < 14; i++)
        if (i != 10)
            send_raw(&c, TCPFLAG_ACK, first + i * 1380, 1380);
    ck_assert_uint_eq(n_outs, 0);
    batch_end();
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), first);
    ck_assert_uint_eq(last()->p.sack_blocks, 2);
    ck_assert_uint_eq(packet_rd32(last()->data + last()->p.sack), first + 11 * 1380);
    send_raw(&c, TCPFLAG_ACK, first, 1380); /* the gap is closed, another one is left */
    batch_end();
    ck_assert_uint_eq(n_outs, 2);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), first + 10 * 1380);
    send_raw(&c, TCPFLAG_ACK, first + 10 * 1380, 1380);
    batch_end();
    ck_assert_uint_eq(n_outs, 3);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), first + 14 * 1380);
    stream_abort(s);
}
END_TEST

/* lwIP counts a segment until its last byte is acknowledged; we count bytes. */
START_TEST(test_room_is_what_lwip_takes)
{
    establish("8.8.8.8", 1380, 7);
    struct tungo_flow *f = pcb_now()->callback_arg;
    uint32_t sent = 0, acked = 0;
    size_t n;

    base = c.ack;
    for (int round = 0; round < 60; round++) {
        while ((n = push(65536)) > 0)
            sent += (uint32_t)n;
        ck_assert_uint_eq(f->tx.waiting, 0);
        acked += (sent - acked) / 3 / 1380 * 1380;
        pass(1);
        report(acked, 0, 0);
    }
    ck_assert_uint_gt(sent - acked, 600000);
    stream_abort(s);
}
END_TEST

START_TEST(test_closed_window_opens_again)
{
    begin("8.8.8.8", 13800);
    pass(5);
    report(1380, 0, 0);
    shrink_window(0);
    pass(60000);
    n_outs = 0;
    c.window = 65535;
    report(1380, 0, 0);
    ck_assert_uint_ge(n_outs, 1); /* not after the next timeout */
    stream_abort(s);
}
END_TEST

/* A client without memory drops what is under way and says that its window is closed. Nothing is
 * wrong with the link, and it goes on at once when there is room again, be it an hour later. */
START_TEST(test_window_closed_in_front_of_bytes_under_way)
{
    begin("8.8.8.8", 13800);
    struct tungo_flow *f = pcb_now()->callback_arg;
    pass(5);
    report(2760, 0, 0);
    c.window = 0;
    report(2760, 0, 0);
    n_outs = 0;
    for (unsigned seen = 0, ms = 0; ms < 3600000; ms += 50) {
        pass(50);
        if (n_outs != seen)
            report(2760, 0, 0);
        seen = n_outs;
    }
    ck_assert_uint_eq(ns->outflows.stats.given_up, 0);
    ck_assert_uint_ge(n_outs, 3600 / 15);
    ck_assert_uint_le(n_outs, 3600 / 10);
    ck_assert_uint_eq(f->mss, 1380);
    n_outs = 0;
    c.window = 200;
    report(2760, 0, 0);
    ck_assert_uint_eq(n_outs, 1);
    is_piece(2760, 5520);
    for (uint32_t at = 5520; at <= 13800; at += 2760)
        report(at, 0, 0);
    ck_assert_uint_eq(last_u32(TCP_AT_SEQ) + last()->p.bytes - last()->p.payload - base, 13800);
    ck_assert_ptr_null(pcb_now()->unacked);
    stream_abort(s);
}
END_TEST

/* The same for a client without SACK, which lwIP's own timeouts serve. */
START_TEST(test_window_closed_without_sack)
{
    establish("8.8.8.8", 1380, -1);
    struct tungo_flow *f = pcb_now()->callback_arg;
    base = c.ack;
    ck_assert_uint_eq(push(13800), 13800);
    pass(5);
    report(2760, 0, 0);
    c.window = 0;
    report(2760, 0, 0);
    n_outs = 0;
    for (unsigned seen = 0, ms = 0; ms < 3600000; ms += 50) {
        pass(50);
        if (n_outs != seen)
            report(2760, 0, 0);
        seen = n_outs;
    }
    ck_assert_int_eq(f->failed, RC_OK);
    ck_assert_uint_ge(n_outs, 3600 / 120);
    n_outs = 0;
    c.window = 65535;
    report(2760, 0, 0);
    ck_assert_uint_ge(n_outs, 1);
    ck_assert_uint_eq(last_u32(TCP_AT_SEQ) + last()->p.bytes - last()->p.payload - base, 13800);
    unsigned once = n_outs;
    for (int i = 0; i < 20; i++) { /* one that says so again and again is not sent all each time */
        c.window = i % 2 ? 65535 : 0;
        report(2760, 0, 0);
    }
    ck_assert_uint_eq(n_outs, once);
    report(13800, 0, 0);
    ck_assert_ptr_null(pcb_now()->unacked);
    stream_abort(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_hole_is_sent_again_alone,         test_long_hole_is_one_packet,
        test_device_that_cannot_cut,           test_tail_and_fin_are_probed,
        test_client_that_vanished_is_given_up, test_smaller_link_sends_all_again,
        test_silent_small_link_is_found,       test_errors_that_cannot_be_true,
        test_without_sack_the_window_is_open,  test_strangers_reports_are_not_read,
        test_gap_is_reported_once_a_batch,     test_room_is_what_lwip_takes,
        test_closed_window_opens_again,        test_window_closed_in_front_of_bytes_under_way,
        test_window_closed_without_sack,
    };

    with_recovery = true;
    return run_tests("outflow", tests, sizeof tests / sizeof *tests);
}
