/* tests/unit/test_http1.c - HTTP/1 heads, authorities and bodies: vectors, recordings, hand-made
 * traps. */
#include "core/wire/base64.h"
#include "core/wire/http1.h"
#include "core/wire/http1body.h"
#include "http1twin.h"
#include "vectors.h"

static struct http1_head head;

static enum rc parse(const uint8_t *buf, size_t len, bool request, size_t *ret_used)
{
    size_t scanned = 0;
    const char *text = (const char *)buf;
    enum rc rc = request ? http1_parse_request(text, len, &scanned, &head, ret_used)
                         : http1_parse_response(text, len, &scanned, &head, ret_used);
    if (rc == RC_OK) {
        const char *what = http1_twin_differs(&head, text, *ret_used, request);
        ck_assert_msg(what == NULL, "the twin read another %s", what);
    }
    return rc;
}

static void add_basic(struct pairs *out)
{
    const struct http1_field *f = http1_find(&head, "Proxy-Authorization", NULL);
    struct slice user, pass;
    char plain[512];
    if (!f)
        return;
    ck_assert_int_eq(http1_parse_basic(f->value, plain, sizeof plain, &user, &pass), RC_OK);
    pairs_bytes(out, "user", user.p, user.n);
    pairs_bytes(out, "pass", pass.p, pass.n);
}

/* A message to the proxy, or its answer. */
static enum rc decode_proxy(const struct vector *v, const uint8_t *buf, size_t len,
                            struct pairs *out, size_t *ret_used)
{
    struct http1_authority a;
    enum rc rc = parse(buf, len, vector_c2s(v), ret_used);
    if (rc != RC_OK)
        return rc;
    if (!vector_c2s(v)) {
        pairs_add(out, "status", "%u", head.status);
        return RC_OK;
    }
    if (slice_equal(head.method, "PRI"))
        return RC_PROTO;
    rc = http1_authority(&head, &a);
    if (rc != RC_OK)
        return rc;
    char text[TARGET_TEXT_MAX + 8];
    snprintf(text, sizeof text, "%.*s%s", (int)a.text.n, a.text.p,
             a.form == HTTP1_ABSOLUTE && a.port == 0 ? ":80" : "");
    pairs_bytes(out, "method", head.method.p, head.method.n);
    pairs_bytes(out, "target", text, strlen(text));
    pairs_add(out, "udp", "%d", http1_has_token(&head, "X-Gost-Protocol", "udp"));
    add_basic(out);
    return RC_OK;
}

/* What a sniffer reads out of a request. */
static enum rc decode_sniff(const struct vector *v, const uint8_t *buf, size_t len,
                            struct pairs *out, size_t *ret_used)
{
    struct http1_authority a;
    (void)v;
    enum rc rc = parse(buf, len, true, ret_used);
    if (rc == RC_OK && !http1_method_is_known(head.method))
        rc = RC_PROTO;
    if (rc == RC_OK)
        rc = http1_authority(&head, &a);
    if (rc != RC_OK)
        return rc;
    unsigned port = a.port ? a.port : a.host.n == 0 ? 0 : a.form == HTTP1_AUTHORITY ? 443 : 80;
    pairs_bytes(out, "method", head.method.p, head.method.n);
    pairs_bytes(out, "host", a.host.p, a.host.n);
    pairs_add(out, "port", "%u", port);
    return RC_OK;
}

