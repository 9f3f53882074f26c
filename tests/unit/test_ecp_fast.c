/* tests/unit/test_ecp_fast.c - nettle's curves and GMP's power under mbedTLS, against its own and
 * RFC 7748.
 *
 * Everything is asked twice: by the public name (core/floor/ecp_fast.c) and by the stock code that
 * bears *_stock now. Both must agree in the return code and, where it is 0, in the value.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include "run.h"
#include <check.h>
#include <gmp.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static mbedtls_ecp_group grp;
static mbedtls_mpi k, l;
static mbedtls_ecp_point p, ours, stock;

/* xorshift: the same numbers in each run */
static int rng(void *arg, unsigned char *buf, size_t n)
{
    static uint64_t s = 0x9e3779b97f4a7c15;

    (void)arg;
    for (size_t i = 0; i < n; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        buf[i] = (unsigned char)(s >> 32);
    }
    return 0;
}

static void begin(mbedtls_ecp_group_id id)
{
    mbedtls_ecp_group_init(&grp);
    ck_assert_int_eq(mbedtls_ecp_group_load(&grp, id), 0);
    mbedtls_mpi_init(&k);
    mbedtls_mpi_init(&l);
    mbedtls_ecp_point_init(&p);
    mbedtls_ecp_point_init(&ours);
    mbedtls_ecp_point_init(&stock);
}

static void end(void)
{
    mbedtls_ecp_point_free(&p);
    mbedtls_ecp_point_free(&ours);
    mbedtls_ecp_point_free(&stock);
    mbedtls_mpi_free(&k);
    mbedtls_mpi_free(&l);
    mbedtls_ecp_group_free(&grp);
}

static void renew_results(void)
{
    mbedtls_ecp_point_free(&ours);
    mbedtls_ecp_point_free(&stock);
}

static void agree(int ret_ours, int ret_stock)
{
    ck_assert_int_eq(ret_ours, ret_stock);
    if (ret_ours)
        return;
    ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&ours.X, &stock.X), 0);
    ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&ours.Z, &stock.Z), 0);
    if (grp.id != MBEDTLS_ECP_DP_CURVE25519)
        ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&ours.Y, &stock.Y), 0);
}

static int mul_agrees(const mbedtls_ecp_point *point)
{
    int ret;

    renew_results();
    ret = mbedtls_ecp_mul(&grp, &ours, &k, point, rng, NULL);
    agree(ret, mbedtls_ecp_mul_restartable_stock(&grp, &stock, &k, point, rng, NULL, NULL));
    return ret;
}

static int muladd_agrees(const mbedtls_ecp_point *a, const mbedtls_ecp_point *b)
{
    int ret;

    renew_results();
    ret = mbedtls_ecp_muladd(&grp, &ours, &k, a, &l, b);
    agree(ret, mbedtls_ecp_muladd_restartable_stock(&grp, &stock, &k, a, &l, b, NULL));
    return ret;
}

static void random_point(void)
{
    ck_assert_int_eq(mbedtls_ecp_gen_keypair(&grp, &k, &p, rng, NULL), 0);
    ck_assert_int_eq(mbedtls_ecp_gen_privkey(&grp, &k, rng, NULL), 0);
}

static const mbedtls_ecp_group_id curves[] = {
    MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_SECP256K1, /* the last passes through */
};
static const mbedtls_ecp_group_id secp[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
                                            MBEDTLS_ECP_DP_SECP521R1};

START_TEST(test_ecp_fast_products_equal_stock)
{
    begin(curves[_i]);
    for (int i = 0; i < 25; i++) {
        random_point();
        ck_assert_int_eq(mul_agrees(&grp.G), 0);
        ck_assert_int_eq(mul_agrees(&p), 0);
        /* the result may stand where the point stood */
        ck_assert_int_eq(mbedtls_ecp_mul(&grp, &p, &k, &p, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&p.X, &stock.X), 0);
    }
    end();
}
END_TEST

START_TEST(test_ecp_fast_secp_takes_edge_scalars_as_stock)
{
    begin(secp[_i]);
    random_point();
    for (int from_n = 0; from_n < 2; from_n++) {
        for (mbedtls_mpi_sint d = -3; d <= 3; d++) {
            ck_assert_int_eq(mbedtls_mpi_lset(&k, 0), 0);
            if (from_n)
                ck_assert_int_eq(mbedtls_mpi_copy(&k, &grp.N), 0);
            ck_assert_int_eq(mbedtls_mpi_add_int(&k, &k, d), 0);
            (void)mul_agrees(&grp.G);
            (void)mul_agrees(&p);
        }
    }
    mbedtls_mpi_free(&k); /* no limbs at all */
    ck_assert_int_ne(mul_agrees(&grp.G), 0);
    end();
}
END_TEST

