/* tests/unit/farend.h - a scripted far end behind a memory wire, and a near end that opens a stream
 * or a datagram flow over it: what the connectors' tests are made of.
 *
 * A script is a list of texts ended by NULL: "c HEX" waits for exactly these bytes of the client
 * and checks that nothing came beyond them when it is our turn; "s HEX" sends; "C NAME" and "S
 * NAME" do the same with a vector ("FILE:NAME"); "eof" ends our writing; "wait N" lets N ms pass.
 */
#ifndef TESTS_UNIT_FAREND_H
#define TESTS_UNIT_FAREND_H

#include "core/floor/mem.h"
#include "core/floor/tls.h"
#include "core/loop.h"
#include "vectors.h"

struct far {
    struct stream *s;
    const char *const *script;
    uint8_t want[VECTOR_BYTES_MAX], got[65536];
    size_t n_want, n_got, sent;
    bool loaded, pausing, finished, saw_eof, saw_reset;
    struct timer pause;
};

static struct loop *loop;
static struct far far;
static struct tls_ctx *farend_tls;
static struct timer watchdog;
static bool watchdog_fired;

static inline size_t hex_bytes(const char *text, uint8_t *v)
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        v[i] = (uint8_t)byte;
    }
    return n;
}

/* "FILE:NAME" */
static inline size_t vector_named(const char *name, uint8_t *v)
{
    static char line[VECTOR_LINE_MAX];
    static struct vector one;
    char path[128];
    const char *colon = strchr(name, ':');
    snprintf(path, sizeof path, "tests/vectors/%.*s.txt", (int)(colon - name), name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s: run the tests from the top of the tree", path);
    while (fgets(line, sizeof line, f)) {
        if (!vector_parse(line, &one) || strcmp(one.name, colon + 1) != 0)
            continue;
        memcpy(v, one.bytes, one.n);
        fclose(f);
        return one.n;
    }
    ck_abort_msg("no vector %s", name);
    return 0;
}

static inline void far_load(const char *step)
{
    far.n_want = step[0] == 'C' || step[0] == 'S' ? vector_named(step + 2, far.want)
                                                  : hex_bytes(step + 2, far.want);
    far.loaded = true;
    far.sent = 0;
}

static void far_event(struct stream *s, unsigned ready, void *arg);

static void far_pause_over(struct timer *timer)
{
    (void)timer;
    far.pausing = false;
    far.script++;
    far.loaded = false;
    stream_want(far.s, STREAM_IN | STREAM_OUT, far_event, NULL);
}

/* Goes on with the script as far as it can. */
static inline void far_step(void)
{
    while (*far.script != NULL && !far.pausing) {
        const char *step = *far.script;
        if (strcmp(step, "eof") == 0) {
            if (stream_shut(far.s) == RC_AGAIN)
                return;
        } else if (strcmp(step, "tls") == 0) {
            if (!far.loaded) {
                ck_assert_uint_eq(far.n_got, 0);
                stream_push(far.s, tls_server_layer(farend_tls));
            }
            far.loaded = true;
            enum rc rc = stream_open(far.s);
            if (rc == RC_AGAIN)
                return;
            ck_assert_msg(rc == RC_OK, "tls: %s", stream_diag(far.s)->text);
        } else if (strncmp(step, "wait ", 5) == 0) {
            far.pausing = true;
            ck_assert(timer_start(&far.pause, (uint64_t)atoi(step + 5)));
            return;
        } else {
            if (!far.loaded)
                far_load(step);
            if (step[0] == 'c' || step[0] == 'C') {
                if (far.n_got < far.n_want)
                    return;
                ck_assert_mem_eq(far.got, far.want, far.n_want);
                far.n_got -= far.n_want;
                memmove(far.got, far.got + far.n_want, far.n_got);
            } else {
                /* answers come when all that was asked is there and nothing more */
                ck_assert_msg(far.n_got == 0 || far.sent > 0 || step[0] == 'a',
                              "%zu bytes too many before %s", far.n_got, step);
                while (far.sent < far.n_want) {
                    struct iovec v = {far.want + far.sent, far.n_want - far.sent};
                    size_t n;
                    enum rc rc = stream_send(far.s, &v, 1, &n);
                    if (rc != RC_OK)
                        return;
                    far.sent += n;
                }
            }
        }
        far.script++;
        far.loaded = false;
    }
    if (*far.script == NULL && !far.finished) {
        far.finished = true;
        loop_stop(loop); /* let the near end look */
    }
}

static void far_event(struct stream *s, unsigned ready, void *arg)
{
    (void)arg;
    if ((ready & STREAM_IN) != 0 && stream_is_open(s)) {
        for (;;) {
            size_t n;
            enum rc rc = stream_recv(s, far.got + far.n_got, sizeof far.got - far.n_got, &n);
            if (rc == RC_OK) {
                far.n_got += n;
                continue;
            }
            far.saw_eof = far.saw_eof || rc == RC_EOF;
            far.saw_reset = far.saw_reset || rc == RC_RESET;
            break;
        }
    }
    far_step();
    if (*far.script != NULL && strcmp(*far.script, "tls") == 0) {
        stream_want(s, STREAM_OPEN, far_event, NULL);
        return;
    }
    unsigned want = far.saw_eof || far.saw_reset ? 0u : (unsigned)STREAM_IN;
    if (!far.finished && !far.pausing && *far.script != NULL &&
        ((*far.script)[0] == 's' || (*far.script)[0] == 'S' || (*far.script)[0] == 'a' ||
         (*far.script)[0] == 'e'))
        want |= STREAM_OUT;
    stream_want(s, want, far_event, NULL);
}

static void on_watchdog(struct timer *timer)
{
    (void)timer;
    watchdog_fired = true;
    loop_stop(loop);
}

/* A loop, the far end with its script, and the near end's stream with only the wire in it. */
static inline struct stream *farend_start(uint32_t seed, const char *const *script)
{
    struct diag diag = {.rc = RC_OK};
    struct layer *a, *b;
    if (loop == NULL) /* one for all: connectors keep it */
        loop = loop_new(&diag);
    ck_assert(loop != NULL);
    memset(&far, 0, sizeof far);
    far.script = script;
    timer_init(loop, &far.pause, far_pause_over);
    timer_init(loop, &watchdog, on_watchdog);
    watchdog_fired = false;
    ck_assert(timer_start(&watchdog, 100000));
    ck_assert(mem_pair(loop, &(struct mem_cfg){.cap_bytes = 4096, .seed = seed}, &a, &b));
    far.s = stream_new(loop);
    stream_push(far.s, b);
    ck_assert_int_eq(stream_open(far.s), RC_OK);
    stream_want(far.s, STREAM_IN | STREAM_OUT, far_event, NULL);
    struct stream *s = stream_new(loop);
    stream_push(s, a);
    return s;
}

static inline void farend_stop(void)
{
    stream_close(far.s);
    timer_stop(&far.pause);
    timer_stop(&watchdog);
}

#endif