static enum rc decode_ws(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                         size_t *ret_used)
{
    enum rc rc = parse(buf, len, vector_c2s(v), ret_used);
    if (rc != RC_OK)
        return rc;
    if (vector_c2s(v)) {
        if (!http1_has_token(&head, "Connection", "upgrade") ||
            !http1_has_token(&head, "Upgrade", "websocket") ||
            !http1_has_token(&head, "Sec-WebSocket-Version", "13"))
            return RC_PROTO;
        const struct http1_field *host = http1_find(&head, "host", NULL);
        const struct http1_field *key = http1_find(&head, "sec-websocket-key", NULL);
        uint8_t nonce[16];
        size_t n = 0;
        if (!key || base64_decode(key->value.p, key->value.n, nonce, sizeof nonce, &n) != RC_OK ||
            n != sizeof nonce)
            return RC_PROTO;
        pairs_bytes(out, "path", head.target.p, head.target.n);
        pairs_bytes(out, "host", host->value.p, host->value.n);
        pairs_bytes(out, "key", key->value.p, key->value.n);
    } else {
        const struct http1_field *accept = http1_find(&head, "Sec-WebSocket-Accept", NULL);
        pairs_add(out, "status", "%u", head.status);
        if (accept)
            pairs_bytes(out, "accept", accept->value.p, accept->value.n);
    }
    return RC_OK;
}

static bool encode_connect(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct http1_connect req = {.udp = false};
    struct http1_authority a;
    struct target target = {.name = ""};
    char basic[256];
    size_t used;

    if (!vector_c2s(v) || vector_is(v, "http.fwd."))
        return false;
    ck_assert_int_eq(parse(v->bytes, v->n, true, &used), RC_OK);
    ck_assert_int_eq(http1_authority(&head, &a), RC_OK);
    if (a.host.n > 0)
        ck_assert(target_set_host(&target, a.host.p, a.host.n, a.port));
    const struct http1_field *auth = http1_find(&head, "Proxy-Authorization", NULL);
    const struct http1_field *agent = http1_find(&head, "User-Agent", NULL);
    struct slice user, pass;
    char plain[256], agent_text[128];
    size_t n;
    if (auth) {
        ck_assert_int_eq(http1_parse_basic(auth->value, plain, sizeof plain, &user, &pass), RC_OK);
        ck_assert_int_eq(http1_format_basic(user, pass, basic, sizeof basic, &n), RC_OK);
        req.basic = basic;
    }
    if (agent) { /* recordings hold other agents too */
        snprintf(agent_text, sizeof agent_text, "%.*s", (int)agent->value.n, agent->value.p);
        req.user_agent = agent_text;
    }
    req.target = &target;
    req.udp = http1_has_token(&head, "X-Gost-Protocol", "udp");
    return http1_format_connect(&req, buf, cap, ret_n) == RC_OK;
}

static bool is_h1(const struct vector *v)
{
    return vector_is(v, "h1.");
}

static bool is_recorded_http(const struct vector *v)
{
    return vector_unit(v, "http");
}

static bool is_handshake(const struct vector *v)
{
    return vector_is(v, "ws.hs.") || vector_unit(v, "wshs") || vector_is(v, "relay-ws.1") ||
           vector_is(v, "relay-ws.2");
}

START_TEST(test_http1_proxy_vectors)
{
    ck_assert_uint_ge(vectors_run("http-connect.txt", NULL, decode_proxy, encode_connect), 12);
}
END_TEST

START_TEST(test_http1_recorded_exchanges)
{
    ck_assert_uint_ge(vectors_run("recorded.txt", is_recorded_http, decode_proxy, encode_connect),
                      20);
    ck_assert_uint_ge(vectors_run("recorded.txt", is_handshake, decode_ws, NULL), 18);
    ck_assert_uint_ge(vectors_run("sessions.txt", is_handshake, decode_ws, NULL), 2);
}
END_TEST

START_TEST(test_http1_sniff_and_ws_vectors)
{
    ck_assert_uint_ge(vectors_run("sniff-http.txt", is_h1, decode_sniff, NULL), 20);
    ck_assert_uint_ge(vectors_run("websocket.txt", is_handshake, decode_ws, NULL), 4);
}
END_TEST

static enum rc request(const char *text)
{
    size_t used;
    return parse((const uint8_t *)text, strlen(text), true, &used);
}

