/* tests/fuzz/fuzz_gcm.c - every engine of AES-GCM that this CPU has against the portable one: any
 * lengths, any division into parts, in place or apart.
 *
 * First eight bytes: flags (key size, in place), lengths of IV, additional data and text (two
 * bytes), where to change it, how to divide it (two). The rest, repeated, is key, IV, additional
 * data and text.
 */
#include "core/floor/gcm_engine.h"
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

#ifdef MBEDTLS_GCM_ALT

enum { HEAD = 8, TEXT_MAX = 4096, IN_PLACE = 4 };

struct message {
    uint8_t key[32], iv[256], ad[256], text[TEXT_MAX], tag[16];
    unsigned key_bits;
    size_t iv_len, ad_len, n;
    uint32_t division;
};

static size_t part(uint32_t *division, size_t left)
{
    size_t n;

    *division = *division * 1664525 + 1013904223;
    n = *division >> 8 & (*division & 0x80000000 ? 0x1f : 0x3ff);
    return n < left ? n : left;
}

static void run(const struct message *m, const struct gcm_engine *e, int mode, const uint8_t *in,
                uint8_t *out, uint8_t tag[16])
{
    mbedtls_gcm_context ctx;
    uint32_t division = m->division;
    size_t n, made;

    mbedtls_gcm_init(&ctx);
    MUST(gcm_setkey_by(&ctx, e, m->key, m->key_bits) == 0);
    MUST(mbedtls_gcm_starts(&ctx, mode, m->iv, m->iv_len) == 0);
    for (size_t done = 0; done < m->ad_len; done += n) {
        n = part(&division, m->ad_len - done);
        MUST(mbedtls_gcm_update_ad(&ctx, m->ad + done, n) == 0);
    }
    for (size_t done = 0; done < m->n; done += n) {
        n = part(&division, m->n - done);
        MUST(mbedtls_gcm_update(&ctx, in + done, n, out + done, n, &made) == 0 && made == n);
    }
    MUST(mbedtls_gcm_finish(&ctx, NULL, 0, &made, tag, 16) == 0);
    mbedtls_gcm_free(&ctx);
}

/* The message as it was comes through; with one bit changed it does not. */
static void run_open(const struct message *m, const struct gcm_engine *e, const uint8_t *cipher,
                     size_t change)
{
    mbedtls_gcm_context ctx;
    uint8_t *copy = malloc(m->n + 1), tag[16];

    MUST(copy);
    memcpy(copy, cipher, m->n);
    memcpy(tag, m->tag, 16);
    mbedtls_gcm_init(&ctx);
    MUST(gcm_setkey_by(&ctx, e, m->key, m->key_bits) == 0);
    MUST(mbedtls_gcm_auth_decrypt(&ctx, m->n, m->iv, m->iv_len, m->ad, m->ad_len, tag, 16, copy,
                                  copy) == 0);
    MUST(memcmp(copy, m->text, m->n) == 0);
    memcpy(copy, cipher, m->n);
    if (change / 8 < m->n)
        copy[change / 8] ^= (uint8_t)(1 << change % 8);
    else
        tag[change % 16] ^= 1;
    MUST(mbedtls_gcm_auth_decrypt(&ctx, m->n, m->iv, m->iv_len, m->ad, m->ad_len, tag, 16, copy,
                                  copy) == MBEDTLS_ERR_GCM_AUTH_FAILED);
    mbedtls_gcm_free(&ctx);
    free(copy);
}

static void fill(uint8_t *to, size_t n, const uint8_t *p, size_t size, size_t *at)
{
    for (size_t i = 0; i < n; i++, ++*at)
        to[i] = size ? (uint8_t)(p[*at % size] + *at / 64) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size)
{
    static struct message m;
    uint8_t tag[16], *out, *cipher;
    size_t change, at = 0;
    unsigned flags;

    if (size < HEAD)
        return 0;
    flags = p[0];
    m.key_bits = 128 + flags % 4 % 3 * 64;
    m.iv_len = p[1] ? p[1] : 12;
    m.ad_len = p[2];
    m.n = ((size_t)p[3] << 8 | p[4]) % TEXT_MAX;
    change = (size_t)p[5] * 16;
    m.division = (uint32_t)p[6] << 8 | p[7];
    p += HEAD;
    size -= HEAD;
    fill(m.key, sizeof(m.key), p, size, &at);
    fill(m.iv, m.iv_len, p, size, &at);
    fill(m.ad, m.ad_len, p, size, &at);
    fill(m.text, m.n, p, size, &at);

    cipher = malloc(m.n + 1);
    out = malloc(m.n + 1); /* of the exact size: the sanitizer sees a byte too many */
    MUST(cipher && out);
    run(&m, &gcm_portable, MBEDTLS_GCM_ENCRYPT, m.text, cipher, m.tag);
    for (size_t i = 0; gcm_engines[i]; i++) {
        if (!gcm_engines[i]->usable())
            continue;
        memcpy(out, m.text, m.n);
        run(&m, gcm_engines[i], MBEDTLS_GCM_ENCRYPT, flags & IN_PLACE ? out : m.text, out, tag);
        MUST(memcmp(out, cipher, m.n) == 0 && memcmp(tag, m.tag, 16) == 0);
        m.division ^= 0x5555; /* another way back */
        run(&m, gcm_engines[i], MBEDTLS_GCM_DECRYPT, flags & IN_PLACE ? out : cipher, out, tag);
        MUST(memcmp(out, m.text, m.n) == 0 && memcmp(tag, m.tag, 16) == 0);
        run_open(&m, gcm_engines[i], cipher, change);
    }
    free(cipher);
    free(out);
    return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *p,
                           size_t size) /* mbedTLS's own GCM: nothing to compare */
{
    (void)p;
    (void)size;
    return 0;
}

#endif
