/* UDP of the device: routes asked once, associations shared or not, answers from their true sender,
 * caps, idle, DNS.
 */
#include "listeners/tungo/room.h"
#include "listeners/tungo/udp_inside.h"
#include "udpends.h"

START_TEST(test_route_is_asked_once_and_what_waited_goes_in_order)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:9", "22", 2, 2);
    come("10.0.0.2:1000", "9.9.9.9:9", "333", 3, 3);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n?10.0.0.2:1000 9.9.9.9:9 3\n");
    open_first();
    turn_for(1);
    expect("a>8.8.8.8:9 1 1\na>8.8.8.8:9 2 2\na>9.9.9.9:9 3 3\n");
    come("10.0.0.2:1000", "9.9.9.9:9", "4", 1, 1);
    come("10.0.0.2:1000", "9.9.9.9:9", "", 0, 0);
    come("10.0.0.2:1000", "9.9.9.9:4", "5", 1, 1); /* another route */
    come("10.0.0.2:1001", "9.9.9.9:9", "6", 1, 1); /* another client */
    turn_for(1);
    expect("a>9.9.9.9:9 1 4\na>9.9.9.9:9 0\n?10.0.0.2:1000 9.9.9.9:4 1\nopen 4 9.9.9.9:4\n"
           "?10.0.0.2:1001 9.9.9.9:9 1\nopen 7 9.9.9.9:9\n");
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, 2);
    ck_assert_uint_eq(st.associations, 3);
    ck_assert_uint_eq(st.opening, 2);
}
END_TEST

START_TEST(test_answers_come_from_whoever_sent_them)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", "hello", 5, 5);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 5");
    ck_assert_mem_eq(out + 28, "hello", 5);
    ck_assert_uint_eq(packet_rd16(out + IP4_AT_FRAG), IP4_DF);
    far_say(f, "1.2.3.4:77", "", 0, 0); /* never asked: full cone; and empty */
    turn_for(1);
    ck_assert_str_eq(written(), "1.2.3.4:77>10.0.0.2:1000 0");
    writes = 0;
    far_say(f, "127.0.0.1:77", "x", 1, 1);
    far_say(f, "224.0.0.1:77", "x", 1, 1);
    far_say(f, "[2001:db8::1]:77", "x", 1, 1);
    turn_for(1);
    ck_assert_uint_eq(writes, 0);
    far_say(f, "example.org:77", "x", 1, 1); /* no address: there is only one it can mean */
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 1");
    told[0] = 0;
    f->ends = RC_RESET;
    dgram_wake(&f->dgram);
    turn_for(1);
    expect("gone 1 6\n");
}
END_TEST

START_TEST(test_fixed_routes_have_one_flow_per_destination)
{
    come("[fd00::2]:1000", "[2001:db8::8]:3", "1", 1, 1);
    come("[fd00::2]:1000", "[2001:db8::9]:3", "2", 1, 1);
    come("[fd00::2]:1000", "[2001:db8::8]:3", "3", 1, 1);
    expect("?[fd00::2]:1000 [2001:db8::8]:3 1\nopen 7 fixed [2001:db8::8]:3\n"
           "?[fd00::2]:1000 [2001:db8::9]:3 1\nopen 7 fixed [2001:db8::9]:3\n");
    struct far *b = far_new('b');
    tungo_udp_ready(NULL, opened[1], &b->dgram, RC_OK);
    struct far *a = open_first();
    turn_for(1);
    expect("b>[2001:db8::9]:3 1 2\na>[2001:db8::8]:3 2/1 1\n");
    far_say(a, "10.9.9.9:1", "x", 1, 1); /* whatever it says */
    turn_for(1);
    ck_assert_str_eq(written(), "[2001:db8::8]:3>[fd00::2]:1000 1");
    far_say(b, "10.9.9.9:1", "x", 1, 1);
    turn_for(1);
    ck_assert_str_eq(written(), "[2001:db8::9]:3>[fd00::2]:1000 1");
}
END_TEST

