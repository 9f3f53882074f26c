/* Flows on lwIP, segment by segment: parking, bytes both ways, sizes, windows. */
#include "core/shares.h"
#include "listeners/tungo/room.h"
#include "tests/unit/tungoflow.h"

/* --- parking */

START_TEST(test_syn_waits_and_is_accepted)
{
    establish("8.8.8.8", 1380, 7);
    const struct out *synack = &outs[0];
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(packet_rd16(synack->data + IP4_AT_FRAG), IP4_DF);
    const uint8_t *o = synack->data + 40;
    ck_assert_uint_eq(packet_rd16(o), 0x0204); /* MSS of the device's MTU */
    ck_assert_uint_eq(packet_rd16(o + 2), CLIENT_MTU - 40);
    ck_assert_uint_eq(ns->table.n, 1);
    ck_assert_uint_eq(ns->parking.n, 0);
    stream_abort(s);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_RST, TCPFLAG_RST);
    ck_assert_uint_eq(ns->table.n, 0);
}
END_TEST

/* The packet that an ICMP error of n bytes quotes is as it would be on a wire. */
static void check_quote(const uint8_t *error, size_t n)
{
    size_t header = packet_version(error) == 6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    const uint8_t *quote = error + header + ICMP_HEADER_BYTES;

    ck_assert_uint_gt(n, header + ICMP_HEADER_BYTES + header);
    ck_assert(header == IP6_HEADER_BYTES || cksum_ip4_ok(quote));
    ck_assert(cksum_l4_ok(quote, header, n - header - ICMP_HEADER_BYTES, IPPROTO_TCP));
}

START_TEST(test_refused_syn_hears_the_truth)
{
    c = client_new("8.8.8.8", 40000);
    send_syn(&c, 1380, 7);
    tungo_flow_refuse(parked, RC_REFUSED);
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last()->p.tcp_flags, TCPFLAG_RST | TCPFLAG_ACK);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), c.seq + 1);
    ck_assert(addr_same_ip(&last()->p.src, &c.dst));
    send_syn(&c, 1380, 7);
    tungo_flow_refuse(parked, RC_UNREACH_HOST);
    ck_assert_uint_eq(last()->p.proto, IPPROTO_ICMP);
    ck_assert_uint_eq(last()->data[20], 3);
    check_quote(last()->data, last()->n);
    c = client_new("2001:db8::1", 40000);
    send_syn(&c, 1380, 7);
    tungo_flow_refuse(parked, RC_DENIED);
    ck_assert_uint_eq(last()->p.proto, IPPROTO_ICMPV6);
    check_quote(last()->data, last()->n);
    ck_assert_uint_eq(ns->table.n, 0);
}
END_TEST

START_TEST(test_parked_syn_is_swallowed_replaced_and_given_up)
{
    c = client_new("8.8.8.8", 40000);
    send_syn(&c, 1380, 7);
    send_syn(&c, 1380, 7); /* again */
    ck_assert_uint_eq(n_parked, 1);
    c.seq += 100000;
    send_syn(&c, 1380, 7); /* another attempt from the same port */
    ck_assert_uint_eq(n_parked, 2);
    ck_assert_uint_eq(n_gone, 1);
    send_raw(&c, TCPFLAG_RST, c.seq + 7, 0); /* not ours to believe */
    ck_assert_uint_eq(n_gone, 1);
    send_raw(&c, TCPFLAG_RST, c.seq + 1, 0);
    ck_assert_uint_eq(n_gone, 2);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_uint_eq(n_outs, 0);
}
END_TEST

START_TEST(test_parking_has_a_cap_and_a_deadline)
{
    for (unsigned i = 0; i < PARKED_MAX + 5; i++) {
        c = client_new("8.8.8.8", (uint16_t)(10000 + i));
        c.src.ip[3] = (uint8_t)(i % 128); /* one alone gets less: test_tungo_room.c */
        send_syn(&c, 1380, 7);
    }
    ck_assert_uint_le(ns->parking.n, PARKED_MAX);
    ck_assert_uint_ge(ns->parking.n, PARKED_MAX - PARKED_MAX / SHARES_RESERVE_PART);
    ck_assert_uint_eq(n_gone, PARKED_MAX + 5 - ns->parking.n);
    unsigned gone = n_gone;
    pass(PARKED_MS - 1000);
    ck_assert_uint_eq(n_gone, gone);
    pass(2000);
    ck_assert_uint_eq(ns->parking.n, 0);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_uint_eq(last()->p.proto, IPPROTO_ICMP);
}
END_TEST

