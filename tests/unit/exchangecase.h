/* tests/unit/exchangecase.h - nameservers that are peers of the test (dnspeer.h), and one question
 * at a time to them by chain/exchange.c.
 */
#ifndef TESTS_UNIT_EXCHANGECASE_H
#define TESTS_UNIT_EXCHANGECASE_H

#include "chain/exchange.h"
#include "dnspeer.h"
#include "run.h"

static struct dns_peer peer;
static struct nameservers *list;
static struct sockopts so;

static inline struct nameserver *add(const char *scheme, uint16_t port, struct nameserver_cfg cfg)
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

static inline struct nameserver *start(const char *scheme, dns_peer_fn *answer)
{
    world_start();
    peer_start(&peer, answer);
    list = nameservers_new();
    return add(scheme, peer.port, (struct nameserver_cfg){.ttl_ms = 0});
}

static inline void stop(void)
{
    nameservers_stop(list);
    nameservers_unref(list);
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* on_end() may have stopped the loop */
    peer_stop(&peer);
    world_stop();
}
static struct {
    int calls;
    enum rc rc;
    uint8_t answer[65536];
    size_t n;
    struct dns_msg m;
    uint64_t ms;
} end;

static inline void on_end(void *arg, enum rc rc, const uint8_t *answer, size_t n)
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

static inline struct exchange *begin(const char *name, uint16_t type)
{
    uint8_t q[512];
    size_t n;
    struct dns_query query = {.id = 0x4711, .type = type, .name = name, .edns_bytes = 1232};
    ck_assert_int_eq(dns_format_query(&query, q, sizeof q, &n), RC_OK);
    end.calls = 0;
    struct exchange_cfg cfg = {.loop = loop, .list = list, .so = &so, .query = q, .n = n};
    return exchange_new(&cfg, on_end, NULL);
}

static inline enum rc ask(const char *name)
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

static int news_lied, news_tcp;
static inline void on_news(void *arg, const struct nameserver *s, enum nameserver_news news)
{
    char text[240];
    (void)arg;
    ck_assert_uint_gt(strlen(nameserver_news_text(s, news, text, sizeof text)), 20);
    news_lied += news == NAMESERVER_LIED;
    news_tcp += news == NAMESERVER_OVER_TCP;
}

static inline void say_nothing(struct dns_asker *to, const uint8_t *q, size_t n)
{
    (void)to;
    (void)q;
    (void)n;
}

/* One that can't read the question may leave it out: believed by the id alone, as an error. */
static inline void answer_nothing_but_an_error(struct dns_asker *to, const uint8_t *q, size_t n)
{
    uint8_t out[12] = {q[0], q[1], 0x81, 0x80 | DNS_FORMERR};
    (void)n;
    peer_say(to, out, sizeof out);
}

typedef const TTest *exchange_test;

static inline int exchange_main(const char *name, const exchange_test *tests)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 20);
    for (; *tests != NULL; tests++)
        tcase_add_test(tc, *tests);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

#endif
