/* Connections to nameservers that are kept for the next question: chain/nameline.c.
 */
#include "exchangecase.h"

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
    const exchange_test tests[] = {
        test_a_connection_serves_the_next_question, test_a_kept_connection_that_ended,
        test_a_kept_connection_that_is_dead, test_what_says_too_much_is_not_kept, NULL};
    return exchange_main("nameline", tests);
}
