/* The http connector against a scripted node: its exact bytes (wire-protocols.md and
 * its vectors), any segmentation, refusals, silence. */
#include "connectordgram.h"

START_TEST(test_http_connect)
{
    static const struct {
        const char *target, *request, *user;
    } v[] = {{"example.com:443", "C http-connect:http.connect.gost", NULL},
             {"example.com:443", "C http-connect:http.connect.gost-auth", "user"},
             {"[2001:db8::1]:443", "C http-connect:http.connect.ipv6", NULL}};
    static const char *const answers[] = {"S http-connect:http.resp.200",
                                          "S http-connect:http.resp.chunked-200"};
    make(&connector_http);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].request, answers[i % 2], "a 53534820", "c 3132", NULL};
        for (uint32_t seed = 0; seed < SEEDS; seed++) {
            run(seed, v[i].target, "12", 4, script, v[i].user, v[i].user != NULL ? "pass" : NULL);
            ck_assert_msg(near.opened == RC_OK, "%s", near.diag.text);
            expect_got("SSH ");
        }
    }
    free(conn.cfg);
}
END_TEST

START_TEST(test_http_refusals)
{
    static const struct {
        const char *answer;
        enum rc rc;
    } v[] = {{"S http-connect:http.resp.407", RC_AUTH},
             {"S http-connect:http.resp.403", RC_DENIED},
             {"S http-connect:http.resp.503", RC_UNREACH_HOST},
             {"s 5353482d322e302d4f70656e5353480d0a0d0a", RC_PROTO}};
    make(&connector_http);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"C http-connect:http.connect.gost", v[i].answer, NULL};
        run((uint32_t)i, "example.com:443", NULL, 0, script, NULL, NULL);
        ck_assert_msg(near.opened == v[i].rc, "%s: %s", v[i].answer, rc_name(near.opened));
    }
    static const char *const ends[] = {"C http-connect:http.connect.gost", "s 485454502f312e",
                                       "eof", NULL};
    run(5, "example.com:443", NULL, 0, ends, NULL, NULL);
    ck_assert_int_eq(near.opened, RC_RESET);
    free(conn.cfg);
}
END_TEST

START_TEST(test_http_udp)
{
    static const char *const script[] = {
        "c 434f4e4e4543542020485454502f312e310d0a486f73743a200d0a557365722d4167656e743a20476f2d6874"
        "74702d636c69656e742f312e310d0a50726f78792d436f6e6e656374696f6e3a206b6565702d616c6976650d0a"
        "582d476f73742d50726f746f636f6c3a207564700d0a0d0a",
        "S http-connect:http.resp.200-udp", "a 0005ff01010101010035776f726c64",
        "C sessions:s5-udptun.5", NULL};
    make(&connector_http);
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        run_dgram(seed, "1.1.1.1:53", false, script);
        ck_assert_str_eq(dg_text, "world");
        end_dgram();
    }
    free(conn.cfg);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_http_connect, test_http_refusals, test_http_udp, NULL};
    return vectors_main("connector_http", tests);
}
