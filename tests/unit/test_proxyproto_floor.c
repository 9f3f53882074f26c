/* The PROXY header's floors over a nasty wire: what is sent arrives, what follows is not touched,
 * silence and strangers lose nothing, and what is wrong or not whole fails. */
#include "core/floor/mem.h"
#include "core/floor/proxyproto.h"
#include "core/stream.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 60, LONG_MS = 20000, SEEDS = 60, LIMIT_MS = 30000 };

static struct loop *loop;
static struct timer limit;
static struct stream *client, *server;
static struct layer *header;
static const char *say; /* the client's words behind its floors */
static size_t say_n, said;
static bool hang_up; /* the client ends its writing then */
static enum rc opened;
static char got[4096];
static size_t n_got, want_got;
static bool at_end;

static void on_client(struct stream *s, unsigned ready, void *arg)
{
    enum rc rc = stream_open(s);
    size_t n;

    (void)ready;
    (void)arg;
    while (rc == RC_OK && said < say_n) {
        struct iovec v = {(void *)(uintptr_t)(say + said), say_n - said};
        rc = stream_send(s, &v, 1, &n);
        said += rc == RC_OK ? n : 0;
    }
    if (rc == RC_OK && hang_up)
        rc = stream_shut(s);
    ck_assert(rc == RC_OK || rc == RC_AGAIN);
    if (rc == RC_OK)
        stream_want(s, 0, NULL, NULL);
    else
        stream_want(s, stream_is_open(s) ? STREAM_OUT : STREAM_OPEN, on_client, NULL);
}

static void on_server(struct stream *s, unsigned ready, void *arg)
{
    size_t n;

    (void)ready;
    (void)arg;
    if (opened == RC_AGAIN)
        opened = stream_open(s);
    if (opened == RC_AGAIN)
        return;
    for (enum rc rc = opened; rc == RC_OK;) {
        rc = stream_recv(s, got + n_got, 7, &n);
        n_got += rc == RC_OK ? n : 0;
        at_end = rc == RC_EOF;
    }
    stream_want(s, STREAM_IN, on_server, NULL);
    if (opened != RC_OK || at_end || (!hang_up && n_got >= want_got))
        loop_stop(loop);
}

static void on_limit(struct timer *t)
{
    (void)t;
    ck_abort_msg("stuck: opened %d, %zu of %zu bytes", (int)opened, n_got, want_got);
}

/* sender NULL: the client has no floor of its own. */
static void run(uint32_t seed, struct layer *sender, const char *words, size_t n, bool then_end,
                size_t want, uint32_t wait_ms)
{
    struct diag diag = {0};
    struct mem_cfg mc = {.seed = seed};
    struct layer *wire[2];

    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
    timer_init(loop, &limit, on_limit);
    ck_assert(timer_start(&limit, LIMIT_MS));
    ck_assert(mem_pair(loop, &mc, &wire[0], &wire[1]));
    client = stream_new(loop);
    server = stream_new(loop);
    header = proxyproto_recv_layer(loop, wait_ms);
    ck_assert(client && server && header);
    stream_push(client, wire[0]);
    if (sender)
        stream_push(client, sender);
    stream_push(server, wire[1]);
    stream_push(server, header);
    say = words;
    say_n = n;
    said = n_got = 0;
    hang_up = then_end;
    want_got = want;
    opened = RC_AGAIN;
    at_end = false;
    stream_want(client, STREAM_OPEN, on_client, NULL);
    stream_want(server, STREAM_OPEN, on_server, NULL);
    loop_run(loop);
}

static void end(void)
{
    stream_close(client);
    stream_close(server);
    timer_stop(&limit);
    loop_free(loop);
}

static void expect_got(const char *words, size_t n)
{
    ck_assert_int_eq(opened, RC_OK);
    ck_assert_uint_eq(n_got, n);
    ck_assert_mem_eq(got, words, n);
}

