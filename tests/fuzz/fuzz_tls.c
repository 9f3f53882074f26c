/* tests/fuzz/fuzz_tls.c - the tls floor fed hostile bytes: as the whole peer, or as a man in the
 * middle who changes, drops and adds bytes of a real handshake.
 *
 * First byte: how. Second: how the wire cuts. The rest: what the peer says, or edits of four bytes
 * each (direction and kind, distance from the one before in two bytes, value). Randomness is the
 * same in every run. Nobody may get through without the keys, and what arrives must be what was
 * sent.
 */
#include "core/floor/mem.h"
#include "core/floor/tls_ctx.h"
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum {
    MIDDLE = 1, /* edits; else raw bytes */
    CLIENT = 2, /* raw bytes go to a client of ours */
    TLS12 = 4,
    CERTS = 8, /* the server wants a certificate, the client has one */
    DEAF = 16, /* the raw peer reads nothing */
    NO_END = 32,
    SAID = 2000, /* what both ends say once they are open */
    ROUNDS = 200
};

struct end {
    struct stream *s;
    const uint8_t *say;
    size_t n, sent, got;
    bool tls, open, over, shut;
};

struct edit {
    size_t at;
    uint8_t kind, value;
};

static struct loop *loop;
static struct timer tick;
static struct tls_ctx *cctx[4], *sctx[4];
static struct end ends[2];
static struct stream *middle[2];
static struct edit edits[2][64];
static size_t n_edits[2], next_edit[2], passed[2];
static unsigned how;
static size_t moved;
static uint8_t plain[SAID];

/* Instead of mbedTLS's own: the same bytes in every run. */
static uint32_t entropy;
int mbedtls_platform_entropy_poll(void *data, unsigned char *out, size_t len, size_t *olen);
int mbedtls_platform_entropy_poll(void *data, unsigned char *out, size_t len, size_t *olen)
{
    (void)data;
    for (size_t i = 0; i < len; i++) {
        entropy = entropy * 1664525u + 1013904223u;
        out[i] = (unsigned char)(entropy >> 24);
    }
    *olen = len;
    return 0;
}

static void on_end(struct stream *s, unsigned ready, void *arg)
{
    struct end *e = arg;
    uint8_t buf[700];
    unsigned want = 0;
    size_t n = 0;
    enum rc rc = RC_OK;

    if (!e->open) {
        rc = stream_open(s);
        e->open = rc == RC_OK;
        MUST(!e->open || !e->tls || (how & MIDDLE));
        moved += e->open;
    } else {
        if (ready & STREAM_IN) {
            rc = stream_recv(s, buf, sizeof(buf), &n);
            MUST(!e->tls || (e->got + n <= SAID && memcmp(buf, plain + e->got, n) == 0));
            e->got += n;
            moved += n;
        }
        if ((ready & STREAM_OUT) && rc != RC_EOF && e->sent < e->n) {
            struct iovec v = {.iov_base = (void *)(uintptr_t)(e->say + e->sent),
                              .iov_len = e->n - e->sent};

            n = 0;
            rc = stream_send(s, &v, 1, &n);
            e->sent += n;
            moved += n;
        } else if ((ready & STREAM_OUT) && !e->shut && !(how & NO_END)) {
            e->shut = stream_shut(s) == RC_OK;
            moved++;
        }
    }
    if (rc != RC_OK && rc != RC_AGAIN) {
        e->over = true;
        moved++;
        if (rc != RC_EOF) {
            e->s = NULL;
            stream_close(s);
            return;
        }
    }
    if (!e->open)
        want = STREAM_OPEN;
    else if (!e->over && (e->tls || !(how & DEAF)))
        want = STREAM_IN;
    if (e->open && (e->sent < e->n || (!e->shut && !(how & NO_END))))
        want |= STREAM_OUT;
    stream_want(s, want, on_end, e);
}

/* Applies the edits that fall into n bytes of in; returns how many are in out. */
static size_t apply(int d, const uint8_t *in, size_t n, uint8_t *out)
{
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t b = in[i];
        bool drop = false;

        for (; next_edit[d] < n_edits[d] && edits[d][next_edit[d]].at == passed[d] + i;
             next_edit[d]++) {
            const struct edit *e = &edits[d][next_edit[d]];

            switch (e->kind % 4) {
            case 0:
                b ^= e->value;
                break;
            case 1:
                b = e->value;
                break;
            case 2:
                drop = true;
                break;
            case 3:
                out[k++] = e->value;
                break;
            }
        }
        if (!drop)
            out[k++] = b;
    }
    passed[d] += n;
    return k;
}