START_TEST(test_verdicts_are_told_and_kept_for_a_while)
{
    come("10.0.0.2:1000", "8.8.8.8:1", "1", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:1", "1", 1, 1);
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(out[21], 13); /* a rule forbids it */
    ck_assert(cksum_ip4_ok(out + 28));
    ck_assert(cksum_l4_ok(out + 28, 20, 29, IPPROTO_UDP));
    writes = 0;
    come("10.0.0.2:1000", "8.8.8.8:2", "1", 1, 1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(out[IP4_AT_PROTO], IPPROTO_ICMP);
    ck_assert_uint_eq(out[20], 3);
    ck_assert_uint_eq(out[21], 3);
    ck_assert_uint_eq(packet_rd16(out + 28 + 20), 1000); /* quoted */
    come("10.0.0.2:1000", "8.8.8.8:2", "1", 1, 1);
    ck_assert_uint_eq(writes, 2);
    expect("?10.0.0.2:1000 8.8.8.8:1 1\n?10.0.0.2:1000 8.8.8.8:2 1\n");
    fail_at_once = RC_UNREACH_HOST;
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    ck_assert_uint_eq(writes, 3);
    ck_assert_uint_eq(out[21], 1);
    ck_assert_uint_eq(packet_rd16(out + 28 + 22), 9);
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1); /* not tried again for a moment */
    ck_assert_uint_eq(writes, 4);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n");
    turn_for(1100);
    fail_at_once = RC_OK;
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n");
}
END_TEST

START_TEST(test_a_closed_port_far_away_is_told)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    ck_assert(target_parse("8.8.8.8:9", &f->about));
    f->why = RC_REFUSED;
    dgram_wake(&f->dgram);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(out[20], 3);
    ck_assert_uint_eq(out[21], 3);
    ck_assert_uint_eq(packet_rd16(out + 28 + 22), 9);
}
END_TEST

START_TEST(test_waiting_datagrams_are_capped)
{
    for (int i = 0; i < 20; i++)
        come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.dropped_up, 4);
    come("10.0.0.3:1000", "8.8.8.8:9", text, 40000, 40000);
    come("10.0.0.3:1000", "8.8.8.8:9", text, 40000, 40000);
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.dropped_up, 5);
    told[0] = 0;
    open_first();
    turn_for(1);
    expect("a>8.8.8.8:9 16/1 1\n");
}
END_TEST

START_TEST(test_idle_associations_end_and_use_keeps_them)
{
    tungo_udp_configure(u, &(struct tungo_cfg){.udp_timeout_ms = 120});
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    told[0] = 0;
    turn_for(80);
    expect("a>8.8.8.8:9 1 1\n");
    far_say(f, "8.8.8.8:9", "hello", 5, 5);
    turn_for(80);
    expect("");
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    turn_for(80);
    expect("a>8.8.8.8:9 1 1\n"); /* the route was not asked again */
    turn_for(100);
    expect("gone 2 5\n");
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, 0);
    ck_assert_uint_eq(st.associations, 0);
}
END_TEST

START_TEST(test_what_nobody_answers_ends_sooner)
{
    struct tungo_udp_stats st;

    tungo_udp_configure(u, &(struct tungo_cfg){.udp_timeout_ms = 5000, .udp_fresh_ms = 150});
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    turn_for(100);
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1); /* asking is use */
    turn_for(100);
    far_say(f, "8.8.8.8:9", "hello", 5, 5);
    turn_for(1);
    come("10.0.0.3:1000", "8.8.8.8:9", "1", 1, 1);
    tungo_udp_ready(NULL, opened[1], &far_new('b')->dgram, RC_OK);
    turn_for(1);
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.associations, 2);
    turn_for(250);
    tungo_udp_stats(u, &st); /* only the one that was answered is left */
    ck_assert_uint_eq(st.associations, 1);
    ck_assert_uint_eq(st.sources, 1);
    ck_assert_ptr_nonnull(strstr(told, "gone 1 0\n"));
}
END_TEST

static const uint8_t question1[12] = {1, 1, 1}, question2[12] = {2, 2, 1};
static const uint8_t answer1[12] = {1, 1, 0x81}, answer2[12] = {2, 2, 0x81};

START_TEST(test_dns_ends_when_all_questions_are_answered)
{
    come("10.0.0.2:1000", "8.8.8.8:53", question1, 12, 12);
    come("10.0.0.2:1000", "8.8.8.8:53", question2, 12, 12);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:53", answer2, 12, 12);
    turn_for(1);
    told[0] = 0;
    turn_for(1200);
    expect(""); /* one is open */
    far_say(f, "8.8.8.8:53", answer1, 12, 12);
    turn_for(500);
    expect("");
    turn_for(700);
    expect("gone 24 24\n");
}
END_TEST

START_TEST(test_dns_with_other_uses_is_an_ordinary_flow)
{
    come("10.0.0.2:1000", "8.8.8.8:53", question1, 12, 12);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:53", answer1, 12, 12);
    turn_for(1);
    come("10.0.0.2:1000", "8.8.8.8:99", "1", 1, 1);
    told[0] = 0;
    turn_for(1200);
    expect("a>8.8.8.8:99 1 1\n");
}
END_TEST

