/* tests/unit/dnshandlercase.h - the dns listener and handler on loopback, over UDP and TCP, with
 * upstreams of ours and a client that says what it likes.
 */
#ifndef TESTS_UNIT_DNSHANDLERCASE_H
#define TESTS_UNIT_DNSHANDLERCASE_H

#include "dnspeer.h"
#include "handlers/types.h"
#include "listeners/types.h"
#include "run.h"

static struct dns_peer peer, second;
static struct handler handler;
static struct router *router;
static struct listener listener[2]; /* udp, tcp */
static uint16_t port[2];
static int n_clients;
static char *upstreams[4];
static int64_t upstream_ms = 2500; /* its timeout */
static uint8_t client_host = 1;    /* of 127.0.0.x */
static bool is_amid_dead; /* the peer: one upstream before it and one behind it are closed ports */

static inline void on_stream_client(void *arg, struct stream *s, const struct client_info *info)
{
    (void)arg;
    n_clients++;
    handler.type->serve(&handler, s, info);
}

static inline void on_dgram_client(void *arg, struct dgram *d, const struct client_info *info)
{
    (void)arg;
    n_clients++;
    handler.type->serve_dgram(&handler, d, info);
}

static inline void on_broken(void *arg, const struct diag *why)
{
    (void)arg;
    ck_abort_msg("%s", why->text);
}

static inline void start(dns_peer_fn *answer, dns_peer_fn *answer_second, int64_t read_timeout_ms)
{
    struct diag diag = {.rc = RC_OK};
    struct handler_setup setup = {.service = "dns", .listener = "dns", .tls = &no_tls};
    char addr[64];
    world_start();
    peer_start(&peer, answer);
    peer_start(&second, answer_second != NULL ? answer_second : answer);
    router = router_new(&(struct router_cfg){.loop = loop, .service = "dns"});
    setup.loop = loop;
    setup.router = router;
    handler = (struct handler){.type = &handler_dns,
                               .cfg = cfg_of(handler_dns.options, handler_dns.cfg_bytes)};
    struct strlist list = {.v = calloc(4, sizeof(char *)),
                           .n = is_amid_dead            ? 3
                                : answer_second != NULL ? 2
                                                        : 1};
    for (size_t i = 0; i < list.n; i++) {
        snprintf(addr, sizeof addr, "udp://127.0.0.1:%zu",
                 is_amid_dead && i != 1        ? i + 1
                 : i == (is_amid_dead ? 1 : 0) ? peer.port
                                               : (size_t)second.port);
        list.v[i] = upstreams[i] = strdup(addr);
    }
    set_option(handler_dns.options, handler.cfg, "dns", &list, sizeof list);
    set_option(handler_dns.options, handler.cfg, "timeout", &upstream_ms, sizeof upstream_ms);
    set_option(handler_dns.options, handler.cfg, "readTimeout", &read_timeout_ms,
               sizeof read_timeout_ms);
    ck_assert_msg(handler_dns.init(&handler, &setup, &diag) == RC_OK, "%s", diag.text);
    n_clients = 0;
    for (int i = 0; i < 2; i++) {
        static const struct sockopts so;
        struct listener_setup ls = {
            .loop = loop, .service = "dns", .addr = "127.0.0.1:0", .tls = &no_tls, .so = &so};
        struct listener_events ev = {on_stream_client, on_dgram_client, on_broken, NULL, NULL};
        char where[128];
        listener[i] = (struct listener){.type = &listener_dns};
        listener[i].cfg = cfg_of(listener_dns.options, listener_dns.cfg_bytes);
        set_option(listener_dns.options, listener[i].cfg, "mode", &i, sizeof i);
        ck_assert_msg(listener_dns.open(&listener[i], &ls, &diag) == RC_OK, "%s", diag.text);
        ck_assert_int_eq(listener_dns.start(&listener[i], &ev, &diag), RC_OK);
        port[i] =
            (uint16_t)atoi(strchr(listener_dns.where(&listener[i], where, sizeof where), ':') + 1);
    }
}

static inline void stop(void)
{
    for (int i = 0; i < 2; i++)
        listener_dns.stop(&listener[i]);
    handler_dns.done(&handler);
    for (int i = 0; i < 2; i++) {
        listener_dns.done(&listener[i]);
        options_done(listener_dns.options, listener[i].cfg);
        free(listener[i].cfg);
    }
    options_done(handler_dns.options, handler.cfg);
    free(handler.cfg);
    router_free(router);
    peer_stop(&peer);
    peer_stop(&second);
    world_stop();
}

/* ---------------------------------------------------------------- a client */

static struct timer tick;
static inline void on_tick(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

static inline void spin(uint64_t ms)
{
    timer_init(loop, &tick, on_tick);
    ck_assert(timer_start(&tick, ms));
    loop_run(loop);
}

static inline int client_to(int kind)
{
    struct addr at = loopback(AF_INET, port[kind]);
    int fd;
    ck_assert_int_eq(
        os_socket_for(kind == 0 ? SOCK_DGRAM : SOCK_STREAM, &at, NULL, NULL, &fd, NULL), RC_OK);
    struct sockaddr_storage own;
    struct addr host = {.family = AF_INET, .ip = {127, 0, 0, client_host}};
    socklen_t own_n = addr_to_sockaddr(&host, false, &own);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own, own_n), 0);
    enum rc rc = os_connect(fd, &at, NULL);
    ck_assert(rc == RC_OK || rc == RC_AGAIN);
    spin(2);
    return fd;
}

static uint8_t in[1 << 20];
static size_t n_in;

/* Waits for so many bytes, or for the end (-1 is the answer then). */
static inline ssize_t hear(int fd, size_t wanted)
{
    n_in = 0;
    for (int i = 0; i < 4000 && n_in < wanted; i++) {
        ssize_t n = recv(fd, in + n_in, sizeof in - n_in, MSG_DONTWAIT);
        if (n > 0)
            n_in += (size_t)n;
        else if (n == 0)
            return -1;
        else
            spin(1);
    }
    return (ssize_t)n_in;
}

static inline size_t query(uint8_t *buf, uint16_t id, const char *name)
{
    size_t n;
    struct dns_query q = {.id = id, .type = DNS_A, .name = name, .edns_bytes = 1232};
    ck_assert_int_eq(dns_format_query(&q, buf, 512, &n), RC_OK);
    return n;
}

static inline void say_udp(int fd, const void *p, size_t n)
{
    ck_assert_int_eq(send(fd, p, n, 0), (ssize_t)n);
}

static inline void say_framed(int fd, const void *p, size_t n)
{
    uint8_t out[2 + 600];
    put16(out, (unsigned)n);
    memcpy(out + 2, p, n);
    ck_assert_int_eq(send(fd, out, 2 + n, MSG_NOSIGNAL), (ssize_t)(2 + n));
}

static inline unsigned rcode(void)
{
    return in[3] & 0xf;
}

/* ---------------------------------------------------------------- questions that wait */

static struct dns_asker held_to;
static uint8_t held[64][512];
static size_t held_n[64];
static int n_held;

static inline void hold(struct dns_asker *to, const uint8_t *q, size_t n)
{
    held_to = *to;
    memcpy(held[n_held], q, n);
    held_n[n_held] = n;
    n_held += n_held < 63;
}

/* What main() returns. */
static inline int dns_handler_main(const char *name, const TTest *const *tests, const TTest *twice)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 20);
    for (; *tests; tests++)
        tcase_add_test(tc, *tests);
    if (twice)
        tcase_add_loop_test(tc, twice, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

#endif
