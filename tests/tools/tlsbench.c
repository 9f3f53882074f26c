/* tlsbench - what the TLS floor costs: handshakes and bytes through the wire in memory, both ends
 * in this one thread. Printed, never judged: the machine decides.
 *
 *   tlsbench [SECONDS per line]
 */
#include "core/floor/mem.h"
#include "core/floor/tls_ctx.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct end {
    struct stream *s;
    size_t to_send, sent, received, want;
    bool open, failed;
};

static struct loop *loop;
static struct tls_ctx *cctx, *sctx;
static struct end client, server;
static char buf[256 * 1024];

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    struct end *e = arg;
    size_t n = 0;
    enum rc rc = RC_OK;

    if (!e->open) {
        rc = stream_open(s);
        e->open = rc == RC_OK;
    } else if (ready & STREAM_IN) {
        rc = stream_recv(s, buf, sizeof(buf), &n);
        e->received += n;
    }
    if (e->open && (ready & STREAM_OUT) && e->sent < e->to_send) {
        struct iovec v = {.iov_base = buf, .iov_len = sizeof(buf)};

        if (v.iov_len > e->to_send - e->sent)
            v.iov_len = e->to_send - e->sent;
        rc = stream_send(s, &v, 1, &n);
        if (rc == RC_OK)
            e->sent += n;
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        printf("failed: %s\n", stream_diag(s)->text);
        exit(1);
    }
    if (client.received >= client.want && server.received >= server.want && client.open &&
        server.open)
        loop_stop(loop);
    stream_want(s, !e->open ? STREAM_OPEN : STREAM_IN | (e->sent < e->to_send ? STREAM_OUT : 0),
                on_event, e);
}

static void join(size_t up, size_t down, const char *key)
{
    struct mem_cfg mc = {.cap_bytes = 512 * 1024};
    struct layer *a, *b;

    client = (struct end){.to_send = up, .want = down};
    server = (struct end){.to_send = down, .want = up};
    client.s = stream_new(loop);
    server.s = stream_new(loop);
    if (!mem_pair(loop, &mc, &a, &b))
        exit(1);
    stream_push(client.s, a);
    stream_push(server.s, b);
    stream_push(client.s, tls_client_layer(cctx, "example.test", key));
    stream_push(server.s, tls_server_layer(sctx));
    stream_want(client.s, STREAM_OPEN, on_event, &client);
    stream_want(server.s, STREAM_OPEN, on_event, &server);
    loop_run(loop);
    stream_close(client.s);
    stream_close(server.s);
}

static void handshakes(const char *what, const char *key, double seconds)
{
    double start;
    unsigned n = 0;

    join(1, 1, key); /* caches are warm, a ticket is there */
    start = cpu_s();
    while (cpu_s() - start < seconds) {
        join(1, 1, key);
        n++;
    }
    printf("%-34s %8.0f /CPU s (both ends: %.3f ms)\n", what, n / (cpu_s() - start),
           (cpu_s() - start) * 1e3 / n);
}

static void bulk(const char *what, size_t up, size_t down)
{
    double start = cpu_s(), took;

    join(up, down, "bulk");
    took = cpu_s() - start;
    printf("%-34s %8.0f MB/s per core (seal and open in one)\n", what,
           (double)(up + down) / 1e6 / took);
}

static void contexts(const char *max)
{
    struct tls_cfg cfg = {.max_version = (char *)(uintptr_t)max};
    struct diag diag = {.rc = RC_OK};

    tls_ctx_unref(cctx);
    tls_ctx_unref(sctx);
    if (tls_client_new(&cfg, &cctx, &diag) != RC_OK ||
        tls_server_new(&cfg, &sctx, &diag) != RC_OK) {
        printf("%s\n", diag.text);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;

    unsetenv("HOME"); /* a certificate of our own, not stored */
    loop = loop_new(NULL);
    contexts("VersionTLS13");
    handshakes("TLS 1.3, full", NULL, seconds);
    handshakes("TLS 1.3, resumed", "node", seconds);
    bulk("TLS 1.3, 512 MB up", 512 << 20, 0);
    bulk("TLS 1.3, 256 MB each way", 256 << 20, 256 << 20);
    contexts("VersionTLS12");
    handshakes("TLS 1.2, full", NULL, seconds);
    handshakes("TLS 1.2, resumed", "node", seconds);
    bulk("TLS 1.2, 512 MB up", 512 << 20, 0);
    return 0;
}