START_TEST(test_one_clients_ports_leave_room_for_others)
{
    char client[32];
    struct tungo_udp_stats st;

    open_at_once = true;
    come("10.0.0.9:5", "8.8.8.8:9", "1", 1, 1);
    for (int port = 1; port <= 2 * UDP_SOURCES_MAX; port++) {
        (void)snprintf(client, sizeof(client), "10.0.0.2:%d", port);
        come(client, "8.8.8.8:9", "1", 1, 1);
        told[0] = 0;
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX);
    turn_for(1);
    told[0] = 0;
    come("10.0.0.9:5", "8.8.8.8:9", "2", 1, 1); /* is still there */
    turn_for(1);
    ck_assert_str_eq(told + 1, ">8.8.8.8:9 1 2\n");
    for (int port = 100; port < 200; port++) {
        (void)snprintf(client, sizeof(client), "10.0.0.9:%d", port);
        come(client, "8.8.8.8:9", "1", 1, 1);
        told[0] = 0;
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX);
    turn_for(1);
    told[0] = 0;
    come("10.0.0.9:5", "8.8.8.8:9", "3", 1, 1); /* what went was the other one's */
    turn_for(1);
    ck_assert_str_eq(told + 1, ">8.8.8.8:9 1 3\n");
}
END_TEST

START_TEST(test_sources_and_waiting_ones_are_capped)
{
    char client[32];
    struct tungo_udp_stats st;

    for (int i = 0; i < 70; i++) {
        (void)snprintf(client, sizeof(client), "8.8.9.%d:3", i);
        come("10.0.0.2:1", client, "1", 1, 1);
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.opening, UDP_WAITING_PER_SOURCE);
    open_at_once = true;
    for (int i = 0; i < UDP_SOURCES_MAX + 100; i++) {
        (void)snprintf(client, sizeof(client), "10.0.%d.%d:2", i / 250, i % 250 + 1);
        come(client, "8.8.8.8:9", "1", 1, 1);
        told[0] = 0;
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX);
    ck_assert_uint_eq(st.opening, 0); /* the first source was the first to go */
    turn_for(1);
    told[0] = 0;
    for (int port = 1; port <= UDP_PAIRS_PER_SOURCE + 50; port++) {
        (void)snprintf(client, sizeof(client), "9.9.9.9:%d", port + 100);
        come("10.0.0.200:2", client, "1", 1, 1);
        told[0] = 0;
    }
    struct addr a, b;
    ck_assert(addr_parse("10.0.0.200:2", &a));
    ck_assert(addr_parse("9.9.9.9:1000", &b));
    ck_assert(tungo_udp_client_gone(u, &a, &b));
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.sources, UDP_SOURCES_MAX - 1);
    for (int i = 0; i < UDP_PAIRS_MAX / UDP_PAIRS_PER_SOURCE + 2; i++) {
        (void)snprintf(client, sizeof(client), "10.1.0.%d:2", i);
        for (int port = 0; port < UDP_PAIRS_PER_SOURCE; port++) {
            char dst[32];
            (void)snprintf(dst, sizeof(dst), "9.9.9.9:%d", port + 100);
            come(client, dst, "1", 1, 1);
            told[0] = 0;
        }
    }
    tungo_udp_stats(u, &st);
    ck_assert_uint_gt(st.sources, UDP_SOURCES_MAX - 10); /* those with many pairs went */
    ck_assert_uint_le(u->table.n_pairs, UDP_PAIRS_MAX);
}
END_TEST

/* An error about what a client was never sent is no reason to end anything. */
START_TEST(test_closed_port_is_believed_of_what_was_sent)
{
    struct addr client, target, stranger;
    struct tungo_udp_stats st;

    ck_assert(addr_parse("10.0.0.2:1000", &client));
    ck_assert(addr_parse("8.8.8.8:9", &target));
    ck_assert(addr_parse("7.7.7.7:7", &stranger));
    ck_assert(!tungo_udp_client_gone(u, &client, &target));
    for (int i = 0; i < 2; i++) {
        struct far *f = far_new('a');
        n_opened = 0;
        come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
        tungo_udp_ready(NULL, opened[0], &f->dgram, RC_OK);
        turn_for(1);
        ck_assert(!tungo_udp_client_gone(u, &client, &stranger));
        tungo_udp_stats(u, &st);
        ck_assert_uint_eq(st.associations, 1);
        far_say(f, "7.7.7.7:7", "1", 1, 1);
        turn_for(1);
        ck_assert(tungo_udp_client_gone(u, &client, i ? &stranger : &target));
        tungo_udp_stats(u, &st);
        ck_assert_uint_eq(st.associations, 0);
        told[0] = 0;
    }
}
END_TEST

