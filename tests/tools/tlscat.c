/* tlscat - a TLS end of ours on a TCP socket, to meet other people's TLS.
 *
 *   tlscat connect 127.0.0.1:PORT [key=value]...
 *       stdin to the peer, then half-close; the peer to stdout
 *   tlscat serve 127.0.0.1:0 [key=value]...
 *       prints "listening PORT"; each client gets back what it sent, only after it ended its half
 *
 * Keys: those of the `tls` object (secure, serverName, caFile, certFile, keyFile, pin, minVersion,
 * maxVersion, alpn), name= (the node's host), count= (connections, one after another: each but the
 * last says "x" and reads the answer; serve: clients until it ends), tickets=1. The last line on
 * stderr is "tlscat: ok full F resumed R" or "tlscat: REASON", with status 1.
 */
#include "core/floor/tcp.h"
#include "core/floor/tls.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct peer {
    struct stream *s;
    bool open, eof, shut;
    char *data; /* to send */
    size_t n, sent;
};

static struct loop *loop;
static struct tls_ctx *ctx;
static struct tls_cfg cfg;
static struct addr at;
static const char *name = "", *key;
static long count = 1;
static bool serving;
static struct hotfd listener;

_Noreturn static void end(const char *reason)
{
    uint64_t full, resumed;

    tls_ctx_handshakes(ctx, &full, &resumed);
    if (reason)
        fprintf(stderr, "tlscat: %s\n", reason);
    else
        fprintf(stderr, "tlscat: ok full %lu resumed %lu\n", (unsigned long)full,
                (unsigned long)resumed);
    exit(reason ? 1 : 0);
}

static void next_client(void);

static void append(struct peer *p, const char *data, size_t n)
{
    char *more = realloc(p->data, p->n + n);

    if (!more)
        end("no memory");
    memcpy(more + p->n, data, n);
    p->data = more;
    p->n += n;
}

static void done(struct peer *p)
{
    stream_close(p->s);
    free(p->data);
    free(p);
    if (--count == 0)
        loop_stop(loop);
    else if (!serving)
        next_client();
}

static void read_all(struct peer *p)
{
    static char buf[100000];
    size_t n = 0;
    enum rc rc = stream_recv(p->s, buf, sizeof(buf), &n);

    if (rc == RC_OK && serving)
        append(p, buf, n);
    else if (rc == RC_OK && fwrite(buf, 1, n, stdout) != n)
        end("stdout");
    if (rc == RC_EOF)
        p->eof = true;
    else if (rc != RC_OK && rc != RC_AGAIN)
        end(stream_diag(p->s)->text);
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct peer *p = arg;
    unsigned want = 0;
    enum rc rc;

    if (!p->open) {
        rc = stream_open(s);
        if (rc != RC_OK && rc != RC_AGAIN)
            end(stream_diag(s)->text);
        p->open = rc == RC_OK;
    } else {
        if (ready & STREAM_IN)
            read_all(p);
        if ((ready & STREAM_OUT) && p->sent < p->n) {
            struct iovec v = {.iov_base = p->data + p->sent, .iov_len = p->n - p->sent};
            size_t n = 0;

            rc = stream_send(s, &v, 1, &n);
            p->sent += n;
            if (rc != RC_OK && rc != RC_AGAIN)
                end(stream_diag(s)->text);
        } else if ((ready & STREAM_OUT) && !p->shut) {
            rc = stream_shut(s);
            p->shut = rc == RC_OK;
            if (rc != RC_OK && rc != RC_AGAIN)
                end(stream_diag(s)->text);
        }
    }
    if (p->eof && p->shut) {
        done(p);
        return;
    }
    if (!p->open)
        want = STREAM_OPEN;
    else if (!p->eof)
        want = STREAM_IN;
    if (p->open && !p->shut && (!serving || p->eof))
        want |= STREAM_OUT;
    stream_want(s, want, on_event, p);
}

static struct peer *peer_new(struct layer *bottom, struct layer *tls)
{
    struct peer *p = calloc(1, sizeof(*p));

    if (!p || !bottom || !tls)
        end("no socket or no memory");
    p->s = stream_new(loop);
    stream_push(p->s, bottom);
    stream_push(p->s, tls);
    stream_want(p->s, STREAM_OPEN, on_event, p);
    return p;
}

static void next_client(void)
{
    struct peer *p =
        peer_new(tcp_connect_layer(loop, &at, NULL, NULL), tls_client_layer(ctx, name, key));
    static char buf[65536];
    size_t n;

    if (count > 1)
        append(p, "x\n", 2);
    else
        while ((n = fread(buf, 1, sizeof(buf), stdin)) > 0)
            append(p, buf, n);
}

static void on_accept(struct hotfd *h, unsigned ready)
{
    int fd;

    (void)ready;
    while ((fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        (void)peer_new(tcp_layer(loop, fd, NULL), tls_server_layer(ctx));
}

static void set(const char *arg)
{
    const struct {
        const char *key;
        char **value;
    } words[] = {{"certFile", &cfg.cert_file},
                 {"keyFile", &cfg.key_file},
                 {"caFile", &cfg.ca_file},
                 {"serverName", &cfg.server_name},
                 {"pin", &cfg.pin},
                 {"minVersion", &cfg.min_version},
                 {"maxVersion", &cfg.max_version}};
    static char *alpn[1];
    const char *value = strchr(arg, '=');
    size_t n = value ? (size_t)(value - arg) : 0;

    if (!value)
        end("usage: see the top of tests/tools/tlscat.c");
    value++;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strlen(words[i].key) == n && strncasecmp(arg, words[i].key, n) == 0)
            *words[i].value = strdup(value);
    if (strncasecmp(arg, "secure=", 7) == 0)
        cfg.secure = strcmp(value, "true") == 0;
    else if (strncmp(arg, "name=", 5) == 0)
        name = value;
    else if (strncmp(arg, "count=", 6) == 0)
        count = atol(value);
    else if (strncmp(arg, "tickets=", 8) == 0)
        key = "node";
    else if (strncmp(arg, "alpn=", 5) == 0) {
        alpn[0] = strdup(value);
        cfg.alpn = (struct strlist){.v = alpn, .n = 1};
    }
}

int main(int argc, char **argv)
{
    struct diag diag = {.rc = RC_OK};
    struct addr mine;
    enum rc rc;
    int fd = -1;

    if (argc < 3 || !addr_parse(argv[2], &at)) {
        fprintf(stderr, "usage: see the top of tests/tools/tlscat.c\n");
        return 2;
    }
    serving = strcmp(argv[1], "serve") == 0;
    for (int i = 3; i < argc; i++)
        set(argv[i]);
    loop = loop_new(&diag);
    rc = serving ? tls_server_new(&cfg, &ctx, &diag) : tls_client_new(&cfg, &ctx, &diag);
    if (rc != RC_OK) {
        fprintf(stderr, "tlscat: %s\n", diag.text);
        return 2;
    }
    if (serving) {
        if (os_listen_tcp(&at, false, false, 64, &fd, &diag) != RC_OK ||
            os_local_addr(fd, &mine) != RC_OK || hotfd_add(loop, &listener, fd, on_accept) != RC_OK)
            end(diag.text);
        printf("listening %u\n", mine.port);
        fflush(stdout);
    } else {
        next_client();
    }
    loop_run(loop);
    fflush(stdout);
    end(NULL);
}
