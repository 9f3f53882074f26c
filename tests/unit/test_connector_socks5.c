/* The socks5 connector against a scripted node: its exact bytes (wire-protocols.md and
 * its vectors), any segmentation, refusals, silence. */
#include "connectordgram.h"
#include "connectors/socks5_node.h"
#include "tlscerts.h"

START_TEST(test_socks5_user_and_password)
{
    static const char *const script[] = {
        "C sessions:s5-auth.1", "S sessions:s5-auth.2", "C sessions:s5-auth.3",
        "S sessions:s5-auth.4", "C sessions:s5-auth.5", "S sessions:s5-auth.6",
        "c 68656c6c6f",         "s 776f726c64",         NULL};
    make(&connector_socks5);
    set_bool("notls");
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run(seed, "example.com:443", "hello", 5, script, "user", "pass");
        ck_assert_int_eq(near.opened, RC_OK);
        expect_got("world");
    }
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}
END_TEST

/* The reply glued to the target's first bytes, of every address type: not one byte may be lost. */
START_TEST(test_socks5_reads_the_reply_exactly)
{
    static const char *const replies[] = {
        "s 0500000100000000000068656c6c6f",
        "s 0500000420010db80000000000000000000000019c4068656c6c6f",
        "s 050000030568656c6c6f1f9068656c6c6f",
        "s 05000003000000"
        "68656c6c6f"};
    make(&connector_socks5);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        const char *const script[] = {"C socks5:s5.greet.gost", "s 0500",
                                      "C socks5:s5.connect.ipv6", replies[i], NULL};
        for (uint32_t seed = 0; seed < SEEDS / 2; seed++) {
            run(seed, "[2001:db8::1]:443", NULL, 5, script, NULL, NULL);
            ck_assert_int_eq(near.opened, RC_OK);
            expect_got("hello");
        }
    }
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_offers_what_gost_offers)
{
    static const struct {
        const char *greeting, *user;
        bool notls;
    } v[] = {{"C socks5:s5.greet.gost", NULL, false},
             {"C socks5:s5.greet.gost-auth", "u", false},
             {"C socks5:s5.greet.gost-notls", NULL, true},
             {"C socks5:s5.greet.gost-notls-auth", "u", true}};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].greeting, "s 05ff", NULL};
        make(&connector_socks5);
        if (v[i].notls)
            set_bool("notls");
        run(3, "example.com:443", NULL, 0, script, v[i].user, v[i].user);
        ck_assert_int_eq(near.opened, RC_AUTH);
        free(conn.cfg);
    }
}
END_TEST

START_TEST(test_socks5_refusals)
{
    static const struct {
        const char *reply;
        enum rc rc;
    } v[] = {
        {"S socks5:s5.reply.err2", RC_DENIED},       {"S socks5:s5.reply.err3", RC_UNREACH_NET},
        {"S socks5:s5.reply.err4", RC_UNREACH_HOST}, {"S socks5:s5.reply.err5", RC_REFUSED},
        {"s 0400000100000000000000", RC_PROTO},      {"s 05000002000000000000", RC_PROTO}};
    make(&connector_socks5);
    set_bool("notls");
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"s 0500", "C socks5:s5.connect.ipv4", v[i].reply, NULL};
        const char *const with_greeting[] = {"c 050100", script[0], script[1], script[2], NULL};
        run((uint32_t)i, "192.0.2.1:80", NULL, 0, with_greeting, NULL, NULL);
        ck_assert_msg(near.opened == v[i].rc, "%s: %s", v[i].reply, rc_name(near.opened));
    }
    static const char *const wants_user[] = {"c 050100", "s 0502", NULL};
    run(1, "192.0.2.1:80", NULL, 0, wants_user, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_AUTH);
    static const char *const not_offered[] = {"c 050100", "s 0580", NULL};
    run(1, "192.0.2.1:80", NULL, 0, not_offered, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_PROTO);
    static const char *const bad_password[] = {"c 05020002", "s 0502",
                                               "c 01017501"
                                               "70",
                                               "s 0101", NULL};
    run(1, "192.0.2.1:80", NULL, 0, bad_password, "u", "p");
    ck_assert_int_eq(near.opened, RC_AUTH);
    static const char *const hangs_up[] = {"c 050100", "s 05", "eof", NULL};
    run(1, "192.0.2.1:80", NULL, 0, hangs_up, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_PROTO);
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_timeout)
{
    static const char *const script[] = {"c 050100", NULL};
    int64_t ms = 60;
    make(&connector_socks5);
    set_bool("notls");
    set_option("timeout", &ms, sizeof ms);
    run(0, "192.0.2.1:80", NULL, 0, script, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_TIMEOUT);
    ck_assert(strstr(near.diag.text, "socks5") != NULL);
    free(conn.cfg);
}
END_TEST

