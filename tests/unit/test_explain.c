/* What router_explain() says against what a dial then does: random worlds of hops, nodes and rules;
 * nothing is sent, marked or turned by explaining.
 */
#include "chain/explain.h"
#include "chain/nameserver.h"
#include "dialworld.h"
#include "run.h"
#include <unistd.h>

enum { HOPS = 3, NODES = 3, WORLDS = 400 };

/* A rule that excludes one network, both, or none: the arg is a mask. */
enum { NOT_TCP = 1, NOT_UDP = 2 };

static bool excluded(void *arg, const char *network, const struct target *t)
{
    (void)t;
    return (*(const int *)arg & (*network == 't' ? NOT_TCP : NOT_UDP)) != 0;
}

static uint32_t seed;
static int rnd(int n)
{
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 8) % (uint32_t)n);
}

struct made {
    struct chain *chain;
    struct router *router;
    int masks[HOPS][NODES + 1];
    int hops, nodes[HOPS];
};

static int mask(void)
{
    static const int masks[] = {0, 0, 0, 0, NOT_TCP, NOT_UDP, NOT_TCP | NOT_UDP};
    return masks[rnd(7)];
}

static void make(struct made *w, uint16_t port)
{
    static const struct connector_type *const types[] = {
        &connector_socks5, &connector_http, &connector_relay, &connector_socks4, &connector_direct};
    *w = (struct made){.chain = chain_new("chain"), .hops = rnd(HOPS + 1)};
    for (int i = 0; i < w->hops; i++) {
        char name[32];
        snprintf(name, sizeof name, "hop-%d", i);
        struct hop *h = hop_new(&(struct hop_cfg){
            .loop = loop,
            .name = name,
            .selector = {.strategy = rnd(2) ? SELECT_ROUND : SELECT_FIFO, .max_fails = 1000000},
            .bypassed = excluded,
            .bypassed_arg = &w->masks[i][NODES]});
        ck_assert_int_eq(chain_add(w->chain, h), RC_OK);
        w->masks[i][NODES] = mask();
        w->nodes[i] = 1 + rnd(NODES);
        for (int k = 0; k < w->nodes[i]; k++) {
            int type = rnd(i == 0 ? 5 : 4);
            snprintf(name, sizeof name, "n-%d-%d", i, k);
            struct node *n = add_node(h, name, "127.0.0.1", port,
                                      type == 4 ? &dialer_direct : &dialer_tcp, types[type], NULL);
            w->masks[i][k] = mask();
            n->bypassed = excluded;
            n->bypassed_arg = &w->masks[i][k];
        }
    }
    w->router = router_new(&(struct router_cfg){
        .loop = loop, .service = "test", .chain = w->hops > 0 ? w->chain : NULL});
}

static void unmake(struct made *w)
{
    router_free(w->router);
    chain_unref(w->chain);
}

static void ask(struct made *w, const char *target, bool udp, struct route_account *a)
{
    struct dial_req req = {.v4_only = false};
    ck_assert(target_parse(target, &req.target));
    router_explain(w->router, &req, udp, a);
}

