/* Associations for any destination: who is heard over one, how socks5 comes to its own, and a node
 * that only knows the standard one.
 */
#include "dialudpcase.h"

/* ---------------------------------------------------------------- over nodes of ours */

/* An association hears everybody, who dialled a target only that one. */
START_TEST(test_a_stranger_over_an_association_is_not_heard)
{
    struct udp_echo echo, stranger;
    struct server proxy;
    world_start();
    udp_serve(&echo);
    udp_serve(&stranger);
    serve(&proxy, &handler_socks5);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5,
             NULL);
    struct router *r = router_for(c);
    ck_assert_msg(dial_to(r, port_text("127.0.0.1", echo.port), true) == RC_OK, "%s",
                  got.res.diag.text);
    echo.stranger = stranger.d;
    echo_dgrams("192.0.2.1:1");
    ck_assert_uint_ge(got.d->strangers, 1);
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    dgram_close(echo.d);
    dgram_close(stranger.d);
    world_stop();
}
END_TEST

/* relay=udp, and a server that refuses UDP-TUN: both end as an ordinary association. */
START_TEST(test_socks5_association)
{
    struct udp_echo echo;
    struct server proxy;
    world_start();
    udp_serve(&echo);
    serve(&proxy, &handler_socks5);
    const char *to = port_text("127.0.0.1", echo.port);
    struct chain *c = chain_new("out");
    void *cfg = cfg_of(connector_socks5.options, connector_socks5.cfg_bytes);
    char *word = strdup("udp");
    set_option(connector_socks5.options, cfg, "relay", &word, sizeof word);
    add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5,
             cfg);
    struct router *r = router_for(c);
    ck_assert_msg(dial_to(r, NULL, true) == RC_OK, "%s", got.res.diag.text);
    ck_assert_str_eq(got.d->type->name, "socks5-udp");
    echo_dgrams(to);
    /* the association ends with its control connection */
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    unserve(&proxy);
    talk.failed = RC_AGAIN;
    timer_init(loop, &talk.again, on_again);
    dgram_want(got.d, STREAM_IN, on_talk, NULL);
    while (!stuck && talk.failed == RC_AGAIN)
        loop_run(loop);
    ck_assert_int_eq(talk.failed, RC_RESET);
    dgram_close(got.d);
    router_free(r);
    chain_unref(c);
    dgram_close(echo.d);
    world_stop();
}
END_TEST

/* Behind another hop there can be no socket beside the stream: refused, not around the hop. */
START_TEST(test_association_behind_a_hop_is_refused)
{
    struct server first, second;
    world_start();
    serve(&first, &handler_socks5);
    serve(&second, &handler_socks5);
    struct chain *c = chain_new("out");
    void *cfg = cfg_of(connector_socks5.options, connector_socks5.cfg_bytes);
    char *word = strdup("udp");
    set_option(connector_socks5.options, cfg, "relay", &word, sizeof word);
    add_node(add_hop(c, "hop-0"), "a", "127.0.0.1", first.port, &dialer_tcp, &connector_socks5,
             NULL);
    add_node(add_hop(c, "hop-1"), "b", "127.0.0.1", second.port, &dialer_tcp, &connector_socks5,
             cfg);
    struct router *r = router_for(c);
    ck_assert_int_eq(dial_to(r, NULL, true), RC_UNSUPPORTED);
    router_free(r);
    chain_unref(c);
    unserve(&first);
    unserve(&second);
    world_stop();
}
END_TEST

/* ---------------------------------------------------------------- a standards-only server */

static struct std_server {
    uv_poll_t poll;
    int fd, port, tun_asked, associate_asked;
    struct stream *s[8];
    struct dgram *udp;
    uint16_t udp_port;
} std;

