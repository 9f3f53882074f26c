/* TLS as a floor, both ends ours, over a nasty wire: versions, curves, certificates, trust,
 * tickets, ends of all kinds, hostile bytes, memory. */
#include "core/floor/tls_buf.h"
#include "core/floor/tls_ctx.h"
#include "tlscerts.h"
#include "tlspair.h"
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define client tlspair_client
#define server tlspair_server

static struct tls_ctx *cctx, *sctx;

static struct tls_cfg server_cfg(const char *name)
{
    struct tls_cfg cfg = {.secure = false};
    char file[64];

    snprintf(file, sizeof(file), "%s.crt", name);
    cfg.cert_file = strdup(tlscerts_file(file));
    snprintf(file, sizeof(file), "%s.key", name);
    cfg.key_file = strdup(tlscerts_file(file));
    return cfg;
}

static void cfg_done(struct tls_cfg *cfg)
{
    free(cfg->cert_file);
    free(cfg->key_file);
}

static struct tls_ctx *make_server(const char *cert, struct tls_cfg *more)
{
    struct tls_cfg cfg = server_cfg(cert), all = more ? *more : cfg;
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;

    all.cert_file = cfg.cert_file;
    all.key_file = cfg.key_file;
    ck_assert_msg(tls_server_new(&all, &c, &diag) == RC_OK, "%s", diag.text);
    cfg_done(&cfg);
    return c;
}

static struct tls_ctx *make_client(const struct tls_cfg *cfg)
{
    static const struct tls_cfg nothing;
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;

    ck_assert_msg(tls_client_new(cfg ? cfg : &nothing, &c, &diag) == RC_OK, "%s", diag.text);
    return c;
}

static void drop(void)
{
    tls_ctx_unref(cctx);
    tls_ctx_unref(sctx);
    cctx = sctx = NULL;
}

static void teardown(void)
{
    tlspair_teardown();
    drop();
    tls_buf_trim();
}

/* Both ends send n bytes and half-close; everything must arrive. */
static void exchange(size_t n, const struct mem_cfg *mc, const char *name, const char *key)
{
    tlspair_join(cctx, sctx, name, key, mc);
    client.to_send = server.to_send = n;
    tlspair_run();
    ck_assert_msg(!client.failed && !server.failed, "client: %s, server: %s", client.diag.text,
                  server.diag.text);
    ck_assert_uint_eq(client.received, n);
    ck_assert_uint_eq(server.received, n);
    ck_assert(client.eof && server.eof);
}

/* The handshake must fail; client_says and server_says are parts of the reasons (NULL: any). */
static void refused(const char *name, enum rc rc, const char *client_says, const char *server_says)
{
    tlspair_join(cctx, sctx, name, NULL, NULL);
    tlspair_run();
    ck_assert(client.failed);
    ck_assert_msg(client.diag.rc == rc, "%s: %s", rc_name(client.diag.rc), client.diag.text);
    if (client_says)
        ck_assert_msg(strstr(client.diag.text, client_says) != NULL, "client: %s",
                      client.diag.text);
    if (server_says)
        ck_assert_msg(strstr(server.diag.text, server_says) != NULL, "server: %s",
                      server.diag.text);
    ck_assert_uint_eq(server.received, 0);
}

/* ---------------------------------------------------------------- versions, curves, keys */

static const char *const versions[] = {"VersionTLS12", "versiontls13"};
static const uint16_t curves[][2] = {
    {0},
    {MBEDTLS_SSL_IANA_TLS_GROUP_X25519},
    {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1},
    {MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1},
    {MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1},
    {MBEDTLS_SSL_IANA_TLS_GROUP_X448},
};
static const char *const certs[] = {"server", "rsa", "p384"};

START_TEST(test_every_version_curve_and_key)
{
    size_t v = (size_t)_i % 2, g = (size_t)_i / 2 % 6, k = (size_t)_i / 12;
    struct mem_cfg mc = {.seed = (uint32_t)_i + 1, .cap_bytes = 5000};
    struct tls_cfg cfg = {.max_version = (char *)(uintptr_t)versions[v], .secure = true};

    cfg.ca_file = strdup(tlscerts_file("ca.crt"));
    cctx = make_client(&cfg);
    sctx = make_server(certs[k], NULL);
    if (curves[g][0]) /* of the server only: the client meets it with a second hello */
        mbedtls_ssl_conf_groups(&sctx->conf, curves[g]);
    if (v == 0 && curves[g][0]) /* TLS 1.2 has one list for keys and key exchange */
        mbedtls_ssl_conf_groups(&sctx->conf, (const uint16_t[]){curves[g][0], 23, 24, 0});
    exchange(30000, &mc, "example.test", NULL);
    free(cfg.ca_file);
}
END_TEST

