/* tests/fuzz/fuzz_ws.c - the ws floor, server and client, fed hostile bytes in random pieces: as
 * the whole conversation, or as frames after a good upgrade. Frames are also read by a naive
 * decoder here; the floor must deliver exactly the payload in front of the first violation.
 *
 * First byte: how. Second: how the wire cuts. The rest: what the peer sends before it ends.
 */
#include "core/floor/mem.h"
#include "core/floor/ws/ws.h"

#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum {
    SERVER = 1,   /* the floor is a server */
    UPGRADED = 2, /* bytes are frames */
    SMALL = 4,    /* the owner reads little at a time */
    SENDS = 8,    /* the owner sends too */
    DEAF_OWNER = 16,
    DEAF_PEER = 32, /* reads nothing: what the floor sends piles up */
    NO_END = 64,
    INPUT_MAX = 60000,
};

static struct loop *loop;
static struct ws_ctx *cctx, *sctx;

static struct {
    struct stream *s;
    unsigned how;
    bool open, done;
    enum rc rc;
    uint8_t got[INPUT_MAX];
    size_t n, sent;
} own;

static struct {
    struct stream *s;
    uint8_t in[4096]; /* the head that the floor sends */
    size_t in_n;
    uint8_t out[INPUT_MAX + 512];
    size_t at, n;
    bool upgraded, shut;
} peer;

/* ---- the naive decoder */

static size_t naive(const uint8_t *p, size_t n, bool from_client, uint8_t *out)
{
    size_t at = 0, got = 0;
    bool inside = false;

    while (at + 2 <= n) {
        unsigned op = p[at] & 15, fin = p[at] & 0x80;
        uint64_t len = p[at + 1] & 0x7f;
        bool masked = p[at + 1] & 0x80, control = op & 8;
        uint8_t key[4] = {0};
        size_t ext = len == 126 ? 2 : len == 127 ? 8 : 0;

        if ((p[at] & 0x70) || (op > 2 && op < 8) || op > 10 || masked != from_client)
            return got;
        if (control ? !fin || ext : (op == 0) != inside)
            return got;
        at += 2;
        if (ext) {
            if (ext == 8 && at < n && (p[at] & 0x80))
                return got;
            if (at + ext > n)
                return got;
            len = 0;
            for (size_t i = 0; i < ext; i++)
                len = len << 8 | p[at + i];
            at += ext;
        }
        if (masked) {
            if (at + 4 > n)
                return got;
            memcpy(key, p + at, 4);
            at += 4;
        }
        if (op == 8 && len <= n - at)
            return got;
        if (!control)
            inside = !fin;
        for (uint64_t i = 0; i < len && at < n; i++, at++)
            if (!control)
                out[got++] = p[at] ^ key[i & 3];
    }
    return got;
}

/* ---- the owner of the floor */

static void own_event(struct stream *s, unsigned ready, void *arg);

static void own_want(void)
{
    unsigned want = STREAM_OPEN;

    if (own.open)
        want = (own.how & DEAF_OWNER ? 0u : STREAM_IN) |
               ((own.how & SENDS) && own.sent < 200000 ? STREAM_OUT : 0u);
    stream_want(own.s, own.done ? 0 : want, own_event, NULL);
}

static void own_event(struct stream *s, unsigned ready, void *arg)
{
    static uint8_t buf[65536];
    enum rc rc = RC_AGAIN;
    size_t n;

    (void)arg;
    if (ready & STREAM_OPEN) {
        rc = stream_open(s);
        own.open = rc == RC_OK;
    } else if (ready & STREAM_IN) {
        size_t cap = own.how & SMALL ? 1 + own.n % 7 : sizeof buf;

        rc = stream_recv(s, buf, cap, &n);
        if (rc == RC_OK) {
            MUST(n > 0 && n <= cap && own.n + n <= sizeof own.got);
            memcpy(own.got + own.n, buf, n);
            own.n += n;
        }
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        own.rc = rc;
        own.done = true;
    } else if (own.open && (ready & STREAM_OUT)) {
        struct iovec v[3] = {{buf, 100}, {buf, 0}, {buf, 1 + own.sent % 9000}};

        rc = stream_send(s, v, 3, &n);
        if (rc == RC_OK)
            own.sent += n;
        else if (rc != RC_AGAIN)
            own.how &= ~(unsigned)SENDS; /* the peer closed: reading goes on */
    }
    own_want();
}

