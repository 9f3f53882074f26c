/* core/floor/gcm_engine.h - the inner loops of AES-GCM, one table per kind of CPU.
 *
 * mbedTLS works on one block at a time (0.5 GB/s where the CPU can do 10). On x86-64 gcm_alt.c
 * takes its place (MBEDTLS_GCM_ALT); it picks the best engine that the CPU has when a key is set.
 *
 * Representation  A block of GHASH is a polynomial over GF(2) whose first bit is the coefficient of
 *          x^0. Read as a big-endian number its bits stand in reverse, and a product of two such
 *          numbers is one bit short of the reversed product. So what we multiply by is not H^n but
 *          H^n / x: 16 bytes, little-endian, in powers[16 - n]. Then `a * (H^n / x)`, reduced by
 *          folding the low half up with 2^127 + 2^126 + 2^121, is a * H^n.
 * Time     depends on lengths only, never on keys or data (the portable engine's AES is mbedTLS's:
 *          where the CPU has no AES instructions it looks tables up).
 * Threads  engines have no state; a context belongs to one thread at a time.
 * Source   NIST SP 800-38D; Gueron, Kounavis: Intel Carry-Less Multiplication Instruction and its
 *          Usage for Computing the GCM Mode, rev. 2.02.
 */
#ifndef CORE_FLOOR_GCM_ENGINE_H
#define CORE_FLOOR_GCM_ENGINE_H

#include <mbedtls/gcm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef MBEDTLS_GCM_ALT

struct gcm_engine {
    const char *name;
    bool (*usable)(void); /* does this CPU, under this kernel, have the instructions */
    /* powers[15] is there: compute as many of the others as this engine uses. */
    void (*prepare)(mbedtls_gcm_context *ctx);
    /* sum = (sum + block) * H for each of n whole blocks at p. */
    void (*hash)(mbedtls_gcm_context *ctx, const uint8_t *p, size_t n);
    /* n whole blocks: count, encrypt the counter, add, hash the ciphertext. out may be in, or lie
     * anywhere below it. 0 or an error of mbedTLS's AES. */
    int (*crypt)(mbedtls_gcm_context *ctx, const uint8_t *in, uint8_t *out, size_t n);
};

extern const struct gcm_engine gcm_portable, gcm_aesni, gcm_vaes;

/* Best first, portable last, then NULL. */
extern const struct gcm_engine *const gcm_engines[];

/* mbedtls_gcm_setkey() by this engine, which must be usable; for tests and measurements. */
int gcm_setkey_by(mbedtls_gcm_context *ctx, const struct gcm_engine *engine, const uint8_t *key,
                  unsigned key_bits);

#endif
#endif