START_TEST(test_random_segments)
{
    struct mem_cfg mc = {.seed = (uint32_t)_i * 7919 + 13,
                         .cap_bytes = (size_t[]){40, 700, 20000, 300000}[_i % 4]};

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, &mc);
    client.to_send = mc.cap_bytes < 1000 ? 20000 : 300000;
    server.to_send = client.to_send / 2;
    client.piece = (size_t[]){1, 10, 16384, 70000, 5}[_i % 5];
    client.pieces = (unsigned)_i % 3 * 5 + 1;
    server.piece = 33000;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    ck_assert_uint_eq(server.received, client.to_send);
    ck_assert_uint_eq(client.received, server.to_send);
}
END_TEST

START_TEST(test_ten_megabytes_both_ways)
{
    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.to_send = server.to_send = 10 << 20;
    client.piece = 65536;
    server.piece = 20000;
    server.pieces = 10;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    ck_assert_uint_eq(server.received, 10 << 20);
    ck_assert_uint_eq(client.received, 10 << 20);
}
END_TEST

START_TEST(test_version_not_in_common)
{
    struct tls_cfg s = {.min_version = (char *)(uintptr_t) "VersionTLS13"};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t) "VersionTLS12"};

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    refused("example.test", RC_PROTO, "peer sent alert protocol_version", "version");
}
END_TEST

/* ---------------------------------------------------------------- trust */

static char *ca(const char *file)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s", tlscerts_file(file));
    return path;
}

START_TEST(test_insecure_takes_any_certificate)
{
    cctx = make_client(NULL);
    ck_assert(!tls_ctx_verifies(cctx));
    sctx = make_server("expired", NULL);
    exchange(10, NULL, "whatever", NULL);
}
END_TEST

START_TEST(test_secure_checks_chain_and_name)
{
    struct tls_cfg cfg = {
        .secure = true, .ca_file = ca("ca.crt"), .max_version = (char *)(uintptr_t)versions[_i]};

    cctx = make_client(&cfg);
    ck_assert(tls_ctx_verifies(cctx));
    sctx = make_server("server", NULL);
    exchange(10, NULL, "example.test", NULL);
    exchange(10, NULL, "EXAMPLE.test.", NULL);
    exchange(10, NULL, "127.0.0.1", NULL);
    refused("other.test", RC_CERT, "certificate does not match name other.test",
            "peer sent alert bad_certificate");
    refused("127.0.0.2", RC_CERT, "certificate does not match name 127.0.0.2", NULL);
    refused("::1", RC_CERT, "certificate does not match name ::1", NULL);
    refused("", RC_CERT, "certificate does not match name", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "certificate is self-signed: use secure=false, caFile or pin=",
            "peer sent alert unknown_ca");
    tls_ctx_unref(sctx);
    sctx = make_server("expired", NULL);
    refused("example.test", RC_CERT, "certificate expired on 2021-01-01", NULL);
    drop();
    cfg.ca_file = ca("otherca.crt");
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    refused("example.test", RC_CERT, "certificate is signed by 'ca', which is not trusted", NULL);
    drop();
    cfg.server_name = (char *)(uintptr_t) "example.test"; /* goes before the node's host */
    cfg.ca_file = ca("ca.crt");
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    exchange(10, NULL, "10.0.0.1", NULL);
}
END_TEST

START_TEST(test_ca_without_secure_checks_chain_only)
{
    struct tls_cfg cfg = {.ca_file = ca("ca.crt")};

    cctx = make_client(&cfg);
    ck_assert(tls_ctx_verifies(cctx));
    sctx = make_server("server", NULL);
    exchange(10, NULL, "other.test", NULL);
    exchange(10, NULL, "10.9.8.7", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "self-signed", NULL);
}
END_TEST

START_TEST(test_secure_without_ca_uses_system_roots)
{
    struct tls_cfg cfg = {.secure = true};

    setenv("SSL_CERT_FILE", tlscerts_file("ca.crt"), 1);
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    exchange(10, NULL, "example.test", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "self-signed", NULL);
}
END_TEST

/* The digest as hex and as base64. */
static void digest_of(const struct tls_ctx *c, char hex[static TLS_PIN_TEXT_MAX], char *b64)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t pin[33] = {0};

    ck_assert(tls_ctx_pin(c, hex, TLS_PIN_TEXT_MAX));
    tls_cert_pin(&c->cert.chain, pin);
    for (size_t i = 0; i < 33; i += 3) {
        uint32_t w = (uint32_t)pin[i] << 16 | (uint32_t)pin[i + 1] << 8 | pin[i + 2];

        for (int k = 18; k >= 0; k -= 6)
            *b64++ = alphabet[w >> k & 63];
    }
    strcpy(b64 - 1, "=");
}