START_TEST(test_failing_to_open_later_ends_it)
{
    struct far *f = far_new('a');

    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    told[0] = 0;
    f->open_rc = RC_AGAIN;
    tungo_udp_ready(NULL, opened[0], &f->dgram, RC_OK);
    turn_for(1);
    expect("");
    f->open_rc = RC_OK;
    dgram_wake(&f->dgram);
    turn_for(1);
    expect("a>8.8.8.8:9 1 1\n");
    come("10.0.0.2:1001", "8.8.8.8:9", "1", 1, 1);
    told[0] = 0;
    f = far_new('b');
    f->open_rc = RC_AUTH;
    tungo_udp_ready(NULL, opened[1], &f->dgram, RC_OK);
    expect("");
    turn_for(1);
    expect("gone 0 0\n");
}
END_TEST

START_TEST(test_empty_datagrams_go_by_one_association_beside)
{
    struct tungo_udp_stats st;

    come("10.0.0.2:1000", "8.8.8.8:6", "1", 1, 1);
    struct far *a = open_first();
    turn_for(1);
    told[0] = 0;
    come("10.0.0.2:1000", "8.8.8.8:6", "", 0, 0);
    come("10.0.0.2:1000", "9.9.9.9:6", "", 0, 0); /* the same one for all */
    expect("open 7 plain 8.8.8.8:6\n?10.0.0.2:1000 9.9.9.9:6 0\n");
    struct far *b = far_new('b');
    tungo_udp_ready(NULL, opened[1], &b->dgram, RC_OK);
    come("10.0.0.2:1000", "8.8.8.8:6", "3", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:6", "", 0, 0);
    turn_for(1);
    expect("b>8.8.8.8:6 0\nb>9.9.9.9:6 0\na>8.8.8.8:6 1 3\nb>8.8.8.8:6 0\n");
    far_say(b, "8.8.8.8:6", "", 0, 0);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:6>10.0.0.2:1000 0");
    far_say(a, "8.8.8.8:6", "5", 1, 1);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:6>10.0.0.2:1000 1");
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.associations, 2);
}
END_TEST

START_TEST(test_without_one_beside_empty_datagrams_are_lost_and_others_are_not)
{
    come("10.0.0.2:1000", "8.8.8.8:6", "", 0, 0); /* the first of all */
    expect("?10.0.0.2:1000 8.8.8.8:6 0\nopen 7 plain 8.8.8.8:6\n");
    tungo_udp_ready(NULL, opened[0], NULL, RC_UNSUPPORTED);
    ck_assert_uint_eq(writes, 0); /* its destination is not to blame */
    come("10.0.0.2:1000", "8.8.8.8:6", "1", 1, 1);
    expect("open 7 8.8.8.8:6\n");
    struct far *a = far_new('a');
    tungo_udp_ready(NULL, opened[1], &a->dgram, RC_OK);
    come("10.0.0.2:1000", "8.8.8.8:6", "", 0, 0); /* its own business now */
    turn_for(1);
    expect("a>8.8.8.8:6 1 1\na>8.8.8.8:6 0\n");
}
END_TEST

START_TEST(test_what_waited_goes_apart_when_only_single_destinations_are_served)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    come("10.0.0.2:1000", "9.9.9.9:9", "2", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:9", "3", 1, 1);
    told[0] = 0;
    all_fixed = true; /* as the handler has learnt from the failed dial */
    tungo_udp_ready(NULL, opened[0], NULL, RC_UNSUPPORTED);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 fixed 8.8.8.8:9\n"
           "?10.0.0.2:1000 9.9.9.9:9 1\nopen 7 fixed 9.9.9.9:9\n");
    tungo_udp_ready(NULL, opened[1], &far_new('a')->dgram, RC_OK);
    tungo_udp_ready(NULL, opened[2], &far_new('b')->dgram, RC_OK);
    turn_for(1);
    expect("a>8.8.8.8:9 2/1 1\nb>9.9.9.9:9 1 2\n");
    ck_assert_uint_eq(writes, 0);
    /* and when the handler asks for the same again it is lost, not tried for ever */
    all_fixed = false;
    come("10.0.0.2:1001", "8.8.8.8:9", "1", 1, 1);
    told[0] = 0;
    tungo_udp_ready(NULL, opened[3], NULL, RC_UNSUPPORTED);
    expect("?10.0.0.2:1001 8.8.8.8:9 1\n");
    struct tungo_udp_stats st;
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.dropped_up, 1);
    ck_assert_uint_eq(st.associations, 2);
}
END_TEST

