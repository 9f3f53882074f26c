/* DNS where a chain carries no datagrams: questions go over TCP through it, answers come back as
 * datagrams; what is no DNS does not go that way.
 */
#include "chain/dns_dgram.h"
#include "dnspeer.h"
#include "run.h"

static struct dns_peer peer;
static struct router *router;
static struct chain *chain;

static void start(enum peer_play play, const struct connector_type *connector, dns_peer_fn *answer)
{
    world_start();
    peer_start(&peer, answer);
    peer.play = play;
    chain = chain_new("out");
    add_node(add_hop(chain, "hop-0"), "n", "127.0.0.1", peer.port, &dialer_tcp, connector, NULL);
    router = router_new(&(struct router_cfg){
        .loop = loop, .service = "service-0", .chain = chain, .dial_timeout_ms = 2000});
}

static void stop(void)
{
    router_free(router);
    chain_unref(chain);
    peer_stop(&peer);
    world_stop();
}

static struct {
    uint8_t answer[4][65536];
    size_t n[4];
    int count, wanted;
    enum rc rc;
} heard_dns;

static void on_answer(struct dgram *d, unsigned ready, void *arg)
{
    struct target from;
    (void)ready;
    (void)arg;
    int i = heard_dns.count;
    enum rc rc = dgram_recv(d, heard_dns.answer[i], 65536, &heard_dns.n[i], &from);
    if (rc == RC_AGAIN)
        return;
    heard_dns.rc = rc;
    heard_dns.count += rc == RC_OK;
    if (rc != RC_OK || heard_dns.count == heard_dns.wanted) {
        dgram_want(d, 0, NULL, NULL);
        loop_stop(loop);
    }
}

static void hear(int wanted)
{
    heard_dns.count = 0;
    heard_dns.wanted = wanted;
    heard_dns.rc = RC_AGAIN;
    dgram_want(got.d, STREAM_IN, on_answer, NULL);
    while (!stuck && (heard_dns.rc == RC_AGAIN || heard_dns.rc == RC_OK) &&
           heard_dns.count < wanted)
        loop_run(loop);
    ck_assert(!stuck);
}

static size_t query(uint8_t *buf, uint16_t id, uint16_t type, const char *name, uint16_t edns)
{
    size_t n;
    struct dns_query q = {.id = id, .type = type, .name = name, .edns_bytes = edns};
    ck_assert_int_eq(dns_format_query(&q, buf, 512, &n), RC_OK);
    return n;
}

START_TEST(test_two_questions_on_one_flow)
{
    uint8_t q[512];
    struct target nobody = {.name = ""};
    struct dns_msg m;
    start(PEER_SOCKS4, &connector_socks4, answer_addr);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    ck_assert(got.res.dns_tcp && !got.res.direct);
    ck_assert_msg(strstr(got.res.route, "(DNS over TCP)") != NULL, "%s", got.res.route);
    ck_assert_uint_eq(got.d->flags & DGRAM_FIXED, DGRAM_FIXED);
    size_t n = query(q, 0x1111, DNS_A, "a.test", 0);
    ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    n = query(q, 0x2222, DNS_AAAA, "a.test", 0);
    ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    hear(2);
    ck_assert_int_eq(peer.asked_tcp, 2);
    ck_assert_int_eq(peer.asked_udp, 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(dns_parse(heard_dns.answer[i], heard_dns.n[i], &m), RC_OK);
        ck_assert_uint_eq(m.id, i == 0 ? 0x1111 : 0x2222);
        ck_assert_uint_eq(m.n_answers, 1);
    }
    dgram_close(got.d);
    stop();
}
END_TEST

/* 40 texts of 60 bytes: more than a datagram may have. */
static void answer_much(struct dns_asker *to, const uint8_t *q, size_t n)
{
    static const uint8_t text[61] = {60, 'x'};
    static uint8_t out[8192];
    struct peer_record v[40];
    for (int i = 0; i < 40; i++)
        v[i] = (struct peer_record){.type = DNS_TXT, .ttl = 5, .data = text, .n = sizeof text};
    peer_say(to, out, peer_build(out, q, n, 0, v, 40));
}

