/* The upgrade of the ws floor, both ends: bytes as GOST's, what is accepted, what is refused and
 * how. */
#include "tests/unit/wsfixture.h"

START_TEST(test_client_request_is_that_of_gost)
{
    struct vector *v = vector_named("ws.hs.request");
    char want[1024];

    start_client(0, "example.com:8080");
    snprintf(want, sizeof want, "%.*s", (int)v->n, (const char *)v->bytes);
    memcpy(strstr(want, "dGhlIHNhbXBsZSBub25jZQ=="), request_key(), 24);
    ck_assert_uint_eq(raw.in_n, v->n);
    ck_assert_str_eq((const char *)raw.in, want);
}
END_TEST

START_TEST(test_client_options_shape_the_request)
{
    char *keys[] = {(char *)(uintptr_t) "X-Zoo", (char *)(uintptr_t) "host",
                    (char *)(uintptr_t) "Authorization", (char *)(uintptr_t) "User-Agent"};
    char *values[] = {(char *)(uintptr_t) "1", (char *)(uintptr_t) "other.example",
                      (char *)(uintptr_t) "Basic eA==", (char *)(uintptr_t) "me"};
    struct ws_cfg cfg = {.path = (char *)(uintptr_t) "a b?ed=2048/\xc3\xa4",
                         .host = (char *)(uintptr_t) "front.example",
                         .header = {keys, values, 4}};
    char want[512];

    cctx = client_ctx(&cfg);
    start_client(0, "node:1");
    snprintf(want, sizeof want,
             "GET /a%%20b%%3Fed=2048/%%C3%%A4 HTTP/1.1\r\nHost: other.example\r\nUser-Agent: me\r\n"
             "Authorization: Basic eA==\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
             "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nX-Zoo: 1\r\n\r\n",
             request_key());
    ck_assert_str_eq((const char *)raw.in, want);
}
END_TEST

START_TEST(test_client_refuses_fields_that_break_the_head)
{
    char *key = (char *)(uintptr_t) "X", *value = (char *)(uintptr_t) "a\r\nY: b";
    char *own = (char *)(uintptr_t) "upgrade", *plain = (char *)(uintptr_t) "1";
    struct ws_cfg cfg = {.header = {&key, &value, 1}};
    struct diag d = {0}, d2 = {0};

    ck_assert_int_eq(ws_client_new(loop, &cfg, &cctx, &d), RC_INVALID);
    cfg.header = (struct strmap){&own, &plain, 1};
    ck_assert_int_eq(ws_client_new(loop, &cfg, &cctx, &d2), RC_INVALID);
    ck_assert_ptr_nonnull(strstr(d2.text, "upgrade"));
}
END_TEST

START_TEST(test_client_takes_frames_that_ride_behind_the_101)
{
    uint8_t keep[16], out[1024];
    const char *text;
    size_t n;

    client.keep = keep;
    client.keep_open = true;
    start_client(0, "h");
    text = answer(request_key(), "X-More: 1\r\n");
    n = strlen(text);
    memcpy(out, text, n);
    memcpy(out + n, "\x82\x05hello\x82\x01", 9);
    memcpy(out + n + 9, "!", 1);
    raw_send(&raw, out, n + 10);
    ck_assert(client.open);
    ck_assert_uint_eq(client.received, 6);
    ck_assert_mem_eq(keep, "hello!", 6);
}
END_TEST

static const struct {
    const char *answer, *says;
} refusals[] = {
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
     "ws: node answered 404 Not Found: is path= right?"},
    {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "ws: node answered 502 Bad Gateway"},
    {"HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", "ws: node answered 301 Moved"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     "ws: the node's Sec-WebSocket-Accept"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     "ws: node's 101 is no upgrade"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
     "ws: node's 101 has no proper"},
    {"\x16\x03\x01\x02\n\n", "ws: node does not answer with HTTP"},
};

