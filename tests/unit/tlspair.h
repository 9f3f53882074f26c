/* tests/unit/tlspair.h - two TLS ends over the wire in memory, each sending a known sequence of
 * bytes and checking what it gets. Included by the tests of the tls floor.
 */
#ifndef TESTS_UNIT_TLSPAIR_H
#define TESTS_UNIT_TLSPAIR_H

#include "core/floor/mem.h"
#include "core/floor/tls.h"
#include "pause.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tlsend {
    struct stream *s;
    size_t to_send, sent, received;
    size_t shut_after;    /* received so much before it shuts (0: as soon as all is sent) */
    size_t close_after;   /* received so much: closes at once (0: never) */
    size_t piece, pieces; /* bytes per iovec (0: 3000), iovecs per send (0: 1) */
    bool abort;           /* that close is a reset */
    bool deaf;            /* never reads */
    bool keep_open;       /* never shuts */
    bool open, eof, shut, failed, closed;
    uint32_t tx, rx;  /* generators of the bytes */
    struct diag diag; /* of a failure */
};

static struct loop *tlspair_loop;
static struct tlsend tlspair_client, tlspair_server;
static struct timer limit;
static bool timed_out;
static enum { UNTIL_BOTH, UNTIL_ONE, UNTIL_TIME } until;
static const struct tlsend *awaited = &tlspair_client;

static unsigned char next_byte(uint32_t *g)
{
    *g = *g * 1103515245u + 12345u;
    return (unsigned char)(*g >> 16);
}

static bool is_done(const struct tlsend *e)
{
    return e->failed || e->closed || !e->s || (e->eof && e->shut);
}

static void note_failure(struct tlsend *e)
{
    e->failed = true;
    e->diag = *stream_diag(e->s);
}

static void receive(struct tlsend *e)
{
    static unsigned char buf[65536];
    size_t n;
    enum rc rc = stream_recv(e->s, buf, sizeof(buf), &n);

    if (rc == RC_OK) {
        for (size_t i = 0; i < n; i++) {
            if (buf[i] != next_byte(&e->rx)) {
                fprintf(stderr, "tlspair: wrong byte at %zu\n", e->received + i);
                abort();
            }
        }
        e->received += n;
    } else if (rc == RC_EOF) {
        e->eof = true;
    } else if (rc != RC_AGAIN) {
        note_failure(e);
    }
}

static void give(struct tlsend *e)
{
    static unsigned char buf[400000];
    size_t piece = e->piece ? e->piece : 3000, left = e->to_send - e->sent, at = 0, n = 0;
    uint32_t g = e->tx;
    struct iovec v[16];
    int nv = 0;
    enum rc rc;

    for (; nv < (int)(e->pieces ? e->pieces : 1) && left > 0 && at + piece <= sizeof(buf); nv++) {
        v[nv] = (struct iovec){.iov_base = buf + at, .iov_len = piece < left ? piece : left};
        at += v[nv].iov_len;
        left -= v[nv].iov_len;
    }
    for (size_t i = 0; i < at; i++)
        buf[i] = next_byte(&g);
    rc = stream_send(e->s, v, nv, &n);
    if (rc == RC_OK) {
        for (size_t i = 0; i < n; i++)
            (void)next_byte(&e->tx);
        e->sent += n;
    } else if (rc != RC_AGAIN) {
        note_failure(e);
    }
}

static void end_writing(struct tlsend *e)
{
    enum rc rc = stream_shut(e->s);

    e->shut = rc == RC_OK;
    if (rc != RC_OK && rc != RC_AGAIN)
        note_failure(e);
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct tlsend *e = arg;
    unsigned want = 0;

    if (!e->open) {
        enum rc rc = stream_open(s);

        if (rc == RC_OK)
            e->open = true;
        else if (rc != RC_AGAIN)
            note_failure(e);
    } else {
        if (ready & STREAM_IN)
            receive(e);
        if (!e->failed && (ready & STREAM_OUT)) {
            if (e->sent < e->to_send)
                give(e);
            else if (e->received >= e->shut_after && !e->shut)
                end_writing(e);
        }
    }
    if (e->close_after && e->received >= e->close_after) {
        e->closed = true;
        e->s = NULL;
        if (e->abort)
            stream_abort(s);
        else
            stream_close(s);
    } else if (!e->failed) {
        if (!e->open)
            want = STREAM_OPEN;
        else if (!e->eof && !e->deaf)
            want |= STREAM_IN;
        if (e->open &&
            (e->sent < e->to_send || (!e->keep_open && !e->shut && e->received >= e->shut_after)))
            want |= STREAM_OUT;
        stream_want(s, want, on_event, e);
    } else {
        e->s = NULL; /* as every owner does */
        stream_close(s);
    }
    if ((until == UNTIL_BOTH && is_done(&tlspair_client) && is_done(&tlspair_server)) ||
        (until == UNTIL_ONE && (awaited->failed || awaited->eof || awaited->closed)))
        loop_stop(tlspair_loop);
}

