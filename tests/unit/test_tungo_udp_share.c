/* UDP of the device: one client that takes all associations, destinations or attempts there are,
 * and another one beside it. */
#include "listeners/tungo/udp_inside.h"
#include "udpends.h"

static const char modest[] = "10.0.0.9:5";

/* The greedy client's datagrams from `ports` ports to `dests` destinations each. */
static void flood(int ports, int dests)
{
    char client[32], dst[32];

    for (int i = 0; i < ports; i++) {
        (void)snprintf(client, sizeof client, "10.0.0.2:%d", 1000 + i);
        for (int k = 0; k < dests; k++) {
            (void)snprintf(dst, sizeof dst, "9.9.%d.%d:99", k / 250, k % 250 + 1);
            come(client, dst, "1", 1, 1);
            told[0] = 0;
        }
    }
    turn_for(1);
    told[0] = 0;
}

/* The modest client's association is there as it was, to a destination that it had. */
static void is_there(const char *what)
{
    char want[64];

    come(modest, "8.8.8.8:9", what, 1, 1);
    turn_for(1);
    (void)snprintf(want, sizeof want, ">8.8.8.8:9 1 %s\n", what);
    ck_assert_str_eq(told + 1, want);
    told[0] = 0;
}

START_TEST(test_associations_of_one_client_leave_those_of_others)
{
    open_at_once = true;
    all_fixed = _i; /* one each for every destination, or for every port */
    come(modest, "8.8.8.8:9", "1", 1, 1);
    flood(_i ? 12 : 9000, _i ? 1000 : 1);
    ck_assert_uint_le(u->table.n_dests, UDP_DESTS_MAX);
    ck_assert_uint_ge(u->table.n_dests, _i ? UDP_DESTS_MAX : UDP_SOURCES_MAX);
    is_there("2");
    flood(3, 1000);
    is_there("3");
}
END_TEST

START_TEST(test_destinations_of_one_client_leave_those_of_others)
{
    open_at_once = true;
    come(modest, "8.8.8.8:9", "1", 1, 1);
    flood(UDP_PAIRS_MAX / UDP_PAIRS_PER_SOURCE + 6, UDP_PAIRS_PER_SOURCE);
    ck_assert_uint_le(u->table.n_pairs, UDP_PAIRS_MAX);
    ck_assert_uint_gt(u->table.n_pairs, UDP_PAIRS_MAX - 2 * UDP_PAIRS_PER_SOURCE);
    is_there("2");
}
END_TEST

START_TEST(test_attempts_of_one_client_leave_some_for_others)
{
    all_fixed = true;
    flood(40, UDP_WAITING_PER_SOURCE); /* none of them opens */
    ck_assert_uint_eq(u->table.n_opening, UDP_OPENING_MAX - UDP_OPENING_MAX / SHARES_RESERVE_PART);
    open_at_once = true;
    come(modest, "8.8.8.8:9", "1", 1, 1);
    turn_for(1);
    told[0] = 0;
    is_there("2");
}
END_TEST

/* One host sends from 20,000 addresses: what another client was answered at stays, and it may go
 * on.
 */
START_TEST(test_addresses_of_nobody_leave_what_was_answered)
{
    char client[32];

    for (int i = 0; i < 5; i++) {
        (void)snprintf(client, sizeof client, "10.0.0.9:%d", 5 + i);
        come(client, "8.8.8.8:9", "1", 1, 1);
        struct far *f = far_new('m');
        tungo_udp_ready(NULL, opened[i], &f->dgram, RC_OK);
        far_say(f, "8.8.8.8:9", "answer", 6, 6);
        turn_for(1);
    }
    open_at_once = true;
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(client, sizeof client, "10.%d.%d.%d:1000", 1 + i / 62500, i / 250 % 250,
                       i % 250 + 1);
        come(client, "9.9.9.9:99", "1", 1, 1);
        told[0] = 0;
        ck_assert_uint_le(u->table.n_sources, UDP_SOURCES_MAX);
    }
    turn_for(1);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(client, sizeof client, "10.0.0.9:%d", 5 + i);
        told[0] = 0;
        come(client, "8.8.8.8:9", "2", 1, 1);
        turn_for(1);
        ck_assert_ptr_null(strstr(told, "open")); /* the same association as before */
    }
    come("10.0.0.9:77", "8.8.8.8:9", "1", 1, 1);
    ck_assert_ptr_nonnull(strstr(told, "open"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo_udp_share");
    TCase *t = tcase_create("shares");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_associations_of_one_client_leave_those_of_others, 0, 2);
    tcase_add_test(t, test_destinations_of_one_client_leave_those_of_others);
    tcase_add_test(t, test_attempts_of_one_client_leave_some_for_others);
    tcase_add_test(t, test_addresses_of_nobody_leave_what_was_answered);
    suite_add_tcase(s, t);
    return run_suite(s);
}
