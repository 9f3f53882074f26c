/* Each connector over a nasty wire against a scripted far end: the exact bytes of wire-protocols.md
 * (its vectors), any segmentation, refusals, glued answers, silence.
 */
#include "connectors/connector.h"
#include "core/dgram.h"
#include "core/floor/tls.h"
#include "core/os.h"
#include "core/stream.h"
#include "farend.h"
#include "tlscerts.h"

enum { SEEDS = 40 };

/* ---------------------------------------------------------------- the near end */

static struct connector conn;
static struct near {
    struct stream *s;
    enum rc opened;   /* RC_AGAIN: not yet */
    const char *send; /* what follows when open (not with datagrams) */
    size_t sent;
    size_t want; /* bytes to receive before it ends */
    char got[4096];
    size_t n;
    bool eof, stop_when_open;
    enum rc failed;
    struct diag diag;
    uint64_t opened_ms;
} near;

static void set_option(const char *key, const void *value, size_t n)
{
    for (const struct option *o = conn.type->options; o->key != NULL; o++)
        if (strcmp(o->key, key) == 0) {
            memcpy((char *)conn.cfg + o->offset, value, n);
            return;
        }
    ck_abort_msg("no option %s", key);
}

static void set_bool(const char *key)
{
    bool yes = true;
    set_option(key, &yes, sizeof yes);
}

static void make(const struct connector_type *type)
{
    conn = (struct connector){.type = type, .cfg = calloc(1, type->cfg_bytes)};
}

/* After the options were set. */
static void begin(const char *user, const char *password)
{
    static const struct tls_cfg no_tls;
    struct diag diag = {.rc = RC_OK};
    struct connector_setup setup = {.loop = loop,
                                    .tls = &no_tls,
                                    .node_name = "node-0",
                                    .node_host = "node.example",
                                    .user = user,
                                    .password = password};
    if (conn.type->init != NULL)
        ck_assert_msg(conn.type->init(&conn, &setup, &diag) == RC_OK, "%s", diag.text);
}

static void greet(struct stream *s)
{
    if (conn.type->greet != NULL)
        ck_assert_int_eq(conn.type->greet(&conn, s), RC_OK);
}

static void end(void)
{
    if (conn.type->done != NULL)
        conn.type->done(&conn);
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}

static void stop_if_done(void)
{
    bool all = near.n >= near.want && (near.send == NULL || near.sent == strlen(near.send));
    if (near.opened == RC_OK && near.failed == RC_OK && all &&
        (far.finished || near.stop_when_open))
        loop_stop(loop);
    if ((near.opened != RC_OK && near.opened != RC_AGAIN) || near.failed != RC_OK)
        loop_stop(loop);
}

static void near_event(struct stream *s, unsigned ready, void *arg)
{
    (void)arg;
    unsigned want = 0;
    if (near.opened == RC_AGAIN) {
        near.opened = stream_open(s);
        near.opened_ms = loop_now_ms(loop);
        near.diag = *stream_diag(s);
        if (near.opened == RC_AGAIN)
            want |= STREAM_OPEN;
    }
    if (near.opened == RC_OK) {
        size_t left = near.send != NULL ? strlen(near.send) - near.sent : 0, n;
        if (left > 0) {
            union {
                const char *in;
                char *out;
            } u = {.in = near.send + near.sent};
            struct iovec v = {u.out, left};
            if (stream_send(s, &v, 1, &n) == RC_OK)
                near.sent += n;
        }
        if ((ready & STREAM_IN) != 0) {
            enum rc rc = stream_recv(s, near.got + near.n, sizeof near.got - near.n, &n);
            if (rc == RC_OK)
                near.n += n;
            else if (rc == RC_EOF)
                near.eof = true;
            else if (rc != RC_AGAIN) {
                near.failed = rc;
                near.diag = *stream_diag(s);
            }
        }
        want |= near.eof ? 0u : (unsigned)STREAM_IN;
        if (near.send != NULL && near.sent < strlen(near.send))
            want |= STREAM_OUT;
    }
    stop_if_done();
    stream_want(s, near.failed == RC_OK ? want : 0, near_event, NULL);
}

static struct target target_of(const char *text)
{
    struct target t = {.name = ""};
    ck_assert_msg(target_parse(text, &t), "%s", text);
    return t;
}