START_TEST(test_pin_alone_decides)
{
    char hex[TLS_PIN_TEXT_MAX], b64[64], two[256], upper[80];
    struct tls_cfg cfg = {.secure = true, .max_version = (char *)(uintptr_t)versions[_i]};

    sctx = make_server("self", NULL);
    digest_of(sctx, hex, b64);
    for (size_t i = 0; i <= strlen(hex + 7); i++)
        upper[i] = hex[7 + i] >= 'a' ? (char)(hex[7 + i] - 32) : hex[7 + i];
    snprintf(two, sizeof(two), "sha256:%064d,sha256:%s", 0, b64);
    for (int i = 0; i < 4; i++) {
        cfg.pin = (char *[]){hex, b64, two, upper}[i];
        cctx = make_client(&cfg);
        exchange(10, NULL, "any.name", NULL);
        tls_ctx_unref(cctx);
    }
    hex[20] = hex[20] == '0' ? '1' : '0';
    cfg.pin = hex;
    cctx = make_client(&cfg);
    refused("any.name", RC_CERT, "certificate has another key than the pin= one",
            "peer sent alert");
}
END_TEST

START_TEST(test_client_certificates)
{
    struct tls_cfg s = {.ca_file = ca("ca.crt")}, c;
    struct diag diag = {.rc = RC_OK};

    sctx = make_server("server", &s);
    c = server_cfg("client");
    c.max_version = (char *)(uintptr_t)versions[_i];
    cctx = make_client(&c);
    exchange(1000, NULL, "example.test", NULL);
    cfg_done(&c);
    tls_ctx_unref(cctx);

    c = (struct tls_cfg){.max_version = (char *)(uintptr_t)versions[_i]};
    cctx = make_client(&c);
    refused("example.test", RC_CERT,
            _i ? "peer sent alert certificate_required" : "peer sent alert bad_certificate",
            "client sent no certificate");
    tls_ctx_unref(cctx);

    c = server_cfg("self");
    c.max_version = (char *)(uintptr_t)versions[_i];
    cctx = make_client(&c);
    refused("example.test", RC_CERT, "peer sent alert unknown_ca",
            "certificate is self-signed and not in caFile");
    cfg_done(&c);
    (void)diag;
}
END_TEST

START_TEST(test_rejects_unknown_names)
{
    char *names[] = {(char *)(uintptr_t) "one.test", (char *)(uintptr_t) "two.test"};
    struct tls_cfg s = {.reject_unknown_sni = true, .server_names = {.v = names, .n = 2}};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t)versions[_i]};

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    exchange(10, NULL, "Two.test", NULL);
    refused("three.test", RC_DENIED, "peer sent alert unrecognized_name", "not served here");
    refused("127.0.0.1", RC_DENIED, "peer sent alert unrecognized_name", NULL);
    tls_ctx_unref(sctx);
    s.server_names.n = 0;
    sctx = make_server("server", &s);
    exchange(10, NULL, "three.test", NULL);
    refused("127.0.0.1", RC_DENIED, "peer sent alert unrecognized_name", NULL);
}
END_TEST

START_TEST(test_alpn)
{
    char *h2[] = {(char *)(uintptr_t) "h2", (char *)(uintptr_t) "http/1.1"};
    struct tls_cfg s = {.alpn = {.v = h2 + 1, .n = 1}}, c = {.alpn = {.v = h2, .n = 2}};
    const char *got = "?";
    bool secure = false;

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.keep_open = server.keep_open = true;
    tlspair_run_ms(50);
    ck_assert(client.open && server.open);
    ck_assert_int_eq(stream_query(client.s, QUERY_ALPN, &got), RC_OK);
    ck_assert_str_eq(got, "http/1.1");
    ck_assert_int_eq(stream_query(client.s, QUERY_SECURE, &secure), RC_OK);
    ck_assert(secure);
    drop();
    c.alpn.n = 1;
    sctx = make_server("server", &s);
    cctx = make_client(&c);
    refused("example.test", RC_PROTO, "peer sent alert no_application_protocol", "ALPN");
    tls_ctx_unref(sctx);
    sctx = make_server("server", NULL); /* a server without a list ignores the offer */
    exchange(10, NULL, "example.test", NULL);
}
END_TEST

/* ---------------------------------------------------------------- tickets */

