/* The dns listener and handler with clients that behave badly, well, and slowly; the upstream is a
 * peer of ours.
 */
#include "dnspeer.h"
#include "handlers/dns_inside.h"
#include "handlers/types.h"
#include "listeners/types.h"
#include "run.h"
#include <sys/resource.h>

static struct dns_peer peer, second;
static struct handler handler;
static struct router *router;
static struct listener listener[2]; /* udp, tcp */
static uint16_t port[2];
static int n_clients;
static char *upstreams[4];
static int64_t timeout_ms = 2500; /* of an upstream */
static uint8_t client_host = 1;   /* of 127.0.0.x */
static bool is_amid_dead; /* the peer: one upstream before it and one behind it are closed ports */

static void on_stream_client(void *arg, struct stream *s, const struct client_info *info)
{
    (void)arg;
    n_clients++;
    handler.type->serve(&handler, s, info);
}

static void on_dgram_client(void *arg, struct dgram *d, const struct client_info *info)
{
    (void)arg;
    n_clients++;
    handler.type->serve_dgram(&handler, d, info);
}

static void on_broken(void *arg, const struct diag *why)
{
    (void)arg;
    ck_abort_msg("%s", why->text);
}

static int64_t upstream_ms = 2500;

static void start(dns_peer_fn *answer, dns_peer_fn *answer_second, int64_t read_timeout_ms)
{
    struct diag diag = {.rc = RC_OK};
    struct handler_setup setup = {.service = "dns", .listener = "dns", .tls = &no_tls};
    char addr[64];
    world_start();
    peer_start(&peer, answer);
    peer_start(&second, answer_second != NULL ? answer_second : answer);
    router = router_new(&(struct router_cfg){.loop = loop, .service = "dns"});
    setup.loop = loop;
    setup.router = router;
    handler = (struct handler){.type = &handler_dns,
                               .cfg = cfg_of(handler_dns.options, handler_dns.cfg_bytes)};
    struct strlist list = {.v = calloc(4, sizeof(char *)),
                           .n = is_amid_dead            ? 3
                                : answer_second != NULL ? 2
                                                        : 1};
    for (size_t i = 0; i < list.n; i++) {
        snprintf(addr, sizeof addr, "udp://127.0.0.1:%zu",
                 is_amid_dead && i != 1        ? i + 1
                 : i == (is_amid_dead ? 1 : 0) ? peer.port
                                               : (size_t)second.port);
        list.v[i] = upstreams[i] = strdup(addr);
    }
    set_option(handler_dns.options, handler.cfg, "dns", &list, sizeof list);
    set_option(handler_dns.options, handler.cfg, "timeout", &upstream_ms, sizeof upstream_ms);
    set_option(handler_dns.options, handler.cfg, "readTimeout", &read_timeout_ms,
               sizeof read_timeout_ms);
    ck_assert_msg(handler_dns.init(&handler, &setup, &diag) == RC_OK, "%s", diag.text);
    n_clients = 0;
    for (int i = 0; i < 2; i++) {
        static const struct sockopts so;
        struct listener_setup ls = {
            .loop = loop, .service = "dns", .addr = "127.0.0.1:0", .tls = &no_tls, .so = &so};
        struct listener_events ev = {on_stream_client, on_dgram_client, on_broken, NULL, NULL};
        char where[128];
        listener[i] = (struct listener){.type = &listener_dns};
        listener[i].cfg = cfg_of(listener_dns.options, listener_dns.cfg_bytes);
        set_option(listener_dns.options, listener[i].cfg, "mode", &i, sizeof i);
        ck_assert_msg(listener_dns.open(&listener[i], &ls, &diag) == RC_OK, "%s", diag.text);
        ck_assert_int_eq(listener_dns.start(&listener[i], &ev, &diag), RC_OK);
        port[i] =
            (uint16_t)atoi(strchr(listener_dns.where(&listener[i], where, sizeof where), ':') + 1);
    }
}

static void stop(void)
{
    for (int i = 0; i < 2; i++)
        listener_dns.stop(&listener[i]);
    handler_dns.done(&handler);
    for (int i = 0; i < 2; i++) {
        listener_dns.done(&listener[i]);
        options_done(listener_dns.options, listener[i].cfg);
        free(listener[i].cfg);
    }
    options_done(handler_dns.options, handler.cfg);
    free(handler.cfg);
    router_free(router);
    peer_stop(&peer);
    peer_stop(&second);
    world_stop();
}

