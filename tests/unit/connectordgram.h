/* tests/unit/connectordgram.h - the same for a connector's datagrams: one goes to the far end, one
 * comes back.
 */
#ifndef TESTS_UNIT_CONNECTORDGRAM_H
#define TESTS_UNIT_CONNECTORDGRAM_H

#include "connectorcase.h"
#include "core/dgram.h"

static struct dgram *dg;
static enum rc dg_opened, dg_failed;
static size_t dg_got;
static bool dg_sent;
static char dg_from[TARGET_TEXT_MAX], dg_text[64];
static const char *dg_to;

static inline void dg_event(struct dgram *d, unsigned ready, void *arg)
{
    (void)arg;
    if (dg_opened == RC_AGAIN) {
        dg_opened = dgram_open(d);
        if (dg_opened != RC_OK && dg_opened != RC_AGAIN) {
            loop_stop(loop);
            dgram_want(d, 0, NULL, NULL);
            return;
        }
    }
    if (dg_opened == RC_OK && !dg_sent) { /* the wire may say "not now": then it was dropped */
        struct target to = target_of(dg_to);
        enum rc rc = dgram_send(d, &to, "hello", 5);
        ck_assert(rc == RC_OK || rc == RC_AGAIN);
        dg_sent = rc == RC_OK;
    }
    if (dg_opened == RC_OK && (ready & STREAM_IN) != 0) {
        struct target from;
        size_t n;
        enum rc rc = dgram_recv(d, dg_text, sizeof dg_text - 1, &n, &from);
        if (rc == RC_OK) {
            dg_text[n] = 0;
            dg_got++;
            target_format(&from, dg_from, sizeof dg_from);
        } else if (rc != RC_AGAIN) {
            dg_failed = rc;
            loop_stop(loop);
        }
    }
    unsigned want = dg_opened == RC_AGAIN ? STREAM_OPEN : dg_failed != RC_OK ? 0 : STREAM_IN;
    if (dg_opened == RC_OK && !dg_sent)
        want |= STREAM_OUT;
    dgram_want(d, want, dg_event, NULL);
}

static inline void run_dgram(uint32_t seed, const char *to, bool fixed, const char *const *script)
{
    static const struct sockopts so;
    struct target t = target_of(to);
    struct stream *s = farend_start(seed, script);
    begin(NULL, NULL);
    dg_opened = RC_AGAIN;
    dg_failed = RC_OK;
    dg_got = 0;
    dg_sent = false;
    dg_to = to;
    ck_assert_int_eq(stream_open(s), RC_OK);
    greet(s);
    ck_assert_int_eq(conn.type->dgram(&conn, s, fixed ? &t : NULL, &so, &dg), RC_OK);
    dg_event(dg, 0, NULL);
    while (!watchdog_fired && (dg_opened == RC_AGAIN || (dg_opened == RC_OK && dg_got == 0)))
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    ck_assert_msg(!watchdog_fired, "seed %u: stuck at %s", seed,
                  *far.script != NULL ? *far.script : "end");
}

static inline void end_dgram(void)
{
    dgram_close(dg);
    conn.type->done(&conn);
    farend_stop();
}

#endif