START_TEST(test_tickets_resume)
{
    struct mem_cfg mc = {.seed = 77};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t)versions[_i]};
    uint64_t full, resumed;

    cctx = make_client(&c);
    sctx = make_server("server", NULL);
    for (int i = 0; i < 10; i++)
        exchange(1000, i % 2 ? &mc : NULL, "example.test", "node:443");
    tls_ctx_handshakes(cctx, &full, &resumed);
    ck_assert_uint_eq(full, 1);
    ck_assert_uint_eq(resumed, 9);
    tls_ctx_handshakes(sctx, &full, &resumed);
    ck_assert_uint_eq(full, 1);
    ck_assert_uint_eq(resumed, 9);
    exchange(10, NULL, "example.test", "other:443"); /* another node */
    exchange(10, NULL, "else.test", "node:443");     /* another name */
    exchange(10, NULL, "example.test", NULL);        /* no tickets wanted */
    tls_ctx_handshakes(cctx, &full, &resumed);
    ck_assert_uint_eq(full, 4);
    ck_assert_uint_eq(resumed, 9);
    tls_ctx_unref(sctx);
    sctx = make_server("server", NULL); /* a new server does not know our tickets */
    exchange(10, NULL, "example.test", "node:443");
    tls_ctx_handshakes(cctx, &full, &resumed);
    ck_assert_uint_eq(full, 5);
}
END_TEST

START_TEST(test_tickets_are_used_once)
{
    mbedtls_ssl_session s;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    exchange(1000, NULL, "example.test", "node");
    ck_assert_uint_eq(tls_sessions_count(&cctx->sessions, "node example.test"), 1);
    mbedtls_ssl_session_init(&s);
    ck_assert(tls_sessions_take(&cctx->sessions, "node example.test", 1, &s));
    mbedtls_ssl_session_free(&s);
    ck_assert(!tls_sessions_take(&cctx->sessions, "node example.test", 1, &s));
}
END_TEST

START_TEST(test_ticket_store_is_bounded)
{
    struct tls_sessions ss = {.newest = NULL};
    mbedtls_ssl_session s, out;
    char key[32];

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    exchange(1000, NULL, "example.test", "node");
    mbedtls_ssl_session_init(&s);
    ck_assert(tls_sessions_take(&cctx->sessions, "node example.test", 1, &s));
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "k%d", i % 100);
        for (int k = 0; k < 5; k++)
            tls_sessions_put(&ss, key, &s, 100, 1000);
    }
    ck_assert_uint_eq(ss.keys, TLS_SESSION_KEYS);
    ck_assert_uint_eq(tls_sessions_count(&ss, "k99"), 5);
    ck_assert_uint_eq(tls_sessions_count(&ss, "k0"), 0);
    for (int k = 0; k < 100; k++)
        tls_sessions_put(&ss, "k99", &s, 100, 1000);
    ck_assert_uint_eq(tls_sessions_count(&ss, "k99"), TLS_SESSION_TICKETS);
    for (int k = 0; k < TLS_SESSION_TICKETS; k++) {
        mbedtls_ssl_session_init(&out);
        ck_assert(tls_sessions_take(&ss, "k99", 1000, &out));
        mbedtls_ssl_session_free(&out);
    }
    mbedtls_ssl_session_init(&out);
    ck_assert(!tls_sessions_take(&ss, "k99", 1000, &out));
    tls_sessions_put(&ss, "k99", &s, 100, 1000);
    ck_assert(!tls_sessions_take(&ss, "k99", 101000, &out)); /* too old */
    tls_sessions_put(&ss, "k99", &s, 0, 1000);               /* the server wants none kept */
    ck_assert(!tls_sessions_take(&ss, "k99", 1000, &out));
    mbedtls_ssl_session_free(&s);
    tls_sessions_done(&ss);
}
END_TEST

/* ---------------------------------------------------------------- ends */

START_TEST(test_half_close_with_the_other_way_flowing)
{
    struct mem_cfg mc = {.seed = (uint32_t)_i + 3};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t)versions[_i % 2]};
    struct tlsend *first = _i / 2 ? &server : &client, *second = _i / 2 ? &client : &server;

    cctx = make_client(&c);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, &mc);
    first->to_send = 100;
    second->to_send = 500000; /* most of it after the first end closed its half */
    second->piece = 20000;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    ck_assert_uint_eq(first->received, 500000);
    ck_assert_uint_eq(second->received, 100);
}
END_TEST

START_TEST(test_answer_after_half_close)
{
    struct tls_cfg c = {.max_version = (char *)(uintptr_t)versions[_i]};

    cctx = make_client(&c);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.to_send = 70000;
    server.to_send = 70000;
    server.shut_after = 70000;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    ck_assert_uint_eq(client.received, 70000);
}
END_TEST

