/* tests/unit/handlercase.h - whole handlers between a client on a nasty memory wire and targets on
 * loopback: what a client sends, in any segmentation, and what must come back.
 */
#ifndef TESTS_UNIT_HANDLERCASE_H
#define TESTS_UNIT_HANDLERCASE_H

#include "chain/forwarder.h"
#include "chain/router.h"
#include "core/auther.h"
#include "core/dgram.h"
#include "core/floor/mem.h"
#include "core/floor/tls.h"
#include "core/stream.h"
#include "handlers/handler.h"
#include "handlers/types.h"
#include "listeners/types.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPT_MAX = 4096, GIVE_UP_MS = 5000 };

static struct loop *loop;
static struct router *router;

/* ---------------------------------------------------------------- options */

static const struct option *find_option(const struct option *table, const char *key)
{
    for (; table->key; table++)
        if (strcmp(table->key, key) == 0)
            return table;
    ck_abort_msg("no option %s", key);
    return NULL;
}

static inline int64_t number(const char *text)
{
    char *unit;
    int64_t v = strtoll(text, &unit, 10);
    return strcmp(unit, "s") == 0 ? v * 1000 : v;
}

static inline void set_option(const struct option *o, void *cfg, const char *text)
{
    char *at = (char *)cfg + o->offset;
    switch (o->type) {
    case OPTION_STRING:
        *(char **)at = strdup(text);
        break;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        *(int64_t *)(void *)at = number(text);
        break;
    case OPTION_BOOL:
        *(bool *)at = strcmp(text, "true") == 0;
        break;
    case OPTION_LIST:
    case OPTION_LINES:
    case OPTION_MAP:
    case OPTION_NETS:
    case OPTION_ENUM:
        ck_abort_msg("not needed here");
    }
}

/* "key=value;key=value" over the defaults. */
static inline void *make_cfg(const struct option *table, size_t bytes, const char *text)
{
    char copy[256], *save = NULL;
    void *cfg = calloc(1, bytes);
    ck_assert(cfg != NULL);
    for (const struct option *o = table; o->key; o++)
        if (o->def)
            set_option(o, cfg, o->def);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *p = strtok_r(copy, ";", &save); p; p = strtok_r(NULL, ";", &save)) {
        char *eq = strchr(p, '=');
        *eq = '\0';
        set_option(find_option(table, p), cfg, eq + 1);
    }
    return cfg;
}

/* ---------------------------------------------------------------- targets: echo over TCP and UDP
 */

struct echo {
    struct stream *s;
    char buf[4096];
    size_t from, to;
    bool eof, shut;
};

static struct listener tcp_target, udp_target;
static uint16_t tcp_port, udp_port;

static inline void on_echo(struct stream *s, unsigned ready, void *arg)
{
    struct echo *e = arg;
    size_t n;
    enum rc rc = RC_OK;
    (void)ready;
    if (!stream_is_open(s) && stream_open(s) != RC_OK)
        return;
    if (e->from == e->to && !e->eof) {
        rc = stream_recv(s, e->buf, sizeof e->buf, &n);
        if (rc == RC_OK) {
            e->from = 0;
            e->to = n;
        }
        e->eof = rc == RC_EOF;
    }
    if (e->from < e->to) {
        struct iovec v = {e->buf + e->from, e->to - e->from};
        rc = stream_send(s, &v, 1, &n);
        if (rc == RC_OK)
            e->from += n;
    }
    if (e->eof && e->from == e->to)
        rc = stream_shut(s) == RC_OK ? RC_EOF : RC_AGAIN;
    if (rc == RC_OK || rc == RC_AGAIN) {
        stream_want(s, e->from < e->to ? STREAM_OUT : STREAM_IN, on_echo, e);
        return;
    }
    stream_close(s);
    free(e);
}

static inline void on_stream(void *arg, struct stream *s, const struct client_info *info)
{
    struct echo *e = calloc(1, sizeof *e);
    (void)arg, (void)info;
    ck_assert(e != NULL);
    e->s = s;
    stream_want(s, STREAM_OPEN, on_echo, e);
}

static inline void on_session(struct dgram *d, unsigned ready, void *arg)
{
    static char buf[DGRAM_MAX_BYTES];
    struct target from;
    size_t n;
    (void)ready, (void)arg;
    enum rc rc = dgram_recv(d, buf, sizeof buf, &n, &from);
    if (rc == RC_OK)
        (void)dgram_send(d, &from, buf, n);
    else if (rc != RC_AGAIN)
        dgram_close(d);
}

