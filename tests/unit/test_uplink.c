/* The way out: default routes followed, interface lists, and a UDP flow whose interface goes and
 * comes back, in a network namespace of our own. Without the privilege to make one, nothing is run.
 */
#include "core/dgram.h"
#include "core/floor/udp.h"
#include "core/host/device.h"
#include "core/host/netns.h"
#include "core/host/uplink.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/stream.h"
#include "pause.h"
#include "run.h"
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct loop *loop;
static int told;

static void shell(const char *command)
{
    ck_assert_msg(system(command) == 0, "%s", command);
}

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert(addr_parse(text, &a));
    return a;
}

static void on_change(void *arg)
{
    (void)arg;
    told++;
    loop_stop(loop);
}

/* Runs the loop until something was heard. */
static void hear(void)
{
    int before = told;

    for (int i = 0; i < 50 && told == before; i++)
        loop_run(loop);
    ck_assert_int_gt(told, before);
}

/* a0 and b0 with their far ends a1 and b1 in the same namespace, as links only. */
static void setup(void)
{
    struct diag diag = {0};

    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    shell("ip link set lo up; for n in a b; do ip link add ${n}0 type veth peer name ${n}1; "
          "echo 0 >/proc/sys/net/ipv6/conf/${n}0/accept_dad; ip link set ${n}0 up; "
          "ip link set ${n}1 up; done; ip addr add 172.31.1.2/24 dev a0; "
          "ip addr add 172.31.2.2/24 dev b0; ip -6 addr add fd31:2::2/64 dev b0 nodad");
    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    told = 0;
}

static void teardown(void)
{
    uplink_tell(NULL, NULL);
    uplink_stop();
    loop_free(loop);
}

static void expect(int family, const char *name)
{
    char got[16];
    bool any = uplink_device(NULL, family, got);

    ck_assert_int_eq(any, name != NULL);
    if (name)
        ck_assert_str_eq(got, name);
}

START_TEST(test_uplink_is_the_lowest_metric_and_families_are_apart)
{
    expect(AF_INET, NULL);
    shell("ip route add default via 172.31.1.1 metric 20");
    expect(AF_INET, "a0");
    expect(AF_INET6, NULL);
    shell("ip route add default via 172.31.2.1 metric 10; "
          "ip -6 route add default via fd31:2::1");
    expect(AF_INET, "b0");
    expect(AF_INET6, "b0");
    shell("ip route add unreachable default metric 1");
    expect(AF_INET, "b0");
    shell("ip link set b0 down");
    expect(AF_INET, "a0");
    expect(AF_INET6, NULL);
}
END_TEST

START_TEST(test_uplink_of_several_next_hops)
{
    shell("ip route add default nexthop via 172.31.2.1 dev b0 nexthop via 172.31.1.1 dev a0");
    expect(AF_INET, "b0");
    /* no carrier, once the kernel has noticed: the other one */
    shell("ip link set b1 down; until ip link show b0 | grep -q NO-CARRIER; do sleep 0.02; done");
    expect(AF_INET, "a0");
}
END_TEST

START_TEST(test_uplink_is_never_a_tun)
{
    struct device d;
    struct diag diag = {0};
    struct device_cfg cfg = {.name = "t0"};

    if (device_open(&cfg, &d, &diag) != RC_OK)
        return; /* no /dev/net/tun here */
    shell("ip link set t0 up; ip addr add 172.31.9.1/24 dev t0; "
          "ip route add default dev t0 metric 1");
    expect(AF_INET, NULL);
    shell("ip route add default via 172.31.1.1 metric 5");
    expect(AF_INET, "a0");
    device_close(&d);
}
END_TEST

START_TEST(test_uplink_changes_are_heard)
{
    uplink_start(loop);
    uplink_tell(on_change, NULL);
    expect(AF_INET, NULL);
    uint32_t epoch = uplink_epoch();
    shell("ip route add default via 172.31.1.1");
    hear();
    ck_assert_uint_ne(uplink_epoch(), epoch);
    expect(AF_INET, "a0");
    shell("ip route replace default via 172.31.2.1");
    hear();
    expect(AF_INET, "b0");
    shell("ip link del b0");
    hear();
    expect(AF_INET, NULL);
}
END_TEST

/* What the processor's clock says about questions to the kernel: 0, the truth. */
static long question_ms;

int clock_gettime(clockid_t id, struct timespec *t)
{
    static long calls;

    if (id != CLOCK_THREAD_CPUTIME_ID || question_ms == 0)
        return (int)syscall(SYS_clock_gettime, id, t);
    calls++;
    *t = (struct timespec){.tv_sec = calls * question_ms / 1000,
                           .tv_nsec = calls * question_ms % 1000 * 1000000};
    return 0;
}

static time_t seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

