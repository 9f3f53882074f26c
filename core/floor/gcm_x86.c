/* core/floor/gcm_x86.c - AES-GCM by AES-NI and PCLMULQDQ (8 blocks at a time), and by their wide
 * kin VAES and VPCLMULQDQ in AVX-512 (16 at a time).
 *
 * Each function names the instructions it needs, so the file is compiled with the flags of all
 * others; whether the CPU has them is asked at run time. The blocks of a group share one reduction:
 * (sum + block 1) * H^8 + block 2 * H^7 + ... (gcm_engine.h says in which form the powers are
 * kept). AES and carry-less products run in different units of the CPU. The narrow loop keeps both
 * busy by hashing a group beside the AES of one: the same when decrypting, the one before when
 * encrypting. CPUs with the wide instructions look far enough ahead to do so on their own.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/floor/gcm_engine.h"

#ifdef MBEDTLS_GCM_ALT

#include <cpuid.h>
#include <immintrin.h>

#define NARROW __attribute__((target("aes,pclmul,ssse3")))
#define WIDE   __attribute__((target("aes,pclmul,avx512f,avx512bw,vaes,vpclmulqdq")))
#define INLINE static inline __attribute__((always_inline))

enum { GROUP = 8, WIDE_GROUP = 16 };

/* ---- what the CPU has ---- */

enum {
    LEAF1_C = bit_PCLMUL | bit_SSSE3 | bit_AES,
    LEAF7_B = bit_AVX2 | bit_AVX512F | bit_AVX512BW,
    LEAF7_C = bit_VAES | bit_VPCLMULQDQ,
    STATE_AVX512 = 0xe6, /* XCR0: the kernel keeps SSE, AVX and the three parts of AVX-512 */
};

static bool narrow_usable(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & LEAF1_C) == LEAF1_C;
}

