/* Questions to nameservers that answer, lie, cut, hang up or say nothing: chain/exchange.c and, on
 * top of it, the order of servers and families of chain/resolver_set.c.
 */
#include "chain/exchange.h"
#include "chain/resolver_set.h"
#include "dnspeer.h"

static struct dns_peer peer, second;
static struct nameservers *list;
static struct sockopts so;

static struct nameserver *add(const char *scheme, uint16_t port, struct nameserver_cfg cfg)
{
    char addr[64];
    struct diag diag = {.rc = RC_OK};
    snprintf(addr, sizeof addr, "%s://127.0.0.1:%u", scheme, port);
    cfg.addr = addr;
    if (cfg.timeout_ms == 0)
        cfg.timeout_ms = 1500;
    ck_assert_msg(nameservers_add(list, &cfg, &diag) == RC_OK, "%s", diag.text);
    return &list->v[list->n - 1];
}

static struct nameserver *start(const char *scheme, dns_peer_fn *answer)
{
    world_start();
    peer_start(&peer, answer);
    list = nameservers_new();
    return add(scheme, peer.port, (struct nameserver_cfg){.ttl_ms = 0});
}

static void stop(void)
{
    nameservers_stop(list);
    nameservers_unref(list);
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* on_end() may have stopped the loop */
    peer_stop(&peer);
    world_stop();
}

/* ---------------------------------------------------------------- one exchange */

static struct {
    int calls;
    enum rc rc;
    uint8_t answer[65536];
    size_t n;
    struct dns_msg m;
    uint64_t ms;
} end;

static void on_end(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    (void)arg;
    end.calls++;
    end.rc = rc;
    end.n = n;
    if (rc == RC_OK) {
        memcpy(end.answer, answer, n);
        ck_assert_int_eq(dns_parse(answer, n, &end.m), RC_OK);
    }
    loop_stop(loop);
}

static struct exchange *begin(const char *name, uint16_t type)
{
    uint8_t q[512];
    size_t n;
    struct dns_query query = {.id = 0x4711, .type = type, .name = name, .edns_bytes = 1232};
    ck_assert_int_eq(dns_format_query(&query, q, sizeof q, &n), RC_OK);
    end.calls = 0;
    struct exchange_cfg cfg = {.loop = loop, .list = list, .so = &so, .query = q, .n = n};
    return exchange_new(&cfg, on_end, NULL);
}