START_TEST(test_long_answers_are_cut_for_who_takes_no_more)
{
    static const struct {
        uint16_t edns;
        bool cut;
    } askers[] = {{0, true}, {1232, true}, {4096, false}};
    uint8_t q[512];
    struct target nobody = {.name = ""};
    struct dns_msg m;
    start(PEER_SOCKS4, &connector_socks4, answer_much);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    for (int i = 0; i < 3; i++) {
        size_t n = query(q, (uint16_t)(7 + i), DNS_TXT, "much.test", askers[i].edns);
        ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
        hear(1);
        ck_assert_int_eq(dns_parse(heard_dns.answer[0], heard_dns.n[0], &m), RC_OK);
        ck_assert_uint_eq(m.id, 7 + i);
        ck_assert_int_eq((m.flags & DNS_TC) != 0, askers[i].cut);
        ck_assert_uint_eq(m.n_answers, askers[i].cut ? 0 : 40);
    }
    dgram_close(got.d);
    stop();
}
END_TEST

/* An answer nobody asked for, a second one, a query instead of an answer; then the right one. */
static void answer_lies(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    size_t len = peer_build_addr(out, q, n);
    out[0] ^= 0xff;
    peer_say(to, out, len);
    out[0] ^= 0xff;
    peer_say(to, q, n);
    peer_say(to, out, len);
    peer_say(to, out, len);
}

START_TEST(test_what_nobody_asked_for_is_dropped)
{
    uint8_t q[512];
    struct target nobody = {.name = ""};
    start(PEER_SOCKS4, &connector_socks4, answer_lies);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    ck_assert_int_eq(dgram_send(got.d, &nobody, "hello", 5), RC_OK); /* no DNS: dropped */
    ck_assert_uint_eq(got.d->dropped, 1);
    size_t n = query(q, 1, DNS_A, "a.test", 0);
    ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    n = query(q, 2, DNS_A, "b.test", 0);
    ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    hear(2);
    ck_assert_uint_ge(got.d->dropped, 1 + 2 + 3); /* the last one's copy may still be on its way */
    ck_assert_int_eq(peer.asked_tcp, 2);
    peer_hang_up(&peer);
    hear(1);
    ck_assert_int_eq(heard_dns.rc, RC_EOF);
    dgram_close(got.d);
    stop();
}
END_TEST

static void answer_never(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to, (void)q, (void)n;
}

static void on_asked(struct timer *t)
{
    if (peer.asked_tcp > 0)
        peer_hang_up(&peer);
    else
        (void)timer_start(t, 5);
}

/* Who asked hears of it, with his question, and only then that it is over. */
START_TEST(test_what_is_open_at_the_end_is_a_failure)
{
    uint8_t q[512];
    struct target nobody = {.name = ""};
    struct dns_msg m;
    struct dns_edns edns;
    struct timer look;
    start(PEER_SOCKS4, &connector_socks4, answer_never);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    for (uint16_t i = 0; i < 3; i++) {
        size_t n = query(q, (uint16_t)(0x1100 + i), DNS_AAAA, "a.test", i == 2 ? 1232 : 0);
        ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    }
    timer_init(loop, &look, on_asked);
    ck_assert(timer_start(&look, 5));
    hear(4);
    ck_assert_int_eq(heard_dns.count, 3);
    ck_assert_int_ne(heard_dns.rc, RC_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(dns_parse(heard_dns.answer[i], heard_dns.n[i], &m), RC_OK);
        ck_assert_uint_eq(m.id, 0x1100 + i);
        ck_assert_uint_eq(m.flags & (DNS_QR | DNS_RCODE), DNS_QR | DNS_SERVFAIL);
        ck_assert_str_eq(m.name, "a.test");
        ck_assert_uint_eq(m.type, DNS_AAAA);
        ck_assert_int_eq(dns_find_edns(heard_dns.answer[i], heard_dns.n[i], &m, &edns), RC_OK);
        ck_assert_int_eq(edns.present, i == 2);
    }
    timer_stop(&look);
    dgram_close(got.d);
    stop();
}
END_TEST

