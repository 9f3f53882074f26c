/* New keys in the middle of a TLS 1.3 connection: ours and the peer's, with every suite. */
#include "core/floor/tls_layer.h"
#include "tlscase.h"

static const int suites[][2] = {
    {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, 0},
    {MBEDTLS_TLS1_3_AES_256_GCM_SHA384, 0},
    {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, 0},
};
static const uint64_t limits[] = {0, 1, 5}; /* records under one key */
enum { SUITES = 3, LIMITS = 3 };

static struct tls *client_floor;

/* tlspair_join() that keeps the floors at hand */
static void join(const struct mem_cfg *mc)
{
    struct layer *a, *b, *c = tls_client_layer(cctx, "example.test", "node"),
                         *s = tls_server_layer(sctx);

    ck_assert(c && s && mem_pair(tlspair_loop, mc, &a, &b));
    client_floor = (struct tls *)c;
    client = (struct tlsend){.tx = 1, .rx = 2};
    server = (struct tlsend){.tx = 2, .rx = 1};
    client.s = stack(a, c);
    server.s = stack(b, s);
    stream_want(client.s, STREAM_OPEN, on_event, &client);
    stream_want(server.s, STREAM_OPEN, on_event, &server);
}

START_TEST(test_both_ends_change_their_keys)
{
    struct mem_cfg mc = {.seed = (uint32_t)_i % 4, .cap_bytes = 30000};

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    mbedtls_ssl_conf_ciphersuites(&sctx->conf, suites[_i % SUITES]);
    tls_rekey_records = limits[_i / SUITES % LIMITS];
    join(&mc);
    client.to_send = 200000;
    server.to_send = 300000;
    client.piece = 7000;
    tlspair_run();
    ck_assert_msg(!client.failed, "%s", client.diag.text);
    ck_assert_msg(!server.failed, "%s", server.diag.text);
    ck_assert_uint_eq(server.received, client.to_send);
    ck_assert_uint_eq(client.received, server.to_send);
}
END_TEST

START_TEST(test_tls12_is_left_alone)
{
    struct tls_cfg c = {.max_version = (char *)(uintptr_t) "VersionTLS12"};

    tls_rekey_records = 0;
    cctx = make_client(&c);
    sctx = make_server("server", NULL);
    exchange(100000, NULL, "example.test", NULL);
}
END_TEST

/* So many of them with nothing between are sent to keep us busy. */
static void send_updates(int n)
{
    tls_rekey_records = 0;
    ck_assert(tls_begin(client_floor));
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(tls_rekey_in_time(client_floor), 0);
    ck_assert_int_eq(tls_flush(client_floor), RC_OK);
    tls_settle(client_floor);
    tls_rekey_records = 1 << 23;
}

START_TEST(test_a_flood_of_updates_ends_the_connection)
{
    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join(NULL);
    client.to_send = client.shut_after = server.shut_after = 1000;
    client.keep_open = server.keep_open = true;
    tls_rekey_records = 1 << 23;
    tlspair_run_ms(50);
    ck_assert_uint_eq(server.received, 1000);
    send_updates(16);
    tlspair_run_ms(20);
    ck_assert(!server.failed);
    client.to_send = 1001; /* a byte makes them good */
    stream_want(client.s, STREAM_OUT, on_event, &client);
    tlspair_run_ms(20);
    ck_assert_uint_eq(server.received, 1001);
    send_updates(17);
    tlspair_run_ms(20);
    ck_assert(server.failed);
    ck_assert_int_eq(server.diag.rc, RC_PROTO);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, test_both_ends_change_their_keys, 0, SUITES * LIMITS * 2);
    tcase_add_test(c, test_tls12_is_left_alone);
    tcase_add_test(c, test_a_flood_of_updates_ends_the_connection);
}

int main(void)
{
    return run_cases("tls_rekey", add);
}
