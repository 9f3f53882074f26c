/* core/floor/ecp_fast.c - P-256, P-384, P-521 and X25519 by nettle's hogweed, RSA's power by GMP,
 * under all of mbedTLS.
 *
 * deps/build.sh compiles mbedTLS's ecp.c and bignum.c with the entry points below renamed *_stock,
 * so ECDH, ECDSA, PSA keys and RSA reach this file. What it does not take (other curves, bad
 * scalars or points, even or small moduli) it hands to the stock code, which also finds the words
 * for errors. Built only where nettle and GMP are (Makefile, HOGWEED).
 *
 * Secrets: scalars and exponents are read in place, never copied by us. hogweed's multiplications
 * and mpn_sec_powm run in a time that does not depend on them. What is put on the heap meanwhile
 * (the libraries' scratch, shared secrets, our own scratch) is wiped when freed: see
 * wipe_on_free(). Branches here depend only on public values, on the validity of an input, and on
 * whether a whole top limb is zero (1 in 2^64). Looked at with valgrind, the scalar marked
 * undefined: in this file it reports the branches on an input's validity and on X25519's all-zero
 * result, in the libraries their assertions.
 *
 * Sources: RFC 7748 (5, 6.1) for X25519; nettle 3.8 ecc.h, curve25519.h; GMP 6.2 chapters 5, 8.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "core/rc.h"
#include <gmp.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>
#include <nettle/curve25519.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* mbedTLS's limbs can be lent to GMP as they are. */
_Static_assert(sizeof(mp_limb_t) == sizeof(mbedtls_mpi_uint), "limbs of GMP and mbedTLS differ");
_Static_assert(GMP_NAIL_BITS == 0, "GMP built with nails");

enum {
    KEY_BYTES = 32,        /* X25519 */
    EXP_MOD_MIN_LIMBS = 8, /* below, the stock code is as good */
    RESERVE_BYTES = 65536,
    NOT_OURS = 1, /* internal: the stock code decides */
};

typedef int rng_fn(void *arg, unsigned char *buf, size_t n);

int mbedtls_mpi_exp_mod_stock(mbedtls_mpi *x, const mbedtls_mpi *a, const mbedtls_mpi *e,
                              const mbedtls_mpi *n, mbedtls_mpi *rr);
int mbedtls_ecp_mul_restartable_stock(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
                                      const mbedtls_mpi *m, const mbedtls_ecp_point *p, rng_fn *rng,
                                      void *arg, mbedtls_ecp_restart_ctx *ctx);
int mbedtls_ecp_muladd_restartable_stock(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
                                         const mbedtls_mpi *m, const mbedtls_ecp_point *p,
                                         const mbedtls_mpi *n, const mbedtls_ecp_point *q,
                                         mbedtls_ecp_restart_ctx *ctx);

/* ---- memory of GMP and hogweed ---- */

/* What was in force before us: an application that embeds us may have its own. */
static void *(*alloc_before)(size_t n);
static void (*free_before)(void *p, size_t n);

/* GMP's allocators must not fail, and its own abort() then, which costs all flows instead of one
 * handshake. The blocks of one multiplication fit in here several times, and none outlives it. */
static struct {
    _Alignas(max_align_t) unsigned char bytes[RESERVE_BYTES];
    size_t used;
    unsigned blocks;
} reserve;

static void *alloc_surely(size_t n)
{
    size_t whole = (n + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t);
    void *p = alloc_before(n);

    if (p)
        return p;
    BUG_ON(whole > RESERVE_BYTES - reserve.used);
    p = reserve.bytes + reserve.used;
    reserve.used += whole;
    reserve.blocks++;
    return p;
}

static void free_wiped(void *p, size_t n)
{
    uintptr_t at = (uintptr_t)p, first = (uintptr_t)reserve.bytes;

    mbedtls_platform_zeroize(p, n);
    if (at < first || at >= first + RESERVE_BYTES)
        free_before(p, n);
    else if (--reserve.blocks == 0)
        reserve.used = 0;
}

static void *realloc_wiped(void *p, size_t old, size_t n)
{
    void *q = alloc_surely(n);

    memcpy(q, p, old < n ? old : n);
    free_wiped(p, old);
    return q;
}

/* hogweed allocates through GMP's functions too. Blocks from before may be freed after: wiping and
 * the reserve are all that we add. */
static void wipe_on_free(void)
{
    void *(*alloc_now)(size_t), *(*alloc_gmp)(size_t);
    void (*free_now)(void *, size_t);

    mp_get_memory_functions(&alloc_now, NULL, &free_now);
    if (free_now == free_wiped)
        return;
    mp_set_memory_functions(NULL, NULL, NULL);
    mp_get_memory_functions(&alloc_gmp, NULL, NULL);
    alloc_before = alloc_now == alloc_gmp ? malloc : alloc_now; /* GMP's is malloc() or abort() */
    free_before = free_now;
    mp_set_memory_functions(alloc_surely, realloc_wiped, free_wiped);
}

