/* tests/unit/test_httpforward.c - plain requests through the http handler, from a client on a
 * memory wire to a target on loopback that gives a canned answer.
 */
#include "chain/router.h"
#include "core/floor/mem.h"
#include "dialworld.h"
#include "handlers/conn.h"
#include "pause.h"
#include "run.h"

enum { TEXT_MAX = 16384 };

/* Answers when it has read a head; keeps what came. */
static struct target_server {
    struct hotfd hot;
    struct stream *s;
    uint16_t port;
    int fd;
    const char *answer; /* NULL: none any more */
    bool ends;          /* its side, behind the answer */
    char got[TEXT_MAX];
    size_t got_n;
} target;

static struct router *router;
static struct handler handler;
static struct stream *client;
static char answered[TEXT_MAX]; /* by the client */
static size_t answered_n;
static bool client_eof;

static void on_target(struct stream *s, unsigned ready, void *arg)
{
    size_t n;
    (void)ready, (void)arg;
    enum rc rc = stream_recv(s, target.got + target.got_n, TEXT_MAX - 1 - target.got_n, &n);
    if (rc == RC_OK) {
        target.got_n += n;
        target.got[target.got_n] = '\0';
    } else if (rc != RC_AGAIN) {
        stream_want(s, 0, NULL, NULL);
    }
    if (target.answer && strstr(target.got, "\r\n\r\n")) {
        struct iovec v = {(char *)(uintptr_t)target.answer, strlen(target.answer)};
        ck_assert_int_eq(stream_send(s, &v, 1, &n), RC_OK);
        ck_assert_uint_eq(n, v.iov_len);
        target.answer = NULL;
        if (target.ends)
            ck_assert_int_eq(stream_shut(s), RC_OK);
    }
}

static void on_target_hot(struct hotfd *h, unsigned ready)
{
    (void)h, (void)ready;
    int fd = accept4(target.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    ck_assert(target.s == NULL);
    target.s = stream_new(loop);
    stream_push(target.s, tcp_layer(loop, fd, NULL));
    ck_assert_int_eq(stream_open(target.s), RC_OK);
    stream_want(target.s, STREAM_IN, on_target, NULL);
}

static void on_client(struct stream *s, unsigned ready, void *arg)
{
    size_t n;
    (void)ready, (void)arg;
    enum rc rc = stream_recv(s, answered + answered_n, TEXT_MAX - 1 - answered_n, &n);
    if (rc == RC_OK)
        answered_n += n;
    answered[answered_n] = '\0';
    if (rc != RC_OK && rc != RC_AGAIN) {
        client_eof = rc == RC_EOF;
        stream_want(s, 0, NULL, NULL);
    }
}

static void run_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

static void setup(void)
{
    struct client_info info = {.peer = loopback(AF_INET, 1), .local = loopback(AF_INET, 2)};
    struct addr at = loopback(AF_INET, 0);
    struct diag diag = {.rc = RC_OK};
    struct layer *a, *b;
    world_start();
    memset(&target, 0, sizeof target);
    ck_assert_int_eq(os_listen_tcp(&at, false, false, 4, &target.fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(target.fd, &at), RC_OK);
    target.port = at.port;
    ck_assert_int_eq(hotfd_add(loop, &target.hot, target.fd, on_target_hot), RC_OK);
    router = router_new(&(struct router_cfg){.loop = loop, .service = "test"});
    handler = (struct handler){.type = &handler_http};
    handler.cfg = cfg_of(handler_http.options, handler_http.cfg_bytes);
    int64_t ms = 300;
    set_option(handler_http.options, handler.cfg, "readTimeout", &ms, sizeof ms);
    struct handler_setup hs = {
        .loop = loop, .service = "test", .listener = "mem", .router = router, .tls = &no_tls};
    ck_assert_int_eq(handler_http.init(&handler, &hs, &diag), RC_OK);
    struct stream *served = stream_new(loop);
    ck_assert(mem_pair(loop, NULL, &a, &b));
    client = stream_new(loop);
    stream_push(client, a);
    stream_push(served, b);
    answered_n = 0;
    answered[0] = '\0';
    client_eof = false;
    ck_assert_int_eq(stream_open(client), RC_OK);
    stream_want(client, STREAM_IN, on_client, NULL);
    handler.type->serve(&handler, served, &info);
}

static void teardown(void)
{
    stream_close(client);
    stream_close(target.s);
    handler.type->done(&handler);
    options_done(handler.type->options, handler.cfg);
    free(handler.cfg);
    router_free(router);
    hotfd_remove(&target.hot);
    close(target.fd);
    world_stop();
}

/* %u stands for the target's port. */
static void say(const char *fmt)
{
    char text[TEXT_MAX];
    size_t n;
    char *at = strstr(fmt, "%u");
    if (at)
        snprintf(text, sizeof text, "%.*s%u%s", (int)(at - fmt), fmt, target.port, at + 2);
    else
        snprintf(text, sizeof text, "%s", fmt);
    ck_assert_int_eq(stream_send(client, &(struct iovec){text, strlen(text)}, 1, &n), RC_OK);
    ck_assert_uint_eq(n, strlen(text));
}

#define ck_assert_begins(text, start)                                                              \
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "got %s", text)
#define ck_assert_ends(text, end)                                                                  \
    ck_assert_msg(strlen(text) >= strlen(end) &&                                                   \
                      strcmp((text) + strlen(text) - strlen(end), end) == 0,                       \
                  "got %s", text)

START_TEST(test_two_requests_on_one_connection)
{
    target.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    say("GET http://127.0.0.1:%u/a?b HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\n\r\n");
    run_ms(20);
    ck_assert_begins(target.got, "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:");
    ck_assert_ends(target.got, "\r\nConnection: close\r\n\r\n");
    ck_assert_str_eq(answered, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    stream_close(target.s);
    target.s = NULL;
    target.answer = "HTTP/1.1 204 No Content\r\n\r\n";
    answered_n = target.got_n = 0;
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n");
    run_ms(20);
    ck_assert_str_eq(answered, "HTTP/1.1 204 No Content\r\n\r\n");
}
END_TEST

/* A field that says how long the body is can't be taken off the message by naming it in Connection:
 * the body would become a message of its own. */
START_TEST(test_connection_can_not_name_the_framing_of_a_request)
{
    say("POST http://127.0.0.1:%u/ HTTP/1.1\r\nConnection: Content-Length, X-Mine\r\n"
        "X-Mine: 1\r\nContent-Length: 4\r\n\r\nbody");
    run_ms(20);
    ck_assert(strstr(target.got, "\r\nContent-Length: 4\r\n") != NULL);
    ck_assert(strstr(target.got, "X-Mine") == NULL);
    ck_assert_ends(target.got, "\r\n\r\nbody");
}
END_TEST

START_TEST(test_connection_can_not_name_the_framing_of_an_answer)
{
    target.answer = "HTTP/1.1 200 OK\r\nConnection: close, Transfer-Encoding\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n");
    run_ms(20);
    ck_assert_str_eq(answered, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "2\r\nhi\r\n0\r\n\r\n");
}
END_TEST

/* What a client says behind its request is for the proxy, credentials and all: a target gets it
 * only when the client asked for another protocol. */
START_TEST(test_switch_of_protocols_that_nobody_asked_for)
{
    target.answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n"
        "GET http://127.0.0.1:1/ HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n");
    run_ms(50);
    ck_assert(strstr(target.got, "c2VjcmV0") == NULL);
    ck_assert_begins(answered, "HTTP/1.1 503 ");
}
END_TEST

