/* tests/unit/test_gcm.c - AES-GCM: vectors, a slow twin written from the standard, every engine.
 *
 * Each engine that this CPU has must agree with the twin for any lengths and any division into
 * parts, anywhere in memory, and must touch nothing beside its output.
 */
#include "core/floor/gcm_engine.h"
#include "run.h"
#include "tests/unit/gcmtwin.h"
#include <check.h>
#include <mbedtls/gcm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 70000, AD_MAX = 600, IV_MAX = 300, GUARD = 64 };

#define HEX_MAX 64

/* ---- engines ---- */

#ifdef MBEDTLS_GCM_ALT
enum { ENGINES = 3 };

static bool have(int e)
{
    return gcm_engines[e]->usable();
}

static int set_key(mbedtls_gcm_context *ctx, int e, const uint8_t *key, unsigned bits)
{
    return gcm_setkey_by(ctx, gcm_engines[e], key, bits);
}
#else
enum { ENGINES = 1 };

static bool have(int e)
{
    return e == 0;
}

static int set_key(mbedtls_gcm_context *ctx, int e, const uint8_t *key, unsigned bits)
{
    (void)e;
    return mbedtls_gcm_setkey(ctx, MBEDTLS_CIPHER_ID_AES, key, bits);
}
#endif

/* ---- one message, any way ---- */

struct message {
    uint8_t key[32], iv[IV_MAX], ad[AD_MAX], tag[16];
    unsigned key_bits;
    size_t iv_len, ad_len, n;
    uint8_t *plain, *cipher; /* n bytes each */
};

static uint64_t rnd_state = 0x9e3779b97f4a7c15; /* xorshift: the same numbers in each run */

static uint32_t rnd(void)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return (uint32_t)(rnd_state >> 32);
}

static size_t below(size_t n)
{
    return rnd() % n;
}

static void rnd_bytes(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rnd();
}

static void rnd_message(struct message *m, size_t longest)
{
    static const unsigned sizes[] = {128, 192, 256};

    m->key_bits = sizes[below(3)];
    m->iv_len = below(2) ? 12 : 1 + below(below(8) ? 40 : IV_MAX);
    m->ad_len = below(below(8) ? 40 : AD_MAX);
    m->n = below(longest + 1);
    rnd_bytes(m->key, sizeof(m->key));
    rnd_bytes(m->iv, m->iv_len);
    rnd_bytes(m->ad, m->ad_len);
    rnd_bytes(m->plain, m->n);
}

static void twin_message(struct message *m)
{
    struct twin t;

    twin_key(&t, m->key, m->key_bits);
    twin_seal(&t, m->iv, m->iv_len, m->ad, m->ad_len, m->plain, m->cipher, m->n, m->tag);
}

/* Lengths of parts: by turns one byte, a part of a block, whole blocks, all the rest. */
static size_t part(size_t left)
{
    size_t n;

    switch (below(6)) {
    case 0:
        n = 1;
        break;
    case 1:
        n = below(40);
        break;
    case 2:
        n = 16 * below(40);
        break;
    case 3:
        n = below(5000);
        break;
    default:
        n = left;
    }
    return n < left ? n : left;
}

/* In parts, from in to out, which may overlap as mbedTLS allows; the tag must be right. */
static void run_parts(mbedtls_gcm_context *ctx, const struct message *m, int mode,
                      const uint8_t *in, uint8_t *out)
{
    uint8_t tag[16];
    size_t done, n, made, tag_len = 4 + below(13);

    ck_assert_int_eq(mbedtls_gcm_starts(ctx, mode, m->iv, m->iv_len), 0);
    for (done = 0; done < m->ad_len; done += n) {
        n = part(m->ad_len - done);
        ck_assert_int_eq(mbedtls_gcm_update_ad(ctx, m->ad + done, n), 0);
    }
    for (done = 0; done < m->n; done += n) {
        n = part(m->n - done);
        ck_assert_int_eq(mbedtls_gcm_update(ctx, in + done, n, out + done, n, &made), 0);
        ck_assert_uint_eq(made, n);
    }
    ck_assert_int_eq(mbedtls_gcm_finish(ctx, NULL, 0, &made, tag, tag_len), 0);
    ck_assert_uint_eq(made, 0);
    ck_assert_mem_eq(tag, m->tag, tag_len);
}

static void check_guard(const uint8_t *p)
{
    bool whole = true;

    for (int i = 0; i < GUARD; i++)
        whole = whole && p[i] == 0xa5;
    ck_assert(whole);
}