/* One exchange with the connector made before; near tells how it went. */
static void run(uint32_t seed, const char *target, const char *send, size_t want,
                const char *const *script, const char *user, const char *password)
{
    struct target t = target_of(target);
    struct stream *s = farend_start(seed, script);
    begin(user, password);
    near = (struct near){.s = s, .opened = RC_AGAIN, .send = send, .want = want};
    greet(s);
    ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
    near_event(s, 0, NULL);
    while (!watchdog_fired) {
        loop_run(loop);
        if ((near.opened != RC_OK && near.opened != RC_AGAIN) || near.failed != RC_OK ||
            (near.opened == RC_OK && far.finished && near.n >= near.want))
            break;
    }
    ck_assert_msg(!watchdog_fired, "seed %u: stuck, opened %d, at step %s, %zu bytes", seed,
                  (int)near.opened, *far.script != NULL ? *far.script : "end", near.n);
    stream_close(s);
    if (conn.type->done != NULL)
        conn.type->done(&conn);
    farend_stop();
}

static void expect_got(const char *text)
{
    ck_assert_uint_eq(near.n, strlen(text));
    ck_assert_mem_eq(near.got, text, near.n);
}

/* ---------------------------------------------------------------- socks5 */

START_TEST(test_socks5_user_and_password)
{
    static const char *const script[] = {
        "C sessions:s5-auth.1", "S sessions:s5-auth.2", "C sessions:s5-auth.3",
        "S sessions:s5-auth.4", "C sessions:s5-auth.5", "S sessions:s5-auth.6",
        "c 68656c6c6f",         "s 776f726c64",         NULL};
    make(&connector_socks5);
    set_bool("notls");
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run(seed, "example.com:443", "hello", 5, script, "user", "pass");
        ck_assert_int_eq(near.opened, RC_OK);
        expect_got("world");
    }
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}
END_TEST

/* The reply glued to the target's first bytes, of every address type: not one byte may be lost. */
START_TEST(test_socks5_reads_the_reply_exactly)
{
    static const char *const replies[] = {
        "s 0500000100000000000068656c6c6f",
        "s 0500000420010db80000000000000000000000019c4068656c6c6f",
        "s 050000030568656c6c6f1f9068656c6c6f",
        "s 05000003000000"
        "68656c6c6f"};
    make(&connector_socks5);
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        const char *const script[] = {"C socks5:s5.greet.gost", "s 0500",
                                      "C socks5:s5.connect.ipv6", replies[i], NULL};
        for (uint32_t seed = 0; seed < SEEDS / 2; seed++) {
            run(seed, "[2001:db8::1]:443", NULL, 5, script, NULL, NULL);
            ck_assert_int_eq(near.opened, RC_OK);
            expect_got("hello");
        }
    }
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_offers_what_gost_offers)
{
    static const struct {
        const char *greeting, *user;
        bool notls;
    } v[] = {{"C socks5:s5.greet.gost", NULL, false},
             {"C socks5:s5.greet.gost-auth", "u", false},
             {"C socks5:s5.greet.gost-notls", NULL, true},
             {"C socks5:s5.greet.gost-notls-auth", "u", true}};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].greeting, "s 05ff", NULL};
        make(&connector_socks5);
        if (v[i].notls)
            set_bool("notls");
        run(3, "example.com:443", NULL, 0, script, v[i].user, v[i].user);
        ck_assert_int_eq(near.opened, RC_AUTH);
        free(conn.cfg);
    }
}
END_TEST

