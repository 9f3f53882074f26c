/* core/floor/udp over loopback: sizes, families, bursts, what is heard about closed ports. */
#include "core/floor/udp.h"
#include "core/stream.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct dgram *client, *server;
static struct target to;
static uint8_t big[131072], got[131072];

static void open_pair(const char *server_at)
{
    struct addr at, local;
    int fd;

    loop = loop_new(NULL);
    ck_assert(addr_parse(server_at, &at));
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &fd, NULL), RC_OK);
    server = udp_dgram_fd(loop, fd);
    client = udp_dgram(loop, NULL);
    ck_assert_ptr_nonnull(server);
    ck_assert_ptr_nonnull(client);
    ck_assert_int_eq(dgram_open(server), RC_OK);
    ck_assert_int_eq(dgram_open(client), RC_OK);
    ck_assert_int_eq(dgram_local(server, &local), RC_OK);
    target_from_addr(&to, &local);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void close_pair(void)
{
    dgram_close(client);
    dgram_close(server);
    loop_run(loop);
    loop_free(loop);
}

static void on_ready(struct dgram *d, unsigned ready, void *arg)
{
    ck_assert_uint_ne(ready & STREAM_IN, 0);
    (void)arg;
    dgram_want(d, 0, NULL, NULL);
    loop_stop(loop);
}

static void on_late(struct timer *t)
{
    (void)t;
    ck_abort_msg("nothing came");
}

static void wait_for(struct dgram *d)
{
    struct timer late;

    timer_init(loop, &late, on_late);
    ck_assert(timer_start(&late, 3000));
    dgram_want(d, STREAM_IN, on_ready, NULL);
    loop_run(loop);
    timer_stop(&late);
}

static size_t receive(struct dgram *d, struct target *ret_from)
{
    size_t n = 99999;

    for (;;) {
        enum rc rc = dgram_recv(d, got, sizeof(got), &n, ret_from);
        if (rc == RC_OK)
            return n;
        ck_assert_int_eq(rc, RC_AGAIN);
        wait_for(d);
    }
}

static void echo(size_t n)
{
    struct target from, back;

    ck_assert_int_eq(dgram_send(client, &to, big, n), RC_OK);
    ck_assert_uint_eq(receive(server, &from), n);
    ck_assert_mem_eq(got, big, n);
    ck_assert_int_eq(dgram_send(server, &from, got, n), RC_OK);
    ck_assert_uint_eq(receive(client, &back), n);
    ck_assert(target_equal(&back, &to));
    ck_assert_mem_eq(got, big, n);
}

START_TEST(test_every_size_both_families)
{
    static const size_t sizes[] = {1, 0, 512, 1472, 1473, 9000, 65507, 2, 0};
    static const char *const at[] = {"127.0.0.1:0", "[::1]:0"};

    open_pair(at[_i]);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        echo(sizes[i]);
    close_pair();
}
END_TEST

START_TEST(test_dual_socket_answers_ipv4_as_ipv4)
{
    struct addr at = addr_v6(&in6addr_any, 0), local;
    struct target from;
    int fd;

    open_pair("127.0.0.1:0");
    dgram_close(server);
    ck_assert_int_eq(os_bind_udp(&at, true, NULL, &fd, NULL), RC_OK);
    server = udp_dgram_fd(loop, fd);
    ck_assert_int_eq(dgram_local(server, &local), RC_OK);
    to.addr.port = local.port;
    ck_assert_int_eq(dgram_send(client, &to, "x", 1), RC_OK);
    ck_assert_uint_eq(receive(server, &from), 1);
    ck_assert_uint_eq(from.addr.family, AF_INET);
    echo(100);
    close_pair();
}
END_TEST

START_TEST(test_bad_targets_lose_only_their_message)
{
    struct target bad = {.name = "example.org", .addr.port = 9};
    struct addr v6;

    open_pair("127.0.0.1:0");
    ck_assert_int_eq(dgram_send(client, &bad, "x", 1), RC_AGAIN);
    ck_assert(addr_parse("[2001:db8::1]:9", &v6));
    target_from_addr(&bad, &v6);
    ck_assert_int_eq(dgram_send(server, &bad, "x", 1), RC_AGAIN); /* an IPv4 socket */
    ck_assert_int_eq(dgram_send(client, &to, big, 65536), RC_AGAIN);
    ck_assert_uint_eq(client->dropped, 2);
    echo(1);
    close_pair();
}
END_TEST

START_TEST(test_bursts_keep_every_border)
{
    static const size_t cases[][2] = {{100000, 1000},  {100001, 1000}, {64 * 200 + 1, 64},
                                      {130000, 65000}, {5, 10},        {1, 1}};
    struct target from;

    open_pair("127.0.0.1:0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = cases[i][0], segment = cases[i][1], at = 0;
        ck_assert_int_eq(dgram_send_burst(client, &to, big, n, segment), RC_OK);
        while (at < n) {
            size_t len = 0, piece = 0;
            enum rc rc = dgram_recv_burst(server, got, sizeof(got), &len, &piece, &from);
            if (rc == RC_AGAIN) {
                wait_for(server);
                continue;
            }
            ck_assert_int_eq(rc, RC_OK);
            ck_assert_mem_eq(got, big + at, len);
            ck_assert(piece == (len < segment ? len : segment) || piece == len);
            at += len;
            ck_assert(len % segment == 0 || at == n);
        }
        ck_assert_uint_eq(at, n);
    }
    ck_assert_uint_eq(client->dropped, 0);
    close_pair();
}
END_TEST

START_TEST(test_a_closed_port_is_heard_of_and_the_flow_goes_on)
{
    struct target closed, about;
    struct addr at;
    enum rc why = RC_OK;
    size_t n;
    int fd;

    open_pair(_i ? "[::1]:0" : "127.0.0.1:0");
    ck_assert(addr_parse(_i ? "[::1]:0" : "127.0.0.1:0", &at));
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(fd, &at), RC_OK);
    os_close(fd);
    target_from_addr(&closed, &at);
    ck_assert_int_eq(dgram_trouble(client, &about, &why), RC_AGAIN);
    ck_assert_int_eq(dgram_send(client, &closed, "x", 1), RC_OK);
    wait_for(client);
    ck_assert_int_eq(dgram_recv(client, got, sizeof(got), &n, &about), RC_AGAIN);
    ck_assert_int_eq(dgram_trouble(client, &about, &why), RC_OK);
    ck_assert_int_eq(why, RC_REFUSED);
    ck_assert(target_equal(&about, &closed));
    ck_assert_int_eq(dgram_trouble(client, &about, &why), RC_AGAIN);
    for (int i = 0; i < 20; i++) { /* more than is remembered, and never an error of ours */
        ck_assert_int_eq(dgram_send(client, &closed, "x", 1), RC_OK);
        echo(10);
    }
    close_pair();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("udp_floor");
    TCase *t = tcase_create("loopback");

    tcase_add_loop_test(t, test_every_size_both_families, 0, 2);
    tcase_add_test(t, test_dual_socket_answers_ipv4_as_ipv4);
    tcase_add_test(t, test_bad_targets_lose_only_their_message);
    tcase_add_test(t, test_bursts_keep_every_border);
    tcase_add_loop_test(t, test_a_closed_port_is_heard_of_and_the_flow_goes_on, 0, 2);
    suite_add_tcase(s, t);
    return run_suite(s);
}