static void on_limit(struct timer *timer)
{
    (void)timer;
    timed_out = true;
    loop_stop(tlspair_loop);
}

__attribute__((unused)) static void tlspair_setup(void)
{
    tlspair_loop = loop_new(NULL);
    timer_init(tlspair_loop, &limit, on_limit);
    tlspair_client = tlspair_server = (struct tlsend){.s = NULL};
}

__attribute__((unused)) static void tlspair_close(void)
{
    stream_close(tlspair_client.s);
    stream_close(tlspair_server.s);
    tlspair_client = tlspair_server = (struct tlsend){.s = NULL};
}

static struct stream *stack(struct layer *bottom, struct layer *top)
{
    struct stream *s = stream_new(tlspair_loop);

    if (!s || !bottom)
        abort();
    stream_push(s, bottom);
    if (top)
        stream_push(s, top);
    return s;
}

/* Forgets both ends, then joins two new ones. Either ctx may be NULL: a plain end. */
__attribute__((unused)) static void tlspair_join(struct tls_ctx *client, struct tls_ctx *server,
                                                 const char *name, const char *session_key,
                                                 const struct mem_cfg *mc)
{
    struct layer *a, *b;

    tlspair_close();
    if (!mem_pair(tlspair_loop, mc, &a, &b))
        abort();
    tlspair_client = (struct tlsend){.tx = 1, .rx = 2};
    tlspair_server = (struct tlsend){.tx = 2, .rx = 1};
    tlspair_client.s = stack(a, client ? tls_client_layer(client, name, session_key) : NULL);
    tlspair_server.s = stack(b, server ? tls_server_layer(server) : NULL);
    stream_want(tlspair_client.s, STREAM_OPEN, on_event, &tlspair_client);
    stream_want(tlspair_server.s, STREAM_OPEN, on_event, &tlspair_server);
}

/* Puts the server's end on another wire (a test sits between the two). */
__attribute__((unused)) static void tlspair_rejoin_server(struct layer *bottom,
                                                          struct tls_ctx *server)
{
    tlspair_server = (struct tlsend){.tx = 2, .rx = 1};
    tlspair_server.s = stack(bottom, tls_server_layer(server));
    stream_want(tlspair_server.s, STREAM_OPEN, on_event, &tlspair_server);
}

/* Until both ends are done: EOF received and shut, or failed, or closed. */
__attribute__((unused)) static void tlspair_run(void)
{
    timed_out = false;
    until = UNTIL_BOTH;
    (void)timer_start(&limit, 30000);
    loop_run(tlspair_loop);
    timer_stop(&limit);
    if (timed_out) {
        const struct tlsend *e = &tlspair_client;

        for (int i = 0; i < 2; i++, e = &tlspair_server)
            fprintf(stderr, "tlspair: %s open %d sent %zu received %zu eof %d shut %d failed %d\n",
                    i ? "server" : "client", e->open, e->sent, e->received, e->eof, e->shut,
                    e->failed);
        abort();
    }
}

/* For so long. */
__attribute__((unused)) static void tlspair_run_ms(uint64_t ms)
{
    until = UNTIL_TIME;
    pause_ms(tlspair_loop, ms);
}

/* Until this end is done with reading, or a second has passed. */
__attribute__((unused)) static void tlspair_run_until(const struct tlsend *e)
{
    until = UNTIL_ONE;
    awaited = e;
    (void)timer_start(&limit, 1000);
    loop_run(tlspair_loop);
    timer_stop(&limit);
}

__attribute__((unused)) static void tlspair_teardown(void)
{
    timer_stop(&limit);
    tlspair_close();
    tlspair_run_ms(1);
    loop_free(tlspair_loop);
}

#endif
