/* core/floor/tls_cert.h - a certificate with its key: from files, or the one that a server without
 * any gets. gost-config.md 3.13, wire-protocols.md 3.3.
 *
 * Owner: the tls_ctx. Keys are wiped by tls_cert_done().
 */
#ifndef CORE_FLOOR_TLS_CERT_H
#define CORE_FLOOR_TLS_CERT_H

#include "core/rc.h"
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdint.h>

struct tls_cert {
    mbedtls_x509_crt chain; /* ours first */
    mbedtls_pk_context key;
};

/* How the generated one is filled in. NULL and 0: GOST's values. */
struct tls_cert_subject {
    const char *common_name, *organization;
    int64_t validity_ms;
};

void tls_cert_init(struct tls_cert *c);
void tls_cert_done(struct tls_cert *c);

/* Both PEM (or DER); they must belong together. */
enum rc tls_cert_load(struct tls_cert *c, const char *cert_file, const char *key_file,
                      struct diag *diag);

/* cert.pem + key.pem of the working directory, else auto-ca-cert.pem + auto-ca-key.pem of
 * $HOME/.gost, else a new one, which is stored there when that is possible. note (capacity cap)
 * gets a sentence for the operator. */
enum rc tls_cert_default(struct tls_cert *c, const struct tls_cert_subject *subject, char *note,
                         size_t cap, struct diag *diag);

/* Certificates that are trusted: one or more in a file. */
enum rc tls_cert_load_ca(mbedtls_x509_crt *ca, const char *file, struct diag *diag);

/* The roots of the system, read once per process and shared. */
enum rc tls_roots_ref(mbedtls_x509_crt **ret_roots, struct diag *diag);
void tls_roots_unref(void);

/* SHA-256 of the SubjectPublicKeyInfo. */
void tls_cert_pin(const mbedtls_x509_crt *crt, uint8_t ret_pin[static 32]);

#endif