START_TEST(test_nobody_knows_this_segment)
{
    c = client_new("8.8.8.8", 40000);
    c.ack = 777;
    send_data(&c, 0, 10);
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_RST, TCPFLAG_RST);
    ck_assert_uint_eq(last_u32(TCP_AT_SEQ), 777);
    send_data(&c, TCPFLAG_RST, 0);
    ck_assert_uint_eq(n_outs, 1);
}
END_TEST

/* --- from the client */

START_TEST(test_bytes_up_and_their_acknowledgement)
{
    struct iovec v[4];
    int nv = 0;

    establish("8.8.8.8", 1380, 7);
    n_outs = 0;
    send_data(&c, TCPFLAG_PSH, 100);
    batch_end();
    ck_assert_uint_eq(n_outs, 0); /* the answer may carry it */
    ck_assert_int_eq(stream_peek(s, v, 4, &nv), RC_OK);
    ck_assert_int_eq(nv, 1);
    ck_assert_uint_eq(v[0].iov_len, 100);
    ck_assert_uint_eq(((uint8_t *)v[0].iov_base)[3], (uint8_t)(c.seq - 97));
    ck_assert_int_eq(stream_consume(s, 100), RC_OK);
    pass(NETSTACK_TICK_MS);
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), c.seq);
    send_data(&c, 0, 1380);
    send_data(&c, 0, 1380);
    batch_end();
    ck_assert_uint_eq(n_outs, 2); /* two full ones are worth a packet of their own */
    ck_assert_uint_eq(drain(1 << 20), 2760);
    stream_close(s);
}
END_TEST

START_TEST(test_window_closes_and_opens)
{
    for (int scale = -1; scale < 8; scale += 8) {
        size_t most = scale < 0 ? 65535 : INWINDOW_FIRST_BYTES, sent = 0;
        establish("8.8.8.8", 1380, scale);
        while (sent < most) {
            size_t n = most - sent < 32000 ? most - sent : 32000;
            send_data(&c, 0, n);
            batch_end();
            sent += n;
        }
        pass(NETSTACK_TICK_MS);
        ck_assert_uint_eq(packet_rd16(last()->data + 20 + TCP_AT_WINDOW), 0);
        send_data(&c, 0, 10); /* beyond the window: refused */
        c.seq -= 10;
        batch_end();
        n_outs = 0;
        ck_assert_uint_eq(drain(most / 2 + 1400), most / 2 + 1400);
        ck_assert_uint_ge(n_outs, 1); /* half of it is news worth a packet */
        ck_assert_uint_gt(packet_rd16(last()->data + 20 + TCP_AT_WINDOW), 0);
        ck_assert_uint_eq(drain(1 << 22), most - most / 2 - 1400);
        stream_abort(s);
        turn();
        ck_assert_uint_eq(ns->blocks.n_used, 0);
    }
}
END_TEST

static size_t offered(int scale)
{
    return (size_t)packet_rd16(last()->data + 20 + TCP_AT_WINDOW) << scale;
}

/* The handshake takes rtt_ms, then ten windows' worth of bytes come, each in hardly more. */
static void fill_windows(int scale, uint64_t rtt_ms)
{
    c = client_new("8.8.8.8", 40000);
    send_syn(&c, 1380, scale);
    s = tungo_flow_accept(parked);
    ck_assert_int_eq(stream_open(s), RC_AGAIN);
    ck_assert_uint_eq(offered(0), UINT16_MAX);
    if (scale >= 0)
        ck_assert_uint_eq(packet_rd32(last()->data + 44), 0x01030307);
    c.ack = last_u32(TCP_AT_SEQ) + 1;
    c.seq++;
    pass(rtt_ms);
    send_data(&c, 0, 0);
    ck_assert_int_eq(stream_open(s), RC_OK);
    for (int i = 0; i < 10; i++) {
        for (size_t n = offered(scale < 0 ? 0 : 7); n >= 1000; n -= 1000) {
            send_data(&c, 0, 1000);
            ck_assert_uint_eq(drain(1 << 20), 1000);
        }
        batch_end();
        pass(rtt_ms);
    }
}

