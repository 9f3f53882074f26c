/* The ws floor over a nasty wire, once it is up: every vector, pings and Close, half-close, hostile
 * frames, much data, ws over ws. */
#include "tests/unit/wsfixture.h"

/* ---- frames */

/* Feeds one vector's bytes to the end it is meant for, piece by piece; the wire then ends. */
static struct end *feed_vector(const struct vector *v, size_t piece, uint8_t *keep, bool shut)
{
    bool to_server = vector_c2s(v);
    struct end *e = to_server ? &server : &client;

    e->keep = keep;
    e->keep_open = true;
    if (to_server) {
        start_server(0, ASK(""));
        raw.in_n = 0;
    } else {
        start_client(0, "h");
        client_up();
        raw.in_n = 0;
    }
    raw.piece = piece;
    raw.shut_after = shut;
    raw_send(&raw, v->bytes, v->n);
    return e;
}

static void restart(void)
{
    stream_close(client.s);
    stream_close(server.s);
    stream_close(raw.s);
    loop_run(loop);
    client = server = (struct end){0};
    memset(&raw, 0, sizeof raw);
}

START_TEST(test_frame_vectors)
{
    static char line[VECTOR_LINE_MAX];
    static struct vector v;
    static uint8_t keep[RAW_BYTES];
    unsigned n = 0;
    FILE *f = fopen("tests/vectors/websocket.txt", "r");

    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f)) {
        if (!vector_parse(line, &v) || vector_is(&v, "ws.hs."))
            continue;
        for (size_t piece = 0; piece < 3; piece++) {
            struct end *e = feed_vector(&v, piece, keep, false);
            const char *data = strstr(v.expect, "data="), *msg = strstr(v.expect, "msg=");
            bool is_data = vector_is(&v, "ws.frame."), bad = vector_is(&v, "ws.bad.");
            uint8_t want[64];
            size_t want_n;

            if (strcmp(v.name, "ws.bad.close-1byte") == 0) {
                ck_assert(e->eof); /* tolerated, as GOST does */
            } else if (bad) {
                ck_assert_msg(e->rc == RC_PROTO, "%s: rc %d", v.name, (int)e->rc);
                ck_assert_uint_ge(raw.in_n, 4); /* a Close that says 1002 */
                ck_assert_uint_eq(raw.in[0], 0x88);
            } else {
                ck_assert_msg(e->rc == RC_OK, "%s: rc %d", v.name, (int)e->rc);
            }
            if (is_data && (data || msg)) {
                want_n = value_bytes(data ? data + 5 : msg + 4, want, sizeof want);
                ck_assert_msg(e->received == want_n && memcmp(keep, want, want_n) == 0, "%s",
                              v.name);
            }
            if (strstr(v.expect, "op=8"))
                ck_assert_msg(e->eof, "%s", v.name);
            restart();
            n++;
        }
    }
    fclose(f);
    ck_assert_uint_gt(n, 60);
}
END_TEST

START_TEST(test_unmasked_frame_is_closed_as_gost_does)
{
    feed_vector(vector_named("ws.bad.c-unmasked"), 0, NULL, false);
    ck_assert_int_eq(server.rc, RC_PROTO);
    ck_assert_uint_eq(raw.in_n, 12);
    ck_assert_mem_eq(raw.in, vector_named("ws.ctl.close-bad-mask")->bytes, 12);
}
END_TEST

START_TEST(test_bare_ping_of_a_client_is_refused)
{
    feed_vector(vector_named("ws.bad.c-unmasked"), 1, NULL, false);
    restart();
    start_server(0, ASK(""));
    raw.in_n = 0;
    raw_send(&raw, "\x89\x00", 2);
    ck_assert_int_eq(server.rc, RC_PROTO);
}
END_TEST

START_TEST(test_pings_are_answered)
{
    uint8_t keep[16];

    feed_vector(vector_named("ws.ctl.ping"), 0, keep, false);
    ck_assert_uint_eq(raw.in_n, 2);
    ck_assert_mem_eq(raw.in, "\x8a\x00", 2);
    restart();
    feed_vector(vector_named("ws.frame.c-frag-ping"), 1, keep, false);
    ck_assert_mem_eq(raw.in, "\x8a\x00", 2);
    ck_assert_mem_eq(keep, "hello", 5);
    restart();
    feed_vector(vector_named("ws.ctl.ping-payload"), 0, keep, false);
    ck_assert_uint_eq(raw.in_n, 9);
    ck_assert_uint_eq(raw.in[0], 0x8a);
    ck_assert_uint_eq(raw.in[1], 0x83);
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(raw.in[6 + i] ^ raw.in[2 + i], "abc"[i]);
}
END_TEST

