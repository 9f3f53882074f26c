/* One client with thousands of flows, SYNs or stray segments, and another one beside it. */
#include "core/shares.h"
#include "listeners/tungo/room.h"
#include "listeners/tungo/udp_table.h"
#include "tests/unit/tungoflow.h"

enum { FLOWS_MAX = 80, GREEDY = 10, MODEST = 20 };

/* A SYN of the client 10.0.0.host; true: a flow was made for it. */
static bool ask(uint8_t host, uint16_t port)
{
    unsigned before = n_parked;

    c = client_new("8.8.8.8", port);
    c.src.ip[3] = host;
    send_syn(&c, 1380, 7);
    return n_parked > before;
}

static void let_in(void)
{
    s = tungo_flow_accept(parked);
    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(stream_open(s), RC_AGAIN);
    c.ack = last_u32(TCP_AT_SEQ) + 1;
    c.seq++;
    send_data(&c, 0, 0);
    ck_assert_int_eq(stream_open(s), RC_OK);
}

START_TEST(test_one_client_leaves_flows_for_others)
{
    struct stream *greedy[FLOWS_MAX], *modest;
    unsigned n = 0;
    char ch;
    size_t got;

    ns->flows_max = FLOWS_MAX;
    for (uint16_t i = 0; i < 2 * FLOWS_MAX; i++) {
        if (!ask(GREEDY, (uint16_t)(20000 + i)))
            continue;
        let_in();
        ck_assert_uint_lt(n, FLOWS_MAX);
        greedy[n++] = s;
    }
    ck_assert_uint_eq(n, FLOWS_MAX - FLOWS_MAX / SHARES_RESERVE_PART);
    ck_assert_uint_eq(ns->stats.crowded, 2 * FLOWS_MAX - n);
    ck_assert_uint_eq(ns->stats.evicted, 0); /* all of them were busy a moment ago */
    for (uint16_t i = 0; i < 5; i++) {
        ck_assert(ask(MODEST, (uint16_t)(20000 + i)));
        tungo_flow_refuse(parked, RC_REFUSED);
    }
    ck_assert(ask(MODEST, 30000));
    let_in();
    modest = s;
    pass(ROOM_SILENT_MS); /* now the first of its own goes for a new one */
    ck_assert(ask(GREEDY, 40000));
    let_in();
    ck_assert_uint_eq(ns->stats.evicted, 1);
    ck_assert_int_eq(stream_recv(greedy[0], &ch, 1, &got), RC_LIMIT);
    ck_assert_int_eq(stream_recv(greedy[1], &ch, 1, &got), RC_AGAIN);
    ck_assert_int_eq(stream_recv(modest, &ch, 1, &got), RC_AGAIN);
    for (unsigned i = 0; i < n; i++)
        stream_abort(greedy[i]);
    stream_abort(modest);
    stream_abort(s);
    turn();
    ck_assert(ask(GREEDY, 20000));
}
END_TEST

/* So many clients that nobody has more than one: the flow unused for longest goes, whosever. */
START_TEST(test_many_clients_with_one_flow_each)
{
    struct stream *v[8];

    ns->flows_max = 8;
    for (uint8_t i = 0; i < 8; i++) {
        ck_assert(ask((uint8_t)(100 + i), 20000));
        let_in();
        v[i] = s;
        pass(10);
    }
    ck_assert(ask(200, 20000));
    ck_assert_uint_eq(ns->stats.evicted, 1);
    ck_assert_uint_eq(ns->table.n, 8);
    for (int i = 0; i < 8; i++)
        stream_abort(v[i]);
}
END_TEST

START_TEST(test_a_flood_of_syns_parks_no_others_away)
{
    ck_assert(ask(MODEST, 30000));
    struct tungo_flow *theirs = parked;
    for (unsigned i = 0; i < 5 * PARKED_MAX; i++)
        ck_assert(ask(GREEDY, (uint16_t)(10000 + i)));
    ck_assert_int_eq(theirs->state, FLOW_PARKED);
    ck_assert_uint_eq(theirs->source->n_parked, 1);
    ck_assert_uint_eq(ns->parking.n, PARKED_MAX - PARKED_MAX / SHARES_RESERVE_PART);
    for (uint16_t i = 1; i < 50; i++)
        ck_assert(ask(MODEST, (uint16_t)(30000 + i)));
    ck_assert_uint_eq(theirs->source->n_parked, 50);
    pass(PARKED_MS + 1000);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_uint_eq(ns->sources.table.n, 0);
}
END_TEST

/* Segments of nobody's flow; how many are answered. */
static unsigned stray(uint8_t host, unsigned n)
{
    unsigned before = n_outs;

    c = client_new("8.8.8.8", 40000);
    c.src.ip[3] = host;
    for (unsigned i = 0; i < n; i++)
        send_raw(&c, TCPFLAG_ACK, c.seq, 0);
    return n_outs - before;
}

START_TEST(test_strays_are_answered_up_to_a_rate)
{
    ck_assert_uint_eq(stray(GREEDY, 5 * NETSTACK_RESETS_BURST), NETSTACK_RESETS_BURST / 2);
    ck_assert_uint_eq(ns->stats.resets_held, 5 * NETSTACK_RESETS_BURST - NETSTACK_RESETS_BURST / 2);
    /* the other half is for others */
    ck_assert_uint_eq(stray(MODEST, 1000), NETSTACK_RESETS_OWN_BURST);
    ck_assert_uint_eq(stray(GREEDY, 1000), 0);
    pass(1000);
    ck_assert_uint_ge(stray(MODEST, 1), 1);
    ck_assert_uint_ge(stray(GREEDY, 1), 1);
}
END_TEST

START_TEST(test_cap_follows_the_descriptors)
{
    ck_assert_uint_eq(room_flows_max(64), ROOM_FLOWS_LEAST);
    ck_assert_uint_eq(room_flows_max(4096), 3072);
    ck_assert_uint_eq(room_flows_max((size_t)-1), NETSTACK_FLOWS_MAX);
    ck_assert_uint_eq(room_associations_max(64), ROOM_PORTS_LEAST);
    ck_assert_uint_eq(room_associations_max(4096), 1024);
    ck_assert_uint_eq(room_associations_max((size_t)-1), UDP_SOURCES_MAX);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_one_client_leaves_flows_for_others,   test_many_clients_with_one_flow_each,
        test_a_flood_of_syns_parks_no_others_away, test_strays_are_answered_up_to_a_rate,
        test_cap_follows_the_descriptors,
    };
    return run_tests("tungo_room", tests, sizeof tests / sizeof *tests);
}
