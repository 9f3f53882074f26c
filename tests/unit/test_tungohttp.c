/* tests/unit/test_tungohttp.c - requests of one connection: the bytes pass as they are, over a wire
 * that cuts them anywhere, read and peeked; reading ends where another host is asked for. */
#include "core/floor/mem.h"
#include "core/floor/replay.h"
#include "handlers/tungohttp.h"
#include "pause.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct stream *near, *far; /* near: ours, with the layer */
static struct layer *requests;
static char out[100000];
static size_t n_out;
static bool peeks;
static unsigned told;

static void on_next(void *arg)
{
    (void)arg;
    told++;
}

static void put(const void *data, size_t n)
{
    ck_assert_uint_lt(n_out + n, sizeof out);
    memcpy(out + n_out, data, n);
    n_out += n;
    out[n_out] = '\0';
}

static enum rc peek_some(struct stream *s)
{
    struct iovec v[4];
    int nv;
    enum rc rc = stream_peek(s, v, 4, &nv);

    if (rc != RC_OK)
        return rc;
    size_t n = v[0].iov_len > 700 ? 700 : v[0].iov_len; /* not all of it at once */
    put(v[0].iov_base, n);
    return stream_consume(s, n);
}

static enum rc recv_some(struct stream *s)
{
    char buf[333];
    size_t n;
    enum rc rc = stream_recv(s, buf, sizeof buf, &n);

    if (rc == RC_OK)
        put(buf, n);
    return rc;
}

/* "|host:port|" where reading ends for another one, "$" at the end. */
static void on_event(struct stream *s, unsigned ready, void *arg)
{
    enum rc rc = RC_OK;
    struct sniffed found;
    char text[300];

    (void)ready;
    (void)arg;
    while (rc == RC_OK)
        rc = peeks ? peek_some(s) : RC_UNSUPPORTED;
    if (rc == RC_UNSUPPORTED) /* the wire has no peek: it comes with some floors only */
        for (rc = RC_OK; rc == RC_OK;)
            rc = recv_some(s);
    if (rc == RC_AGAIN)
        return;
    ck_assert_int_eq(rc, RC_EOF);
    if (tungohttp_has_next(requests)) {
        ck_assert_int_eq(stream_shut(s), RC_OK); /* which the client does not hear */
        tungohttp_next(requests, &found);
        ck_assert_int_eq(found.proto, SNIFF_HTTP);
        put(text, (size_t)snprintf(text, sizeof text, "|%s:%u|", found.name, found.port));
        return;
    }
    put("$", 1);
    stream_want(s, 0, NULL, NULL);
    loop_stop(loop);
}

static const char *to_send;

static void on_room(struct stream *s, unsigned ready, void *arg)
{
    size_t n = strlen(to_send);

    (void)ready;
    (void)arg;
    if (n > 0) {
        struct iovec v = {(void *)(uintptr_t)to_send, n};
        if (stream_send(s, &v, 1, &n) == RC_OK)
            to_send += n;
    } else if (stream_shut(s) == RC_OK) {
        stream_want(s, 0, NULL, NULL);
    }
}

static void start(uint32_t seed, const char *ahead)
{
    struct mem_cfg cfg = {.cap_bytes = 90000, .seed = seed};
    struct layer *a, *b;

    loop = loop_new(NULL);
    ck_assert(mem_pair(loop, &cfg, &a, &b));
    near = stream_new(loop);
    far = stream_new(loop);
    stream_push(near, a);
    stream_push(far, b);
    ck_assert_int_eq(stream_open(near), RC_OK);
    ck_assert_int_eq(stream_open(far), RC_OK);
    ck_assert_int_eq(replay_push(near, ahead, strlen(ahead)), RC_OK);
    requests = tungohttp_layer(loop, on_next, NULL);
    ck_assert_ptr_nonnull(requests);
    stream_push(near, requests);
    n_out = told = 0;
}

static void stop(void)
{
    stream_close(near);
    stream_close(far);
    loop_run(loop);
    loop_free(loop);
}

/* ahead: what a sniffer had read. */
static void passes(const char *ahead, const char *sent, const char *want)
{
    for (uint32_t seed = 0; seed < 60; seed++) {
        start(seed, ahead);
        peeks = seed % 2;
        to_send = sent;
        stream_want(far, STREAM_OUT, on_room, NULL);
        stream_want(near, STREAM_IN, on_event, NULL);
        loop_run(loop);
        ck_assert_str_eq(out, want);
        stop();
    }
}

#define A    "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define A2   "HEAD /2 HTTP/1.1\r\nhost:  A.TEST:80 \r\n\r\n"
#define B    "GET /3 HTTP/1.1\r\nHost: b.test\r\n\r\n"
#define POST "POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 33\r\n\r\n" B
#define CHUNKS                                                                                     \
    "PUT /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n" B "\r\n0\r\n\r"  \
    "\n"

