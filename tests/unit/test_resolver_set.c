/* Names asked of several nameservers: the order of servers and families, what counts as an answer
 * and for how long: chain/resolver_set.c.
 */
#include "chain/resolver_set.h"
#include "exchangecase.h"

static struct dns_peer second;

static struct {
    int calls;
    enum rc rc;
    char why[256];
    struct addr v[SET_ADDRS_MAX];
    int n;
    uint64_t keep_ms;
} found;

static void on_found(void *arg, unsigned families, enum rc rc, const char *why,
                     const struct addr *v, int n, uint64_t keep_ms)
{
    (void)arg;
    (void)families;
    found.calls++;
    found.rc = rc;
    found.n = n;
    found.keep_ms = keep_ms;
    snprintf(found.why, sizeof found.why, "%s", why != NULL ? why : "");
    if (n > 0)
        memcpy(found.v, v, (size_t)n * sizeof *v);
    loop_stop(loop);
}

static enum rc resolve(const char *name, unsigned families)
{
    struct resolver_set *set = resolver_set_new(loop, list, &so);
    found.calls = 0;
    resolver_set_ask(set, name, families, on_found, NULL);
    while (found.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert(!stuck);
    ck_assert_int_eq(found.calls, 1);
    resolver_set_free(set);
    return found.rc;
}

static struct dns_msg last_asked;
static struct dns_edns last_edns;
static int n_a, n_aaaa;
static void note(const uint8_t *q, size_t n)
{
    ck_assert_int_eq(dns_parse_query(q, n, &last_asked), RC_OK);
    ck_assert_int_eq(dns_find_edns(q, n, &last_asked, &last_edns), RC_OK);
    n_a += last_asked.type == DNS_A;
    n_aaaa += last_asked.type == DNS_AAAA;
}

/* By the first letter of the name: 4: A only; 6: AAAA only; n: no such name (SOA 60); s: SERVFAIL;
 * l: CNAMEs in a ring; p: a compression pointer to itself; c: a chain of CNAMEs; else both. */
static void answer_by_name(struct dns_asker *to, const uint8_t *q, size_t n)
{
    static const uint8_t v4[] = {192, 0, 2, 7}, soa[22] = {0, 0, [21] = 60};
    uint8_t out[2048];
    note(q, n);
    char kind = last_asked.name[0];
    struct peer_record no = {.name = "test",
                             .type = DNS_SOA,
                             .ttl = 600,
                             .data = soa,
                             .n = sizeof soa,
                             .authority = true};
    struct peer_record ring[] = {
        {.type = DNS_CNAME, .ttl = 9, .target = "x.test"},
        {.name = "x.test", .type = DNS_CNAME, .ttl = 9, .target = "l.test"}};
    struct peer_record line[] = {
        {.type = DNS_CNAME, .ttl = 90, .target = "x.test"},
        {.name = "X.test", .type = DNS_CNAME, .ttl = 20, .target = "y.test"},
        {.name = "evil.test", .type = DNS_A, .ttl = 5, .data = "\6\6\6\6", .n = 4},
        {.name = "y.test", .type = DNS_A, .ttl = 70, .data = v4, .n = 4}};
    size_t len;
    if (kind == 'n')
        len = peer_build(out, q, n, DNS_NXDOMAIN, &no, 1);
    else if (kind == 's')
        len = peer_build(out, q, n, DNS_SERVFAIL, NULL, 0);
    else if ((kind == '4' && last_asked.type == DNS_AAAA) ||
             (kind == '6' && last_asked.type == DNS_A))
        len = peer_build(out, q, n, 0, &no, 1);
    else if (kind == 'l')
        len = peer_build(out, q, n, 0, ring, 2);
    else if (kind == 'c')
        len = peer_build(out, q, n, 0, line, 4);
    else
        len = peer_build_addr(out, q, n);
    if (kind == 'p')
        put16(out + last_asked.question_end, 0xc000 | (unsigned)last_asked.question_end);
    peer_say(to, out, len);
}

static void answer_other(struct dns_asker *to, const uint8_t *q, size_t n)
{
    static const uint8_t v4[] = {198, 51, 100, 2};
    uint8_t out[1024];
    struct peer_record r = {.type = DNS_A, .ttl = 300, .data = v4, .n = 4};
    struct dns_msg m;
    ck_assert_int_eq(dns_parse(q, n, &m), RC_OK);
    peer_say(to, out, peer_build(out, q, n, 0, &r, m.type == DNS_A));
}

static const char *first(void)
{
    static char text[ADDR_TEXT_MAX];
    return found.n > 0 ? addr_format_ip(&found.v[0], text, sizeof text) : "none";
}

START_TEST(test_families)
{
    enum { BOTH = FAMILY_V4 | FAMILY_V6 };
    struct nameserver *s = start("udp", answer_by_name);
    ck_assert_int_eq(resolve("b.test", BOTH), RC_OK);
    ck_assert_str_eq(first(), "192.0.2.1");
    ck_assert_uint_eq(found.keep_ms, 30000);
    n_a = n_aaaa = 0;
    ck_assert_int_eq(resolve("6.test", BOTH), RC_OK);
    ck_assert_str_eq(first(), "2001:db8::1");
    ck_assert_int_eq(n_a + n_aaaa, 2);
    s->prefer_ipv6 = true;
    ck_assert_int_eq(resolve("b.test", BOTH), RC_OK);
    ck_assert_str_eq(first(), "2001:db8::1");
    ck_assert_int_eq(resolve("4.test", BOTH), RC_OK);
    ck_assert_str_eq(first(), "192.0.2.1");
    s->v6_only = true;
    n_a = 0;
    ck_assert_int_eq(resolve("4.test", BOTH), RC_NAME);
    ck_assert_int_eq(n_a, 0);
    s->v6_only = false;
    s->v4_only = true;
    n_aaaa = 0;
    ck_assert_int_eq(resolve("6.test", BOTH), RC_NAME);
    ck_assert_int_eq(n_aaaa, 0);
    ck_assert_int_eq(resolve("b.test", FAMILY_V6), RC_NAME); /* nothing to ask */
    stop();
}
END_TEST

START_TEST(test_how_long_an_answer_is_kept)
{
    struct nameserver *s = start("udp", answer_by_name);
    ck_assert_int_eq(resolve("c.test", FAMILY_V4), RC_OK); /* the least of its CNAMEs */
    ck_assert_str_eq(first(), "192.0.2.7");
    ck_assert_uint_eq(found.keep_ms, 20000);
    ck_assert_int_eq(resolve("n.test", FAMILY_V4), RC_NAME); /* the SOA's word about a no */
    ck_assert_uint_eq(found.keep_ms, 60000);
    s->ttl_ms = 5000;
    ck_assert_int_eq(resolve("c.test", FAMILY_V4), RC_OK);
    ck_assert_uint_eq(found.keep_ms, 5000);
    s->ttl_ms = -1;
    ck_assert_int_eq(resolve("c.test", FAMILY_V4), RC_OK);
    ck_assert_uint_eq(found.keep_ms, 0);
    ck_assert_int_eq(resolve("n.test", FAMILY_V4), RC_NAME);
    ck_assert_uint_eq(found.keep_ms, 0);
    stop();
}
END_TEST

START_TEST(test_bad_answers_are_failures)
{
    static const struct {
        const char *name, *why;
    } bad[] = {{"l.test", "malformed"}, {"p.test", "malformed"}, {"s.test", "SERVFAIL"}};
    struct nameserver *s = start("udp", answer_by_name);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(resolve(bad[i].name, FAMILY_V4), RC_PROTO);
        ck_assert_msg(strstr(found.why, bad[i].why) != NULL, "%s", found.why);
        ck_assert_msg(strstr(found.why, s->text) != NULL, "%s", found.why);
        ck_assert_uint_eq(s->failed, i + 1);
        ck_assert_uint_eq(found.keep_ms, 0);
    }
    stop();
}
END_TEST