START_TEST(test_ecp_fast_secp_refuses_a_point_beside_the_curve)
{
    begin(secp[_i]);
    random_point();
    ck_assert_int_eq(mbedtls_mpi_add_int(&p.X, &p.X, 1), 0);
    ck_assert_int_ne(mul_agrees(&p), 0);
    random_point();
    ck_assert_int_eq(mbedtls_mpi_lset(&p.Z, 2), 0);
    ck_assert_int_ne(mul_agrees(&p), 0);
    ck_assert_int_eq(mbedtls_ecp_set_zero(&p), 0);
    ck_assert_int_ne(mul_agrees(&p), 0);
    end();
}
END_TEST

START_TEST(test_ecp_fast_x25519_refuses_what_stock_refuses)
{
    begin(MBEDTLS_ECP_DP_CURVE25519);
    random_point();
    ck_assert_int_eq(mbedtls_mpi_add_int(&k, &k, 1), 0); /* not clamped */
    ck_assert_int_ne(mul_agrees(&p), 0);
    ck_assert_int_eq(mbedtls_mpi_sub_int(&k, &k, 1), 0);
    for (mbedtls_mpi_sint u = -1; u <= 1; u++) { /* small order */
        ck_assert_int_eq(mbedtls_mpi_lset(&p.X, u), 0);
        ck_assert_int_ne(mul_agrees(&p), 0);
    }
    ck_assert_int_eq(mbedtls_mpi_copy(&p.X, &grp.P), 0); /* 0, not reduced */
    ck_assert_int_ne(mul_agrees(&p), 0);
    ck_assert_int_eq(mbedtls_mpi_add_int(&p.X, &grp.P, 9), 0); /* the base point, not reduced */
    ck_assert_int_eq(mul_agrees(&p), 0);
    ck_assert_int_eq(mbedtls_mpi_lset(&p.X, 1), 0); /* bit 255 is nobody's */
    ck_assert_int_eq(mbedtls_mpi_shift_l(&p.X, 255), 0);
    ck_assert_int_eq(mbedtls_mpi_add_int(&p.X, &p.X, 9), 0);
    (void)mul_agrees(&p);
    end();
}
END_TEST

/* RFC 7748, 5.2: the vector that is fed back, after 1 and after 1,000 rounds. */
START_TEST(test_ecp_fast_x25519_follows_rfc7748)
{
    static const uint8_t after_1[32] = {0x42, 0x2c, 0x8e, 0x7a, 0x62, 0x27, 0xd7, 0xbc,
                                        0xa1, 0x35, 0x0b, 0x3e, 0x2b, 0xb7, 0x27, 0x9f,
                                        0x78, 0x97, 0xb8, 0x7b, 0xb6, 0x85, 0x4b, 0x78,
                                        0x3c, 0x60, 0xe8, 0x03, 0x11, 0xae, 0x30, 0x79};
    static const uint8_t after_1000[32] = {0x68, 0x4c, 0xf5, 0x9b, 0xa8, 0x33, 0x09, 0x55,
                                           0x28, 0x00, 0xef, 0x56, 0x6f, 0x2f, 0x4d, 0x3c,
                                           0x1c, 0x38, 0x87, 0xc4, 0x93, 0x60, 0xe3, 0x87,
                                           0x5f, 0x2e, 0xb9, 0x4d, 0x99, 0x53, 0x2c, 0x51};
    uint8_t scalar[32] = {9}, u[32] = {9}, out[32], clamped[32];

    begin(MBEDTLS_ECP_DP_CURVE25519);
    ck_assert_int_eq(mbedtls_mpi_lset(&p.Z, 1), 0);
    for (int round = 1; round <= 1000; round++) {
        memcpy(clamped, scalar, sizeof(clamped));
        clamped[0] &= 0xf8;
        clamped[31] = (uint8_t)((clamped[31] & 0x7f) | 0x40);
        u[31] &= 0x7f;
        ck_assert_int_eq(mbedtls_mpi_read_binary_le(&k, clamped, sizeof(clamped)), 0);
        ck_assert_int_eq(mbedtls_mpi_read_binary_le(&p.X, u, sizeof(u)), 0);
        ck_assert_int_eq(mbedtls_ecp_mul(&grp, &ours, &k, &p, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_mpi_write_binary_le(&ours.X, out, sizeof(out)), 0);
        memcpy(u, scalar, sizeof(u));
        memcpy(scalar, out, sizeof(scalar));
        if (round == 1)
            ck_assert_mem_eq(out, after_1, sizeof(out));
    }
    ck_assert_mem_eq(out, after_1000, sizeof(out));
    end();
}
END_TEST

/* RFC 5903, 8.1: both private keys, both public ones, the secret they share. */
START_TEST(test_ecp_fast_p256_follows_rfc5903)
{
    static const char *const key[2] = {
        "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
        "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53"};
    static const char *const public[2][2] = {
        {"DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180",
         "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3"},
        {"D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63",
         "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"}};
    static const char *const shared =
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE";

    begin(MBEDTLS_ECP_DP_SECP256R1);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(mbedtls_mpi_read_string(&k, 16, key[i]), 0);
        ck_assert_int_eq(mbedtls_ecp_mul(&grp, &ours, &k, &grp.G, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_ecp_point_read_string(&p, 16, public[i][0], public[i][1]), 0);
        ck_assert_int_eq(mbedtls_ecp_point_cmp(&ours, &p), 0);
        ck_assert_int_eq(mbedtls_ecp_point_read_string(&p, 16, public[1 - i][0], public[1 - i][1]),
                         0);
        ck_assert_int_eq(mbedtls_ecp_mul(&grp, &ours, &k, &p, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_mpi_read_string(&l, 16, shared), 0);
        ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&ours.X, &l), 0);
    }
    end();
}
END_TEST

