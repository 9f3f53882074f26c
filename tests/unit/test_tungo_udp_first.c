/* First datagrams that are kept until the handler knows their route: order, time, caps, verdicts.
 */
#include "core/wire/cursor.h"
#include "listeners/tungo/udp_first.h"
#include "udpends.h"

static enum rc answer;         /* to the questions about kept datagrams */
static int enough;             /* so many are enough */
static bool fixed_since_asked; /* routes are fixed from the second decision on */

/* Port 6: not known by the first. */
static enum rc ask_first(void *arg, const struct addr *client, const struct addr *dst,
                         const void *data, size_t n, struct tungo_udp_route *ret_route)
{
    enum rc rc = on_udp(arg, client, dst, data, n, ret_route);

    return dst->port == 6 ? RC_AGAIN : rc;
}

static enum rc ask_more(void *arg, const struct addr *client, const struct addr *dst,
                        const struct slice *v, int n, bool last, struct tungo_udp_route *ret_route)
{
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];

    (void)arg;
    note("+%s %s", addr_format(client, a, sizeof(a)), addr_format(dst, b, sizeof(b)));
    for (int i = 0; i < n; i++)
        note(" %zu%c", v[i].n, v[i].n ? *v[i].p : '-');
    note("%s\n", last ? " last" : "");
    *ret_route = (struct tungo_udp_route){.id = 7, .fixed = fixed_since_asked};
    return n >= enough || last ? answer : RC_AGAIN;
}

static struct tungo_events asking = {.on_udp = ask_first,
                                     .on_udp_open = on_udp_open,
                                     .on_udp_gone = on_udp_gone,
                                     .on_udp_more = ask_more};

static void begin(void)
{
    setup();
    tungo_udp_set_events(u, &asking);
    answer = RC_OK;
    enough = 3;
    fixed_since_asked = false;
}

static unsigned lost(void)
{
    struct tungo_udp_stats st;

    tungo_udp_stats(u, &st);
    return (unsigned)st.dropped_up;
}

START_TEST(test_kept_until_known_and_sent_in_order)
{
    open_at_once = true;
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:6", "", 0, 0);
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:6 1\n+10.0.0.2:1000 8.8.8.8:6 1a 0-\n");
    come("10.0.0.2:1000", "8.8.8.8:6", "ccc", 3, 3);
    turn_for(1);
    expect("+10.0.0.2:1000 8.8.8.8:6 1a 0- 3c\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 1 a\ni>8.8.8.8:6 0\ni>8.8.8.8:6 3 c\n");
    come("10.0.0.2:1000", "8.8.8.8:6", "d", 1, 1);
    turn_for(1);
    expect("i>8.8.8.8:6 1 d\n");
    ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(test_others_are_not_held_up)
{
    open_at_once = true;
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:9", "x", 1, 1);
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:6 1\n?10.0.0.2:1000 8.8.8.8:9 1\nopen 7 8.8.8.8:9\n"
           "i>8.8.8.8:9 1 x\n");
}
END_TEST