static inline void on_dgram(void *arg, struct dgram *d, const struct client_info *info)
{
    (void)arg, (void)info;
    dgram_want(d, STREAM_IN, on_session, NULL);
}

static inline uint16_t open_target(struct listener *l, const struct listener_type *type)
{
    static const struct tls_cfg tls;
    static const struct sockopts so;
    struct listener_setup setup = {
        .loop = loop, .service = "target", .addr = "127.0.0.1:0", .tls = &tls, .so = &so};
    struct listener_events ev = {.on_stream = on_stream, .on_dgram = on_dgram};
    struct diag diag = {.rc = RC_OK};
    char where[64];
    *l = (struct listener){.type = type, .cfg = make_cfg(type->options, type->cfg_bytes, "")};
    ck_assert_msg(type->open(l, &setup, &diag) == RC_OK, "%s", diag.text);
    ck_assert_int_eq(type->start(l, &ev, &diag), RC_OK);
    return (uint16_t)atoi(strchr(type->where(l, where, sizeof where), ':') + 1);
}

static inline void close_target(struct listener *l)
{
    l->type->done(l);
    options_done(l->type->options, l->cfg);
    free(l->cfg);
}

/* ---------------------------------------------------------------- the client: a script */

/* Sends a piece, then waits for that many bytes of answer (in all) before the next one. */
struct line {
    const char *send;
    size_t n, await;
};

struct client {
    struct stream *s;
    const struct line *lines;
    size_t n_lines, line, sent, got_n, step, enough;
    char got[SCRIPT_MAX];
    bool shut, half_close, eof, failed;
    struct timer deadline;
};

static struct client client;

static inline void on_client(struct stream *s, unsigned ready, void *arg)
{
    struct client *c = arg;
    size_t n;
    enum rc rc = stream_open(s);
    unsigned want = 0;
    (void)ready;
    if (rc == RC_OK && !c->eof) {
        rc = stream_recv(s, c->got + c->got_n, sizeof c->got - c->got_n, &n);
        if (rc == RC_OK)
            c->got_n += n;
        c->eof = rc == RC_EOF;
        c->failed = c->failed || (rc != RC_OK && rc != RC_AGAIN && rc != RC_EOF);
    }
    if (c->line < c->n_lines && !c->failed) {
        const struct line *l = &c->lines[c->line];
        union {
            const char *in;
            char *out;
        } u = {.in = l->send + c->sent};
        struct iovec v = {u.out, l->n - c->sent};
        if (c->step > 0 && v.iov_len > c->step)
            v.iov_len = c->step;
        rc = c->sent < l->n ? stream_send(s, &v, 1, &n) : RC_AGAIN;
        if (rc == RC_OK)
            c->sent += n;
        c->failed = c->failed || (rc != RC_OK && rc != RC_AGAIN);
        if (c->sent == l->n && c->got_n >= l->await) {
            c->line++;
            c->sent = 0;
        }
    }
    bool said = c->line == c->n_lines;
    if (said && c->half_close && !c->shut && stream_shut(s) == RC_OK)
        c->shut = true;
    if (c->eof || c->failed || (c->enough && c->got_n >= c->enough)) {
        loop_stop(loop);
        return;
    }
    want = STREAM_IN;
    if (!said && c->sent < c->lines[c->line].n)
        want |= STREAM_OUT;
    if (said && c->half_close && !c->shut)
        want |= STREAM_OUT;
    stream_want(s, want, on_client, c);
}

static inline void on_deadline(struct timer *t)
{
    (void)t;
    client.failed = true;
    loop_stop(loop);
}

/* ---------------------------------------------------------------- a run */

struct scene {
    const struct handler_type *type;
    const char *options;
    const char *user; /* NULL: no auther */
    bool bypass, forward, half_close;
    uint32_t seed; /* of the wire */
    size_t step;   /* bytes per send of the client; 0: all */
    size_t enough; /* the handler is stopped as soon as the client got so much; 0: when it ends */
};

static inline bool bypassed(void *arg, const char *network, const struct target *t)
{
    (void)network;
    return *(const bool *)arg && t->addr.port == tcp_port;
}

static inline void setup(void)
{
    struct diag diag = {.rc = RC_OK};
    loop = loop_new(&diag);
    ck_assert(loop != NULL);
    router = router_new(&(struct router_cfg){.loop = loop, .service = "test"});
    ck_assert(router != NULL);
    tcp_port = open_target(&tcp_target, &listener_tcp);
    udp_port = open_target(&udp_target, &listener_udp);
}

