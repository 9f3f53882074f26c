/* core/floor/tls_reason.c - words for alerts, certificate flags and codes. Contract in
 * tls_reason.h. */
#include "core/floor/tls_reason.h"
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <stdio.h>
#include <string.h>

const char *tls_alert_name(unsigned alert)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {
        {0, "close_notify"},
        {10, "unexpected_message"},
        {20, "bad_record_mac"},
        {22, "record_overflow"},
        {40, "handshake_failure"},
        {42, "bad_certificate"},
        {43, "unsupported_certificate"},
        {44, "certificate_revoked"},
        {45, "certificate_expired"},
        {46, "certificate_unknown"},
        {47, "illegal_parameter"},
        {48, "unknown_ca"},
        {49, "access_denied"},
        {50, "decode_error"},
        {51, "decrypt_error"},
        {70, "protocol_version"},
        {71, "insufficient_security"},
        {80, "internal_error"},
        {86, "inappropriate_fallback"},
        {90, "user_canceled"},
        {100, "no_renegotiation"},
        {109, "missing_extension"},
        {110, "unsupported_extension"},
        {112, "unrecognized_name"},
        {113, "bad_certificate_status_response"},
        {115, "unknown_psk_identity"},
        {116, "certificate_required"},
        {120, "no_application_protocol"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == alert)
            return names[i].name;
    return NULL;
}

enum rc tls_alert_rc(unsigned alert)
{
    if ((alert >= 42 && alert <= 46) || alert == 48 || alert == 113 || alert == 116)
        return RC_CERT;
    return alert == 49 || alert == 112 ? RC_DENIED : RC_PROTO;
}

/* The last CN of a name, without what could confuse a log line. */
static void common_name(const mbedtls_x509_name *dn, char text[static 80])
{
    size_t n = 0;

    for (; dn; dn = dn->next) {
        if (dn->oid.len != 3 || memcmp(dn->oid.p, "\x55\x04\x03", 3) != 0)
            continue;
        n = dn->val.len < 64 ? dn->val.len : 64;
        for (size_t i = 0; i < n; i++)
            text[i] = dn->val.p[i] >= ' ' && dn->val.p[i] < 127 ? (char)dn->val.p[i] : '?';
    }
    text[n] = '\0';
}

static bool is_self_signed(const mbedtls_x509_crt *crt)
{
    return crt->issuer_raw.len == crt->subject_raw.len &&
           memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->issuer_raw.len) == 0;
}

void tls_cert_reason(const mbedtls_x509_crt *crt, uint32_t flags, const char *name, bool server,
                     char *text, size_t cap)
{
    const mbedtls_x509_time *t;
    char cn[80];

    if (flags & MBEDTLS_X509_BADCERT_EXPIRED) {
        t = &crt->valid_to;
        snprintf(text, cap, "certificate expired on %04d-%02d-%02d%s", t->year, t->mon, t->day,
                 server ? ": the server needs a new one; pin= goes by its key alone" : "");
    } else if (flags & MBEDTLS_X509_BADCERT_FUTURE) {
        t = &crt->valid_from;
        snprintf(text, cap, "certificate is valid from %04d-%02d-%02d on: is our clock right?",
                 t->year, t->mon, t->day);
    } else if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        common_name(&crt->issuer, cn);
        if (is_self_signed(crt))
            snprintf(text, cap, "certificate is self-signed%s",
                     server ? ": use pin=, caFile or secure=false" : " and not in caFile");
        else
            snprintf(text, cap, "certificate is signed by \"%s\", which is not trusted%s", cn,
                     server ? ": use pin=, caFile or secure=false" : "");
    } else if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) {
        common_name(&crt->subject, cn);
        snprintf(text, cap, "certificate does not match name %.100s; it is that of \"%s\"%s",
                 name && *name ? name : "(none)", cn, server ? ": set serverName=" : "");
    } else if (flags & MBEDTLS_X509_BADCERT_MISSING) {
        snprintf(text, cap, "peer sent no certificate");
    } else if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
                        MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) {
        snprintf(text, cap, "certificate is not made for a %s", server ? "server" : "client");
    } else if (flags & (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK |
                        MBEDTLS_X509_BADCERT_BAD_KEY)) {
        snprintf(text, cap, "certificate uses a weak or unknown algorithm");
    } else {
        snprintf(text, cap, "certificate not accepted (flags 0x%x)", (unsigned)flags);
    }
}

void tls_code_reason(int code, char *text, size_t cap)
{
    const char *words = NULL;

    switch (code) {
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        words = "client sent no certificate";
        break;
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        words = "peer does not speak TLS, or a record is damaged";
        break;
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        words = "no TLS version in common";
        break;
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
        words = "no ALPN protocol in common";
        break;
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        words = "no cipher, curve or signature in common";
        break;
    case MBEDTLS_ERR_SSL_INVALID_MAC:
        words = "a record was changed on its way";
        break;
    case MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME:
        words = "client asked for a name that is not served here";
        break;
    default:
        words = mbedtls_high_level_strerr(code);
        break;
    }
    snprintf(text, cap, "%s (-0x%04x)", words ? words : "failure", (unsigned)-code);
}
