/* tests/unit/test_echo.c - pings that leave by sockets: answers come back to who asked, also when
 * another client pings with very many identifiers. In a network namespace of its own; where that
 * can't be had, nothing is checked. */
#include "core/loop.h"
#include "core/os.h"
#include "core/wire/ip.h"
#include "listeners/tungo/echo.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "run.h"
#include <check.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tun_caps caps = {.mtu = 1500};
static struct loop *loop;
static struct icmp icmp;
static struct echo *echo;
static unsigned answers[3]; /* to 10.0.0.x */

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    (void)t;
    return &caps;
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    uint8_t out[2000];
    size_t n = 0;

    (void)t;
    (void)vh;
    for (int i = 0; i < nv && n + v[i].iov_len <= sizeof out; i++) {
        memcpy(out + n, v[i].iov_base, v[i].iov_len);
        n += v[i].iov_len;
    }
    struct addr dst = packet_dst(out);
    ck_assert_uint_lt(dst.ip[3], 3);
    if (out[IP4_HEADER_BYTES] == 0) /* an echo's answer */
        answers[dst.ip[3]]++;
    return true;
}

static void on_stop(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

/* Until the client 10.0.0.host has n answers, 5 s at most. */
static void wait_for(uint8_t host, unsigned n)
{
    struct timer t;

    timer_init(loop, &t, on_stop);
    for (int i = 0; i < 500 && answers[host] < n; i++) {
        ck_assert(timer_start(&t, 10));
        loop_run(loop);
    }
}

static void ping(uint8_t host, unsigned id)
{
    uint8_t buf[64] = {0};
    static const struct sockopts so;
    struct addr src = {.family = AF_INET, .ip = {10, 0, 0, host}};
    struct addr dst = {.family = AF_INET, .ip = {127, 0, 0, 1}};
    struct ip_fields f = {.src = &src, .dst = &dst, .proto = IPPROTO_ICMP, .ttl = 64};
    size_t l4 = packet_put_ip(buf, &f, 16);
    struct diag diag = {.rc = RC_OK};

    buf[l4] = 8;
    packet_wr16(buf + l4 + 4, id);
    cksum_l4_put(buf, l4, l4 + 16, IPPROTO_ICMP);
    struct packet p = {.ip = buf,
                       .bytes = l4 + 16,
                       .src = src,
                       .dst = dst,
                       .proto = IPPROTO_ICMP,
                       .l4 = (uint16_t)l4,
                       .payload = (uint16_t)(l4 + 8)};
    enum rc rc = echo_forward(echo, &p, &so, &diag);
    ck_assert_msg(rc == RC_OK, "%s", diag.text);
}

static void set_up(void)
{
    struct diag diag = {.rc = RC_OK};

    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    icmp_init(&icmp, NULL);
    echo = echo_new(loop, NULL, &icmp);
    ck_assert_ptr_nonnull(echo);
    memset(answers, 0, sizeof answers);
}

static void tear_down(void)
{
    echo_free(echo);
    loop_free(loop);
}

START_TEST(test_answers_come_back)
{
    ping(1, 7);
    ping(2, 7); /* the same identifier is another client's, too */
    ck_assert_uint_eq(echo_sessions(echo), 2);
    wait_for(1, 1);
    wait_for(2, 1);
    ck_assert_uint_eq(answers[1], 1);
    ck_assert_uint_eq(answers[2], 1);
    ping(1, 7);
    wait_for(1, 2);
    ck_assert_uint_eq(answers[1], 2);
    ck_assert_uint_eq(echo_sessions(echo), 2);
}
END_TEST

/* The answers wait at the sockets meanwhile: who loses his session loses them. */
START_TEST(test_many_identifiers_of_one_client_end_no_others)
{
    for (unsigned id = 0; id < 20; id++)
        ping(2, id);
    for (unsigned id = 0; id < 3 * ECHO_SESSIONS_MAX; id++)
        ping(1, id);
    ck_assert_uint_eq(echo_sessions(echo), ECHO_SESSIONS_MAX);
    ck_assert_uint_eq(echo_evicted(echo), 20 + 2 * ECHO_SESSIONS_MAX);
    for (unsigned id = 100; id < 120; id++)
        ping(2, id);
    wait_for(2, 40);
    ck_assert_uint_eq(answers[2], 40);
    wait_for(1, ECHO_SESSIONS_MAX - 40);
    ck_assert_uint_eq(answers[1], ECHO_SESSIONS_MAX - 40);
}
END_TEST

/* A namespace whose loopback is up, where we may have ping sockets. */
static bool have_network(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

    if (unshare(CLONE_NEWNET) != 0)
        return false;
    int range = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
    bool ok = range >= 0 && dprintf(range, "0 2147483647") > 0;
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ok = ok && any >= 0 && ioctl(any, SIOCSIFFLAGS, &up) == 0;
    if (range >= 0)
        close(range);
    if (any >= 0)
        close(any);
    return ok;
}

int main(void)
{
    int failed = 0;

    if (have_network()) {
        Suite *s = suite_create("echo");
        TCase *t = tcase_create("pings");
        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, test_answers_come_back);
        tcase_add_test(t, test_many_identifiers_of_one_client_end_no_others);
        suite_add_tcase(s, t);
        failed = run_suite(s);
    }
    return failed != 0;
}
