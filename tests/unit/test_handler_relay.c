/* The relay handler: requests, refusals, datagrams, forward mode. */
#include "handlercase.h"

START_TEST(test_relay_connects_and_echoes)
{
    char req[64];
    struct scene sc = {.type = &handler_relay, .half_close = true};
    size_t n = with_port(req, BYTES("\1\1\0\12\2\0\7\1\x7f\0\0\1\0\0hello"), 12, tcp_port);
    struct line lines[] = {{req, n, 9}, {BYTES(" again"), 0}};
    expect(&sc, lines, 2, BYTES("\1\0\0\0hello again"));
}
END_TEST

START_TEST(test_relay_answers_before_the_client_speaks)
{
    char req[64];
    struct scene sc = {.type = &handler_relay, .half_close = true};
    size_t n = with_port(req, BYTES("\1\1\0\12\2\0\7\1\x7f\0\0\1\0\0"), 12, tcp_port);
    struct line lines[] = {{req, n, 4}, {BYTES("later"), 0}};
    expect(&sc, lines, 2, BYTES("\1\0\0\0later"));
}
END_TEST

START_TEST(test_relay_refusals)
{
    char req[64];
    struct scene plain = {.type = &handler_relay}, auth = {.type = &handler_relay, .user = "u"};
    struct scene bypass = {.type = &handler_relay, .bypass = true};
    size_t n = with_port(req, BYTES("\1\1\0\12\2\0\7\1\x7f\0\0\1\0\0hello"), 12, tcp_port);
    struct line to_target[] = {{req, n, 0}};
    struct line no_addr[] = {{BYTES("\1\1\0\0"), 0}}, bad_cmd[] = {{BYTES("\1\3\0\0"), 0}};
    struct line closed_port[] = {{BYTES("\1\1\0\12\2\0\7\1\x7f\0\0\1\0\1payload"), 0}};
    struct line bind[] = {{BYTES("\1\x82\0\14\4\0\2\0\1\2\0\4\3\0\0\0"), 0}};
    expect(&plain, no_addr, 1, BYTES("\1\1\0\0"));
    expect(&plain, bad_cmd, 1, BYTES("\1\1\0\0"));
    expect(&plain, closed_port, 1, BYTES("\1\7\0\0"));
    expect(&plain, bind, 1, BYTES("\1\3\0\0"));
    expect(&auth, to_target, 1, BYTES("\1\2\0\0"));
    expect(&bypass, to_target, 1, BYTES("\1\3\0\0"));
}
END_TEST

START_TEST(test_relay_auth_passes)
{
    char req[64];
    struct scene sc = {.type = &handler_relay, .user = "u", .half_close = true};
    size_t n =
        with_port(req, BYTES("\1\1\0\26\1\0\11\1u\6secret\2\0\7\1\x7f\0\0\1\0\0hi"), 24, tcp_port);
    struct line lines[] = {{req, n, 0}};
    expect(&sc, lines, 1, BYTES("\1\0\0\0hi"));
}
END_TEST

START_TEST(test_relay_forward_mode_ignores_the_address)
{
    struct scene sc = {.type = &handler_relay, .forward = true, .half_close = true};
    struct line lines[] = {{BYTES("\1\1\0\7\2\0\4\3\0\0\0hi"), 0}};
    expect(&sc, lines, 1, BYTES("\1\0\0\0hi"));
}
END_TEST

START_TEST(test_relay_garbage_is_closed_without_a_word)
{
    struct scene sc = {.type = &handler_relay};
    struct line lines[] = {{BYTES("\2\1\0\0"), 0}};
    for (sc.seed = 0; sc.seed < 8; sc.seed++) {
        play(&sc, lines, 1);
        ck_assert_uint_eq(client.got_n, 0);
    }
}
END_TEST

START_TEST(test_relay_udp_connect)
{
    char req[64];
    struct scene sc = {.type = &handler_relay};
    size_t n =
        with_port(req, BYTES("\1\x81\0\17\4\0\2\0\1\2\0\7\1\x7f\0\0\1\0\0\0\3one"), 17, udp_port);
    struct line lines[] = {{req, n, 9}, {BYTES("\0\0\0\2xy"), 15}};
    sc.half_close = true;
    expect_dgrams(&sc, lines, 2, BYTES("\1\0\0\0\0\3one\0\0\0\2xy"));
}
END_TEST

/* A name that does not resolve, a frame with an impossible name and an empty one: the next one
 * still passes. */
START_TEST(test_relay_association_survives_bad_datagrams)
{
    char frame[64], want[128];
    struct scene sc = {.type = &handler_relay, .options = "bind=true", .half_close = true};
    size_t n = with_port(frame, BYTES("\0\2\xff\1\x7f\0\0\1\0\0ok"), 8, udp_port);
    struct line lines[] = {{BYTES("\1\x82\0\14\4\0\2\0\1\2\0\4\3\0\0\0"), 26},
                           {BYTES("\0\1\xff\3\3a\0b\0\65x"), 0},
                           {BYTES("\0\0\xff\1\x7f\0\0\1\0\7"), 0},
                           {BYTES("\0\1\xff\1\0\0\0\0\0\0z"), 0},
                           {frame, n, 26 + n}};
    for (sc.step = 0; sc.step < 9; sc.step++) {
        play(&sc, lines, 5);
        ck_assert(client.eof);
        ck_assert_uint_eq(client.got_n, 26 + n);
        memcpy(want, client.got + 26, n);
        ck_assert_mem_eq(want, frame, n);
        ck_assert_mem_eq(client.got, "\1\0\0\26\2\0\23\4", 8);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_relay_connects_and_echoes,
                                  test_relay_answers_before_the_client_speaks,
                                  test_relay_refusals,
                                  test_relay_auth_passes,
                                  test_relay_forward_mode_ignores_the_address,
                                  test_relay_garbage_is_closed_without_a_word,
                                  test_relay_udp_connect,
                                  test_relay_association_survives_bad_datagrams,
                                  NULL};
    return handlers_main("handler_relay", tests);
}
