/* core/floor/tls_buf.c - memory lent to a TLS connection while it works. Contract in tls_buf.h. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_buf.h"
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

enum { STOCK_MAX = 16 };

/* Under AddressSanitizer nothing is stocked, so that it sees every use after giving back. */
#if defined(__SANITIZE_ADDRESS__)
#define STOCKED(n) 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STOCKED(n) 0
#endif
#endif
#ifndef STOCKED
#define STOCKED(n) (n)
#endif

static const struct {
    size_t bytes;  /* what malloc is asked for */
    size_t usable; /* as struct tls_bytes; a record piece may come from mbedTLS and be shorter */
    unsigned keep;
} kinds[TLS_SIZES] = {
    [TLS_SIZE_RECORD] = {TLS_RECORD_BYTES, 16384, STOCKED(STOCK_MAX)},
    [TLS_SIZE_SEND] = {TLS_SEND_BYTES, TLS_SEND_BYTES, STOCKED(3)}, /* TLS over TLS needs two */
    [TLS_SIZE_READ] = {TLS_READ_BYTES, TLS_READ_BYTES, STOCKED(3)},
};

static struct {
    void *v[STOCK_MAX];
    unsigned n;
} stock[TLS_SIZES];

/* NULL: no memory. */
static void *lend(enum tls_size size)
{
    return stock[size].n > 0 ? stock[size].v[--stock[size].n] : malloc(kinds[size].bytes);
}

static void give(enum tls_size size, void *piece)
{
    if (piece && stock[size].n < kinds[size].keep)
        stock[size].v[stock[size].n++] = piece;
    else
        free(piece);
}

void tls_buf_trim(void)
{
    for (unsigned size = 0; size < TLS_SIZES; size++)
        while (stock[size].n > 0)
            free(stock[size].v[--stock[size].n]);
}

/* ---------------------------------------------------------------- bytes that wait */

static void let_go(struct tls_bytes *b)
{
    if (b->lent)
        give(b->size, b->p);
    else
        free(b->p);
    b->p = NULL;
}

void tls_bytes_done(struct tls_bytes *b)
{
    let_go(b);
    memset(b, 0, sizeof(*b));
}

bool tls_bytes_room(struct tls_bytes *b, enum tls_size size, size_t n)
{
    size_t have = tls_bytes_n(b), cap;
    bool lent;
    uint8_t *p;

    if (b->p && n <= b->cap - b->w)
        return true;
    if (b->p && n <= b->cap - have) {
        memmove(b->p, b->p + b->r, have);
    } else {
        lent = have + n <= kinds[size].usable;
        cap = lent ? kinds[size].usable : (have + n) + (have + n) / 2;
        p = lent ? lend(size) : malloc(cap);
        if (!p)
            return false;
        if (have > 0)
            memcpy(p, b->p + b->r, have);
        let_go(b);
        b->p = p;
        b->cap = cap;
        b->lent = lent;
        b->size = size;
    }
    b->r = 0;
    b->w = have;
    return true;
}

void tls_bytes_settle(struct tls_bytes *b)
{
    size_t have = tls_bytes_n(b);
    uint8_t *p;

    if (have == 0) {
        tls_bytes_done(b);
        return;
    }
    if (!b->lent)
        return;
    p = have < b->cap / 2 ? malloc(have) : NULL;
    if (!p) { /* much, or no memory: the piece itself stays */
        b->lent = false;
        return;
    }
    memcpy(p, b->p + b->r, have);
    give(b->size, b->p);
    *b = (struct tls_bytes){.p = p, .w = have, .cap = have, .size = b->size};
}

/* ---------------------------------------------------------------- mbedTLS's own buffers */

static void rebase(unsigned char **p, uintptr_t from, unsigned char *to)
{
    if (*p)
        *p = to + ((uintptr_t)*p - from);
}

bool tls_unpark(mbedtls_ssl_context *ssl, struct tls_parked *p)
{
    if (p->in) {
        unsigned char *b = lend(TLS_SIZE_RECORD);

        if (!b)
            return false;
        ssl->in_buf = b;
        rebase(&ssl->in_ctr, p->in, b);
        rebase(&ssl->in_hdr, p->in, b);
#if defined(MBEDTLS_SSL_DTLS_CONNECTION_ID)
        rebase(&ssl->in_cid, p->in, b);
#endif
        rebase(&ssl->in_len, p->in, b);
        rebase(&ssl->in_iv, p->in, b);
        rebase(&ssl->in_msg, p->in, b);
        memcpy(ssl->in_ctr, p->counter, sizeof(p->counter));
        p->in = 0;
    }
    if (p->out) {
        unsigned char *b = lend(TLS_SIZE_RECORD);

        if (!b)
            return false;
        ssl->out_buf = b;
        rebase(&ssl->out_ctr, p->out, b);
        rebase(&ssl->out_hdr, p->out, b);
#if defined(MBEDTLS_SSL_DTLS_CONNECTION_ID)
        rebase(&ssl->out_cid, p->out, b);
#endif
        rebase(&ssl->out_len, p->out, b);
        rebase(&ssl->out_iv, p->out, b);
        rebase(&ssl->out_msg, p->out, b);
        p->out = 0;
    }
    return true;
}

/* Nothing of a record or of a handshake message is in the buffer. */
static bool in_rests(const mbedtls_ssl_context *ssl)
{
    return ssl->in_left == 0 && ssl->in_offt == NULL && ssl->keep_current_message == 0 &&
           ssl->badmac_seen_or_in_hsfraglen == 0 &&
           !(ssl->in_hslen > 0 && ssl->in_hslen < ssl->in_msglen);
}

void tls_park(mbedtls_ssl_context *ssl, struct tls_parked *p)
{
    if (ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER)
        return;
    if (ssl->in_buf && in_rests(ssl)) {
        memcpy(p->counter, ssl->in_ctr, sizeof(p->counter));
        p->in = (uintptr_t)ssl->in_buf;
        give(TLS_SIZE_RECORD, ssl->in_buf);
        ssl->in_buf = NULL;
    }
    if (ssl->out_buf && ssl->out_left == 0) {
        p->out = (uintptr_t)ssl->out_buf;
        give(TLS_SIZE_RECORD, ssl->out_buf);
        ssl->out_buf = NULL;
    }
}

void tls_park_all(mbedtls_ssl_context *ssl, struct tls_parked *p)
{
    unsigned char **const bufs[] = {&ssl->in_buf, &ssl->out_buf};

    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        if (*bufs[i])
            mbedtls_platform_zeroize(*bufs[i], 16384);
        give(TLS_SIZE_RECORD, *bufs[i]);
        *bufs[i] = NULL;
    }
    memset(p, 0, sizeof(*p));
}