START_TEST(test_http1_rejects_what_smuggles)
{
    static const char *const bad[] = {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
                                      "GET / HTTP/1.1\r\n: a\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost\r\n\r\n",
                                      "GET  / HTTP/1.1\r\n\r\n",
                                      "GET / x HTTP/1.1\r\n\r\n",
                                      "GET / HTTP/2.0\r\n\r\n",
                                      "GET / HTTP/1.1 \r\n\r\n",
                                      "GET /\t HTTP/1.1\r\n\r\n",
                                      "G(T / HTTP/1.1\r\n\r\n",
                                      " GET / HTTP/1.1\r\n\r\n",
                                      "\r\nGET / HTTP/1.1\r\n\r\n",
                                      "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
                                      "GET/HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(request(bad[i]) == RC_PROTO, "%s", bad[i]);
    ck_assert_int_eq(request("CONNECT  HTTP/1.1\r\n\r\n"), RC_OK);
    ck_assert_uint_eq(head.target.n, 0);
    ck_assert_int_eq(request("M-SEARCH * HTTP/1.1\nA:\n\n"), RC_OK);
}
END_TEST

START_TEST(test_http1_head_is_bounded)
{
    static char text[HTTP1_HEAD_MAX_BYTES + 64] = "GET / HTTP/1.1\r\nA: ";
    size_t used, scanned = 0;
    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    ck_assert_int_eq(http1_parse_request(text, HTTP1_HEAD_MAX_BYTES - 1, &scanned, &head, &used),
                     RC_AGAIN);
    ck_assert_int_eq(http1_parse_request(text, HTTP1_HEAD_MAX_BYTES, &scanned, &head, &used),
                     RC_LIMIT);
    memcpy(text + HTTP1_HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
    scanned = 0;
    ck_assert_int_eq(http1_parse_request(text, sizeof text, &scanned, &head, &used), RC_OK);
    ck_assert_uint_eq(used, HTTP1_HEAD_MAX_BYTES);

    size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < HTTP1_FIELDS_MAX + 1; i++)
        n += (size_t)sprintf(text + n, "A: b\r\n");
    n += (size_t)sprintf(text + n, "\r\n");
    ck_assert_int_eq(request(text), RC_LIMIT);
}
END_TEST

/* `scanned` carried over growing input must find the same end as one look at all of it. */
START_TEST(test_http1_scan_resumes)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\nA: b\r\n\r\nrest",
                                        "GET / HTTP/1.1\nA: b\n\nrest",
                                        "GET / HTTP/1.1\r\nA: b\n\r\nrest",
                                        "GET / HTTP/1.1\nA: b\r\n\nrest", "GET / HTTP/1.1\n\nrest"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        size_t scanned = 0, used = 0, n = 0;
        enum rc rc = RC_AGAIN;
        while (rc == RC_AGAIN)
            rc = http1_parse_request(heads[i], ++n, &scanned, &head, &used);
        ck_assert_int_eq(rc, RC_OK);
        ck_assert_uint_eq(used, n);
        ck_assert_str_eq(heads[i] + used, "rest");
    }
}
END_TEST

START_TEST(test_http1_authority_forms)
{
    struct http1_authority a;
    ck_assert_int_eq(request("GET https://u:p@h.example:81/a?b HTTP/1.1\r\nHost: x\r\n\r\n"),
                     RC_OK);
    ck_assert_int_eq(http1_authority(&head, &a), RC_OK);
    ck_assert_int_eq(a.form, HTTP1_ABSOLUTE);
    ck_assert(a.https && slice_equal(a.host, "h.example") && a.port == 81);
    ck_assert(slice_equal(a.path, "/a?b"));
    ck_assert_int_eq(request("GET http://h.example HTTP/1.1\r\n\r\n"), RC_OK);
    ck_assert_int_eq(http1_authority(&head, &a), RC_OK);
    ck_assert(a.port == 0 && a.path.n == 0 && slice_equal(a.host, "h.example"));
    ck_assert_int_eq(request("GET http:///x HTTP/1.1\r\n\r\n"), RC_OK);
    ck_assert_int_eq(http1_authority(&head, &a), RC_PROTO);
    static const char *const bad[] = {"[::1", "[]:80", "a:0",   "a:99999", "a:1x",
                                      "a/b",  ":80",   "a:b:c", "a@b",     "[::1]x"};
    struct slice host;
    uint16_t port;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(http1_split_hostport(slice_of(bad[i]), &host, &port) == RC_PROTO, "%s",
                      bad[i]);
    ck_assert_int_eq(http1_split_hostport(slice_of("[::1]:"), &host, &port), RC_OK);
    ck_assert(slice_equal(host, "::1") && port == 0);
}
END_TEST

