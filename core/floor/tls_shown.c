/* core/floor/tls_shown.c - what a server's certificate is worth, told to whoever watches. See
 * tls.h.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_ctx.h"
#include "core/floor/tls_reason.h"
#include <stdio.h>
#include <time.h>

void tls_pin_format(const mbedtls_x509_crt *crt, char *buf, size_t cap)
{
    uint8_t pin[TLS_PIN_BYTES];
    size_t at;

    tls_cert_pin(crt, pin);
    at = (size_t)snprintf(buf, cap, "sha256:");
    for (size_t i = 0; i < sizeof(pin); i++)
        at += (size_t)snprintf(buf + at, cap - at, "%02x", pin[i]);
}

void tls_ctx_watch(struct tls_ctx *c, tls_shown_fn *fn, void *arg)
{
    c->shown = fn;
    c->shown_arg = arg;
}

static int64_t days_until(const mbedtls_x509_time *when)
{
    struct tm tm = {.tm_year = when->year - 1900,
                    .tm_mon = when->mon - 1,
                    .tm_mday = when->day,
                    .tm_hour = when->hour,
                    .tm_min = when->min,
                    .tm_sec = when->sec};
    int64_t left = (int64_t)timegm(&tm) - (int64_t)time(NULL);

    return left < 0 ? -1 : left / 86400;
}

/* As secure=true would check it. */
static void try_it(mbedtls_x509_crt *crt, const char *name, char *text, size_t cap)
{
    mbedtls_x509_crt *roots;
    struct diag diag = {.rc = RC_OK};
    uint32_t flags = 0;

    if (tls_roots_ref(&roots, &diag) != RC_OK) {
        (void)snprintf(text, cap, "%s", diag.text);
        return;
    }
    (void)mbedtls_x509_crt_verify(crt, roots, NULL, name, &flags, NULL, NULL);
    tls_roots_unref();
    text[0] = 0;
    if (flags)
        tls_cert_reason(crt, flags, name, true, text, cap);
}

void tls_show(struct tls_ctx *c, const mbedtls_ssl_context *ssl, const char *name)
{
    mbedtls_x509_crt *crt = ssl->session ? ssl->session->peer_cert : NULL;
    struct tls_shown shown = {.version = mbedtls_ssl_get_version(ssl)};

    if (!crt) /* resumed */
        return;
    if (mbedtls_x509_dn_gets(shown.subject, sizeof(shown.subject), &crt->subject) < 0)
        shown.subject[0] = 0;
    tls_pin_format(crt, shown.pin, sizeof(shown.pin));
    try_it(crt, name, shown.trouble, sizeof(shown.trouble));
    shown.days_left = days_until(&crt->valid_to);
    c->shown(c->shown_arg, &shown);
}