static bool wide_usable(void)
{
    unsigned a, b, c, d, state, high;

    if (!narrow_usable() || !__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return false;
    __asm__("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
    if ((state & STATE_AVX512) != STATE_AVX512 || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return false;
    return (b & (unsigned)LEAF7_B) == (unsigned)LEAF7_B && (c & LEAF7_C) == LEAF7_C;
}

/* ---- one register at a time ---- */

/* 2^128 * hi + 2^64 * mid + lo, to be reduced */
struct product {
    __m128i lo, mid, hi;
};

NARROW INLINE __m128i load(const void *p)
{
    return _mm_loadu_si128(p);
}

NARROW INLINE void store(void *p, __m128i v)
{
    _mm_storeu_si128(p, v);
}

/* The order of bytes that makes a block a number, and back. */
NARROW INLINE __m128i turn(__m128i v)
{
    return _mm_shuffle_epi8(v, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

NARROW INLINE void multiply_add(struct product *p, __m128i a, __m128i b)
{
    p->lo = _mm_xor_si128(p->lo, _mm_clmulepi64_si128(a, b, 0x00));
    p->hi = _mm_xor_si128(p->hi, _mm_clmulepi64_si128(a, b, 0x11));
    p->mid = _mm_xor_si128(
        p->mid, _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10)));
}

/* Twice: the low 64 bits L are cancelled by L * (2^128 + 0xc2 * 2^120 + 1). */
NARROW INLINE __m128i reduce(struct product p)
{
    const __m128i fold = _mm_set_epi64x(0, (long long)0xc200000000000000);
    __m128i mid = _mm_xor_si128(_mm_xor_si128(p.mid, _mm_shuffle_epi32(p.lo, 0x4e)),
                                _mm_clmulepi64_si128(p.lo, fold, 0x00));

    return _mm_xor_si128(_mm_xor_si128(p.hi, _mm_shuffle_epi32(mid, 0x4e)),
                         _mm_clmulepi64_si128(mid, fold, 0x00));
}

NARROW INLINE struct product nothing(void)
{
    __m128i z = _mm_setzero_si128();

    return (struct product){.lo = z, .mid = z, .hi = z};
}

NARROW INLINE __m128i multiply(__m128i a, __m128i b)
{
    struct product p = nothing();

    multiply_add(&p, a, b);
    return reduce(p);
}

INLINE const uint8_t *round_keys(const mbedtls_gcm_context *ctx)
{
    return (const uint8_t *)(ctx->aes.buf + ctx->aes.rk_offset);
}

NARROW static void narrow_prepare(mbedtls_gcm_context *ctx)
{
    __m128i h = load(ctx->powers[15]), p = h;

    for (int i = 14; i >= 0; i--) {
        p = multiply(p, h);
        store(ctx->powers[i], p);
    }
}

NARROW static void narrow_hash(mbedtls_gcm_context *ctx, const uint8_t *p, size_t n)
{
    __m128i sum = turn(load(ctx->sum)), h = load(ctx->powers[15]);

    for (; n; n--, p += 16)
        sum = multiply(_mm_xor_si128(sum, turn(load(p))), h);
    store(ctx->sum, turn(sum));
}

/* Block i of a group of GROUP at p, times its power; the sum so far rides with the first. */
NARROW INLINE void hash_step(struct product *acc, const mbedtls_gcm_context *ctx, __m128i sum,
                             const uint8_t *p, int i)
{
    __m128i b = turn(load(p + 16 * i));

    if (i == 0)
        b = _mm_xor_si128(b, sum);
    multiply_add(acc, b, load(ctx->powers[16 - GROUP + i]));
}

NARROW INLINE void count_up(__m128i b[GROUP], __m128i *counter, const uint8_t *rk)
{
    const __m128i one = _mm_set_epi32(0, 0, 0, 1), k = load(rk);

#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++) {
        *counter = _mm_add_epi32(*counter, one); /* 32 bits, wrapping, as GCM wants */
        b[i] = _mm_xor_si128(turn(*counter), k);
    }
}

NARROW INLINE void aes_round(__m128i b[GROUP], const uint8_t *key)
{
    const __m128i k = load(key);

#pragma GCC unroll 8
    for (int i = 0; i < GROUP; i++)
        b[i] = _mm_aesenc_si128(b[i], k);
}

/* Up to GROUP - 1 blocks. */
NARROW static __m128i narrow_rest(mbedtls_gcm_context *ctx, __m128i *counter, __m128i sum,
                                  const uint8_t *in, uint8_t *out, int n)
{
    const uint8_t *rk = round_keys(ctx);
    const __m128i start = *counter, last = load(rk + 16 * ctx->aes.nr);
    struct product acc = nothing();
    __m128i b[GROUP];

    count_up(b, counter, rk);
    *counter = _mm_add_epi32(start, _mm_set_epi32(0, 0, 0, n));
    for (int r = 1; r < ctx->aes.nr; r++)
        aes_round(b, rk + 16 * r);
    for (int i = 0; i < n; i++) {
        __m128i data = load(in + 16 * i);
        __m128i made = _mm_xor_si128(data, _mm_aesenclast_si128(b[i], last));
        __m128i c = turn(ctx->mode == MBEDTLS_GCM_ENCRYPT ? made : data);

        store(out + 16 * i, made);
        if (i == 0)
            c = _mm_xor_si128(c, sum);
        multiply_add(&acc, c, load(ctx->powers[16 - n + i]));
    }
    return reduce(acc);
}

NARROW static int narrow_crypt(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out, size_t n)
{
    const uint8_t *rk = round_keys(ctx);
    const int rounds = ctx->aes.nr;
    const __m128i last = load(rk + 16 * rounds);
    const uint8_t *cipher = ctx->mode == MBEDTLS_GCM_ENCRYPT ? NULL : in; /* hashed next */
    __m128i counter = turn(load(ctx->counter)), sum = turn(load(ctx->sum)), b[GROUP];
    struct product acc;

    for (; n >= GROUP; n -= GROUP, in += 16 * GROUP, out += 16 * GROUP) {
        count_up(b, &counter, rk);
        acc = nothing();
        for (int r = 1; r <= GROUP; r++) {
            aes_round(b, rk + 16 * r);
            if (cipher)
                hash_step(&acc, ctx, sum, cipher, r - 1);
        }
        for (int r = GROUP + 1; r < rounds; r++)
            aes_round(b, rk + 16 * r);
        if (cipher) {
            sum = reduce(acc);
            cipher += 16 * GROUP;
        } else {
            cipher = out;
        }
#pragma GCC unroll 8
        for (int i = 0; i < GROUP; i++) {
            b[i] = _mm_xor_si128(_mm_aesenclast_si128(b[i], last), load(in + 16 * i));
            store(out + 16 * i, b[i]);
        }
    }
    if (ctx->mode == MBEDTLS_GCM_ENCRYPT && cipher) {
        acc = nothing();
        for (int i = 0; i < GROUP; i++)
            hash_step(&acc, ctx, sum, cipher, i);
        sum = reduce(acc);
    }
    if (n)
        sum = narrow_rest(ctx, &counter, sum, in, out, (int)n);
    store(ctx->counter, turn(counter));
    store(ctx->sum, turn(sum));
    return 0;
}

/* ---- four registers in one ---- */

struct wide_product {
    __m512i lo, mid, hi;
};

WIDE INLINE __m512i wide_turn(__m512i v)
{
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
                                                                      10, 11, 12, 13, 14, 15)));
}