START_TEST(test_window_grows_on_long_ways)
{
    fill_windows(7, 100);
    ck_assert_uint_ge(offered(7), NETSTACK_BUFFER_MAX - 10000); /* the last bytes lie in it */
    ck_assert_uint_le(offered(7), NETSTACK_BUFFER_MAX);
    stream_abort(s);
    fill_windows(7, 1);
    ck_assert_uint_le(offered(7), INWINDOW_NEAR_BYTES);
    stream_abort(s);
    fill_windows(-1, 100);
    ck_assert_uint_ge(offered(0), UINT16_MAX - 10000);
    stream_abort(s);
}
END_TEST

START_TEST(test_small_segments_are_gathered)
{
    establish("8.8.8.8", 1380, 7);
    for (int i = 0; i < 5000; i++)
        send_data(&c, 0, 1);
    batch_end();
    struct iovec v[64];
    int nv = 0;
    ck_assert_int_eq(stream_peek(s, v, 64, &nv), RC_OK);
    ck_assert_int_le(nv, 20);
    uint32_t at = c.seq - 5000;
    for (int i = 0; i < nv; i++)
        for (size_t k = 0; k < v[i].iov_len; k++)
            ck_assert_uint_eq(((uint8_t *)v[i].iov_base)[k], (uint8_t)at++);
    ck_assert_uint_eq(at, c.seq);
    stream_abort(s);
}
END_TEST

START_TEST(test_out_of_order_comes_in_order_and_has_a_limit)
{
    establish("8.8.8.8", 1380, 7);
    for (uint32_t i = 5; i > 0; i--)
        send_raw(&c, TCPFLAG_ACK, c.seq + i * 1000, 1000);
    ck_assert_uint_eq(drain(1 << 20), 0);
    send_raw(&c, TCPFLAG_ACK, c.seq, 1000);
    ck_assert_uint_eq(drain(1 << 20), 6000);
    c.seq += 6000;
    for (uint32_t i = 0; i < 6000; i++)
        send_raw(&c, TCPFLAG_ACK, c.seq + 2 + i * 2, 1);
    ck_assert_uint_gt(ns->stats.dropped_ooseq, 1000);
    ck_assert_uint_lt(ns->sources.held, 2 << 20);
    stream_abort(s);
}
END_TEST

/* --- to the client */

START_TEST(test_bytes_down_are_super_segments)
{
    establish("8.8.8.8", 1000, 7);
    c.window = 8000; /* times 128 */
    send_data(&c, 0, 0);
    n_outs = 0;
    size_t n = push(65536);
    ck_assert_uint_eq(n, 65000);
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last()->vh.gso_size, 1000);
    ck_assert_uint_eq(last()->n, 65040);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), c.seq);
    ck_assert_uint_ge(ns->blocks.n_used, 1);
    c.ack += 65000;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(ns->blocks.n_used, 0);
    ck_assert_uint_eq(push(100), 100); /* a short one holds no block */
    ck_assert_uint_eq(last()->vh.gso_size, 0);
    ck_assert_uint_eq(ns->blocks.n_used, 0);
    stream_abort(s);
}
END_TEST

START_TEST(test_without_tso_the_cutting_is_ours)
{
    tun.caps.tso = false;
    establish("2001:db8::1", 1000, 7);
    c.window = 8000;
    send_data(&c, 0, 0);
    n_outs = 0;
    ck_assert_uint_eq(push(2500), 2000); /* whole pieces */
    ck_assert_uint_eq(n_outs, 2);
    ck_assert_uint_eq(outs[0].n, 1060);
    ck_assert_uint_eq(outs[1].n, 1060);
    ck_assert_uint_eq(packet_rd32(outs[1].data + 44), packet_rd32(outs[0].data + 44) + 1000);
    ck_assert_uint_eq(outs[0].p.tcp_flags & TCPFLAG_PSH, 0);
    ck_assert_uint_eq(outs[0].vh.gso_type, 0);
    stream_abort(s);
}
END_TEST

START_TEST(test_room_is_for_whole_pieces)
{
    establish("8.8.8.8", 1000, 7);
    shrink_window(1000); /* 128,000 bytes */
    ck_assert_uint_eq(push(65536), 65000);
    ck_assert_uint_eq(push(65536), 0); /* 63,000 are left: not a whole one */
    c.ack += 1000;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(push(65536), 64000); /* half of the window is enough */
    ck_assert_uint_eq(push(65536), 0);
    stream_abort(s);
}
END_TEST

