/* Thousands of WebSocket connections that come, echo and go, ended by either side and in every
 * manner; at the end nothing has grown: heap, LWS's numbers. */
#include "core/floor/ws/lws_os.h"
#include "run.h"
#include "tests/unit/wsends.h"
#include <malloc.h>
#include <stdio.h>

/* The C library's caches of free pieces count as used: less than 16 bytes per connection is no
 * leak. */
enum { AT_ONCE = 8, WARM = 100, ROUNDS = 600, MESSAGE_BYTES = 300, NOISE_BYTES = 32768 };

enum manner { BY_CLIENT, BY_SERVER, ABORT_CLIENT, ABORT_SERVER, DURING_UPGRADE, MANNERS };

struct pair {
    struct end client, server;
};

static struct ws_ctx *cctx, *sctx;

static void setup(void)
{
    loop = loop_new(NULL);
    cctx = client_ctx(NULL);
    sctx = server_ctx(NULL);
}

static void teardown(void)
{
    ws_ctx_unref(cctx);
    ws_ctx_unref(sctx);
    loop_run(loop);
    ws_shutdown();
    loop_free(loop);
}

static void start(struct pair *p, uint32_t seed, enum manner how)
{
    struct mem_cfg mc = {.seed = seed, .cap_bytes = 2000};
    struct layer *a, *b;

    *p = (struct pair){.client = {.tx = 1, .rx = 2}, .server = {.tx = 2, .rx = 1}};
    p->client.to_send = p->server.to_send = MESSAGE_BYTES;
    p->client.keep_open = how != BY_CLIENT;
    p->server.keep_open = how != BY_SERVER;
    ck_assert(mem_pair(loop, &mc, &a, &b));
    stream_push(end_stream(&p->client, a), ws_client_layer(cctx, "node"));
    stream_push(end_stream(&p->server, b), ws_server_layer(sctx));
    end_want(&p->client);
    end_want(&p->server);
}

static void check(const struct pair *p, enum manner how)
{
    ck_assert(p->client.open && p->server.open);
    ck_assert_uint_eq(p->client.received, MESSAGE_BYTES);
    ck_assert_uint_eq(p->server.received, MESSAGE_BYTES);
    ck_assert_int_eq(p->client.rc, RC_OK);
    ck_assert_int_eq(p->server.rc, RC_OK);
    ck_assert(p->server.eof == (how == BY_CLIENT));
    ck_assert(p->client.eof == (how == BY_SERVER));
}

static void finish(struct pair *p, enum manner how)
{
    if (how != DURING_UPGRADE)
        check(p, how);
    if (how == ABORT_CLIENT)
        stream_abort(p->client.s);
    else
        stream_close(p->client.s);
    if (how == ABORT_SERVER)
        stream_abort(p->server.s);
    else
        stream_close(p->server.s);
}

static void round_of(uint32_t seed, enum manner how)
{
    struct pair pairs[AT_ONCE];

    for (uint32_t i = 0; i < AT_ONCE; i++)
        start(&pairs[i], seed + i, how);
    if (how == DURING_UPGRADE)
        for (uint32_t turns = seed % 9; turns; turns--)
            (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    else
        loop_run(loop);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        finish(&pairs[i], how);
    loop_run(loop);
}

static size_t heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

START_TEST(test_nothing_grows)
{
    size_t heap_before = 0;
    int numbers_before = 0;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (i == WARM) {
            heap_before = heap();
            numbers_before = lws_os_inuse();
        }
        round_of(i * AT_ONCE + 1, (enum manner)_i);
    }
    ck_assert_int_eq(lws_os_inuse(), numbers_before);
    ck_assert_uint_le(heap(), heap_before + NOISE_BYTES);
}
END_TEST

/* What a flow at rest costs on the heap, both ends and the memory wire apart. */
START_TEST(test_idle_flow_is_small)
{
    enum { FLOWS = 200, LIMIT_BYTES = 6 * 1024 };
    static struct pair pairs[FLOWS];
    static struct raw bare[2 * FLOWS];
    size_t before, with_ws, with_wires;

    round_of(1, BY_CLIENT);
    before = heap();
    for (uint32_t i = 0; i < FLOWS; i++)
        start(&pairs[i], 0, ABORT_CLIENT);
    loop_run(loop);
    for (uint32_t i = 0; i < FLOWS; i++)
        check(&pairs[i], ABORT_CLIENT);
    with_ws = heap() - before;
    before = heap();
    for (uint32_t i = 0; i < FLOWS; i++) {
        struct mem_cfg mc = {.cap_bytes = 2000};
        struct layer *a, *b;

        ck_assert(mem_pair(loop, &mc, &a, &b));
        raw_start(&bare[2 * i], a);
        raw_start(&bare[2 * i + 1], b);
    }
    loop_run(loop);
    with_wires = heap() - before;
    if (before)
        printf("idle ws flow: %zu bytes\n", (with_ws - with_wires) / (2 * FLOWS));
    ck_assert_uint_le(with_ws - with_wires, (size_t)2 * FLOWS * LIMIT_BYTES);
    for (uint32_t i = 0; i < FLOWS; i++) {
        finish(&pairs[i], ABORT_CLIENT);
        stream_close(bare[2 * i].s);
        stream_close(bare[2 * i + 1].s);
    }
    loop_run(loop);
}
END_TEST

/* A reload: dialers and listeners come and go while their flows live on. */
START_TEST(test_contexts_come_and_go)
{
    size_t heap_before = 0;

    for (uint32_t i = 0; i < 200; i++) {
        struct ws_ctx *c = cctx, *s = sctx;
        struct pair p;

        if (i == 20)
            heap_before = heap();
        start(&p, i + 1, BY_CLIENT);
        cctx = client_ctx(NULL);
        sctx = server_ctx(NULL);
        ws_ctx_unref(c);
        ws_ctx_unref(s);
        loop_run(loop);
        finish(&p, BY_CLIENT);
        loop_run(loop);
    }
    ck_assert_uint_le(heap(), heap_before + NOISE_BYTES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ws_churn");
    TCase *tc = tcase_create("ws_churn");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_nothing_grows, 0, MANNERS);
    tcase_add_test(tc, test_idle_flow_is_small);
    tcase_add_test(tc, test_contexts_come_and_go);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
