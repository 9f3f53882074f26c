/* What comes behind a gap on a link that loses. */
#include "listeners/tungo/inwindow.h"
#include "listeners/tungo/ooseq.h"
#include "tests/unit/tungoflow.h"

enum { SEGMENT = 1000 };

/* i: in segments from c.seq; c.seq stays. */
static void come(uint32_t i, uint32_t n)
{
    send_raw(&c, TCPFLAG_ACK, c.seq + i * SEGMENT, n * SEGMENT);
}

/* Everything before segment `to` can be read, and it is what was sent. */
static void read_to(uint32_t from, uint32_t to)
{
    static uint8_t buf[1 << 20];
    uint32_t most = (to - from) * SEGMENT;
    size_t n, done = 0;

    while (done < most && stream_recv(s, buf + done, sizeof buf - done, &n) == RC_OK)
        done += n;
    ck_assert_uint_eq(done, most);
    size_t right = 0;
    while (right < most && buf[right] == (uint8_t)(c.seq + from * SEGMENT + right))
        right++;
    ck_assert_uint_eq(right, most);
    ck_assert_int_eq(stream_recv(s, buf, 1, &n), RC_AGAIN);
}

static unsigned list_length(void)
{
    unsigned n = 0;

    for (const struct tcp_seg *q = pcb_now()->ooseq; q; q = q->next)
        n++;
    return n;
}

static bool tells(const struct out *o, uint32_t from, uint32_t to)
{
    const uint8_t *tcp = o->data + o->p.l4, *at = o->data + o->p.sack;

    ck_assert_uint_eq(tcp[TCP_AT_FLAGS], TCPFLAG_ACK);
    for (unsigned i = 0; o->p.sack && i < o->p.sack_blocks; i++, at += 8)
        if (packet_rd32(at) - c.seq == from * SEGMENT &&
            packet_rd32(at + 4) - c.seq == to * SEGMENT)
            return true;
    return false;
}

static bool is_sacked(uint32_t from, uint32_t to)
{
    return tells(last(), from, to);
}

/* There is a gap as long as the flow lives, in a new place all the time. */
START_TEST(test_a_flow_with_a_gap_for_ever)
{
    establish("8.8.8.8", 1380, 7);
    come(1, 1);
    for (uint32_t i = 0; i < 3 * OOSEQ_MAX; i++) {
        come(i * 3 + 2, 1);
        come(i * 3 + 4, 1);
        ck_assert_uint_gt(list_length(), 0);
        come(i * 3, 1);
        batch_end();
        read_to(i * 3, i * 3 + 3);
    }
    ck_assert_uint_eq(ns->stats.dropped_ooseq, 0);
    stream_abort(s);
}
END_TEST

START_TEST(test_neighbours_are_joined)
{
    establish("8.8.8.8", 1380, 7);
    for (uint32_t i = 1; i < 60; i++)
        come(i, 1);
    for (uint32_t i = 140; i > 70; i--) /* the other way round */
        come(i, 1);
    ck_assert_uint_le(list_length(), 4);
    batch_end();
    ck_assert(is_sacked(1, 60));
    ck_assert(is_sacked(71, 141));
    come(0, 1);
    read_to(0, 60);
    come(60, 11);
    read_to(60, 141);
    ck_assert_ptr_null(pcb_now()->ooseq);
    ck_assert_uint_eq(ns->stats.asserts, 0);
    stream_abort(s);
    turn();
    ck_assert_uint_eq(ns->sources.held, 0);
}
END_TEST

/* A link with a small MTU has no small window: 10,000 segments behind one gap. */
START_TEST(test_small_segments_fill_the_window)
{
    enum { SMALL = 100, WINDOW = 1 << 20 };
    uint32_t n = WINDOW / SMALL;
    static const size_t overhead = 100;

    netstack_set_buffers(ns, WINDOW, 0);
    establish("8.8.8.8", SMALL, 7);
    for (uint32_t i = 1; i < n; i++)
        send_raw(&c, TCPFLAG_ACK, c.seq + i * SMALL, SMALL);
    ck_assert_uint_eq(ns->stats.dropped_ooseq, 0);
    ck_assert_uint_lt(list_length(), 100);
    ck_assert_uint_lt(ns->sources.held, n * (SMALL + overhead));
    send_raw(&c, TCPFLAG_ACK, c.seq, SMALL);
    ck_assert_uint_eq(drain(WINDOW), n * SMALL);
    stream_abort(s);
    turn();
    ck_assert_uint_eq(ns->sources.held, 0);
}
END_TEST

