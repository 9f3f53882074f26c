/* gcmbench - AES-GCM by each engine that this CPU has, and ChaCha20-Poly1305 beside it: MB/s of one
 * core, sealing in place as TLS does. Printed, never judged: the machine decides.
 *
 *   gcmbench [BYTES per message (16384)] [SECONDS per line (0.5)]
 */
#include "core/floor/gcm_engine.h"
#include <mbedtls/chachapoly.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned char *buf, nonce[12], tag[16], ad[5];
static size_t size;
static double seconds;

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int gcm_seal(void *ctx)
{
    return mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_ENCRYPT, size, nonce, sizeof(nonce), ad,
                                     sizeof(ad), buf, buf, sizeof(tag), tag);
}

static int gcm_open(void *ctx)
{
    int ret = mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, size, nonce, sizeof(nonce), ad,
                                        sizeof(ad), buf, buf, sizeof(tag), tag);
    return ret;
}

static int chacha_seal(void *ctx)
{
    return mbedtls_chachapoly_encrypt_and_tag(ctx, size, nonce, ad, sizeof(ad), buf, buf, tag);
}

static void measure(const char *name, const char *what, int (*run)(void *), void *ctx)
{
    double start = cpu_s(), took;
    size_t n = 0;

    do {
        for (int i = 0; i < 32; i++, n++)
            if (run(ctx))
                exit(1);
        took = cpu_s() - start;
    } while (took < seconds);
    printf("%-28s %-5s %8.0f MB/s  %8.0f ns each\n", name, what,
           (double)n * (double)size / 1e6 / took, took * 1e9 / (double)n);
}

static void gcm(const char *engine, unsigned bits, mbedtls_gcm_context *ctx)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "AES-%u-GCM %s", bits, engine);
    measure(name, "seal", gcm_seal, ctx);
    measure(name, "open", gcm_open, ctx);
    mbedtls_gcm_free(ctx);
}

int main(int argc, char **argv)
{
    static const unsigned char key[32];
    mbedtls_gcm_context ctx;
    mbedtls_chachapoly_context chacha;

    size = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 16384;
    seconds = argc > 2 ? atof(argv[2]) : 0.5;
    buf = calloc(1, size + 1);
    if (!buf)
        return 1;
    mbedtls_gcm_init(&ctx);
#ifdef MBEDTLS_GCM_ALT
    for (size_t i = 0; gcm_engines[i]; i++)
        for (unsigned bits = 128; gcm_engines[i]->usable() && bits <= 256; bits += 128)
            if (gcm_setkey_by(&ctx, gcm_engines[i], key, bits) == 0)
                gcm(gcm_engines[i]->name, bits, &ctx);
#else
    for (unsigned bits = 128; bits <= 256; bits += 128)
        if (mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, bits) == 0)
            gcm("of mbedTLS", bits, &ctx);
#endif
    mbedtls_chachapoly_init(&chacha);
    if (mbedtls_chachapoly_setkey(&chacha, key) == 0)
        measure("ChaCha20-Poly1305", "seal", chacha_seal, &chacha);
    mbedtls_chachapoly_free(&chacha);
    free(buf);
    return 0;
}
