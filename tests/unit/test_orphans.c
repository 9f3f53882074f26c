/* tests/unit/test_orphans.c - connections from an address that leaves the machine, in a network
 * namespace of our own. Without the privilege to make one, nothing is run.
 */
#include "core/addr.h"
#include "core/host/orphans.h"
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void shell(const char *command)
{
    ck_assert_int_eq(system(command), 0);
}

static int listener(const char *at, struct sockaddr_storage *ret_ss, socklen_t *ret_len)
{
    struct addr a;
    int fd;

    ck_assert(addr_parse(at, &a));
    *ret_len = addr_to_sockaddr(&a, false, ret_ss);
    fd = socket(ret_ss->ss_family, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)ret_ss, *ret_len), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_ss, ret_len), 0);
    return fd;
}

/* From an address of ours to a listener; *ret_far is the accepted end. */
static int connection(const char *from, const char *to, int *ret_far)
{
    struct sockaddr_storage ss, own;
    socklen_t len;
    struct addr a;
    int l = listener(to, &ss, &len);
    int fd = socket(ss.ss_family, SOCK_STREAM, 0);

    ck_assert(addr_parse(from, &a));
    socklen_t own_len = addr_to_sockaddr(&a, false, &own);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, own_len), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&ss, len), 0);
    *ret_far = accept(l, NULL, NULL);
    ck_assert_int_ge(*ret_far, 0);
    close(l);
    return fd;
}

/* What reading says without waiting: 0 (it lives) or an errno. */
static int state_of(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_DONTWAIT) < 0 ? (errno == EAGAIN ? 0 : errno) : -1;
}

static void setup(void)
{
    ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
    shell(
        "ip link set lo up; ip link add near0 type veth peer name far0; ip link set near0 up;"
        "ip link set far0 up; ip addr add 10.7.0.1/24 dev near0; ip addr add 10.7.0.2/24 dev near0;"
        "ip addr add fd07::1/64 dev near0 nodad; ip addr add fd07::2/64 dev near0 nodad");
}

START_TEST(test_what_is_bound_to_a_lost_address_ends)
{
    int far[3], four = connection("10.7.0.2:0", "10.7.0.1:0", &far[0]);
    int six = connection("[fd07::2]:0", "[fd07::1]:0", &far[1]);
    int local = connection("127.0.0.5:0", "127.0.0.1:0", &far[2]);
    struct sockaddr_storage ss;
    socklen_t len;
    int listens = listener("10.7.0.2:0", &ss, &len);
    struct pollfd p = {.fd = four, .events = POLLIN};

    ck_assert_uint_eq(orphans_end(), 0);
    shell("ip addr del 10.7.0.2/24 dev near0");
    if (orphans_end() == 0) {
        puts("skipped: a kernel that does not tell the namespace of a socket");
        return;
    }
    ck_assert_uint_eq(orphans_end(), 0);
    ck_assert_int_eq(poll(&p, 1, 0), 1);
    ck_assert(p.revents & POLLERR); /* told, not only found */
    ck_assert_int_eq(state_of(four), ECONNRESET);
    ck_assert_int_eq(state_of(six), 0);
    ck_assert_int_eq(state_of(local), 0);
    shell("ip addr del fd07::2/64 dev near0");
    ck_assert_uint_eq(orphans_end(), 1);
    ck_assert_int_eq(state_of(six), ECONNRESET);
    ck_assert_int_eq(state_of(local), 0);
    ck_assert_uint_eq(orphans_end(), 0);
    shell("ip addr add 10.7.0.2/24 dev near0"); /* who listens there goes on */
    int again = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(again, (struct sockaddr *)&ss, len), 0);
    close(again);
    close(listens);
}
END_TEST

static size_t told;

static void on_ended(size_t n)
{
    told += n;
}

static void on_late(struct timer *t)
{
    loop_stop(t->loop);
}

/* The whole way but for the grace, which a test can't wait for: nothing ends before it is over. */
START_TEST(test_an_address_has_time_to_come_back)
{
    struct loop *loop = loop_new(NULL);
    struct orphans *o = orphans_new(loop, on_ended);
    int far, four = connection("10.7.0.2:0", "10.7.0.1:0", &far);
    struct timer late;

    timer_init(loop, &late, on_late);
    shell("ip addr del 10.7.0.2/24 dev near0");
    orphans_changed(o);
    orphans_changed(o);
    ck_assert(timer_start(&late, 300));
    loop_run(loop);
    ck_assert_int_eq(state_of(four), 0);
    ck_assert_uint_eq(told, 0);
    orphans_free(o);
    orphans_changed(NULL);
    orphans_free(NULL);
    loop_free(loop);
    close(four);
    close(far);
}
END_TEST

static bool may_make_namespaces(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNET) == 0;
}

int main(void)
{
    Suite *s = suite_create("orphans");
    TCase *t = tcase_create("namespace");

    if (!may_make_namespaces()) {
        puts("skipped: no privilege for network namespaces");
        return 0;
    }
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_set_timeout(t, 20);
    tcase_add_test(t, test_what_is_bound_to_a_lost_address_ends);
    tcase_add_test(t, test_an_address_has_time_to_come_back);
    suite_add_tcase(s, t);
    return run_suite(s);
}
