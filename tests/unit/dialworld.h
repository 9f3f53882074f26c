/* tests/unit/dialworld.h - loopback for the tests of chain/: servers of our own handlers, an echo,
 * a port that refuses, one that never answers; chains built in a line; one dial at a time.
 */
#ifndef TESTS_UNIT_DIALWORLD_H
#define TESTS_UNIT_DIALWORLD_H

#include "chain/chain.h"
#include "chain/router.h"
#include "configs/check.h"
#include "core/dgram.h"
#include "core/floor/tcp.h"
#include "core/floor/tls.h"
#include "core/loop.h"
#include "core/stream.h"
#include "handlers/types.h"
#include "listeners/listener.h"
#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;
static struct timer watchdog;
static bool stuck;
static const struct tls_cfg no_tls;

static inline void on_watchdog(struct timer *timer)
{
    (void)timer;
    stuck = true;
    loop_stop(loop);
}

static inline void world_start(void)
{
    struct diag diag = {.rc = RC_OK};
    loop = loop_new(&diag);
    ck_assert(loop != NULL);
    stuck = false;
    timer_init(loop, &watchdog, on_watchdog);
    ck_assert(timer_start(&watchdog, 100000));
}

static inline void world_stop(void)
{
    timer_stop(&watchdog);
    loop_free(loop);
}

/* ---------------------------------------------------------------- servers */

struct server {
    uv_poll_t poll;
    int fd;
    uint16_t port;
    int accepted;
    struct handler handler; /* type NULL: echo */
    struct router *router;
    bool hangs; /* accepts and says nothing */
    struct stream *kept[32];
    int n_kept;
};

static inline struct addr loopback(int family, uint16_t port)
{
    struct addr a;
    ck_assert(
        addr_parse_ip(family == AF_INET ? "127.0.0.1" : "::1", family == AF_INET ? 9 : 3, &a));
    a.port = port;
    return a;
}

static inline void echo_event(struct stream *s, unsigned ready, void *arg)
{
    char buf[4096];
    size_t n, done;
    (void)ready;
    (void)arg;
    enum rc rc = stream_recv(s, buf, sizeof buf, &n);
    if (rc == RC_OK) {
        struct iovec v = {buf, n};
        ck_assert_int_eq(stream_send(s, &v, 1, &done), RC_OK);
        ck_assert_uint_eq(done, n);
    } else if (rc != RC_AGAIN) {
        stream_want(s, 0, NULL, NULL);
    }
}