/* ---------------------------------------------------------------- a client */

static struct timer tick;
static void on_tick(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static void spin(uint64_t ms)
{
    timer_init(loop, &tick, on_tick);
    ck_assert(timer_start(&tick, ms));
    loop_run(loop);
}

static int client_to(int kind)
{
    struct addr at = loopback(AF_INET, port[kind]);
    int fd;
    ck_assert_int_eq(
        os_socket_for(kind == 0 ? SOCK_DGRAM : SOCK_STREAM, &at, NULL, NULL, &fd, NULL), RC_OK);
    struct sockaddr_storage own;
    struct addr host = {.family = AF_INET, .ip = {127, 0, 0, client_host}};
    socklen_t own_n = addr_to_sockaddr(&host, false, &own);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, own_n), 0);
    enum rc rc = os_connect(fd, &at, NULL);
    ck_assert(rc == RC_OK || rc == RC_AGAIN);
    spin(2);
    return fd;
}

static uint8_t in[1 << 20];
static size_t n_in;

/* Waits for so many bytes, or for the end (-1 is the answer then). */
static ssize_t hear(int fd, size_t wanted)
{
    n_in = 0;
    for (int i = 0; i < 4000 && n_in < wanted; i++) {
        ssize_t n = recv(fd, in + n_in, sizeof in - n_in, MSG_DONTWAIT);
        if (n > 0)
            n_in += (size_t)n;
        else if (n == 0)
            return -1;
        else
            spin(1);
    }
    return (ssize_t)n_in;
}

static size_t query(uint8_t *buf, uint16_t id, const char *name)
{
    size_t n;
    struct dns_query q = {.id = id, .type = DNS_A, .name = name, .edns_bytes = 1232};
    ck_assert_int_eq(dns_format_query(&q, buf, 512, &n), RC_OK);
    return n;
}

static void say_udp(int fd, const void *p, size_t n)
{
    ck_assert_int_eq(send(fd, p, n, 0), (ssize_t)n);
}

static void say_framed(int fd, const void *p, size_t n)
{
    uint8_t out[2 + 600];
    put16(out, (unsigned)n);
    memcpy(out + 2, p, n);
    ck_assert_int_eq(send(fd, out, 2 + n, MSG_NOSIGNAL), (ssize_t)(2 + n));
}

static unsigned rcode(void)
{
    return in[3] & 0xf;
}

/* ---------------------------------------------------------------- odd questions */