START_TEST(test_http1_connect_extra_fields)
{
    struct target t;
    static const struct http1_extra extra[] = {{"X-B", "2"}, {"Host", "front"}, {"a", "1"}};
    struct http1_connect req = {.target = &t, .extra = extra, .n_extra = 3};
    char buf[512];
    size_t n = 0;
    ck_assert(target_parse("example.com:443", &t));
    ck_assert_int_eq(http1_format_connect(&req, buf, sizeof buf, &n), RC_OK);
    buf[n] = '\0';
    ck_assert_str_eq(buf, "CONNECT example.com:443 HTTP/1.1\r\nHost: front\r\n"
                          "User-Agent: Go-http-client/1.1\r\na: 1\r\n"
                          "Proxy-Connection: keep-alive\r\nX-B: 2\r\n\r\n");
    ck_assert_int_eq(http1_format_connect(&req, buf, n - 1, &n), RC_LIMIT);
    strcpy(t.name, "a\r\nX: y");
    ck_assert_int_eq(http1_format_connect(&req, buf, sizeof buf, &n), RC_INVALID);
}
END_TEST

START_TEST(test_http1_basic)
{
    struct slice user, pass;
    char buf[64];
    ck_assert_int_eq(http1_parse_basic(slice_of("Basic dTo="), buf, sizeof buf, &user, &pass),
                     RC_OK);
    ck_assert(slice_equal(user, "u") && pass.n == 0);
    ck_assert_int_eq(http1_parse_basic(slice_of("Bearer dTo="), buf, sizeof buf, &user, &pass),
                     RC_AUTH);
    ck_assert_int_eq(http1_parse_basic(slice_of("Basic dQ=="), buf, sizeof buf, &user, &pass),
                     RC_AUTH);
    ck_assert_int_eq(http1_parse_basic(slice_of("Basic !!!!"), buf, sizeof buf, &user, &pass),
                     RC_AUTH);
}
END_TEST

START_TEST(test_base64_round_trip)
{
    uint8_t in[40], out[40];
    char text[64];
    size_t n, m;
    for (size_t len = 0; len <= sizeof in; len++) {
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)(i * 37 + len);
        ck_assert_int_eq(base64_encode(in, len, text, sizeof text, &n), RC_OK);
        ck_assert_uint_eq(n, BASE64_TEXT_BYTES(len));
        ck_assert_int_eq(base64_decode(text, n, out, len, &m), RC_OK);
        ck_assert_uint_eq(m, len);
        ck_assert(len == 0 || memcmp(in, out, len) == 0);
        ck_assert(len == 0 || base64_decode(text, n, out, len - 1, &m) == RC_LIMIT);
    }
    ck_assert_int_eq(base64_decode("-_8", 3, out, sizeof out, &m), RC_OK);
    ck_assert_uint_eq(out[0], 0xfb);
    ck_assert_int_eq(base64_decode("A", 1, out, sizeof out, &m), RC_INVALID);
    ck_assert_int_eq(base64_decode("A===", 4, out, sizeof out, &m), RC_INVALID);
}
END_TEST

/* Feeds text in pieces of `step`; returns the bytes that belong to the body, -1 when it is refused.
 */
static long body_bytes(struct http1_body b, const char *text, size_t step)
{
    size_t pos = 0, len = strlen(text);
    while (pos < len && !b.done) {
        size_t n = len - pos < step ? len - pos : step, used = 0;
        if (http1_body_feed(&b, text + pos, n, &used) != RC_OK)
            return -1;
        pos += used;
    }
    return b.done ? (long)pos : -2;
}

