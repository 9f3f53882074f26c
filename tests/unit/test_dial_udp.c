/* UDP on loopback: directly, to addresses and names, through each kind of node, through two hops;
 * what is said of a route beforehand; a node that only knows the standard association.
 */
#include "chain/dial.h"
#include "chain/hosts_table.h"
#include "core/floor/udp.h"
#include "dialworld.h"
#include "run.h"

/* ---------------------------------------------------------------- an echo */

struct udp_echo {
    struct dgram *d;
    uint16_t port;
    int seen;
    struct dgram *stranger; /* says something before each answer */
};

static void on_echo(struct dgram *d, unsigned ready, void *arg)
{
    static char buf[65536];
    struct udp_echo *e = arg;
    struct target from;
    size_t n;
    (void)ready;
    while (dgram_recv(d, buf, sizeof buf, &n, &from) == RC_OK) {
        e->seen++;
        if (e->stranger)
            (void)dgram_send(e->stranger, &from, "spoof", 5);
        (void)dgram_send(d, &from, buf, n);
    }
}

static void udp_serve(struct udp_echo *e)
{
    struct addr at = loopback(AF_INET, 0);
    int fd;
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(fd, &at), RC_OK);
    *e = (struct udp_echo){.d = udp_dgram_fd(loop, fd), .port = at.port};
    dgram_want(e->d, STREAM_IN, on_echo, e);
}

/* ---------------------------------------------------------------- a talk over what was dialled */

static struct talk {
    struct target to;
    char sent[8], back[8];
    size_t n_back, rounds;
    struct target from;
    enum rc failed;
    struct timer again;
} talk;

static void talk_say(void)
{
    (void)dgram_send(got.d, &talk.to, talk.sent, 5);
    ck_assert(timer_start(&talk.again, 100)); /* a datagram may be lost on the way to a name */
}

static void on_again(struct timer *timer)
{
    (void)timer;
    talk_say();
}

static void on_talk(struct dgram *d, unsigned ready, void *arg)
{
    (void)ready;
    (void)arg;
    enum rc rc = dgram_recv(d, talk.back, sizeof talk.back, &talk.n_back, &talk.from);
    if (rc == RC_AGAIN)
        return;
    talk.failed = rc;
    timer_stop(&talk.again);
    loop_stop(loop);
    if (rc != RC_OK)
        dgram_want(d, 0, NULL, NULL);
}

/* Three rounds, then it is closed. */
static void echo_dgrams(const char *to)
{
    ck_assert(target_parse(to, &talk.to));
    for (char round = '0'; round < '3'; round++) {
        timer_init(loop, &talk.again, on_again);
        memcpy(talk.sent, "hell", 4);
        talk.sent[4] = round;
        talk.failed = RC_AGAIN;
        dgram_want(got.d, STREAM_IN, on_talk, NULL);
        talk_say();
        while (!stuck && talk.failed == RC_AGAIN)
            loop_run(loop);
        ck_assert(!stuck);
        ck_assert_msg(talk.failed == RC_OK, "%s", got.d->diag.text);
        ck_assert_uint_eq(talk.n_back, 5);
        ck_assert_mem_eq(talk.back, talk.sent, 5);
    }
    dgram_close(got.d);
}

static struct router *router_for(struct chain *c)
{
    return router_new(&(struct router_cfg){
        .loop = loop, .service = "service-0", .chain = c, .dial_timeout_ms = 2000});
}

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

static const struct {
    const struct handler_type *handler;
    const struct connector_type *connector;
    bool fixed;
} ends[] = {{&handler_socks5, &connector_socks5, false},
            {&handler_http, &connector_http, false},
            {&handler_relay, &connector_relay, true}};
enum { ENDS = sizeof ends / sizeof ends[0] };

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

/* ---------------------------------------------------------------- what is said beforehand */

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
    tcase_add_test(tc, test_a_stranger_over_an_association_is_not_heard);
    tcase_add_test(tc, test_socks5_association);
    tcase_add_test(tc, test_association_behind_a_hop_is_refused);
    tcase_add_test(tc, test_fall_back_to_the_standard_association);
    tcase_add_test(tc, test_a_direct_node_carries_no_datagrams_for_the_one_before);
    tcase_add_test(tc, test_udp_route);
    tcase_add_test(tc, test_a_bypassed_flow_leaves_the_chain);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
