/* The dns listener and handler with clients that behave badly, well, and slowly; the upstream is a
 * peer of ours.
 */
#include "dnshandlercase.h"
#include "handlers/dns_inside.h"
#include <sys/resource.h>

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

/* ---------------------------------------------------------------- room for others */

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
    upstream_ms = 15000;
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
}
END_TEST

int main(void)
{
    static const TTest *tests[20];
    size_t n = 0;

    tests[n++] = test_odd_questions_over_udp;
    tests[n++] = test_odd_bytes_over_tcp;
    tests[n++] = test_a_thousand_questions_on_one_connection;
    tests[n++] = test_a_client_that_does_not_read;
    tests[n++] = test_a_client_may_have_64_questions_open;
    tests[n++] = test_answers_after_the_client_has_gone;
    tests[n++] = test_silence_ends_a_connection;
    return dns_handler_main("dns_handler", tests, test_one_client_leaves_room_for_others);
}