static void on_std(struct stream *s, unsigned ready, void *arg)
{
    unsigned char buf[512], ok[10] = {5, 0, 0, 1, 127, 0, 0, 1, 0, 0};
    size_t n, done;
    (void)ready;
    (void)arg;
    enum rc rc = stream_recv(s, buf, sizeof buf, &n);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        stream_want(s, 0, NULL, NULL);
        return;
    }
    struct iovec v = {ok, 10};
    if (buf[1] == n - 2) { /* greeting */
        ok[1] = 0;
        v.iov_len = 2;
    } else if (buf[1] == 0xf3) {
        std.tun_asked++;
        ok[1] = 7;
    } else {
        std.associate_asked++;
        ok[8] = (unsigned char)(std.udp_port >> 8);
        ok[9] = (unsigned char)std.udp_port;
    }
    ck_assert_int_eq(stream_send(s, &v, 1, &done), RC_OK);
    if (ok[1] == 7) {
        stream_want(s, 0, NULL, NULL);
        (void)stream_shut(s);
    }
}

static void on_std_accept(uv_poll_t *poll, int status, int events)
{
    static int n;
    (void)poll;
    (void)status;
    (void)events;
    int fd = accept4(std.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct stream *s = stream_new(loop);
    stream_push(s, tcp_layer(loop, fd, NULL));
    ck_assert_int_eq(stream_open(s), RC_OK);
    stream_want(s, STREAM_IN, on_std, NULL);
    std.s[n++] = s;
}

/* A relay of one datagram: back to the sender as it came, header and all. */
static void on_std_udp(struct dgram *d, unsigned ready, void *arg)
{
    char buf[512];
    struct target from;
    size_t n;
    (void)ready;
    (void)arg;
    if (dgram_recv(d, buf, sizeof buf, &n, &from) == RC_OK) {
        (void)dgram_send(d, &from, "junk", 4); /* one bad datagram ends nothing */
        (void)dgram_send(d, &from, buf, n);
    }
}

START_TEST(test_fall_back_to_the_standard_association)
{
    struct addr at = loopback(AF_INET, 0), bound;
    int udp_fd;
    world_start();
    memset(&std, 0, sizeof std);
    ck_assert_int_eq(os_listen_tcp(&at, false, false, 8, &std.fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(std.fd, &bound), RC_OK);
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &std.poll, std.fd), 0);
    ck_assert_int_eq(uv_poll_start(&std.poll, UV_READABLE, on_std_accept), 0);
    uint16_t port = bound.port;
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &udp_fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(udp_fd, &bound), RC_OK);
    std.udp_port = bound.port;
    std.udp = udp_dgram_fd(loop, udp_fd);
    dgram_want(std.udp, STREAM_IN, on_std_udp, NULL);

    struct chain *c = chain_new("out");
    struct node *node = add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", port, &dialer_tcp,
                                 &connector_socks5, NULL);
    struct router *r = router_for(c);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(dial_to(r, NULL, true) == RC_OK, "%s", got.res.diag.text);
        ck_assert_str_eq(got.d->type->name, "socks5-udp");
        echo_dgrams("192.0.2.53:53");
        char text[TARGET_TEXT_MAX];
        ck_assert_str_eq(target_format(&talk.from, text, sizeof text), "192.0.2.53:53");
    }
    ck_assert_int_eq(std.tun_asked, 1); /* it has learnt */
    ck_assert_int_eq(std.associate_asked, 2);
    ck_assert_int_eq(node->marker.fails, 0);
    router_free(r);
    chain_unref(c);
    for (int i = 0; i < 8; i++)
        stream_close(std.s[i]);
    dgram_close(std.udp);
    uv_close((uv_handle_t *)&std.poll, NULL);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    close(std.fd);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dial_assoc");
    TCase *tc = tcase_create("dial_assoc");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_a_stranger_over_an_association_is_not_heard);
    tcase_add_test(tc, test_socks5_association);
    tcase_add_test(tc, test_association_behind_a_hop_is_refused);
    tcase_add_test(tc, test_fall_back_to_the_standard_association);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