START_TEST(test_one_host)
{
    passes("", A A2 A, A A2 A "$");
    passes(A, A2 A, A A2 A "$");
    passes("GET / HTTP/1.1\r\nHo", "st: a.test\r\n\r\n" A2,
           "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" A2 "$");
}
END_TEST

START_TEST(test_another_host)
{
    passes("", A B, A "|b.test:80|" B "$");
    passes(A, B, A "|b.test:80|" B "$");
    passes(A B A, B, A "|b.test:80|" B "|a.test:80|" A "|b.test:80|" B "$");
    passes(A, "GET http://c.test:8080/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
           A "|c.test:8080|GET http://c.test:8080/ HTTP/1.1\r\nHost: a.test\r\n\r\n$");
    passes(A, "GET / HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
           A "|a.test:81|GET / HTTP/1.1\r\nHost: a.test:81\r\n\r\n$");
}
END_TEST

START_TEST(test_bodies_are_not_requests)
{
    ck_assert_uint_eq(strlen(B), 33);
    passes(POST, A, POST A "$");
    passes("", POST B, POST "|b.test:80|" B "$");
    passes("", POST POST CHUNKS B POST, POST POST CHUNKS "|b.test:80|" B "|a.test:80|" POST "$");
    passes("", CHUNKS A, CHUNKS A "$");
    passes("", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n" B,
           "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n|b.test:80|" B "$");
}
END_TEST

START_TEST(test_what_ends_the_watch)
{
    passes("", "GET /ws HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n" B,
           "GET /ws HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n" B "$");
    passes("", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n" B,
           "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n" B "$");
    passes("", A "\1\2\3 what is that?\n" B, A "\1\2\3 what is that?\n" B "$");
    passes("", A "GET /cut HTTP/1.1\r\nHost: b.te", A "GET /cut HTTP/1.1\r\nHost: b.te$");
    passes("", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99\r\n\r\nshort",
           "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99\r\n\r\nshort$");
    passes("", A "GET / HTTP/1.1\r\n\r\n" B, A "GET / HTTP/1.1\r\n\r\n|b.test:80|" B "$");
}
END_TEST

START_TEST(test_a_head_over_the_cap_passes)
{
    static char sent[60000], want[60002];
    size_t n = (size_t)snprintf(sent, sizeof sent, A "GET / HTTP/1.1\r\nHost: b.test\r\nX: ");

    memset(sent + n, 'x', 40000);
    snprintf(want, sizeof want, "%s$", sent);
    passes("", sent, want);
}
END_TEST

START_TEST(test_the_owner_is_told_and_ends_are_not)
{
    start(0, A);
    peeks = false;
    char buf[100];
    size_t n;
    struct iovec v = {(void *)(uintptr_t)B, strlen(B)};
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, strlen(A));
    enum rc rc = stream_recv(near, buf, sizeof buf, &n);
    ck_assert_int_eq(rc, RC_EOF);
    ck_assert_uint_eq(told, 0); /* from the loop only */
    pause_ms(loop, 1);
    ck_assert_uint_eq(told, 1);
    ck_assert_int_eq(stream_shut(near), RC_OK);
    ck_assert_int_eq(stream_recv(far, buf, sizeof buf, &n), RC_AGAIN);
    stop();

    start(0, A); /* the target had ended before: nobody could answer the next request */
    ck_assert_int_eq(stream_shut(near), RC_OK);
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_EOF);
    ck_assert(!tungohttp_has_next(requests));
    ck_assert_int_eq(stream_recv(far, buf, sizeof buf, &n), RC_EOF);
    stop();
}
END_TEST

/* Three hosts at once: each end is told to whoever reads up to it, not while the next is dialled.
 */
START_TEST(test_each_end_is_told_when_it_is_read)
{
    char buf[100];
    size_t n;
    struct sniffed found;
    start(0, A B A);
    peeks = false;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_OK);
        ck_assert_uint_eq(n, i == 0 ? strlen(A) : strlen(B));
        pause_ms(loop, 1);
        ck_assert_uint_eq(told, i);
        ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_EOF);
        pause_ms(loop, 1);
        ck_assert_uint_eq(told, i + 1);
        tungohttp_next(requests, &found);
        ck_assert_str_eq(found.name, i == 0 ? "b.test" : "a.test");
        pause_ms(loop, 1);
        ck_assert_uint_eq(told, i + 1);
    }
    ck_assert_int_eq(stream_recv(near, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, strlen(A));
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tungohttp");
    TCase *tc = tcase_create("tungohttp");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_one_host);
    tcase_add_test(tc, test_another_host);
    tcase_add_test(tc, test_bodies_are_not_requests);
    tcase_add_test(tc, test_what_ends_the_watch);
    tcase_add_test(tc, test_a_head_over_the_cap_passes);
    tcase_add_test(tc, test_the_owner_is_told_and_ends_are_not);
    tcase_add_test(tc, test_each_end_is_told_when_it_is_read);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
