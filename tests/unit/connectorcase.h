/* tests/unit/connectorcase.h - the near end of the connectors' tests: one exchange of a connector
 * with the scripted far end of farend.h, over a nasty wire.
 */
#ifndef TESTS_UNIT_CONNECTORCASE_H
#define TESTS_UNIT_CONNECTORCASE_H

#include "connectors/connector.h"
#include "core/os.h"
#include "core/stream.h"
#include "farend.h"

enum { SEEDS = 40 };

/* ---------------------------------------------------------------- the near end */

static struct connector conn;
static struct near {
    struct stream *s;
    enum rc opened;   /* RC_AGAIN: not yet */
    const char *send; /* what follows when open (not with datagrams) */
    size_t sent;
    size_t want; /* bytes to receive before it ends */
    char got[4096];
    size_t n;
    bool eof, stop_when_open;
    enum rc failed;
    struct diag diag;
    uint64_t opened_ms;
} near;

static inline void set_option(const char *key, const void *value, size_t n)
{
    for (const struct option *o = conn.type->options; o->key != NULL; o++)
        if (strcmp(o->key, key) == 0) {
            memcpy((char *)conn.cfg + o->offset, value, n);
            return;
        }
    ck_abort_msg("no option %s", key);
}

static inline void set_bool(const char *key)
{
    bool yes = true;
    set_option(key, &yes, sizeof yes);
}

static inline void make(const struct connector_type *type)
{
    conn = (struct connector){.type = type, .cfg = calloc(1, type->cfg_bytes)};
}

/* After the options were set. */
static inline void begin(const char *user, const char *password)
{
    static const struct tls_cfg no_tls;
    struct diag diag = {.rc = RC_OK};
    struct connector_setup setup = {.loop = loop,
                                    .tls = &no_tls,
                                    .node_name = "node-0",
                                    .node_host = "node.example",
                                    .user = user,
                                    .password = password};
    if (conn.type->init != NULL)
        ck_assert_msg(conn.type->init(&conn, &setup, &diag) == RC_OK, "%s", diag.text);
}

static inline void greet(struct stream *s)
{
    if (conn.type->greet != NULL)
        ck_assert_int_eq(conn.type->greet(&conn, s), RC_OK);
}

static inline void end(void)
{
    if (conn.type->done != NULL)
        conn.type->done(&conn);
    options_done(conn.type->options, conn.cfg);
    free(conn.cfg);
}

static inline void stop_if_done(void)
{
    bool all = near.n >= near.want && (near.send == NULL || near.sent == strlen(near.send));
    if (near.opened == RC_OK && near.failed == RC_OK && all &&
        (far.finished || near.stop_when_open))
        loop_stop(loop);
    if ((near.opened != RC_OK && near.opened != RC_AGAIN) || near.failed != RC_OK)
        loop_stop(loop);
}

static inline void near_event(struct stream *s, unsigned ready, void *arg)
{
    (void)arg;
    unsigned want = 0;
    if (near.opened == RC_AGAIN) {
        near.opened = stream_open(s);
        near.opened_ms = loop_now_ms(loop);
        near.diag = *stream_diag(s);
        if (near.opened == RC_AGAIN)
            want |= STREAM_OPEN;
    }
    if (near.opened == RC_OK) {
        size_t left = near.send != NULL ? strlen(near.send) - near.sent : 0, n;
        if (left > 0) {
            union {
                const char *in;
                char *out;
            } u = {.in = near.send + near.sent};
            struct iovec v = {u.out, left};
            if (stream_send(s, &v, 1, &n) == RC_OK)
                near.sent += n;
        }
        if ((ready & STREAM_IN) != 0) {
            enum rc rc = stream_recv(s, near.got + near.n, sizeof near.got - near.n, &n);
            if (rc == RC_OK)
                near.n += n;
            else if (rc == RC_EOF)
                near.eof = true;
            else if (rc != RC_AGAIN) {
                near.failed = rc;
                near.diag = *stream_diag(s);
            }
        }
        want |= near.eof ? 0u : (unsigned)STREAM_IN;
        if (near.send != NULL && near.sent < strlen(near.send))
            want |= STREAM_OUT;
    }
    stop_if_done();
    stream_want(s, near.failed == RC_OK ? want : 0, near_event, NULL);
}

static inline struct target target_of(const char *text)
{
    struct target t = {.name = ""};
    ck_assert_msg(target_parse(text, &t), "%s", text);
    return t;
}

/* One exchange with the connector made before; near tells how it went. */
static inline void run(uint32_t seed, const char *target, const char *send, size_t want,
                       const char *const *script, const char *user, const char *password)
{
    struct target t = target_of(target);
    struct stream *s = farend_start(seed, script);
    begin(user, password);
    near = (struct near){.s = s, .opened = RC_AGAIN, .send = send, .want = want};
    greet(s);
    ck_assert_int_eq(conn.type->push(&conn, s, &t), RC_OK);
    near_event(s, 0, NULL);
    while (!watchdog_fired) {
        loop_run(loop);
        if ((near.opened != RC_OK && near.opened != RC_AGAIN) || near.failed != RC_OK ||
            (near.opened == RC_OK && far.finished && near.n >= near.want))
            break;
    }
    ck_assert_msg(!watchdog_fired, "seed %u: stuck, opened %d, at step %s, %zu bytes", seed,
                  (int)near.opened, *far.script != NULL ? *far.script : "end", near.n);
    stream_close(s);
    if (conn.type->done != NULL)
        conn.type->done(&conn);
    farend_stop();
}

static inline void expect_got(const char *text)
{
    ck_assert_uint_eq(near.n, strlen(text));
    ck_assert_mem_eq(near.got, text, near.n);
}

#endif