static void expect_peer(const char *text)
{
    char buf[ADDR_TEXT_MAX];
    struct addr source, dest, peer = {.family = 0};
    bool announced = proxyproto_announced(header, &source, &dest);

    ck_assert_int_eq(announced, text != NULL);
    ck_assert_int_eq(stream_query(server, QUERY_PEER_ADDR, &peer),
                     text ? RC_OK : RC_UNSUPPORTED); /* the wire of the test knows none */
    if (text)
        ck_assert_str_eq(addr_format(&peer, buf, sizeof buf), text);
}

START_TEST(test_sent_and_received)
{
    static const char hello[] = "hello, and more that is not the header's";
    static const char *const addrs[][2] = {{"192.0.2.7:56324", "198.51.100.1:443"},
                                           {"[2001:db8::7]:56324", "[2001:db8::1]:443"},
                                           {"192.0.2.7:56324", "[2001:db8::1]:443"}};

    for (uint32_t seed = 0; seed < SEEDS; seed++)
        for (size_t i = 0; i < 3; i++) {
            struct addr source, dest;
            ck_assert(addr_parse(addrs[i][0], &source) && addr_parse(addrs[i][1], &dest));
            run(seed, proxyproto_send_layer(1 + seed % 2, &source, &dest), hello, sizeof hello - 1,
                seed % 3 == 0, sizeof hello - 1, LONG_MS);
            expect_got(hello, sizeof hello - 1);
            expect_peer(i == 2 ? NULL : addrs[i][0]);
            ck_assert(!(seed % 3 == 0) || at_end);
            end();
        }
}
END_TEST

/* Also what begins as a header does, and what ends so. */
START_TEST(test_other_first_bytes_are_given_back)
{
    static const char *const words[] = {"\x16\x03\x01", "POST / HTTP/1.1\r\n", "PROXY", "\r\n\r\n",
                                        ""};

    for (uint32_t seed = 0; seed < SEEDS; seed++)
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t n = strlen(words[i]);
            run(seed, NULL, words[i], n, true, n, LONG_MS);
            expect_got(words[i], n);
            expect_peer(NULL);
            ck_assert(at_end);
            end();
        }
}
END_TEST

/* Who waits for us to speak first is served when the time is over; so is who has only begun what
 * could become a header. */
START_TEST(test_silence_is_no_header)
{
    static const char *const words[] = {"", "PROXY", "\r\n"};

    for (uint32_t seed = 0; seed < 3; seed++)
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t n = strlen(words[i]);
            uint64_t from;
            run(seed, NULL, words[i], n, false, n, WAIT_MS);
            from = limit.due_ms - LIMIT_MS;
            ck_assert_uint_ge(loop_now_ms(loop), from + WAIT_MS - 1);
            expect_got(words[i], n);
            expect_peer(NULL);
            end();
        }
}
END_TEST

START_TEST(test_failures)
{
    static const struct {
        const char *words;
        bool then_end;
        enum rc rc;
        const char *why;
    } v[] = {{"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\nabc", false, RC_PROTO, "CR LF"},
             {"PROXY TCP4 192.0.2.7 ", true, RC_PROTO, "not whole at the end"},
             {"PROXY TCP4 192.0.2.7 ", false, RC_TIMEOUT, "not whole in time"}};

    for (uint32_t seed = 0; seed < 12; seed++)
        for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
            run(seed, NULL, v[i].words, strlen(v[i].words), v[i].then_end, 0,
                v[i].rc == RC_TIMEOUT ? WAIT_MS : LONG_MS);
            ck_assert_int_eq(opened, v[i].rc);
            ck_assert_ptr_nonnull(strstr(stream_diag(server)->text, v[i].why));
            ck_assert_uint_eq(n_got, 0);
            end();
        }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("proxyproto_floor");
    TCase *t = tcase_create("proxyproto_floor");

    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_sent_and_received);
    tcase_add_test(t, test_other_first_bytes_are_given_back);
    tcase_add_test(t, test_silence_is_no_header);
    tcase_add_test(t, test_failures);
    suite_add_tcase(s, t);
    return run_suite(s);
}