static unsigned blocks, not_wiped;

static void free_inspected(void *block, size_t n)
{
    const unsigned char *b = block;
    bool clean = true;

    for (size_t i = 0; i < n; i++)
        clean = clean && b[i] == 0;
    blocks++;
    not_wiped += !clean;
    free(block);
}

/* An application's own memory functions stay in force, and get back only wiped blocks. */
START_TEST(test_ecp_fast_wipes_what_the_libraries_put_on_the_heap)
{
    begin(curves[_i]);
    mp_set_memory_functions(NULL, NULL, free_inspected);
    random_point();
    ck_assert_int_eq(mbedtls_ecp_mul(&grp, &ours, &k, &p, rng, NULL), 0);
    ck_assert_int_eq(mbedtls_ecp_mul(&grp, &ours, &k, &grp.G, rng, NULL), 0);
    ck_assert_uint_eq(not_wiped, 0);
    ck_assert_uint_ge(blocks, 2);
    end();
}
END_TEST

/* Every `rare`-th block of the libraries is refused. */
static unsigned rare, asked, refused;

static void *alloc_now_and_then(size_t n)
{
    if (++asked % rare) {
        void *block = malloc(n);
        ck_assert_ptr_nonnull(block);
        return block;
    }
    refused++;
    return NULL;
}

static void free_plain(void *block, size_t n)
{
    (void)n;
    free(block);
}

START_TEST(test_ecp_fast_goes_on_without_memory)
{
    begin(curves[_i]);
    refused = asked = 0;
    for (rare = 1; rare <= 7; rare++) {
        mp_set_memory_functions(alloc_now_and_then, NULL, free_plain);
        for (int i = 0; i < 5; i++) {
            random_point();
            ck_assert_int_eq(mul_agrees(&grp.G), 0);
            ck_assert_int_eq(mul_agrees(&p), 0);
        }
    }
    ck_assert_uint_ge(refused, 10);
    end();
}
END_TEST

START_TEST(test_ecp_fast_sums_equal_stock)
{
    begin(secp[_i]);
    for (int i = 0; i < 10; i++) {
        random_point();
        ck_assert_int_eq(mbedtls_ecp_gen_privkey(&grp, &l, rng, NULL), 0);
        ck_assert_int_eq(muladd_agrees(&grp.G, &p), 0);
        ck_assert_int_eq(mbedtls_mpi_lset(&l, i - 2), 0);
        (void)muladd_agrees(&grp.G, &p);
        ck_assert_int_eq(mbedtls_mpi_copy(&l, &k), 0); /* twice the same product */
        ck_assert_int_eq(muladd_agrees(&p, &p), 0);
        ck_assert_int_eq(mbedtls_mpi_sub_mpi(&l, &grp.N, &k), 0); /* the sum is infinity */
        (void)muladd_agrees(&p, &p);
    }
    end();
}
END_TEST