START_TEST(test_close_in_the_middle_is_an_end)
{
    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.to_send = 1000;
    client.keep_open = true;
    client.close_after = 100000;
    server.to_send = 1 << 20;
    server.keep_open = true;
    tlspair_run();
    ck_assert(client.closed);
    ck_assert_uint_eq(server.received, 1000);
    ck_assert_msg(server.eof || server.diag.rc == RC_RESET, "%s", server.diag.text);
}
END_TEST

START_TEST(test_close_says_close_notify)
{
    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.to_send = 40000; /* what waits unsealed must not be lost either */
    client.keep_open = true;
    client.close_after = 1;
    server.to_send = 1;
    server.keep_open = true;
    tlspair_run_until(&server);
    ck_assert(client.closed && !server.failed && server.eof);
    ck_assert_uint_eq(server.received, client.sent);
}
END_TEST

START_TEST(test_abort_is_a_reset)
{
    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.keep_open = server.keep_open = true;
    client.close_after = 1;
    client.abort = true;
    server.to_send = 1;
    tlspair_run();
    ck_assert(server.failed && !server.eof);
    ck_assert_int_eq(server.diag.rc, RC_RESET);
}
END_TEST

START_TEST(test_slow_reader_stops_the_sender)
{
    struct mem_cfg mc = {.cap_bytes = 10000};

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", NULL, &mc);
    client.to_send = 10 << 20;
    client.piece = 65536;
    client.keep_open = server.keep_open = true;
    server.deaf = true;
    tlspair_run_ms(100);
    ck_assert_uint_gt(client.sent, 100000);
    ck_assert_uint_lt(client.sent, TLS_SEND_GATE + 5 * TLS_RECORD_BYTES);
    server.deaf = false;
    stream_want(client.s, 0, NULL, NULL);
    tlspair_close();
}
END_TEST

/* ---------------------------------------------------------------- a man in the middle */

/* client TLS ~~wire~~ [left] middle [right] ~~wire~~ server TLS */
struct middle {
    struct stream *side[2];
    size_t passed[2];
    size_t cut[2];  /* this direction ends after so many bytes (0: never) */
    size_t flip[2]; /* the byte with this number changes (0: none) */
};
static struct middle middle;

static void on_middle(struct stream *s, unsigned ready, void *arg)
{
    int from = s == middle.side[1];
    static unsigned char buf[100000];
    size_t n = 0, out = 0;
    enum rc rc;

    (void)ready;
    (void)arg;
    rc = stream_recv(s, buf, sizeof(buf), &n);
    if (rc == RC_AGAIN)
        return;
    if (rc == RC_OK && middle.cut[from] && middle.passed[from] + n >= middle.cut[from]) {
        n = middle.cut[from] - middle.passed[from];
        rc = RC_EOF;
    }
    if (middle.flip[from] > middle.passed[from] && middle.flip[from] <= middle.passed[from] + n)
        buf[middle.flip[from] - middle.passed[from] - 1] ^= 1;
    if (n > 0) {
        struct iovec v = {.iov_base = buf, .iov_len = n};

        (void)stream_send(middle.side[!from], &v, 1, &out);
        middle.passed[from] += n;
    }
    if (rc != RC_OK) {
        (void)stream_shut(middle.side[!from]);
        stream_want(s, 0, NULL, NULL);
    }
}

static void join_with_middle(const struct middle *m)
{
    struct mem_cfg mc = {.cap_bytes = 1 << 20};
    struct layer *l[4];

    tlspair_join(cctx, NULL, "example.test", NULL, &mc); /* gives us a client and its wire */
    middle = *m;
    middle.side[0] = server.s;
    stream_want(server.s, 0, NULL, NULL);
    ck_assert_int_eq(stream_open(middle.side[0]), RC_OK);
    ck_assert(mem_pair(tlspair_loop, &mc, &l[0], &l[1]));
    middle.side[1] = stream_new(tlspair_loop);
    stream_push(middle.side[1], l[0]);
    ck_assert_int_eq(stream_open(middle.side[1]), RC_OK);
    tlspair_rejoin_server(l[1], sctx);
    stream_want(middle.side[0], STREAM_IN, on_middle, NULL);
    stream_want(middle.side[1], STREAM_IN, on_middle, NULL);
}

static void end_middle(void)
{
    stream_close(middle.side[0]);
    stream_close(middle.side[1]);
    middle = (struct middle){.side = {NULL}};
}

