/* Nodes that fail: retries, marks, trials (gost-config.md 7.1 to 7.3), and that no flow ever goes
 * around its chain.
 */
#include "dialcase.h"

START_TEST(test_fifo_with_a_dead_first_node)
{
    struct server echo, proxy;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_socks5);
    for (int retries = 0; retries < 2; retries++) {
        struct chain *c = chain_new("out");
        struct hop *h = add_hop(c, "hop-0");
        struct node *dead =
            add_node(h, "dead", "127.0.0.1", refusing_port(), &dialer_tcp, &connector_socks5, NULL);
        struct node *alive =
            add_node(h, "alive", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5, NULL);
        struct router *r = router_for(c, retries, 0, false);
        enum rc rc = dial_to(r, port_text("127.0.0.1", echo.port), false);
        /* without retries exactly the first request is lost, with one none is */
        ck_assert_int_eq(rc, retries == 0 ? RC_REFUSED : RC_OK);
        ck_assert_int_eq(dead->marker.fails, 1);
        if (rc == RC_OK)
            stream_close(got.s);
        else
            ck_assert_msg(strstr(got.res.diag.text, "dead") != NULL, "%s", got.res.diag.text);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
            ck_assert_ptr_eq(got.res.node, alive);
            stream_close(got.s);
        }
        ck_assert_int_eq(alive->marker.fails, 0);
        router_free(r);
        chain_unref(c);
    }
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

/* Every node of the hop is dead: never around it, though the target itself could be reached. */
START_TEST(test_never_around_the_chain)
{
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct chain *c = chain_new("out");
    struct hop *h = add_hop(c, "hop-0");
    struct node *n[2];
    for (int i = 0; i < 2; i++)
        n[i] = add_node(h, i == 0 ? "a" : "b", "127.0.0.1", refusing_port(), &dialer_tcp,
                        &connector_socks5, NULL);
    struct router *r = router_for(c, 3, 0, false);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_REFUSED);
    ck_assert_int_eq(echo.accepted, 0);
    ck_assert_int_ge(n[0]->marker.fails, 1);
    ck_assert_int_ge(n[1]->marker.fails, 1);
    router_free(r);
    chain_unref(c);
    unserve(&echo);
    world_stop();
}
END_TEST

/* All nodes are marked: who has the trial tries them all, the next one hears it at once. */
START_TEST(test_a_trial_uses_its_retries)
{
    struct server echo, proxy;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_socks5);
    struct chain *c = chain_new("out");
    struct hop *h = add_hop(c, "hop-0");
    struct node *a =
        add_node(h, "a", "127.0.0.1", refusing_port(), &dialer_tcp, &connector_socks5, NULL);
    struct node *b =
        add_node(h, "b", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5, NULL);
    struct router *r = router_for(c, 1, 0, false);
    for (int i = 0; i < 2; i++) {
        marker_fail(&a->marker, loop_now_ms(loop) - 5);
        marker_fail(&b->marker, loop_now_ms(loop) - 2);
        enum rc rc = dial_to(r, port_text("127.0.0.1", echo.port), false);
        if (i == 0) { /* a refuses, b is back */
            ck_assert_msg(rc == RC_OK, "%s", got.res.diag.text);
            ck_assert_ptr_eq(got.res.node, b);
            stream_close(got.s);
        } else {
            ck_assert_int_eq(rc, RC_REFUSED);
            ck_assert(strstr(got.res.diag.text, "failed lately") != NULL);
            ck_assert_int_eq(proxy.accepted, 1);
        }
    }
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

START_TEST(test_a_refused_target_does_not_mark)
{
    struct server proxy;
    world_start();
    for (int i = 0; i < ENDS - 1; i++) { /* relay is open before it knows */
        serve(&proxy, ends[i].handler);
        struct chain *c = chain_new("out");
        struct node *n = add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port,
                                  &dialer_tcp, ends[i].connector, NULL);
        struct router *r = router_for(c, 0, 0, false);
        n->marker.fails = 1;
        enum rc rc = dial_to(r, port_text("127.0.0.1", refusing_port()), false);
        ck_assert_msg(rc != RC_OK && rc != RC_PROTO && rc != RC_TIMEOUT, "%s", rc_name(rc));
        ck_assert_msg(strstr(got.res.diag.text, "node-0") != NULL, "%s", got.res.diag.text);
        ck_assert_int_eq(n->marker.fails, 0); /* it was reached: that resets it */
        router_free(r);
        chain_unref(c);
        unserve(&proxy);
    }
    world_stop();
}
END_TEST

START_TEST(test_a_node_that_hangs_is_marked)
{
    struct server hung;
    world_start();
    serve(&hung, NULL);
    hung.hangs = true;
    struct chain *c = chain_new("out");
    struct node *n = add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", hung.port, &dialer_tcp,
                              &connector_socks5, NULL);
    struct router *r = router_for(c, 0, 150, false);
    ck_assert_int_eq(dial_to(r, "192.0.2.1:80", false), RC_TIMEOUT);
    ck_assert_int_eq(n->marker.fails, 1);
    ck_assert_msg(strstr(got.res.diag.text, "handshake") != NULL, "%s", got.res.diag.text);
    router_free(r);
    chain_unref(c);
    unserve(&hung);
    world_stop();
}
END_TEST

START_TEST(test_bad_node_addresses)
{
    world_start();
    struct chain *c = chain_new("out");
    struct hop *h = add_hop(c, "hop-0");
    struct diag diag = {.rc = RC_OK};
    struct node *n =
        node_new(&(struct node_cfg){.loop = loop,
                                    .name = "node-0",
                                    .addr = "no port here",
                                    .connector = &connector_forward,
                                    .connector_cfg = calloc(1, 1),
                                    .dialer = &dialer_tcp,
                                    .dialer_cfg = cfg_of(dialer_tcp.options, dialer_tcp.cfg_bytes)},
                 &diag);
    ck_assert(n != NULL); /* not fatal at start */
    ck_assert_int_eq(hop_add(h, n), RC_OK);
    struct router *r = router_for(c, 5, 0, false);
    ck_assert_int_eq(dial_to(r, "192.0.2.1:80", false), RC_INVALID);
    ck_assert(strstr(got.res.diag.text, "node-0") != NULL);
    router_free(r);
    chain_unref(c);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dial_failures");
    TCase *tc = tcase_create("dial_failures");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_fifo_with_a_dead_first_node);
    tcase_add_test(tc, test_never_around_the_chain);
    tcase_add_test(tc, test_a_trial_uses_its_retries);
    tcase_add_test(tc, test_a_refused_target_does_not_mark);
    tcase_add_test(tc, test_a_node_that_hangs_is_marked);
    tcase_add_test(tc, test_bad_node_addresses);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
