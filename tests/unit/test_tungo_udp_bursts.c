/* UDP of the device: bursts joined and cut both ways, answers beyond the MTU. */
#include "udpends.h"

START_TEST(test_bursts_are_joined_and_cut_both_ways)
{
    open_at_once = true;
    come("10.0.0.2:1000", "8.8.8.8:9", text, 5000, 1000); /* USO from the kernel, while opening */
    turn_for(1);
    expect("?10.0.0.2:1000 8.8.8.8:9 1000\nopen 7 8.8.8.8:9\ni>8.8.8.8:9 5000/1000 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 5001, 1000);
    expect("i>8.8.8.8:9 5001/1000 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 50, 50); /* shorter: the last one */
    expect("i>8.8.8.8:9 250/100 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 100, 100);
    come("10.0.0.2:1000", "8.8.8.8:9", text, 101, 101);
    expect("i>8.8.8.8:9 100 x\n");
    come("10.0.0.2:1000", "8.8.8.8:9", text, 65507, 65507);
    expect("i>8.8.8.8:9 101 x\ni>8.8.8.8:9 65507 x\n");
    for (int i = 0; i < 70; i++)
        come("10.0.0.2:1000", "8.8.8.8:9", text, 10, 10);
    expect("i>8.8.8.8:9 640/10 x\n");
    turn_for(1);
    expect("i>8.8.8.8:9 60/10 x\n");
}
END_TEST

START_TEST(test_answers_are_joined_to_uso_packets)
{
    come("10.0.0.2:1000", "8.8.8.8:9", "1", 1, 1);
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", text, 1000, 1000);
    far_say(f, "8.8.8.8:9", text, 30000, 1000);
    far_say(f, "8.8.8.8:9", text, 999, 999); /* another size */
    far_say(f, "8.8.4.4:9", text, 999, 999); /* another sender */
    turn_for(1);
    ck_assert_uint_eq(writes, 3);
    ck_assert_str_eq(written(), "8.8.4.4:9>10.0.0.2:1000 999");
    writes = 0;
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    far_say(f, "8.8.8.8:9", text, 500, 500);
    turn_for(1);
    ck_assert_uint_eq(writes, 2);
    writes = 0;
    far_say(f, "8.8.8.8:9", text, 64000, 1000); /* 65 pieces do not fit into one packet */
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    turn_for(1);
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(out_vh.gso_size, 1000);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.2:1000 5000");
    writes = 0;
    caps.uso = false;
    far_say(f, "8.8.8.8:9", text, 5000, 1000);
    turn_for(1);
    ck_assert_uint_eq(writes, 5);
    ck_assert_uint_eq(out_vh.gso_size, 0);
}
END_TEST

START_TEST(test_answers_beyond_the_mtu_are_whole_here_and_cut_elsewhere)
{
    open_at_once = false;
    come("10.0.0.1:1000", "8.8.8.8:9", "1", 1, 1); /* the device's own address */
    struct far *f = open_first();
    turn_for(1);
    far_say(f, "8.8.8.8:9", text, 65507, 65507);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    ck_assert_str_eq(written(), "8.8.8.8:9>10.0.0.1:1000 65507");
    n_opened = 0;
    writes = 0;
    come("[fd00::2]:1000", "[2001:db8::8]:9", "1", 1, 1);
    f = open_first();
    turn_for(1);
    far_say(f, "[2001:db8::8]:9", text, 65507, 65507);
    turn_for(1);
    ck_assert_uint_eq(writes, (65507 + 8 + 1447) / 1448);
    ck_assert_uint_eq(out[IP6_AT_NEXT], IPPROTO_FRAGMENT);
    writes = 0;
    far_say(f, "[2001:db8::8]:9", text, 1452, 1452);
    turn_for(1);
    ck_assert_uint_eq(writes, 1);
    far_say(f, "[2001:db8::8]:9", text, 1453, 1453);
    turn_for(1);
    ck_assert_uint_eq(writes, 3);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo_udp_bursts");
    TCase *t = tcase_create("flows");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, test_bursts_are_joined_and_cut_both_ways);
    tcase_add_test(t, test_answers_are_joined_to_uso_packets);
    tcase_add_test(t, test_answers_beyond_the_mtu_are_whole_here_and_cut_elsewhere);
    suite_add_tcase(s, t);
    return run_suite(s);
}