static inline void teardown(void)
{
    close_target(&tcp_target);
    close_target(&udp_target);
    router_free(router);
    loop_run(loop); /* what was closed goes */
    loop_free(loop);
}

/* Runs until the client's side ended; what it got is in client.got. */
static inline void play(const struct scene *sc, const struct line *lines, size_t n_lines)
{
    static const struct tls_cfg tls;
    struct mem_cfg wire = {.cap_bytes = 300, .seed = sc->seed};
    struct diag diag = {.rc = RC_OK};
    bool bypass = sc->bypass;
    struct layer *a, *b;
    struct auther *auther = NULL;
    struct forwarder *forwarder = NULL;
    if (sc->user) {
        auther = auther_new();
        ck_assert_int_eq(auther_add(auther, sc->user, "secret"), RC_OK);
    }
    if (sc->forward) {
        struct target t = {.addr = addr_v4("\x7f\0\0\1", tcp_port)};
        forwarder = forwarder_new(loop, &(struct selector_cfg){.fail_timeout_ms = 1000});
        ck_assert_int_eq(forwarder_add(forwarder, "t", &t), RC_OK);
    }
    struct handler h = {.type = sc->type};
    h.cfg = make_cfg(sc->type->options, sc->type->cfg_bytes, sc->options ? sc->options : "");
    struct handler_setup hs = {.loop = loop,
                               .service = "test",
                               .listener = "mem",
                               .router = router,
                               .auther = auther,
                               .tls = &tls,
                               .forwarder = forwarder,
                               .bypassed = bypassed,
                               .bypassed_arg = &bypass};
    ck_assert_msg(sc->type->init(&h, &hs, &diag) == RC_OK, "%s", diag.text);

    ck_assert(mem_pair(loop, &wire, &a, &b));
    struct stream *served = stream_new(loop);
    client = (struct client){.s = stream_new(loop),
                             .lines = lines,
                             .n_lines = n_lines,
                             .half_close = sc->half_close,
                             .enough = sc->enough};
    stream_push(client.s, a);
    stream_push(served, b);
    struct client_info info = {.peer = addr_v4("\x7f\0\0\1", 40000),
                               .local = addr_v4("\x7f\0\0\1", 1080)};
    timer_init(loop, &client.deadline, on_deadline);
    ck_assert(timer_start(&client.deadline, GIVE_UP_MS));
    stream_want(client.s, STREAM_OPEN, on_client, &client);
    sc->type->serve(&h, served, &info);
    loop_run(loop);
    timer_stop(&client.deadline);
    stream_close(client.s);
    sc->type->done(&h);
    options_done(sc->type->options, h.cfg);
    free(h.cfg);
    auther_free(auther);
    forwarder_free(forwarder);
}

/* Datagrams are dropped where a wire says that it has no room, so it must not lie: the client cuts
 * instead. */
static inline void expect_dgrams(const struct scene *sc, const struct line *lines, size_t n_lines,
                                 const void *want, size_t n)
{
    for (size_t step = 0; step < 9; step++) {
        struct scene s = *sc;
        s.step = step;
        play(&s, lines, n_lines);
        ck_assert_msg(client.eof && client.got_n == n, "step %zu: %zu bytes, not %zu", step,
                      client.got_n, n);
        ck_assert(memcmp(client.got, want, n) == 0);
    }
}

static inline void expect(const struct scene *sc, const struct line *lines, size_t n_lines,
                          const void *want, size_t n)
{
    for (uint32_t seed = 0; seed < 12; seed++) {
        struct scene s = *sc;
        s.seed = seed;
        play(&s, lines, n_lines);
        ck_assert_msg(client.eof && !client.failed, "seed %u: no clean end, %zu bytes", seed,
                      client.got_n);
        ck_assert_msg(client.got_n == n, "seed %u: %zu bytes, not %zu", seed, client.got_n, n);
        ck_assert(n == 0 || memcmp(client.got, want, n) == 0);
    }
}

/* Request bytes with the port of a target put in at `at`. */
static inline size_t with_port(char *buf, const char *bytes, size_t n, size_t at, uint16_t port)
{
    memcpy(buf, bytes, n);
    buf[at] = (char)(port >> 8);
    buf[at + 1] = (char)(port & 0xff);
    return n;
}

#define BYTES(literal) (literal), sizeof(literal) - 1

static inline int handlers_main(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (const TTest *const *t = tests; *t; t++)
        tcase_add_test(tc, *t);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}

#endif