START_TEST(test_odd_questions_over_udp)
{
    uint8_t q[512], two[512];
    start(answer_addr, NULL, 0);
    int fd = client_to(0);
    size_t n = query(q, 0x0102, "a.test");
    say_udp(fd, q, 5); /* too short to be anything */
    q[2] |= 0x80;
    say_udp(fd, q, n); /* an answer */
    q[2] = 0x11;       /* opcode 2 */
    say_udp(fd, q, n);
    ck_assert_int_ge(hear(fd, 12), 12);
    ck_assert_uint_eq(rcode(), DNS_NOTIMP);
    q[2] = 1;
    memcpy(two, q, 24);
    memcpy(two + 24, q + 12, 12); /* the question again */
    two[5] = 2;
    two[11] = 0;
    say_udp(fd, two, 36);
    ck_assert_int_ge(hear(fd, 12), 12);
    ck_assert_uint_eq(rcode(), DNS_FORMERR);
    ck_assert_uint_eq(in[0] << 8 | in[1], 0x0102);
    say_udp(fd, q, 20); /* cut in the question */
    ck_assert_int_eq(hear(fd, 12), 12);
    ck_assert_uint_eq(rcode(), DNS_FORMERR);
    say_udp(fd, q, n - 3); /* cut in the additional record */
    ck_assert_int_eq(hear(fd, 12), 12);
    ck_assert_uint_eq(rcode(), DNS_FORMERR);
    ck_assert_int_eq(peer.asked_udp, 0);
    say_udp(fd, q, n);
    ck_assert_int_ge(hear(fd, 12), 12);
    ck_assert_uint_eq(rcode(), DNS_NOERROR);
    ck_assert_int_eq(peer.asked_udp, 1);
    ck_assert_int_eq(n_clients, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(test_odd_bytes_over_tcp)
{
    static const char *const bad[] = {"\0\5hello", "\0\0", "\0\13hello world"};
    start(answer_addr, NULL, 0);
    for (int i = 0; i < 3; i++) {
        int fd = client_to(1);
        ck_assert_int_gt(send(fd, bad[i], i == 1 ? 2 : 7, MSG_NOSIGNAL), 0);
        ck_assert_int_eq(hear(fd, 1), -1); /* nothing can be said to that */
        close(fd);
    }
    int fd = client_to(1);
    ck_assert_int_eq(send(fd, "\377\377", 2, MSG_NOSIGNAL), 2); /* nobody asks so much */
    ck_assert_int_eq(hear(fd, 1), -1);
    close(fd);
    fd = client_to(1);
    uint8_t q[512];
    size_t n = query(q, 7, "a.test");
    say_framed(fd, q, n - 3); /* a message of its own that is cut: the next one counts */
    say_framed(fd, q, n);
    ck_assert_int_eq(hear(fd, 14 + 42), 14 + 42);
    ck_assert_uint_eq(in[5] & 0xf, DNS_FORMERR);
    ck_assert_uint_eq(in[14 + 5] & 0xf, DNS_NOERROR);
    close(fd);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- many, slow, half closed */

START_TEST(test_a_thousand_questions_on_one_connection)
{
    uint8_t q[512], seen[1000] = {0};
    char name[32];
    start(answer_addr, NULL, 0);
    int fd = client_to(1);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%04d.test", i);
        size_t n = query(q, (uint16_t)i, name);
        say_framed(fd, q, n);
        if (i % 50 == 0)
            spin(1);
    }
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0); /* what was asked is answered all the same */
    size_t one = 2 + 12 + 16 + 16;              /* head, question, record */
    ck_assert_int_eq(hear(fd, 1000 * one), (ssize_t)(1000 * one));
    for (size_t at = 0; at < n_in; at += one) {
        unsigned id = (unsigned)(in[at + 2] << 8 | in[at + 3]);
        ck_assert_uint_eq(in[at + 1], one - 2);
        ck_assert_uint_lt(id, 1000);
        ck_assert(!seen[id]++);
    }
    ck_assert_int_eq(hear(fd, 1), -1); /* then it is done */
    ck_assert_int_eq(peer.asked_udp, 1000);
    close(fd);
    stop();
}
END_TEST

static void answer_big(struct dns_asker *to, const uint8_t *q, size_t n)
{
    static const uint8_t text[251] = {250, 'x'};
    static uint8_t out[8192];
    struct peer_record v[4];
    for (int i = 0; i < 4; i++)
        v[i] = (struct peer_record){.type = DNS_TXT, .ttl = 5, .data = text, .n = sizeof text};
    peer_say(to, out, peer_build(out, q, n, 0, v, 4));
}

/* It asks and asks and does not read: it is not listened to until it does, and nothing grows. */
START_TEST(test_a_client_that_does_not_read)
{
    uint8_t q[512], framed[514];
    char name[32];
    int small = 200000, sent = 0; /* some segments of loopback */
    size_t left = 0, n = 0;
    start(answer_big, NULL, 0);
    int fd = client_to(1);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    for (int refused = 0; refused < 100 && sent < 50000;) { /* until nobody takes any more */
        if (left == 0) {
            snprintf(name, sizeof name, "n%05d.test", sent++);
            n = query(q, (uint16_t)sent, name);
            put16(framed, (unsigned)n);
            memcpy(framed + 2, q, n);
            left = n += 2;
        }
        ssize_t taken = send(fd, framed + n - left, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        refused = taken > 0 ? 0 : refused + 1;
        left -= taken > 0 ? (size_t)taken : 0;
        if (taken <= 0)
            spin(2);
    }
    ck_assert_int_lt(sent, 50000);
    int asked;
    do { /* what was under way comes to rest, with much of what it said not asked */
        asked = peer.asked_udp;
        spin(300);
    } while (peer.asked_udp != asked);
    ck_assert_int_lt(asked, sent - 100);
    for (int i = 0; i < 20 && peer.asked_udp == asked; i++) /* it reads: on it goes */
        ck_assert_int_gt(hear(fd, 500000), 100000);
    ck_assert_int_gt(peer.asked_udp, asked);
    close(fd);
    stop();
}
END_TEST

static struct dns_asker held_to;
static uint8_t held[64][512];
static size_t held_n[64];
static int n_held;

static void hold(struct dns_asker *to, const uint8_t *q, size_t n)
{
    held_to = *to;
    memcpy(held[n_held], q, n);
    held_n[n_held] = n;
    n_held += n_held < 63;
}

START_TEST(test_a_client_may_have_64_questions_open)
{
    uint8_t q[512];
    char name[32];
    start(hold, NULL, 0);
    n_held = 0;
    int udp = client_to(0), tcp = client_to(1);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "n%03d.test", i);
        size_t n = query(q, (uint16_t)i, name);
        say_udp(udp, q, n);
        q[13] = 't'; /* another name */
        say_framed(tcp, q, n);
        spin(1);
    }
    spin(5);
    ck_assert_int_eq(peer.asked_udp, 128);
    close(tcp); /* its questions go with it, and the answers find nobody */
    spin(10);
    close(udp);
    stop();
}
END_TEST