START_TEST(test_socks5_refusals)
{
    static const struct {
        const char *reply;
        enum rc rc;
    } v[] = {
        {"S socks5:s5.reply.err2", RC_DENIED},       {"S socks5:s5.reply.err3", RC_UNREACH_NET},
        {"S socks5:s5.reply.err4", RC_UNREACH_HOST}, {"S socks5:s5.reply.err5", RC_REFUSED},
        {"s 0400000100000000000000", RC_PROTO},      {"s 05000002000000000000", RC_PROTO}};
    make(&connector_socks5);
    set_bool("notls");
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"s 0500", "C socks5:s5.connect.ipv4", v[i].reply, NULL};
        const char *const with_greeting[] = {"c 050100", script[0], script[1], script[2], NULL};
        run((uint32_t)i, "192.0.2.1:80", NULL, 0, with_greeting, NULL, NULL);
        ck_assert_msg(near.opened == v[i].rc, "%s: %s", v[i].reply, rc_name(near.opened));
    }
    static const char *const wants_user[] = {"c 050100", "s 0502", NULL};
    run(1, "192.0.2.1:80", NULL, 0, wants_user, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_AUTH);
    static const char *const not_offered[] = {"c 050100", "s 0580", NULL};
    run(1, "192.0.2.1:80", NULL, 0, not_offered, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_PROTO);
    static const char *const bad_password[] = {"c 05020002", "s 0502",
                                               "c 01017501"
                                               "70",
                                               "s 0101", NULL};
    run(1, "192.0.2.1:80", NULL, 0, bad_password, "u", "p");
    ck_assert_int_eq(near.opened, RC_AUTH);
    static const char *const hangs_up[] = {"c 050100", "s 05", "eof", NULL};
    run(1, "192.0.2.1:80", NULL, 0, hangs_up, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_PROTO);
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_timeout)
{
    static const char *const script[] = {"c 050100", NULL};
    int64_t ms = 60;
    make(&connector_socks5);
    set_bool("notls");
    set_option("timeout", &ms, sizeof ms);
    run(0, "192.0.2.1:80", NULL, 0, script, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_TIMEOUT);
    ck_assert(strstr(near.diag.text, "socks5") != NULL);
    free(conn.cfg);
}
END_TEST

/* GOST's own methods: TLS starts in the middle of the exchange, under the request. */
START_TEST(test_socks5_tls_methods)
{
    static const char *const plain[] = {
        "C socks5:s5.greet.gost",   "s 0580", "tls", "C socks5:s5.connect.domain",
        "s 0500000100000000000068", "c 3132", NULL};
    static const char *const with_user[] = {
        "C socks5:s5.greet.gost-auth", "s 0582", "tls",
        "C socks5:s5.auth.request",    "s 0100", "C socks5:s5.connect.domain",
        "s 0500000100000000000068",    "c 3132", NULL};
    struct tls_cfg cfg = {.secure = false};
    struct diag diag = {.rc = RC_OK};
    char crt[128], key[128];
    tlscerts_make();
    snprintf(crt, sizeof crt, "%s", tlscerts_file("server.crt"));
    snprintf(key, sizeof key, "%s", tlscerts_file("server.key"));
    cfg.cert_file = crt;
    cfg.key_file = key;
    ck_assert_msg(tls_server_new(&cfg, &farend_tls, &diag) == RC_OK, "%s", diag.text);
    make(&connector_socks5);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        bool user = seed % 2 == 0;
        run(seed, "example.com:443", "12", 1, user ? with_user : plain, user ? "user" : NULL,
            user ? "pass" : NULL);
        ck_assert_msg(near.opened == RC_OK, "%s", near.diag.text);
        expect_got("h");
    }
    free(conn.cfg);
    tls_ctx_unref(farend_tls);
    tlscerts_remove();
}
END_TEST

/* ---------------------------------------------------------------- socks4 */

START_TEST(test_socks4_exchanges)
{
    static const struct {
        const char *target, *request;
        bool disable4a;
        const char *user;
    } v[] = {{"example.com:443", "C socks4:s4a.connect.gost", false, "user"},
             {"192.0.2.1:80", "C socks4:s4a.connect.ip-literal", false, NULL},
             {"[2001:db8::1]:443", "C socks4:s4a.connect.ip6-literal", false, NULL},
             {"192.0.2.1:80", "C socks4:s4.connect", true, NULL}};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].request, "s 005a00000000000068656c6c6f", "c 3132", NULL};
        make(&connector_socks4);
        if (v[i].disable4a)
            set_bool("disable4a");
        for (uint32_t seed = 0; seed < SEEDS / 2; seed++) {
            run(seed, v[i].target, "12", 5, script, v[i].user, NULL);
            ck_assert_int_eq(near.opened, RC_OK);
            expect_got("hello");
        }
        free(conn.cfg);
    }
}
END_TEST

START_TEST(test_socks4_refusals)
{
    static const struct {
        const char *reply;
        enum rc rc;
    } v[] = {{"S socks4:s4.reply.failed", RC_UNREACH_HOST},
             {"S socks4:s4.reply.rejected", RC_DENIED},
             {"S socks4:s4.reply.userid", RC_AUTH},
             {"S socks4:s4.bad.reply-version", RC_PROTO}};
    make(&connector_socks4);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"C socks4:s4a.connect.ip-literal", v[i].reply, NULL};
        run((uint32_t)i, "192.0.2.1:80", NULL, 0, script, NULL, NULL);
        ck_assert_int_eq(near.opened, v[i].rc);
    }
    free(conn.cfg);
}
END_TEST

