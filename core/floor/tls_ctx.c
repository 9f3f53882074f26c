/* core/floor/tls_ctx.c - what all connections of one dialer or listener share: mbedTLS's
 * configuration, certificates, trust, tickets. Contract in core/floor/tls.h; wire-protocols.md 3.2,
 * 3.3.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_ctx.h"
#include <arpa/inet.h>
#include <mbedtls/base64.h>
#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* Tickets are good for this long; their key changes as often and opens them for as long again. */
enum { TICKET_LIFETIME_S = 6 * 3600 };

#define TLS12(name) MBEDTLS_TLS_ECDHE_##name

/* Ours in the order of preference; without AES in the CPU ChaCha20 is the faster one. */
static const int suites_aes[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,        MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,        TLS12(ECDSA_WITH_AES_128_GCM_SHA256),
    TLS12(RSA_WITH_AES_128_GCM_SHA256),       TLS12(ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    TLS12(RSA_WITH_CHACHA20_POLY1305_SHA256), TLS12(ECDSA_WITH_AES_256_GCM_SHA384),
    TLS12(RSA_WITH_AES_256_GCM_SHA384),       0,
};
static const int suites_chacha[] = {
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,  MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,        TLS12(ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    TLS12(RSA_WITH_CHACHA20_POLY1305_SHA256), TLS12(ECDSA_WITH_AES_128_GCM_SHA256),
    TLS12(RSA_WITH_AES_128_GCM_SHA256),       TLS12(ECDSA_WITH_AES_256_GCM_SHA384),
    TLS12(RSA_WITH_AES_256_GCM_SHA384),       0,
};
static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_X448,      MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

static bool cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1UL << 3)) != 0; /* HWCAP_AES */
#else
    return false;
#endif
}

size_t tls_name_ip(const char *name, uint8_t ret_ip[static 16])
{
    if (inet_pton(AF_INET, name, ret_ip) == 1)
        return 4;
    return inet_pton(AF_INET6, name, ret_ip) == 1 ? 16 : 0;
}

/* ---------------------------------------------------------------- parts of the configuration */

static const char *text(const char *s) /* an empty string says nothing */
{
    return s && *s ? s : NULL;
}

static void __attribute__((format(printf, 2, 3))) note(struct tls_ctx *c, const char *fmt, ...)
{
    size_t at = strlen(c->note);
    va_list ap;

    if (at > 0 && at + 3 < sizeof(c->note))
        at += (size_t)snprintf(c->note + at, sizeof(c->note) - at, "; ");
    va_start(ap, fmt);
    vsnprintf(c->note + at, sizeof(c->note) - at, fmt, ap);
    va_end(ap);
}

static void list_done(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    l->v = NULL;
    l->n = 0;
}

static enum rc list_copy(struct strlist *to, const struct strlist *from)
{
    to->v = calloc(from->n, sizeof(*to->v));
    if (!to->v && from->n > 0)
        return RC_NOMEM;
    for (; to->n < from->n; to->n++) {
        to->v[to->n] = strdup(from->v[to->n]);
        if (!to->v[to->n])
            return RC_NOMEM;
    }
    return RC_OK;
}

/* "VersionTLS12" in any case. def: nothing said, or nothing we understand (GOST says nothing then,
 * we say it once). */
static mbedtls_ssl_protocol_version version(struct tls_ctx *c, const char *key, const char *word,
                                            mbedtls_ssl_protocol_version def)
{
    if (!text(word))
        return def;
    if (strcasecmp(word, "VersionTLS12") == 0)
        return MBEDTLS_SSL_VERSION_TLS1_2;
    if (strcasecmp(word, "VersionTLS13") == 0)
        return MBEDTLS_SSL_VERSION_TLS1_3;
    if (strcasecmp(word, "VersionTLS10") == 0 || strcasecmp(word, "VersionTLS11") == 0)
        note(c, "options.%s %.20s: TLS before 1.2 is not spoken here", key, word);
    else
        note(c, "options.%s '%.20s' is not one of VersionTLS12, VersionTLS13", key, word);
    return def;
}

