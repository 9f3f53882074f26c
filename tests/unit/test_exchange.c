/* One question to a nameserver that answers, lies, cuts, hangs up or says nothing:
 * chain/exchange.c.
 */
#include "exchangecase.h"
#include <time.h>

static struct dns_peer second;

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

/* Right in head and question; then a record that is cut, or a name that leads to itself. */
static void answer_with_bad_records(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[1024];
    size_t len = peer_build_addr(out, q, n), at = 12 + 8 + 4; /* behind "a.test", type, class */
    ck_assert(out[at] == 0xc0 && out[at + 1] == 12);
    if (q[12 + 1] == 'a')
        len--;
    else
        out[at + 1] = (uint8_t)at;
    peer_say(to, out, len);
}

START_TEST(test_bad_records_are_a_failure)
{
    struct nameserver *s = start("udp", answer_with_bad_records);
    ck_assert_int_eq(ask("a.test"), RC_PROTO);
    ck_assert_int_eq(ask("b.test"), RC_PROTO);
    ck_assert_uint_eq(s->failed, 2);
    ck_assert_uint_eq(s->lies, 0);
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
    uint64_t last_ms, worst_ms; /* of our own: what the machine does meanwhile is not counted */
} flood;

static void on_flood(struct timer *timer)
{
    uint64_t now = (uint64_t)clock() / (CLOCKS_PER_SEC / 1000);
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

START_TEST(test_silence)
{
    static const char *const schemes[] = {"udp", "tcp"};
    for (int i = 0; i < 2; i++) {
        struct nameserver *s = start(schemes[i], say_nothing);
        ck_assert_int_eq(ask("a.test"), RC_TIMEOUT);
        ck_assert_uint_ge(end.ms, 1490);
        ck_assert_uint_lt(end.ms, 20000);
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

int main(void)
{
    const exchange_test tests[] = {test_an_answer_over_each_transport,
                                   test_lies_are_counted_and_ignored,
                                   test_bad_records_are_a_failure,
                                   test_a_lie_on_a_stream_ends_it,
                                   test_ten_thousand_spoofed_answers,
                                   test_a_cut_answer_is_asked_for_over_tcp,
                                   test_silence,
                                   test_nobody_there,
                                   test_a_stream_that_ends_early,
                                   test_a_stopped_list_ends_its_questions,
                                   NULL};
    return exchange_main("exchange", tests);
}