/* ---------------------------------------------------------------- http */

START_TEST(test_http_connect)
{
    static const struct {
        const char *target, *request, *user;
    } v[] = {{"example.com:443", "C http-connect:http.connect.gost", NULL},
             {"example.com:443", "C http-connect:http.connect.gost-auth", "user"},
             {"[2001:db8::1]:443", "C http-connect:http.connect.ipv6", NULL}};
    static const char *const answers[] = {"S http-connect:http.resp.200",
                                          "S http-connect:http.resp.chunked-200"};
    make(&connector_http);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].request, answers[i % 2], "a 53534820", "c 3132", NULL};
        for (uint32_t seed = 0; seed < SEEDS; seed++) {
            run(seed, v[i].target, "12", 4, script, v[i].user, v[i].user != NULL ? "pass" : NULL);
            ck_assert_msg(near.opened == RC_OK, "%s", near.diag.text);
            expect_got("SSH ");
        }
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_http_refusals)
{
    static const struct {
        const char *answer;
        enum rc rc;
    } v[] = {{"S http-connect:http.resp.407", RC_AUTH},
             {"S http-connect:http.resp.403", RC_DENIED},
             {"S http-connect:http.resp.503", RC_UNREACH_HOST},
             {"s 5353482d322e302d4f70656e5353480d0a0d0a", RC_PROTO}};
    make(&connector_http);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"C http-connect:http.connect.gost", v[i].answer, NULL};
        run((uint32_t)i, "example.com:443", NULL, 0, script, NULL, NULL);
        ck_assert_msg(near.opened == v[i].rc, "%s: %s", v[i].answer, rc_name(near.opened));
    }
    static const char *const ends[] = {"C http-connect:http.connect.gost", "s 485454502f312e",
                                       "eof", NULL};
    run(5, "example.com:443", NULL, 0, ends, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_RESET);
    free(conn.cfg);
}
END_TEST

/* ---------------------------------------------------------------- relay */

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

/* A bottom floor that lends its buffers, as lwIP's does: what is written stands in `out`, what is
 * to be read in `in`.
 */
struct lender {
    struct layer layer;
    char in[64], out[256];
    size_t in_at, in_n, out_n, room; /* room: of the next reserve */
    int sends;
};

static enum rc lend_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct lender *d = (struct lender *)l;
    size_t n = d->in_n - d->in_at < cap ? d->in_n - d->in_at : cap;
    if (n == 0)
        return RC_AGAIN;
    memcpy(buf, d->in + d->in_at, n);
    d->in_at += n;
    *ret_n = n;
    return RC_OK;
}

static enum rc lend_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct lender *d = (struct lender *)l;
    size_t n = 0;
    for (int i = 0; i < nv; i++) {
        memcpy(d->out + d->out_n, v[i].iov_base, v[i].iov_len);
        d->out_n += v[i].iov_len;
        n += v[i].iov_len;
    }
    d->sends++;
    *ret_n = n;
    return RC_OK;
}

static enum rc lend_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct lender *d = (struct lender *)l;
    (void)cap;
    if (d->in_at == d->in_n)
        return RC_AGAIN;
    v[0] = (struct iovec){d->in + d->in_at, d->in_n - d->in_at};
    *ret_n = 1;
    return RC_OK;
}

static enum rc lend_consume(struct layer *l, size_t n)
{
    ((struct lender *)l)->in_at += n;
    return RC_OK;
}

static enum rc lend_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct lender *d = (struct lender *)l;
    (void)want;
    *ret_v = (struct iovec){d->out + d->out_n, d->room};
    return RC_OK;
}

static enum rc lend_commit(struct layer *l, size_t n)
{
    ((struct lender *)l)->out_n += n;
    return RC_OK;
}

static unsigned lend_ready(const struct layer *l, unsigned wish)
{
    (void)l;
    return wish;
}

static const struct layer_type lender_type = {.name = "lender",
                                              .recv = lend_recv,
                                              .send = lend_send,
                                              .peek = lend_peek,
                                              .consume = lend_consume,
                                              .reserve = lend_reserve,
                                              .commit = lend_commit,
                                              .ready = lend_ready};

/* The request stands in the lent room in front of the payload; the answer is consumed before the
 * payload is lent.
 */
