/* sniff/quic_packet.h - packets with a long header, and the opening of a client's Initials.
 *
 * Pure: no I/O, no state. The keys are public: no secret is here. RFC 9000 17.2, 9001 5, 9369 3.
 */
#ifndef SNIFF_QUIC_PACKET_H
#define SNIFF_QUIC_PACKET_H

#include "core/rc.h"
#include "core/wire/cursor.h"

enum {
    QUIC_V1 = 0x00000001,
    QUIC_V2 = 0x6b3343cf,
    QUIC_CID_MAX_BYTES = 20,
    QUIC_PACKET_MAX_BYTES = 16384 /* what we open */
};

enum quic_type { QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY };

/* Points into the datagram. */
struct quic_packet {
    enum quic_type type;
    uint32_t version;
    struct slice dcid;
    const uint8_t *start;
    size_t number_at; /* offset of the packet number, still masked */
    size_t bytes;     /* all of the packet */
};

/* The packet in front; others may be behind it. RC_PROTO: a short header, a version that is not
 * ours to read, or lengths that don't fit. */
enum rc quic_packet_parse(const void *buf, size_t n, struct quic_packet *ret_p);

struct quic_keys {
    uint8_t secret[32], key[16], iv[12], hp[16];
};

/* The client's Initial keys. false: the version is neither 1 nor 2, or the cipher fails. */
bool quic_client_keys(uint32_t version, struct slice dcid, struct quic_keys *ret_keys);
/* The frames of an Initial. RC_PROTO: these bytes weren't protected with these keys; RC_LIMIT: cap
 * is too small. */
enum rc quic_packet_open(const struct quic_packet *p, const struct quic_keys *keys, uint8_t *plain,
                         size_t cap, size_t *ret_n);

/* RFC 9000 16 */
bool quic_varint(struct rd *c, uint64_t *ret_v);

#endif