START_TEST(test_switch_of_protocols)
{
    target.answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
                    "first";
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    run_ms(50);
    ck_assert(strstr(target.got, "Upgrade: x\r\nConnection: Upgrade\r\n\r\n") != NULL);
    ck_assert_str_eq(answered, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                               "Connection: Upgrade\r\n\r\nfirst");
    target.got_n = 0;
    say("raw");
    run_ms(20);
    ck_assert_str_eq(target.got, "raw");
}
END_TEST

/* The time for an answer begins when the request is through. */
START_TEST(test_slow_upload_is_not_a_slow_answer)
{
    say("POST http://127.0.0.1:%u/ HTTP/1.1\r\nContent-Length: 8\r\n\r\nbody");
    run_ms(450);
    ck_assert_str_eq(answered, "");
    target.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    say("body");
    run_ms(30);
    ck_assert_begins(answered, "HTTP/1.1 200 OK\r\n");
}
END_TEST

START_TEST(test_no_answer_in_time)
{
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n");
    run_ms(30);
    ck_assert_str_eq(answered, "");
    run_ms(400);
    ck_assert_begins(answered, "HTTP/1.1 503 ");
}
END_TEST

START_TEST(test_cut_answer_is_a_reset)
{
    target.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi";
    target.ends = true;
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n");
    run_ms(30);
    ck_assert(!client_eof);
    ck_assert_int_eq(stream_diag(client)->rc, RC_RESET);
}
END_TEST

/* The reset is met by what the client uploads, not by reading. */
START_TEST(test_reset_ends_no_answer_that_lasts_to_the_end)
{
    target.answer = "HTTP/1.1 200 OK\r\n\r\npartial";
    say("POST http://127.0.0.1:%u/ HTTP/1.1\r\nContent-Length: 100\r\n\r\nbody");
    run_ms(30);
    ck_assert_ends(answered, "partial");
    stream_abort(target.s);
    target.s = NULL;
    say("more");
    run_ms(30);
    ck_assert(!client_eof);
    ck_assert_int_eq(stream_diag(client)->rc, RC_RESET);
}
END_TEST

/* Many heads in one piece, in both parities of the runs of a turn: the body behind the last one
 * arrives. */
START_TEST(test_many_interim_answers)
{
    static char answer[TEXT_MAX], want[TEXT_MAX];
    answer[0] = want[0] = '\0';
    for (int i = 0; i < _i; i++) {
        strcat(answer, "HTTP/1.1 102 Processing\r\n\r\n");
        strcat(want, "HTTP/1.1 102 Processing\r\n\r\n");
    }
    strcat(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    strcat(want, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    target.answer = answer;
    say("GET http://127.0.0.1:%u/ HTTP/1.1\r\n\r\n");
    run_ms(20);
    ck_assert_str_eq(answered, want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("httpforward");
    TCase *tc = tcase_create("httpforward");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_two_requests_on_one_connection);
    tcase_add_test(tc, test_connection_can_not_name_the_framing_of_a_request);
    tcase_add_test(tc, test_connection_can_not_name_the_framing_of_an_answer);
    tcase_add_test(tc, test_switch_of_protocols_that_nobody_asked_for);
    tcase_add_test(tc, test_switch_of_protocols);
    tcase_add_test(tc, test_slow_upload_is_not_a_slow_answer);
    tcase_add_test(tc, test_no_answer_in_time);
    tcase_add_test(tc, test_cut_answer_is_a_reset);
    tcase_add_test(tc, test_reset_ends_no_answer_that_lasts_to_the_end);
    tcase_add_loop_test(tc, test_many_interim_answers, 0, 20);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
