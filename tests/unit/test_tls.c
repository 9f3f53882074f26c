/* TLS as a floor, both ends ours, over a nasty wire: versions, curves and keys, tickets, ends of
 * all kinds, memory. */
#include "tlscase.h"
#include <malloc.h>

/* ---------------------------------------------------------------- versions, curves, keys */

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
    client.to_send = mc.cap_bytes < 1000 || _i % 5 == 0 ? 20000 : 300000;
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

static void add(TCase *c)
{
    tcase_add_loop_test(c, test_every_version_curve_and_key, 0, 36);
    tcase_add_loop_test(c, test_random_segments, 0, 40);
    tcase_add_test(c, test_ten_megabytes_both_ways);
    tcase_add_loop_test(c, test_tickets_resume, 0, 2);
    tcase_add_test(c, test_tickets_are_used_once);
    tcase_add_test(c, test_ticket_store_is_bounded);
    tcase_add_loop_test(c, test_half_close_with_the_other_way_flowing, 0, 4);
    tcase_add_loop_test(c, test_answer_after_half_close, 0, 2);
    tcase_add_test(c, test_close_in_the_middle_is_an_end);
    tcase_add_test(c, test_close_says_close_notify);
    tcase_add_test(c, test_abort_is_a_reset);
    tcase_add_test(c, test_slow_reader_stops_the_sender);
    tcase_add_loop_test(c, test_tls_over_tls, 0, 4);
    tcase_add_test(c, test_idle_connections_are_small);
}

int main(void)
{
    return run_cases("tls", add);
}
