/* The ws floor over a nasty wire, both ends: handshake bytes as GOST's, every vector, pings and
 * Close, half-close, hostile frames, much data, ws over ws. */
#include "core/addr.h"
#include "tests/unit/vectors.h"
#include "tests/unit/wsends.h"

static struct end client, server;
static struct raw raw;
static struct ws_ctx *cctx, *sctx;

static void setup(void)
{
    loop = loop_new(NULL);
    client = server = (struct end){.tx = 1, .rx = 2};
    server.tx = 2;
    server.rx = 1;
    memset(&raw, 0, sizeof raw);
    cctx = sctx = NULL;
}

static void teardown(void)
{
    stream_close(client.s);
    stream_close(server.s);
    stream_close(raw.s);
    ws_ctx_unref(cctx);
    ws_ctx_unref(sctx);
    loop_run(loop);
    ws_shutdown();
    loop_free(loop);
}

static void wire(uint32_t seed, size_t cap, struct layer **ret_a, struct layer **ret_b)
{
    struct mem_cfg mc = {.seed = seed, .cap_bytes = cap};

    ck_assert(mem_pair(loop, &mc, ret_a, ret_b));
}

/* client end and server end, both ws, on one wire */
static void connect_ends(uint32_t seed, size_t cap)
{
    struct layer *a, *b;

    wire(seed, cap, &a, &b);
    if (!cctx)
        cctx = client_ctx(NULL);
    if (!sctx)
        sctx = server_ctx(NULL);
    stream_push(end_stream(&client, a), ws_client_layer(cctx, "node:443"));
    stream_push(end_stream(&server, b), ws_server_layer(sctx));
    end_want(&client);
    end_want(&server);
}

static void check_both_done(void)
{
    ck_assert_int_eq(client.rc, RC_OK);
    ck_assert_int_eq(server.rc, RC_OK);
    ck_assert(client.open && server.open);
    ck_assert_uint_eq(client.received, server.to_send);
    ck_assert_uint_eq(server.received, client.to_send);
    ck_assert(client.eof && server.eof);
}

static struct vector *vector_named(const char *name)
{
    static struct vector v;
    static char line[VECTOR_LINE_MAX];
    FILE *f = fopen("tests/vectors/websocket.txt", "r");

    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f))
        if (vector_parse(line, &v) && strcmp(v.name, name) == 0) {
            fclose(f);
            return &v;
        }
    ck_abort_msg("no vector %s", name);
    return NULL;
}

/* ---- a client, the test being the server */

static void start_client(uint32_t seed, const char *host)
{
    struct layer *a, *b;

    wire(seed, 0, &a, &b);
    if (!cctx)
        cctx = client_ctx(NULL);
    stream_push(end_stream(&client, a), ws_client_layer(cctx, host));
    raw_start(&raw, b);
    end_want(&client);
    loop_run(loop);
}

static const char *request_key(void)
{
    static char key[25];
    const char *p;

    raw.in[raw.in_n] = '\0';
    p = strstr((const char *)raw.in, "Sec-WebSocket-Key: ");
    ck_assert(p != NULL);
    snprintf(key, sizeof key, "%.24s", p + 19);
    return key;
}

/* RFC 6455: base64(SHA-1(key + GUID)), by mbedTLS */
#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>

static const char *answer(const char *key, const char *more)
{
    static char text[2048];
    char both[128], accept[64];
    unsigned char sum[20];
    size_t n;

    snprintf(both, sizeof both, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    ck_assert_int_eq(mbedtls_sha1((const unsigned char *)both, strlen(both), sum), 0);
    ck_assert_int_eq(mbedtls_base64_encode((unsigned char *)accept, sizeof accept, &n, sum, 20), 0);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, more);
    return text;
}

static void client_up(void)
{
    const char *text = answer(request_key(), "");

    raw.in_n = 0;
    raw_send(&raw, text, strlen(text));
    ck_assert(client.open);
}

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

/* ---- a server, the test being the client */

