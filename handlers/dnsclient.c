/* handlers/dnsclient.c - see the header. */
#include "handlers/dnsclient.h"
#include "core/dgram.h"
#include "core/stream.h"
#include "core/wire/dns.h"
#include "listeners/listener.h"
#include <stdlib.h>
#include <string.h>

enum {
    TURN_MAX = 32,
    IN_MAX_BYTES = 2 + DNS_QUESTION_MAX_BYTES,
    OUT_MAX_BYTES = 4 * (2 + DNS_MESSAGE_MAX)
};

static void free_client(void *obj)
{
    struct dns_client *c = obj;
    free(c->in);
    free(c->out);
    free(c);
}

static void end(struct dns_client *c)
{
    if (c->over)
        return;
    c->over = true;
    c->owner->gone(c->owner->arg, c);
    timer_stop(&c->idle);
    job_cancel(&c->more);
    list_remove(&c->link);
    stream_close(c->stream);
    dgram_close(c->dgram);
    loop_free_later(c->owner->loop, &c->deferred, free_client, c);
}

void dns_clients_init(struct dns_clients *all)
{
    list_init(&all->all);
}

void dns_clients_done(struct dns_clients *all)
{
    while (!list_is_empty(&all->all))
        end(LIST_OWNER(all->all.next, struct dns_client, link));
}

/* ---------------------------------------------------------------- datagrams */

static void on_dgram(struct dgram *d, unsigned ready, void *arg)
{
    static uint8_t buf[DGRAM_MAX_BYTES]; /* one loop a process */
    struct dns_client *c = arg;
    struct target from;
    size_t n;
    enum rc rc = RC_OK;
    (void)ready;
    for (int i = 0; i < TURN_MAX && !c->over; i++) {
        rc = dgram_recv(d, buf, sizeof(buf), &n, &from);
        if (rc != RC_OK)
            break;
        if (n >= DNS_HEAD_BYTES && c->n_questions < DNS_OPEN_MAX)
            c->owner->on_question(c->owner->arg, c, buf, n);
    }
    if (!c->over && rc != RC_OK && rc != RC_AGAIN)
        end(c);
}

/* ---------------------------------------------------------------- streams */

static void on_stream(struct stream *s, unsigned ready, void *arg);

static bool can_listen(const struct dns_client *c)
{
    return !c->ended && c->n_questions < DNS_OPEN_MAX && c->out_n == c->out_sent;
}

static void set_wants(struct dns_client *c)
{
    unsigned events = (can_listen(c) ? STREAM_IN : 0u) | (c->out_n > c->out_sent ? STREAM_OUT : 0u);
    stream_want(c->stream, events, on_stream, c);
}

static enum rc flush(struct dns_client *c)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && c->out_sent < c->out_n) {
        struct iovec v = {c->out + c->out_sent, c->out_n - c->out_sent};
        size_t n;
        rc = stream_send(c->stream, &v, 1, &n);
        if (rc == RC_OK)
            c->out_sent += n;
    }
    if (rc == RC_OK)
        c->out_n = c->out_sent = 0;
    return rc == RC_AGAIN ? RC_OK : rc;
}

/* The questions that are whole, as far as they may be asked now. */
static enum rc take_questions(struct dns_client *c)
{
    size_t at = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && !c->over && can_listen(c)) {
        struct slice msg;
        rc = dns_frame(c->in + at, c->in_n - at, &msg);
        if (msg.n > DNS_QUESTION_MAX_BYTES)
            rc = RC_LIMIT;
        if (rc != RC_OK)
            break;
        at += 2 + msg.n;
        c->owner->on_question(c->owner->arg, c, (const uint8_t *)msg.p, msg.n);
    }
    if (c->over)
        return RC_OK;
    if (at > 0)
        memmove(c->in, c->in + at, c->in_n - at);
    c->in_n -= at;
    return rc == RC_AGAIN ? RC_OK : rc;
}

static enum rc read_more(struct dns_client *c)
{
    size_t n;
    if (c->in_n == c->in_cap) {
        size_t cap = c->in_cap > 0 ? 4 * c->in_cap : 1024;
        if (cap > IN_MAX_BYTES)
            cap = IN_MAX_BYTES;
        uint8_t *in = cap > c->in_cap ? realloc(c->in, cap) : NULL;
        if (in == NULL)
            return RC_AGAIN; /* full of questions that wait for their turn */
        c->in = in;
        c->in_cap = cap;
    }
    enum rc rc = stream_recv(c->stream, c->in + c->in_n, c->in_cap - c->in_n, &n);
    if (rc == RC_OK)
        c->in_n += n;
    return rc;
}