/* Both ways, at once and in parts, at a random place, apart or in place or a little below. */
static void check_message(const struct message *m, int e)
{
    static uint8_t room[LONGEST + 3 * GUARD];
    size_t at = GUARD + below(GUARD), back = below(3) ? 0 : below(GUARD - 1);
    uint8_t *in = room + at, *out = in - back, tag[16];
    const uint8_t *from = m->plain, *want = m->cipher;
    mbedtls_gcm_context ctx;

    mbedtls_gcm_init(&ctx);
    ck_assert_int_eq(set_key(&ctx, e, m->key, m->key_bits), 0);
    for (int mode = MBEDTLS_GCM_ENCRYPT;; mode = MBEDTLS_GCM_DECRYPT) {
        memset(room, 0xa5, m->n + 3 * GUARD);
        run_parts(&ctx, m, mode, from, in);
        ck_assert_mem_eq(in, want, m->n);
        check_guard(in - GUARD);
        check_guard(in + m->n);

        memset(room, 0xa5, m->n + 3 * GUARD);
        memcpy(in, from, m->n);
        run_parts(&ctx, m, mode, in, out);
        ck_assert_mem_eq(out, want, m->n);
        check_guard(in + m->n);
        if (mode == MBEDTLS_GCM_DECRYPT)
            break;
        from = m->cipher;
        want = m->plain;
    }
    ck_assert_int_eq(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, m->n, m->iv, m->iv_len,
                                               m->ad, m->ad_len, m->plain, in, 16, tag),
                     0);
    ck_assert_mem_eq(in, m->cipher, m->n);
    ck_assert_mem_eq(tag, m->tag, 16);
    ck_assert_int_eq(
        mbedtls_gcm_auth_decrypt(&ctx, m->n, m->iv, m->iv_len, m->ad, m->ad_len, tag, 16, in, out),
        0);
    ck_assert_mem_eq(out, m->plain, m->n);
    mbedtls_gcm_free(&ctx);
}

static void message_new(struct message *m, size_t longest)
{
    memset(m, 0, sizeof(*m));
    m->plain = malloc(longest + 1);
    m->cipher = malloc(longest + 1);
    ck_assert(m->plain && m->cipher);
}

static void message_free(struct message *m)
{
    free(m->plain);
    free(m->cipher);
}

static void check_everywhere(struct message *m)
{
    twin_message(m);
    for (int e = 0; e < ENGINES; e++)
        if (have(e))
            check_message(m, e);
}

/* ---- vectors: McGrew and Viega, The Galois/Counter Mode of Operation, appendix B ---- */

#define KEY3 "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define P60                                                                                        \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define P64  P60 "1aafd255"
#define A20  "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define IV12 "cafebabefacedbaddecaf888"
#define IV8  "cafebabefacedbad"
#define IV60                                                                                       \
    "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"                             \
    "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b"
#define ZERO16 "00000000000000000000000000000000"
#define ZERO32 ZERO16 ZERO16
#define ZERO12 "000000000000000000000000"

static const struct vector {
    unsigned key_bits;
    const char *key, *iv, *ad, *plain, *tag, *cipher; /* cipher: how it begins */
} vectors[] = {
    {128, ZERO32, ZERO12, "", "", "58e2fccefa7e3061367f1d57a4e7455a", ""},
    {128, ZERO32, ZERO12, "", ZERO16, "ab6e47d42cec13bdf53a67b21257bddf",
     "0388dace60b6a392f328c2b971b2fe78"},
    {128, KEY3, IV12, "", P64, "4d5c2af327cd64a62cf35abd2ba6fab4",
     "42831ec2217774244b7221b784d0d49c"},
    {128, KEY3, IV12, A20, P60, "5bc94fbc3221a5db94fae95ae7121a47",
     "42831ec2217774244b7221b784d0d49c"},
    {128, KEY3, IV8, A20, P60, "3612d2e79e3b0785561be14aaca2fccb",
     "61353b4c2806934a777ff51fa22a4755"},
    {128, KEY3, IV60, A20, P60, "619cc5aefffe0bfa462af43c1699d050",
     "8ce24998625615b603a033aca13fb894"},
    {192, ZERO32, ZERO12, "", "", "cd33b28ac773f74ba00ed1f312572435", ""},
    {192, ZERO32, ZERO12, "", ZERO16, "2ff58d80033927ab8ef4d4587514f0fb",
     "98e7247c07f0fe411c267e4384b0f600"},
    {192, KEY3, IV12, "", P64, "9924a7c8587336bfb118024db8674a14",
     "3980ca0b3c00e841eb06fac4872a2757"},
    {192, KEY3, IV12, A20, P60, "2519498e80f1478f37ba55bd6d27618c",
     "3980ca0b3c00e841eb06fac4872a2757"},
    {192, KEY3, IV8, A20, P60, "65dcc57fcf623a24094fcca40d3533f8",
     "0f10f599ae14a154ed24b36e25324db8"},
    {192, KEY3, IV60, A20, P60, "dcf566ff291c25bbb8568fc3d376a6d9",
     "d27e88681ce3243c4830165a8fdcf9ff"},
    {256, ZERO32, ZERO12, "", "", "530f8afbc74536b9a963b4f1c4cb738b", ""},
    {256, ZERO32, ZERO12, "", ZERO16, "d0d1c8a799996bf0265b98b5d48ab919",
     "cea7403d4d606b6e074ec5d3baf39d18"},
    {256, KEY3, IV12, "", P64, "b094dac5d93471bdec1a502270e3cc6c",
     "522dc1f099567d07f47f37a32a84427d"},
    {256, KEY3, IV12, A20, P60, "76fc6ece0f4e1768cddf8853bb2d551b",
     "522dc1f099567d07f47f37a32a84427d"},
    {256, KEY3, IV8, A20, P60, "3a337dbf46a792c45e454913fe2ea8f2",
     "c3762df1ca787d32ae47c13bf19844cb"},
    {256, KEY3, IV60, A20, P60, "a44a8266ee1c8eb0c8b5d4cf5ae9f19a",
     "5a8def2f0c9e53f1f75d7853659e2a20"},
};

