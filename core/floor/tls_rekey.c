/* core/floor/tls_rekey.c - new traffic keys of a TLS 1.3 connection (KeyUpdate, RFC 8446 sections
 * 4.6.3, 5.5 and 7.2). See tls_layer.h.
 *
 * mbedTLS 3.6 has none of it: it answers a KeyUpdate with "unexpected message". GnuTLS and rustls
 * send one by themselves after so many records, OpenSSL when it is told to. mbedTLS keeps the
 * traffic secrets with the session, so the next ones are derived here and the cipher's key is
 * changed in place, one direction at a time.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/tls_layer.h"
#include <mbedtls/platform_util.h>
#include <mbedtls/psa_util.h>
#include <ssl_misc.h>
#include <ssl_tls13_keys.h>
#include <string.h>

enum {
    KEY_UPDATE = 24, /* its handshake type */
    MESSAGE_BYTES = 5,
    REQUEST_AT = 4,
    IV_BYTES = 12,
    KEY_MAX_BYTES = 32,
    RUN_MAX = 16 /* of updates without a byte between them: more are sent to keep us busy */
};

uint64_t tls_rekey_records = 1 << 23; /* AES-GCM may protect 2^24.5 under one key */

struct label {
    const char *text;
    size_t n;
};
static const struct label update_label = {"traffic upd", 11}, key_label = {"key", 3},
                          iv_label = {"iv", 2};

static int expand(psa_algorithm_t hash, const unsigned char *secret, const struct label *l,
                  unsigned char *ret, size_t n)
{
    return mbedtls_ssl_tls13_hkdf_expand_label(
        hash, secret, PSA_HASH_LENGTH(hash), (const unsigned char *)l->text, l->n, NULL, 0, ret, n);
}

/* The next keys of one direction, counted from 0. Returns mbedTLS's code. */
static int next_keys(struct tls *t, bool reading)
{
    mbedtls_ssl_context *ssl = &t->ssl;
    mbedtls_ssl_transform *tr = reading ? ssl->transform_in : ssl->transform_out;
    const mbedtls_ssl_ciphersuite_t *suite =
        mbedtls_ssl_ciphersuite_from_id(ssl->session->ciphersuite);
    mbedtls_ssl_tls13_application_secrets *secrets = &ssl->session->app_secrets;
    unsigned char *secret = reading == t->ctx->server
                                ? secrets->client_application_traffic_secret_N
                                : secrets->server_application_traffic_secret_N;
    unsigned char next[PSA_HASH_MAX_SIZE], key[KEY_MAX_BYTES], iv[IV_BYTES];
    psa_algorithm_t hash;
    mbedtls_cipher_context_t *cipher;
    int bits, ret;

    if (!suite || !tr)
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    hash = mbedtls_md_psa_alg_from_type((mbedtls_md_type_t)suite->mac);
    cipher = reading ? &tr->cipher_ctx_dec : &tr->cipher_ctx_enc;
    bits = mbedtls_cipher_get_key_bitlen(cipher);
    if (bits <= 0 || (size_t)bits > 8 * sizeof(key))
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    ret = expand(hash, secret, &update_label, next, PSA_HASH_LENGTH(hash));
    if (!ret)
        ret = expand(hash, next, &key_label, key, (size_t)bits / 8);
    if (!ret)
        ret = expand(hash, next, &iv_label, iv, sizeof(iv));
    if (!ret)
        ret = mbedtls_cipher_setkey(cipher, key, bits, reading ? MBEDTLS_DECRYPT : MBEDTLS_ENCRYPT);
    if (!ret) {
        memcpy(secret, next, PSA_HASH_LENGTH(hash));
        memcpy(reading ? tr->iv_dec : tr->iv_enc, iv, sizeof(iv));
        memset(reading ? ssl->in_ctr : ssl->cur_out_ctr, 0, MBEDTLS_SSL_SEQUENCE_NUMBER_LEN);
    }
    mbedtls_platform_zeroize(next, sizeof(next));
    mbedtls_platform_zeroize(key, sizeof(key));
    mbedtls_platform_zeroize(iv, sizeof(iv));
    return ret;
}

/* Says that the next record has new keys, and takes them. */
static int say_update(struct tls *t)
{
    static const unsigned char message[MESSAGE_BYTES] = {KEY_UPDATE, 0, 0, 1, 0};
    mbedtls_ssl_context *ssl = &t->ssl;
    int ret;

    memcpy(ssl->out_msg, message, sizeof(message));
    ssl->out_msgtype = MBEDTLS_SSL_MSG_HANDSHAKE;
    ssl->out_msglen = sizeof(message);
    ret = mbedtls_ssl_write_record(ssl, 1);
    return ret ? ret : next_keys(t, false);
}

bool tls_is_key_update(const struct tls *t)
{
    const mbedtls_ssl_context *ssl = &t->ssl;

    return t->up && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 &&
           ssl->in_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE && ssl->in_hslen == MESSAGE_BYTES &&
           ssl->in_msglen == MESSAGE_BYTES && /* nothing of the old keys may follow in its record */
           ssl->in_msg[0] == KEY_UPDATE && ssl->in_msg[REQUEST_AT] <= 1;
}

int tls_on_key_update(struct tls *t)
{
    bool requested = t->ssl.in_msg[REQUEST_AT] == 1;
    int ret;

    if (++t->updates > RUN_MAX)
        return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    ret = next_keys(t, true);
    if (!ret && requested && !t->said_bye && t->broken == RC_OK)
        ret = say_update(t);
    return ret;
}

int tls_rekey_in_time(struct tls *t)
{
    const unsigned char *c = t->ssl.cur_out_ctr;
    uint64_t n = 0;

    if (t->ssl.tls_version != MBEDTLS_SSL_VERSION_TLS1_3)
        return 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | c[i];
    return n >= tls_rekey_records ? say_update(t) : 0;
}
