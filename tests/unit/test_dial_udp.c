/* UDP on loopback: directly, to addresses and names, through each kind of node, through two hops.
 */
#include "chain/dial.h"
#include "chain/hosts_table.h"
#include "dialudpcase.h"

/* ---------------------------------------------------------------- direct */

START_TEST(test_direct_any_and_fixed)
{
    struct udp_echo echo;
    world_start();
    udp_serve(&echo);
    struct router *r = router_for(NULL);
    const char *to = port_text("127.0.0.1", echo.port), *name = port_text("localhost", echo.port);
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    ck_assert(got.res.direct);
    ck_assert_uint_eq(got.d->flags & (DGRAM_FIXED | DGRAM_NAMES), DGRAM_NAMES);
    echo_dgrams(to);
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    echo_dgrams(name); /* resolved on the way */
    char text[TARGET_TEXT_MAX];
    ck_assert_str_eq(target_format(&talk.from, text, sizeof text), to);
    ck_assert_int_eq(dial_to(r, name, true), RC_OK);
    ck_assert_uint_eq(got.d->flags & DGRAM_FIXED, DGRAM_FIXED);
    echo_dgrams("192.0.2.1:1"); /* `to` is ignored */
    ck_assert_str_eq(target_format(&talk.from, text, sizeof text), name);
    router_free(r);
    dgram_close(echo.d);
    world_stop();
}
END_TEST

START_TEST(test_fixed_hears_only_its_target)
{
    struct udp_echo echo;
    struct addr at, mine;
    int fd;
    world_start();
    udp_serve(&echo);
    struct router *r = router_for(NULL);
    ck_assert_int_eq(dial_to(r, port_text("127.0.0.1", echo.port), true), RC_OK);
    struct target none = {.name = ""};
    ck_assert_int_eq(dgram_send(got.d, &none, "x", 1), RC_OK);
    ck_assert_int_eq(dgram_local(got.d, &mine), RC_OK);
    /* a stranger writes to our socket */
    at = loopback(AF_INET, 0);
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &fd, NULL), RC_OK);
    struct dgram *stranger = udp_dgram_fd(loop, fd);
    struct target t;
    at = loopback(AF_INET, mine.port);
    target_from_addr(&t, &at);
    ck_assert_int_eq(dgram_send(stranger, &t, "spoof", 5), RC_OK);
    echo_dgrams("127.0.0.1:1");
    ck_assert_uint_ge(got.d->dropped, 1);
    dgram_close(stranger);
    router_free(r);
    dgram_close(echo.d);
    world_stop();
}
END_TEST

START_TEST(test_a_name_that_does_not_resolve_is_dropped)
{
    struct udp_echo echo;
    world_start();
    udp_serve(&echo);
    struct router *r = router_for(NULL);
    r->resolver = resolver_new(&(struct resolver_cfg){
        .loop = loop, .servers = "127.0.0.1:1", .timeout_ms = 150, .try_ms = 50});
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    struct target t;
    ck_assert(target_parse("nowhere.example:53", &t));
    for (int i = 0; i < 20; i++)
        (void)dgram_send(got.d, &t, "question", 8);
    static char big[60000];
    (void)dgram_send(got.d, &t, big, sizeof big);
    ck_assert_int_eq(dgram_send(got.d, &t, big, sizeof big), RC_AGAIN); /* the cap */
    for (uint64_t dropped = got.d->dropped; !stuck && got.d->dropped < dropped + 20;)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(!stuck);
    echo_dgrams(port_text("127.0.0.1", echo.port)); /* the flow lives on */
    /* and one that is closed while it waits */
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    (void)dgram_send(got.d, &t, "question", 8);
    dgram_close(got.d);
    router_free(r);
    dgram_close(echo.d);
    world_stop();
}
END_TEST

/* Each waits with a struct of its own, so it is not free. */
START_TEST(test_empty_datagrams_for_a_name_are_capped_too)
{
    struct target t;
    int held = 0;
    world_start();
    struct router *r = router_for(NULL);
    r->resolver = resolver_new(&(struct resolver_cfg){
        .loop = loop, .servers = "127.0.0.1:1", .timeout_ms = 150, .try_ms = 50});
    ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
    ck_assert(target_parse("nowhere.example:53", &t));
    while (held < 100000 && dgram_send(got.d, &t, "", 0) == RC_OK)
        held++;
    ck_assert_int_gt(held, 10);
    ck_assert_int_lt(held, 10000);
    dgram_close(got.d);
    router_free(r);
    world_stop();
}
END_TEST