static size_t unhex(uint8_t *to, const char *hex)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        to[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

START_TEST(test_gcm_vectors)
{
    const struct vector *v = &vectors[_i];
    uint8_t want[16], begin[HEX_MAX];
    struct message m;
    size_t n;

    message_new(&m, HEX_MAX);
    m.key_bits = v->key_bits;
    (void)unhex(m.key, v->key);
    m.iv_len = unhex(m.iv, v->iv);
    m.ad_len = unhex(m.ad, v->ad);
    m.n = unhex(m.plain, v->plain);
    check_everywhere(&m);
    ck_assert_uint_eq(unhex(want, v->tag), 16);
    ck_assert_mem_eq(m.tag, want, 16);
    n = unhex(begin, v->cipher);
    ck_assert_mem_eq(m.cipher, begin, n);
    message_free(&m);
}
END_TEST

START_TEST(test_gcm_passes_self_test)
{
    ck_assert_int_eq(mbedtls_gcm_self_test(0), 0);
}
END_TEST

/* ---- against the twin ---- */

START_TEST(test_gcm_agrees_with_twin_short)
{
    struct message m;

    message_new(&m, 700);
    rnd_state += (uint64_t)_i << 32;
    for (int i = 0; i < 500; i++) {
        rnd_message(&m, 700);
        check_everywhere(&m);
    }
    message_free(&m);
}
END_TEST

START_TEST(test_gcm_agrees_with_twin_every_length)
{
    struct message m;

    message_new(&m, 1100);
    for (size_t n = 0; n <= 1100; n++) {
        rnd_message(&m, 1100);
        m.n = n;
        m.ad_len = n % 50;
        check_everywhere(&m);
    }
    message_free(&m);
}
END_TEST

START_TEST(test_gcm_agrees_with_twin_long)
{
    struct message m;

    message_new(&m, LONGEST);
    rnd_state += (uint64_t)_i << 32;
    for (int i = 0; i < 40; i++) {
        rnd_message(&m, i % 2 ? LONGEST : 17000);
        check_everywhere(&m);
    }
    message_free(&m);
}
END_TEST

START_TEST(test_gcm_counter_wraps_in_its_32_bits)
{
    struct message m;
    struct twin t;
    uint8_t j[16];

    message_new(&m, 2000);
    for (uint32_t before = 0; before < 60; before++) {
        rnd_message(&m, 2000);
        twin_key(&t, m.key, m.key_bits);
        rnd_bytes(j, 12);
        memset(j + 12, 0xff, 4);
        j[15] = (uint8_t)(0xff - before);
        twin_iv_for(&t, j, m.iv);
        m.iv_len = 16;
        check_everywhere(&m);
    }
    message_free(&m);
}
END_TEST

/* ---- refusals ---- */

START_TEST(test_gcm_refuses_any_change)
{
    uint8_t out[300], zero[300] = {0};
    struct message m;
    mbedtls_gcm_context ctx;

    if (!have(_i))
        return;
    message_new(&m, 300);
    mbedtls_gcm_init(&ctx);
    for (int i = 0; i < 2000; i++) {
        uint8_t *parts[] = {m.tag, m.cipher, m.ad, m.iv};
        size_t tag_len = i % 3 ? 16 : 4 + below(13);
        size_t lens[] = {tag_len, m.n, m.ad_len, m.iv_len}, which = below(4), at;

        rnd_message(&m, 300);
        lens[1] = m.n;
        lens[2] = m.ad_len;
        lens[3] = m.iv_len;
        twin_message(&m);
        ck_assert_int_eq(set_key(&ctx, _i, m.key, m.key_bits), 0);
        if (lens[which] == 0)
            which = 0;
        at = below(lens[which]);
        parts[which][at] ^= (uint8_t)(1 << below(8));
        memset(out, 0xa5, sizeof(out));
        ck_assert_int_eq(mbedtls_gcm_auth_decrypt(&ctx, m.n, m.iv, m.iv_len, m.ad, m.ad_len, m.tag,
                                                  tag_len, m.cipher, out),
                         MBEDTLS_ERR_GCM_AUTH_FAILED);
        ck_assert_mem_eq(out, zero, m.n); /* what was not authentic is not shown */
    }
    mbedtls_gcm_free(&ctx);
    message_free(&m);
}
END_TEST

START_TEST(test_gcm_refuses_bad_arguments)
{
    uint8_t buf[64] = {0}, tag[16];
    size_t n;
    mbedtls_gcm_context ctx;

    if (!have(_i))
        return;
    mbedtls_gcm_init(&ctx);
    for (unsigned bits = 0; bits <= 512; bits++)
        ck_assert_int_eq(set_key(&ctx, _i, buf, bits) == 0,
                         bits == 128 || bits == 192 || bits == 256);
#ifdef MBEDTLS_GCM_ALT /* the key was refused: there is none */
    ck_assert_int_ne(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, buf, 12), 0);
    ck_assert_int_ne(mbedtls_gcm_update_ad(&ctx, buf, 1), 0);
    ck_assert_int_ne(mbedtls_gcm_update(&ctx, buf, 1, buf, 1, &n), 0);
    ck_assert_int_ne(mbedtls_gcm_finish(&ctx, NULL, 0, &n, tag, 16), 0);
    ck_assert_int_ne(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_ARIA, buf, 128), 0);