START_TEST(test_relay_lends_through)
{
    static const uint8_t request[] = {1, 1, 0, 10, 2, 0, 7, 1, 192, 0, 2, 1, 0, 80};
    struct diag diag = {.rc = RC_OK};
    struct target t = target_of("192.0.2.1:80");
    for (size_t room = 4; room <= 64; room += 30) {
        struct lender *d = calloc(1, sizeof *d);
        struct iovec v;
        int n;
        loop = loop_new(&diag);
        make(&connector_relay);
        begin(NULL, NULL);
        d->layer.type = &lender_type;
        d->room = room;
        struct stream *s = stream_new(loop);
        stream_push(s, &d->layer);
        ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
        ck_assert_int_eq(stream_open(s), RC_OK);
        /* taken and given back: nothing has happened */
        if (room > sizeof request) {
            ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
            ck_assert_int_eq(stream_commit(s, 0), RC_OK);
            ck_assert_uint_eq(d->out_n, 0);
        }
        ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
        memcpy(v.iov_base, "hi", 2);
        ck_assert_int_eq(stream_commit(s, 2), RC_OK);
        ck_assert_uint_eq(d->out_n, sizeof request + 2);
        ck_assert_mem_eq(d->out, request, sizeof request);
        ck_assert_mem_eq(d->out + sizeof request, "hi", 2);
        ck_assert_int_eq(d->sends, room > sizeof request ? 0 : 1);
        ck_assert_int_eq(stream_reserve(s, 16, &v), RC_OK);
        memcpy(v.iov_base, "!", 1);
        ck_assert_int_eq(stream_commit(s, 1), RC_OK);
        ck_assert_uint_eq(d->out_n, sizeof request + 3);

        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        memcpy(d->in, "\1\0\0\0hello", 9);
        d->in_n = 3;
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        d->in_n = 9;
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_OK);
        ck_assert_uint_eq(v.iov_len, 5);
        ck_assert_mem_eq(v.iov_base, "hello", 5);
        ck_assert_int_eq(stream_consume(s, 5), RC_OK);
        ck_assert_int_eq(stream_peek(s, &v, 1, &n), RC_AGAIN);
        stream_close(s);
        end();
        loop_free(loop);
    }
}
END_TEST

/* ---------------------------------------------------------------- datagrams */

static struct dgram *dg;
static enum rc dg_opened, dg_failed;
static size_t dg_got;
static bool dg_sent;
static char dg_from[TARGET_TEXT_MAX], dg_text[64];
static const char *dg_to;

static void dg_event(struct dgram *d, unsigned ready, void *arg)
{
    (void)arg;
    if (dg_opened == RC_AGAIN) {
        dg_opened = dgram_open(d);
        if (dg_opened != RC_OK && dg_opened != RC_AGAIN) {
            loop_stop(loop);
            dgram_want(d, 0, NULL, NULL);
            return;
        }
    }
    if (dg_opened == RC_OK && !dg_sent) { /* the wire may say "not now": then it was dropped */
        struct target to = target_of(dg_to);
        enum rc rc = dgram_send(d, &to, "hello", 5);
        ck_assert(rc == RC_OK || rc == RC_AGAIN);
        dg_sent = rc == RC_OK;
    }
    if (dg_opened == RC_OK && (ready & STREAM_IN) != 0) {
        struct target from;
        size_t n;
        enum rc rc = dgram_recv(d, dg_text, sizeof dg_text - 1, &n, &from);
        if (rc == RC_OK) {
            dg_text[n] = 0;
            dg_got++;
            target_format(&from, dg_from, sizeof dg_from);
        } else if (rc != RC_AGAIN) {
            dg_failed = rc;
            loop_stop(loop);
        }
    }
    unsigned want = dg_opened == RC_AGAIN ? STREAM_OPEN : dg_failed != RC_OK ? 0 : STREAM_IN;
    if (dg_opened == RC_OK && !dg_sent)
        want |= STREAM_OUT;
    dgram_want(d, want, dg_event, NULL);
}