static enum rc set_versions(struct tls_ctx *c, const struct tls_cfg *cfg, struct diag *diag)
{
    mbedtls_ssl_protocol_version min, max;

    min = version(c, "minVersion", cfg->min_version, MBEDTLS_SSL_VERSION_TLS1_2);
    max = version(c, "maxVersion", cfg->max_version, MBEDTLS_SSL_VERSION_TLS1_3);
    if (min > max)
        return diag_set(diag, RC_INVALID, "options.minVersion is above options.maxVersion");
    mbedtls_ssl_conf_min_tls_version(&c->conf, min);
    mbedtls_ssl_conf_max_tls_version(&c->conf, max);
    return RC_OK;
}

static enum rc set_alpn(struct tls_ctx *c, const struct tls_cfg *cfg, struct diag *diag)
{
    if (cfg->alpn.n == 0)
        return RC_OK;
    c->alpn_list = calloc(cfg->alpn.n + 1, sizeof(*c->alpn_list));
    if (!c->alpn_list || list_copy(&c->alpn, &cfg->alpn) != RC_OK)
        return diag_set(diag, RC_NOMEM, "no memory");
    for (size_t i = 0; i < c->alpn.n; i++)
        c->alpn_list[i] = c->alpn.v[i];
    if (mbedtls_ssl_conf_alpn_protocols(&c->conf, c->alpn_list))
        return diag_set(diag, RC_INVALID, "options.alpn: a name is empty or too long");
    return RC_OK;
}

static enum rc set_cert(struct tls_ctx *c, const char *cert, const char *key, struct diag *diag)
{
    enum rc rc;

    if (!cert || !key)
        return diag_set(diag, RC_INVALID, "%s without %s", cert ? "certFile" : "keyFile",
                        cert ? "keyFile" : "certFile");
    rc = tls_cert_load(&c->cert, cert, key, diag);
    if (rc == RC_OK && mbedtls_ssl_conf_own_cert(&c->conf, &c->cert.chain, &c->cert.key))
        rc = diag_set(diag, RC_NOMEM, "no memory");
    return rc;
}

/* One pin: "sha256:" and 64 hex digits or base64 of 32 bytes. */
static bool parse_pin(const char *s, size_t n, uint8_t ret_pin[static TLS_PIN_BYTES])
{
    size_t got = 0;

    if (n > 7 && strncasecmp(s, "sha256", 6) == 0 && (s[6] == ':' || s[6] == '/')) {
        s += 7;
        n -= 7;
    }
    if (n == 2 * TLS_PIN_BYTES) {
        for (size_t i = 0; i < n; i++) {
            const char *digits = "0123456789abcdef";
            const char *d = s[i] ? strchr(digits, s[i] | 0x20) : NULL;

            if (!d)
                return false;
            ret_pin[i / 2] = (uint8_t)(ret_pin[i / 2] << 4 | (d - digits));
        }
        return true;
    }
    return mbedtls_base64_decode(ret_pin, TLS_PIN_BYTES, &got, (const unsigned char *)s, n) == 0 &&
           got == TLS_PIN_BYTES;
}

static enum rc set_pins(struct tls_ctx *c, const char *list, struct diag *diag)
{
    while (*list) {
        size_t n = strcspn(list, ",");

        if (c->n_pins == TLS_PINS_MAX)
            return diag_set(diag, RC_INVALID, "pin: at most %d", TLS_PINS_MAX);
        if (!parse_pin(list, n, c->pins[c->n_pins]))
            return diag_set(diag, RC_INVALID, "pin: want sha256:HEX or sha256:BASE64 of 32 bytes");
        c->n_pins++;
        list += n + (list[n] == ',');
    }
    return RC_OK;
}

