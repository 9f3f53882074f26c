/* tests/unit/test_dial_names.c - who resolves a target's name when the asker knows more about it:
 * its address, or that it shall travel; and which names are our own. */
#include "chain/nameserver.h"
#include "dnspeer.h"
#include "run.h"

static struct dns_peer peer;

static enum rc dial_req_to(struct router *r, const struct dial_req *req)
{
    got = (struct outcome){.started_ms = loop_now_ms(loop)};
    ck_assert_ptr_nonnull(router_dial(r, req, on_dialled, NULL));
    while (got.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert(!stuck);
    return got.res.rc;
}

static struct router *router_to(struct chain *c)
{
    return router_new(
        &(struct router_cfg){.loop = loop, .service = "t", .chain = c, .dial_timeout_ms = 500});
}

/* Its nameserver is the peer. */
static struct router *router_with_names(struct chain *c)
{
    char text[64];
    struct nameservers *list = nameservers_new();
    (void)snprintf(text, sizeof text, "udp://127.0.0.1:%u", peer.port);
    struct nameserver_cfg cfg = {.addr = text, .timeout_ms = 500};
    ck_assert_int_eq(nameservers_add(list, &cfg, NULL), RC_OK);
    struct router *r = router_new(&(struct router_cfg){
        .loop = loop, .service = "t", .chain = c, .dial_timeout_ms = 500, .nameservers = list});
    nameservers_unref(list);
    return r;
}

START_TEST(test_a_known_address_needs_no_question)
{
    struct server echo;
    struct dial_req req = {.addr_known = true};
    world_start();
    serve(&echo, NULL);
    struct router *r = router_to(NULL);
    req.target.addr = loopback(AF_INET, echo.port);
    (void)snprintf(req.target.name, sizeof req.target.name, "nobody.invalid");
    ck_assert_int_eq(dial_req_to(r, &req), RC_OK);
    echo_over(got.s);
    req.v6_only = true; /* not that one, then */
    ck_assert_int_eq(dial_req_to(r, &req), RC_UNREACH_NET);
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

/* Where the client arrived is this service: a node there, or a target there that is sent what the
 * client said, would dial it again and again. */
START_TEST(test_nobody_is_sent_back_to_where_he_came_from)
{
    struct server echo;
    struct dial_req req = {.verbatim = true};
    struct chain *c = chain_new("chain-0");
    world_start();
    serve(&echo, NULL);
    (void)add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", echo.port, &dialer_tcp,
                   &connector_forward, NULL);
    struct router *direct = router_to(NULL), *chained = router_to(c);
    req.target.addr = req.arrived = loopback(AF_INET, echo.port);
    ck_assert_int_eq(dial_req_to(direct, &req), RC_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.res.diag.text, "a loop"));
    req.target.addr = addr_v4("\0\0\0\0", echo.port); /* no address is this machine's */
    ck_assert_int_eq(dial_req_to(direct, &req), RC_REFUSED);
    req.target.addr = req.arrived;
    req.arrived.port ^= 1;
    ck_assert_int_eq(dial_req_to(direct, &req), RC_OK);
    echo_over(got.s);
    req.arrived.port ^= 1;
    req.verbatim = false; /* CONNECT: what comes then is the client's own business */
    ck_assert_int_eq(dial_req_to(direct, &req), RC_OK);
    echo_over(got.s);
    req.target.addr.port = 9;
    ck_assert_int_eq(dial_req_to(chained, &req), RC_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.res.diag.text, "a loop"));
    req.arrived.port ^= 1;
    ck_assert_int_eq(dial_req_to(chained, &req), RC_OK);
    echo_over(got.s);
    router_free(direct);
    router_free(chained);
    chain_unref(c);
    unserve(&echo);
    world_stop();
}
END_TEST

/* 127.0.0.1 for every name. */
static void answer_here(struct dns_asker *to, const uint8_t *q, size_t n)
{
    static const uint8_t ip[] = {127, 0, 0, 1};
    struct peer_record r = {.type = DNS_A, .ttl = 0, .data = ip, .n = sizeof ip};
    struct dns_msg m;
    uint8_t out[512];
    ck_assert_int_eq(dns_parse(q, n, &m), RC_OK);
    size_t len = peer_build(out, q, n, 0, &r, m.type == DNS_A);
    peer_say(to, out, len);
}

START_TEST(test_a_name_that_travels_is_not_asked_for_here)
{
    struct server echo, proxy;
    struct dial_req req = {.by_name = true};
    world_start();
    peer_start(&peer, answer_here);
    serve(&echo, NULL);
    serve(&proxy, &handler_socks5);
    struct chain *c = chain_new("out"), *dead = chain_new("dead");
    add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5,
             NULL);
    add_node(add_hop(dead, "hop-0"), "node-0", "127.0.0.1", refusing_port(), &dialer_tcp,
             &connector_socks5, NULL);
    ck_assert(target_parse(port_text("echo.test", echo.port), &req.target));
    struct router *r = router_with_names(dead);
    ck_assert_int_eq(dial_req_to(r, &req), RC_REFUSED);
    ck_assert_int_eq(peer.asked_udp, 0);
    router_free(r);

    r = router_with_names(c);
    req.by_name = false;
    ck_assert_int_eq(dial_req_to(r, &req), RC_OK);
    int before = peer.asked_udp;
    ck_assert_int_ge(before, 1);
    echo_over(got.s);
    router_free(r);

    r = router_with_names(NULL); /* directly it has to be asked for */
    req.by_name = true;
    ck_assert_int_eq(dial_req_to(r, &req), RC_OK);
    ck_assert_int_gt(peer.asked_udp, before);
    echo_over(got.s);
    router_free(r);
    chain_unref(c);
    chain_unref(dead);
    unserve(&proxy);
    unserve(&echo);
    peer_stop(&peer);
    world_stop();
}
END_TEST

START_TEST(test_names_of_nodes_are_our_own)
{
    struct server echo, proxy;
    struct addr v[4];
    int n = -1;
    world_start();
    serve(&echo, NULL);
    serve(&proxy, &handler_socks5);
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "node-0", "localhost", proxy.port, &dialer_tcp, &connector_socks5,
             NULL);
    struct router *r = router_to(c);
    ck_assert(router_is_own_name(r, "LocalHost", v, 4, &n));
    ck_assert_int_eq(n, 0); /* not known yet */
    ck_assert(!router_is_own_name(r, "node-0", v, 4, &n));
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), false), RC_OK);
    echo_over(got.s);
    ck_assert(router_is_own_name(r, "localhost", v, 4, &n));
    ck_assert_int_ge(n, 1);
    ck_assert(addr_is_loopback(&v[0]));
    ck_assert_uint_eq(v[0].port, 0);
    ck_assert(router_is_own_name(r, "localhost", v, 1, &n));
    ck_assert_int_eq(n, 1);
    add_node(add_hop(c, "hop-1"), "node-1", "further.test", 1, &dialer_tcp, &connector_socks5,
             NULL);
    ck_assert(!router_is_own_name(r, "further.test", v, 4, &n)); /* dialled from elsewhere */
    router_free(r);
    chain_unref(c);
    unserve(&proxy);
    unserve(&echo);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dial names");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 40);
    tcase_add_test(t, test_a_known_address_needs_no_question);
    tcase_add_test(t, test_a_name_that_travels_is_not_asked_for_here);
    tcase_add_test(t, test_names_of_nodes_are_our_own);
    tcase_add_test(t, test_nobody_is_sent_back_to_where_he_came_from);
    suite_add_tcase(s, t);
    return run_suite(s);
}
