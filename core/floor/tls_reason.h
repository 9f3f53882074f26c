/* core/floor/tls_reason.h - words for what TLS says in numbers: alerts, certificate flags,
 * mbedTLS's codes. Pure.
 */
#ifndef CORE_FLOOR_TLS_REASON_H
#define CORE_FLOOR_TLS_REASON_H

#include "core/rc.h"
#include <mbedtls/x509_crt.h>
#include <stdint.h>

/* "certificate_required" as in RFC 8446 section 6; NULL: unknown number. */
const char *tls_alert_name(unsigned alert);
/* What a peer's fatal alert means for the connection. */
enum rc tls_alert_rc(unsigned alert);

/* Why crt (with its flags MBEDTLS_X509_BADCERT_*) is not accepted, and the mend. name: what it was
 * checked against, or NULL. server: the certificate is a server's. */
void tls_cert_reason(const mbedtls_x509_crt *crt, uint32_t flags, const char *name, bool server,
                     char *text, size_t cap);

/* A code of mbedTLS; always terminated. */
void tls_code_reason(int code, char *text, size_t cap);

#endif
