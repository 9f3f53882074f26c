/* Dials on loopback: directly, by name, through one and two hops, refused, silent, to nodes that
 * are this machine or hand through; interface lists, cancellation.
 */
#include "chain/dial.h"
#include "dialcase.h"
#include <sys/syscall.h>

/* "localhost" is both 127.0.0.1 and ::1, whatever this machine's hosts file says. */
static void know_both(struct router *r)
{
    r->resolver = resolver_new(&(struct resolver_cfg){.loop = loop, .hosts_path = ""});
    ck_assert(r->resolver != NULL);
}

/* ---------------------------------------------------------------- direct */

START_TEST(test_direct)
{
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct router *r = router_for(NULL, 0, 0, false);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    ck_assert(got.res.direct);
    ck_assert_str_eq(got.res.route, "direct");
    ck_assert_ptr_null(got.res.node);
    echo_over(got.s);
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_refused_says_who)
{
    world_start();
    struct router *r = router_for(NULL, 2, 0, false);
    uint16_t port = refusing_port();
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", port), false), RC_REFUSED);
    ck_assert_msg(strstr(got.res.diag.text, port_text("127.0.0.1", port)) != NULL, "%s",
                  got.res.diag.text);
    router_free(r);
    world_stop();
}
END_TEST

/* Where lies > 0 there is no SO_ERROR yet: so it is for a moment when an ICMP error came. */
static int lies;

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (level == SOL_SOCKET && name == SO_ERROR && lies > 0) {
        lies--;
        memset(value, 0, *len);
        return 0;
    }
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

START_TEST(test_no_error_is_no_connection)
{
    world_start();
    struct router *r = router_for(NULL, 0, 0, false);
    lies = 1;
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", refusing_port()), false), RC_REFUSED);
    ck_assert_int_eq(lies, 0);
    router_free(r);
    world_stop();
}
END_TEST

START_TEST(test_silence_ends_at_dial_timeout)
{
    int fds[4];
    world_start();
    uint16_t port = silent_port(AF_INET, 0, fds);
    struct router *r = router_for(NULL, 0, 200, false);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", port), false), RC_TIMEOUT);
    ck_assert_uint_ge(got.ms, 195);
    ck_assert_uint_lt(got.ms, DIAL_TIMEOUT_MS - 5000);
    router_free(r);
    /* each attempt has its own */
    r = router_for(NULL, 1, 150, false);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", port), false), RC_TIMEOUT);
    ck_assert_uint_ge(got.ms, 295);
    router_free(r);
    close_all(fds);
    world_stop();
}
END_TEST

START_TEST(test_the_other_family_serves)
{
    struct server echo;
    struct addr at = loopback(AF_INET6, 0);
    world_start();
    serve_at(&echo, &at, NULL);
    uint64_t least = UINT64_MAX; /* a slow machine may hold up some */
    for (int i = 0; i < 20 && least >= 200; i++) {
        struct router *r = router_for(NULL, 0, 0, false);
        know_both(r);
        ck_assert_int_eq(dial_to(r, port_text("localhost", echo.port), false), RC_OK);
        least = got.ms < least ? got.ms : least;
        echo_over(got.s);
        router_free(r);
    }
    ck_assert_uint_lt(least, 200); /* a refusal is not waited for */
    unserve(&echo);
    serve(&echo, NULL);
    struct router *r = router_for(NULL, 0, 0, true);
    know_both(r);
    ck_assert_int_eq(dial_to(r, port_text("localhost", echo.port), false), RC_OK);
    echo_over(got.s);
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_happy_eyeballs_from_silent_v6_to_v4)
{
    struct server echo;
    int fds[4];
    world_start();
    serve(&echo, NULL);
    silent_port(AF_INET6, echo.port, fds);
    struct router *r = router_for(NULL, 0, 0, true);
    know_both(r);
    ck_assert_int_eq(dial_to(r, port_text("localhost", echo.port), false), RC_OK);
    ck_assert_uint_ge(got.ms, EYEBALLS_STAGGER_MS - 5);
    ck_assert_uint_lt(got.ms, DIAL_TIMEOUT_MS - 5000);
    echo_over(got.s);
    router_free(r);
    close_all(fds);
    unserve(&echo);
    world_stop();
}
END_TEST

/* The first address really tried speaks, whatever the later ones say. */
START_TEST(test_error_is_that_of_the_first_address)
{
    world_start();
    struct router *r = router_for(NULL, 0, 0, false);
    know_both(r);
    uint16_t port = refusing_port();
    ck_assert_int_eq(dial_to(r, port_text("localhost", port), false), RC_REFUSED);
    ck_assert_msg(strstr(got.res.diag.text, "127.0.0.1") != NULL, "%s", got.res.diag.text);
    router_free(r);
    world_stop();
}
END_TEST

