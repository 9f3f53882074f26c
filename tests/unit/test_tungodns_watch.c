/* tests/unit/test_tungodns_watch.c - DNS over TCP that is passed on: what a client was answered is
 * known, in any segmentation, and no byte is changed.
 */
#include "core/floor/mem.h"
#include "core/stream.h"
#include "core/wire/dns.h"
#include "dialworld.h"
#include "handlers/handler.h"
#include "handlers/tungodns.h"

static struct tungodns *dns;
static struct addr client;

static struct stream *wire[2]; /* the client, and its stream as the handler has it */

/* All of it from one end to the other, in pieces of any size. */
static void pass(int from, const void *data, size_t n)
{
    union {
        const void *in;
        char *out;
    } u = {.in = data};
    char back[2048];
    size_t sent = 0, came_n = 0, k;
    for (int turns = 0; came_n < n; turns++) {
        ck_assert_int_lt(turns, 100000);
        struct iovec v = {u.out + sent, n - sent};
        if (sent < n && stream_send(wire[from], &v, 1, &k) == RC_OK)
            sent += k;
        if (stream_recv(wire[!from], back + came_n, sizeof back - came_n, &k) == RC_OK)
            came_n += k;
        (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
    ck_assert_mem_eq(back, data, n);
}

static size_t framed(uint8_t *buf, size_t n)
{
    buf[0] = (uint8_t)(n >> 8);
    buf[1] = (uint8_t)n;
    return n + 2;
}

static void tell(const char *asked, const char *answered, uint16_t id, const char *ip)
{
    uint8_t buf[600], q[512];
    struct dns_query query = {.id = 7, .type = DNS_A, .name = asked};
    struct dns_msg m;
    struct addr a;
    size_t n;
    ck_assert_int_eq(dns_format_query(&query, buf + 2, 512, &n), RC_OK);
    pass(0, buf, framed(buf, n));
    query = (struct dns_query){.id = id, .type = DNS_A, .name = answered};
    ck_assert_int_eq(dns_format_query(&query, q, sizeof q, &n), RC_OK);
    ck_assert_int_eq(dns_parse(q, n, &m), RC_OK);
    ck_assert(addr_parse_ip(ip, strlen(ip), &a));
    ck_assert_int_eq(dns_format_answer(q, &m, DNS_NOERROR, &a, 1, 60, buf + 2, 598, &n), RC_OK);
    pass(1, buf, framed(buf, n));
}

static const char *name_at(const char *ip)
{
    static struct target t;
    struct addr a;
    ck_assert(addr_parse_ip(ip, strlen(ip), &a));
    a.port = 443;
    return tungodns_name(dns, &client, &a, &t) == KNOWN_NAME ? t.name : "";
}

START_TEST(test_answers_that_pass_over_tcp_are_learnt)
{
    static const struct tungodns_options options = {.map = true};
    struct diag why = {.rc = RC_OK};
    world_start();
    client = loopback(AF_INET, 40000);
    struct router *router = router_new(&(struct router_cfg){.loop = loop, .service = "t"});
    struct handler_setup setup = {.loop = loop, .service = "t", .router = router};
    ck_assert_int_eq(tungodns_new(&setup, &options, false, &dns, &why), RC_OK);
    struct addr server = loopback(AF_INET, 53), other = loopback(AF_INET, 54);
    ck_assert(tungodns_takes_udp(dns, &server) && !tungodns_takes_tcp(dns, &server));
    for (uint32_t seed = 0; seed < 20; seed++) {
        struct mem_cfg cfg = {.cap_bytes = 70, .seed = seed};
        struct layer *a, *b;
        char name[64], ip[32];
        ck_assert(mem_pair(loop, &cfg, &a, &b));
        for (int i = 0; i < 2; i++) {
            wire[i] = stream_new(loop);
            stream_push(wire[i], i == 0 ? a : b);
            while (stream_open(wire[i]) != RC_OK)
                (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
        }
        tungodns_watch(dns, wire[1], &client, seed < 19 ? &server : &other);
        ck_assert(stream_is_open(wire[1]));
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof name, "n%d-%u.test", i, seed);
            snprintf(ip, sizeof ip, "198.51.%u.%d", seed + 1, i + 1);
            tell(name, name, 7, ip);
            ck_assert_str_eq(name_at(ip), seed < 19 ? name : "");
        }
        tell("asked.test", "other.test", 7, "203.0.113.1"); /* nobody asked that */
        tell("asked.test", "asked.test", 8, "203.0.113.2");
        ck_assert_str_eq(name_at("203.0.113.1"), "");
        ck_assert_str_eq(name_at("203.0.113.2"), "");
        pass(0, "\0\3no DNS from here on", 21); /* passes as it is */
        pass(1, "so it is", 8);
        tell("late.test", "late.test", 7, "203.0.113.3");
        ck_assert_str_eq(name_at("203.0.113.3"), "");
        stream_close(wire[0]);
        stream_close(wire[1]);
        (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
    tungodns_free(dns);
    router_free(router);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tungodns_watch");
    TCase *tc = tcase_create("tungodns_watch");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_answers_that_pass_over_tcp_are_learnt);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
