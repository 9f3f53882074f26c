/* gcm_alt.h - the context of AES-GCM where MBEDTLS_GCM_ALT is set (mbedtls_user.h: x86-64).
 *
 * Included by mbedtls/gcm.h in place of its own context; libmbedtls.a then lacks mbedtls_gcm_*,
 * which core/floor/gcm_alt.c provides. The fields are private to core/floor/gcm_*.c.
 */
#ifndef GCM_ALT_H
#define GCM_ALT_H

#include "mbedtls/aes.h"
#include <stdint.h>

struct gcm_engine;

/* Holds nothing on the heap; may be moved as bytes. No field needs an alignment of its own. */
typedef struct mbedtls_gcm_context {
    const struct gcm_engine *engine; /* NULL: no key yet */
    mbedtls_aes_context aes;         /* for encryption: GCM never runs AES backwards */
    unsigned char powers[16][16];    /* of H: H^16 first, H^1 last; see core/floor/gcm_engine.h */
    unsigned char mask[16];          /* AES of the first counter block: hides the tag */
    unsigned char counter[16];       /* counter block that was used last */
    unsigned char sum[16]; /* GHASH of whole blocks; a begun block is added, not multiplied */
    uint64_t ad_bytes, data_bytes; /* so far; their rest by 16 says how much of a block is begun */
    int mode;                      /* MBEDTLS_GCM_ENCRYPT or _DECRYPT */
} mbedtls_gcm_context;

#endif
