/* Handlers with little of their own (auto, tcp), and what all of them do: deadlines, clients that
 * leave at any point of a good exchange. */
#include "handlercase.h"
#include "handlers/conn.h"

START_TEST(test_auto_finds_the_protocol)
{
    char req[64];
    struct scene sc = {.type = &handler_auto, .options = "notls=true", .half_close = true};
    size_t n = with_port(req, BYTES("\4\1\0\0\x7f\0\0\1\0four"), 2, tcp_port);
    struct line four[] = {{req, n, 0}}, five[] = {{BYTES("\5\1\3"), 0}}, http[] = {{BYTES("x"), 0}};
    expect(&sc, four, 1, BYTES("\0\x5a\0\0\0\0\0\0four"));
    expect(&sc, five, 1, BYTES("\5\xff"));
    sc.options = "notls=true;readTimeout=30";
    sc.half_close = false;
    play(&sc, http, 1);
    ck_assert_uint_eq(client.got_n, 0);
    ck_assert(client.eof);
}
END_TEST

START_TEST(test_tcp_forwards)
{
    struct scene sc = {.type = &handler_tcp, .forward = true, .half_close = true};
    struct line lines[] = {{BYTES("through"), 0}};
    expect(&sc, lines, 1, BYTES("through"));
}
END_TEST

START_TEST(test_silence_ends_at_the_header_deadline)
{
    const struct handler_type *const types[] = {&handler_relay, &handler_socks5, &handler_socks4,
                                                &handler_http, &handler_auto};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct scene sc = {.type = types[i], .options = "readTimeout=30"};
        uint64_t start = loop_now_ms(loop);
        play(&sc, NULL, 0);
        ck_assert(client.eof && client.got_n == 0);
        ck_assert_uint_ge(loop_now_ms(loop) - start, 25);
        ck_assert_uint_lt(loop_now_ms(loop) - start, CONN_HEADER_MS - 3000);
    }
}
END_TEST

/* Every prefix of a good exchange, then the client's end: nothing hangs and (sanitizers) nothing
 * leaks. */
START_TEST(test_every_prefix_ends)
{
    static const struct {
        const struct handler_type *type;
        const char *bytes;
        size_t n;
    } all[] = {
        {&handler_relay, BYTES("\1\1\0\26\1\0\11\1u\6secret\2\0\7\1\x7f\0\0\1\0\1")},
        {&handler_socks5, BYTES("\5\1\2\1\1u\6secret\5\1\0\1\x7f\0\0\1\0\1")},
        {&handler_socks4, BYTES("\4\1\0\1\0\0\0\1u\000127.0.0.1\0")},
        {&handler_http, BYTES("GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: a\r\n\r\n")},
        {&handler_auto, BYTES("\5\1\0\5\1\0\1\x7f\0\0\1\0\1")},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t n = 0; n <= all[i].n; n++) {
            struct scene sc = {.type = all[i].type, .half_close = true, .seed = (uint32_t)n};
            struct line lines[] = {{all[i].bytes, n, 0}};
            play(&sc, lines, 1);
            ck_assert_msg(client.eof || client.failed, "handler %s, %zu bytes", all[i].type->name,
                          n);
        }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_auto_finds_the_protocol, test_tcp_forwards,
                                  test_silence_ends_at_the_header_deadline, test_every_prefix_ends,
                                  NULL};
    return handlers_main("handler_others", tests);
}
