/* sniff/tls.h - what a TLS ClientHello says about where it goes: the server name, ALPN, the
 * versions offered, whether it hides another name (ECH).
 *
 * Pure: no I/O, no allocation, no state; the caller's buffer holds all bytes so far. Results are
 * copies. RFC 8446, 6066, 7301, 8701; wire-protocols.md 8.2.
 */
#ifndef SNIFF_TLS_H
#define SNIFF_TLS_H

#include "core/rc.h"
#include <stdint.h>

enum {
    TLS_HELLO_MAX_BYTES = 16384, /* of the handshake message */
    TLS_NAME_MAX_BYTES = 255,
    TLS_ALPN_TEXT_BYTES = 128,
    TLS_VERSIONS_MAX = 8
};

struct tls_hello {
    char name[TLS_NAME_MAX_BYTES + 1]; /* as sent; empty: none, or an address (which is illegal) */
    char alpn[TLS_ALPN_TEXT_BYTES];    /* "h2,http/1.1"; what does not fit is left out */
    uint16_t versions[TLS_VERSIONS_MAX]; /* of supported_versions */
    unsigned n_versions;
    bool ech; /* name is the outer, public one: good for a route, not for who it is */
};

/* From the first byte of a connection: records, over as many as it takes. RC_AGAIN: more bytes.
 * RC_PROTO: no ClientHello. ret_used: up to the end of the last record that belongs to it. */
enum rc tls_hello_records(const void *buf, size_t n, struct tls_hello *ret_hello, size_t *ret_used);
/* The handshake message alone, as in QUIC's CRYPTO frames. */
enum rc tls_hello_message(const void *buf, size_t n, struct tls_hello *ret_hello, size_t *ret_used);

#endif