START_TEST(test_ecp_fast_signature_holds_and_a_changed_one_does_not)
{
    mbedtls_mpi r, s;
    uint8_t hash[32];

    begin(MBEDTLS_ECP_DP_SECP256R1);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    ck_assert_int_eq(mbedtls_ecp_gen_keypair(&grp, &k, &p, rng, NULL), 0);
    (void)rng(NULL, hash, sizeof(hash));
    ck_assert_int_eq(mbedtls_ecdsa_sign(&grp, &r, &s, &k, hash, sizeof(hash), rng, NULL), 0);
    ck_assert_int_eq(mbedtls_ecdsa_verify(&grp, hash, sizeof(hash), &p, &r, &s), 0);
    hash[31] ^= 1;
    ck_assert_int_ne(mbedtls_ecdsa_verify(&grp, hash, sizeof(hash), &p, &r, &s), 0);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    end();
}
END_TEST

START_TEST(test_ecp_fast_powers_equal_stock)
{
    mbedtls_mpi a, e, n, x, y;

    mbedtls_mpi_init(&a);
    mbedtls_mpi_init(&e);
    mbedtls_mpi_init(&n);
    mbedtls_mpi_init(&x);
    mbedtls_mpi_init(&y);
    for (int i = 0; i < 40; i++) {
        size_t bytes = i % 2 ? 60 + (size_t)i : 128;
        int ret;

        ck_assert_int_eq(mbedtls_mpi_fill_random(&n, bytes, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_mpi_set_bit(&n, 0, i % 7 != 3), 0); /* even: stock's business */
        ck_assert_int_eq(mbedtls_mpi_fill_random(&a, i % 3 ? bytes : bytes + 9, rng, NULL), 0);
        ck_assert_int_eq(mbedtls_mpi_fill_random(&e, i % 4 ? bytes : 3, rng, NULL), 0);
        if (i == 5)
            ck_assert_int_eq(mbedtls_mpi_lset(&e, 0), 0);
        if (i == 8)
            ck_assert_int_eq(mbedtls_mpi_lset(&a, 0), 0);
        if (i == 12)
            ck_assert_int_eq(mbedtls_mpi_copy(&a, &n), 0);
        if (i == 16)
            a.s = -1;
        if (i == 18)
            e.s = -1;
        ret = mbedtls_mpi_exp_mod(&x, &a, &e, &n, NULL);
        ck_assert_int_eq(ret, mbedtls_mpi_exp_mod_stock(&y, &a, &e, &n, NULL));
        if (ret)
            continue;
        ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&x, &y), 0);
        ck_assert_int_eq(mbedtls_mpi_exp_mod(&a, &a, &e, &n, NULL), 0); /* in place */
        ck_assert_int_eq(mbedtls_mpi_cmp_mpi(&a, &y), 0);
    }
    mbedtls_mpi_free(&a);
    mbedtls_mpi_free(&e);
    mbedtls_mpi_free(&n);
    mbedtls_mpi_free(&x);
    mbedtls_mpi_free(&y);
    ck_assert_int_eq(mbedtls_rsa_self_test(0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ecp_fast");
    TCase *tc = tcase_create("all");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_ecp_fast_products_equal_stock, 0,
                        (int)(sizeof(curves) / sizeof(curves[0])));
    tcase_add_loop_test(tc, test_ecp_fast_secp_takes_edge_scalars_as_stock, 0, 3);
    tcase_add_loop_test(tc, test_ecp_fast_secp_refuses_a_point_beside_the_curve, 0, 3);
    tcase_add_test(tc, test_ecp_fast_p256_follows_rfc5903);
    tcase_add_loop_test(tc, test_ecp_fast_wipes_what_the_libraries_put_on_the_heap, 0, 4);
    tcase_add_loop_test(tc, test_ecp_fast_goes_on_without_memory, 0, 4);
    tcase_add_test(tc, test_ecp_fast_x25519_refuses_what_stock_refuses);
    tcase_add_test(tc, test_ecp_fast_x25519_follows_rfc7748);
    tcase_add_loop_test(tc, test_ecp_fast_sums_equal_stock, 0, 3);
    tcase_add_test(tc, test_ecp_fast_signature_holds_and_a_changed_one_does_not);
    tcase_add_test(tc, test_ecp_fast_powers_equal_stock);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
