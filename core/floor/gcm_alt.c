/* core/floor/gcm_alt.c - AES-GCM of mbedTLS for x86-64: everything but the inner loops.
 *
 * Provides what mbedtls/gcm.h declares (all but the self-test, which stays mbedTLS's); lengths,
 * overlaps and errors are judged as mbedTLS 3.6 does. AES only: other block ciphers are refused.
 * A part of a block is handled here, byte by byte; whole blocks go to an engine (gcm_engine.h).
 *
 * Secrets: the round keys and the powers of H live in the context alone and are wiped by
 * mbedtls_gcm_free(); what is derived on the stack here is wiped before return. Tags are compared
 * in constant time.
 *
 * Source: NIST SP 800-38D, 6 and 7; mbedtls/gcm.h.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/gcm_engine.h"
#include <mbedtls/constant_time.h>
#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <stdatomic.h>
#include <string.h>

#ifdef MBEDTLS_GCM_ALT

enum { BLOCK = 16, IV_USUAL = 12, TAG_MIN = 4 };

/* SP 800-38D 5.2.1.1, in bytes */
static const uint64_t data_max = (UINT64_C(1) << 36) - 32, ad_max = (UINT64_C(1) << 61) - 1;

const struct gcm_engine *const gcm_engines[] = {&gcm_vaes, &gcm_aesni, &gcm_portable, NULL};

static const struct gcm_engine *best_engine(void)
{
    static const struct gcm_engine *_Atomic best; /* asking the CPU is slow in a virtual machine */
    const struct gcm_engine *e = atomic_load_explicit(&best, memory_order_relaxed);
    size_t i = 0;

    if (e)
        return e;
    while (!gcm_engines[i]->usable())
        i++;
    atomic_store_explicit(&best, gcm_engines[i], memory_order_relaxed);
    return gcm_engines[i];
}

static void store_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* powers[15] = h / x, little-endian; without a branch on a bit of h. */
static void set_h(mbedtls_gcm_context *ctx, const uint8_t h[BLOCK])
{
    uint8_t *p = ctx->powers[15], first = (uint8_t)(0 - (h[0] >> 7)); /* x^0: 0 or 0xff */

    for (size_t i = 0; i < BLOCK; i++) /* a shift left by one bit, and the bytes turned around */
        p[i] = (uint8_t)(h[15 - i] << 1 | (i ? h[16 - i] >> 7 : 0));
    p[0] ^= first & 0x01; /* 1 / x = x^127 + x^6 + x + 1 */
    p[15] ^= first & 0xc2;
}

static void multiply_sum(mbedtls_gcm_context *ctx)
{
    static const uint8_t zero[BLOCK];

    ctx->engine->hash(ctx, zero, 1);
}

/* Adds n bytes to the sum from where in the block the stream stands at. */
static void add(mbedtls_gcm_context *ctx, size_t at, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ctx->sum[at + i] ^= p[i];
}

static int encrypt_block(mbedtls_gcm_context *ctx, const uint8_t in[BLOCK], uint8_t out[BLOCK])
{
    return mbedtls_aes_crypt_ecb(&ctx->aes, MBEDTLS_AES_ENCRYPT, in, out);
}

/* ---- key ---- */

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
    if (!ctx)
        return;
    mbedtls_aes_free(&ctx->aes);
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}

int gcm_setkey_by(mbedtls_gcm_context *ctx, const struct gcm_engine *engine, const uint8_t *key,
                  unsigned key_bits)
{
    uint8_t h[BLOCK] = {0};
    int ret;

    mbedtls_gcm_free(ctx);
    if (key_bits != 128 && key_bits != 192 && key_bits != 256)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    mbedtls_aes_init(&ctx->aes);
    ret = mbedtls_aes_setkey_enc(&ctx->aes, key, key_bits);
    if (!ret)
        ret = encrypt_block(ctx, h, h);
    if (ret) {
        mbedtls_gcm_free(ctx);
        return ret;
    }
    set_h(ctx, h);
    mbedtls_platform_zeroize(h, sizeof(h));
    engine->prepare(ctx);
    ctx->engine = engine;
    return 0;
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
                       const unsigned char *key, unsigned int key_bits)
{
    if (cipher != MBEDTLS_CIPHER_ID_AES)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    return gcm_setkey_by(ctx, best_engine(), key, key_bits);
}

/* ---- a message in parts ---- */

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t iv_len)
{
    uint8_t bits[BLOCK] = {0};

    if (!ctx->engine || iv_len == 0 || iv_len > ad_max)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    ctx->mode = mode;
    ctx->ad_bytes = ctx->data_bytes = 0;
    memset(ctx->sum, 0, BLOCK);
    if (iv_len == IV_USUAL) {
        memset(ctx->counter, 0, BLOCK);
        memcpy(ctx->counter, iv, IV_USUAL);
        ctx->counter[15] = 1;
    } else { /* GHASH of the IV, filled up, and of its length */
        size_t whole = iv_len / BLOCK, rest = iv_len % BLOCK;

        ctx->engine->hash(ctx, iv, whole);
        if (rest) {
            add(ctx, 0, iv + whole * BLOCK, rest);
            multiply_sum(ctx);
        }
        store_be64(bits + 8, (uint64_t)iv_len * 8);
        ctx->engine->hash(ctx, bits, 1);
        memcpy(ctx->counter, ctx->sum, BLOCK);
        memset(ctx->sum, 0, BLOCK);
    }
    return encrypt_block(ctx, ctx->counter, ctx->mask);
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *ad, size_t ad_len)
{
    size_t begun = ctx->ad_bytes % BLOCK, n;

    if (!ctx->engine || ctx->data_bytes || ad_len > ad_max - ctx->ad_bytes)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    if (ad_len == 0)
        return 0;
    ctx->ad_bytes += ad_len;
    if (begun) {
        n = ad_len < BLOCK - begun ? ad_len : BLOCK - begun;
        add(ctx, begun, ad, n);
        if (begun + n < BLOCK)
            return 0;
        multiply_sum(ctx);
        ad += n;
        ad_len -= n;
    }
    ctx->engine->hash(ctx, ad, ad_len / BLOCK);
    add(ctx, 0, ad + ad_len / BLOCK * BLOCK, ad_len % BLOCK);
    return 0;
}