/* ---------------------------------------------------------------- through nodes */

START_TEST(test_one_hop_of_each_kind)
{
    struct udp_echo echo;
    struct server proxy;
    world_start();
    udp_serve(&echo);
    const char *to = port_text("127.0.0.1", echo.port);
    for (int i = 0; i < ENDS; i++) {
        serve(&proxy, ends[i].handler);
        struct chain *c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp,
                 ends[i].connector, NULL);
        struct router *r = router_for(c);
        ck_assert_msg(dial_to(r, to, true) == RC_OK, "%s: %s", ends[i].connector->name,
                      got.res.diag.text);
        ck_assert_uint_ne(got.d->flags & DGRAM_FIXED, 0);
        echo_dgrams("192.0.2.1:1"); /* `to` is ignored */
        ck_assert_msg(dial_to(r, NULL, true) == RC_OK, "%s: %s", ends[i].connector->name,
                      got.res.diag.text);
        ck_assert_int_eq(got.d->flags & DGRAM_FIXED, 0);
        echo_dgrams(to);
        router_free(r);
        chain_unref(c);
        unserve(&proxy);
    }
    dgram_close(echo.d);
    world_stop();
}
END_TEST

/* As for TCP: what the service's hosts say counts, whatever the far end would; other names are the
 * far end's. */
START_TEST(test_names_of_the_service_go_by_their_addresses)
{
    struct udp_echo echo;
    struct server proxy;
    struct addr here = loopback(AF_INET, 0);
    char mapped[64], other[64];
    world_start();
    udp_serve(&echo);
    snprintf(mapped, sizeof mapped, "only-here.test:%u", echo.port);
    snprintf(other, sizeof other, "localhost:%u", echo.port);
    struct hosts_table *hosts = hosts_table_new("");
    ck_assert_int_eq(hosts_table_add(hosts, "only-here.test", &here), RC_OK);
    for (int i = 0; i < ENDS; i++) {
        serve(&proxy, ends[i].handler);
        struct chain *c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "node-0", "127.0.0.1", proxy.port, &dialer_tcp,
                 ends[i].connector, NULL);
        struct router *r = router_new(&(struct router_cfg){.loop = loop,
                                                           .service = "service-0",
                                                           .chain = c,
                                                           .dial_timeout_ms = 2000,
                                                           .hosts = hosts});
        ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
        echo_dgrams(mapped);
        ck_assert_int_eq(dial_to(r, NULL, true), RC_OK);
        echo_dgrams(other);
        router_free(r);
        chain_unref(c);
        unserve(&proxy);
    }
    hosts_table_unref(hosts);
    dgram_close(echo.d);
    world_stop();
}
END_TEST

START_TEST(test_two_hops)
{
    struct udp_echo echo;
    struct server first, second;
    world_start();
    udp_serve(&echo);
    const char *to = port_text("127.0.0.1", echo.port);
    for (int i = 0; i < ENDS * ENDS; i++) {
        int a = i / ENDS, b = i % ENDS;
        serve(&first, ends[a].handler);
        serve(&second, ends[b].handler);
        struct chain *c = chain_new("out");
        add_node(add_hop(c, "hop-0"), "a", "127.0.0.1", first.port, &dialer_tcp, ends[a].connector,
                 NULL);
        add_node(add_hop(c, "hop-1"), "b", "127.0.0.1", second.port, &dialer_tcp, ends[b].connector,
                 NULL);
        struct router *r = router_for(c);
        ck_assert_msg(dial_to(r, to, true) == RC_OK, "%s: %s", ends[b].connector->name,
                      got.res.diag.text);
        echo_dgrams(to);
        ck_assert_int_eq(first.accepted, 1);
        ck_assert_int_eq(second.accepted, 1);
        router_free(r);
        chain_unref(c);
        unserve(&first);
        unserve(&second);
    }
    dgram_close(echo.d);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dial_udp");
    TCase *tc = tcase_create("dial_udp");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_direct_any_and_fixed);
    tcase_add_test(tc, test_fixed_hears_only_its_target);
    tcase_add_test(tc, test_a_name_that_does_not_resolve_is_dropped);
    tcase_add_test(tc, test_empty_datagrams_for_a_name_are_capped_too);
    tcase_add_test(tc, test_one_hop_of_each_kind);
    tcase_add_test(tc, test_names_of_the_service_go_by_their_addresses);
    tcase_add_test(tc, test_two_hops);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