START_TEST(test_pings_are_answered_while_nobody_reads)
{
    static uint8_t out[4 + 20000 + 6];

    server.deaf = server.keep_open = true;
    start_server(0, ASK(""));
    raw.in_n = 0;
    memcpy(out, "\x82\xfe\x4e\x20\0\0\0\0", 8);
    memcpy(out + 8 + 20000 - 6, "", 0);
    raw_send(&raw, out, 8);
    for (size_t left = 20000; left;) {
        size_t n = least(left, 4096);

        memset(out, 'd', n);
        raw_send(&raw, out, n);
        left -= n;
    }
    raw_send(&raw, "\x89\x81\0\0\0\0x", 7);
    ck_assert_uint_eq(raw.in_n, 3);
    ck_assert_mem_eq(raw.in, "\x8a\x01x", 3);
    server.deaf = false;
    server.keep = malloc(20000);
    end_want(&server);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 20000);
    free(server.keep);
}
END_TEST

START_TEST(test_reading_ahead_has_an_end)
{
    server.deaf = server.keep_open = true;
    client.to_send = 1 << 20;
    client.keep_open = true;
    connect_ends(0, 16384);
    loop_run(loop);
    ck_assert(client.open && server.open);
    ck_assert_uint_ge(client.sent, 65536);
    ck_assert_uint_lt(client.sent, 65536 * 4);
    server.deaf = false;
    end_want(&server);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 1 << 20);
}
END_TEST

START_TEST(test_close_is_answered_and_ends_both_ways)
{
    struct vector *v = vector_named("ws.ctl.close-empty");
    struct iovec v1 = {(void *)(uintptr_t) "x", 1};
    size_t n;

    feed_vector(v, 1, NULL, false);
    ck_assert(server.eof);
    ck_assert_uint_eq(raw.in_n, 2);
    ck_assert_mem_eq(raw.in, "\x88\x00", 2);
    ck_assert_int_eq(stream_send(server.s, &v1, 1, &n), RC_RESET);
    restart();
    feed_vector(vector_named("ws.ctl.close-1000"), 0, NULL, false);
    ck_assert(client.eof);
    ck_assert_uint_eq(raw.in_n, 8);
    ck_assert_uint_eq(raw.in[0], 0x88);
    ck_assert_uint_eq((unsigned)(raw.in[2] ^ raw.in[6]), 0x03);
    ck_assert_uint_eq((unsigned)(raw.in[3] ^ raw.in[7]), 0xe8);
}
END_TEST

START_TEST(test_end_inside_a_frame_is_no_clean_end)
{
    uint8_t keep[16];
    struct vector v = *vector_named("ws.frame.c-hello");

    v.n -= 2;
    feed_vector(&v, 0, keep, true);
    ck_assert_uint_eq(server.received, 3);
    ck_assert_int_eq(server.rc, RC_RESET);
    restart();
    feed_vector(vector_named("ws.frame.c-hello"), 0, keep, true);
    ck_assert(server.eof);
    ck_assert_int_eq(server.rc, RC_OK);
}
END_TEST