static void start_server(uint32_t seed, const char *text)
{
    struct layer *a, *b;

    wire(seed, 0, &a, &b);
    if (!sctx)
        sctx = server_ctx(NULL);
    stream_push(end_stream(&server, b), ws_server_layer(sctx));
    raw_start(&raw, a);
    end_want(&server);
    raw_send(&raw, text, strlen(text));
}

static void server_restart(void)
{
    stream_close(server.s);
    stream_close(raw.s);
    loop_run(loop);
    server = (struct end){.tx = 2, .rx = 1};
    memset(&raw, 0, sizeof raw);
}

static const char *vector_text(const char *name)
{
    static char text[2048];
    struct vector *v = vector_named(name);

    snprintf(text, sizeof text, "%.*s", (int)v->n, (const char *)v->bytes);
    return text;
}

#define ASK(more)                                                                                  \
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

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

/* ---- frames */

/* Feeds one vector's bytes to the end it is meant for, piece by piece; the wire then ends. */
static struct end *feed_vector(const struct vector *v, size_t piece, uint8_t *keep, bool shut)
{
    bool to_server = vector_c2s(v);
    struct end *e = to_server ? &server : &client;

    e->keep = keep;
    e->keep_open = true;
    if (to_server) {
        start_server(0, ASK(""));
        raw.in_n = 0;
    } else {
        start_client(0, "h");
        client_up();
        raw.in_n = 0;
    }
    raw.piece = piece;
    raw.shut_after = shut;
    raw_send(&raw, v->bytes, v->n);
    return e;
}

static void restart(void)
{
    stream_close(client.s);
    stream_close(server.s);
    stream_close(raw.s);
    loop_run(loop);
    client = server = (struct end){0};
    memset(&raw, 0, sizeof raw);
}

START_TEST(test_frame_vectors)
{
    static char line[VECTOR_LINE_MAX];
    static struct vector v;
    static uint8_t keep[RAW_BYTES];
    unsigned n = 0;
    FILE *f = fopen("tests/vectors/websocket.txt", "r");

    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) {
        if (!vector_parse(line, &v) || vector_is(&v, "ws.hs."))
            continue;
        for (size_t piece = 0; piece < 3; piece++) {
            struct end *e = feed_vector(&v, piece, keep, false);
            const char *data = strstr(v.expect, "data="), *msg = strstr(v.expect, "msg=");
            bool is_data = vector_is(&v, "ws.frame."), bad = vector_is(&v, "ws.bad.");
            uint8_t want[64];
            size_t want_n;

            if (strcmp(v.name, "ws.bad.close-1byte") == 0) {
                ck_assert(e->eof); /* tolerated, as GOST does */
            } else if (bad) {
                ck_assert_msg(e->rc == RC_PROTO, "%s: rc %d", v.name, (int)e->rc);
                ck_assert_uint_ge(raw.in_n, 4); /* a Close that says 1002 */
                ck_assert_uint_eq(raw.in[0], 0x88);
            } else {
                ck_assert_msg(e->rc == RC_OK, "%s: rc %d", v.name, (int)e->rc);
            }
            if (is_data && (data || msg)) {
                want_n = value_bytes(data ? data + 5 : msg + 4, want, sizeof want);
                ck_assert_msg(e->received == want_n && memcmp(keep, want, want_n) == 0, "%s",
                              v.name);
            }
            if (strstr(v.expect, "op=8"))
                ck_assert_msg(e->eof, "%s", v.name);
            restart();
            n++;
        }
    }
    fclose(f);
    ck_assert_uint_gt(n, 60);
}
END_TEST

START_TEST(test_unmasked_frame_is_closed_as_gost_does)
{
    feed_vector(vector_named("ws.bad.c-unmasked"), 0, NULL, false);
    ck_assert_int_eq(server.rc, RC_PROTO);
    ck_assert_uint_eq(raw.in_n, 12);
    ck_assert_mem_eq(raw.in, vector_named("ws.ctl.close-bad-mask")->bytes, 12);
}
END_TEST

