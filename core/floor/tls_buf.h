/* core/floor/tls_buf.h - memory that a TLS connection holds only while it works.
 *
 * Pieces of three sizes are lent from small stocks (one loop per process, so no lock): mbedTLS's
 * record buffers, the read buffer, the send buffer. A connection gives them back at the end of its
 * call; what it must keep meanwhile moves to a block of its own of the right size.
 */
#ifndef CORE_FLOOR_TLS_BUF_H
#define CORE_FLOOR_TLS_BUF_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_size {
    TLS_SIZE_RECORD, /* one record: mbedTLS's buffers, and plain bytes that wait to become one */
    TLS_SIZE_SEND,   /* the records of one turn */
    TLS_SIZE_READ,   /* what one turn reads */
    TLS_SIZES
};

enum {
    TLS_RECORD_BYTES = 16384 + 1024, /* a full record as mbedTLS lays it out */
    TLS_READ_BYTES = 256 * 1024,
    TLS_SEND_GATE = 128 * 1024, /* no more is taken from the owner while so much waits */
    TLS_SEND_BYTES = TLS_SEND_GATE + 2 * TLS_RECORD_BYTES
};

void tls_buf_trim(void); /* frees the stocks; for tests and the end of the process */

/* Bytes r..w of p. p == NULL: empty. */
struct tls_bytes {
    uint8_t *p;
    size_t r, w, cap;
    bool lent; /* p is a piece of `size` */
    enum tls_size size;
};

static inline size_t tls_bytes_n(const struct tls_bytes *b)
{
    return b->w - b->r;
}
/* Room for n more behind w. false: no memory. */
bool tls_bytes_room(struct tls_bytes *b, enum tls_size size, size_t n);
/* Gives the piece back: at once when empty, else the rest moves to a block of its own. */
void tls_bytes_settle(struct tls_bytes *b);
void tls_bytes_done(struct tls_bytes *b);

/* mbedTLS's two record buffers of one connection. While both directions rest they are taken away
 * (park) and come back, with every pointer into them, before the next call (unpark). */
struct tls_parked {
    uint8_t counter[8]; /* mbedTLS keeps the incoming record number in its buffer */
    uintptr_t in, out;  /* where the buffers were; 0: not parked */
};
bool tls_unpark(mbedtls_ssl_context *ssl, struct tls_parked *p); /* false: no memory */
void tls_park(mbedtls_ssl_context *ssl, struct tls_parked *p);
/* Before mbedtls_ssl_free(): the buffers go to the stock, wiped. */
void tls_park_all(mbedtls_ssl_context *ssl, struct tls_parked *p);

#endif
