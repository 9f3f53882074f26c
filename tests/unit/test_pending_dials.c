/* tests/unit/test_pending_dials.c - clients that leave while their target is being dialled through
 * a node that hangs: the dial ends with them.
 */
#include "chain/forwarder.h"
#include "core/floor/mem.h"
#include "dialworld.h"
#include "handlers/conn.h"
#include "pause.h"
#include "run.h"

static struct server node;
static struct chain *chain;
static struct router *router;
static struct forwarder *forwarder;
static struct handler handler;

static void run_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

static void start(const struct handler_type *type)
{
    struct target t = {.addr = loopback(AF_INET, 9)};
    struct diag diag = {.rc = RC_OK};
    world_start();
    serve(&node, NULL);
    node.hangs = true;
    chain = chain_new("chain");
    add_node(add_hop(chain, "hop"), "node", "127.0.0.1", node.port, &dialer_tcp, &connector_socks5,
             NULL);
    router = router_new(&(struct router_cfg){.loop = loop, .service = "test", .chain = chain});
    forwarder = forwarder_new(loop, &(struct selector_cfg){.fail_timeout_ms = 1000});
    ck_assert_int_eq(forwarder_add(forwarder, "target", &t), RC_OK);
    handler = (struct handler){.type = type, .cfg = cfg_of(type->options, type->cfg_bytes)};
    struct handler_setup setup = {.loop = loop,
                                  .service = "test",
                                  .listener = "test",
                                  .router = router,
                                  .tls = &no_tls,
                                  .forwarder = forwarder};
    ck_assert_int_eq(type->init(&handler, &setup, &diag), RC_OK);
}

static bool has_clients(void)
{
    return ((const struct front *)handler.state)->conns != NULL;
}

static void stop(void)
{
    handler.type->done(&handler);
    options_done(handler.type->options, handler.cfg);
    free(handler.cfg);
    forwarder_free(forwarder);
    router_free(router);
    chain_unref(chain);
    unserve(&node);
    world_stop();
}

/* ---------------------------------------------------------------- streams */

static struct stream *client;

static void connect_client(void)
{
    struct client_info info = {.peer = loopback(AF_INET, 1), .local = loopback(AF_INET, 2)};
    struct layer *a, *b;
    struct stream *served = stream_new(loop);
    ck_assert(mem_pair(loop, NULL, &a, &b));
    client = stream_new(loop);
    stream_push(client, a);
    stream_push(served, b);
    ck_assert_int_eq(stream_open(client), RC_OK);
    handler.type->serve(&handler, served, &info);
    run_ms(20);
    ck_assert(has_clients());
    ck_assert_int_eq(node.accepted, 1);
}

START_TEST(test_reset_of_a_silent_client)
{
    start(&handler_tcp);
    connect_client();
    stream_abort(client);
    run_ms(20);
    ck_assert(!has_clients());
    stop();
}
END_TEST

/* More than we read ahead: nobody reads any more when it leaves. */
START_TEST(test_reset_of_a_client_that_said_too_much)
{
    static char flood[60000];
    size_t n;
    start(&handler_tcp);
    connect_client();
    ck_assert_int_eq(stream_send(client, &(struct iovec){flood, sizeof flood}, 1, &n), RC_OK);
    run_ms(20);
    ck_assert(has_clients());
    stream_abort(client);
    run_ms(20);
    ck_assert(!has_clients());
    stop();
}
END_TEST

START_TEST(test_reset_behind_the_clients_end)
{
    start(&handler_tcp);
    connect_client();
    ck_assert_int_eq(stream_shut(client), RC_OK);
    run_ms(20);
    ck_assert(has_clients()); /* it waits for an answer */
    stream_abort(client);
    run_ms(20);
    ck_assert(!has_clients());
    stop();
}
END_TEST

/* ---------------------------------------------------------------- datagrams */

/* A client's session with one datagram in it. */
static bool session_over;

static enum rc session_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    (void)d, (void)to, (void)data, (void)n;
    return RC_OK;
}

static enum rc session_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                            struct target *ret_from)
{
    (void)d, (void)buf, (void)cap, (void)ret_from;
    *ret_n = 0;
    return RC_OK;
}

static unsigned session_ready(struct dgram *d, unsigned wish)
{
    (void)d;
    return (STREAM_OPEN | STREAM_IN | STREAM_OUT | (session_over ? (unsigned)STREAM_GONE : 0)) &
           wish;
}

static const struct dgram_type session_type = {
    .name = "session", .send = session_send, .recv = session_recv, .ready = session_ready};

START_TEST(test_end_of_a_udp_session)
{
    struct client_info info = {.peer = loopback(AF_INET, 1), .local = loopback(AF_INET, 2)};
    struct dgram *d = calloc(1, sizeof *d);
    start(&handler_udp);
    dgram_init(d, &session_type, loop, DGRAM_FIXED);
    session_over = false;
    handler.type->serve_dgram(&handler, d, &info);
    run_ms(20);
    ck_assert(has_clients());
    session_over = true;
    dgram_wake(d);
    run_ms(20);
    ck_assert(!has_clients());
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pending_dials");
    TCase *tc = tcase_create("pending_dials");
    tcase_add_test(tc, test_reset_of_a_silent_client);
    tcase_add_test(tc, test_reset_of_a_client_that_said_too_much);
    tcase_add_test(tc, test_reset_behind_the_clients_end);
    tcase_add_test(tc, test_end_of_a_udp_session);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