#endif
    ck_assert_int_eq(set_key(&ctx, _i, buf, 128), 0);
    ck_assert_int_eq(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, buf, 0),
                     MBEDTLS_ERR_GCM_BAD_INPUT);
    ck_assert_int_eq(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, buf, 12), 0);
    ck_assert_int_eq(mbedtls_gcm_update_ad(&ctx, NULL, 0), 0);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, NULL, 0, NULL, 0, &n), 0);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, buf, 32, buf, 31, &n),
                     MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, buf, 32, buf + 1, 32, &n), MBEDTLS_ERR_GCM_BAD_INPUT);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, buf, 32, buf + 31, 32, &n),
                     MBEDTLS_ERR_GCM_BAD_INPUT);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, buf, 32, buf + 32, 32, &n), 0);
    ck_assert_int_eq(mbedtls_gcm_finish(&ctx, NULL, 0, &n, tag, 3), MBEDTLS_ERR_GCM_BAD_INPUT);
    ck_assert_int_eq(mbedtls_gcm_finish(&ctx, NULL, 0, &n, tag, 17), MBEDTLS_ERR_GCM_BAD_INPUT);
    mbedtls_gcm_free(&ctx);
    mbedtls_gcm_free(NULL);
}
END_TEST

START_TEST(test_gcm_free_leaves_nothing)
{
    static const mbedtls_gcm_context zero;
    uint8_t buf[300] = {1, 2, 3};
    size_t n;
    mbedtls_gcm_context ctx;

    if (!have(_i))
        return;
    mbedtls_gcm_init(&ctx);
    ck_assert_int_eq(set_key(&ctx, _i, buf, 256), 0);
    ck_assert_int_eq(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, buf, 12), 0);
    ck_assert_int_eq(mbedtls_gcm_update(&ctx, buf, sizeof(buf), buf, sizeof(buf), &n), 0);
    mbedtls_gcm_free(&ctx);
    ck_assert_mem_eq(&ctx, &zero, sizeof(ctx));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gcm");
    TCase *c = tcase_create("gcm");

    for (int e = 0; e < ENGINES; e++)
        if (!have(e))
            printf("engine %d: not on this CPU, not tested\n", e);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_gcm_vectors, 0, sizeof(vectors) / sizeof(vectors[0]));
    tcase_add_test(c, test_gcm_passes_self_test);
    tcase_add_loop_test(c, test_gcm_agrees_with_twin_short, 0, 8);
    tcase_add_test(c, test_gcm_agrees_with_twin_every_length);
    tcase_add_loop_test(c, test_gcm_agrees_with_twin_long, 0, 3);
    tcase_add_test(c, test_gcm_counter_wraps_in_its_32_bits);
    tcase_add_loop_test(c, test_gcm_refuses_any_change, 0, ENGINES);
    tcase_add_loop_test(c, test_gcm_refuses_bad_arguments, 0, ENGINES);
    tcase_add_loop_test(c, test_gcm_free_leaves_nothing, 0, ENGINES);
    suite_add_tcase(s, c);
    return run_suite(s);
}
