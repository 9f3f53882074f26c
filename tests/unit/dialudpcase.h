/* tests/unit/dialudpcase.h - dials for datagrams on loopback: an echo, a talk over what was
 * dialled, and the kinds of node that carry them.
 */
#ifndef TESTS_UNIT_DIALUDPCASE_H
#define TESTS_UNIT_DIALUDPCASE_H

#include "core/floor/udp.h"
#include "dialworld.h"
#include "run.h"

/* ---------------------------------------------------------------- an echo */

struct udp_echo {
    struct dgram *d;
    uint16_t port;
    int seen;
    struct dgram *stranger; /* says something before each answer */
};

static inline void on_echo(struct dgram *d, unsigned ready, void *arg)
{
    static char buf[65536];
    struct udp_echo *e = arg;
    struct target from;
    size_t n;
    (void)ready;
    while (dgram_recv(d, buf, sizeof buf, &n, &from) == RC_OK) {
        e->seen++;
        if (e->stranger)
            (void)dgram_send(e->stranger, &from, "spoof", 5);
        (void)dgram_send(d, &from, buf, n);
    }
}

static inline void udp_serve(struct udp_echo *e)
{
    struct addr at = loopback(AF_INET, 0);
    int fd;
    ck_assert_int_eq(os_bind_udp(&at, false, NULL, &fd, NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(fd, &at), RC_OK);
    *e = (struct udp_echo){.d = udp_dgram_fd(loop, fd), .port = at.port};
    dgram_want(e->d, STREAM_IN, on_echo, e);
}

/* ---------------------------------------------------------------- a talk over what was dialled */

static struct talk {
    struct target to;
    char sent[8], back[8];
    size_t n_back, rounds;
    struct target from;
    enum rc failed;
    struct timer again;
} talk;

static inline void talk_say(void)
{
    (void)dgram_send(got.d, &talk.to, talk.sent, 5);
    ck_assert(timer_start(&talk.again, 100)); /* a datagram may be lost on the way to a name */
}

static inline void on_again(struct timer *timer)
{
    (void)timer;
    talk_say();
}

static inline void on_talk(struct dgram *d, unsigned ready, void *arg)
{
    (void)ready;
    (void)arg;
    enum rc rc = dgram_recv(d, talk.back, sizeof talk.back, &talk.n_back, &talk.from);
    if (rc == RC_AGAIN)
        return;
    talk.failed = rc;
    timer_stop(&talk.again);
    loop_stop(loop);
    if (rc != RC_OK)
        dgram_want(d, 0, NULL, NULL);
}

/* Three rounds, then it is closed. */
static inline void echo_dgrams(const char *to)
{
    ck_assert(target_parse(to, &talk.to));
    for (char round = '0'; round < '3'; round++) {
        timer_init(loop, &talk.again, on_again);
        memcpy(talk.sent, "hell", 4);
        talk.sent[4] = round;
        talk.failed = RC_AGAIN;
        dgram_want(got.d, STREAM_IN, on_talk, NULL);
        talk_say();
        while (!stuck && talk.failed == RC_AGAIN)
            loop_run(loop);
        ck_assert(!stuck);
        ck_assert_msg(talk.failed == RC_OK, "%s", got.d->diag.text);
        ck_assert_uint_eq(talk.n_back, 5);
        ck_assert_mem_eq(talk.back, talk.sent, 5);
    }
    dgram_close(got.d);
}

static inline struct router *router_for(struct chain *c)
{
    return router_new(&(struct router_cfg){
        .loop = loop, .service = "service-0", .chain = c, .dial_timeout_ms = 2000});
}

/* ---------------------------------------------------------------- nodes */

static const struct {
    const struct handler_type *handler;
    const struct connector_type *connector;
    bool fixed;
} ends[] = {{&handler_socks5, &connector_socks5, false},
            {&handler_http, &connector_http, false},
            {&handler_relay, &connector_relay, true}};
enum { ENDS = sizeof ends / sizeof ends[0] };

#endif