START_TEST(test_closed_window_is_probed)
{
    establish("8.8.8.8", 1000, 7);
    shrink_window(0);
    n_outs = 0;
    ck_assert_uint_eq(push(65536), 1000);
    ck_assert_uint_eq(push(65536), 0);
    ck_assert_uint_eq(n_outs, 0);
    pass(2000);
    ck_assert_uint_ge(n_outs, 1);
    ck_assert_uint_eq(last()->n, 41);
    c.window = 100;
    send_data(&c, 0, 0);
    pass(1000);
    ck_assert_uint_eq(last()->n, 1040);
    stream_abort(s);
}
END_TEST

/* A chunk may not go while a segment that begins in it can be sent again. */
START_TEST(test_partly_acknowledged_segment_is_sent_again_whole)
{
    establish("8.8.8.8", 1000, 7);
    c.window = 8000;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(push(65536), 65000);
    ck_assert_uint_eq(push(65536), 65000);
    c.ack += 40000;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(ns->blocks.n_used, 2);
    n_outs = 0;
    pass(3000);
    ck_assert_uint_ge(n_outs, 1);
    ck_assert_uint_eq(outs[0].n, 65040);
    ck_assert_uint_eq(packet_rd32(outs[0].data + 24), c.ack - 40000);
    for (size_t i = 0; i < 65000; i++)
        ck_assert_uint_eq(outs[0].data[40 + i], 'd');
    c.ack += 90000;
    send_data(&c, 0, 0);
    ck_assert_uint_eq(ns->blocks.n_used, 0);
    stream_close(s);
    s = NULL;
}
END_TEST

START_TEST(test_mss_option_changes_nothing_later)
{
    establish("8.8.8.8", 1, 7); /* a SYN may say 1 */
    ck_assert_uint_eq(pcb_now()->mss, 65495 - 65495 % 88);
    uint16_t raised = pcb_now()->mss;
    c.window = 2048 / 128;
    c.options[0] = 2;
    c.options[1] = 4;
    packet_wr16(c.options + 2, 1);
    c.options_n = 4;
    for (int i = 0; i < 5; i++) {
        push(65536);
        send_data(&c, 0, 0);
        ck_assert_uint_eq(pcb_now()->mss, raised);
    }
    stream_abort(s);
}
END_TEST

START_TEST(test_packet_too_big_shrinks_the_pieces)
{
    establish("8.8.8.8", 1380, 7);
    c.window = 8000;
    send_data(&c, 0, 0);
    ck_assert_uint_gt(push(65536), 60000);
    ck_assert_uint_eq(last()->vh.gso_size, 1380);
    struct icmp_note note = {.kind = ICMP_NOTE_TOO_BIG,
                             .mtu = 1300,
                             .proto = IPPROTO_TCP,
                             .src = c.dst,
                             .dst = c.src,
                             .seq = c.ack - 5000};
    netstack_too_big(ns, &note); /* about nothing that is under way: a guess */
    push(65536);
    ck_assert_uint_eq(last()->vh.gso_size, 1380);
    note.seq = c.ack;
    netstack_too_big(ns, &note);
    push(65536);
    ck_assert_uint_eq(last()->vh.gso_size, 1260);
    stream_abort(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_syn_waits_and_is_accepted,
        test_refused_syn_hears_the_truth,
        test_parked_syn_is_swallowed_replaced_and_given_up,
        test_parking_has_a_cap_and_a_deadline,
        test_nobody_knows_this_segment,
        test_bytes_up_and_their_acknowledgement,
        test_window_closes_and_opens,
        test_window_grows_on_long_ways,
        test_small_segments_are_gathered,
        test_out_of_order_comes_in_order_and_has_a_limit,
        test_bytes_down_are_super_segments,
        test_without_tso_the_cutting_is_ours,
        test_room_is_for_whole_pieces,
        test_closed_window_is_probed,
        test_partly_acknowledged_segment_is_sent_again_whole,
        test_mss_option_changes_nothing_later,
        test_packet_too_big_shrinks_the_pieces,
    };

    return run_tests("netstack", tests, sizeof tests / sizeof *tests);
}