/* ---- numbers ---- */

/* A read-only view of m's limbs; needs no clear. m must not be negative. */
static void lend(mpz_t z, const mbedtls_mpi *m)
{
    static const mp_limb_t zero;

    if (m->n)
        (void)mpz_roinit_n(z, (const mp_limb_t *)m->p, (mp_size_t)m->n);
    else
        (void)mpz_roinit_n(z, &zero, 1);
}

static int set_limbs(mbedtls_mpi *m, const mp_limb_t *p, size_t limbs)
{
    int ret = mbedtls_mpi_grow(m, limbs);

    if (ret)
        return ret;
    memset(m->p, 0, m->n * sizeof(*m->p));
    memcpy(m->p, p, limbs * sizeof(*p));
    m->s = 1;
    return 0;
}

/* Copies m into limbs of to; is 0 < m < order? No branch and no address depends on m. */
static bool load_scalar(mp_limb_t *to, size_t limbs, const mbedtls_mpi *m, const mbedtls_mpi *order)
{
    mp_limb_t below = 0, any = 0, beyond = 0;

    for (size_t i = 0; i < limbs; i++) {
        mp_limb_t x = i < m->n ? m->p[i] : 0, n = i < order->n ? order->p[i] : 0;

        to[i] = x;
        any |= x;
        below = (mp_limb_t)(x < n) | ((mp_limb_t)(x == n) & below);
    }
    for (size_t i = limbs; i < m->n; i++)
        beyond |= m->p[i];
    return ((mp_limb_t)(any != 0) & below & (mp_limb_t)(beyond == 0)) != 0;
}

/* ---- curves: 0 done, NOT_OURS, or mbedTLS's error ---- */

/* The curves of SEC 2 that hogweed has; NULL: not one of them. */
static const struct ecc_curve *secp_curve(mbedtls_ecp_group_id id)
{
    switch ((int)id) {
    case MBEDTLS_ECP_DP_SECP256R1:
        return nettle_get_secp_256r1();
    case MBEDTLS_ECP_DP_SECP384R1:
        return nettle_get_secp_384r1();
    case MBEDTLS_ECP_DP_SECP521R1:
        return nettle_get_secp_521r1();
    default:
        return NULL;
    }
}

static int secp_mul(const mbedtls_ecp_group *grp, const struct ecc_curve *curve,
                    mbedtls_ecp_point *r, const mbedtls_mpi *m, const mbedtls_ecp_point *p)
{
    struct ecc_scalar scalar;
    struct ecc_point point;
    size_t limbs = (size_t)ecc_size(curve);
    mpz_t x, y;
    int ret = NOT_OURS;

    if (m->s < 0 || p->X.s < 0 || p->Y.s < 0 || mbedtls_mpi_cmp_int(&p->Z, 1))
        return NOT_OURS;
    ecc_scalar_init(&scalar, curve);
    ecc_point_init(&point, curve);
    lend(x, &p->X);
    lend(y, &p->Y);
    if (load_scalar(scalar.p, limbs, m, &grp->N) && ecc_point_set(&point, x, y)) {
        if (!mbedtls_mpi_cmp_mpi(&p->X, &grp->G.X) && !mbedtls_mpi_cmp_mpi(&p->Y, &grp->G.Y))
            ecc_point_mul_g(&point, &scalar);
        else
            ecc_point_mul(&point, &scalar, &point);
        ret = set_limbs(&r->X, point.p, limbs);
        if (!ret)
            ret = set_limbs(&r->Y, point.p + limbs, limbs);
        if (!ret)
            ret = mbedtls_mpi_lset(&r->Z, 1);
    }
    ecc_scalar_clear(&scalar);
    ecc_point_clear(&point);
    return ret;
}

static int x25519_mul(const mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
                      const mbedtls_ecp_point *p)
{
    uint8_t k[KEY_BYTES], u[KEY_BYTES], q[KEY_BYTES] = {0}, any = 0;
    int ret = NOT_OURS;

    if (m->s < 0 || p->X.s < 0 || mbedtls_mpi_write_binary_le(m, k, sizeof(k)) ||
        mbedtls_mpi_write_binary_le(&p->X, u, sizeof(u)))
        goto out;
    /* hogweed would clamp and mask in silence what mbedTLS refuses */
    if ((k[0] & 7) || (k[31] & 0xc0) != 0x40 || (u[31] & 0x80))
        goto out;
    if (!mbedtls_mpi_cmp_mpi(&p->X, &grp->G.X))
        curve25519_mul_g(q, k);
    else
        curve25519_mul(q, k, u);
    for (size_t i = 0; i < sizeof(q); i++)
        any |= q[i];
    ret = MBEDTLS_ERR_ECP_INVALID_KEY; /* a point of small order (RFC 7748, 6.1) */
    if (!any)
        goto out;
    mbedtls_mpi_free(&r->Y);
    ret = mbedtls_mpi_read_binary_le(&r->X, q, sizeof(q));
    if (!ret)
        ret = mbedtls_mpi_lset(&r->Z, 1);
out:
    mbedtls_platform_zeroize(k, sizeof(k));
    mbedtls_platform_zeroize(q, sizeof(q));
    return ret;
}