START_TEST(test_answers_after_the_client_has_gone)
{
    uint8_t q[512];
    start(hold, NULL, 0);
    n_held = 0;
    int tcp = client_to(1);
    size_t n = query(q, 1, "a.test");
    say_framed(tcp, q, n);
    for (int i = 0; i < 100 && n_held == 0; i++)
        spin(1);
    ck_assert_int_eq(n_held, 1);
    struct linger reset = {1, 0};
    (void)setsockopt(tcp, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(tcp);
    spin(10);
    answer_addr(&held_to, held[0], held_n[0]);
    spin(10);
    stop();
}
END_TEST

START_TEST(test_silence_ends_a_connection)
{
    uint8_t q[512];
    start(hold, NULL, 200);
    n_held = 0;
    uv_update_time(loop_uv(loop));
    uint64_t from = loop_now_ms(loop);
    int idle = client_to(1), half = client_to(1), asking = client_to(1);
    (void)send(half, "\0\40half", 6, MSG_NOSIGNAL);
    size_t n = query(q, 1, "a.test");
    say_framed(asking, q, n);
    ck_assert_int_eq(hear(idle, 1), -1);
    ck_assert_int_eq(hear(half, 1), -1);
    ck_assert_uint_ge(loop_now_ms(loop) - from, 150);
    spin(150);
    ck_assert_int_eq(recv(asking, in, 10, MSG_DONTWAIT), -1); /* it waits for us: not closed */
    answer_addr(&held_to, held[0], held_n[0]);
    ck_assert_int_gt(hear(asking, 20), 0);
    ck_assert_int_eq(hear(asking, 1000), -1);
    close(idle);
    close(half);
    close(asking);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- upstreams */

static void say_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

START_TEST(test_a_silent_upstream_holds_nobody_up)
{
    uint8_t q[512];
    upstream_ms = 30000; /* so long it would be waited for */
    start(say_nothing, answer_addr, 0);
    int fd = client_to(0);
    uint64_t worst = 0;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d.test", i);
        size_t n = query(q, (uint16_t)i, name);
        uv_update_time(loop_uv(loop));
        uint64_t from = loop_now_ms(loop);
        say_udp(fd, q, n);
        ck_assert_int_gt(hear(fd, 12), 12);
        ck_assert_uint_eq(rcode(), DNS_NOERROR);
        if (loop_now_ms(loop) - from > worst)
            worst = loop_now_ms(loop) - from;
    }
    ck_assert_uint_lt(worst, 15000);
    ck_assert_int_lt(peer.asked_udp, 6); /* and is left alone then: one question, sent again */
    ck_assert_int_eq(second.asked_udp, 6);
    close(fd);
    stop();
}
END_TEST

/* The last try is the last one, however quickly those before it failed. */
START_TEST(test_no_more_tries_than_three)
{
    uint8_t q[512];
    is_amid_dead = true;
    start(say_nothing, NULL, 0);
    is_amid_dead = false;
    int fd = client_to(0);
    say_udp(fd, q, query(q, 7, "n.test"));
    ck_assert_int_gt(hear(fd, 12), 0);
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_int_ge(peer.asked_udp, 1);
    close(fd);
    stop();
}
END_TEST

START_TEST(test_servfail_when_nobody_answers)
{
    uint8_t q[512];
    start(say_nothing, NULL, 0);
    int fd = client_to(0);
    size_t n = query(q, 0x4242, "a.test");
    say_udp(fd, q, n);
    ck_assert_int_eq(hear(fd, 12), 12 + 12 + 11); /* with the question, and EDNS */
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_uint_eq(in[0] << 8 | in[1], 0x4242);
    ck_assert_int_ge(peer.asked_udp, 2);
    close(fd);
    stop();
}
END_TEST

START_TEST(test_an_answer_is_kept_for_all_but_a_subnet)
{
    uint8_t q[512];
    struct cidr net = {.bits = 24};
    ck_assert(addr_parse_ip("203.0.113.0", 11, &net.net));
    start(answer_addr, NULL, 0);
    int a = client_to(0), b = client_to(1);
    size_t n = query(q, 1, "kept.test");
    say_udp(a, q, n);
    ck_assert_int_gt(hear(a, 12), 12);
    say_framed(b, q, n);
    ck_assert_int_gt(hear(b, 14), 14);
    ck_assert_int_eq(peer.asked_udp, 1);
    struct dns_query with = {.id = 2, .type = DNS_A, .name = "kept.test", .subnet = &net};
    ck_assert_int_eq(dns_format_query(&with, q, sizeof q, &n), RC_OK);
    for (int i = 0; i < 2; i++) {
        say_udp(a, q, n);
        ck_assert_int_gt(hear(a, 12), 12);
    }
    ck_assert_int_eq(peer.asked_udp, 3);
    close(a);
    close(b);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- equal questions */

static void wait_held(int n)
{
    for (int i = 0; i < 500 && n_held < n; i++)
        spin(1);
    spin(5);
    ck_assert_int_eq(n_held, n);
}

static struct dns_asker first_asker;
static void hold_first(struct dns_asker *to, const uint8_t *q, size_t n)
{
    if (n_held == 0)
        first_asker = *to;
    hold(to, q, n);
}

START_TEST(test_one_answer_for_all)
{
    enum { CLIENTS = 20 };
    uint8_t q[512];
    int fd[CLIENTS];
    start(hold_first, NULL, 0);
    n_held = 0;
    for (int i = 0; i < CLIENTS; i++) {
        fd[i] = client_to(i % 2);
        size_t n = query(q, (uint16_t)(100 + i), i % 3 == 0 ? "Same.test" : "same.TEST");
        if (i % 2 == 0)
            say_udp(fd[i], q, n);
        else
            say_framed(fd[i], q, n);
    }
    wait_held(1);
    close(fd[5]); /* one of those who wait goes */
    spin(5);
    answer_addr(&first_asker, held[0], held_n[0]);
    for (int i = 0; i < CLIENTS; i++) {
        size_t head = i % 2;
        if (i == 5)
            continue;
        ck_assert_int_gt(hear(fd[i], 2 * head + 30), 0);
        const uint8_t *m = in + 2 * head;
        ck_assert_uint_eq(m[0] << 8 | m[1], 100 + i);
        ck_assert_mem_eq(m + 13, i % 3 == 0 ? "Same" : "same", 4); /* as it was asked for */
        ck_assert_mem_eq(m + 18, i % 3 == 0 ? "test" : "TEST", 4);
        ck_assert_uint_eq(m[7], 1);
        close(fd[i]);
    }
    ck_assert_int_eq(peer.asked_udp, 1);
    stop();
}
END_TEST

START_TEST(test_who_waits_asks_when_the_first_has_gone)
{
    uint8_t q[512];
    start(hold_first, NULL, 0);
    n_held = 0;
    int a = client_to(1), b = client_to(1), c = client_to(0);
    size_t n = query(q, 1, "same.test");
    say_framed(a, q, n);
    wait_held(1);
    say_framed(b, q, n);
    say_udp(c, q, n);
    spin(5);
    struct linger reset = {1, 0};
    (void)setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(a);
    n_held = 0;
    wait_held(1);
    answer_addr(&first_asker, held[0], held_n[0]);
    ck_assert_int_gt(hear(b, 30), 30);
    ck_assert_int_gt(hear(c, 30), 30);
    ck_assert_int_eq(peer.asked_udp, 2);
    close(b);
    close(c);
    stop();
}
END_TEST

START_TEST(test_servfail_for_all_who_wait)
{
    uint8_t q[512];
    start(say_nothing, NULL, 0);
    int a = client_to(0), b = client_to(1);
    size_t n = query(q, 1, "same.test");
    say_udp(a, q, n);
    say_udp(a, q, n); /* sent twice by an impatient client */
    say_framed(b, q, n);
    ck_assert_int_gt(hear(a, 30), 30);
    ck_assert_uint_eq(rcode(), DNS_SERVFAIL);
    ck_assert_int_gt(hear(b, 30), 30);
    ck_assert_uint_eq(in[5] & 0xf, DNS_SERVFAIL);
    close(a);
    close(b);
    stop();
}
END_TEST

static unsigned open_now(void)
{
    return ((struct dns_front *)handler.state)->open;
}

/* One client asks by 60 connections what nobody answers: then it is told so at once, and the next
 * client is served. */
START_TEST(test_one_client_leaves_room_for_others)
{
    enum { CONNECTIONS = 60 };
    uint8_t q[512];
    struct rlimit files;
    int greedy[CONNECTIONS];
    timeout_ms = 15000;
    n_held = 0;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = 800; /* of which questions may take 200 */
    ck_assert_int_eq(_i ? setrlimit(RLIMIT_NOFILE, &files) : 0, 0);
    start(hold, NULL, 0);
    const unsigned most = (unsigned)((struct dns_front *)handler.state)->open_max;
    const unsigned share = most - most / SHARES_RESERVE_PART;
    ck_assert(_i ? most == 200 : most <= DNS_OPEN_ALL_MAX);
    size_t n = query(q, 7, "held.test");
    client_host = 2;
    for (int i = 0; i < CONNECTIONS; i++) {
        greedy[i] = client_to(1);
        for (int k = 0; k < 64; k++)
            say_framed(greedy[i], q, n);
    }
    for (int i = 0; i < 4000 && open_now() < share; i++)
        spin(1);
    ck_assert_uint_eq(open_now(), share);
    ssize_t told = 0;
    for (int i = 0; i < 4000 && told <= 0; i++) { /* whichever it was that had too many */
        spin(1);
        told = recv(greedy[i % CONNECTIONS], in, sizeof in, MSG_DONTWAIT);
    }
    ck_assert_int_gt(told, 30);
    ck_assert_uint_eq(in[5] & 0xf, DNS_SERVFAIL);
    ck_assert_uint_eq(open_now(), share);
    client_host = 1;
    int fd = client_to(0);
    say_udp(fd, q, n);
    for (int i = 0; i < 4000 && open_now() == share; i++)
        spin(1);
    ck_assert_uint_eq(open_now(), share + 1);
    ck_assert_int_eq(n_held, 1);
    answer_addr(&held_to, held[0], held_n[0]);
    ck_assert_int_gt(hear(fd, 30), 30);
    ck_assert_uint_eq(rcode(), DNS_NOERROR);
    for (int i = 0; i < CONNECTIONS; i++)
        close(greedy[i]);
    close(fd);
    for (int i = 0; i < 4000 && open_now() > 0; i++)
        spin(1);
    ck_assert_uint_eq(((struct dns_front *)handler.state)->shares.n_clients, 0);
    stop();
    timeout_ms = 2500;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns_handler");
    TCase *tc = tcase_create("dns_handler");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_odd_questions_over_udp);
    tcase_add_test(tc, test_odd_bytes_over_tcp);
    tcase_add_test(tc, test_a_thousand_questions_on_one_connection);
    tcase_add_test(tc, test_a_client_that_does_not_read);
    tcase_add_test(tc, test_a_client_may_have_64_questions_open);
    tcase_add_test(tc, test_answers_after_the_client_has_gone);
    tcase_add_test(tc, test_silence_ends_a_connection);
    tcase_add_test(tc, test_a_silent_upstream_holds_nobody_up);
    tcase_add_test(tc, test_no_more_tries_than_three);
    tcase_add_test(tc, test_servfail_when_nobody_answers);
    tcase_add_test(tc, test_an_answer_is_kept_for_all_but_a_subnet);
    tcase_add_test(tc, test_one_answer_for_all);
    tcase_add_test(tc, test_who_waits_asks_when_the_first_has_gone);
    tcase_add_test(tc, test_servfail_for_all_who_wait);
    tcase_add_loop_test(tc, test_one_client_leaves_room_for_others, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
