/* core/floor/tls_ctx.h - inside of the TLS floor: what tls.c, tls_ctx.c and their tests share. The
 * contract for everybody else is core/floor/tls.h.
 */
#ifndef CORE_FLOOR_TLS_CTX_H
#define CORE_FLOOR_TLS_CTX_H

#include "core/floor/tls.h"
#include "core/floor/tls_cert.h"
#include "core/floor/tls_session.h"
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>

enum { TLS_PINS_MAX = 4, TLS_PIN_BYTES = 32, TLS_NAME_MAX = 255 };

/* What the client asks of the server's certificate. */
enum tls_trust {
    TLS_TRUST_ANY,   /* GOST's default */
    TLS_TRUST_CHAIN, /* caFile without secure: the chain, not the name */
    TLS_TRUST_NAME,  /* secure: chain and name */
    TLS_TRUST_PIN,   /* the key alone: chain, name and dates don't matter */
};

/* One per dialer or listener. conf points into the other fields, so it never moves; layers hold a
 * reference. */
struct tls_ctx {
    unsigned refs;
    bool server;
    enum tls_trust trust;
    mbedtls_ssl_config conf;
    struct tls_cert cert;
    mbedtls_x509_crt ca;      /* caFile; the system's roots are shared and not in here */
    bool uses_roots;          /* holds a reference on the system's roots */
    struct strlist alpn;      /* our copy */
    const char **alpn_list;   /* its strings, then NULL, as mbedTLS wants them */
    char *server_name;        /* as configured; NULL: the node's host */
    struct strlist sni_names; /* rejectUnknownSNI: the only names (none: any name) */
    uint8_t pins[TLS_PINS_MAX][TLS_PIN_BYTES];
    unsigned n_pins;
    mbedtls_ssl_ticket_context tickets; /* server */
    struct tls_sessions sessions;       /* client */
    uint64_t full, resumed;             /* handshakes that ended well */
    char note[232];
    tls_shown_fn *shown; /* tls_ctx_watch() */
    void *shown_arg;
};

/* A client's handshake is over and the server's certificate still there: tls_shown.c. */
void tls_show(struct tls_ctx *c, const mbedtls_ssl_context *ssl, const char *name);
/* "sha256:HEX"; cap at least TLS_PIN_TEXT_MAX. */
void tls_pin_format(const mbedtls_x509_crt *crt, char *buf, size_t cap);

/* One random generator per process (mbedTLS's own, behind PSA): tls_rng.c. */
enum rc tls_rng_start(struct diag *diag);
int tls_rng(void *unused, unsigned char *buf, size_t n);

/* "1.2.3.4", "2001:db8::1": its bytes. 0: not an address, else 4 or 16. */
size_t tls_name_ip(const char *name, uint8_t ret_ip[static 16]);

#endif