/* The same for a dial: as the tungo handler asks. */
static void do_it(struct made *w, const char *target, bool udp, struct udp_route *route)
{
    struct diag diag = {.rc = RC_OK};
    struct dial_req req = {.v4_only = false};
    ck_assert(target_parse(target, &req.target));
    got = (struct outcome){.calls = 0};
    if (udp) {
        got.res.rc = router_udp_route(w->router, &req.target, route, &diag);
        if (got.res.rc != RC_OK)
            return;
        req.seen = req.target;
        if (!route->fixed)
            req.target = (struct target){.name = ""};
        ck_assert(router_dial_dgram(w->router, &req, on_dialled_dgram, NULL) != NULL);
    } else {
        ck_assert(router_dial(w->router, &req, on_dialled, NULL) != NULL);
    }
    while (got.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert(!stuck);
    stream_close(got.s);
    dgram_close(got.d);
}

static void compare(struct made *w, uint16_t port, bool udp, int world)
{
    struct route_account a;
    struct udp_route route = {.id = 0};
    char text[240];
    const char *target = port_text("127.0.0.1", udp && rnd(4) == 0 ? 53 : port);
    for (int flow = 0; flow < 3; flow++) {
        ask(w, target, udp, &a);
        do_it(w, target, udp, &route);
        (void)route_format(&a.route, text, sizeof text);
        if (a.udp.dns_tcp)
            strcat(text, " (DNS over TCP)");
        ck_assert_msg((a.rc == RC_UNSUPPORTED) == (got.res.rc == RC_UNSUPPORTED),
                      "world %d: %s, %s", world, rc_name(a.rc), rc_name(got.res.rc));
        if (a.rc == RC_OK) {
            ck_assert_msg(!strcmp(text, got.res.route), "world %d: %s, but %s", world, text,
                          got.res.route);
            ck_assert(!udp || (a.udp.id == route.id && a.udp.fixed == route.fixed));
        }
        route_account_done(&a);
    }
}

START_TEST(test_the_account_is_what_the_dial_does)
{
    world_start();
    uint16_t port = refusing_port();
    seed = 7;
    for (int i = 0; i < WORLDS; i++) {
        struct made w;
        make(&w, port);
        compare(&w, port, false, i);
        compare(&w, port, true, i);
        unmake(&w);
        ck_assert(timer_start(&watchdog, 5000));
    }
    world_stop();
}
END_TEST

/* Each of its nameservers was left out at start: names are known to nobody then. */
static void expect_no_way(struct made *w)
{
    struct udp_route route = {.id = 0};
    struct route_account a;
    do_it(w, "name.example:80", false, &route);
    ck_assert_int_eq(got.res.rc, RC_NAME);
    ask(w, "name.example:80", false, &a);
    ck_assert_int_eq(a.rc, RC_NAME);
    ck_assert_msg(strstr(a.diag.text, "no nameserver") != NULL, "%s", a.diag.text);
    route_account_done(&a);
    unmake(w);
}

START_TEST(test_a_resolver_without_nameservers_is_no_way)
{
    struct made w = {.hops = 0};
    world_start();
    struct nameservers *none = nameservers_new();
    w.router =
        router_new(&(struct router_cfg){.loop = loop, .service = "test", .nameservers = none});
    expect_no_way(&w);

    struct hop *h = hop_new(&(struct hop_cfg){.loop = loop, .name = "h"});
    struct node *n =
        node_new(&(struct node_cfg){.loop = loop,
                                    .name = "n",
                                    .addr = "node.example:80",
                                    .connector = &connector_forward,
                                    .connector_cfg = calloc(1, connector_forward.cfg_bytes),
                                    .dialer = &dialer_tcp,
                                    .dialer_cfg = calloc(1, dialer_tcp.cfg_bytes),
                                    .nameservers = none},
                 NULL);
    ck_assert(n != NULL && hop_add(h, n) == RC_OK);
    w.chain = chain_new("chain");
    ck_assert_int_eq(chain_add(w.chain, h), RC_OK);
    w.router = router_new(&(struct router_cfg){.loop = loop, .service = "test", .chain = w.chain});
    expect_no_way(&w);
    nameservers_unref(none);
    world_stop();
}
END_TEST

START_TEST(test_it_says_who_was_excluded_and_by_what)
{
    struct made w = {.chain = chain_new("chain"), .hops = 2};
    struct route_account a;
    world_start();
    for (int i = 0; i < 2; i++) {
        struct hop *h = add_hop(w.chain, i == 0 ? "near" : "far");
        h->bypassed = excluded;
        h->bypassed_arg = &w.masks[i][NODES];
        for (int k = 0; k < 2; k++) {
            struct node *n = add_node(h, k == 0 ? "a" : "b", "192.0.2.1", 1080, &dialer_tcp,
                                      k == 0 ? &connector_socks5 : &connector_socks4, NULL);
            n->bypassed = excluded;
            n->bypassed_arg = &w.masks[i][k];
        }
    }
    w.router = router_new(&(struct router_cfg){.loop = loop, .service = "test", .chain = w.chain});
    w.masks[0][0] = NOT_TCP;
    w.masks[1][NODES] = NOT_UDP;

    ask(&w, "example.com:443", false, &a);
    ck_assert_int_eq(a.rc, RC_OK);
    ck_assert_int_eq(a.chain.n, 2);
    ck_assert_int_eq(a.chain.hops[0].nodes[0], NODE_BYPASSED);
    ck_assert_int_eq(a.chain.hops[0].nodes[1], NODE_CANDIDATE);
    ck_assert_str_eq(a.chain.hops[0].picked->name, "b");
    ck_assert_int_eq(a.chain.hops[1].n_candidates, 2);
    ck_assert_ptr_eq(a.first_node, a.route.nodes[0]);
    ck_assert_str_eq(a.sent.name, "example.com");
    route_account_done(&a);

    ask(&w, "192.0.2.9:443", true, &a); /* the far hop is bypassed, the near one has one that can */
    ck_assert_int_eq(a.rc, RC_OK);
    ck_assert_int_eq(a.chain.hops[0].nodes[1], NODE_UNABLE);
    ck_assert_str_eq(a.chain.hops[0].picked->name, "a");
    ck_assert_int_eq(a.chain.hops[1].fate, HOP_BYPASSED);
    ck_assert(a.chain.hops[1].own_rule);
    ck_assert_int_eq(a.chain.hops[1].nodes[0], NODE_NOT_ASKED);
    ck_assert_int_eq(a.route.n, 1);
    route_account_done(&a);

    w.masks[0][0] = NOT_UDP; /* whom is left can't */
    ask(&w, "192.0.2.9:443", true, &a);
    ck_assert_int_eq(a.rc, RC_UNSUPPORTED);
    ck_assert_int_eq(a.chain.hops[0].fate, HOP_UNABLE);
    ck_assert(strstr(a.diag.text, "can't carry UDP") != NULL);
    route_account_done(&a);
    unmake(&w);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("explain");
    TCase *tc = tcase_create("router");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_the_account_is_what_the_dial_does);
    tcase_add_test(tc, test_a_resolver_without_nameservers_is_no_way);
    tcase_add_test(tc, test_it_says_who_was_excluded_and_by_what);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