START_TEST(test_hostile_lengths_allocate_nothing)
{
    uint8_t keep[4096];
    struct vector v = {.name = "big", .dir = "c2s", .n = 16};

    memcpy(v.bytes, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0ab", 16);
    feed_vector(&v, 1, keep, false);
    ck_assert_int_eq(server.rc, RC_OK);
    ck_assert_uint_eq(server.received, 2);
    restart();
    memcpy(v.bytes, "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14);
    v.n = 14;
    feed_vector(&v, 0, keep, false);
    ck_assert_int_eq(server.rc, RC_PROTO);
}
END_TEST

START_TEST(test_small_reads)
{
    client.to_send = server.to_send = 20000;
    client.recv_max = server.recv_max = 1;
    connect_ends(5, 3000);
    loop_run(loop);
    check_both_done();
}
END_TEST

/* ---- streams */

START_TEST(test_any_segmentation)
{
    for (uint32_t seed = 1; seed < 60; seed++) {
        teardown();
        setup();
        client.to_send = seed * 1709 % 50000;
        server.to_send = seed * 9973 % 90000;
        client.send_max = 1 + seed * 331 % 9000;
        server.send_max = seed % 3 ? 0 : 1 + seed * 17 % 300;
        client.recv_max = seed % 2 ? 0 : 1 + seed * 7919 % 6000;
        connect_ends(seed, seed % 4 ? 700 + seed * 13 : 0);
        loop_run(loop);
        check_both_done();
    }
}
END_TEST

START_TEST(test_ten_megabytes_both_ways)
{
    client.to_send = server.to_send = 10 << 20;
    connect_ends(0, 0);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_half_close_of_the_client_lets_the_answer_through)
{
    client.to_send = 3;
    server.keep_open = true;
    connect_ends(3, 900);
    loop_run(loop);
    ck_assert(server.eof && client.shut && !client.eof);
    server.to_send = 200000;
    server.keep_open = false;
    end_want(&server);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_half_close_of_the_server_lets_the_request_through)
{
    server.to_send = 3;
    client.keep_open = true;
    connect_ends(4, 900);
    loop_run(loop);
    ck_assert(client.eof && server.shut && !server.eof);
    client.to_send = 200000;
    client.keep_open = false;
    end_want(&client);
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_reserved_room_becomes_one_message)
{
    struct iovec room;

    server.keep_open = true;
    server.keep = malloc(70000);
    client.keep_open = true;
    connect_ends(0, 0);
    loop_run(loop);
    ck_assert_int_eq(stream_reserve(client.s, 10, &room), RC_OK);
    ck_assert_uint_ge(room.iov_len, 10);
    ck_assert_int_eq(stream_commit(client.s, 0), RC_OK);
    ck_assert_int_eq(stream_reserve(client.s, 65000, &room), RC_OK);
    ck_assert_uint_ge(room.iov_len, 65000);
    memset(room.iov_base, 'r', 65000);
    ck_assert_int_eq(stream_commit(client.s, 65000), RC_OK);
    loop_run(loop);
    ck_assert_uint_eq(server.received, 65000);
    for (size_t i = 0; i < 65000; i++)
        ck_assert_uint_eq(server.keep[i], 'r');
    free(server.keep);
}
END_TEST

START_TEST(test_ws_over_ws_over_ws)
{
    for (uint32_t seed = 0; seed < 12; seed++) {
        teardown();
        setup();
        client.to_send = server.to_send = 150000 + seed;
        connect_ends(seed, seed % 2 ? 1000 : 0);
        for (int i = 0; i < 2; i++) {
            stream_push(client.s, ws_client_layer(cctx, "inner"));
            stream_push(server.s, ws_server_layer(sctx));
        }
        loop_run(loop);
        check_both_done();
    }
}
END_TEST

START_TEST(test_stream_survives_its_ctx)
{
    client.to_send = server.to_send = 5000;
    connect_ends(9, 500);
    ws_ctx_unref(cctx);
    ws_ctx_unref(sctx);
    cctx = sctx = NULL;
    loop_run(loop);
    check_both_done();
}
END_TEST

START_TEST(test_abort_at_any_moment)
{
    connect_ends(0, 0);
    for (int i = 0; i < 40; i++) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
        if (i % 5 != _i)
            continue;
        if (i & 1)
            stream_abort(client.s);
        else
            stream_close(server.s);
        break;
    }
    *(_i & 1 ? &client.s : &server.s) = NULL;
}
END_TEST

/* ---- keepalive */

START_TEST(test_keepalive_pings_and_lives_on_pongs)
{
    struct ws_cfg cfg = {.keepalive = true, .ping_ms = 1000};
    uint64_t until;

    cctx = client_ctx(&cfg);
    client.keep_open = server.keep_open = true;
    server.deaf = true; /* its pongs come from reading ahead */
    connect_ends(0, 0);
    until = loop_now_ms(loop) + 3500;
    while (loop_now_ms(loop) < until)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(client.open);
    ck_assert_int_eq(client.rc, RC_OK);
}
END_TEST

START_TEST(test_keepalive_dies_without_pongs)
{
    struct ws_cfg cfg = {.keepalive = true, .ping_ms = 30};
    uint64_t began;

    cctx = client_ctx(&cfg);
    client.keep_open = true;
    start_client(0, "h");
    began = loop_now_ms(loop);
    client_up(); /* runs until nothing is left to wait for */
    ck_assert_int_eq(client.rc, RC_TIMEOUT);
    ck_assert_str_eq(stream_diag(client.s)->text, "ws: no pong from the node");
    ck_assert_uint_ge(loop_now_ms(loop) - began, 55);
    ck_assert_uint_ge(raw.in_n, 6); /* at least one empty masked ping */
    ck_assert_uint_eq(raw.in[0], 0x89);
    ck_assert_uint_eq(raw.in[1], 0x80);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ws");
    TCase *tc = tcase_create("ws");
    const TTest *const once[] = {test_frame_vectors,
                                 test_unmasked_frame_is_closed_as_gost_does,
                                 test_bare_ping_of_a_client_is_refused,
                                 test_pings_are_answered,
                                 test_pings_are_answered_while_nobody_reads,
                                 test_reading_ahead_has_an_end,
                                 test_close_is_answered_and_ends_both_ways,
                                 test_end_inside_a_frame_is_no_clean_end,
                                 test_hostile_lengths_allocate_nothing,
                                 test_small_reads,
                                 test_any_segmentation,
                                 test_ten_megabytes_both_ways,
                                 test_half_close_of_the_client_lets_the_answer_through,
                                 test_half_close_of_the_server_lets_the_request_through,
                                 test_reserved_room_becomes_one_message,
                                 test_ws_over_ws_over_ws,
                                 test_stream_survives_its_ctx,
                                 test_keepalive_pings_and_lives_on_pongs,
                                 test_keepalive_dies_without_pongs};

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++)
        tcase_add_test(tc, once[i]);
    tcase_add_loop_test(tc, test_abort_at_any_moment, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