START_TEST(test_cut_anywhere)
{
    enum { NOTIFY = 37 }; /* bytes of a close_notify record */
    size_t all;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = 100;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    all = middle.passed[0];
    end_middle();
    for (size_t cut = 1; cut <= all - NOTIFY; cut += cut < 50 ? 1 : 17) {
        join_with_middle(&(struct middle){.cut = {cut, 0}});
        client.to_send = 100;
        client.keep_open = true;
        server.keep_open = true;
        client.close_after = 0;
        tlspair_run_until(&server);
        ck_assert_msg(server.failed || server.eof, "cut at %zu of %zu: %d", cut, all, server.open);
        if (server.failed)
            ck_assert_msg(strstr(server.diag.text, "closed") || strstr(server.diag.text, "ended"),
                          "%s", server.diag.text);
        end_middle();
    }
}
END_TEST

START_TEST(test_bare_end_at_a_record_border_is_an_end)
{
    size_t notify, all;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = 100;
    tlspair_run();
    all = middle.passed[0]; /* the last record is the close_notify */
    end_middle();
    for (notify = 1; notify < 60; notify++) {
        join_with_middle(&(struct middle){.cut = {all - notify, 0}});
        client.to_send = 100;
        server.keep_open = client.keep_open = true;
        client.keep_open = false;
        tlspair_run_until(&server);
        if (server.eof)
            break;
        ck_assert(server.failed);
        ck_assert_str_eq(server.diag.text, "tls: connection ended inside a record");
        end_middle();
    }
    ck_assert(server.eof);
    ck_assert_uint_eq(server.received, 100);
    end_middle();
}
END_TEST

START_TEST(test_flipped_bits_are_noticed)
{
    size_t all[2], unnoticed = 0;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = server.to_send = 3000;
    tlspair_run();
    memcpy(all, middle.passed, sizeof(all));
    end_middle();
    for (int from = 0; from < 2; from++) {
        for (size_t at = 12; at < all[from]; at += 37) {
            struct middle m = {.flip = {0, 0}};

            m.flip[from] = at;
            join_with_middle(&m);
            client.to_send = server.to_send = 3000;
            tlspair_run();
            /* changed ChangeCipherSpec records of TLS 1.3 may be anything */
            if (!client.failed && !server.failed)
                unnoticed++;
            end_middle();
        }
    }
    ck_assert_uint_le(unnoticed, 2);
}
END_TEST

/* One end speaks TLS, the other says `said` and waits. */
static void against_plain(bool tls_is_server, const char *said, size_t n)
{
    struct iovec v = {.iov_base = (void *)(uintptr_t)said, .iov_len = n};
    struct tlsend *e = tls_is_server ? &server : &client;
    struct stream *plain;
    size_t sent = 0;

    tlspair_join(tls_is_server ? NULL : cctx, tls_is_server ? sctx : NULL, "x", NULL, NULL);
    plain = tls_is_server ? client.s : server.s;
    stream_want(plain, 0, NULL, NULL);
    ck_assert_int_eq(stream_open(plain), RC_OK);
    ck_assert_int_eq(stream_send(plain, &v, 1, &sent), RC_OK);
    ck_assert_uint_eq(sent, n);
    e->keep_open = true;
    tlspair_run_ms(5);
    ck_assert_msg(e->failed, "not noticed");
    ck_assert_msg(e->diag.rc == RC_PROTO, "%s", e->diag.text);
}

START_TEST(test_garbage_instead_of_hello)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n";
    static const char alert[] = "\x15\x03\x01\x00\x02\x02\x28";
    char noise[4096];
    uint32_t g = (uint32_t)_i;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    against_plain(true, http, sizeof(http) - 1);
    against_plain(false, http, sizeof(http) - 1);
    against_plain(false, alert, 7);
    ck_assert_str_eq(client.diag.text, "tls: peer sent alert handshake_failure");
    for (size_t i = 0; i < sizeof(noise); i++) {
        g = g * 1103515245u + 12345u;
        noise[i] = (char)(g >> 16);
    }
    noise[0] |= 0x40; /* no record type */
    against_plain(true, noise, sizeof(noise));
    against_plain(false, noise, sizeof(noise));
}
END_TEST

/* ---------------------------------------------------------------- nested, memory */

START_TEST(test_tls_over_tls)
{
    struct mem_cfg mc = {.seed = (uint32_t)_i, .cap_bytes = 30000};

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    tlspair_join(cctx, sctx, "example.test", "outer", &mc);
    stream_push(client.s, tls_client_layer(cctx, "inner.test", "inner"));
    stream_push(client.s, tls_client_layer(cctx, "innermost.test", "innermost"));
    stream_push(server.s, tls_server_layer(sctx));
    stream_push(server.s, tls_server_layer(sctx));
    client.to_send = server.to_send = 1 << 20;
    client.piece = server.piece = 65536;
    tlspair_run();
    ck_assert_msg(!client.failed && !server.failed, "%s %s", client.diag.text, server.diag.text);
    ck_assert_uint_eq(client.received, 1 << 20);
    ck_assert_uint_eq(server.received, 1 << 20);
}
END_TEST

