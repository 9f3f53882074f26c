/* wscat - the ws floor on real sockets, for hands and for end-to-end tests against other peers.
 *
 *   wscat echo PORT [OPTION...]              a server on 127.0.0.1 that sends back what comes
 *   wscat sink PORT [OPTION...]              only counts; prints bytes and CPU at each end
 *   wscat send ADDR:PORT BYTES [OPTION...]   a client: sends a pattern, checks the echo, ends
 *   wscat push ADDR:PORT BYTES [OPTION...]   a client: sends a pattern to a sink
 *   wscat cat ADDR:PORT [OPTION...]          a client: prints what comes until the end
 *
 * Options: path=/ws host=NAME ping=MS linger (send: no end of our own, done when all came back).
 * Exit status 1 and the reason on stderr when the connection fails or a byte is wrong.
 */
#include "core/floor/tcp.h"
#include "core/floor/ws/ws.h"
#include "core/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUF_BYTES = 131072 };

enum mode { DO_ECHO, DO_SINK, DO_SEND, DO_PUSH, DO_CAT };

struct conn {
    struct stream *s;
    uint64_t to_send, sent, received;
    bool open, eof, shut;
    size_t at, n; /* echo: what waits in buf */
    uint8_t buf[BUF_BYTES];
    double cpu0, wall0;
};

static struct loop *loop;
static struct ws_ctx *ctx;
static enum mode mode;
static bool linger;
static int status;

static double seconds(clockid_t clock)
{
    struct timespec t = {0};

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

static void finish(struct conn *c, enum rc rc)
{
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - c->cpu0;
    double wall = seconds(CLOCK_MONOTONIC) - c->wall0;
    double gb = (double)(c->received + c->sent) / 1e9;

    if (rc != RC_OK) {
        (void)fprintf(stderr, "wscat: %s\n", stream_diag(c->s)->text);
        status = 1;
    }
    if (mode != DO_CAT)
        (void)printf("sent %llu received %llu; %.3f s, %.3f CPU-s/GB\n",
                     (unsigned long long)c->sent, (unsigned long long)c->received, wall,
                     gb > 0 ? cpu / gb : 0);
    (void)fflush(stdout);
    stream_close(c->s);
    free(c);
    if (mode != DO_ECHO && mode != DO_SINK)
        loop_stop(loop);
}

static enum rc take(struct conn *c)
{
    uint8_t *p = mode == DO_ECHO ? c->buf : c->buf + BUF_BYTES / 2;
    size_t n;
    enum rc rc;

    if (mode == DO_ECHO && c->at < c->n)
        return RC_AGAIN;
    rc = stream_recv(c->s, p, mode == DO_ECHO ? BUF_BYTES : BUF_BYTES / 2, &n);
    if (rc == RC_EOF)
        c->eof = true;
    if (rc != RC_OK)
        return rc;
    if (mode == DO_ECHO) {
        c->at = 0;
        c->n = n;
    } else if (mode == DO_SEND) {
        for (size_t i = 0; i < n; i++)
            if (p[i] != pattern(c->received + i)) {
                (void)fprintf(stderr, "wscat: wrong byte at %llu\n",
                              (unsigned long long)(c->received + i));
                exit(1);
            }
    } else if (mode == DO_CAT) {
        (void)fwrite(p, 1, n, stdout);
    }
    c->received += n;
    return RC_OK;
}

static enum rc give(struct conn *c)
{
    uint64_t left = c->to_send > c->sent ? c->to_send - c->sent : 0;
    struct iovec v = {c->buf + c->at, c->n - c->at};
    bool more = v.iov_len || left;
    size_t n;
    enum rc rc;

    if (!v.iov_len && left && mode != DO_ECHO) {
        v.iov_len = left < BUF_BYTES / 2 ? (size_t)left : BUF_BYTES / 2;
        v.iov_base = c->buf;
        for (size_t i = 0; i < v.iov_len && mode == DO_SEND; i++)
            c->buf[i] = pattern(c->sent + i);
    }
    if (!more) {
        if (c->shut || linger || ((mode == DO_ECHO || mode == DO_SINK) && !c->eof) ||
            mode == DO_CAT)
            return RC_AGAIN;
        rc = stream_shut(c->s);
        c->shut = rc == RC_OK;
        return RC_AGAIN;
    }
    rc = stream_send(c->s, &v, 1, &n);
    if (rc != RC_OK)
        return rc;
    c->sent += n;
    if (mode == DO_ECHO)
        c->at += n;
    return RC_OK;
}

static bool is_failure(enum rc rc)
{
    return rc != RC_OK && rc != RC_AGAIN && rc != RC_EOF;
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct conn *c = arg;
    unsigned want = 0;
    enum rc rc = RC_OK;

    if (!c->open) {
        rc = stream_open(s);
        c->open = rc == RC_OK;
        if (rc == RC_AGAIN) {
            stream_want(s, STREAM_OPEN, on_event, c);
            return;
        }
    }
    for (int i = 0; i < 16 && rc == RC_OK; i++) {
        enum rc in = c->eof ? RC_AGAIN : take(c), out = RC_AGAIN;

        if (!is_failure(in))
            out = give(c);
        rc = is_failure(in) ? in : is_failure(out) || in != RC_OK ? out : RC_OK;
    }
    if (is_failure(rc)) {
        finish(c, rc);
        return;
    }
    if ((c->eof && (c->shut || mode == DO_CAT) && c->sent >= c->to_send) ||
        (linger && mode == DO_SEND && c->received == c->to_send)) {
        finish(c, RC_OK);
        return;
    }
    (void)ready;
    if (!c->eof && (mode != DO_ECHO || c->at == c->n))
        want |= STREAM_IN;
    if (c->at < c->n || c->sent < c->to_send ||
        (!c->shut && !linger && mode != DO_CAT && (c->eof || mode == DO_SEND || mode == DO_PUSH)))
        want |= STREAM_OUT;
    stream_want(s, want, on_event, c);
}

static struct conn *conn_new(struct layer *bottom, struct layer *ws)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (!c || !bottom || !ws || !(c->s = stream_new(loop)))
        exit(1);
    c->cpu0 = seconds(CLOCK_PROCESS_CPUTIME_ID);
    c->wall0 = seconds(CLOCK_MONOTONIC);
    stream_push(c->s, bottom);
    stream_push(c->s, ws);
    return c;
}