/* One that fails, says no or is silent lets the next one speak; and costs one timeout. */
START_TEST(test_the_next_server)
{
    static const char *const names[] = {"s.test", "l.test", "n.test", "6.test"};
    struct nameserver *s = start("udp", answer_by_name);
    peer_start(&second, answer_other);
    add("udp", second.port, (struct nameserver_cfg){.ttl_ms = 0});
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(resolve(names[i], FAMILY_V4), RC_OK);
        ck_assert_str_eq(first(), "198.51.100.2");
        ck_assert_uint_eq(found.keep_ms, 300000);
    }
    peer.answer = say_nothing;
    s->timeout_ms = 1500;
    uv_update_time(loop_uv(loop));
    uint64_t from = loop_now_ms(loop);
    ck_assert_int_eq(resolve("b.test", FAMILY_V4 | FAMILY_V6), RC_OK);
    ck_assert_str_eq(first(), "198.51.100.2");
    ck_assert_uint_lt(loop_now_ms(loop) - from, 2900);
    int asked = peer.asked_udp; /* for a while it is asked last */
    ck_assert_int_eq(resolve("4.test", FAMILY_V4), RC_OK);
    ck_assert_str_eq(first(), "198.51.100.2");
    ck_assert_int_eq(peer.asked_udp, asked);
    peer.answer = answer_by_name;
    ck_assert_int_eq(resolve("b.test", FAMILY_V6), RC_OK); /* the other one has none */
    ck_assert_str_eq(first(), "2001:db8::1");
    ck_assert_int_eq(resolve("b.test", FAMILY_V4), RC_OK); /* it is back */
    ck_assert_str_eq(first(), "192.0.2.1");
    peer_stop(&second);
    stop();
}
END_TEST