START_TEST(test_idle_connections_are_small)
{
    enum { N = 50 };
    struct stream *idle[2 * N];
    struct mem_cfg mc = {.cap_bytes = 1}; /* the wire itself is not to be counted */
    struct mallinfo2 before, after;
    size_t wire;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    exchange(100000, NULL, "example.test", "node"); /* fills all stocks */
    tlspair_close();
    tlspair_run_ms(1);
    mc.cap_bytes = 20000;
    before = mallinfo2();
    for (int i = 0; i < N; i++) {
        tlspair_join(cctx, sctx, "example.test", "node", &mc);
        client.to_send = server.to_send = 50000;
        client.keep_open = server.keep_open = true;
        tlspair_run_ms(2);
        ck_assert_uint_eq(client.received, 50000);
        ck_assert_uint_eq(server.received, 50000);
        idle[2 * i] = client.s;
        idle[2 * i + 1] = server.s;
        client = server = (struct tlsend){.s = NULL};
    }
    after = mallinfo2();
    wire = 2 * 20000 + 400;
    if (after.uordblks > before.uordblks) {
        size_t each =
            ((after.uordblks - before.uordblks + after.hblkhd - before.hblkhd) / N - wire) / 2;

        printf("an idle end of a connection holds %zu bytes\n", each);
#if !defined(__SANITIZE_ADDRESS__)
        ck_assert_uint_lt(each, 8000);
#endif
    }
    for (int i = 0; i < 2 * N; i++)
        stream_close(idle[i]);
}
END_TEST

/* ---------------------------------------------------------------- configuration */

static void wrong(bool is_server, const struct tls_cfg *cfg, const char *says)
{
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;
    enum rc rc = is_server ? tls_server_new(cfg, &c, &diag) : tls_client_new(cfg, &c, &diag);

    ck_assert_int_eq(rc, RC_INVALID);
    ck_assert_ptr_null(c);
    ck_assert_msg(strstr(diag.text, says) != NULL, "%s", diag.text);
}

START_TEST(test_wrong_configuration_says_what)
{
    struct tls_cfg cfg = server_cfg("server"), other = server_cfg("client");
    char *key = cfg.key_file;

    for (int is_server = 0; is_server < 2; is_server++) {
        cfg.key_file = other.key_file;
        wrong(is_server, &cfg, "does not belong to certificate");
        cfg.key_file = NULL;
        wrong(is_server, &cfg, "certFile without keyFile");
        cfg.key_file = (char *)(uintptr_t) "/nonexistent/key";
        wrong(is_server, &cfg, "key /nonexistent/key: No such file or directory");
        cfg.key_file = cfg.cert_file;
        wrong(is_server, &cfg, "key ");
        wrong(is_server, &(struct tls_cfg){.cert_file = key, .key_file = key}, "certificate ");
        cfg.key_file = key;
        cfg.ca_file = key;
        wrong(is_server, &cfg, "caFile ");
        cfg.ca_file = NULL;
        wrong(is_server,
              &(struct tls_cfg){.cert_file = cfg.cert_file,
                                .key_file = key,
                                .min_version = (char *)(uintptr_t) "VersionTLS13",
                                .max_version = (char *)(uintptr_t) "VersionTLS12"},
              "above");
    }
    wrong(false, &(struct tls_cfg){.pin = (char *)(uintptr_t) "sha256:abcd"}, "pin: want");
    wrong(false, &(struct tls_cfg){.pin = (char *)(uintptr_t) "md5"}, "pin: want");
    cctx = make_client(&(struct tls_cfg){.min_version = (char *)(uintptr_t) "VersionTLS10",
                                         .max_version = (char *)(uintptr_t) "TLS1.3"});
    ck_assert_str_eq(tls_ctx_note(cctx),
                     "options.minVersion VersionTLS10: TLS before 1.2 is not spoken here; "
                     "options.maxVersion 'TLS1.3' is not one of VersionTLS12, VersionTLS13");
    cfg.key_file = key;
    cfg_done(&cfg);
    cfg_done(&other);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char buf[8192];
    FILE *f = fopen(from, "r"), *t = fopen(to, "w");
    size_t n = fread(buf, 1, sizeof(buf), f);

    ck_assert_uint_eq(fwrite(buf, 1, n, t), n);
    fclose(f);
    fclose(t);
}