START_TEST(test_bare_ping_of_a_client_is_refused)
{
    feed_vector(vector_named("ws.bad.c-unmasked"), 1, NULL, false);
    restart();
    start_server(0, ASK(""));
    raw.in_n = 0;
    raw_send(&raw, "\x89\x00", 2);
    ck_assert_int_eq(server.rc, RC_PROTO);
}
END_TEST

START_TEST(test_pings_are_answered)
{
    uint8_t keep[16];

    feed_vector(vector_named("ws.ctl.ping"), 0, keep, false);
    ck_assert_uint_eq(raw.in_n, 2);
    ck_assert_mem_eq(raw.in, "\x8a\x00", 2);
    restart();
    feed_vector(vector_named("ws.frame.c-frag-ping"), 1, keep, false);
    ck_assert_mem_eq(raw.in, "\x8a\x00", 2);
    ck_assert_mem_eq(keep, "hello", 5);
    restart();
    feed_vector(vector_named("ws.ctl.ping-payload"), 0, keep, false);
    ck_assert_uint_eq(raw.in_n, 9);
    ck_assert_uint_eq(raw.in[0], 0x8a);
    ck_assert_uint_eq(raw.in[1], 0x83);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(raw.in[6 + i] ^ raw.in[2 + i], "abc"[i]);
}
END_TEST

START_TEST(test_pings_are_answered_while_nobody_reads)
{
    static uint8_t out[4 + 20000 + 6];

    server.deaf = server.keep_open = true;
    start_server(0, ASK(""));
    raw.in_n = 0;
    memcpy(out, "\x82\xfe\x4e\x20\0\0\0\0", 8);
    memcpy(out + 8 + 20000 - 6, "", 0);
    raw_send(&raw, out, 8);
    for (size_t left = 20000; left;) {
        size_t n = least(left, 4096);

        memset(out, 'd', n);
        raw_send(&raw, out, n);
        left -= n;
    }
    raw_send(&raw, "\x89\x81\0\0\0\0x", 7);
    ck_assert_uint_eq(raw.in_n, 3);
    ck_assert_mem_eq(raw.in, "\x8a\x01x", 3);
    server.deaf = false;
    server.keep = malloc(20000);
    end_want(&server);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 20000);
    free(server.keep);
}
END_TEST

START_TEST(test_reading_ahead_has_an_end)
{
    server.deaf = server.keep_open = true;
    client.to_send = 1 << 20;
    client.keep_open = true;
    connect_ends(0, 16384);
    loop_run(loop);
    ck_assert(client.open && server.open);
    ck_assert_uint_ge(client.sent, 65536);
    ck_assert_uint_lt(client.sent, 65536 * 4);
    server.deaf = false;
    end_want(&server);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 1 << 20);
}
END_TEST

START_TEST(test_close_is_answered_and_ends_both_ways)
{
    struct vector *v = vector_named("ws.ctl.close-empty");
    struct iovec v1 = {(void *)(uintptr_t) "x", 1};
    size_t n;

    feed_vector(v, 1, NULL, false);
    ck_assert(server.eof);
    ck_assert_uint_eq(raw.in_n, 2);
    ck_assert_mem_eq(raw.in, "\x88\x00", 2);
    ck_assert_int_eq(stream_send(server.s, &v1, 1, &n), RC_RESET);
    restart();
    feed_vector(vector_named("ws.ctl.close-1000"), 0, NULL, false);
    ck_assert(client.eof);
    ck_assert_uint_eq(raw.in_n, 8);
    ck_assert_uint_eq(raw.in[0], 0x88);
    ck_assert_uint_eq((unsigned)(raw.in[2] ^ raw.in[6]), 0x03);
    ck_assert_uint_eq((unsigned)(raw.in[3] ^ raw.in[7]), 0xe8);
}
END_TEST