START_TEST(test_time_decides)
{
    tungo_udp_configure(u, &(struct tungo_cfg){.udp_first_ms = 400});
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    turn_for(300);
    come("10.0.0.2:1001", "8.8.8.8:6", "b", 1, 1);
    told[0] = 0;
    turn_for(50);
    expect("");
    turn_for(60);
    expect("+10.0.0.2:1000 8.8.8.8:6 1a last\nopen 7 8.8.8.8:6\n");
    struct far *f = open_first();
    turn_for(1);
    expect("a>8.8.8.8:6 1 a\n");
    far_say(f, "8.8.8.8:6", "hello", 5, 5);
    turn_for(1);
    ck_assert_str_eq(written(), "8.8.8.8:6>10.0.0.2:1000 5");
    turn_for(309);
    expect("+10.0.0.2:1001 8.8.8.8:6 1b last\nopen 7 8.8.8.8:6\n");
    ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(test_caps_decide)
{
    open_at_once = true;
    enough = 100;
    for (int i = 0; i < UDP_FIRST_DATAGRAMS; i++)
        come("10.0.0.2:1000", "8.8.8.8:6", "abcdefghijkl" + i, 1, 1);
    told[0] = 0;
    come("10.0.0.2:1000", "8.8.8.8:6", "z", 1, 1);
    turn_for(1);
    expect("+10.0.0.2:1000 8.8.8.8:6 1a 1b 1c 1d 1e 1f 1g 1h last\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 9/1 a\n");
    come("10.0.0.2:1001", "8.8.8.8:6", text, UDP_FIRST_BYTES, UDP_FIRST_BYTES);
    told[0] = 0;
    come("10.0.0.2:1001", "8.8.8.8:6", "y", 1, 1);
    turn_for(1);
    expect("+10.0.0.2:1001 8.8.8.8:6 16384x last\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 16385/16384 x\n");
    told[0] = 0;
    come("10.0.0.2:1002", "8.8.8.8:6", text, UDP_FIRST_BYTES + 1, UDP_FIRST_BYTES + 1);
    turn_for(1);
    expect("?10.0.0.2:1002 8.8.8.8:6 16385\n+10.0.0.2:1002 8.8.8.8:6 16385x last\n"
           "open 7 8.8.8.8:6\ni>8.8.8.8:6 16385 x\n");
    ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(test_so_many_pairs_may_wait)
{
    char client[32];

    for (unsigned i = 0; i < UDP_FIRST_PAIRS; i++) {
        told[0] = 0;
        snprintf(client, sizeof client, "10.0.%u.2:1000", i / 250 * 256 + i % 250);
        snprintf(client, sizeof client, "10.%u.%u.2:1000", i / 250, i % 250);
        come(client, "8.8.8.8:6", "a", 1, 1);
    }
    told[0] = 0;
    open_at_once = true;
    come("10.9.9.9:1", "8.8.8.8:6", "a", 1, 1);
    turn_for(1);
    expect("?10.9.9.9:1 8.8.8.8:6 1\n+10.9.9.9:1 8.8.8.8:6 1a last\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 1 a\n");
}
END_TEST

START_TEST(test_one_client_leaves_room_for_others)
{
    char client[32];

    enum { SHARE = UDP_FIRST_PAIRS - UDP_FIRST_PAIRS / SHARES_RESERVE_PART };

    open_at_once = true;
    for (unsigned i = 0; i <= SHARE; i++) {
        told[0] = 0;
        snprintf(client, sizeof client, "10.0.0.2:%u", 1000 + i);
        come(client, "8.8.8.8:6", "a", 1, 1);
    }
    turn_for(1); /* the last one was told at once */
    expect("?10.0.0.2:1448 8.8.8.8:6 1\n+10.0.0.2:1448 8.8.8.8:6 1a last\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 1 a\n");
    told[0] = 0;
    come("10.0.0.3:1", "8.8.8.8:6", "a", 1, 1);
    turn_for(1);
    expect("?10.0.0.3:1 8.8.8.8:6 1\n");
}
END_TEST

START_TEST(test_bursts_are_kept_in_pieces)
{
    open_at_once = true;
    come("10.0.0.2:1000", "8.8.8.8:6", "aabbccddeef", 11, 2);
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:6 2\n+10.0.0.2:1000 8.8.8.8:6 2a 2b\n"
           "+10.0.0.2:1000 8.8.8.8:6 2a 2b 2c\nopen 7 8.8.8.8:6\n"
           "i>8.8.8.8:6 6/2 a\ni>8.8.8.8:6 5/2 d\n");
    ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(test_a_verdict_is_told)
{
    enough = 2;
    answer = RC_REFUSED;
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    ck_assert_uint_eq(writes, 0);
    come("10.0.0.2:1000", "8.8.8.8:6", "b", 1, 1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(lost(), 2);
    answer = RC_DENIED;
    come("10.0.0.2:1001", "8.8.8.8:6", "a", 1, 1);
    come("10.0.0.2:1001", "8.8.8.8:6", "b", 1, 1);
    ck_assert_uint_eq(writes, 2);
    told[0] = 0;
    come("10.0.0.2:1001", "8.8.8.8:6", "c", 1, 1); /* it holds for a while */
    ck_assert_uint_eq(writes, 3);
    expect("");
}
END_TEST

START_TEST(test_failing_at_once)
{
    enough = 2;
    fail_at_once = RC_UNREACH_HOST;
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:6", "b", 1, 1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_uint_eq(lost(), 2);
}
END_TEST

START_TEST(test_going_apart_loses_nothing)
{
    enough = 2;
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:6", "b", 1, 1);
    come("10.0.0.2:1000", "8.8.8.8:6", "c", 1, 1);
    told[0] = 0;
    fixed_since_asked = true;
    open_at_once = true;
    tungo_udp_ready(NULL, opened[0], NULL, RC_UNSUPPORTED);
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:6 1\n+10.0.0.2:1000 8.8.8.8:6 1a 1b\n"
           "open 7 fixed 8.8.8.8:6\ni>8.8.8.8:6 3/1 a\n");
    ck_assert_uint_eq(lost(), 0);
}
END_TEST

START_TEST(test_no_handler_for_more)
{
    asking.on_udp_more = NULL;
    tungo_udp_set_events(u, &asking);
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    expect("?10.0.0.2:1000 8.8.8.8:6 1\n");
    ck_assert_uint_eq(lost(), 1);
}
END_TEST

START_TEST(test_what_waits_ends_with_its_client)
{
    struct addr client, target;

    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1);
    ck_assert(addr_parse("10.0.0.2:1000", &client));
    ck_assert(addr_parse("8.8.8.8:6", &target));
    ck_assert(tungo_udp_client_gone(u, &client, &target));
    told[0] = 0;
    turn_for(1500);
    expect("");
    come("10.0.0.2:1000", "8.8.8.8:6", "a", 1, 1); /* the device goes with it */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tungo_udp_first");
    TCase *tc = tcase_create("tungo_udp_first");

    tcase_add_checked_fixture(tc, begin, teardown);
    tcase_add_test(tc, test_kept_until_known_and_sent_in_order);
    tcase_add_test(tc, test_others_are_not_held_up);
    tcase_add_test(tc, test_time_decides);
    tcase_add_test(tc, test_caps_decide);
    tcase_add_test(tc, test_so_many_pairs_may_wait);
    tcase_add_test(tc, test_one_client_leaves_room_for_others);
    tcase_add_test(tc, test_bursts_are_kept_in_pieces);
    tcase_add_test(tc, test_a_verdict_is_told);
    tcase_add_test(tc, test_failing_at_once);
    tcase_add_test(tc, test_going_apart_loses_nothing);
    tcase_add_test(tc, test_no_handler_for_more);
    tcase_add_test(tc, test_what_waits_ends_with_its_client);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