START_TEST(test_the_client_subnet)
{
    struct nameserver *s = start("udp", answer_by_name);
    ck_assert_int_eq(resolve("b.test", FAMILY_V4), RC_OK);
    ck_assert_int_eq(last_edns.subnet.net.family, 0);
    s->subnet.bits = 24;
    ck_assert(addr_parse_ip("203.0.113.0", 11, &s->subnet.net));
    ck_assert_int_eq(resolve("b.test", FAMILY_V4), RC_OK);
    ck_assert_uint_eq(last_edns.subnet.bits, 24);
    ck_assert(addr_equal(&last_edns.subnet.net, &s->subnet.net));
    stop();
}
END_TEST

START_TEST(test_names_that_dns_can_not_carry)
{
    start("udp", answer_by_name);
    ck_assert_int_eq(resolve("a..test", FAMILY_V4), RC_NAME);
    ck_assert_int_eq(peer.asked_udp, 0);
    stop();
}
END_TEST

START_TEST(test_an_error_without_a_question_lets_the_next_speak)
{
    struct nameserver *s = start("udp", answer_nothing_but_an_error);
    peer_start(&second, answer_other);
    add("udp", second.port, (struct nameserver_cfg){.ttl_ms = 0});
    ck_assert_int_eq(resolve("a.test", FAMILY_V4), RC_OK);
    ck_assert_str_eq(first(), "198.51.100.2");
    ck_assert_uint_eq(s->failed, 1);
    ck_assert_uint_eq(s->lies, 0);
    peer_stop(&second);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- by a chain */

START_TEST(test_a_chain_without_udp)
{
    struct nameserver *s = start("udp", answer_by_name);
    peer.play = PEER_SOCKS4;
    struct chain *c = chain_new("out");
    add_node(add_hop(c, "hop-0"), "n", "127.0.0.1", peer.port, &dialer_tcp, &connector_socks4,
             NULL);
    s->chain = c;
    news_tcp = 0;
    list->tell = on_news;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(resolve("b.test", FAMILY_V4), RC_OK);
        ck_assert_str_eq(first(), "192.0.2.1");
    }
    ck_assert_int_eq(peer.asked_tcp, 2);
    ck_assert_int_eq(peer.asked_udp, 0);
    ck_assert_int_eq(news_tcp, 1); /* told once */
    nameservers_stop(list);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    chain_unref(c);
    stop();
}
END_TEST

int main(void)
{
    const exchange_test tests[] = {test_families,
                                   test_how_long_an_answer_is_kept,
                                   test_bad_answers_are_failures,
                                   test_the_next_server,
                                   test_an_error_without_a_question_lets_the_next_speak,
                                   test_the_client_subnet,
                                   test_names_that_dns_can_not_carry,
                                   test_a_chain_without_udp,
                                   NULL};
    return exchange_main("resolver_set", tests);
}
