/* tests/unit/test_udp_listener.c - a UDP port whose clients are not read, or leave. */
#include "dialworld.h"
#include "listeners/types.h"
#include "pause.h"
#include "run.h"
#include <arpa/inet.h>

enum { CLIENTS = 160, SIZE = 2000, EACH = 64 };

static struct listener listener;
static struct dgram *sessions[CLIENTS];
static int n_sessions, gone;
static uint16_t port;

static void on_dgram(void *arg, struct dgram *d, const struct client_info *info)
{
    (void)arg, (void)info;
    ck_assert_int_lt(n_sessions, CLIENTS);
    sessions[n_sessions++] = d;
}

static void run_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

static void start_at(const char *addr, int64_t ttl_ms)
{
    static const struct sockopts so;
    struct listener_setup setup = {
        .loop = loop, .service = "test", .addr = addr, .tls = &no_tls, .so = &so};
    struct listener_events ev = {.on_dgram = on_dgram};
    struct diag diag = {.rc = RC_OK};
    char where[64];
    n_sessions = gone = 0;
    listener = (struct listener){.type = &listener_udp};
    listener.cfg = cfg_of(listener_udp.options, listener_udp.cfg_bytes);
    set_option(listener_udp.options, listener.cfg, "ttl", &ttl_ms, sizeof ttl_ms);
    ck_assert_msg(listener_udp.open(&listener, &setup, &diag) == RC_OK, "%s", diag.text);
    ck_assert_int_eq(listener_udp.start(&listener, &ev, &diag), RC_OK);
    port = (uint16_t)atoi(strrchr(listener_udp.where(&listener, where, sizeof where), ':') + 1);
}

static void start(int64_t ttl_ms)
{
    start_at("127.0.0.1:0", ttl_ms);
}

static void stop(void)
{
    for (int i = 0; i < n_sessions; i++)
        dgram_close(sessions[i]);
    listener_udp.done(&listener);
    options_done(listener_udp.options, listener.cfg);
    free(listener.cfg);
}

static void send_from(int fd, size_t n)
{
    static char bytes[SIZE];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(sendto(fd, bytes, n, 0, (struct sockaddr *)&to, sizeof to), (ssize_t)n);
}

static int new_client(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static size_t read_all(void)
{
    static char buf[DGRAM_MAX_BYTES];
    struct target from;
    size_t total = 0, n;
    for (int i = 0; i < n_sessions; i++)
        while (dgram_recv(sessions[i], buf, sizeof buf, &n, &from) == RC_OK)
            total += n;
    return total;
}

/* Every session has room of its own, all of them together have less than the sum. */
START_TEST(test_queues_of_all_sessions_are_capped)
{
    int fd[CLIENTS];
    start(60000);
    for (int i = 0; i < CLIENTS; i++) {
        fd[i] = new_client();
        for (int k = 0; k < EACH; k++) {
            send_from(fd[i], SIZE);
            if (k % 16 == 15) /* no more than the socket's own queue takes */
                run_ms(1);
        }
    }
    size_t first = read_all();
    ck_assert_uint_gt(first, 14u << 20);
    ck_assert_uint_le(first, 16u << 20);
    for (int i = 0; i < CLIENTS; i++) { /* there is room again */
        send_from(fd[i], SIZE);
        close(fd[i]);
        if (i % 16 == 15)
            run_ms(1);
    }
    run_ms(5);
    ck_assert_uint_eq(read_all(), CLIENTS * SIZE);
    stop();
}
END_TEST

static void on_gone(struct dgram *d, unsigned ready, void *arg)
{
    (void)arg;
    ck_assert_uint_eq(ready, STREAM_GONE);
    gone++;
    dgram_want(d, 0, NULL, NULL);
}

START_TEST(test_end_of_a_session_is_told_without_reading)
{
    char buf[SIZE];
    struct target from;
    size_t n;
    start(1000);
    int fd = new_client();
    send_from(fd, 5);
    run_ms(10);
    ck_assert_int_eq(n_sessions, 1);
    dgram_want(sessions[0], STREAM_GONE, on_gone, NULL);
    run_ms(5);
    ck_assert_int_eq(gone, 0);
    for (int i = 0; i < 100 && gone == 0; i++)
        run_ms(50);
    ck_assert_int_eq(gone, 1);
    ck_assert_int_eq(dgram_recv(sessions[0], buf, sizeof buf, &n, &from), RC_OK);
    ck_assert_uint_eq(n, 5);
    ck_assert_int_eq(dgram_recv(sessions[0], buf, sizeof buf, &n, &from), RC_EOF);
    close(fd);
    stop();
}
END_TEST

/* One socket that asks a wildcard port by two addresses hears each answer from whom it asked. */
START_TEST(test_answers_leave_by_the_address_that_was_asked)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = new_client();
    char byte;

    start_at("0.0.0.0:0", 60000);
    to.sin_port = htons(port);
    for (uint32_t i = 0; i < 4; i++) {
        int expected = i ? 2 : 1;
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i % 2);
        ck_assert_int_eq(sendto(fd, "q", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
        for (int k = 0; k < 400 && n_sessions < expected; k++)
            run_ms(5);
        ck_assert_int_eq(n_sessions, expected);
        ck_assert_int_eq(dgram_send(sessions[i % 2], NULL, "a", 1), RC_OK);

        struct sockaddr_in from;
        socklen_t len = sizeof from;
        ck_assert_int_eq(recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &len), 1);
        ck_assert_uint_eq(from.sin_addr.s_addr, to.sin_addr.s_addr);
    }
    close(fd);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp_listener");
    TCase *tc = tcase_create("udp_listener");
    tcase_add_checked_fixture(tc, world_start, world_stop);
    tcase_add_test(tc, test_queues_of_all_sessions_are_capped);
    tcase_add_test(tc, test_end_of_a_session_is_told_without_reading);
    tcase_add_test(tc, test_answers_leave_by_the_address_that_was_asked);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
