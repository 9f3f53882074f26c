/* The socks4 connector against a scripted node: its exact bytes (wire-protocols.md and
 * its vectors), any segmentation, refusals, silence. */
#include "connectorcase.h"

START_TEST(test_socks4_exchanges)
{
    static const struct {
        const char *target, *request;
        bool disable4a;
        const char *user;
    } v[] = {{"example.com:443", "C socks4:s4a.connect.gost", false, "user"},
             {"192.0.2.1:80", "C socks4:s4a.connect.ip-literal", false, NULL},
             {"[2001:db8::1]:443", "C socks4:s4a.connect.ip6-literal", false, NULL},
             {"192.0.2.1:80", "C socks4:s4.connect", true, NULL}};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {v[i].request, "s 005a00000000000068656c6c6f", "c 3132", NULL};
        make(&connector_socks4);
        if (v[i].disable4a)
            set_bool("disable4a");
        for (uint32_t seed = 0; seed < SEEDS / 2; seed++) {
            run(seed, v[i].target, "12", 5, script, v[i].user, NULL);
            ck_assert_int_eq(near.opened, RC_OK);
            expect_got("hello");
        }
        free(conn.cfg);
    }
}
END_TEST

START_TEST(test_socks4_refusals)
{
    static const struct {
        const char *reply;
        enum rc rc;
    } v[] = {{"S socks4:s4.reply.failed", RC_UNREACH_HOST},
             {"S socks4:s4.reply.rejected", RC_DENIED},
             {"S socks4:s4.reply.userid", RC_AUTH},
             {"S socks4:s4.bad.reply-version", RC_PROTO}};
    make(&connector_socks4);
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        const char *const script[] = {"C socks4:s4a.connect.ip-literal", v[i].reply, NULL};
        run((uint32_t)i, "192.0.2.1:80", NULL, 0, script, NULL, NULL);
        ck_assert_int_eq(near.opened, v[i].rc);
    }
    free(conn.cfg);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks4_exchanges, test_socks4_refusals, NULL};
    return vectors_main("connector_socks4", tests);
}
