/* tests/unit/test_tcp_floor.c - the floor over a kernel socket: how its connection ends, as its
 * owner sees it.
 */
#include "core/floor/tcp.h"
#include "pause.h"
#include <arpa/inet.h>
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct stream *s; /* ours */
static int peer;         /* the far end */

static void pass_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

static void setup(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int l = socket(AF_INET, SOCK_STREAM, 0);

    loop = loop_new(NULL);
    ck_assert_int_eq(bind(l, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(l, 1), 0);
    ck_assert_int_eq(getsockname(l, (struct sockaddr *)&at, &len), 0);
    peer = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(peer, (struct sockaddr *)&at, len), 0);
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    close(l);
    s = stream_new(loop);
    stream_push(s, tcp_layer(loop, fd, NULL));
    ck_assert_int_eq(stream_open(s), RC_OK);
}

static void teardown(void)
{
    stream_close(s);
    if (peer >= 0)
        close(peer);
    loop_free(loop);
}

static enum rc send_some(void)
{
    static char bytes[4096];
    size_t n;

    return stream_send(s, &(struct iovec){bytes, sizeof bytes}, 1, &n);
}

/* A server that does not want an upload answers and closes: its answer and a reset come together.
 */
START_TEST(test_what_came_before_a_reset_can_be_read_after_a_failed_send)
{
    char buf[64];
    size_t n;

    ck_assert_int_eq(send_some(), RC_OK);
    pass_ms(5);
    ck_assert_int_eq(write(peer, "answer", 6), 6);
    close(peer);
    peer = -1;
    pass_ms(5);
    ck_assert_int_eq(send_some(), RC_AGAIN);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, 6);
    ck_assert_int_eq(memcmp(buf, "answer", 6), 0);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_RESET); /* no clean end */
    ck_assert_int_eq(send_some(), RC_RESET);
}
END_TEST

START_TEST(test_reset_without_bytes_fails_a_send)
{
    struct linger rst = {.l_onoff = 1};

    ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &rst, sizeof rst), 0);
    close(peer);
    peer = -1;
    pass_ms(5);
    ck_assert_int_eq(send_some(), RC_RESET);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tcp_floor");
    TCase *t = tcase_create("tcp_floor");
    SRunner *r = srunner_create(suite);

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_what_came_before_a_reset_can_be_read_after_a_failed_send);
    tcase_add_test(t, test_reset_without_bytes_fails_a_send);
    suite_add_tcase(suite, t);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
