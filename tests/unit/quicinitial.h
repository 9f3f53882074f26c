/* tests/unit/quicinitial.h - makes a QUIC client's first packets: Initials with the frames that one
 * likes, protected as RFC 9001 5 says. Tests and tests/tools/quicflight.c use it. */
#ifndef TESTS_UNIT_QUICINITIAL_H
#define TESTS_UNIT_QUICINITIAL_H

#include "sniff/quic_packet.h"
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <stdlib.h>

struct quic_initial {
    uint32_t version;
    const char *dcid; /* 8 bytes */
    uint32_t number;
    size_t token; /* bytes of a token */
    size_t least; /* the packet is padded to so many bytes; 0: not */
};

static inline void quic_put(bool ok)
{
    if (!ok)
        abort();
}

/* A varint of two bytes (four from 16384 on). */
static inline void quic_put_varint(struct wr *w, size_t v)
{
    if (v < 16384) {
        quic_put(wr_u16(w, (uint16_t)(0x4000 | v)));
        return;
    }
    quic_put(wr_u16(w, (uint16_t)(0x8000 | v >> 16)) && wr_u16(w, (uint16_t)(v & 0xffff)));
}

/* One CRYPTO frame: n bytes of the hello from `at`. */
static inline void quic_put_crypto(struct wr *w, const uint8_t *hello, size_t at, size_t n)
{
    quic_put(wr_u8(w, 6));
    quic_put_varint(w, at);
    quic_put_varint(w, n);
    quic_put(wr_bytes(w, hello + at, n));
}

static inline void quic_put_header(struct wr *w, const struct quic_initial *i, size_t frames)
{
    quic_put(wr_u8(w, i->version == QUIC_V2 ? 0xd3 : 0xc3) &&
             wr_u16(w, (uint16_t)(i->version >> 16)) && wr_u16(w, (uint16_t)i->version) &&
             wr_u8(w, 8) && wr_bytes(w, i->dcid, 8) && wr_u8(w, 0));
    quic_put_varint(w, i->token);
    for (size_t k = 0; k < i->token; k++)
        quic_put(wr_u8(w, (uint8_t)k));
    quic_put_varint(w, 4 + frames + 16);
    quic_put(wr_u16(w, (uint16_t)(i->number >> 16)) && wr_u16(w, (uint16_t)i->number));
}

/* The whole packet to out; returns its length. */
static inline size_t quic_seal(const struct quic_initial *i, const uint8_t *frames, size_t n,
                               uint8_t *out, size_t cap)
{
    static uint8_t plain[65536];
    struct quic_keys keys;
    struct wr probe = wr_init(out, cap), w = wr_init(out, cap);
    uint8_t nonce[12], mask[16];
    mbedtls_gcm_context gcm;
    mbedtls_aes_context aes;

    quic_put(quic_client_keys(i->version, (struct slice){i->dcid, 8}, &keys));
    memset(plain, 0, sizeof plain);
    memcpy(plain, frames, n);
    quic_put_header(&probe, i, n);
    if (wr_used(&probe) + n + 16 < i->least)
        n = i->least - wr_used(&probe) - 16;
    quic_put_header(&w, i, n);
    size_t header = wr_used(&w);
    quic_put(header + n + 16 <= cap);
    memcpy(nonce, keys.iv, sizeof nonce);
    for (int k = 0; k < 4; k++)
        nonce[8 + k] ^= (uint8_t)(i->number >> (24 - 8 * k));
    mbedtls_gcm_init(&gcm);
    quic_put(mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, keys.key, 128) == 0 &&
             mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, n, nonce, 12, out, header, plain,
                                       out + header, 16, out + header + n) == 0);
    mbedtls_gcm_free(&gcm);
    mbedtls_aes_init(&aes);
    quic_put(mbedtls_aes_setkey_enc(&aes, keys.hp, 128) == 0 &&
             mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, out + header, mask) == 0);
    mbedtls_aes_free(&aes);
    out[0] ^= mask[0] & 0x0f;
    for (int k = 0; k < 4; k++)
        out[header - 4 + k] ^= mask[1 + k];
    return header + n + 16;
}

#endif
