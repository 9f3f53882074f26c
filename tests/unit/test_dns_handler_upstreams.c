/* Whom the dns handler asks, and how often: upstreams that are silent, refuse or fail, kept
 * answers, and equal questions of several clients.
 */
#include "dnshandlercase.h"

/* ---------------------------------------------------------------- upstreams */

static void say_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

START_TEST(test_a_silent_upstream_holds_nobody_up)
{
    uint8_t q[512];
    upstream_ms = 30000; /* so long it would be waited for */
    start(say_nothing, answer_addr, 0);
    int fd = client_to(0);
    uint64_t worst = 0;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d.test", i);
        size_t n = query(q, (uint16_t)i, name);
        uv_update_time(loop_uv(loop));
        uint64_t from = loop_now_ms(loop);
        say_udp(fd, q, n);
        ck_assert_int_gt(hear(fd, 12), 12);
        ck_assert_uint_eq(rcode(), DNS_NOERROR);
        if (loop_now_ms(loop) - from > worst)
            worst = loop_now_ms(loop) - from;
    }
    ck_assert_uint_lt(worst, 15000);
    ck_assert_int_lt(peer.asked_udp, 6); /* and is left alone then: one question, sent again */
    ck_assert_int_eq(second.asked_udp, 6);
    close(fd);
    stop();
}
END_TEST

/* The last try is the last one, however quickly those before it failed. */
START_TEST(test_no_more_tries_than_three)
{
    uint8_t q[512];
    is_amid_dead = true;
    start(say_nothing, NULL, 0);
    is_amid_dead = false;
    int fd = client_to(0);
    say_udp(fd, q, query(q, 7, "n.test"));
    ck_assert_int_gt(hear(fd, 12), 0);
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_int_ge(peer.asked_udp, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(test_servfail_when_nobody_answers)
{
    uint8_t q[512];
    start(say_nothing, NULL, 0);
    int fd = client_to(0);
    size_t n = query(q, 0x4242, "a.test");
    say_udp(fd, q, n);
    ck_assert_int_eq(hear(fd, 12), 12 + 12 + 11); /* with the question, and EDNS */
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_uint_eq(in[0] << 8 | in[1], 0x4242);
    ck_assert_int_ge(peer.asked_udp, 2);
    close(fd);
    stop();
}
END_TEST

START_TEST(test_an_answer_is_kept_for_all_but_a_subnet)
{
    uint8_t q[512];
    struct cidr net = {.bits = 24};
    ck_assert(addr_parse_ip("203.0.113.0", 11, &net.net));
    start(answer_addr, NULL, 0);
    int a = client_to(0), b = client_to(1);
    size_t n = query(q, 1, "kept.test");
    say_udp(a, q, n);
    ck_assert_int_gt(hear(a, 12), 12);
    say_framed(b, q, n);
    ck_assert_int_gt(hear(b, 14), 14);
    ck_assert_int_eq(peer.asked_udp, 1);
    struct dns_query with = {.id = 2, .type = DNS_A, .name = "kept.test", .subnet = &net};
    ck_assert_int_eq(dns_format_query(&with, q, sizeof q, &n), RC_OK);
    for (int i = 0; i < 2; i++) {
        say_udp(a, q, n);
        ck_assert_int_gt(hear(a, 12), 12);
    }
    ck_assert_int_eq(peer.asked_udp, 3);
    close(a);
    close(b);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- equal questions */

static void wait_held(int n)
{
    for (int i = 0; i < 500 && n_held < n; i++)
        spin(1);
    spin(5);
    ck_assert_int_eq(n_held, n);
}

static struct dns_asker first_asker;
static void hold_first(struct dns_asker *to, const uint8_t *q, size_t n)
{
    if (n_held == 0)
        first_asker = *to;
    hold(to, q, n);
}

START_TEST(test_one_answer_for_all)
{
    enum { CLIENTS = 20 };
    uint8_t q[512];
    int fd[CLIENTS];
    start(hold_first, NULL, 0);
    n_held = 0;
    for (int i = 0; i < CLIENTS; i++) {
        fd[i] = client_to(i % 2);
        size_t n = query(q, (uint16_t)(100 + i), i % 3 == 0 ? "Same.test" : "same.TEST");
        if (i % 2 == 0)
            say_udp(fd[i], q, n);
        else
            say_framed(fd[i], q, n);
    }
    wait_held(1);
    close(fd[5]); /* one of those who wait goes */
    spin(5);
    answer_addr(&first_asker, held[0], held_n[0]);
    for (int i = 0; i < CLIENTS; i++) {
        size_t head = i % 2;
        if (i == 5)
            continue;
        ck_assert_int_gt(hear(fd[i], 2 * head + 30), 0);
        const uint8_t *m = in + 2 * head;
        ck_assert_uint_eq(m[0] << 8 | m[1], 100 + i);
        ck_assert_mem_eq(m + 13, i % 3 == 0 ? "Same" : "same", 4); /* as it was asked for */
        ck_assert_mem_eq(m + 18, i % 3 == 0 ? "test" : "TEST", 4);
        ck_assert_uint_eq(m[7], 1);
        close(fd[i]);
    }
    ck_assert_int_eq(peer.asked_udp, 1);
    stop();
}
END_TEST

START_TEST(test_who_waits_asks_when_the_first_has_gone)
{
    uint8_t q[512];
    start(hold_first, NULL, 0);
    n_held = 0;
    int a = client_to(1), b = client_to(1), c = client_to(0);
    size_t n = query(q, 1, "same.test");
    say_framed(a, q, n);
    wait_held(1);
    say_framed(b, q, n);
    say_udp(c, q, n);
    spin(5);
    struct linger reset = {1, 0};
    (void)setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(a);
    n_held = 0;
    wait_held(1);
    answer_addr(&first_asker, held[0], held_n[0]);
    ck_assert_int_gt(hear(b, 30), 30);
    ck_assert_int_gt(hear(c, 30), 30);
    ck_assert_int_eq(peer.asked_udp, 2);
    close(b);
    close(c);
    stop();
}
END_TEST

START_TEST(test_servfail_for_all_who_wait)
{
    uint8_t q[512];
    start(say_nothing, NULL, 0);
    int a = client_to(0), b = client_to(1);
    size_t n = query(q, 1, "same.test");
    say_udp(a, q, n);
    say_udp(a, q, n); /* sent twice by an impatient client */
    say_framed(b, q, n);
    ck_assert_int_gt(hear(a, 30), 30);
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_int_gt(hear(b, 30), 30);
    ck_assert_uint_eq(in[5] & 0xf, DNS_SERVFAIL);
    close(a);
    close(b);
    stop();
}
END_TEST

int main(void)
{
    static const TTest *tests[20];
    size_t n = 0;

    tests[n++] = test_a_silent_upstream_holds_nobody_up;
    tests[n++] = test_no_more_tries_than_three;
    tests[n++] = test_servfail_when_nobody_answers;
    tests[n++] = test_an_answer_is_kept_for_all_but_a_subnet;
    tests[n++] = test_one_answer_for_all;
    tests[n++] = test_who_waits_asks_when_the_first_has_gone;
    tests[n++] = test_servfail_for_all_who_wait;
    return dns_handler_main("dns_handler_upstreams", tests, NULL);
}