START_TEST(test_end_inside_a_frame_is_no_clean_end)
{
    uint8_t keep[16];
    struct vector v = *vector_named("ws.frame.c-hello");

    v.n -= 2;
    feed_vector(&v, 0, keep, true);
    ck_assert_uint_eq(server.received, 3);
    ck_assert_int_eq(server.rc, RC_RESET);
    restart();
    feed_vector(vector_named("ws.frame.c-hello"), 0, keep, true);
    ck_assert(server.eof);
    ck_assert_int_eq(server.rc, RC_OK);
}
END_TEST

START_TEST(test_hostile_lengths_allocate_nothing)
{
    uint8_t keep[4096];
    struct vector v = {.name = "big", .dir = "c2s", .n = 16};

    memcpy(v.bytes, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0ab", 16);
    feed_vector(&v, 1, keep, false);
    ck_assert_int_eq(server.rc, RC_OK);
    ck_assert_uint_eq(server.received, 2);
    restart();
    memcpy(v.bytes, "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14);
    v.n = 14;
    feed_vector(&v, 0, keep, false);
    ck_assert_int_eq(server.rc, RC_PROTO);
}
END_TEST

START_TEST(test_small_reads)
{
    client.to_send = server.to_send = 20000;
    client.recv_max = server.recv_max = 1;
    connect_ends(5, 3000);
    loop_run(loop);
    check_both_done();
}
END_TEST

/* ---- streams */

START_TEST(test_any_segmentation)
{
    for (uint32_t seed = 1; seed < 60; seed++) {
        teardown();
        setup();
        client.to_send = seed * 1709 % 50000;
        server.to_send = seed * 9973 % 90000;
        client.send_max = 1 + seed * 331 % 9000;
        server.send_max = seed % 3 ? 0 : 1 + seed * 17 % 300;
        client.recv_max = seed % 2 ? 0 : 1 + seed * 7919 % 6000;
        connect_ends(seed, seed % 4 ? 700 + seed * 13 : 0);
        loop_run(loop);
        check_both_done();
    }
}
END_TEST

START_TEST(test_ten_megabytes_both_ways)
{
    client.to_send = server.to_send = 10 << 20;
    connect_ends(0, 0);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_half_close_of_the_client_lets_the_answer_through)
{
    client.to_send = 3;
    server.keep_open = true;
    connect_ends(3, 900);
    loop_run(loop);
    ck_assert(server.eof && client.shut && !client.eof);
    server.to_send = 200000;
    server.keep_open = false;
    end_want(&server);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_half_close_of_the_server_lets_the_request_through)
{
    server.to_send = 3;
    client.keep_open = true;
    connect_ends(4, 900);
    loop_run(loop);
    ck_assert(client.eof && server.shut && !server.eof);
    client.to_send = 200000;
    client.keep_open = false;
    end_want(&client);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_reserved_room_becomes_one_message)
{
    struct iovec room;

    server.keep_open = true;
    server.keep = malloc(70000);
    client.keep_open = true;
    connect_ends(0, 0);
    loop_run(loop);
    ck_assert_int_eq(stream_reserve(client.s, 10, &room), RC_OK);
    ck_assert_uint_ge(room.iov_len, 10);
    ck_assert_int_eq(stream_commit(client.s, 0), RC_OK);
    ck_assert_int_eq(stream_reserve(client.s, 65000, &room), RC_OK);
    ck_assert_uint_ge(room.iov_len, 65000);
    memset(room.iov_base, 'r', 65000);
    ck_assert_int_eq(stream_commit(client.s, 65000), RC_OK);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 65000);
    for (size_t i = 0; i < 65000; i++)
        ck_assert_uint_eq(server.keep[i], 'r');
    free(server.keep);
}
END_TEST

START_TEST(test_ws_over_ws_over_ws)
{
    for (uint32_t seed = 0; seed < 12; seed++) {
        teardown();
        setup();
        client.to_send = server.to_send = 150000 + seed;
        connect_ends(seed, seed % 2 ? 1000 : 0);
        for (int i = 0; i < 2; i++) {
            stream_push(client.s, ws_client_layer(cctx, "inner"));
            stream_push(server.s, ws_server_layer(sctx));
        }
        loop_run(loop);
        check_both_done();
    }
}
END_TEST

START_TEST(test_stream_survives_its_ctx)
{
    client.to_send = server.to_send = 5000;
    connect_ends(9, 500);
    ws_ctx_unref(cctx);
    ws_ctx_unref(sctx);
    cctx = sctx = NULL;
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_abort_at_any_moment)
{
    connect_ends(0, 0);
    for (int i = 0; i < 40; i++) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
        if (i % 5 != _i)
            continue;
        if (i & 1)
            stream_abort(client.s);
        else
            stream_close(server.s);
        break;
    }
    *(_i & 1 ? &client.s : &server.s) = NULL;
}
END_TEST

