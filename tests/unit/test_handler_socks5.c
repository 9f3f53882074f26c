/* The socks5 handler: requests, refusals, datagrams in its stream. */
#include "core/log.h"
#include "handlercase.h"

START_TEST(test_socks5_connects_in_any_segmentation)
{
    char req[64];
    struct scene sc = {.type = &handler_socks5, .options = "notls=true", .half_close = true};
    size_t n = with_port(req, BYTES("\5\1\0\1\x7f\0\0\1\0\0early"), 8, tcp_port);
    struct line lines[] = {{BYTES("\5\1\0"), 0}, {req, n, 17}, {BYTES(" late"), 0}};
    for (sc.seed = 0; sc.seed < 12; sc.seed++) {
        play(&sc, lines, 3);
        ck_assert(client.eof && !client.failed);
        ck_assert_uint_eq(client.got_n, 2 + 10 + 10);
        ck_assert_mem_eq(client.got, "\5\0\5\0\0\1\x7f\0\0\1", 10);
        ck_assert_mem_eq(client.got + 12, "early late", 10);
    }
}
END_TEST

START_TEST(test_socks5_refusals)
{
    char req[64];
    struct scene plain = {.type = &handler_socks5, .options = "notls=true"};
    struct scene auth = {.type = &handler_socks5, .options = "notls=true", .user = "u"};
    struct scene bypass = {.type = &handler_socks5, .options = "notls=true", .bypass = true};
    size_t n = with_port(req, BYTES("\5\1\0\5\1\0\1\x7f\0\0\1\0\0"), 11, tcp_port);
    struct line to_target[] = {{req, n, 0}};
    struct line closed_port[] = {{BYTES("\5\1\0\5\1\0\1\x7f\0\0\1\0\1"), 0}};
    struct line udp[] = {{BYTES("\5\1\0\5\3\0\1\0\0\0\0\0\0"), 0}};
    struct line bad_cmd[] = {{BYTES("\5\1\0\5\11\0\1\0\0\0\0\0\0"), 0}};
    struct line wrong[] = {{BYTES("\5\1\2\1\1u\3bad"), 0}}, none[] = {{BYTES("\5\1\0"), 0}};
    struct line long_name[] = {{BYTES("\5\1\0\5\1\0\3\3a\0b\0\120"), 0}};
    expect(&plain, closed_port, 1, BYTES("\5\0\5\5\0\1\0\0\0\0\0\0"));
    expect(&plain, udp, 1, BYTES("\5\0\5\2\0\1\0\0\0\0\0\0"));
    expect(&plain, bad_cmd, 1, BYTES("\5\0\5\7\0\1\0\0\0\0\0\0"));
    expect(&plain, long_name, 1, BYTES("\5\0\5\4\0\1\0\0\0\0\0\0"));
    expect(&bypass, to_target, 1, BYTES("\5\0\5\2\0\1\0\0\0\0\0\0"));
    expect(&auth, wrong, 1, BYTES("\5\2\1\1"));
    expect(&auth, none, 1, BYTES("\5\xff"));
}
END_TEST

START_TEST(test_socks5_udp_tun)
{
    char frame[64];
    struct scene sc = {
        .type = &handler_socks5, .options = "notls=true;udp=true", .half_close = true};
    size_t n = with_port(frame, BYTES("\0\2\xff\1\x7f\0\0\1\0\0ok"), 8, udp_port);
    struct line lines[] = {{BYTES("\5\1\0\5\xf3\0\3\0\0\0"), 12}, {frame, n, 0}};
    lines[1].await = 12 + n; /* IPv4 or none known: 10 bytes of reply; IPv6: 22 */
    for (sc.step = 0; sc.step < 9; sc.step++) {
        play(&sc, lines, 2);
        ck_assert(client.eof && client.got_n >= 12 + n);
        ck_assert_mem_eq(client.got, "\5\0\5\0\0", 5);
        ck_assert_mem_eq(client.got + client.got_n - n, frame, n);
    }
}
END_TEST

/* What was logged since, all of it. */
static const char *logged(const char *path)
{
    static char text[8192];
    FILE *f = fopen(path, "r");
    ck_assert(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

START_TEST(test_socks5_udp_that_a_stop_cuts_has_its_line)
{
    char frame[64], path[] = "/tmp/cgost-test-socks5-XXXXXX";
    size_t n = with_port(frame, BYTES("\0\2\xff\1\x7f\0\0\1\0\0ok"), 8, udp_port);
    struct line lines[] = {{BYTES("\5\1\0\5\xf3\0\3\0\0\0"), 12}, {frame, n, 0}};
    struct scene sc = {.type = &handler_socks5, .options = "notls=true;udp=true", .enough = 12 + n};
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(log_open(&(struct log_cfg){.level = LOG_INFO, .output = path}, NULL), RC_OK);
    play(&sc, lines, 2);
    log_close();
    const char *text = logged(path), *line = strstr(text, ">-<");
    unlink(path);
    ck_assert_msg(line != NULL && strstr(line + 1, ">-<") == NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "\"reason\":\"the service stops\""));
    ck_assert_ptr_nonnull(strstr(text, "\"inputBytes\":2,\"outputBytes\":2,"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks5_connects_in_any_segmentation, test_socks5_refusals,
                                  test_socks5_udp_tun,
                                  test_socks5_udp_that_a_stop_cuts_has_its_line, NULL};
    return handlers_main("handler_socks5", tests);
}