START_TEST(test_default_certificate)
{
    struct tls_cfg cfg = {.common_name = (char *)(uintptr_t) "my, \"name\"",
                          .organization = (char *)(uintptr_t) "#1=x+y"};
    char first[TLS_PIN_TEXT_MAX], pin[TLS_PIN_TEXT_MAX], path[256], home[128];
    struct stat st;
    FILE *f;

    ck_assert_int_eq(chdir(tlscerts_dir()), 0);
    snprintf(home, sizeof(home), "%s", tlscerts_file("home"));
    ck_assert_int_eq(mkdir(home, 0700), 0);
    setenv("HOME", home, 1);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK); /* made and stored */
    ck_assert_ptr_null(tls_ctx_note(sctx));
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    snprintf(path, sizeof(path), "%s/.gost/auto-ca-key.pem", home);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    cctx = make_client(&(struct tls_cfg){.pin = first});
    exchange(100, NULL, "x", NULL);
    drop();

    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK); /* found again */
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    drop();

    copy_file(tlscerts_file("client.key"), path); /* no longer a pair */
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_ne(pin, first);
    drop();

    copy_file(tlscerts_file("expired.key"), path); /* too old: a new one for the same key */
    snprintf(path, sizeof(path), "%s/.gost/auto-ca-cert.pem", home);
    copy_file(tlscerts_file("expired.crt"), path);
    sctx = make_server("expired", NULL);
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    drop();
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    ck_assert(!mbedtls_x509_time_is_past(&sctx->cert.chain.valid_to));
    drop();

    snprintf(path, sizeof(path), "%s/.gost", home); /* nowhere to store */
    setenv("HOME", tlscerts_file("nowhere"), 1);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "is not stored"));
    drop();
    unsetenv("HOME");
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "$HOME is not set"));
    drop();

    copy_file(tlscerts_file("server.crt"), "cert.pem"); /* the working directory goes first */
    copy_file(tlscerts_file("server.key"), "key.pem");
    sctx = make_server("server", NULL);
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    drop();
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    ck_assert_ptr_null(tls_ctx_note(sctx));
    drop();
    f = fopen("key.pem", "w");
    fclose(f);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "key key.pem"));
    unlink("cert.pem");
    unlink("key.pem");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *c = tcase_create("tls");
    SRunner *runner;
    int failed;

    tcase_add_unchecked_fixture(c, tlscerts_make, tlscerts_remove);
    tcase_add_checked_fixture(c, tlspair_setup, teardown);
    tcase_set_timeout(c, 30);
    tcase_add_loop_test(c, test_every_version_curve_and_key, 0, 36);
    tcase_add_loop_test(c, test_random_segments, 0, 40);
    tcase_add_test(c, test_ten_megabytes_both_ways);
    tcase_add_test(c, test_version_not_in_common);
    tcase_add_test(c, test_insecure_takes_any_certificate);
    tcase_add_loop_test(c, test_secure_checks_chain_and_name, 0, 2);
    tcase_add_test(c, test_ca_without_secure_checks_chain_only);
    tcase_add_test(c, test_secure_without_ca_uses_system_roots);
    tcase_add_loop_test(c, test_pin_alone_decides, 0, 2);
    tcase_add_loop_test(c, test_client_certificates, 0, 2);
    tcase_add_loop_test(c, test_rejects_unknown_names, 0, 2);
    tcase_add_test(c, test_alpn);
    tcase_add_loop_test(c, test_tickets_resume, 0, 2);
    tcase_add_test(c, test_tickets_are_used_once);
    tcase_add_test(c, test_ticket_store_is_bounded);
    tcase_add_loop_test(c, test_half_close_with_the_other_way_flowing, 0, 4);
    tcase_add_loop_test(c, test_answer_after_half_close, 0, 2);
    tcase_add_test(c, test_close_in_the_middle_is_an_end);
    tcase_add_test(c, test_close_says_close_notify);
    tcase_add_test(c, test_abort_is_a_reset);
    tcase_add_test(c, test_slow_reader_stops_the_sender);
    tcase_add_test(c, test_cut_anywhere);
    tcase_add_test(c, test_bare_end_at_a_record_border_is_an_end);
    tcase_add_test(c, test_flipped_bits_are_noticed);
    tcase_add_loop_test(c, test_garbage_instead_of_hello, 0, 3);
    tcase_add_loop_test(c, test_tls_over_tls, 0, 4);
    tcase_add_test(c, test_idle_connections_are_small);
    tcase_add_test(c, test_wrong_configuration_says_what);
    tcase_add_test(c, test_default_certificate);
    suite_add_tcase(suite, c);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
