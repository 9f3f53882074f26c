/* What a router says of a datagram's route beforehand, and that the dial goes that way. */
#include "chain/dial.h"
#include "dialudpcase.h"

static bool bypassed(void *arg, const char *network, const struct target *t)
{
    (void)arg;
    ck_assert_str_eq(network, "udp");
    return t->addr.family == AF_INET && t->addr.ip[0] == 10;
}

START_TEST(test_udp_route)
{
    struct diag diag = {.rc = RC_OK};
    struct udp_route a, b;
    struct target t, u, web, any = {.name = ""};
    world_start();
    ck_assert(target_parse("192.0.2.1:443", &web));
    ck_assert(target_parse("192.0.2.1:53", &t) && target_parse("10.0.0.1:53", &u));
    struct router *r = router_for(NULL);
    ck_assert_int_eq(router_udp_route(r, &t, &a, &diag), RC_OK);
    ck_assert_uint_eq(a.id, 0);
    ck_assert_str_eq(a.route, "direct");
    router_free(r);

    for (int i = 0; i < ENDS; i++) {
        struct chain *c = chain_new("out");
        struct hop *h = add_hop(c, "hop-0");
        h->bypassed = bypassed;
        add_node(h, "n", "127.0.0.1", 1080, &dialer_tcp, ends[i].connector, NULL);
        r = router_for(c);
        ck_assert_int_eq(router_udp_route(r, &t, &a, &diag), RC_OK);
        ck_assert_uint_ne(a.id, 0);
        ck_assert_int_eq(a.fixed, ends[i].fixed);
        ck_assert_str_eq(a.route, "n@127.0.0.1:1080");
        ck_assert_int_eq(router_udp_route(r, &any, &b, &diag), RC_OK);
        ck_assert_uint_eq(b.id, a.id);
        ck_assert_int_eq(router_udp_route(r, &u, &b, &diag), RC_OK);
        ck_assert_uint_eq(b.id, 0); /* the hop's rule */
        add_node(add_hop(c, "hop-1"), "x", "127.0.0.1", 1, &dialer_tcp, &connector_socks4, NULL);
        ck_assert_int_eq(router_udp_route(r, &t, &a, &diag), RC_OK);
        ck_assert(a.dns_tcp && a.fixed);
        ck_assert_int_eq(router_udp_route(r, &web, &a, &diag), RC_UNSUPPORTED);
        ck_assert_msg(strstr(diag.text, "hop-1") != NULL, "%s", diag.text);
        diag.rc = RC_OK;
        router_free(r);
        chain_unref(c);
        /* a direct node behind it carries what it carries, and nothing behind one that can't */
        c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "n", "127.0.0.1", 1080, &dialer_tcp, ends[i].connector, NULL);
        add_node(add_hop(c, "hop-1"), "here", "", 0, &dialer_direct, &connector_direct, NULL);
        r = router_for(c);
        ck_assert_int_eq(router_udp_route(r, &t, &b, &diag), RC_OK);
        ck_assert_int_eq(b.fixed, ends[i].fixed);
        ck_assert(!b.dns_tcp);
        router_free(r);
        chain_unref(c);
        c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "n", "127.0.0.1", 1, &dialer_tcp, &connector_socks4, NULL);
        add_node(add_hop(c, "hop-1"), "here", "", 0, &dialer_direct, &connector_direct, NULL);
        r = router_for(c);
        ck_assert_int_eq(router_udp_route(r, &web, &b, &diag), RC_UNSUPPORTED);
        ck_assert_int_eq(router_udp_route(r, &t, &b, &diag), RC_OK);
        ck_assert(b.dns_tcp && b.fixed);
        diag.rc = RC_OK;
        router_free(r);
        chain_unref(c);
    }
    world_stop();
}
END_TEST

/* An association for everybody goes the way of the datagram that it is made for. */
START_TEST(test_a_bypassed_flow_leaves_the_chain)
{
    static const struct {
        const char *first;
        bool direct;
    } flows[] = {{"10.0.0.1:53", true}, {"192.0.2.1:53", false}, {"", false}};
    struct server srv;
    world_start();
    serve(&srv, &handler_relay);
    struct chain *c = chain_new("out");
    struct hop *h = add_hop(c, "hop-0");
    h->bypassed = bypassed;
    add_node(h, "n", "127.0.0.1", srv.port, &dialer_tcp, &connector_relay, NULL);
    struct router *r = router_for(c);
    for (size_t i = 0; i < sizeof flows / sizeof *flows; i++) {
        struct dial_req req = {.target = {.name = ""}};
        ck_assert(!*flows[i].first || target_parse(flows[i].first, &req.seen));
        memset(&got, 0, sizeof got);
        ck_assert_ptr_nonnull(router_dial_dgram(r, &req, on_dialled_dgram, NULL));
        while (got.calls == 0 && !stuck)
            loop_run(loop);
        ck_assert_msg(got.res.rc == RC_OK, "%s", got.res.diag.text);
        ck_assert_int_eq(got.res.direct, flows[i].direct);
        dgram_close(got.d);
    }
    router_free(r);
    chain_unref(c);
    unserve(&srv);
    world_stop();
}
END_TEST

/* A direct node stands where the one before it is, so it is that one which must carry them. */
START_TEST(test_a_direct_node_carries_no_datagrams_for_the_one_before)
{
    struct server proxy;
    world_start();
    serve(&proxy, &handler_socks4);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "a", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks4,
             NULL);
    add_node(add_hop(c, "hop-1"), "here", "", 0, &dialer_direct, &connector_direct, NULL);
    struct router *r = router_for(c);
    ck_assert_int_eq(dial_to(r, NULL, true), RC_UNSUPPORTED);
    ck_assert_msg(strstr(got.res.diag.text, "node a can't carry UDP") != NULL, "%s",
                  got.res.diag.text);
    ck_assert_int_eq(proxy.accepted, 0);
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp_route");
    TCase *tc = tcase_create("udp_route");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_udp_route);
    tcase_add_test(tc, test_a_bypassed_flow_leaves_the_chain);
    tcase_add_test(tc, test_a_direct_node_carries_no_datagrams_for_the_one_before);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
