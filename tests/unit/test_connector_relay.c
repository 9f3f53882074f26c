/* The relay connector against a scripted node: its exact bytes (wire-protocols.md and
 * its vectors), any segmentation, refusals, silence. */
#include "connectordgram.h"

START_TEST(test_relay_is_open_at_once_and_joins)
{
    /* header and payload come as one; the answer comes glued to the target's first bytes */
    static const char *const script[] = {"C sessions:relay-tcp.1", "C sessions:relay-tcp.2",
                                         "S sessions:relay-tcp.3", NULL};
    make(&connector_relay);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run(seed, "example.com:80", "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n", 17, script,
            "user", "pass");
        ck_assert_int_eq(near.opened, RC_OK);
        expect_got("HTTP/1.0 200 OK\r\n");
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_relay_header_leaves_after_5_ms)
{
    static const char *const script[] = {"C relay:relay.connect.ipv4",
                                         "S relay:relay.resp.coalesced", NULL};
    make(&connector_relay);
    for (uint32_t seed = 0; seed < SEEDS / 4; seed++) {
        run(seed, "192.0.2.1:80", NULL, 21, script, NULL, NULL);
        expect_got("SSH-2.0-OpenSSH_9.6\r\n");
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_relay_requests)
{
    static const struct {
        const char *target, *request, *user, *password;
    } v[] = {{"example.com:443", "C relay:relay.connect.domain", NULL, NULL},
             {"[2001:db8::1]:443", "C relay:relay.connect.ipv6", NULL, NULL},
             {"example.com:443", "C relay:relay.connect.auth", "user", "pass"},
             {"192.0.2.1:80", "C relay:relay.connect.auth-nopass", "user", NULL},
             {":0", "C relay:relay.connect.forward", NULL, NULL}};
    make(&connector_relay);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        /* the answer comes with features, byte by byte or not at all like that */
        const char *const script[] = {v[i].request, "s 0100000a02000701000000009c40", "s 6f6b",
                                      NULL};
        for (uint32_t seed = 0; seed < SEEDS / 4; seed++) {
            run(seed, v[i].target, NULL, 2, script, v[i].user, v[i].password);
            expect_got("ok");
        }
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_relay_refusals_come_with_the_first_read)
{
    static const struct {
        const char *answer;
        enum rc rc;
    } v[] = {{"S relay:relay.resp.unauthorized", RC_AUTH},
             {"S relay:relay.resp.forbidden", RC_DENIED},
             {"S relay:relay.resp.host-unreachable", RC_UNREACH_HOST},
             {"S relay:relay.resp.network-unreachable", RC_REFUSED},
             {"S relay:relay.resp.bad-request", RC_PROTO},
             {"s 02000000", RC_PROTO},
             {"s 01090000", RC_PROTO}};
    make(&connector_relay);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"C relay:relay.connect.ipv4", v[i].answer, NULL};
        run((uint32_t)i, "192.0.2.1:80", NULL, 1, script, NULL, NULL);
        ck_assert_int_eq(near.opened, RC_OK);
        ck_assert_msg(near.failed == v[i].rc, "%s: %s", v[i].answer, rc_name(near.failed));
        ck_assert_msg(strstr(near.diag.text, "relay") != NULL, "%s", near.diag.text);
    }
    static const char *const cut[] = {"C relay:relay.connect.ipv4", "s 0100", "eof", NULL};
    run(1, "192.0.2.1:80", NULL, 1, cut, NULL, NULL);
    ck_assert_int_eq(near.failed, RC_PROTO);
    /* a target that ends without a word: a GOST server then never answers */
    static const char *const silent[] = {"C relay:relay.connect.ipv4", "eof", NULL};
    run(1, "192.0.2.1:80", NULL, 0, silent, NULL, NULL);
    ck_assert_int_eq(near.failed, RC_OK);
    free(conn.cfg);
}
END_TEST

static struct timer poll_timer;
static int polls;
static enum rc poll_rc;
static bool poll_over;
static void on_poll_timer(struct timer *timer)
{
    enum stream_confirmed c = CONFIRMED_PENDING;
    poll_rc = stream_query(near.s, QUERY_CONFIRMED, &c);
    polls++;
    if (poll_rc == RC_OK && c == CONFIRMED_PENDING)
        ck_assert(timer_start(timer, 5));
    else
        poll_over = true;
}

static void poll_confirmed(const char *const *script)
{
    struct target t = target_of("192.0.2.1:80");
    make(&connector_relay);
    struct stream *s = farend_start(0, script);
    begin(NULL, NULL);
    near = (struct near){.s = s};
    ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
    ck_assert_int_eq(stream_open(s), RC_OK);
    ck_assert_int_eq(stream_query(s, QUERY_EXPEDITE, NULL), RC_UNSUPPORTED); /* mem has none */
    int fd;
    ck_assert_int_eq(stream_query(s, QUERY_FD, &fd), RC_AGAIN);
    timer_init(loop, &poll_timer, on_poll_timer);
    polls = 0;
    poll_over = false;
    ck_assert(timer_start(&poll_timer, 5));
    while (!watchdog_fired && !poll_over)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(!watchdog_fired);
}

