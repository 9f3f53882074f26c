/* tests/unit/gcmtwin.h - AES-GCM as NIST SP 800-38D writes it, slowly: bit by bit (algorithm 1),
 * over single blocks of mbedTLS's AES. Shares no line with what is tested.
 */
#ifndef TESTS_UNIT_GCMTWIN_H
#define TESTS_UNIT_GCMTWIN_H

#include <check.h>
#include <mbedtls/aes.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct twin {
    mbedtls_aes_context aes;
    uint8_t h[16];
};

static inline void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static inline uint64_t get64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* z = x * y */
static inline void twin_multiply(uint8_t z[16], const uint8_t x[16], const uint8_t y[16])
{
    uint64_t bits[2] = {get64(x), get64(x + 8)}, v[2] = {get64(y), get64(y + 8)}, sum[2] = {0, 0};

    for (int i = 0; i < 128; i++) {
        bool lost = v[1] & 1;

        if (bits[i / 64] >> (63 - i % 64) & 1) {
            sum[0] ^= v[0];
            sum[1] ^= v[1];
        }
        v[1] = v[1] >> 1 | v[0] << 63;
        v[0] >>= 1;
        if (lost)
            v[0] ^= (uint64_t)0xe1 << 56;
    }
    put64(z, sum[0]);
    put64(z + 8, sum[1]);
}

static inline void twin_hash(const struct twin *t, uint8_t y[16], const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        for (size_t k = 0; k < 16 && i + k < n; k++)
            y[k] ^= p[i + k];
        twin_multiply(y, y, t->h);
    }
}

static inline void twin_lengths(const struct twin *t, uint8_t y[16], uint64_t a, uint64_t b)
{
    uint8_t bits[16];

    put64(bits, a * 8);
    put64(bits + 8, b * 8);
    twin_hash(t, y, bits, 16);
}

static inline void twin_key(struct twin *t, const uint8_t *key, unsigned bits)
{
    memset(t->h, 0, 16);
    mbedtls_aes_init(&t->aes);
    ck_assert_int_eq(mbedtls_aes_setkey_enc(&t->aes, key, bits), 0);
    ck_assert_int_eq(mbedtls_aes_crypt_ecb(&t->aes, MBEDTLS_AES_ENCRYPT, t->h, t->h), 0);
}

static inline void twin_seal(struct twin *t, const uint8_t *iv, size_t iv_len, const uint8_t *ad,
                             size_t ad_len, const uint8_t *in, uint8_t *out, size_t n,
                             uint8_t tag[16])
{
    uint8_t j[16] = {0}, y[16] = {0}, stream[16], mask[16];
    int bad;

    if (iv_len == 12) {
        memcpy(j, iv, 12);
        j[15] = 1;
    } else {
        twin_hash(t, j, iv, iv_len);
        twin_lengths(t, j, 0, iv_len);
    }
    bad = mbedtls_aes_crypt_ecb(&t->aes, MBEDTLS_AES_ENCRYPT, j, mask);
    for (size_t i = 0; i < n; i++) {
        if (i % 16 == 0) {
            uint32_t c =
                (uint32_t)j[12] << 24 | (uint32_t)j[13] << 16 | (uint32_t)j[14] << 8 | j[15];

            c++;
            for (int k = 0; k < 4; k++)
                j[12 + k] = (uint8_t)(c >> (24 - 8 * k));
            bad |= mbedtls_aes_crypt_ecb(&t->aes, MBEDTLS_AES_ENCRYPT, j, stream);
        }
        out[i] = in[i] ^ stream[i % 16];
    }
    ck_assert_int_eq(bad, 0);
    twin_hash(t, y, ad, ad_len);
    twin_hash(t, y, out, n);
    twin_lengths(t, y, ad_len, n);
    for (int i = 0; i < 16; i++)
        tag[i] = y[i] ^ mask[i];
}

/* An IV of 16 bytes that lets the counter start at j: the way through GHASH, backwards. */
static inline void twin_iv_for(const struct twin *t, const uint8_t j[16], uint8_t iv[16])
{
    uint8_t inverse[16] = {0x80}, square[16], bits[16] = {0};

    memcpy(square, t->h, 16);
    for (int i = 1; i < 128; i++) { /* h^(2^128 - 2) */
        twin_multiply(square, square, square);
        twin_multiply(inverse, inverse, square);
    }
    twin_multiply(iv, j, inverse);
    put64(bits + 8, 128);
    for (int i = 0; i < 16; i++)
        iv[i] ^= bits[i];
    twin_multiply(iv, iv, inverse);
}

#endif
