/* sniff/quic_packet.c - see quic_packet.h. */
#include "sniff/quic_packet.h"
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>

enum {
    LONG_HEADER = 0x80,
    FIXED_BIT = 0x40,
    NUMBER_MAX_BYTES = 4,
    TAG_BYTES = 16,
    SAMPLE_BYTES = 16,
    HASH_BYTES = 32,
    HASH_BLOCK_BYTES = 64,
    HEADER_MAX_BYTES = 2048, /* what we authenticate: tokens are shorter */
    LABEL_MAX_BYTES = 32
};

/* --- headers */

bool quic_varint(struct rd *c, uint64_t *ret_v)
{
    uint8_t b;
    struct rd ahead = *c;

    if (!rd_u8(&ahead, &b))
        return false;
    uint64_t v = b & 0x3f;
    for (int more = (1 << (b >> 6)) - 1; more > 0; more--) {
        if (!rd_u8(&ahead, &b))
            return false;
        v = v << 8 | b;
    }
    *c = ahead;
    *ret_v = v;
    return true;
}

static bool read_u32(struct rd *c, uint32_t *ret_v)
{
    uint16_t high, low;

    if (!rd_u16(c, &high) || !rd_u16(c, &low))
        return false;
    *ret_v = (uint32_t)high << 16 | low;
    return true;
}

static bool read_cid(struct rd *c, struct slice *ret_cid)
{
    uint8_t n;

    return rd_u8(c, &n) && n <= QUIC_CID_MAX_BYTES && rd_slice(c, n, ret_cid);
}

static enum quic_type type_of(uint8_t first, uint32_t version)
{
    unsigned bits = first >> 4 & 3;

    if (version == QUIC_V2)
        bits = (bits + 3) & 3; /* Retry is 0, then as in version 1 */
    return (enum quic_type)bits;
}

enum rc quic_packet_parse(const void *buf, size_t n, struct quic_packet *ret_p)
{
    struct rd c = rd_init(buf, n);
    struct quic_packet p = {.start = buf};
    struct slice scid;
    uint64_t length;
    uint8_t first;

    if (!rd_u8(&c, &first) || !(first & LONG_HEADER) || !(first & FIXED_BIT))
        return RC_PROTO;
    if (!read_u32(&c, &p.version) || (p.version != QUIC_V1 && p.version != QUIC_V2))
        return RC_PROTO;
    if (!read_cid(&c, &p.dcid) || !read_cid(&c, &scid))
        return RC_PROTO;
    p.type = type_of(first, p.version);
    if (p.type == QUIC_RETRY) { /* says a server; nothing is behind it */
        p.bytes = n;
        *ret_p = p;
        return RC_OK;
    }
    if (p.type == QUIC_INITIAL &&
        (!quic_varint(&c, &length) || length > n || !rd_skip(&c, (size_t)length))) /* token */
        return RC_PROTO;
    if (!quic_varint(&c, &length) || length > rd_left(&c))
        return RC_PROTO;
    p.number_at = n - rd_left(&c);
    p.bytes = p.number_at + (size_t)length;
    *ret_p = p;
    return RC_OK;
}

/* --- keys: HKDF of RFC 5869, for outputs of one block */

static bool hash(const void *a, size_t n_a, const void *b, size_t n_b, uint8_t out[HASH_BYTES])
{
    mbedtls_sha256_context ctx;

    mbedtls_sha256_init(&ctx);
    bool ok = mbedtls_sha256_starts(&ctx, 0) == 0 && mbedtls_sha256_update(&ctx, a, n_a) == 0 &&
              mbedtls_sha256_update(&ctx, b, n_b) == 0 && mbedtls_sha256_finish(&ctx, out) == 0;
    mbedtls_sha256_free(&ctx);
    return ok;
}

/* HMAC-SHA-256; keys here are never longer than a block. */
static bool hmac(const void *key, size_t n_key, const void *data, size_t n, uint8_t out[HASH_BYTES])
{
    uint8_t pad[HASH_BLOCK_BYTES] = {0}, inner[HASH_BYTES];

    memcpy(pad, key, n_key);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    if (!hash(pad, sizeof pad, data, n, inner))
        return false;
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    return hash(pad, sizeof pad, inner, sizeof inner, out);
}

