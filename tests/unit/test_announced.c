/* Waiting for PROXY headers: who is told upward, and as whom; what is wrong is closed; a cap ends
 * the oldest; stopping ends all.
 */
#include "core/floor/mem.h"
#include "core/log.h"
#include "core/stream.h"
#include "listeners/announced.h"
#include "pause.h"
#include "run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct loop *loop;
static struct announced waiting;
static unsigned n_told;
static struct client_info told;

static void on_told(void *arg, struct stream *s, const struct client_info *info)
{
    ck_assert_ptr_eq(arg, &waiting);
    n_told++;
    told = *info;
    stream_close(s);
}

/* A connection from 127.0.0.1:port; returns the client's end of it. */
static struct stream *connect_from(uint16_t port)
{
    struct mem_cfg mc = {.cap_bytes = 256};
    struct client_info info = {.peer = {.family = 0}};
    struct stream *client = stream_new(loop), *server = stream_new(loop);
    struct layer *wire[2];

    ck_assert(addr_parse("127.0.0.1:9", &info.peer) && addr_parse("127.0.0.2:80", &info.local));
    info.peer.port = port;
    ck_assert(client && server && mem_pair(loop, &mc, &wire[0], &wire[1]));
    stream_push(client, wire[0]);
    stream_push(server, wire[1]);
    ck_assert_int_eq(stream_open(client), RC_OK);
    announced_take(&waiting, server, &info);
    return client;
}

static void say(struct stream *client, const char *text)
{
    struct iovec v = {(void *)(uintptr_t)text, strlen(text)};
    size_t n;

    ck_assert_int_eq(stream_send(client, &v, 1, &n), RC_OK);
    ck_assert_uint_eq(n, v.iov_len);
}

static bool is_closed(struct stream *client)
{
    char byte;
    size_t n;

    return stream_recv(client, &byte, 1, &n) != RC_AGAIN;
}

static void setup(void)
{
    struct diag diag = {0};

    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    announced_init(&waiting, loop, "service-0", on_told, &waiting);
    n_told = 0;
}

static void teardown(void)
{
    announced_stop(&waiting);
    loop_free(loop);
}

static void expect(const struct addr *a, const char *text)
{
    char buf[ADDR_TEXT_MAX];

    ck_assert_str_eq(addr_format(a, buf, sizeof buf), text);
}

START_TEST(test_who_is_told)
{
    struct stream *named = connect_from(1), *other;

    pause_ms(loop, 1);
    ck_assert_uint_eq(n_told, 0);
    ck_assert_uint_eq(waiting.n_waiting, 1);
    say(named, "PROXY TCP4 192.0.2.7 198.51.100.1 7 443\r\n");
    pause_ms(loop, 1);
    ck_assert_uint_eq(n_told, 1);
    expect(&told.peer, "192.0.2.7:7");
    expect(&told.dest, "198.51.100.1:443");
    expect(&told.local, "127.0.0.2:80"); /* ours: what can be bound */
    other = connect_from(2);
    say(other, "\x05\x01");
    pause_ms(loop, 1);
    ck_assert_uint_eq(n_told, 2);
    expect(&told.peer, "127.0.0.1:2");
    ck_assert_uint_eq(told.dest.family, 0);
    ck_assert_uint_eq(waiting.n_waiting, 0);
    stream_close(named);
    stream_close(other);
}
END_TEST

START_TEST(test_what_is_wrong_is_closed)
{
    struct stream *c = connect_from(1);

    say(c, "PROXY TCP9\r\n");
    pause_ms(loop, 1);
    ck_assert_uint_eq(n_told, 0);
    ck_assert_uint_eq(waiting.wrong, 1);
    ck_assert_uint_eq(waiting.n_waiting, 0);
    ck_assert(is_closed(c));
    stream_close(c);
}
END_TEST

START_TEST(test_the_cap_ends_the_oldest)
{
    static struct stream *c[ANNOUNCED_MAX + 2];
    char path[] = "/tmp/announced.XXXXXX", line[512];
    int fd = mkstemp(path), lines = 0;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(log_open(&(struct log_cfg){.level = LOG_WARN, .output = path}, NULL), RC_OK);
    for (uint16_t i = 0; i < ANNOUNCED_MAX + 2; i++)
        c[i] = connect_from(i);
    log_close();
    FILE *log = fdopen(fd, "r");
    while (fgets(line, sizeof line, log))
        lines += strstr(line, "closing the oldest") != NULL;
    ck_assert_int_eq(lines, 1); /* not one for each */
    ck_assert_int_eq(fclose(log) | unlink(path), 0);
    ck_assert_uint_eq(waiting.n_waiting, ANNOUNCED_MAX);
    ck_assert(is_closed(c[0]) && is_closed(c[1]) && !is_closed(c[2]));
    say(c[ANNOUNCED_MAX + 1], "PROXY UNKNOWN\r\n"); /* the newest is served */
    pause_ms(loop, 1);
    ck_assert_uint_eq(n_told, 1);
    ck_assert_uint_eq(told.peer.port, ANNOUNCED_MAX + 1);
    ck_assert_uint_eq(waiting.n_waiting, ANNOUNCED_MAX - 1);
    announced_stop(&waiting);
    ck_assert_uint_eq(waiting.n_waiting, 0);
    ck_assert(is_closed(c[2]) && is_closed(c[ANNOUNCED_MAX]));
    for (unsigned i = 0; i < ANNOUNCED_MAX + 2; i++)
        stream_close(c[i]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("announced");
    TCase *t = tcase_create("announced");

    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_who_is_told);
    tcase_add_test(t, test_what_is_wrong_is_closed);
    tcase_add_test(t, test_the_cap_ends_the_oldest);
    suite_add_tcase(s, t);
    return run_suite(s);
}
