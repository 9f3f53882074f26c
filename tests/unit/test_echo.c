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
#include <linux/if_tun.h>
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
static unsigned answers[3];    /* to 10.0.0.x */
static uint8_t failed[3][120]; /* the last error to it */
static unsigned n_failed[3];

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
    bool v6 = dst.family == AF_INET6;
    unsigned host = dst.ip[v6 ? 15 : 3];
    uint8_t type = out[v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES];
    ck_assert_uint_lt(host, 3);
    if (type == (v6 ? 129 : 0)) { /* an echo's answer */
        answers[host]++;
    } else {
        memcpy(failed[host], out, n < sizeof failed[host] ? n : sizeof failed[host]);
        n_failed[host]++;
    }
    return true;
}

static void on_stop(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

/* Until there are n of them, 5 s at most. */
static void wait_until(const unsigned *count, unsigned n)
{
    struct timer t;

    timer_init(loop, &t, on_stop);
    for (int i = 0; i < 500 && *count < n; i++) {
        ck_assert(timer_start(&t, 10));
        loop_run(loop);
    }
}

static void wait_for(uint8_t host, unsigned n)
{
    wait_until(&answers[host], n);
}

static void ping_to(const char *client, const char *target, unsigned id, unsigned seq)
{
    uint8_t buf[64] = {0};
    static const struct sockopts so;
    struct addr src, dst;
    ck_assert(addr_parse_ip(client, strlen(client), &src) &&
              addr_parse_ip(target, strlen(target), &dst));
    bool v6 = src.family == AF_INET6;
    uint8_t proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    struct ip_fields f = {.src = &src, .dst = &dst, .proto = proto, .ttl = 64};
    size_t l4 = packet_put_ip(buf, &f, 16);
    struct diag diag = {.rc = RC_OK};

    buf[l4] = v6 ? 128 : 8;
    packet_wr16(buf + l4 + 4, id);
    packet_wr16(buf + l4 + 6, seq);
    cksum_l4_put(buf, l4, l4 + 16, proto);
    struct packet p = {.ip = buf,
                       .bytes = l4 + 16,
                       .src = src,
                       .dst = dst,
                       .proto = proto,
                       .l4 = (uint16_t)l4,
                       .payload = (uint16_t)(l4 + 8)};
    enum rc rc = echo_forward(echo, &p, &so, &diag);
    ck_assert_msg(rc == RC_OK, "%s", diag.text);
}

static void ping(uint8_t host, unsigned id)
{
    char client[16];

    (void)snprintf(client, sizeof client, "10.0.0.%u", host);
    ping_to(client, "127.0.0.1", id, 0);
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
    memset(n_failed, 0, sizeof n_failed);
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

/* --- errors: the test is the router behind a device */

static int router = -1; /* -1: none to be had, nothing is checked */

/* A device t0 with 10.9.0.1/24 and fd09::1/64, and nobody else there. */
static int open_router(void)
{
    static const char *const setup = "ip addr add 10.9.0.1/24 dev t0 && ip link set t0 up && "
                                     "ip addr add fd09::1/64 dev t0 nodad";
    struct ifreq dev = {.ifr_name = "t0", .ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && (ioctl(fd, TUNSETIFF, &dev) != 0 || system(setup) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The router says that the next echo request to `target` goes nowhere. */
static void refuse_next(const char *target)
{
    uint8_t in[2000], out[ICMP_ERROR_BYTES];
    struct addr to;
    size_t n;

    ck_assert(addr_parse_ip(target, strlen(target), &to));
    for (int i = 0; i < 100; i++) {
        ssize_t len = read(router, in, sizeof in);
        if (len < (ssize_t)IP4_HEADER_BYTES) {
            ck_assert_int_eq(usleep(10000), 0);
            continue;
        }
        struct addr dst = packet_dst(in);
        if (!addr_same_ip(&dst, &to)) /* neighbours are looked for, too */
            continue;
        ck_assert(icmp_error_build(out, in, (size_t)len, RC_UNREACH_HOST, &n));
        ck_assert_int_eq(write(router, out, n), (ssize_t)n);
        return;
    }
    ck_abort_msg("no request to %s", target);
}

/* The error that the client has quotes its request to `target`, byte by byte valid. */
static void quotes(unsigned host, const char *target, unsigned id, unsigned seq)
{
    bool v6 = packet_version(failed[host]) == 6;
    size_t header = v6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES;
    uint8_t *quote = failed[host] + header + ICMP_HEADER_BYTES;
    struct addr dst = packet_dst(quote), to;

    ck_assert(addr_parse_ip(target, strlen(target), &to));
    ck_assert_msg(addr_same_ip(&dst, &to), "not about %s", target);
    ck_assert_uint_eq(packet_rd16(quote + header + 4), id);
    ck_assert_uint_eq(packet_rd16(quote + header + 6), seq);
    if (!v6)
        ck_assert(cksum_ip4_ok(quote));
    /* eight bytes of nothing are behind what is quoted */
    memset(quote + header + ICMP_HEADER_BYTES, 0, 8);
    ck_assert(cksum_l4_ok(quote, header, header + 16, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP));
}

START_TEST(test_error_tells_of_its_own_target)
{
    static const char *const t[][3] = {{"10.0.0.1", "10.9.0.2", "10.9.0.3"},
                                       {"fd00::2", "fd09::2", "fd09::1:2:3"}};

    for (unsigned i = 0; i < 2 && router >= 0; i++) {
        ping_to(t[i][0], t[i][1], 7, 1);
        ping_to(t[i][0], t[i][2], 7, 2);
        refuse_next(t[i][1]);
        wait_until(&n_failed[i + 1], 1);
        ck_assert_uint_eq(n_failed[i + 1], 1);
        quotes(i + 1, t[i][1], 7, 1);
        refuse_next(t[i][2]);
        wait_until(&n_failed[i + 1], 2);
        ck_assert_uint_eq(n_failed[i + 1], 2);
        quotes(i + 1, t[i][2], 7, 2);
    }
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
    int bad = 0;

    if (have_network()) {
        router = open_router();
        Suite *s = suite_create("echo");
        TCase *t = tcase_create("pings");
        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, set_up, tear_down);
        tcase_add_test(t, test_answers_come_back);
        tcase_add_test(t, test_many_identifiers_of_one_client_end_no_others);
        tcase_add_test(t, test_error_tells_of_its_own_target);
        suite_add_tcase(s, t);
        bad = run_suite(s);
    }
    return bad;
}
