/* tests/unit/test_udptunnel.c - datagrams between a client and the world, where the two do not keep
 * step.
 */
#include "chain/router.h"
#include "core/floor/mem.h"
#include "dialworld.h"
#include "handlers/assoc.h"
#include "handlers/conn.h"
#include "pause.h"
#include "run.h"
#include <arpa/inet.h>

static void run_ms(uint64_t ms)
{
    pause_ms(loop, ms);
}

static struct sockaddr_in at_port(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int udp_socket(uint16_t *ret_port)
{
    struct sockaddr_in a = at_port(0);
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void send_to(int fd, uint16_t port, const void *data, size_t n)
{
    struct sockaddr_in a = at_port(port);
    ck_assert_int_eq(sendto(fd, data, n, 0, (struct sockaddr *)&a, sizeof a), (ssize_t)n);
}

/* ---------------------------------------------------------------- a reply that can't leave yet */

static struct stream *client;
static char heard_all[256];
static size_t heard_bytes;

static void on_client(struct stream *s, unsigned ready, void *arg)
{
    size_t n;
    (void)ready, (void)arg;
    while (stream_recv(s, heard_all + heard_bytes, sizeof heard_all - heard_bytes, &n) == RC_OK)
        heard_bytes += n;
}

/* The client does not take the reply to its UDP BIND; the bound port hears somebody all the same.
 */
START_TEST(test_datagram_before_the_reply_is_out)
{
    struct client_info info = {.peer = loopback(AF_INET, 1), .local = loopback(AF_INET, 2)};
    char request[] = "\1\x82\0\17\4\0\2\0\1\2\0\7\1\x7f\0\0\1\0\0";
    struct handler h = {.type = &handler_relay};
    struct diag diag = {.rc = RC_OK};
    struct layer *a, *b;
    uint16_t port, own_port;
    size_t n;
    world_start();
    int fd = udp_socket(&port), own = udp_socket(&own_port);
    close(fd); /* that port is free now */
    struct router *router = router_new(&(struct router_cfg){.loop = loop, .service = "test"});
    h.cfg = cfg_of(h.type->options, h.type->cfg_bytes);
    set_yes(h.type->options, h.cfg, "bind");
    struct handler_setup setup = {
        .loop = loop, .service = "test", .listener = "mem", .router = router, .tls = &no_tls};
    ck_assert_int_eq(h.type->init(&h, &setup, &diag), RC_OK);
    ck_assert(mem_pair(loop, &(struct mem_cfg){.cap_bytes = 10}, &a, &b));
    struct stream *served = stream_new(loop);
    client = stream_new(loop);
    stream_push(client, a);
    stream_push(served, b);
    h.type->serve(&h, served, &info);
    request[17] = (char)(port >> 8);
    request[18] = (char)(port & 0xff);
    ck_assert_int_eq(stream_open(client), RC_OK);
    for (size_t at = 0; at < sizeof request - 1; at += n, run_ms(5)) {
        struct iovec v = {request + at, sizeof request - 1 - at};
        ck_assert_int_eq(stream_send(client, &v, 1, &n), RC_OK);
    }
    run_ms(10);
    send_to(own, port, "early", 5);
    run_ms(10);
    heard_bytes = 0;
    stream_want(client, STREAM_IN, on_client, NULL);
    run_ms(10);
    ck_assert_uint_eq(heard_bytes, 14); /* response with an IPv4 address; "early" was dropped */
    send_to(own, port, "x", 1);
    run_ms(10);
    ck_assert_uint_eq(heard_bytes, 14 + 10 + 1);
    stream_close(client);
    close(own);
    h.type->done(&h);
    options_done(h.type->options, h.cfg);
    free(h.cfg);
    router_free(router);
    world_stop();
}
END_TEST

/* ---------------------------------------------------------------- strangers */

/* Datagrams of strangers cost what they cost, but not the turn of everybody else. */
START_TEST(test_association_gives_up_its_turn_when_strangers_flood_it)
{
    enum { FLOOD = 200 };
    struct diag diag = {.rc = RC_OK};
    struct dgram *d;
    struct addr bound;
    struct target from;
    uint16_t own_port;
    uint8_t buf[64];
    size_t n;
    world_start();
    struct assoc_cfg cfg = {
        .loop = loop, .local = loopback(AF_INET, 0), .peer = addr_v4("\x7f\0\0\2", 0)};
    ck_assert_int_eq(assoc_open(&cfg, &d, &diag), RC_OK);
    ck_assert_int_eq(dgram_local(d, &bound), RC_OK);
    int own = udp_socket(&own_port); /* 127.0.0.1 is not the peer */
    for (int i = 0; i < FLOOD; i++)
        send_to(own, bound.port, "\0\0\0\1\x7f\0\0\1\0\7x", 11);
    ck_assert_int_eq(dgram_open(d), RC_OK);
    ck_assert_int_eq(dgram_recv(d, buf, sizeof buf, &n, &from), RC_AGAIN);
    run_ms(10); /* its socket is heard of */
    ck_assert_int_eq(dgram_recv(d, buf, sizeof buf, &n, &from), RC_AGAIN);
    ck_assert_uint_gt(d->dropped, 0);
    ck_assert_uint_lt(d->dropped, FLOOD);
    for (int i = 0; i < FLOOD && d->dropped < FLOOD; i++) {
        ck_assert_uint_eq(d->type->ready(d, STREAM_IN), STREAM_IN); /* it goes on by itself */
        ck_assert_int_eq(dgram_recv(d, buf, sizeof buf, &n, &from), RC_AGAIN);
    }
    ck_assert_uint_eq(d->dropped, FLOOD);
    close(own);
    dgram_close(d);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udptunnel");
    TCase *tc = tcase_create("udptunnel");
    tcase_add_test(tc, test_datagram_before_the_reply_is_out);
    tcase_add_test(tc, test_association_gives_up_its_turn_when_strangers_flood_it);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