static inline void on_accept(uv_poll_t *poll, int status, int events)
{
    struct server *srv = (struct server *)poll;
    struct diag diag = {.rc = RC_OK};
    (void)status;
    (void)events;
    int fd = accept4(srv->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    srv->accepted++;
    struct client_info info = {.peer = {.family = 0}};
    (void)os_peer_addr(fd, &info.peer);
    (void)os_local_addr(fd, &info.local);
    struct stream *s = stream_new(loop);
    stream_push(s, tcp_layer(loop, fd, &diag));
    if (srv->handler.type != NULL) {
        srv->handler.type->serve(&srv->handler, s, &info);
        return;
    }
    ck_assert_int_lt(srv->n_kept, 32);
    srv->kept[srv->n_kept++] = s;
    ck_assert_int_eq(stream_open(s), RC_OK);
    if (!srv->hangs)
        stream_want(s, STREAM_IN, echo_event, NULL);
}

static inline void *cfg_of(const struct option *table, size_t bytes)
{
    struct problems none = {.n = 0};
    void *cfg = calloc(1, bytes);
    ck_assert_int_eq(options_fill(table, NULL, cfg, &none), RC_OK);
    return cfg;
}

static inline void set_option(const struct option *table, void *cfg, const char *key,
                              const void *value, size_t n)
{
    for (; table->key != NULL; table++)
        if (strcmp(table->key, key) == 0) {
            memcpy((char *)cfg + table->offset, value, n);
            return;
        }
    ck_abort_msg("no option %s", key);
}

static inline void set_yes(const struct option *table, void *cfg, const char *key)
{
    bool yes = true;
    set_option(table, cfg, key, &yes, sizeof yes);
}

/* type NULL: an echo. at: where, port 0: any. */
static inline void serve_at(struct server *srv, const struct addr *at,
                            const struct handler_type *type)
{
    struct diag diag = {.rc = RC_OK};
    struct addr bound;
    *srv = (struct server){.fd = -1};
    ck_assert_int_eq(os_listen_tcp(at, false, false, 16, &srv->fd, &diag), RC_OK);
    ck_assert_int_eq(os_local_addr(srv->fd, &bound), RC_OK);
    srv->port = bound.port;
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &srv->poll, srv->fd), 0);
    ck_assert_int_eq(uv_poll_start(&srv->poll, UV_READABLE, on_accept), 0);
    if (type == NULL)
        return;
    srv->router = router_new(&(struct router_cfg){.loop = loop, .service = "server"});
    srv->handler = (struct handler){.type = type, .cfg = cfg_of(type->options, type->cfg_bytes)};
    for (const struct option *o = type->options; o->key != NULL; o++)
        if (strcmp(o->key, "udp") == 0 || strcmp(o->key, "bind") == 0)
            set_yes(type->options, srv->handler.cfg, o->key);
    struct handler_setup setup = {.loop = loop,
                                  .service = "server",
                                  .listener = "tcp",
                                  .router = srv->router,
                                  .tls = &no_tls};
    ck_assert_msg(type->init(&srv->handler, &setup, &diag) == RC_OK, "%s", diag.text);
}

static inline void serve(struct server *srv, const struct handler_type *type)
{
    struct addr at = loopback(AF_INET, 0);
    serve_at(srv, &at, type);
}

static inline void unserve(struct server *srv)
{
    for (int i = 0; i < srv->n_kept; i++)
        stream_close(srv->kept[i]);
    if (srv->handler.type != NULL) {
        srv->handler.type->done(&srv->handler);
        options_done(srv->handler.type->options, srv->handler.cfg);
        free(srv->handler.cfg);
        router_free(srv->router);
    }
    uv_close((uv_handle_t *)&srv->poll, NULL);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    close(srv->fd);
}

/* A port on which nobody listens, nor can: a socket has it, until the test's process ends. */
static inline uint16_t refusing_port(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    return ntohs(sa.sin_port);
}

/* A port whose queue of connections is full: a SYN gets no answer. Close fds[0..3]. */
static inline uint16_t silent_port(int family, uint16_t port, int fds[static 4])
{
    struct addr at = loopback(family, port);
    ck_assert_int_eq(os_listen_tcp(&at, false, false, 0, &fds[0], NULL), RC_OK);
    ck_assert_int_eq(os_local_addr(fds[0], &at), RC_OK);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(os_socket_for(SOCK_STREAM, &at, NULL, NULL, &fds[i], NULL), RC_OK);
        ck_assert_int_eq(os_connect(fds[i], &at, NULL), RC_OK);
    }
    usleep(20000); /* until the kernel has put them in the queue */
    return at.port;
}