/* HKDF-Expand-Label with an empty context; n <= HASH_BYTES. RFC 8446 7.1. */
static bool expand(const uint8_t secret[HASH_BYTES], const char *label, uint8_t *out, size_t n)
{
    uint8_t info[2 + 1 + LABEL_MAX_BYTES + 1 + 1], block[HASH_BYTES];
    struct wr w = wr_init(info, sizeof info);

    if (!wr_u16(&w, (uint16_t)n) || !wr_u8(&w, (uint8_t)(6 + strlen(label))) ||
        !wr_text(&w, "tls13 ") || !wr_text(&w, label) || !wr_u8(&w, 0) /* context */ ||
        !wr_u8(&w, 1) /* first block */ || !hmac(secret, HASH_BYTES, info, wr_used(&w), block))
        return false;
    memcpy(out, block, n);
    return true;
}

bool quic_client_keys(uint32_t version, struct slice dcid, struct quic_keys *ret_keys)
{
    static const uint8_t salt_v1[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                      0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
    static const uint8_t salt_v2[] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
    bool v2 = version == QUIC_V2;
    uint8_t initial[HASH_BYTES];
    struct quic_keys *k = ret_keys;

    return (v2 || version == QUIC_V1) &&
           hmac(v2 ? salt_v2 : salt_v1, sizeof salt_v1, dcid.p, dcid.n, initial) &&
           expand(initial, "client in", k->secret, sizeof k->secret) &&
           expand(k->secret, v2 ? "quicv2 key" : "quic key", k->key, sizeof k->key) &&
           expand(k->secret, v2 ? "quicv2 iv" : "quic iv", k->iv, sizeof k->iv) &&
           expand(k->secret, v2 ? "quicv2 hp" : "quic hp", k->hp, sizeof k->hp);
}

/* --- opening */

static bool mask_of(const struct quic_keys *keys, const uint8_t sample[SAMPLE_BYTES],
                    uint8_t mask[SAMPLE_BYTES])
{
    mbedtls_aes_context aes;

    mbedtls_aes_init(&aes);
    bool ok = mbedtls_aes_setkey_enc(&aes, keys->hp, 8 * sizeof keys->hp) == 0 &&
              mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, sample, mask) == 0;
    mbedtls_aes_free(&aes);
    return ok;
}

enum rc quic_packet_open(const struct quic_packet *p, const struct quic_keys *keys, uint8_t *plain,
                         size_t cap, size_t *ret_n)
{
    uint8_t header[HEADER_MAX_BYTES], mask[SAMPLE_BYTES], nonce[sizeof keys->iv];
    mbedtls_gcm_context gcm;

    if (p->type != QUIC_INITIAL || p->bytes - p->number_at < NUMBER_MAX_BYTES + SAMPLE_BYTES)
        return RC_PROTO;
    if (!mask_of(keys, p->start + p->number_at + NUMBER_MAX_BYTES, mask))
        return RC_PROTO;
    size_t n_number = ((p->start[0] ^ mask[0]) & 3U) + 1, n_header = p->number_at + n_number;
    if (n_header > sizeof header || p->bytes - n_header < TAG_BYTES)
        return RC_PROTO;
    size_t n = p->bytes - n_header - TAG_BYTES;
    if (n > cap)
        return RC_LIMIT;
    memcpy(header, p->start, n_header);
    header[0] ^= mask[0] & 0x0f;
    memcpy(nonce, keys->iv, sizeof nonce);
    for (size_t i = 0; i < n_number; i++) {
        header[p->number_at + i] ^= mask[1 + i];
        nonce[sizeof nonce - n_number + i] ^= header[p->number_at + i];
    }
    mbedtls_gcm_init(&gcm);
    bool ok =
        mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, keys->key, 8 * sizeof keys->key) == 0 &&
        mbedtls_gcm_auth_decrypt(&gcm, n, nonce, sizeof nonce, header, n_header,
                                 p->start + p->bytes - TAG_BYTES, TAG_BYTES, p->start + n_header,
                                 plain) == 0;
    mbedtls_gcm_free(&gcm);
    if (!ok)
        return RC_PROTO;
    *ret_n = n;
    return RC_OK;
}
