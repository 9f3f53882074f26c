/* core/floor/gcm_portable.c - AES-GCM in plain C: blocks by mbedTLS's AES, GHASH by integer
 * multiplication without tables.
 *
 * For x86-64 without AES-NI and PCLMULQDQ, and the twin that the other engines are tested against.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/gcm_engine.h"
#include <string.h>

#ifdef MBEDTLS_GCM_ALT

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "gcm_portable.c reads numbers as this CPU stores them"
#endif

__extension__ typedef unsigned __int128 u128;

struct block {
    uint64_t lo, hi;
};

static struct block load_be(const uint8_t *p)
{
    struct block b;

    memcpy(&b.hi, p, 8);
    memcpy(&b.lo, p + 8, 8);
    b.hi = __builtin_bswap64(b.hi);
    b.lo = __builtin_bswap64(b.lo);
    return b;
}

static void store_be(uint8_t *p, struct block b)
{
    b.hi = __builtin_bswap64(b.hi);
    b.lo = __builtin_bswap64(b.lo);
    memcpy(p, &b.hi, 8);
    memcpy(p + 8, &b.lo, 8);
}

/* Product without carries. Only every fifth bit of a factor is let through at a time, so a column
 * sums at most 13 ones, and its carries end before the next column that counts: they fall on bits
 * that the mask of the sum drops. */
static u128 clmul(uint64_t a, uint64_t b)
{
    static const uint64_t every_5th = 0x1084210842108421;
    uint64_t lo = 0, hi = 0;

    for (unsigned k = 0; k < 5; k++) {
        u128 sum = 0;

        for (unsigned i = 0; i < 5; i++)
            sum ^= (u128)(a & every_5th << i) * (b & every_5th << (k + 5 - i) % 5);
        lo |= (uint64_t)sum & every_5th << k;
        hi |= (uint64_t)(sum >> 64) & every_5th
                                          << (k + 1) % 5; /* bit 64 + j is bit j + 4 of five */
    }
    return (u128)hi << 64 | lo;
}

/* a * b folded: see gcm_engine.h. */
static struct block multiply(struct block a, struct block b)
{
    u128 lo = clmul(a.lo, b.lo), hi = clmul(a.hi, b.hi);
    u128 mid = clmul(a.lo ^ a.hi, b.lo ^ b.hi) ^ lo ^ hi; /* Karatsuba */
    uint64_t v[4] = {(uint64_t)lo, (uint64_t)(lo >> 64) ^ (uint64_t)mid,
                     (uint64_t)hi ^ (uint64_t)(mid >> 64), (uint64_t)(hi >> 64)};

    for (int i = 0; i < 2; i++) {
        v[i + 1] ^= v[i] << 63 ^ v[i] << 62 ^ v[i] << 57;
        v[i + 2] ^= v[i] ^ v[i] >> 1 ^ v[i] >> 2 ^ v[i] >> 7;
    }
    return (struct block){.lo = v[2], .hi = v[3]};
}

static bool usable(void)
{
    return true;
}

static void prepare(mbedtls_gcm_context *ctx)
{
    (void)ctx; /* H alone is enough */
}

static void hash(mbedtls_gcm_context *ctx, const uint8_t *p, size_t n)
{
    struct block sum = load_be(ctx->sum), h, b;

    memcpy(&h, ctx->powers[15], sizeof(h));
    for (; n; n--, p += 16) {
        b = load_be(p);
        sum.lo ^= b.lo;
        sum.hi ^= b.hi;
        sum = multiply(sum, h);
    }
    store_be(ctx->sum, sum);
}

static int crypt(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out, size_t n)
{
    uint64_t stream[2], data[2];
    uint32_t count;
    int ret = 0;

    for (; n; n--, in += 16, out += 16) {
        memcpy(&count, ctx->counter + 12, 4);
        count = __builtin_bswap32(__builtin_bswap32(count) + 1);
        memcpy(ctx->counter + 12, &count, 4);
        ret =
            mbedtls_aes_crypt_ecb(&ctx->aes, MBEDTLS_AES_ENCRYPT, ctx->counter, (uint8_t *)stream);
        if (ret)
            break;
        if (ctx->mode == MBEDTLS_GCM_DECRYPT)
            hash(ctx, in, 1);
        memcpy(data, in, 16);
        data[0] ^= stream[0];
        data[1] ^= stream[1];
        memcpy(out, data, 16);
        if (ctx->mode == MBEDTLS_GCM_ENCRYPT)
            hash(ctx, out, 1);
    }
    mbedtls_platform_zeroize(stream, sizeof(stream));
    return ret;
}

const struct gcm_engine gcm_portable = {
    .name = "portable",
    .usable = usable,
    .prepare = prepare,
    .hash = hash,
    .crypt = crypt,
};

#endif