START_TEST(test_interface_choices)
{
    struct server echo;
    world_start();
    serve(&echo, NULL);
    static const struct {
        const char *interface;
        enum rc rc;
    } v[] = {{"lo", RC_OK},
             {"nosuch0,lo", RC_OK},
             {"nosuch0!,lo", RC_UNREACH_NET},
             {"nosuch0", RC_UNREACH_NET},
             {"127.0.0.2", RC_OK},
             {"127.0.0.2,lo", RC_OK}};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        struct router *r = router_new(&(struct router_cfg){
            .loop = loop, .service = "s", .so = {.interface = v[i].interface}});
        enum rc rc = dial_to(r, port_text("127.0.0.1", echo.port), false);
        ck_assert_msg(rc == v[i].rc, "%s: %s %s", v[i].interface, rc_name(rc), got.res.diag.text);
        if (rc == RC_OK) {
            struct addr local;
            ck_assert_int_eq(stream_query(got.s, QUERY_LOCAL_ADDR, &local), RC_OK);
            ck_assert_int_eq(local.ip[3], v[i].interface[0] == '1' ? 2 : 1);
            stream_close(got.s);
        }
        router_free(r);
    }
    /* a refusal is the target's word: the next choice is not asked */
    struct router *r = router_new(
        &(struct router_cfg){.loop = loop, .service = "s", .so = {.interface = "127.0.0.2,lo"}});
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", refusing_port()), false), RC_REFUSED);
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_cancel_and_free)
{
    int fds[4];
    world_start();
    uint16_t port = silent_port(AF_INET, 0, fds);
    struct router *r = router_for(NULL, 0, 0, false);
    struct dial *d = dial_start(r, port_text("127.0.0.1", port), false);
    dial_cancel(d); /* before it began */
    d = dial_start(r, port_text("127.0.0.1", port), false);
    for (int i = 0; i < 3; i++)
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    dial_cancel(d); /* while it connects */
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    ck_assert_int_eq(got.calls, 0);
    (void)dial_start(r, port_text("127.0.0.1", port), false);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    router_free(r);
    ck_assert_int_eq(got.calls, 1);
    ck_assert_int_eq(got.res.rc, RC_CANCELED);
    close_all(fds);
    world_stop();
}
END_TEST

/* ---------------------------------------------------------------- through nodes */

START_TEST(test_one_hop_of_each_kind)
{
    struct server echo, proxy;
    world_start();
    serve(&echo, NULL);
    for (int i = 0; i < ENDS; i++) {
        serve(&proxy, ends[i].handler);
        struct chain *c = chain_new("out");
        struct node *n = add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port,
                                  &dialer_tcp, ends[i].connector, NULL);
        struct router *r = router_for(c, 0, 0, false);
        enum rc rc = dial_to(r, port_text("127.0.0.1", echo.port), false);
        ck_assert_msg(rc == RC_OK, "%s: %s", ends[i].connector->name, got.res.diag.text);
        ck_assert(!got.res.direct);
        ck_assert_ptr_eq(got.res.node, n);
        char want[64];
        snprintf(want, sizeof want, "node-0@127.0.0.1:%u", proxy.port);
        ck_assert_str_eq(got.res.route, want);
        echo_over(got.s);
        chain_unref(c);
        router_free(r);
        unserve(&proxy);
    }
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_two_hops_of_all_pairs)
{
    struct server echo, first, second;
    world_start();
    serve(&echo, NULL);
    for (int i = 0; i < ENDS * ENDS; i++) {
        int a = i / ENDS, b = i % ENDS;
        serve(&first, ends[a].handler);
        serve(&second, ends[b].handler);
        struct chain *c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "a", "127.0.0.1", first.port, &dialer_tcp, ends[a].connector,
                 NULL);
        add_node(add_hop(c, "hop-1"), "b", "127.0.0.1", second.port, &dialer_tcp, ends[b].connector,
                 NULL);
        struct router *r = router_for(c, 0, 0, false);
        enum rc rc = dial_to(r, port_text("localhost", echo.port), false);
        ck_assert_msg(rc == RC_OK, "%s %s: %s", ends[a].connector->name, ends[b].connector->name,
                      got.res.diag.text);
        echo_over(got.s);
        ck_assert_int_eq(first.accepted, 1);
        ck_assert_int_eq(second.accepted, 1);
        chain_unref(c);
        router_free(r);
        unserve(&first);
        unserve(&second);
    }
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_node_by_name_and_unknown_names)
{
    struct server echo, proxy;
    struct addr a;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_socks5);
    struct chain *c = chain_new("out");
    struct node *n = add_node(add_hop(c, "hop-0"), "node-0", "localhost", proxy.port, &dialer_tcp,
                              &connector_socks5, NULL);
    struct router *r = router_for(c, 0, 0, false);
    a = loopback(AF_INET, proxy.port);
    ck_assert(!router_is_node(r, &a));
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    echo_over(got.s);
    ck_assert(router_is_node(r, &a)); /* now its address is known */
    a.port++;
    ck_assert(!router_is_node(r, &a));
    ck_assert_int_eq(n->marker.fails, 0);
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_disable4a_resolves_here)
{
    struct server echo, proxy;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_socks4);
    struct chain *c = chain_new("out");
    void *cfg = cfg_of(connector_socks4.options, connector_socks4.cfg_bytes);
    set_yes(connector_socks4.options, cfg, "disable4a");
    add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks4,
             cfg);
    struct router *r = router_for(c, 0, 0, false);
    ck_assert_msg(dial_to(r, port_text("localhost", echo.port), false) == RC_OK, "%s",
                  got.res.diag.text);
    echo_over(got.s);
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

