/* tests/unit/test_tcp_floor.c - the floor over a kernel socket: how its connection ends, as its
 * owner sees it.
 */
#include "core/dgram.h"
#include "core/floor/framed.h"
#include "core/floor/tcp.h"
#include "pause.h"
#include "run.h"
#include <arpa/inet.h>
#include <check.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* Where lies > 0 there is no SO_ERROR yet: so it is for a moment when an ICMP error came. */
static int lies;

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (level == SOL_SOCKET && name == SO_ERROR && lies > 0) {
        lies--;
        memset(value, 0, *len);
        return 0;
    }
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

START_TEST(test_no_error_is_no_connection)
{
    struct addr nobody = {.family = AF_INET, .ip = {127, 0, 0, 1}, .port = 1};

    for (int i = 1; i <= 2; i++) {
        struct stream *late = stream_new(loop);
        struct diag diag = {.rc = RC_OK};
        struct layer *l = tcp_connect_layer(loop, &nobody, NULL, &diag);
        ck_assert_msg(l != NULL, "%s", diag.text);
        stream_push(late, l);
        lies = i;
        pass_ms(5);
        ck_assert_int_eq(stream_open(late), i == 1 ? RC_REFUSED : RC_AGAIN);
        ck_assert_int_eq(lies, 0);
        stream_close(late);
    }
}
END_TEST

/* A registration changes hands: an end that was told to the one before is not told again. */
static struct hotfd before;
static unsigned told;

static void on_before(struct hotfd *h, unsigned ready)
{
    told |= ready;
    if (told & HOT_HUP) {
        stream_push(s, tcp_layer_hot(h, NULL));
        ck_assert_int_eq(stream_open(s), RC_OK);
        ck_assert_int_eq(h->fd, -1);
    }
}

START_TEST(test_a_hot_socket_keeps_what_was_told)
{
    char buf[64];
    size_t n;
    int pair[2];

    for (int i = 0; i < 2; i++) {
        stream_close(s);
        s = stream_new(loop);
        told = 0;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        ck_assert_int_eq(hotfd_add(loop, &before, pair[0], on_before), RC_OK);
        ck_assert_int_eq(write(pair[1], "bye", 3), 3);
        close(pair[1]);
        pass_ms(5);
        ck_assert_uint_eq(told & HOT_HUP, HOT_HUP);
        ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
        ck_assert_uint_eq(n, 3);
        ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_EOF);
    }
}
END_TEST

/* Later events reach the new one. */
static struct hotfd first, second;
static unsigned at_first, at_second;

static void on_second(struct hotfd *h, unsigned ready)
{
    ck_assert_ptr_eq(h, &second);
    at_second |= ready;
}

static void on_first(struct hotfd *h, unsigned ready)
{
    at_first |= ready;
    if (h->fd >= 0)
        hotfd_take(&second, h, on_second);
}

START_TEST(test_events_follow_the_registration)
{
    int pair[2];

    at_first = at_second = 0;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(hotfd_add(loop, &first, pair[0], on_first), RC_OK);
    pass_ms(5);
    ck_assert_uint_eq(at_first, HOT_OUT);
    ck_assert_uint_eq(at_second, 0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    pass_ms(5);
    ck_assert_uint_eq(at_first, HOT_OUT);
    ck_assert_uint_ne(at_second & HOT_IN, 0);
    ck_assert_uint_eq(second.seen, HOT_IN | HOT_OUT);
    hotfd_remove(&first); /* is not registered: fine */
    hotfd_remove(&second);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    at_second = 0;
    pass_ms(5);
    ck_assert_uint_eq(at_second, 0);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

/* A far end that is gone without a word would stay for ever: nobody sends into a silent flow. */
START_TEST(test_connections_of_ours_find_out_that_nobody_is_there)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), own, idle_s, interval_s, probes, on;
    struct addr to;

    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    ck_assert(addr_parse_ip("127.0.0.1", 9, &to));
    to.port = ntohs(at.sin_port);
    struct stream *ours = stream_new(loop);
    stream_push(ours, tcp_connect_layer(loop, &to, NULL, NULL));
    ck_assert_int_eq(stream_query(ours, QUERY_FD, &own), RC_OK);
    len = sizeof on;
    ck_assert_int_eq(getsockopt(own, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    ck_assert_int_eq(on, 1);
    ck_assert_int_eq(getsockopt(own, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, &len), 0);
    ck_assert_int_eq(getsockopt(own, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, &len), 0);
    ck_assert_int_eq(getsockopt(own, IPPROTO_TCP, TCP_KEEPCNT, &probes, &len), 0);
    ck_assert_int_le(idle_s + interval_s * probes, 300);

    /* one that carries datagrams: what is not acknowledged ends it, too */
    struct target at_all;
    unsigned patience_ms = 0;
    target_from_addr(&at_all, &to);
    struct dgram *d = framed_dgram(ours, &(struct framed_cfg){FRAMING_UDPTUN, &at_all});
    for (int i = 0; i < 200 && dgram_open(d) != RC_OK; i++)
        pass_ms(5);
    len = sizeof patience_ms;
    ck_assert_int_eq(getsockopt(own, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, &len), 0);
    ck_assert(patience_ms > 0 && patience_ms <= 120000);
    dgram_close(d);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tcp_floor");
    TCase *t = tcase_create("tcp_floor");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_what_came_before_a_reset_can_be_read_after_a_failed_send);
    tcase_add_test(t, test_reset_without_bytes_fails_a_send);
    tcase_add_test(t, test_no_error_is_no_connection);
    tcase_add_test(t, test_a_hot_socket_keeps_what_was_told);
    tcase_add_test(t, test_events_follow_the_registration);
    tcase_add_test(t, test_connections_of_ours_find_out_that_nobody_is_there);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