/* An acknowledgement costs the client work for each of them; but no news may be lost. */
START_TEST(test_one_answer_tells_of_several_gaps)
{
    establish("8.8.8.8", 1380, 7);
    n_outs = 0;
    for (uint32_t i = 1; i < 60; i++)
        if (i % 30)
            come(i, 1);
    batch_end();
    ck_assert_uint_eq(n_outs, 1);
    ck_assert(is_sacked(1, 30));
    ck_assert(is_sacked(31, 60));
    n_outs = 0;
    for (uint32_t i = 100; i < 140; i++)
        if (i % 2)
            come(i, 1);
    batch_end();
    ck_assert_uint_le(n_outs, 12);
    for (uint32_t i = 100; i < 140; i++) {
        bool told = false;
        for (unsigned k = 0; k < n_outs; k++)
            told = told || tells(&outs[k], i, i + 1);
        ck_assert_int_eq(told, i % 2);
    }
    stream_abort(s);
}
END_TEST

/* What the client was told has come must not be thrown away for a copy of a part of it. */
START_TEST(test_copies_cut_nothing)
{
    establish("8.8.8.8", 1380, 7);
    for (uint32_t i = 1; i < 60; i++)
        come(i, 1);
    batch_end();
    n_outs = 0;
    come(20, 1);
    come(30, 5);
    batch_end();
    ck_assert_uint_eq(n_outs, 1); /* they are answered */
    ck_assert(is_sacked(1, 60));
    come(58, 4); /* partly new */
    batch_end();
    ck_assert(is_sacked(1, 62));
    come(0, 3);
    read_to(0, 62);
    stream_abort(s);
}
END_TEST

/* The same for a client without SACK, which counts the answers. */
START_TEST(test_copies_are_answered_without_sack)
{
    establish("8.8.8.8", 1380, -1);
    for (uint32_t i = 1; i < 30; i++)
        come(i, 1);
    batch_end();
    ck_assert_uint_ge(n_outs, 29); /* each of them: three make it send again */
    n_outs = 0;
    come(20, 1);
    batch_end();
    ck_assert_uint_eq(n_outs, 1);
    ck_assert_uint_eq(last_u32(TCP_AT_ACK), c.seq);
    come(0, 1);
    read_to(0, 30);
    stream_abort(s);
}
END_TEST

START_TEST(test_end_behind_a_gap)
{
    size_t n;
    char b;

    establish("8.8.8.8", 1380, 7);
    for (uint32_t i = 1; i < 9; i++)
        come(i, 1);
    send_raw(&c, TCPFLAG_ACK | TCPFLAG_FIN, c.seq + 9 * SEGMENT, SEGMENT);
    send_raw(&c, TCPFLAG_ACK | TCPFLAG_FIN, c.seq + 9 * SEGMENT, SEGMENT);
    come(3, 2);
    come(0, 1);
    static char buf[1 << 14];
    size_t done = 0;
    while (stream_recv(s, buf, sizeof buf, &n) == RC_OK)
        done += n;
    ck_assert_uint_eq(done, 10 * SEGMENT);
    ck_assert_int_eq(stream_recv(s, &b, 1, &n), RC_EOF);
    stream_abort(s);
}
END_TEST