START_TEST(test_an_empty_datagram_goes_apart_where_an_association_takes_none)
{
    come("10.0.0.2:1000", "8.8.8.8:5", "1", 1, 1);
    come("10.0.0.2:1000", "9.9.9.9:5", "2", 1, 1);
    (void)open_first();
    turn_for(1);
    told[0] = 0;
    come("10.0.0.2:1000", "8.8.8.8:5", "", 0, 0);
    expect("open 7 fixed 8.8.8.8:5\n");
    struct far *b = far_new('b');
    tungo_udp_ready(NULL, opened[1], &b->dgram, RC_OK);
    come("10.0.0.2:1000", "8.8.8.8:5", "3", 1, 1);
    come("10.0.0.2:1000", "9.9.9.9:5", "4", 1, 1);
    turn_for(1);
    expect("b>8.8.8.8:5 0\nb>8.8.8.8:5 1 3\na>9.9.9.9:5 1 4\n");
    far_say(b, "8.8.8.8:5", "", 0, 0);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:5>10.0.0.2:1000 0");
    /* while it is still opening */
    come("10.0.0.2:1001", "8.8.8.8:5", "", 0, 0);
    expect("?10.0.0.2:1001 8.8.8.8:5 0\nopen 7 fixed 8.8.8.8:5\n");
}
END_TEST

/* Its old association is the one that has to go for the new one. */
START_TEST(test_a_stale_pair_survives_the_eviction_of_its_association)
{
    char dst[32];
    struct tungo_udp_stats st;

    tungo_udp_configure(u, &(struct tungo_cfg){.udp_timeout_ms = 600});
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    turn_for(400);
    come("10.0.0.2:1000", "9.9.9.9:9", "2", 1, 1); /* keeps the shared one alive */
    all_fixed = true;
    for (int i = 1; i < UDP_WAITING_PER_SOURCE; i++) {
        (void)snprintf(dst, sizeof(dst), "8.8.9.%d:9", i);
        come("10.0.0.2:1000", dst, "3", 1, 1);
    }
    turn_for(300);
    told[0] = 0;
    come("10.0.0.2:1000", "8.8.8.8:9", "4", 1, 1);
    expect("?10.0.0.2:1000 8.8.8.8:9 1\ngone 0 0\nopen 7 fixed 8.8.8.8:9\n");
    tungo_udp_stats(u, &st);
    ck_assert_uint_eq(st.opening, UDP_WAITING_PER_SOURCE);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo_udp");
    TCase *t = tcase_create("flows");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, test_route_is_asked_once_and_what_waited_goes_in_order);
    tcase_add_test(t, test_answers_come_from_whoever_sent_them);
    tcase_add_test(t, test_fixed_routes_have_one_flow_per_destination);
    tcase_add_test(t, test_verdicts_are_told_and_kept_for_a_while);
    tcase_add_test(t, test_a_closed_port_far_away_is_told);
    tcase_add_test(t, test_waiting_datagrams_are_capped);
    tcase_add_test(t, test_idle_associations_end_and_use_keeps_them);
    tcase_add_test(t, test_what_nobody_answers_ends_sooner);
    tcase_add_test(t, test_dns_ends_when_all_questions_are_answered);
    tcase_add_test(t, test_dns_with_other_uses_is_an_ordinary_flow);
    tcase_add_test(t, test_sources_and_waiting_ones_are_capped);
    tcase_add_test(t, test_one_clients_ports_leave_room_for_others);
    tcase_add_test(t, test_closed_port_is_believed_of_what_was_sent);
    tcase_add_test(t, test_failing_to_open_later_ends_it);
    tcase_add_test(t, test_an_empty_datagram_goes_apart_where_an_association_takes_none);
    tcase_add_test(t, test_empty_datagrams_go_by_one_association_beside);
    tcase_add_test(t, test_without_one_beside_empty_datagrams_are_lost_and_others_are_not);
    tcase_add_test(t, test_what_waited_goes_apart_when_only_single_destinations_are_served);
    tcase_add_test(t, test_a_stale_pair_survives_the_eviction_of_its_association);
    suite_add_tcase(s, t);
    return run_suite(s);
}