START_TEST(test_client_says_why_it_was_refused)
{
    for (uint32_t seed = 0; seed < 4; seed++) {
        start_client(seed, "h");
        raw_send(&raw, refusals[_i].answer, strlen(refusals[_i].answer));
        ck_assert(!client.open);
        ck_assert_int_eq(client.rc, RC_PROTO);
        ck_assert_msg(
            strncmp(stream_diag(client.s)->text, refusals[_i].says, strlen(refusals[_i].says)) == 0,
            "%s", stream_diag(client.s)->text);
        stream_close(client.s);
        stream_close(raw.s);
        client = (struct end){0};
        raw.in_n = 0;
    }
    client.s = raw.s = NULL;
}
END_TEST

START_TEST(test_client_sees_a_node_that_hangs_up)
{
    start_client(0, "h");
    raw.shut_after = true;
    raw_send(&raw, "HTTP/1.1 101 Swi", 16);
    ck_assert_int_eq(client.rc, RC_RESET);
    ck_assert_str_eq(stream_diag(client.s)->text,
                     "ws: node closed the connection without an answer");
}
END_TEST

START_TEST(test_server_answer_is_that_of_gost)
{
    struct vector *v;

    for (uint32_t seed = 0; seed < 20; seed++) {
        start_server(seed, vector_text("ws.hs.request"));
        v = vector_named("ws.hs.response");
        ck_assert(server.open);
        ck_assert_uint_eq(raw.in_n, v->n);
        ck_assert_mem_eq(raw.in, v->bytes, v->n);
        server_restart();
    }
}
END_TEST

static const char *const accepted[] = {
    ASK("Origin: http://evil.example\r\nSec-WebSocket-Protocol: chat, v2\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\nCookie: a=b\r\n"),
    "GET /ws?x=1&y=%zz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET /%77s HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "GET http://a.example/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
};

START_TEST(test_server_accepts)
{
    start_server(0, accepted[_i]);
    ck_assert(server.open);
    ck_assert_uint_eq(raw.in_n, vector_named("ws.hs.response")->n);
    ck_assert_mem_eq(raw.in, vector_named("ws.hs.response")->bytes, raw.in_n);
    server_restart();
    start_server(0, vector_text("ws.hs.request-variant"));
    ck_assert(server.open);
    server_restart();
    start_server(0, vector_text("ws.hs.request-deflate"));
    ck_assert(server.open);
}
END_TEST

