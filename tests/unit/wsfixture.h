/* tests/unit/wsfixture.h - one client, one server and one raw end of a ws test, and how they meet.
 */
#ifndef TESTS_UNIT_WSFIXTURE_H
#define TESTS_UNIT_WSFIXTURE_H

#include "core/addr.h"
#include "run.h"
#include "tests/unit/vectors.h"
#include "tests/unit/wsends.h"

#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>

static struct end client, server;
static struct raw raw;
static struct ws_ctx *cctx, *sctx;

static inline void setup(void)
{
    loop = loop_new(NULL);
    client = server = (struct end){.tx = 1, .rx = 2};
    server.tx = 2;
    server.rx = 1;
    memset(&raw, 0, sizeof raw);
    cctx = sctx = NULL;
}

static inline void teardown(void)
{
    stream_close(client.s);
    stream_close(server.s);
    stream_close(raw.s);
    ws_ctx_unref(cctx);
    ws_ctx_unref(sctx);
    loop_run(loop);
    ws_shutdown();
    loop_free(loop);
}

static inline void wire(uint32_t seed, size_t cap, struct layer **ret_a, struct layer **ret_b)
{
    struct mem_cfg mc = {.seed = seed, .cap_bytes = cap};

    ck_assert(mem_pair(loop, &mc, ret_a, ret_b));
}

/* client end and server end, both ws, on one wire */
static inline void connect_ends(uint32_t seed, size_t cap)
{
    struct layer *a, *b;

    wire(seed, cap, &a, &b);
    if (!cctx)
        cctx = client_ctx(NULL);
    if (!sctx)
        sctx = server_ctx(NULL);
    stream_push(end_stream(&client, a), ws_client_layer(cctx, "node:443"));
    stream_push(end_stream(&server, b), ws_server_layer(sctx));
    end_want(&client);
    end_want(&server);
}

static inline void check_both_done(void)
{
    ck_assert_int_eq(client.rc, RC_OK);
    ck_assert_int_eq(server.rc, RC_OK);
    ck_assert(client.open && server.open);
    ck_assert_uint_eq(client.received, server.to_send);
    ck_assert_uint_eq(server.received, client.to_send);
    ck_assert(client.eof && server.eof);
}

static inline struct vector *vector_named(const char *name)
{
    static struct vector v;
    static char line[VECTOR_LINE_MAX];
    FILE *f = fopen("tests/vectors/websocket.txt", "r");

    ck_assert(f != NULL);
    while (fgets(line, sizeof line, f))
        if (vector_parse(line, &v) && strcmp(v.name, name) == 0) {
            fclose(f);
            return &v;
        }
    ck_abort_msg("no vector %s", name);
    return NULL;
}

/* ---- a client, the test being the server */

static inline void start_client(uint32_t seed, const char *host)
{
    struct layer *a, *b;

    wire(seed, 0, &a, &b);
    if (!cctx)
        cctx = client_ctx(NULL);
    stream_push(end_stream(&client, a), ws_client_layer(cctx, host));
    raw_start(&raw, b);
    end_want(&client);
    loop_run(loop);
}

static inline const char *request_key(void)
{
    static char key[25];
    const char *p;

    raw.in[raw.in_n] = '\0';
    p = strstr((const char *)raw.in, "Sec-WebSocket-Key: ");
    ck_assert(p != NULL);
    snprintf(key, sizeof key, "%.24s", p + 19);
    return key;
}

/* base64(SHA-1(key + GUID)), by mbedTLS (RFC 6455, 4.2.2) */
static inline const char *answer(const char *key, const char *more)
{
    static char text[2048];
    char both[128], accept[64];
    unsigned char sum[20];
    size_t n;

    snprintf(both, sizeof both, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    ck_assert_int_eq(mbedtls_sha1((const unsigned char *)both, strlen(both), sum), 0);
    ck_assert_int_eq(mbedtls_base64_encode((unsigned char *)accept, sizeof accept, &n, sum, 20), 0);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n%s\r\n",
             accept, more);
    return text;
}

static inline void client_up(void)
{
    const char *text = answer(request_key(), "");

    raw.in_n = 0;
    raw_send(&raw, text, strlen(text));
    ck_assert(client.open);
}

/* ---- a server, the test being the client */

static inline void start_server(uint32_t seed, const char *text)
{
    struct layer *a, *b;

    wire(seed, 0, &a, &b);
    if (!sctx)
        sctx = server_ctx(NULL);
    stream_push(end_stream(&server, b), ws_server_layer(sctx));
    raw_start(&raw, a);
    end_want(&server);
    raw_send(&raw, text, strlen(text));
}

static inline void server_restart(void)
{
    stream_close(server.s);
    stream_close(raw.s);
    loop_run(loop);
    server = (struct end){.tx = 2, .rx = 1};
    memset(&raw, 0, sizeof raw);
}

static inline const char *vector_text(const char *name)
{
    static char text[2048];
    struct vector *v = vector_named(name);

    snprintf(text, sizeof text, "%.*s", (int)v->n, (const char *)v->bytes);
    return text;
}

#define ASK(more)                                                                                  \
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

#endif
