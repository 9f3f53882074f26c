/* ws and tls floors on each other, as wss and as two hops of it, over a nasty wire: every byte,
 * both half-closes, pings that are answered while nobody reads. */
#include "core/floor/tls.h"
#include "tests/unit/wsfixture.h"
#include <sys/stat.h>
#include <unistd.h>

static struct tls_ctx *tls_client, *tls_server;

static void tls_setup(void)
{
    static const struct tls_cfg none;
    char dir[] = "/tmp/wss-test-XXXXXX";
    char path[128];

    setup();
    ck_assert_ptr_nonnull(mkdtemp(dir)); /* no certificate there: one is made and not kept */
    setenv("HOME", dir, 1);
    ck_assert_int_eq(tls_client_new(&none, &tls_client, NULL), RC_OK);
    ck_assert_int_eq(tls_server_new(&none, &tls_server, NULL), RC_OK);
    snprintf(path, sizeof path, "%s/.gost/auto-ca-cert.pem", dir);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/.gost/auto-ca-key.pem", dir);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/.gost", dir);
    (void)rmdir(path);
    (void)rmdir(dir);
}

static void tls_teardown(void)
{
    teardown();
    tls_ctx_unref(tls_client);
    tls_ctx_unref(tls_server);
    tls_client = tls_server = NULL;
}

static void push_wss(void)
{
    stream_push(client.s, tls_client_layer(tls_client, "node.example", NULL));
    stream_push(server.s, tls_server_layer(tls_server));
    stream_push(client.s, ws_client_layer(cctx, "node.example:443"));
    stream_push(server.s, ws_server_layer(sctx));
}

static void connect_hops(uint32_t seed, size_t cap, int hops)
{
    struct layer *a, *b;

    wire(seed, cap, &a, &b);
    if (!cctx)
        cctx = client_ctx(NULL);
    if (!sctx)
        sctx = server_ctx(NULL);
    end_stream(&client, a);
    end_stream(&server, b);
    while (hops--)
        push_wss();
    end_want(&client);
    end_want(&server);
}

START_TEST(test_wss_any_segmentation)
{
    client.to_send = 70000;
    server.to_send = 300000;
    client.recv_max = _i % 2 ? 0 : 1777;
    connect_hops((uint32_t)_i, _i % 3 ? 2000 : 0, 1);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_two_hops_of_wss)
{
    client.to_send = 1 << 20;
    server.to_send = 3 << 20;
    connect_hops((uint32_t)_i, _i ? 5000 : 0, 2);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_half_close_through_wss)
{
    client.to_send = 5;
    server.keep_open = true;
    connect_hops(7, 3000, 2);
    loop_run(loop);
    ck_assert(server.eof && client.shut && !client.eof);
    server.to_send = 100000;
    server.keep_open = false;
    end_want(&server);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_keepalive_under_back_pressure)
{
    struct ws_cfg cfg = {.keepalive = true, .ping_ms = 1000};
    uint64_t until;

    cctx = client_ctx(&cfg);
    client.to_send = 30000; /* waits in the server's read-ahead: its owner is deaf */
    client.keep_open = server.keep_open = server.deaf = true;
    connect_hops(0, 0, 1);
    until = loop_now_ms(loop) + 3500;
    while (loop_now_ms(loop) < until)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(client.open);
    ck_assert_int_eq(client.rc, RC_OK);
    ck_assert_uint_eq(client.sent, 30000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wss");
    TCase *tc = tcase_create("wss");

    tcase_add_checked_fixture(tc, tls_setup, tls_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_wss_any_segmentation, 0, 12);
    tcase_add_loop_test(tc, test_two_hops_of_wss, 0, 3);
    tcase_add_test(tc, test_half_close_through_wss);
    tcase_add_test(tc, test_keepalive_under_back_pressure);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