static const struct {
    const char *request, *begins, *has;
} refused[] = {
    {"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n",
     "\r\n\r\n404 page not found\n"},
    {"GET /WS HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "Content-Length: 19\r\n"},
    {"GET /ws/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", ""},
    {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
     "\r\nSec-Websocket-Version: 13\r\n"},
    {"POST /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\n", "\r\n\r\nMethod Not Allowed\n"},
    {"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", "HTTP/1.1 404 Not Found\r\n",
     ""},
    {"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "HTTP/1.1 400 Bad Request: missing required Host header\r\n", "Connection: close\r\n"},
    {"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
     "HTTP/1.1 400 Bad Request\r\n", "\r\n\r\nBad Request\n"},
    {"\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", ""},
};

static void check_refused(const char *begins, const char *has)
{
    raw.in[raw.in_n] = '\0';
    ck_assert(!server.open);
    ck_assert_int_eq(server.rc, RC_PROTO);
    ck_assert_msg(strncmp((char *)raw.in, begins, strlen(begins)) == 0, "%s", raw.in);
    ck_assert_ptr_nonnull(strstr((char *)raw.in, has));
    ck_assert(raw.eof);
}

START_TEST(test_server_refuses)
{
    for (uint32_t seed = 0; seed < 4; seed++) {
        start_server(seed, refused[_i].request);
        check_refused(refused[_i].begins, refused[_i].has);
        server_restart();
    }
}
END_TEST

START_TEST(test_server_refuses_bad_vectors)
{
    static const char *const names[] = {"ws.hs.bad-noupgrade", "ws.hs.bad-key",
                                        "ws.hs.bad-version"};
    struct ws_cfg cfg = {.path = (char *)(uintptr_t) "/"};

    sctx = server_ctx(&cfg);
    for (size_t i = 0; i < 3; i++) {
        start_server(0, vector_text(names[i]));
        check_refused("HTTP/1.1 400 Bad Request\r\n", "\r\nSec-Websocket-Version: 13\r\n");
        server_restart();
    }
}
END_TEST

START_TEST(test_server_refuses_an_endless_head)
{
    static char text[40000];

    memset(text, 'x', sizeof text - 1);
    memcpy(text, "GET /ws HTTP/1.1\r\nHost: x\r\nX: ", 30);
    start_server(7, text);
    check_refused("HTTP/1.1 431 ", "");
}
END_TEST

START_TEST(test_server_ends_a_slow_request)
{
    struct ws_cfg cfg = {.read_header_ms = 40};

    sctx = server_ctx(&cfg);
    start_server(0, "GET /ws HT");
    ck_assert_int_eq(server.rc, RC_TIMEOUT);
}
END_TEST

START_TEST(test_server_believes_the_proxy_in_front)
{
    static const struct {
        const char *text, *addr;
    } cases[] = {
        {ASK("CF-Connecting-IP: 2001:db8::7\r\nX-Forwarded-For: 203.0.113.9\r\n"), "2001:db8::7"},
        {ASK("X-Real-Ip: 198.51.100.2\r\nX-Forwarded-For: 203.0.113.9 , 10.0.0.1\r\n"),
         "203.0.113.9"},
        {ASK("X-Real-Ip: 198.51.100.2\r\n"), "198.51.100.2"},
    };

    for (size_t i = 0; i < 3; i++) {
        struct addr got = {0};
        char text[ADDR_TEXT_MAX];

        start_server(0, cases[i].text);
        ck_assert(server.open);
        ck_assert_int_eq(stream_query(server.s, QUERY_PEER_ADDR, &got), RC_OK);
        ck_assert_str_eq(addr_format_ip(&got, text, sizeof text), cases[i].addr);
        server_restart();
    }
}
END_TEST

START_TEST(test_server_sends_its_extra_fields)
{
    char *keys[] = {(char *)(uintptr_t) "X-Node", (char *)(uintptr_t) "Sec-WebSocket-Protocol"};
    char *values[] = {(char *)(uintptr_t) "7", (char *)(uintptr_t) "chat"};
    struct ws_cfg cfg = {.header = {keys, values, 2}};

    sctx = server_ctx(&cfg);
    start_server(0, ASK(""));
    raw.in[raw.in_n] = '\0';
    ck_assert_ptr_nonnull(
        strstr((char *)raw.in, "=\r\nSec-WebSocket-Protocol: chat\r\nX-Node: 7\r\n\r\n"));
}
END_TEST

START_TEST(test_server_takes_frames_that_ride_behind_the_request)
{
    static const char text[] = ASK("");
    uint8_t out[512], keep[16];
    size_t n = sizeof text - 1;
    struct vector *v = vector_named("ws.frame.c-hello");

    memcpy(out, text, n);
    memcpy(out + n, v->bytes, v->n);
    server.keep = keep;
    server.keep_open = true;
    start_server(0, "");
    raw_send(&raw, out, n + v->n);
    ck_assert(server.open);
    ck_assert_uint_eq(server.received, 5);
    ck_assert_mem_eq(keep, "hello", 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ws_upgrade");
    TCase *tc = tcase_create("ws_upgrade");
    const TTest *const once[] = {test_client_request_is_that_of_gost,
                                 test_client_options_shape_the_request,
                                 test_client_refuses_fields_that_break_the_head,
                                 test_client_takes_frames_that_ride_behind_the_101,
                                 test_client_sees_a_node_that_hangs_up,
                                 test_server_answer_is_that_of_gost,
                                 test_server_refuses_bad_vectors,
                                 test_server_refuses_an_endless_head,
                                 test_server_ends_a_slow_request,
                                 test_server_believes_the_proxy_in_front,
                                 test_server_sends_its_extra_fields,
                                 test_server_takes_frames_that_ride_behind_the_request};

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        tcase_add_test(tc, once[i]);
    tcase_add_loop_test(tc, test_client_says_why_it_was_refused, 0,
                        sizeof refusals / sizeof refusals[0]);
    tcase_add_loop_test(tc, test_server_accepts, 0, sizeof accepted / sizeof accepted[0]);
    tcase_add_loop_test(tc, test_server_refuses, 0, sizeof refused / sizeof refused[0]);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
