/* PROXY headers on dials: to a node below its floors, to a node behind another, to the target
 * behind all of them, each once and first; what they say when something is not known.
 */
#include "core/wire/proxyproto.h"
#include "dialworld.h"
#include "run.h"

#define LINE    "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
#define UNKNOWN "PROXY UNKNOWN\r\n"
#define BINARY  "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"

static struct addr addr_of(const char *text)
{
    struct addr a = {.family = 0};
    ck_assert(*text == 0 || addr_parse(text, &a));
    return a;
}

static struct dial_req request(const char *client, const char *dest, const char *host,
                               uint16_t port, int version)
{
    struct dial_req req = {
        .client = addr_of(client), .dest = addr_of(dest), .proxy_protocol = version};
    ck_assert(target_parse(port_text(host, port), &req.target));
    return req;
}

/* The echo at the far end has heard `n` bytes of ours; then comes what the owner says. */
static void expect_heard(struct router *r, const struct dial_req *req, const char *text, size_t n)
{
    char back[256];
    size_t at = 0, part;
    got = (struct outcome){.calls = 0};
    ck_assert_ptr_nonnull(router_dial(r, req, on_dialled, NULL));
    while (got.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert_msg(!stuck && got.res.rc == RC_OK, "%s", got.res.diag.text);
    struct iovec v = {(char[]){"hello"}, 5};
    ck_assert_int_eq(stream_send(got.s, &v, 1, &part), RC_OK);
    while (at < n + 5 && !stuck) {
        uv_run(loop_uv(loop), UV_RUN_ONCE);
        enum rc rc = stream_recv(got.s, back + at, sizeof back - at, &part);
        ck_assert(rc == RC_OK || rc == RC_AGAIN);
        at += rc == RC_OK ? part : 0;
    }
    ck_assert_uint_eq(at, n + 5);
    ck_assert_mem_eq(back, text, n);
    ck_assert_mem_eq(back + n, "hello", 5);
    stream_close(got.s);
}

static struct router *router_for(struct chain *c)
{
    return router_new(
        &(struct router_cfg){.loop = loop, .service = "service-0", .chain = c, .retries = 1});
}

START_TEST(test_direct_target)
{
    static const struct {
        const char *client, *dest;
        int version;
        const char *heard;
        size_t n;
    } v[] = {
        {"192.0.2.7:56324", "198.51.100.1:443", 0, "", 0},
        {"192.0.2.7:56324", "198.51.100.1:443", -1, "", 0},
        {"192.0.2.7:56324", "198.51.100.1:443", 1, LINE, sizeof LINE - 1},
        {"192.0.2.7:56324", "198.51.100.1:443", 2, BINARY, sizeof BINARY - 1},
        {"", "198.51.100.1:443", 1, UNKNOWN, sizeof UNKNOWN - 1},
        {"192.0.2.7:56324", "[2001:db8::1]:443", 1, UNKNOWN, sizeof UNKNOWN - 1},
    };
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct router *r = router_for(NULL);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        struct dial_req req = request(v[i].client, v[i].dest, "127.0.0.1", echo.port, v[i].version);
        expect_heard(r, &req, v[i].heard, v[i].n);
    }
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

/* Not known where the client went: the target's address, if it has one. */
START_TEST(test_target_instead_of_dest)
{
    struct server echo;
    char line[128];
    world_start();
    serve(&echo, NULL);
    struct router *r = router_for(NULL);
    struct dial_req req = request("192.0.2.7:56324", "", "127.0.0.1", echo.port, 1);
    int n = snprintf(line, sizeof line, "PROXY TCP4 192.0.2.7 127.0.0.1 56324 %u\r\n", echo.port);
    expect_heard(r, &req, line, (size_t)n);
    router_free(r);
    unserve(&echo);
    world_stop();
}
END_TEST

/* The first node is dead: the header goes to the one that serves, once; then the target's. */
START_TEST(test_node_then_target)
{
    static const char both[] = BINARY LINE;
    struct server echo;
    world_start();
    serve(&echo, NULL);
    struct chain *c = chain_new("chain-0");
    struct hop *h = add_hop(c, "hop-0");
    const struct dialer_type *tcp = &dialer_tcp;
    add_node(h, "dead", "127.0.0.1", refusing_port(), tcp, &connector_forward, NULL)
        ->proxy_protocol = 1;
    add_node(h, "echo", "127.0.0.1", echo.port, tcp, &connector_forward, NULL)->proxy_protocol = 2;
    struct router *r = router_for(c);
    struct dial_req req = request("192.0.2.7:56324", "198.51.100.1:443", "127.0.0.1", 9, 1);
    expect_heard(r, &req, both, sizeof both - 1);
    router_free(r);
    chain_unref(c);
    unserve(&echo);
    world_stop();
}
END_TEST

/* A node behind another is sent its own through the tunnel; the one before it, without the option,
 * none. */
START_TEST(test_second_node)
{
    struct server proxy, echo;
    world_start();
    serve(&proxy, &handler_socks5);
    serve(&echo, NULL);
    struct chain *c = chain_new("chain-0");
    add_node(add_hop(c, "hop-0"), "proxy", "127.0.0.1", proxy.port, &dialer_tcp, &connector_socks5,
             NULL);
    add_node(add_hop(c, "hop-1"), "echo", "127.0.0.1", echo.port, &dialer_tcp, &connector_forward,
             NULL)
        ->proxy_protocol = 1;
    struct router *r = router_for(c);
    struct dial_req req = request("192.0.2.7:56324", "198.51.100.1:443", "127.0.0.1", 9, 0);
    expect_heard(r, &req, LINE, sizeof LINE - 1);
    router_free(r);
    chain_unref(c);
    unserve(&echo);
    unserve(&proxy);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dial_announced");
    TCase *t = tcase_create("dial_announced");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_direct_target);
    tcase_add_test(t, test_target_instead_of_dest);
    tcase_add_test(t, test_node_then_target);
    tcase_add_test(t, test_second_node);
    suite_add_tcase(s, t);
    return run_suite(s);
}