START_TEST(test_only_dns_and_only_who_may)
{
    struct dial_req req = {.udp_only = true};
    start(PEER_SOCKS4, &connector_socks4, answer_addr);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:443", true), RC_UNSUPPORTED);
    ck_assert_msg(strstr(got.res.diag.text, "can't carry UDP") != NULL, "%s", got.res.diag.text);
    ck_assert(target_parse("192.0.2.53:53", &req.target));
    got.calls = 0;
    ck_assert(router_dial_dgram(router, &req, on_dialled_dgram, NULL) != NULL);
    while (got.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert_int_eq(got.res.rc, RC_UNSUPPORTED);
    ck_assert(!got.res.dns_tcp);
    stop();
}
END_TEST

/* A SOCKS5 node like ssh's: found out with the first flow, remembered for the next. */
START_TEST(test_a_node_that_refuses_udp)
{
    uint8_t q[512];
    struct target dns, web, nobody = {.name = ""};
    struct udp_route route;
    struct diag diag = {.rc = RC_OK};
    start(PEER_SOCKS5_WITHOUT_UDP, &connector_socks5, answer_addr);
    ck_assert(target_parse("192.0.2.53:53", &dns) && target_parse("192.0.2.53:443", &web));
    ck_assert_int_eq(router_udp_route(router, &dns, &route, &diag), RC_OK);
    ck_assert(!route.dns_tcp);
    ck_assert_int_eq(dial_to(router, NULL, true), RC_UNSUPPORTED);
    ck_assert_int_eq(peer.refused_udp, 2); /* UDP-TUN and UDP ASSOCIATE */
    ck_assert_int_eq(router_udp_route(router, &dns, &route, &diag), RC_OK);
    ck_assert(route.dns_tcp && route.fixed);
    ck_assert_int_eq(router_udp_route(router, &web, &route, &diag), RC_UNSUPPORTED);
    ck_assert_msg(strstr(diag.text, "can't carry UDP") != NULL, "%s", diag.text);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    ck_assert(got.res.dns_tcp);
    ck_assert_int_eq(peer.refused_udp, 2);
    size_t n = query(q, 9, DNS_A, "a.test", 0);
    ck_assert_int_eq(dgram_send(got.d, &nobody, q, n), RC_OK);
    hear(1);
    ck_assert_int_eq(heard_dns.rc, RC_OK);
    dgram_close(got.d);
    stop();
}
END_TEST

/* The same, found out by the question's own flow: it is not lost. */
START_TEST(test_a_refusal_does_not_lose_the_question)
{
    start(PEER_SOCKS5_WITHOUT_UDP, &connector_socks5, answer_addr);
    ck_assert_int_eq(dial_to(router, "192.0.2.53:53", true), RC_OK);
    ck_assert(got.res.dns_tcp);
    ck_assert_int_eq(peer.refused_udp, 2);
    dgram_close(got.d);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns_dgram");
    TCase *tc = tcase_create("dns_dgram");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_two_questions_on_one_flow);
    tcase_add_test(tc, test_long_answers_are_cut_for_who_takes_no_more);
    tcase_add_test(tc, test_what_nobody_asked_for_is_dropped);
    tcase_add_test(tc, test_what_is_open_at_the_end_is_a_failure);
    tcase_add_test(tc, test_only_dns_and_only_who_may);
    tcase_add_test(tc, test_a_node_that_refuses_udp);
    tcase_add_test(tc, test_a_refusal_does_not_lose_the_question);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