/* GOST's own methods: TLS starts in the middle of the exchange, under the request. */
START_TEST(test_socks5_tls_methods)
{
    static const char *const plain[] = {
        "C socks5:s5.greet.gost",   "s 0580", "tls", "C socks5:s5.connect.domain",
        "s 0500000100000000000068", "c 3132", NULL};
    static const char *const with_user[] = {
        "C socks5:s5.greet.gost-auth", "s 0582", "tls",
        "C socks5:s5.auth.request",    "s 0100", "C socks5:s5.connect.domain",
        "s 0500000100000000000068",    "c 3132", NULL};
    struct tls_cfg cfg = {.secure = false};
    struct diag diag = {.rc = RC_OK};
    char crt[128], key[128];
    tlscerts_make();
    snprintf(crt, sizeof crt, "%s", tlscerts_file("server.crt"));
    snprintf(key, sizeof key, "%s", tlscerts_file("server.key"));
    cfg.cert_file = crt;
    cfg.key_file = key;
    ck_assert_msg(tls_server_new(&cfg, &farend_tls, &diag) == RC_OK, "%s", diag.text);
    make(&connector_socks5);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        bool user = seed % 2 == 0;
        run(seed, "example.com:443", "12", 1, user ? with_user : plain, user ? "user" : NULL,
            user ? "pass" : NULL);
        ck_assert_msg(near.opened == RC_OK, "%s", near.diag.text);
        expect_got("h");
    }
    free(conn.cfg);
    tls_ctx_unref(farend_tls);
    tlscerts_remove();
}
END_TEST

START_TEST(test_socks5_udp_tunnel)
{
    static const char *const script[] = {"C sessions:s5-udptun.1",
                                         "S sessions:s5-udptun.2",
                                         "C socks5:s5.udptun-anyfamily",
                                         "S sessions:s5-udptun.4",
                                         "C sessions:s5-udptun.5",
                                         "S sessions:s5-udptun.6",
                                         NULL};
    make(&connector_socks5);
    set_bool("notls");
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run_dgram(seed, "1.1.1.1:53", false, script);
        ck_assert_str_eq(dg_text, "world");
        end_dgram();
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_learns_that_udp_tun_is_refused)
{
    static const char *const refused[] = {"c 050100", "s 0500", "c 05f30003000000",
                                          "s 05070001000000000000", NULL};
    static const char *const hangs_up[] = {"c 050100", "s 0500", "c 05f30003000000", "eof", NULL};
    static const char *const then[] = {"c 050100", "s 0500", "c 05030001000000000000",
                                       "s 05070001000000000000", NULL};
    for (int i = 0; i < 2; i++) {
        make(&connector_socks5);
        set_bool("notls");
        run_dgram(2, "1.1.1.1:53", false, i == 0 ? refused : hangs_up);
        ck_assert_int_eq(dg_opened, RC_UNSUPPORTED);
        dgram_close(dg);
        farend_stop();
        /* the same connector asks the standard way now; refused again it is final */
        static const struct sockopts so;
        struct stream *s = farend_start(2, then);
        ((struct socks5_node *)conn.state)->loop = loop; /* its own has ended with the far end */
        dg_opened = RC_AGAIN;
        ck_assert_int_eq(stream_open(s), RC_OK);
        greet(s);
        ck_assert_int_eq(conn.type->dgram(&conn, s, NULL, &so, &dg), RC_OK);
        dg_event(dg, 0, NULL);
        while (!watchdog_fired && dg_opened == RC_AGAIN)
            uv_run(loop_uv(loop), UV_RUN_ONCE);
        ck_assert_int_eq(dg_opened, RC_DENIED);
        dgram_close(dg);
        farend_stop();
        end();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks5_user_and_password,
                                  test_socks5_reads_the_reply_exactly,
                                  test_socks5_offers_what_gost_offers,
                                  test_socks5_refusals,
                                  test_socks5_timeout,
                                  test_socks5_tls_methods,
                                  test_socks5_udp_tunnel,
                                  test_socks5_learns_that_udp_tun_is_refused,
                                  NULL};
    return vectors_main("connector_socks5", tests);
}