/* A listener that serves listed names only. */
static int check_sni(mbedtls_ssl_context *ssl)
{
    const struct tls_ctx *c = mbedtls_ssl_get_user_data_p(ssl);
    size_t n = 0;
    const unsigned char *sni = mbedtls_ssl_get_hs_sni(ssl, &n);
    bool known = sni && n > 0 && c->sni_names.n == 0;

    for (size_t i = 0; sni && i < c->sni_names.n && !known; i++)
        known = strlen(c->sni_names.v[i]) == n &&
                strncasecmp(c->sni_names.v[i], (const char *)sni, n) == 0;
    if (known)
        return 0;
    (void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME);
    return MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME;
}

/* ---------------------------------------------------------------- the context */

static void ctx_free(struct tls_ctx *c)
{
    mbedtls_ssl_config_free(&c->conf);
    mbedtls_ssl_ticket_free(&c->tickets);
    tls_sessions_done(&c->sessions);
    tls_cert_done(&c->cert);
    mbedtls_x509_crt_free(&c->ca);
    if (c->uses_roots)
        tls_roots_unref();
    free(c->alpn_list);
    list_done(&c->alpn);
    list_done(&c->sni_names);
    free(c->server_name);
    free(c);
}

static enum rc ctx_new(const struct tls_cfg *cfg, bool server, struct tls_ctx **ret_ctx,
                       struct diag *diag)
{
    struct tls_ctx *c;
    enum rc rc = tls_rng_start(diag);

    if (rc != RC_OK)
        return rc;
    c = calloc(1, sizeof(*c));
    if (!c)
        return diag_set(diag, RC_NOMEM, "no memory");
    c->refs = 1;
    c->server = server;
    mbedtls_ssl_config_init(&c->conf);
    mbedtls_ssl_ticket_init(&c->tickets);
    mbedtls_x509_crt_init(&c->ca);
    tls_cert_init(&c->cert);
    if (mbedtls_ssl_config_defaults(&c->conf,
                                    server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT)) {
        rc = diag_set(diag, RC_NOMEM, "no memory");
        goto fail;
    }
    mbedtls_ssl_conf_rng(&c->conf, tls_rng, NULL);
    mbedtls_ssl_conf_ciphersuites(&c->conf, cpu_has_aes() ? suites_aes : suites_chacha);
    mbedtls_ssl_conf_groups(&c->conf, groups);
    /* a resumed handshake has its own key exchange too: forward secrecy */
    mbedtls_ssl_conf_tls13_key_exchange_modes(&c->conf,
                                              MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
    rc = set_versions(c, cfg, diag);
    if (rc == RC_OK)
        rc = set_alpn(c, cfg, diag);
    if (rc != RC_OK)
        goto fail;
    *ret_ctx = c;
    return RC_OK;
fail:
    ctx_free(c);
    return rc;
}

static enum rc set_trust(struct tls_ctx *c, const struct tls_cfg *cfg, struct diag *diag)
{
    mbedtls_x509_crt *ca = &c->ca;
    enum rc rc;

    if (text(cfg->pin)) {
        c->trust = TLS_TRUST_PIN;
        mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
        return set_pins(c, cfg->pin, diag);
    }
    if (!cfg->secure && !text(cfg->ca_file)) {
        mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
        return RC_OK;
    }
    c->trust = cfg->secure ? TLS_TRUST_NAME : TLS_TRUST_CHAIN;
    if (text(cfg->ca_file)) {
        rc = tls_cert_load_ca(ca, cfg->ca_file, diag);
    } else {
        rc = tls_roots_ref(&ca, diag);
        c->uses_roots = rc == RC_OK;
    }
    if (rc == RC_OK) {
        mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_ca_chain(&c->conf, ca, NULL);
    }
    return rc;
}

enum rc tls_client_new(const struct tls_cfg *cfg, struct tls_ctx **ret_ctx, struct diag *diag)
{
    struct tls_ctx *c;
    enum rc rc = ctx_new(cfg, false, &c, diag);