static void on_middle(struct stream *s, unsigned ready, void *arg)
{
    int d = s == middle[1];
    uint8_t in[4096], out[4096 + 64];
    size_t n = 0, k = 0;
    enum rc rc = stream_recv(s, in, sizeof(in), &n);

    (void)ready;
    (void)arg;
    if (rc == RC_OK) {
        struct iovec v = {.iov_base = out, .iov_len = apply(d, in, n, out)};

        moved += n;
        if (v.iov_len > 0)
            (void)stream_send(middle[!d], &v, 1, &k); /* the wire has room for a handshake */
    } else if (rc != RC_AGAIN) {
        (void)stream_shut(middle[!d]);
        stream_want(s, 0, NULL, NULL);
    }
}

static struct stream *stack(struct layer *bottom, struct layer *top)
{
    struct stream *s = stream_new(loop);

    MUST(s && bottom);
    stream_push(s, bottom);
    if (top)
        stream_push(s, top);
    return s;
}

static void read_edits(const uint8_t *p, size_t n)
{
    size_t at[2] = {0, 0};

    for (; n >= 4; p += 4, n -= 4) {
        int d = p[0] & 1;

        if (n_edits[d] == 64)
            continue;
        at[d] += (size_t)(p[1] << 8 | p[2]) % 4096;
        edits[d][n_edits[d]++] = (struct edit){.at = at[d], .kind = p[0] >> 1, .value = p[3]};
    }
}

static void on_tick(struct timer *t)
{
    (void)t;
    loop_stop(loop);
}

static void run(void)
{
    size_t before = 0;

    for (int i = 0, still = 0; i < ROUNDS && still < 4; i++) {
        before = moved;
        MUST(timer_start(&tick, 0));
        loop_run(loop);
        still = moved == before ? still + 1 : 0;
    }
}

static void set_up(void)
{
    static char max[] = "VersionTLS12";
    struct diag diag = {.rc = RC_OK};

    loop = loop_new(NULL);
    timer_init(loop, &tick, on_tick);
    unsetenv("HOME");
    for (size_t i = 0; i < SAID; i++)
        plain[i] = (uint8_t)(i * i % 253);
    for (int i = 0; i < 4; i++) {
        struct tls_cfg cfg = {.max_version = i & 1 ? max : NULL};

        MUST(tls_server_new(&cfg, &sctx[i], &diag) == RC_OK);
        MUST(tls_client_new(&cfg, &cctx[i], &diag) == RC_OK);
        if (i & 2) { /* both trust and show the server's own */
            mbedtls_ssl_conf_authmode(&sctx[i]->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
            mbedtls_ssl_conf_ca_chain(&sctx[i]->conf, &sctx[i]->cert.chain, NULL);
            MUST(mbedtls_ssl_conf_own_cert(&cctx[i]->conf, &sctx[i]->cert.chain,
                                           &sctx[i]->cert.key) == 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct mem_cfg mc = {.cap_bytes = 1 << 17};
    struct layer *l[4];
    unsigned kind;

    if (n < 2 || n > 40000)
        return 0;
    if (!loop)
        set_up();
    mbedtls_psa_crypto_free();
    entropy = 1;
    MUST(tls_rng_start(NULL) == RC_OK);
    how = data[0];
    mc.seed = data[1];
    kind = how >> 2 & 3;
    memset(ends, 0, sizeof(ends));
    memset(n_edits, 0, sizeof(n_edits));
    memset(next_edit, 0, sizeof(next_edit));
    memset(passed, 0, sizeof(passed));
    moved = 0;
    MUST(mem_pair(loop, &mc, &l[0], &l[1]));
    if (how & MIDDLE) {
        read_edits(data + 2, n - 2);
        MUST(mem_pair(loop, &mc, &l[2], &l[3]));
        ends[0] = (struct end){.tls = true, .say = plain, .n = SAID};
        ends[1] = ends[0];
        ends[0].s = stack(l[0], tls_client_layer(cctx[kind], "example.test", "node"));
        ends[1].s = stack(l[3], tls_server_layer(sctx[kind]));
        for (int i = 0; i < 2; i++) {
            middle[i] = stack(l[1 + i], NULL);
            MUST(stream_open(middle[i]) == RC_OK);
            stream_want(middle[i], STREAM_IN, on_middle, NULL);
        }
    } else {
        ends[0] = (struct end){.tls = true};
        ends[1] = (struct end){.say = data + 2, .n = n - 2};
        ends[0].s = stack(l[0], how & CLIENT ? tls_client_layer(cctx[kind], "x", NULL)
                                             : tls_server_layer(sctx[kind]));
        ends[1].s = stack(l[1], NULL);
    }
    for (int i = 0; i < 2; i++)
        stream_want(ends[i].s, STREAM_OPEN, on_end, &ends[i]);
    run();
    for (int i = 0; i < 2; i++) {
        stream_close(ends[i].s);
        stream_close(middle[i]);
        middle[i] = NULL;
    }
    MUST(timer_start(&tick, 0));
    loop_run(loop);
    return 0;
}