START_TEST(test_http1_bodies)
{
    struct http1_body b;
    static const struct {
        const char *body;
        long want;
    } chunked[] = {
        {"5\r\nhello\r\n0\r\n\r\nX", 15},
        {"5;ext=1\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\nX", 42},
        {"5\nhello\n0\n\nX", 11},
        {"x\r\n", -1},
        {"5\r\nhelloX\r\n", -1},
        {"fffffffffffffffff\r\n", -1},
        {"5\r\nhel", -2},
        {"5 5\r\nhello", -1},
        {"5 \r\nhello\r\n0\r\n\r\n", 16},
    };
    ck_assert_int_eq(request("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), RC_OK);
    ck_assert_int_eq(http1_body_of_request(&head, &b), RC_OK);
    ck_assert_int_eq(b.kind, HTTP1_BODY_CHUNKED);
    for (size_t i = 0; i < sizeof chunked / sizeof chunked[0]; i++)
        for (size_t step = 1; step < 20; step++)
            ck_assert_msg(body_bytes(b, chunked[i].body, step) == chunked[i].want, "%s: %ld",
                          chunked[i].body, body_bytes(b, chunked[i].body, step));

    ck_assert_int_eq(request("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"), RC_OK);
    ck_assert_int_eq(http1_body_of_request(&head, &b), RC_OK);
    ck_assert_int_eq(body_bytes(b, "abcdef", 2), 3);
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(request(bad[i]), RC_OK);
        ck_assert_msg(http1_body_of_request(&head, &b) == RC_PROTO, "%s", bad[i]);
    }
    ck_assert_int_eq(request("GET / HTTP/1.1\r\n\r\n"), RC_OK);
    ck_assert_int_eq(http1_body_of_request(&head, &b), RC_OK);
    ck_assert(b.done);
}
END_TEST

START_TEST(test_http1_response_bodies)
{
    struct http1_body b;
    size_t used;
    static const char length[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    ck_assert_int_eq(parse((const uint8_t *)length, sizeof length - 1, false, &used), RC_OK);
    ck_assert_int_eq(http1_body_of_response(&head, slice_of("HEAD"), &b), RC_OK);
    ck_assert(b.done);
    ck_assert_int_eq(http1_body_of_response(&head, slice_of("CONNECT"), &b), RC_OK);
    ck_assert(b.done);
    ck_assert_int_eq(http1_body_of_response(&head, slice_of("GET"), &b), RC_OK);
    ck_assert(b.kind == HTTP1_BODY_LENGTH && b.left == 5);
    static const char plain[] = "HTTP/1.0 200 OK\r\n\r\n";
    ck_assert_int_eq(parse((const uint8_t *)plain, sizeof plain - 1, false, &used), RC_OK);
    ck_assert_int_eq(http1_body_of_response(&head, slice_of("GET"), &b), RC_OK);
    ck_assert_int_eq(b.kind, HTTP1_BODY_TO_EOF);
    static const char bare[] = "HTTP/1.1 200\r\n\r\n";
    ck_assert_int_eq(parse((const uint8_t *)bare, sizeof bare - 1, false, &used), RC_OK);
    static const char bad[] = "HTTP/1.1 2000 OK\r\n\r\n";
    ck_assert_int_eq(parse((const uint8_t *)bad, sizeof bad - 1, false, &used), RC_PROTO);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_http1_proxy_vectors,
                                  test_http1_recorded_exchanges,
                                  test_http1_sniff_and_ws_vectors,
                                  test_http1_rejects_what_smuggles,
                                  test_http1_head_is_bounded,
                                  test_http1_scan_resumes,
                                  test_http1_authority_forms,
                                  test_http1_connect_extra_fields,
                                  test_http1_basic,
                                  test_base64_round_trip,
                                  test_http1_bodies,
                                  test_http1_response_bodies,
                                  NULL};
    return vectors_main("http1", tests);
}