/* ---- the hostile peer */

static void peer_upgrade(void)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char head[512], both[128];
    unsigned char sum[20], accept[32];
    size_t n = sizeof request - 1, len;
    const char *key;

    if (own.how & SERVER) {
        memcpy(head, request, n);
    } else {
        peer.in[peer.in_n < sizeof peer.in ? peer.in_n : sizeof peer.in - 1] = '\0';
        if (!strstr((char *)peer.in, "\r\n\r\n"))
            return;
        key = strstr((char *)peer.in, "Sec-WebSocket-Key: ");
        MUST(key);
        snprintf(both, sizeof both, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
        MUST(mbedtls_sha1((unsigned char *)both, strlen(both), sum) == 0);
        MUST(mbedtls_base64_encode(accept, sizeof accept, &len, sum, 20) == 0);
        n = (size_t)snprintf(head, sizeof head,
                             "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: %s\r\n\r\n",
                             (char *)accept);
    }
    memmove(peer.out + n, peer.out, peer.n);
    memcpy(peer.out, head, n);
    peer.n += n;
    peer.upgraded = true;
}

static void peer_event(struct stream *s, unsigned ready, void *arg)
{
    static uint8_t drain[65536];
    unsigned want = STREAM_OUT;
    size_t n;

    (void)arg;
    if (ready & STREAM_IN) {
        enum rc rc = stream_recv(s, drain, sizeof drain, &n);

        if (rc != RC_OK && rc != RC_AGAIN) {
            stream_want(s, 0, NULL, NULL);
            return;
        }
        for (size_t i = 0; rc == RC_OK && i < n && peer.in_n < sizeof peer.in - 1; i++)
            peer.in[peer.in_n++] = drain[i];
    }
    if (!peer.upgraded)
        peer_upgrade();
    if (!peer.upgraded) {
        stream_want(s, STREAM_IN, peer_event, NULL);
        return;
    }
    if ((ready & STREAM_OUT) && peer.at < peer.n) {
        struct iovec v = {peer.out + peer.at, peer.n - peer.at};

        if (stream_send(s, &v, 1, &n) == RC_OK)
            peer.at += n;
    }
    if (peer.at == peer.n) {
        want = 0;
        if (!peer.shut && !(own.how & NO_END))
            (void)stream_shut(s);
        peer.shut = true;
    }
    stream_want(s, want | (own.how & DEAF_PEER ? 0u : STREAM_IN), peer_event, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ws_cfg none;
    static uint8_t want[INPUT_MAX];
    struct mem_cfg mc = {0};
    struct layer *a, *b;
    size_t want_n = 0;

    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (!loop) {
        loop = loop_new(NULL);
        MUST(loop && ws_client_new(loop, &none, &cctx, NULL) == RC_OK);
        MUST(ws_server_new(loop, &none, &sctx, NULL) == RC_OK);
    }
    memset(&own, 0, offsetof(__typeof__(own), got));
    own.n = own.sent = 0;
    own.how = data[0];
    mc.seed = data[1];
    mc.cap_bytes = data[1] & 1 ? 700 : 0;
    peer.in_n = peer.at = 0;
    peer.shut = false;
    peer.upgraded = !(own.how & UPGRADED);
    peer.n = size - 2;
    memcpy(peer.out, data + 2, peer.n);
    if (own.how & UPGRADED)
        want_n = naive(data + 2, peer.n, own.how & SERVER, want);
    MUST(mem_pair(loop, &mc, &a, &b));
    own.s = stream_new(loop);
    peer.s = stream_new(loop);
    MUST(own.s && peer.s);
    stream_push(own.s, a);
    stream_push(own.s, own.how & SERVER ? ws_server_layer(sctx) : ws_client_layer(cctx, "h"));
    stream_push(peer.s, b);
    MUST(stream_open(peer.s) == RC_OK);
    stream_want(peer.s, STREAM_IN | STREAM_OUT, peer_event, NULL);
    own_want();
    loop_run(loop);
    if (data[0] & UPGRADED) {
        MUST(own.open || own.rc != RC_OK);
        MUST(own.n == want_n || ((data[0] & DEAF_OWNER) && own.n < want_n));
        MUST(memcmp(own.got, want, own.n) == 0);
    }
    stream_close(own.s);
    stream_close(peer.s);
    loop_run(loop);
    return 0;
}