START_TEST(test_relay_confirmed)
{
    static const char *const yes[] = {"C relay:relay.connect.ipv4", "wait 20", "s 01000000",
                                      "s 6869", NULL};
    char buf[8];
    size_t n;
    poll_confirmed(yes);
    ck_assert_int_eq(poll_rc, RC_OK);
    ck_assert_int_ge(polls, 2);
    ck_assert_int_eq(stream_recv(near.s, buf, sizeof buf, &n), RC_OK); /* asking took no payload */
    ck_assert_uint_eq(n, 2);
    stream_close(near.s);
    end();
    farend_stop();

    static const char *const no[] = {"C relay:relay.connect.ipv4", "wait 20", "s 01070000", NULL};
    poll_confirmed(no);
    ck_assert_int_eq(poll_rc, RC_REFUSED);
    stream_close(near.s);
    end();
    farend_stop();

    static const char *const gone[] = {"C relay:relay.connect.ipv4", "eof", NULL};
    poll_confirmed(gone);
    ck_assert_int_eq(poll_rc, RC_RESET);
    stream_close(near.s);
    end();
    farend_stop();
}
END_TEST

START_TEST(test_relay_shut_sends_the_header_first)
{
    static const char *const script[] = {"C relay:relay.connect.ipv4", "s 01000000", "eof", NULL};
    struct target t = target_of("192.0.2.1:80");
    make(&connector_relay);
    struct stream *s = farend_start(0, script);
    begin(NULL, NULL);
    ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
    ck_assert_int_eq(stream_open(s), RC_OK);
    ck_assert_int_eq(stream_shut(s), RC_OK);
    near = (struct near){.s = s, .want = 0};
    while (!watchdog_fired && !far.saw_eof)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert(far.finished && far.saw_eof);
    stream_close(s);
    end();
    farend_stop();
}
END_TEST

START_TEST(test_relay_udp_to_one_target)
{
    static const char *const script[] = {"c 0181000f040002000102000701010101010035"
                                         "000568656c6c6f",
                                         "S relay:relay.udp.resp-and-dgram", NULL};
    make(&connector_relay);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run_dgram(seed, "1.1.1.1:53", true, script);
        ck_assert(dg->flags & DGRAM_FIXED);
        ck_assert_uint_eq(dg_got, 1);
        ck_assert_str_eq(dg_text, "hello");
        ck_assert_str_eq(dg_from, "1.1.1.1:53");
        end_dgram();
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_relay_association)
{
    static const char *const script[] = {"C sessions:relay-assoc.1", "S sessions:relay-assoc.2",
                                         "C sessions:relay-assoc.3", "S sessions:relay-assoc.4",
                                         NULL};
    make(&connector_relay);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct addr local;
        run_dgram(seed, "1.1.1.1:53", false, script);
        ck_assert_str_eq(dg_text, "world");
        ck_assert_str_eq(dg_from, "1.1.1.1:53");
        ck_assert_int_eq(dgram_local(dg, &local), RC_OK);
        ck_assert_uint_eq(local.port, 40000);
        end_dgram();
    }
    static const char *const denied[] = {"C sessions:relay-assoc.1", "s 01030000", NULL};
    run_dgram(1, "1.1.1.1:53", false, denied);
    /* learnt, in the same millisecond already: from now on a flow per destination */
    ck_assert_int_eq(dg_opened, RC_UNSUPPORTED);
    ck_assert_uint_eq(conn.type->udp(&conn), CONNECTOR_UDP_FIXED);
    struct dgram *again;
    struct stream *s = stream_new(loop);
    ck_assert_int_eq(conn.type->dgram(&conn, s, NULL, NULL, &again), RC_UNSUPPORTED);
    end_dgram();
    static const char *const other[] = {"C sessions:relay-assoc.1", "s 01020000", NULL};
    run_dgram(1, "1.1.1.1:53", false, other);
    ck_assert_int_eq(dg_opened, RC_AUTH);
    ck_assert_uint_eq(conn.type->udp(&conn), CONNECTOR_UDP_FIXED | CONNECTOR_UDP_ANY);
    end_dgram();
    free(conn.cfg);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_relay_is_open_at_once_and_joins,
                                  test_relay_header_leaves_after_5_ms,
                                  test_relay_requests,
                                  test_relay_refusals_come_with_the_first_read,
                                  test_relay_confirmed,
                                  test_relay_shut_sends_the_header_first,
                                  test_relay_udp_to_one_target,
                                  test_relay_association,
                                  NULL};
    return vectors_main("connector_relay", tests);
}