/* ---- keepalive */

START_TEST(test_keepalive_pings_and_lives_on_pongs)
{
    struct ws_cfg cfg = {.keepalive = true, .ping_ms = 20};
    uint64_t until;

    cctx = client_ctx(&cfg);
    client.keep_open = server.keep_open = true;
    server.deaf = true; /* its pongs come from reading ahead */
    connect_ends(0, 0);
    until = loop_now_ms(loop) + 150;
    while (loop_now_ms(loop) < until)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(client.open);
    ck_assert_int_eq(client.rc, RC_OK);
}
END_TEST

START_TEST(test_keepalive_dies_without_pongs)
{
    struct ws_cfg cfg = {.keepalive = true, .ping_ms = 30};
    uint64_t began;

    cctx = client_ctx(&cfg);
    client.keep_open = true;
    start_client(0, "h");
    began = loop_now_ms(loop);
    client_up(); /* runs until nothing is left to wait for */
    ck_assert_int_eq(client.rc, RC_TIMEOUT);
    ck_assert_str_eq(stream_diag(client.s)->text, "ws: no pong from the node");
    ck_assert_uint_ge(loop_now_ms(loop) - began, 55);
    ck_assert_uint_ge(raw.in_n, 6); /* at least one empty masked ping */
    ck_assert_uint_eq(raw.in[0], 0x89);
    ck_assert_uint_eq(raw.in[1], 0x80);
}
END_TEST

static Suite *suite_ws(void)
{
    Suite *suite = suite_create("ws");
    TCase *tc = tcase_create("ws");
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
                                        test_server_takes_frames_that_ride_behind_the_request,
                                        test_frame_vectors,
                                        test_unmasked_frame_is_closed_as_gost_does,
                                        test_bare_ping_of_a_client_is_refused,
                                        test_pings_are_answered,
                                        test_pings_are_answered_while_nobody_reads,
                                        test_reading_ahead_has_an_end,
                                        test_close_is_answered_and_ends_both_ways,
                                        test_end_inside_a_frame_is_no_clean_end,
                                        test_hostile_lengths_allocate_nothing,
                                        test_small_reads,
                                        test_any_segmentation,
                                        test_ten_megabytes_both_ways,
                                        test_half_close_of_the_client_lets_the_answer_through,
                                        test_half_close_of_the_server_lets_the_request_through,
                                        test_reserved_room_becomes_one_message,
                                        test_ws_over_ws_over_ws,
                                        test_stream_survives_its_ctx,
                                        test_keepalive_pings_and_lives_on_pongs,
                                        test_keepalive_dies_without_pongs};

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        tcase_add_test(tc, once[i]);
    tcase_add_loop_test(tc, test_client_says_why_it_was_refused, 0,
                        sizeof refusals / sizeof refusals[0]);
    tcase_add_loop_test(tc, test_server_accepts, 0, sizeof accepted / sizeof accepted[0]);
    tcase_add_loop_test(tc, test_server_refuses, 0, sizeof refused / sizeof refused[0]);
    tcase_add_loop_test(tc, test_abort_at_any_moment, 0, 5);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite_ws());
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