static void on_accept(struct hotfd *h, unsigned ready)
{
    int fd;

    (void)ready;
    while ((fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = conn_new(tcp_layer(loop, fd, NULL), ws_server_layer(ctx));

        stream_want(c->s, STREAM_OPEN, on_event, c);
    }
}

static int serve(const char *port, const struct ws_cfg *cfg)
{
    static struct hotfd listening = {.fd = -1};
    struct diag d = {0};
    struct addr at = {.family = AF_INET, .ip = {127, 0, 0, 1}, .port = (uint16_t)atoi(port)};
    int fd;

    if (ws_server_new(loop, cfg, &ctx, &d) != RC_OK ||
        os_listen_tcp(&at, false, false, 128, &fd, &d) != RC_OK ||
        hotfd_add(loop, &listening, fd, on_accept) != RC_OK) {
        (void)fprintf(stderr, "wscat: %s\n", d.text);
        return 1;
    }
    (void)printf("ready\n");
    (void)fflush(stdout);
    loop_run(loop);
    return status;
}

static int ask(const char *where, uint64_t bytes, const struct ws_cfg *cfg)
{
    struct diag d = {0};
    struct addr to;
    struct conn *c;

    if (!addr_parse(where, &to) || ws_client_new(loop, cfg, &ctx, &d) != RC_OK) {
        (void)fprintf(stderr, "wscat: %s: %s\n", where, d.text);
        return 1;
    }
    c = conn_new(tcp_connect_layer(loop, &to, NULL, &d), ws_client_layer(ctx, where));
    c->to_send = bytes;
    stream_want(c->s, STREAM_OPEN, on_event, c);
    loop_run(loop);
    return status;
}

int main(int argc, char **argv)
{
    static const char *const modes[] = {"echo", "sink", "send", "push", "cat"};
    struct ws_cfg cfg = {0};
    int m = 0, first;

    while (m < 5 && argc > 2 && strcmp(argv[1], modes[m]))
        m++;
    if (argc < 3 || m == 5) {
        (void)fprintf(stderr, "usage: wscat echo|sink PORT | send|push ADDR BYTES | cat ADDR\n");
        return 2;
    }
    mode = (enum mode)m;
    first = mode == DO_SEND || mode == DO_PUSH ? 4 : 3;
    for (int i = first; i < argc; i++) {
        if (strncmp(argv[i], "path=", 5) == 0)
            cfg.path = argv[i] + 5;
        else if (strncmp(argv[i], "host=", 5) == 0)
            cfg.host = argv[i] + 5;
        else if (strncmp(argv[i], "ping=", 5) == 0)
            cfg.keepalive = (cfg.ping_ms = atoi(argv[i] + 5)) > 0;
        else
            linger = true;
    }
    loop = loop_new(NULL);
    if (!loop)
        return 1;
    if (mode == DO_ECHO || mode == DO_SINK)
        return serve(argv[2], &cfg);
    return ask(argv[2], first == 4 && argc > 3 ? strtoull(argv[3], NULL, 10) : 0, &cfg);
}