/* n bytes of the block that the counter stands for, from its byte at. */
static int crypt_part(mbedtls_gcm_context *ctx, size_t at, const uint8_t *in, uint8_t *out,
                      size_t n)
{
    uint8_t stream[BLOCK];
    int ret = encrypt_block(ctx, ctx->counter, stream);

    if (ret)
        return ret;
    if (ctx->mode == MBEDTLS_GCM_DECRYPT)
        add(ctx, at, in, n);
    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ stream[at + i];
    if (ctx->mode == MBEDTLS_GCM_ENCRYPT)
        add(ctx, at, out, n);
    mbedtls_platform_zeroize(stream, sizeof(stream));
    return 0;
}

/* Without a branch on the carry: a counter that began at a GHASH tells of H. */
static void count(mbedtls_gcm_context *ctx)
{
    unsigned carry = 1;

    for (int i = 15; i >= 12; i--) {
        carry += ctx->counter[i];
        ctx->counter[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static int crypt_all(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out, size_t len)
{
    size_t begun = ctx->data_bytes % BLOCK, whole, n;
    int ret;

    if (ctx->data_bytes == 0 && ctx->ad_bytes % BLOCK)
        multiply_sum(ctx);
    ctx->data_bytes += len;
    if (begun) {
        n = len < BLOCK - begun ? len : BLOCK - begun;
        ret = crypt_part(ctx, begun, in, out, n);
        if (ret || begun + n < BLOCK)
            return ret;
        multiply_sum(ctx);
        in += n;
        out += n;
        len -= n;
    }
    whole = len / BLOCK * BLOCK;
    ret = ctx->engine->crypt(ctx, in, out, whole / BLOCK);
    if (ret || whole == len)
        return ret;
    count(ctx);
    return crypt_part(ctx, 0, in + whole, out + whole, len - whole);
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *input, size_t input_length,
                       unsigned char *output, size_t output_size, size_t *output_length)
{
    uintptr_t in = (uintptr_t)input, out = (uintptr_t)output;

    if (!ctx->engine)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    if (output_size < input_length)
        return MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL;
    *output_length = input_length;
    if (input_length == 0)
        return 0;
    if (out > in && out - in < input_length) /* would be overwritten before it is read */
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    if (input_length > data_max - ctx->data_bytes)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    return crypt_all(ctx, input, output, input_length);
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *output, size_t output_size,
                       size_t *output_length, unsigned char *tag, size_t tag_len)
{
    uint8_t bits[BLOCK];

    (void)output; /* nothing is ever held back */
    (void)output_size;
    *output_length = 0;
    if (!ctx->engine || tag_len < TAG_MIN || tag_len > BLOCK)
        return MBEDTLS_ERR_GCM_BAD_INPUT;
    if (ctx->data_bytes ? ctx->data_bytes % BLOCK : ctx->ad_bytes % BLOCK)
        multiply_sum(ctx);
    store_be64(bits, ctx->ad_bytes * 8);
    store_be64(bits + 8, ctx->data_bytes * 8);
    ctx->engine->hash(ctx, bits, 1);
    for (size_t i = 0; i < tag_len; i++)
        tag[i] = ctx->sum[i] ^ ctx->mask[i];
    return 0;
}

/* ---- a message at once ---- */

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length,
                              const unsigned char *iv, size_t iv_len, const unsigned char *ad,
                              size_t ad_len, const unsigned char *input, unsigned char *output,
                              size_t tag_len, unsigned char *tag)
{
    size_t n;
    int ret = mbedtls_gcm_starts(ctx, mode, iv, iv_len);

    if (!ret)
        ret = mbedtls_gcm_update_ad(ctx, ad, ad_len);
    if (!ret)
        ret = mbedtls_gcm_update(ctx, input, length, output, length, &n);
    if (!ret)
        ret = mbedtls_gcm_finish(ctx, NULL, 0, &n, tag, tag_len);
    return ret;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t length, const unsigned char *iv,
                             size_t iv_len, const unsigned char *ad, size_t ad_len,
                             const unsigned char *tag, size_t tag_len, const unsigned char *input,
                             unsigned char *output)
{
    uint8_t right[BLOCK];
    int ret = mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, length, iv, iv_len, ad, ad_len,
                                        input, output, tag_len, right);

    if (ret)
        return ret;
    if (mbedtls_ct_memcmp(tag, right, tag_len)) {
        if (length)
            mbedtls_platform_zeroize(output, length);
        ret = MBEDTLS_ERR_GCM_AUTH_FAILED;
    }
    mbedtls_platform_zeroize(right, sizeof(right));
    return ret;
}

#endif
