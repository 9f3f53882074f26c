/* core/floor/ecp_fast.c - P-256 and X25519 by nettle's hogweed, RSA's power by GMP, under all of
 * mbedTLS.
 *
 * deps/build.sh compiles mbedTLS's ecp.c and bignum.c with the entry points below renamed *_stock,
 * so ECDH, ECDSA, PSA keys and RSA reach this file. What it does not take (other curves, bad
 * scalars or points, even or small moduli) it hands to the stock code, which also finds the words
 * for errors. Built only where nettle and GMP are (Makefile, HOGWEED).
 *
 * Secrets: scalars are read in place, never copied. hogweed's multiplications and mpz_powm_sec run
 * in a time that does not depend on them. Whatever the two libraries put on the heap meanwhile
 * (their scratch, shared secrets) is wiped when freed: see wipe_on_free(). Branches here depend
 * only on public values, on the validity of an input, and on whether a whole top limb is zero (1 in
 * 2^64).
 *
 * Sources: RFC 7748 (5, 6.1) for X25519; nettle 3.8 ecc.h, curve25519.h; GMP 6.2 chapter 5.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <gmp.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecp.h>
#include <mbedtls/platform_util.h>
#include <nettle/curve25519.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <stdlib.h>
#include <string.h>

/* mbedTLS's limbs can be lent to GMP as they are. */
_Static_assert(sizeof(mp_limb_t) == sizeof(mbedtls_mpi_uint), "limbs of GMP and mbedTLS differ");
_Static_assert(GMP_NAIL_BITS == 0, "GMP built with nails");

enum {
    KEY_BYTES = 32,         /* P-256 and X25519 alike */
    EXP_MOD_MIN_BYTES = 64, /* below, the stock code is as good */
    NOT_OURS = 1,           /* internal: the stock code decides */
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

/* GMP's contract: allocation never fails to its caller. */
static void *alloc_or_die(size_t n)
{
    void *p = malloc(n);

    if (!p)
        abort();
    return p;
}

static void free_wiped(void *p, size_t n)
{
    mbedtls_platform_zeroize(p, n);
    free(p);
}

static void *realloc_wiped(void *p, size_t old, size_t n)
{
    void *q = alloc_or_die(n);

    memcpy(q, p, old < n ? old : n);
    free_wiped(p, old);
    return q;
}

/* hogweed allocates through GMP's functions too. They are malloc's kin, so blocks from before may
 * be freed after. */
static void wipe_on_free(void)
{
    void (*now)(void *, size_t);

    mp_get_memory_functions(NULL, NULL, &now);
    if (now != free_wiped)
        mp_set_memory_functions(alloc_or_die, realloc_wiped, free_wiped);
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

static int take(mbedtls_mpi *m, const mpz_t z, size_t limbs)
{
    size_t n = mpz_size(z);
    int ret = mbedtls_mpi_grow(m, limbs > n ? limbs : n);

    if (ret)
        return ret;
    memset(m->p, 0, m->n * sizeof(*m->p));
    memcpy(m->p, mpz_limbs_read(z), n * sizeof(*m->p));
    m->s = 1;
    return 0;
}

/* ---- curves: 0 done, NOT_OURS, or mbedTLS's error ---- */

static int p256_mul(const mbedtls_ecp_group *grp, mbedtls_ecp_point *r, const mbedtls_mpi *m,
                    const mbedtls_ecp_point *p)
{
    const struct ecc_curve *curve = nettle_get_secp_256r1();
    struct ecc_scalar scalar;
    struct ecc_point point;
    mpz_t k, x, y;
    int ret = NOT_OURS;

    if (m->s < 0 || p->X.s < 0 || p->Y.s < 0 || mbedtls_mpi_cmp_int(&p->Z, 1))
        return NOT_OURS;
    ecc_scalar_init(&scalar, curve);
    ecc_point_init(&point, curve);
    lend(k, m);
    lend(x, &p->X);
    lend(y, &p->Y);
    if (ecc_scalar_set(&scalar, k) && ecc_point_set(&point, x, y)) { /* in range; on the curve */
        if (!mbedtls_mpi_cmp_mpi(&p->X, &grp->G.X) && !mbedtls_mpi_cmp_mpi(&p->Y, &grp->G.Y))
            ecc_point_mul_g(&point, &scalar);
        else
            ecc_point_mul(&point, &scalar, &point);
        mpz_init(x);
        mpz_init(y);
        ecc_point_get(&point, x, y);
        ret = take(&r->X, x, KEY_BYTES / sizeof(mp_limb_t));
        if (!ret)
            ret = take(&r->Y, y, KEY_BYTES / sizeof(mp_limb_t));
        if (!ret)
            ret = mbedtls_mpi_lset(&r->Z, 1);
        mpz_clear(x);
        mpz_clear(y);
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
    int ret = NOT_OURS;

    wipe_on_free();
    if (grp->id == MBEDTLS_ECP_DP_SECP256R1)
        ret = p256_mul(grp, r, m, p);
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
    mbedtls_ecp_point mp, nq;
    mbedtls_mpi one;
    int ret = NOT_OURS;

    mbedtls_ecp_point_init(&mp);
    mbedtls_ecp_point_init(&nq);
    mbedtls_mpi_init(&one);
    if (grp->id == MBEDTLS_ECP_DP_SECP256R1) {
        wipe_on_free();
        ret = mbedtls_mpi_lset(&one, 1);
        if (!ret)
            ret = p256_mul(grp, &mp, m, p);
        if (!ret)
            ret = p256_mul(grp, &nq, n, q);
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

/* x = a^e mod n; the cache rr is left to the stock code. */
int mbedtls_mpi_exp_mod(mbedtls_mpi *x, const mbedtls_mpi *a, const mbedtls_mpi *e,
                        const mbedtls_mpi *n, mbedtls_mpi *rr)
{
    size_t limbs = n->n;
    mpz_t base, power, modulus, result;
    int ret;

    if (mbedtls_mpi_size(n) < EXP_MOD_MIN_BYTES || n->s < 0 || a->s < 0 || e->s < 0 ||
        !mbedtls_mpi_get_bit(n, 0) || !mbedtls_mpi_cmp_int(e, 0))
        return mbedtls_mpi_exp_mod_stock(x, a, e, n, rr);
    wipe_on_free();
    lend(base, a);
    lend(power, e);
    lend(modulus, n);
    mpz_init(result);
    mpz_powm_sec(result, base, power, modulus);
    ret = take(x, result, limbs);
    mpz_clear(result);
    return ret;
}