static enum rc ask(const char *name)
{
    uv_update_time(loop_uv(loop));
    uint64_t from = loop_now_ms(loop);
    ck_assert(begin(name, DNS_A) != NULL);
    ck_assert_int_eq(end.calls, 0);
    while (end.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert(!stuck);
    ck_assert_int_eq(end.calls, 1);
    uv_update_time(loop_uv(loop));
    end.ms = loop_now_ms(loop) - from;
    return end.rc;
}

START_TEST(test_an_answer_over_each_transport)
{
    static const char *const schemes[] = {"udp", "tcp"};
    for (int i = 0; i < 2; i++) {
        struct nameserver *s = start(schemes[i], answer_addr);
        ck_assert_int_eq(ask("a.test"), RC_OK);
        ck_assert_uint_eq(end.m.id, 0x4711); /* as it was given, whatever went over the wire */
        ck_assert_uint_eq(end.m.n_answers, 1);
        ck_assert_int_eq(peer.asked_udp, i == 0);
        ck_assert_int_eq(peer.asked_tcp, i == 1);
        ck_assert_uint_eq(s->asked, 1);
        ck_assert_uint_eq(s->failed + s->lies, 0);
        stop();
    }
}
END_TEST

static int news_lied, news_tcp;
static void on_news(void *arg, const struct nameserver *s, enum nameserver_news news)
{
    char text[240];
    (void)arg;
    ck_assert_uint_gt(strlen(nameserver_news_text(s, news, text, sizeof text)), 20);
    news_lied += news == NAMESERVER_LIED;
    news_tcp += news == NAMESERVER_OVER_TCP;
}

/* Wrong id, wrong name, wrong type, a question for an answer, bytes that are no DNS, another
 * sender; then the right one, in another case. */
static void answer_lies(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    size_t len = peer_build_addr(out, q, n);
    out[1] ^= 1;
    peer_say(to, out, len);
    out[1] ^= 1;
    out[13] = 'z';
    peer_say(to, out, len);
    out[13] = q[13];
    ck_assert_uint_eq(q[21], DNS_A); /* the type, behind "a.test" */
    out[21] = DNS_AAAA;
    peer_say(to, out, len);
    out[21] = DNS_A;
    out[2] &= 0x7f;
    peer_say(to, out, len);
    out[2] |= 0x80;
    peer_say(to, out, 12);
    peer_say(to, out, 5);
    struct dns_asker other = *to;
    other.fd = second.udp_fd;
    peer_say(&other, out, len);
    out[13] = 'A';
    peer_say(to, out, len);
}

START_TEST(test_lies_are_counted_and_ignored)
{
    struct nameserver *s = start("udp", answer_lies);
    peer_start(&second, answer_addr);
    news_lied = 0;
    list->tell = on_news;
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_uint_eq(end.m.n_answers, 1);
    ck_assert_uint_eq(s->lies, 7);
    ck_assert_uint_eq(s->failed, 0);
    ck_assert_int_eq(news_lied, 1);
    peer_stop(&second);
    stop();
}
END_TEST

static void answer_with_wrong_id(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    size_t len = peer_build_addr(out, q, n);
    out[0] ^= 0x80;
    peer_say(to, out, len);
}

START_TEST(test_a_lie_on_a_stream_ends_it)
{
    struct nameserver *s = start("tcp", answer_with_wrong_id);
    ck_assert_int_eq(ask("a.test"), RC_PROTO);
    ck_assert_uint_eq(s->lies, 1);
    ck_assert_uint_eq(s->failed, 1);
    ck_assert_msg(strstr(s->last.text, "another question") != NULL, "%s", s->last.text);
    ck_assert_msg(strstr(s->last.text, s->text) == s->last.text, "%s", s->last.text);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- a flood */

enum { SPOOFED = 10000, PER_TURN = 50 };
static struct {
    struct timer timer;
    struct dns_asker to;
    uint8_t msg[1024];
    size_t n;
    int sent;
    uint64_t last_ms, worst_ms;
} flood;

static void on_flood(struct timer *timer)
{
    uint64_t now = uv_hrtime() / 1000000;
    uint8_t out[1024];
    if (flood.sent > 0 && now - flood.last_ms > flood.worst_ms)
        flood.worst_ms = now - flood.last_ms;
    flood.last_ms = now;
    memcpy(out, flood.msg, flood.n);
    for (int i = 0; i < PER_TURN && flood.sent < SPOOFED; i++, flood.sent++) {
        unsigned id = (unsigned)(out[0] << 8 | out[1]) + 1;
        if (id % 65536 == (unsigned)(flood.msg[0] << 8 | flood.msg[1]))
            id++;
        put16(out, id & 0xffff);
        peer_say(&flood.to, out, flood.n);
    }
    if (flood.sent == SPOOFED)
        peer_say(&flood.to, flood.msg, flood.n);
    else
        ck_assert(timer_start(timer, 1)); /* the asker reads in between */
}

static void answer_flood(struct dns_asker *to, const uint8_t *q, size_t n)
{
    if (flood.sent > 0)
        return; /* asked again meanwhile */
    flood.to = *to;
    flood.n = peer_build_addr(flood.msg, q, n);
    on_flood(&flood.timer);
}

START_TEST(test_ten_thousand_spoofed_answers)
{
    struct nameserver *s = start("udp", answer_flood);
    memset(&flood, 0, sizeof flood);
    timer_init(loop, &flood.timer, on_flood);
    news_lied = 0;
    list->tell = on_news;
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_uint_eq(end.m.n_answers, 1);
    ck_assert_int_eq(flood.sent, SPOOFED);
    ck_assert_uint_eq(s->lies, SPOOFED);
    ck_assert_int_eq(news_lied, 5);         /* 1, 10, 100, 1,000, 10,000 */
    ck_assert_uint_lt(flood.worst_ms, 200); /* the loop went on all the time */
    stop();
}
END_TEST

/* ---------------------------------------------------------------- cut, silent, gone */

static bool tcp_too;
static void answer_cut(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    if (to->tcp && tcp_too)
        answer_addr(to, q, n);
    else if (to->tcp)
        peer_hang_up(to->peer);
    else
        peer_say(to, out, peer_build(out, q, n, DNS_TC, NULL, 0));
}

START_TEST(test_a_cut_answer_is_asked_for_over_tcp)
{
    struct nameserver *s = start("udp", answer_cut);
    tcp_too = true;
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_uint_eq(end.m.n_answers, 1);
    ck_assert_uint_eq(end.m.id, 0x4711);
    ck_assert_int_eq(peer.asked_udp, 1);
    ck_assert_int_eq(peer.asked_tcp, 1);
    tcp_too = false; /* then the cut one is better than nothing */
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_uint_eq(end.m.flags & DNS_TC, DNS_TC);
    ck_assert_uint_eq(end.m.id, 0x4711);
    ck_assert_uint_eq(s->failed, 0);
    stop();
}
END_TEST

static void say_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

START_TEST(test_silence)
{
    static const char *const schemes[] = {"udp", "tcp"};
    for (int i = 0; i < 2; i++) {
        struct nameserver *s = start(schemes[i], say_nothing);
        ck_assert_int_eq(ask("a.test"), RC_TIMEOUT);
        ck_assert_uint_ge(end.ms, 1490);
        ck_assert_uint_lt(end.ms, 3000);
        ck_assert_int_eq(peer.asked_udp, i == 0 ? 2 : 0); /* again after a second */
        ck_assert_msg(strstr(s->last.text, "no answer in time") != NULL, "%s", s->last.text);
        stop();
    }
}
END_TEST

START_TEST(test_nobody_there)
{
    static const char *const schemes[] = {"udp", "tcp"};
    for (int i = 0; i < 2; i++) {
        world_start();
        peer_start(&peer, say_nothing);
        list = nameservers_new();
        struct nameserver *s =
            add(schemes[i], refusing_port(), (struct nameserver_cfg){.ttl_ms = 0});
        ck_assert_int_eq(ask("a.test"), RC_REFUSED);
        ck_assert_uint_lt(end.ms, 1000);
        ck_assert_msg(strstr(s->last.text, "refused") != NULL, "%s", s->last.text);
        stop();
    }
}
END_TEST

static void answer_and_hang_up(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t framed[4] = {0, 200, 1, 2};
    (void)q;
    (void)n;
    (void)!send(to->fd, framed, sizeof framed, MSG_NOSIGNAL);
    peer_hang_up(to->peer);
}

START_TEST(test_a_stream_that_ends_early)
{
    struct nameserver *s = start("tcp", answer_and_hang_up);
    ck_assert_int_eq(ask("a.test"), RC_RESET);
    ck_assert_msg(strstr(s->last.text, "without an answer") != NULL, "%s", s->last.text);
    stop();
}
END_TEST

/* One that can't read the question may leave it out: believed by the id alone, as an error. */
static void answer_nothing_but_an_error(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[12] = {q[0], q[1], 0x81, 0x80 | DNS_FORMERR};
    (void)n;
    peer_say(to, out, sizeof out);
}

START_TEST(test_a_stopped_list_ends_its_questions)
{
    start("udp", say_nothing);
    ck_assert(begin("a.test", DNS_A) != NULL);
    nameservers_stop(list);
    ck_assert_int_eq(end.calls, 1);
    ck_assert_int_eq(end.rc, RC_CANCELED);
    ck_assert(begin("a.test", DNS_A) == NULL);
    stop();
}
END_TEST

/* ---------------------------------------------------------------- resolver_set */

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
    s->timeout_ms = 300;
    uv_update_time(loop_uv(loop));
    uint64_t from = loop_now_ms(loop);
    ck_assert_int_eq(resolve("b.test", FAMILY_V4 | FAMILY_V6), RC_OK);
    ck_assert_str_eq(first(), "198.51.100.2");
    ck_assert_uint_lt(loop_now_ms(loop) - from, 550);
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

/* ---------------------------------------------------------------- kept connections */

START_TEST(test_a_connection_serves_the_next_question)
{
    start("tcp", answer_addr);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_int_eq(peer.accepted, 1);
    ck_assert_int_eq(peer.asked_tcp, 3);
    ck_assert_int_eq(list->n_lines, 1);
    so.interface = "lo"; /* another way to the same server: a connection of its own */
    ck_assert_int_eq(ask("a.test"), RC_OK);
    so.interface = NULL;
    ck_assert_int_eq(peer.accepted, 2);
    ck_assert_int_eq(list->n_lines, 2);
    /* two at a time: two connections, both are kept */
    ck_assert(begin("b.test", DNS_A) != NULL && begin("c.test", DNS_A) != NULL);
    while (end.calls < 2 && !stuck)
        loop_run(loop);
    ck_assert_int_eq(end.rc, RC_OK);
    ck_assert_int_eq(peer.accepted, 3);
    ck_assert_int_eq(list->n_lines, 3);
    stop();
}
END_TEST

START_TEST(test_a_kept_connection_that_ended)
{
    struct nameserver *s = start("tcp", answer_addr);
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_int_eq(list->n_lines, 1);
    peer_hang_up(&peer); /* not heard of before the next question, or just then */
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_int_eq(peer.accepted, 2);
    peer_hang_up(&peer);
    for (int i = 0; i < 50 && list->n_lines > 0; i++)
        (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    ck_assert_int_eq(list->n_lines, 0); /* told of it, it is dropped at once */
    ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_uint_eq(s->failed, 0);
    stop();
}
END_TEST

static int answers_left;
static void answer_a_few(struct dns_asker *to, const uint8_t *q, size_t n)
{
    if (answers_left-- > 0)
        answer_addr(to, q, n);
}

static void answer_twice(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[2 * 512];
    size_t len = peer_build_addr(out + 2, q, n);
    put16(out, (unsigned)len);
    memcpy(out + 2 + len, out, 2 + len);
    (void)!send(to->fd, out, 2 * (2 + len), MSG_NOSIGNAL);
}

START_TEST(test_a_kept_connection_that_is_dead)
{
    struct nameserver *s = start("tcp", answer_a_few);
    answers_left = 1;
    ck_assert_int_eq(ask("a.test"), RC_OK);
    s->timeout_ms = 3000;
    peer.answer = say_nothing;
    ck_assert(begin("a.test", DNS_A) != NULL);
    while (peer.asked_tcp < 2 && !stuck)
        (void)uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert_int_eq(peer.accepted, 1);
    peer.answer = answer_addr; /* a new connection works */
    while (end.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert_int_eq(end.rc, RC_OK);
    ck_assert_int_eq(peer.accepted, 2);
    ck_assert_uint_eq(s->failed, 0);
    stop();
}
END_TEST

START_TEST(test_what_says_too_much_is_not_kept)
{
    start("tcp", answer_twice);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ask("a.test"), RC_OK);
    ck_assert_int_eq(peer.accepted, 3);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exchange");
    TCase *tc = tcase_create("exchange");
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_an_answer_over_each_transport);
    tcase_add_test(tc, test_lies_are_counted_and_ignored);
    tcase_add_test(tc, test_a_lie_on_a_stream_ends_it);
    tcase_add_test(tc, test_ten_thousand_spoofed_answers);
    tcase_add_test(tc, test_a_cut_answer_is_asked_for_over_tcp);
    tcase_add_test(tc, test_silence);
    tcase_add_test(tc, test_nobody_there);
    tcase_add_test(tc, test_a_stream_that_ends_early);
    tcase_add_test(tc, test_a_stopped_list_ends_its_questions);
    tcase_add_test(tc, test_families);
    tcase_add_test(tc, test_how_long_an_answer_is_kept);
    tcase_add_test(tc, test_bad_answers_are_failures);
    tcase_add_test(tc, test_the_next_server);
    tcase_add_test(tc, test_an_error_without_a_question_lets_the_next_speak);
    tcase_add_test(tc, test_the_client_subnet);
    tcase_add_test(tc, test_names_that_dns_can_not_carry);
    tcase_add_test(tc, test_a_chain_without_udp);
    tcase_add_test(tc, test_a_connection_serves_the_next_question);
    tcase_add_test(tc, test_a_kept_connection_that_ended);
    tcase_add_test(tc, test_a_kept_connection_that_is_dead);
    tcase_add_test(tc, test_what_says_too_much_is_not_kept);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int bad = srunner_ntests_failed(runner);
    srunner_free(runner);
    return bad != 0;
}