/* ---- the entry points of mbedTLS ---- */

int mbedtls_ecp_mul_restartable(mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
                                const mbedtls_ecp_point *p, rng_fn *rng, void *arg,
                                mbedtls_ecp_restart_ctx *ctx)
{
    const struct ecc_curve *curve = secp_curve(grp->id);
    int ret = NOT_OURS;

    wipe_on_free();
    if (curve)
        ret = secp_mul(grp, curve, r, m, p);
    else if (grp->id == MBEDTLS_ECP_DP_CURVE25519)
        ret = x25519_mul(grp, r, m, p);
    if (ret == NOT_OURS)
        ret = mbedtls_ecp_mul_restartable_stock(grp, r, m, p, rng, arg, ctx);
    return ret;
}

int mbedtls_ecp_mul(mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
                    const mbedtls_ecp_point *p, rng_fn *rng, void *arg)
{
    return mbedtls_ecp_mul_restartable(grp, r, m, p, rng, arg, NULL);
}

/* r = m p + n q, only ever for public values (ECDSA's check): two products by hogweed, the sum by
 * mbedTLS. */
int mbedtls_ecp_muladd_restartable(mbedtls_ecp_group *grp, mbedtls_ecp_point *r,
                                   const mbedtls_mpi *m, const mbedtls_ecp_point *p,
                                   const mbedtls_mpi *n, const mbedtls_ecp_point *q,
                                   mbedtls_ecp_restart_ctx *ctx)
{
    const struct ecc_curve *curve = secp_curve(grp->id);
    mbedtls_ecp_point mp, nq;
    mbedtls_mpi one;
    int ret = NOT_OURS;

    mbedtls_ecp_point_init(&mp);
    mbedtls_ecp_point_init(&nq);
    mbedtls_mpi_init(&one);
    if (curve) {
        wipe_on_free();
        ret = mbedtls_mpi_lset(&one, 1);
        if (!ret)
            ret = secp_mul(grp, curve, &mp, m, p);
        if (!ret)
            ret = secp_mul(grp, curve, &nq, n, q);
        if (!ret)
            ret = mbedtls_ecp_muladd_restartable_stock(grp, r, &one, &mp, &one, &nq, NULL);
    }
    if (ret == NOT_OURS)
        ret = mbedtls_ecp_muladd_restartable_stock(grp, r, m, p, n, q, ctx);
    mbedtls_ecp_point_free(&mp);
    mbedtls_ecp_point_free(&nq);
    mbedtls_mpi_free(&one);
    return ret;
}

int mbedtls_ecp_muladd(mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
                       const mbedtls_ecp_point *p, const mbedtls_mpi *n, const mbedtls_ecp_point *q)
{
    return mbedtls_ecp_muladd_restartable(grp, r, m, p, n, q, NULL);
}

/* Without the top limbs that are zero. */
static size_t limbs_used(const mbedtls_mpi *m)
{
    size_t n = m->n;

    while (n > 0 && m->p[n - 1] == 0)
        n--;
    return n;
}

/* x = a^e mod n; the cache rr is left to the stock code. The sizes of all three are public, as is
 * an exponent of one limb (65537). */
int mbedtls_mpi_exp_mod(mbedtls_mpi *x, const mbedtls_mpi *a, const mbedtls_mpi *e,
                        const mbedtls_mpi *n, mbedtls_mpi *rr)
{
    size_t limbs = limbs_used(n), exponent = limbs_used(e), bits, itch;
    mp_limb_t *r;
    int ret;

    if (limbs < EXP_MOD_MIN_LIMBS || n->s < 0 || a->s < 0 || e->s < 0 || !(n->p[0] & 1) ||
        exponent == 0 || limbs_used(a) == 0)
        return mbedtls_mpi_exp_mod_stock(x, a, e, n, rr);
    bits = exponent == 1 ? mbedtls_mpi_bitlen(e) : exponent * GMP_NUMB_BITS;
    itch = (size_t)mpn_sec_powm_itch((mp_size_t)a->n, bits, (mp_size_t)limbs);
    r = calloc(limbs + itch, sizeof(*r)); /* the result, then what mpn_sec_powm works in */
    if (!r)
        return MBEDTLS_ERR_MPI_ALLOC_FAILED;
    mpn_sec_powm(r, (const mp_limb_t *)a->p, (mp_size_t)a->n, (const mp_limb_t *)e->p, bits,
                 (const mp_limb_t *)n->p, (mp_size_t)limbs, r + limbs);
    ret = set_limbs(x, r, limbs);
    mbedtls_platform_zeroize(r, (limbs + itch) * sizeof(*r));
    free(r);
    return ret;
}