WIDE INLINE void wide_multiply_add(struct wide_product *p, __m512i a, __m512i b)
{
    enum { XOR3 = 0x96 };

    p->lo = _mm512_xor_si512(p->lo, _mm512_clmulepi64_epi128(a, b, 0x00));
    p->hi = _mm512_xor_si512(p->hi, _mm512_clmulepi64_epi128(a, b, 0x11));
    p->mid = _mm512_ternarylogic_epi64(p->mid, _mm512_clmulepi64_epi128(a, b, 0x01),
                                       _mm512_clmulepi64_epi128(a, b, 0x10), XOR3);
}

WIDE INLINE __m128i add_lanes(__m512i v)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));

    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE INLINE __m512i wide_key(const uint8_t *rk, int round)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(rk + 16 * round)));
}

WIDE static void wide_groups(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out,
                             size_t groups)
{
    const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4));
    const uint8_t *rk = round_keys(ctx);
    const int rounds = ctx->aes.nr;
    const bool encrypt = ctx->mode == MBEDTLS_GCM_ENCRYPT;
    __m128i first = turn(load(ctx->counter)), sum = turn(load(ctx->sum));
    __m512i counter =
        _mm512_add_epi32(_mm512_broadcast_i32x4(first),
                         _mm512_set_epi32(0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1));

    for (size_t g = groups; g; g--, in += 16 * WIDE_GROUP, out += 16 * WIDE_GROUP) {
        __m512i b[4], z = _mm512_setzero_si512(), k = wide_key(rk, 0);
        struct wide_product acc = {.lo = z, .mid = z, .hi = z};
        struct product p;

#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            b[i] = _mm512_xor_si512(wide_turn(counter), k);
            counter = _mm512_add_epi32(counter, four);
        }
        for (int r = 1; r < rounds; r++) {
            k = wide_key(rk, r);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                b[i] = _mm512_aesenc_epi128(b[i], k);
        }
        k = wide_key(rk, rounds);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            __m512i data = _mm512_loadu_si512(in + 64 * i);
            __m512i made = _mm512_aesenclast_epi128(b[i], _mm512_xor_si512(k, data));

            _mm512_storeu_si512(out + 64 * i, made);
            b[i] = wide_turn(encrypt ? made : data);
        }
        b[0] = _mm512_xor_si512(b[0], _mm512_zextsi128_si512(sum));
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            wide_multiply_add(&acc, b[i], _mm512_loadu_si512(ctx->powers[4 * i]));
        p.lo = add_lanes(acc.lo);
        p.mid = add_lanes(acc.mid);
        p.hi = add_lanes(acc.hi);
        sum = reduce(p);
    }
    first = _mm_add_epi32(first, _mm_set_epi32(0, 0, 0, (int)(groups * WIDE_GROUP)));
    store(ctx->counter, turn(first));
    store(ctx->sum, turn(sum));
}

static int wide_crypt(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out, size_t n)
{
    size_t whole = n / WIDE_GROUP * WIDE_GROUP;

    if (whole)
        wide_groups(ctx, in, out, whole / WIDE_GROUP);
    if (n == whole)
        return 0;
    return narrow_crypt(ctx, in + 16 * whole, out + 16 * whole, n - whole);
}

const struct gcm_engine gcm_aesni = {
    .name = "aes-ni",
    .usable = narrow_usable,
    .prepare = narrow_prepare,
    .hash = narrow_hash,
    .crypt = narrow_crypt,
};

const struct gcm_engine gcm_vaes = {
    .name = "vaes",
    .usable = wide_usable,
    .prepare = narrow_prepare,
    .hash = narrow_hash,
    .crypt = wide_crypt,
};

#endif