/* Bytes behind its own FIN, up to the end of the window: lwIP would trip over that. */
START_TEST(test_bytes_beyond_the_end)
{
    netstack_set_buffers(ns, UINT16_MAX, 0);
    establish("8.8.8.8", 1380, 7);
    send_data(&c, 0, 10000);
    send_raw(&c, TCPFLAG_ACK | TCPFLAG_FIN, c.seq + 1000, 10);
    ck_assert_uint_eq(ns->stats.dropped_ooseq, 0);
    send_raw(&c, TCPFLAG_ACK, c.seq, pcb_now()->rcv_wnd);
    ck_assert_uint_eq(ns->stats.dropped_ooseq, 1);
    ck_assert_uint_eq(ns->stats.asserts, 0);
    send_data(&c, 0, 1000);
    ck_assert_uint_eq(drain(1 << 20), 11010);
    stream_abort(s);
}
END_TEST

/* Segments in any order, some twice, some longer: every byte once. */
START_TEST(test_any_order)
{
    enum { ALL = 200 };
    uint32_t x = 12345;

    for (int round = 0; round < 20; round++) {
        establish("8.8.8.8", 1380, 7);
        for (int i = 0; i < 4000; i++) {
            x = x * 1103515245 + 12345;
            uint32_t at = (x >> 8) % ALL, len = 1 + (x >> 20) % 3;
            if (at && at + len <= ALL)
                come(at, len);
            if (i % 50 == 0)
                batch_end();
        }
        for (uint32_t at = 0; at < ALL; at++)
            come(at, 1);
        read_to(0, ALL);
        ck_assert_ptr_null(pcb_now()->ooseq);
        stream_abort(s);
        turn();
        ck_assert_uint_eq(ns->sources.held, 0);
    }
    ck_assert_uint_eq(ns->stats.asserts, 0);
}
END_TEST

enum { ALL_BYTES = 200000 };
static bool told[ALL_BYTES];

/* What the client may forget: it was acknowledged or reported. */
static void listen_to(void)
{
    for (unsigned k = 0; k < n_outs && k < OUT_MAX; k++) {
        const struct out *o = &outs[k];
        const uint8_t *tcp = o->data + o->p.l4, *at = o->data + o->p.sack;
        memset(told, true, packet_rd32(tcp + TCP_AT_ACK) - c.seq);
        for (unsigned i = 0; o->p.sack && i < o->p.sack_blocks; i++, at += 8)
            memset(told + (packet_rd32(at) - c.seq), true, packet_rd32(at + 4) - packet_rd32(at));
    }
    n_outs = 0;
}

/* Segments of any length anywhere, over each other: what was told once need never be sent again. */
START_TEST(test_nothing_that_was_told_is_lost)
{
    uint32_t x = 4711;

    for (int round = 0; round < 20; round++) {
        establish("8.8.8.8", 1380, 7);
        memset(told, 0, sizeof told);
        n_outs = 0;
        for (int i = 0; i < 400; i++) {
            x = x * 1103515245 + 12345;
            uint32_t at = 1 + (x >> 8) % (ALL_BYTES - 5000), len;
            x = x * 1103515245 + 12345;
            len = 1 + (x >> 8) % (i % 3 ? 4000 : 600);
            send_raw(&c, TCPFLAG_ACK, c.seq + at, len);
            batch_end();
            listen_to();
        }
        for (uint32_t at = 0, end; at < ALL_BYTES; at = end) {
            for (end = at; end < ALL_BYTES && told[end] == told[at] && end - at < 1380;)
                end++;
            if (!told[at])
                send_raw(&c, TCPFLAG_ACK, c.seq + at, end - at);
        }
        read_to(0, ALL_BYTES / SEGMENT);
        ck_assert_ptr_null(pcb_now()->ooseq);
        stream_abort(s);
        turn();
        ck_assert_uint_eq(ns->sources.held, 0);
    }
    ck_assert_uint_eq(ns->stats.asserts, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_a_flow_with_a_gap_for_ever,
        test_neighbours_are_joined,
        test_small_segments_fill_the_window,
        test_one_answer_tells_of_several_gaps,
        test_copies_cut_nothing,
        test_copies_are_answered_without_sack,
        test_end_behind_a_gap,
        test_bytes_beyond_the_end,
        test_any_order,
        test_nothing_that_was_told_is_lost,
    };

    return run_tests("tungo_gaps", tests, sizeof tests / sizeof *tests);
}