START_TEST(test_a_large_table_is_not_asked_for_all_the_time)
{
    char got[16];

    uplink_start(loop);
    uplink_tell(on_change, NULL);
    question_ms = 300; /* the pause is 3 s */
    shell("ip route add default via 172.31.1.1");
    time_t asked = seconds();
    expect(AF_INET, "a0");
    shell("ip route replace default via 172.31.2.1");
    hear();
    bool any = uplink_device(NULL, AF_INET, got);
    if (seconds() - asked < 3) { /* what it said last; not on a machine that stood still */
        ck_assert(any);
        ck_assert_str_eq(got, "a0");
    }
    question_ms = 0;
    for (int i = 0; i < 50 && strcmp(got, "b0") != 0; i++) {
        hear(); /* nothing has changed since, but then it may be asked */
        ck_assert(uplink_device(NULL, AF_INET, got));
    }
    ck_assert_str_eq(got, "b0");
    shell("ip route replace default via 172.31.1.1");
    hear(); /* it was cheap */
    expect(AF_INET, "a0");
}
END_TEST

START_TEST(test_auto_in_an_interface_list)
{
    struct sockopts so = {.interface = "auto"};
    struct addr to4 = ip("192.0.2.1:1"), to6 = ip("[2001:db8::1]:1");
    struct bind_choice v[4];
    struct diag diag = {0};
    int n;

    ck_assert_int_eq(os_bind_choices(&so, &to4, v, 4, &n, &diag), RC_UNREACH_NET);
    ck_assert_str_eq(diag.text, "interface auto: there is no default route for IPv4");
    so.interface = "auto,b0";
    ck_assert_int_eq(os_bind_choices(&so, &to4, v, 4, &n, NULL), RC_OK);
    ck_assert_str_eq(v[0].device, "b0");
    shell("ip route add default via 172.31.1.1; ip -6 route add default via fd31:2::1");
    so.interface = "auto";
    ck_assert_int_eq(os_bind_choices(&so, &to4, v, 4, &n, NULL), RC_OK);
    ck_assert_str_eq(v[0].device, "a0");
    ck_assert_int_eq(v[0].local.ip[2], 1);
    ck_assert_int_eq(os_bind_choices(&so, &to6, v, 4, &n, NULL), RC_OK);
    ck_assert_str_eq(v[0].device, "b0");
}
END_TEST