static void run_dgram(uint32_t seed, const char *to, bool fixed, const char *const *script)
{
    static const struct sockopts so;
    struct target t = target_of(to);
    struct stream *s = farend_start(seed, script);
    begin(NULL, NULL);
    dg_opened = RC_AGAIN;
    dg_failed = RC_OK;
    dg_got = 0;
    dg_sent = false;
    dg_to = to;
    ck_assert_int_eq(stream_open(s), RC_OK);
    greet(s);
    ck_assert_int_eq(conn.type->dgram(&conn, s, fixed ? &t : NULL, &so, &dg), RC_OK);
    dg_event(dg, 0, NULL);
    while (!watchdog_fired && (dg_opened == RC_AGAIN || (dg_opened == RC_OK && dg_got == 0)))
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert_msg(!watchdog_fired, "seed %u: stuck at %s", seed,
                  *far.script != NULL ? *far.script : "end");
}

static void end_dgram(void)
{
    dgram_close(dg);
    conn.type->done(&conn);
    farend_stop();
}

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

START_TEST(test_socks5_udp_tunnel)
{
    static const char *const script[] = {"C sessions:s5-udptun.1",
                                         "S sessions:s5-udptun.2",
                                         "C socks5:s5.udptun-anyfamily",
                                         "S sessions:s5-udptun.4",
                                         "C sessions:s5-udptun.5",
                                         "S sessions:s5-udptun.6",
                                         NULL};
    make(&connector_socks5);
    set_bool("notls");
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run_dgram(seed, "1.1.1.1:53", false, script);
        ck_assert_str_eq(dg_text, "world");
        end_dgram();
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_socks5_learns_that_udp_tun_is_refused)
{
    static const char *const refused[] = {"c 050100", "s 0500", "c 05f30003000000",
                                          "s 05070001000000000000", NULL};
    static const char *const hangs_up[] = {"c 050100", "s 0500", "c 05f30003000000", "eof", NULL};
    static const char *const then[] = {"c 050100", "s 0500", "c 05030001000000000000",
                                       "s 05070001000000000000", NULL};
    for (int i = 0; i < 2; i++) {
        make(&connector_socks5);
        set_bool("notls");
        run_dgram(2, "1.1.1.1:53", false, i == 0 ? refused : hangs_up);
        ck_assert_int_eq(dg_opened, RC_UNSUPPORTED);
        dgram_close(dg);
        farend_stop();
        /* the same connector asks the standard way now; refused again it is final */
        static const struct sockopts so;
        struct stream *s = farend_start(2, then);
        dg_opened = RC_AGAIN;
        ck_assert_int_eq(stream_open(s), RC_OK);
        greet(s);
        ck_assert_int_eq(conn.type->dgram(&conn, s, NULL, &so, &dg), RC_OK);
        dg_event(dg, 0, NULL);
        while (!watchdog_fired && dg_opened == RC_AGAIN)
            uv_run(loop_uv(loop), UV_RUN_ONCE);
        ck_assert_int_eq(dg_opened, RC_DENIED);
        dgram_close(dg);
        farend_stop();
        end();
    }
}
END_TEST

START_TEST(test_http_udp)
{
    static const char *const script[] = {
        "c 434f4e4e4543542020485454502f312e310d0a486f73743a200d0a557365722d4167656e743a20476f2d6874"
        "74702d636c69656e742f312e310d0a50726f78792d436f6e6e656374696f6e3a206b6565702d616c6976650d0a"
        "582d476f73742d50726f746f636f6c3a207564700d0a0d0a",
        "S http-connect:http.resp.200-udp", "a 0005ff01010101010035776f726c64",
        "C sessions:s5-udptun.5", NULL};
    make(&connector_http);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run_dgram(seed, "1.1.1.1:53", false, script);
        ck_assert_str_eq(dg_text, "world");
        end_dgram();
    }
    free(conn.cfg);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks5_user_and_password,
                                  test_socks5_reads_the_reply_exactly,
                                  test_socks5_offers_what_gost_offers,
                                  test_socks5_refusals,
                                  test_socks5_timeout,
                                  test_socks5_tls_methods,
                                  test_socks4_exchanges,
                                  test_socks4_refusals,
                                  test_http_connect,
                                  test_http_refusals,
                                  test_relay_is_open_at_once_and_joins,
                                  test_relay_header_leaves_after_5_ms,
                                  test_relay_requests,
                                  test_relay_refusals_come_with_the_first_read,
                                  test_relay_confirmed,
                                  test_relay_shut_sends_the_header_first,
                                  test_relay_lends_through,
                                  test_relay_udp_to_one_target,
                                  test_relay_association,
                                  test_socks5_udp_tunnel,
                                  test_socks5_learns_that_udp_tun_is_refused,
                                  test_http_udp,
                                  NULL};
    return vectors_main("connectors", tests);
}