/* ---------------------------------------------------------------- direct nodes, forward */

START_TEST(test_direct_and_reject_nodes)
{
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "here", "", 0, &dialer_direct, &connector_direct, NULL);
    struct router *r = router_for(c, 0, 0, false);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    ck_assert_str_eq(got.res.route, "here@:0");
    echo_over(got.s);
    router_free(r);
    chain_unref(c);

    int reject = 1;
    void *cfg = cfg_of(connector_direct.options, connector_direct.cfg_bytes);
    set_option(connector_direct.options, cfg, "action", &reject, sizeof reject);
    c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "wall", "", 0, &dialer_direct, &connector_direct, cfg);
    r = router_for(c, 0, 0, false);
    int before = echo.accepted;
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    char byte;
    size_t n;
    ck_assert_int_eq(stream_recv(got.s, &byte, 1, &n), RC_EOF);
    stream_close(got.s);
    ck_assert_int_eq(echo.accepted, before);
    ck_assert_int_eq(dial_to(r, "127.0.0.1:9", true), RC_DENIED);
    router_free(r);
    chain_unref(c);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_a_wall_behind_a_node_stands_too)
{
    struct server proxy, echo;
    int reject = 1;
    char byte;
    size_t n;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_relay);
    void *cfg = cfg_of(connector_direct.options, connector_direct.cfg_bytes);
    set_option(connector_direct.options, cfg, "action", &reject, sizeof reject);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "a", "127.0.0.1", proxy.port, &dialer_tcp, &connector_relay,
             NULL);
    add_node(add_hop(c, "hop-1"), "wall", "", 0, &dialer_direct, &connector_direct, cfg);
    struct router *r = router_for(c, 0, 0, false);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    ck_assert_int_eq(stream_recv(got.s, &byte, 1, &n), RC_EOF);
    stream_close(got.s);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), true), RC_DENIED);
    ck_assert_int_eq(proxy.accepted, 0);
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_forward_hands_the_connection_through)
{
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "f", "127.0.0.1", echo.port, &dialer_tcp, &connector_forward,
             NULL);
    struct router *r = router_for(c, 0, 0, false);
    ck_assert_int_eq(dial_to(r, "192.0.2.99:1", false), RC_OK);
    echo_over(got.s);
    ck_assert_int_eq(dial_to(r, "192.0.2.99:1", true), RC_UNSUPPORTED);
    ck_assert_msg(strstr(got.res.diag.text, "hop-0") != NULL, "%s", got.res.diag.text);
    router_free(r);
    chain_unref(c);
    unserve(&echo);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dial");
    TCase *tc = tcase_create("dial");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_direct);
    tcase_add_test(tc, test_refused_says_who);
    tcase_add_test(tc, test_no_error_is_no_connection);
    tcase_add_test(tc, test_silence_ends_at_dial_timeout);
    tcase_add_test(tc, test_the_other_family_serves);
    tcase_add_test(tc, test_happy_eyeballs_from_silent_v6_to_v4);
    tcase_add_test(tc, test_error_is_that_of_the_first_address);
    tcase_add_test(tc, test_interface_choices);
    tcase_add_test(tc, test_cancel_and_free);
    tcase_add_test(tc, test_one_hop_of_each_kind);
    tcase_add_test(tc, test_two_hops_of_all_pairs);
    tcase_add_test(tc, test_node_by_name_and_unknown_names);
    tcase_add_test(tc, test_disable4a_resolves_here);
    tcase_add_test(tc, test_direct_and_reject_nodes);
    tcase_add_test(tc, test_a_wall_behind_a_node_stands_too);
    tcase_add_test(tc, test_forward_hands_the_connection_through);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