    if (rc != RC_OK)
        return rc;
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(
        &c->conf, MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    rc = set_trust(c, cfg, diag);
    if (rc == RC_OK && (text(cfg->cert_file) || text(cfg->key_file)))
        rc = set_cert(c, text(cfg->cert_file), text(cfg->key_file), diag);
    if (rc == RC_OK && text(cfg->server_name)) {
        c->server_name = strdup(cfg->server_name);
        if (!c->server_name)
            rc = diag_set(diag, RC_NOMEM, "no memory");
        else if (strlen(c->server_name) > TLS_NAME_MAX)
            rc = diag_set(diag, RC_INVALID, "serverName is longer than %d", TLS_NAME_MAX);
    }
    if (rc != RC_OK) {
        ctx_free(c);
        return rc;
    }
    *ret_ctx = c;
    return RC_OK;
}

static enum rc set_server(struct tls_ctx *c, const struct tls_cfg *cfg, struct diag *diag)
{
    struct tls_cert_subject subject = {.common_name = text(cfg->common_name),
                                       .organization = text(cfg->organization),
                                       .validity_ms = cfg->validity_ms};
    enum rc rc;

    if (text(cfg->cert_file) || text(cfg->key_file)) {
        rc = set_cert(c, text(cfg->cert_file), text(cfg->key_file), diag);
    } else {
        rc = tls_cert_default(&c->cert, &subject, c->note, sizeof(c->note), diag);
        if (rc == RC_OK && mbedtls_ssl_conf_own_cert(&c->conf, &c->cert.chain, &c->cert.key))
            rc = diag_set(diag, RC_NOMEM, "no memory");
    }
    mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_NONE);
    if (rc == RC_OK && text(cfg->ca_file)) {
        c->trust = TLS_TRUST_CHAIN;
        rc = tls_cert_load_ca(&c->ca, cfg->ca_file, diag);
        mbedtls_ssl_conf_authmode(&c->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
        mbedtls_ssl_conf_ca_chain(&c->conf, &c->ca, NULL);
    }
    if (rc == RC_OK && cfg->reject_unknown_sni) {
        if (list_copy(&c->sni_names, &cfg->server_names) != RC_OK)
            return diag_set(diag, RC_NOMEM, "no memory");
        mbedtls_ssl_conf_cert_cb(&c->conf, check_sni);
    }
    if (rc == RC_OK && mbedtls_ssl_ticket_setup(&c->tickets, tls_rng, NULL,
                                                MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME_S))
        return diag_set(diag, RC_NOMEM, "no memory");
    mbedtls_ssl_conf_session_tickets_cb(&c->conf, mbedtls_ssl_ticket_write,
                                        mbedtls_ssl_ticket_parse, &c->tickets);
    return rc;
}

enum rc tls_server_new(const struct tls_cfg *cfg, struct tls_ctx **ret_ctx, struct diag *diag)
{
    struct tls_ctx *c;
    enum rc rc = ctx_new(cfg, true, &c, diag);

    if (rc != RC_OK)
        return rc;
    rc = set_server(c, cfg, diag);
    if (rc != RC_OK) {
        ctx_free(c);
        return rc;
    }
    *ret_ctx = c;
    return RC_OK;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *c)
{
    c->refs++;
    return c;
}

void tls_ctx_unref(struct tls_ctx *c)
{
    if (c && --c->refs == 0)
        ctx_free(c);
}

bool tls_ctx_verifies(const struct tls_ctx *c)
{
    return c->trust != TLS_TRUST_ANY;
}

const char *tls_ctx_note(const struct tls_ctx *c)
{
    return c->note[0] ? c->note : NULL;
}

bool tls_ctx_pin(const struct tls_ctx *c, char *buf, size_t cap)
{
    if (!c->cert.chain.raw.p || cap < TLS_PIN_TEXT_MAX)
        return false;
    tls_pin_format(&c->cert.chain, buf, cap);
    return true;
}

void tls_ctx_handshakes(const struct tls_ctx *c, uint64_t *ret_full, uint64_t *ret_resumed)
{
    *ret_full = c->full;
    *ret_resumed = c->resumed;
}
