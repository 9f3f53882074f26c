/* core/floor/tls_rng.c - the random generator of everything TLS: PSA's CTR_DRBG, seeded by the
 * kernel, one per process.
 *
 * Handshakes draw from PSA for their ephemeral keys anyway; a second generator would only be a
 * second state to seed and to wipe. One thread per process uses it (core/loop.h).
 */
#include "core/floor/tls_ctx.h"
#include <mbedtls/psa_util.h>
#include <psa/crypto.h>

enum rc tls_rng_start(struct diag *diag)
{
    psa_status_t status = psa_crypto_init(); /* again: a no-op */

    if (status == PSA_SUCCESS)
        return RC_OK;
    return diag_set(diag, status == PSA_ERROR_INSUFFICIENT_MEMORY ? RC_NOMEM : RC_SYS,
                    "tls: the random generator does not start (%d)", (int)status);
}

int tls_rng(void *unused, unsigned char *buf, size_t n)
{
    (void)unused;
    return mbedtls_psa_get_random(MBEDTLS_PSA_RANDOM_STATE, buf, n);
}