static void go_on(struct dns_client *c)
{
    enum rc rc = flush(c);
    for (int i = 0; i < TURN_MAX && rc == RC_OK && can_listen(c); i++) {
        rc = take_questions(c);
        if (c->over)
            return;
        if (rc == RC_OK && can_listen(c))
            rc = read_more(c);
    }
    if (rc == RC_EOF) {
        c->ended = true;
        rc = RC_OK;
    }
    bool done = c->ended && c->n_questions == 0 && c->out_n == 0;
    if (done || (rc != RC_OK && rc != RC_AGAIN) || !timer_start(&c->idle, c->owner->idle_ms)) {
        end(c);
        return;
    }
    set_wants(c);
    if (c->in_n > 0 && can_listen(c) && rc == RC_OK)
        job_post_later(c->owner->loop, &c->more);
}

static void on_more(struct job *job)
{
    go_on(LIST_OWNER(job, struct dns_client, more));
}

static void on_stream(struct stream *s, unsigned ready, void *arg)
{
    struct dns_client *c = arg;
    (void)ready;
    if (!stream_is_open(s)) {
        enum rc rc = stream_open(s);
        if (rc == RC_AGAIN)
            stream_want(s, STREAM_OPEN, on_stream, c);
        else if (rc != RC_OK)
            end(c);
        if (rc != RC_OK)
            return;
    }
    go_on(c);
}

static void on_idle(struct timer *timer)
{
    struct dns_client *c = LIST_OWNER(timer, struct dns_client, idle);
    if (c->n_questions > 0 && c->out_n == 0)
        (void)timer_start(timer,
                          c->owner->idle_ms); /* it waits for us; it was running: no memory */
    else
        end(c);
}

/* ---------------------------------------------------------------- both */

void dns_client_look(struct dns_client *c)
{
    if (!c->over && c->stream != NULL)
        job_post(c->owner->loop, &c->more);
}

static bool make_room(struct dns_client *c, size_t n)
{
    if (c->out_n + n <= c->out_cap)
        return true;
    size_t cap = c->out_n + n > 4096 ? c->out_n + n : 4096;
    uint8_t *out = cap <= OUT_MAX_BYTES ? realloc(c->out, cap) : NULL;
    if (out == NULL)
        return false;
    c->out = out;
    c->out_cap = cap;
    return true;
}

void dns_client_answer(struct dns_client *c, const uint8_t *answer, size_t n)
{
    static const struct target nobody;
    if (c->over)
        return;
    if (c->dgram != NULL) {
        (void)dgram_send(c->dgram, &nobody, answer, n); /* lost like any datagram: it counts */
        return;
    }
    if (n > DNS_MESSAGE_MAX || !make_room(c, 2 + n)) {
        end(c);
        return;
    }
    c->out[c->out_n] = (uint8_t)(n >> 8);
    c->out[c->out_n + 1] = (uint8_t)(n & 0xff);
    memcpy(c->out + c->out_n + 2, answer, n);
    c->out_n += 2 + n;
    if (flush(c) != RC_OK)
        end(c);
}

static struct dns_client *client_new(struct dns_clients *all, const struct client_info *info)
{
    struct dns_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->owner = all;
    c->peer = info->peer;
    list_init(&c->link);
    list_append(&all->all, &c->link);
    list_init(&c->questions);
    timer_init(all->loop, &c->idle, on_idle);
    job_init(&c->more, on_more);
    return c;
}

void dns_client_serve(struct dns_clients *all, struct stream *s, const struct client_info *info)
{
    struct dns_client *c = client_new(all, info);
    if (c == NULL) {
        stream_close(s);
        return;
    }
    c->stream = s;
    if (timer_start(&c->idle, all->idle_ms))
        on_stream(s, 0, c);
    else
        end(c);
}

void dns_client_serve_dgram(struct dns_clients *all, struct dgram *d,
                            const struct client_info *info)
{
    struct dns_client *c = client_new(all, info);
    if (c == NULL) {
        dgram_close(d);
        return;
    }
    c->dgram = d;
    dgram_want(d, STREAM_IN, on_dgram, c);
}