START_TEST(test_links_that_are_down_come_last)
{
    struct sockopts so = {.interface = "a0,172.31.2.2"};
    struct addr to = ip("192.0.2.1:1");
    struct bind_choice v[4];
    int n;

    ck_assert_int_eq(os_bind_choices(&so, &to, v, 4, &n, NULL), RC_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(v[0].device, "a0");
    shell("ip link set a1 down"); /* no carrier */
    ck_assert_int_eq(os_bind_choices(&so, &to, v, 4, &n, NULL), RC_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(v[0].device, "b0");
    ck_assert_str_eq(v[1].device, "a0");
    so.interface = "a0!,b0";
    ck_assert_int_eq(os_bind_choices(&so, &to, v, 4, &n, NULL), RC_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_str_eq(v[0].device, "a0");
    ck_assert(v[0].strict);
}
END_TEST

/* A namespace for far ends, as a path. */
static char far_ns[64];

static void make_far(void)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    int there = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    (void)snprintf(far_ns, sizeof far_ns, "/proc/%d/fd/%d", (int)getpid(), there);
    ck_assert_int_eq(setns(home, CLONE_NEWNET), 0);
    close(home);
}

static void shell_far(const char *command)
{
    struct netns_visit visit = {-1};

    ck_assert_int_eq(netns_enter(far_ns, &visit, NULL), RC_OK);
    shell(command);
    netns_leave(&visit);
}

static int far(const char *at)
{
    struct sockopts so = {.netns = far_ns};
    struct addr a = ip(at);
    int fd;

    ck_assert_int_eq(os_bind_udp(&a, false, &so, &fd, NULL), RC_OK);
    return fd;
}

/* The sender of the datagram that waits; 0: none came. */
static struct addr take(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char buf[64];

    for (int i = 0; i < 200; i++) {
        if (recvfrom(fd, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&ss, &len) >= 0)
            return addr_from_sockaddr((struct sockaddr *)&ss);
        usleep(5000);
    }
    return (struct addr){0};
}

/* n1 goes to the far side and gets an address. */
static void wire(const char *n, const char *address)
{
    char text[256];

    (void)snprintf(text, sizeof text, "ip link set %s1 netns %s", n, far_ns);
    shell(text);
    (void)snprintf(text, sizeof text, "ip link set %s1 up; ip addr add %s dev %s1", n, address, n);
    shell_far(text);
}

START_TEST(test_udp_flow_outlives_its_interface)
{
    struct sockopts so = {.interface = "a0,b0"};
    struct target to1, to2;
    struct addr on_a = ip("172.31.1.1:7"), on_b = ip("172.31.2.1:7");

    make_far();
    wire("a", "172.31.1.1/24");
    wire("b", "172.31.2.1/24");
    uplink_start(loop);
    uplink_tell(on_change, NULL);
    target_from_addr(&to1, &on_a);
    target_from_addr(&to2, &on_b);
    struct dgram *d = udp_dgram(loop, &so);
    ck_assert_ptr_nonnull(d);

    int fd = far("172.31.1.1:7");
    ck_assert_int_eq(dgram_send(d, &to1, "1", 1), RC_OK);
    struct addr first = take(fd);
    ck_assert_int_eq(first.ip[2], 1);
    close(fd);

    /* it goes: the next in the list */
    shell("ip link del a0");
    hear();
    fd = far("172.31.2.1:7");
    ck_assert_int_eq(dgram_send(d, &to2, "2", 1), RC_OK);
    struct addr second = take(fd);
    ck_assert_int_eq(second.ip[2], 2);
    ck_assert_uint_eq(second.port, first.port);
    close(fd);

    /* it comes back, under another number */
    shell("ip link add a0 type veth peer name a1; ip link set a0 up; "
          "ip addr add 172.31.1.2/24 dev a0");
    wire("a", "172.31.1.1/24");
    hear();
    fd = far("172.31.1.1:7");
    struct addr third = {0};
    for (int i = 0; i < 100 && third.ip[2] != 1; i++) { /* its carrier comes when the kernel says */
        pause_ms(loop, 20);
        ck_assert_int_eq(dgram_send(d, &to1, "3", 1), RC_OK);
        third = take(fd);
    }
    ck_assert_int_eq(third.ip[2], 1);
    ck_assert_uint_eq(third.port, first.port);
    close(fd);
    dgram_close(d);
}
END_TEST

/* Nobody watches: a send that fails makes us look. The address moves, too. */
START_TEST(test_udp_flow_finds_its_new_interface_by_itself)
{
    struct sockopts so = {.interface = "a0"};
    struct target to, about;
    struct addr on_a = ip("172.31.1.1:7");
    enum rc why = RC_OK;

    make_far();
    wire("a", "172.31.1.1/24");
    target_from_addr(&to, &on_a);
    struct dgram *d = udp_dgram(loop, &so);
    ck_assert_int_eq(dgram_send(d, &to, "1", 1), RC_OK);
    shell("ip link del a0");
    ck_assert_int_eq(dgram_send(d, &to, "2", 1), RC_AGAIN);
    ck_assert_int_eq(dgram_trouble(d, &about, &why), RC_OK);
    ck_assert_int_eq(why, RC_UNREACH_NET);
    shell("ip link add a0 type veth peer name a1; ip link set a0 up; "
          "ip addr add 172.31.1.9/24 dev a0");
    wire("a", "172.31.1.1/24");
    int fd = far("172.31.1.1:7");
    ck_assert_int_eq(dgram_send(d, &to, "3", 1), RC_OK);
    ck_assert_int_eq(take(fd).ip[3], 9);
    close(fd);
    dgram_close(d);
}
END_TEST

START_TEST(test_udp_without_a_way_says_so)
{
    struct sockopts so = {.interface = "nosuch0"};
    struct addr dst = ip("192.0.2.1:7");
    struct target to, about;
    enum rc why = RC_OK;
    char buf[8];
    size_t n;

    target_from_addr(&to, &dst);
    struct dgram *d = udp_dgram(loop, &so);
    ck_assert_int_eq(dgram_send(d, &to, "1", 1), RC_AGAIN);
    ck_assert_uint_eq(d->type->ready(d, STREAM_IN), STREAM_IN); /* look, though nothing came */
    ck_assert_int_eq(dgram_recv(d, buf, sizeof buf, &n, &about), RC_AGAIN);
    ck_assert_int_eq(dgram_trouble(d, &about, &why), RC_OK);
    ck_assert_int_eq(why, RC_UNREACH_NET);
    ck_assert(addr_equal(&about.addr, &dst));
    ck_assert_uint_eq(d->type->ready(d, STREAM_IN), 0);
    dgram_close(d);
    /* no list, and no route either */
    d = udp_dgram(loop, NULL);
    ck_assert_int_eq(dgram_send(d, &to, "1", 1), RC_AGAIN);
    ck_assert_int_eq(dgram_trouble(d, &about, &why), RC_OK);
    ck_assert_int_eq(why, RC_UNREACH_NET);
    dgram_close(d);
}
END_TEST

int main(void)
{
    int failed = 0;

    if (unshare(CLONE_NEWNET) == 0) {
        Suite *s = suite_create("uplink");
        TCase *t = tcase_create("core");

        tcase_set_timeout(t, 30);
        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_uplink_is_the_lowest_metric_and_families_are_apart);
        tcase_add_test(t, test_uplink_of_several_next_hops);
        tcase_add_test(t, test_uplink_is_never_a_tun);
        tcase_add_test(t, test_uplink_changes_are_heard);
        tcase_add_test(t, test_a_large_table_is_not_asked_for_all_the_time);
        tcase_add_test(t, test_auto_in_an_interface_list);
        tcase_add_test(t, test_links_that_are_down_come_last);
        tcase_add_test(t, test_udp_flow_outlives_its_interface);
        tcase_add_test(t, test_udp_flow_finds_its_new_interface_by_itself);
        tcase_add_test(t, test_udp_without_a_way_says_so);
        suite_add_tcase(s, t);
        failed = run_suite(s);
    }
    return failed != 0;
}