static inline void close_all(int fds[static 4])
{
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

/* ---------------------------------------------------------------- chains */

static inline struct node *add_node(struct hop *h, const char *name, const char *host,
                                    uint16_t port, const struct dialer_type *d,
                                    const struct connector_type *c, void *connector_cfg)
{
    struct diag diag = {.rc = RC_OK};
    char addr[128];
    snprintf(addr, sizeof addr, "%s:%u", host, port);
    struct node *n =
        node_new(&(struct node_cfg){.loop = loop,
                                    .name = name,
                                    .addr = addr,
                                    .connector = c,
                                    .connector_cfg = connector_cfg != NULL
                                                         ? connector_cfg
                                                         : cfg_of(c->options, c->cfg_bytes),
                                    .connector_tls = &no_tls,
                                    .dialer = d,
                                    .dialer_cfg = cfg_of(d->options, d->cfg_bytes),
                                    .dialer_tls = &no_tls},
                 &diag);
    ck_assert_msg(n != NULL, "%s", diag.text);
    ck_assert_int_eq(hop_add(h, n), RC_OK);
    return n;
}

static inline struct hop *add_hop(struct chain *c, const char *name)
{
    struct hop *h = hop_new(
        &(struct hop_cfg){.loop = loop, .name = name, .selector = {.strategy = SELECT_FIFO}});
    ck_assert_int_eq(chain_add(c, h), RC_OK);
    return h;
}

/* ---------------------------------------------------------------- one dial */

static struct outcome {
    struct stream *s;
    struct dgram *d;
    struct dial_result res;
    int calls;
    uint64_t ms;
    uint64_t started_ms;
} got;

static inline void on_dialled(void *arg, struct stream *s, const struct dial_result *res)
{
    (void)arg;
    got.s = s;
    got.res = *res;
    got.calls++;
    got.ms = loop_now_ms(loop) - got.started_ms;
    loop_stop(loop);
}

static inline void on_dialled_dgram(void *arg, struct dgram *d, const struct dial_result *res)
{
    got.d = d;
    on_dialled(arg, NULL, res);
}

static inline struct dial *dial_start(struct router *r, const char *target, bool udp)
{
    struct dial_req req = {.v4_only = false};
    if (target != NULL)
        ck_assert_msg(target_parse(target, &req.target), "%s", target);
    uv_update_time(loop_uv(loop));
    got = (struct outcome){.started_ms = loop_now_ms(loop)};
    struct dial *d = udp ? router_dial_dgram(r, &req, on_dialled_dgram, NULL)
                         : router_dial(r, &req, on_dialled, NULL);
    ck_assert(d != NULL);
    ck_assert_int_eq(got.calls, 0);
    return d;
}

static inline enum rc dial_to(struct router *r, const char *target, bool udp)
{
    (void)dial_start(r, target, udp);
    while (got.calls == 0 && !stuck)
        loop_run(loop);
    ck_assert(!stuck);
    ck_assert((got.res.rc == RC_OK) == (got.s != NULL || got.d != NULL));
    return got.res.rc;
}

static inline const char *port_text(const char *host, uint16_t port)
{
    static char text[4][128];
    static unsigned turn;
    char *t = text[turn++ % 4];
    snprintf(t, sizeof text[0], "%s:%u", host, port);
    return t;
}

static bool said;
static char heard[64];
static size_t n_heard;

static inline void talk_event(struct stream *s, unsigned ready, void *arg)
{
    size_t n;
    (void)ready;
    (void)arg;
    if (!said) {
        char hello[] = "hello";
        struct iovec v = {hello, 5};
        said = stream_send(s, &v, 1, &n) == RC_OK;
    }
    enum rc rc = stream_recv(s, heard + n_heard, sizeof heard - n_heard, &n);
    if (rc == RC_OK)
        n_heard += n;
    if (n_heard == 5 || (rc != RC_OK && rc != RC_AGAIN))
        loop_stop(loop);
    stream_want(s, STREAM_IN | (said ? 0u : (unsigned)STREAM_OUT), talk_event, NULL);
}

/* "hello" there and back over what was dialled; closes it. */
static inline void echo_over(struct stream *s)
{
    said = false;
    n_heard = 0;
    stream_want(s, STREAM_IN | STREAM_OUT, talk_event, NULL);
    loop_run(loop);
    ck_assert(!stuck);
    ck_assert_msg(n_heard == 5 && memcmp(heard, "hello", 5) == 0, "%zu bytes, %s", n_heard,
                  stream_diag(s)->text);
    stream_close(s);
}

#endif
