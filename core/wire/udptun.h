/* core/wire/udptun.h - datagrams with their address: the UDP-TUN frames of SOCKS5 0xF3, relay
 * associations and http's udp mode (`len(2) 0xff atyp addr port payload(len)` on a stream), and the
 * UDP header of RFC 1928 section 7 (`RSV(2) FRAG(1) atyp addr port`, then the payload, in a UDP
 * datagram). Source: wire-protocols.md 1.7, 4.5, 4.6.
 *
 * Pure; slices point into the input.
 */
#ifndef CORE_WIRE_UDPTUN_H
#define CORE_WIRE_UDPTUN_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"
#include "core/wire/hostport.h"

enum {
    UDPTUN_HEAD_MAX_BYTES = 3 + HOSTPORT_MAX_BYTES,
    UDPTUN_FRAME_MAX_BYTES = UDPTUN_HEAD_MAX_BYTES + 65535
};

struct udptun_frame {
    uint16_t len; /* of the payload */
    uint8_t frag; /* 0xff from GOST; not checked */
    uint8_t atyp;
    bool valid; /* false: the name can't be one; step over the frame */
    struct target target;
    struct slice payload;
};

/* A frame of a stream. RC_AGAIN until it is whole; RC_PROTO: unknown atyp, the stream can't be
 * followed any further. */
enum rc udptun_parse(const void *buf, size_t len, struct udptun_frame *ret_frame, size_t *ret_used);
/* The head of a frame; payload_bytes of payload follow. Never send an empty payload: GOST's reader
 * loses its place. RC_LIMIT: no room. */
enum rc udptun_format_head(const struct target *t, uint16_t payload_bytes, void *buf, size_t cap,
                           size_t *ret_n);

/* A whole datagram of a SOCKS5 association; RC_PROTO: cut, fragmented or unknown atyp (drop it). */
enum rc socks5_udp_parse(const void *buf, size_t len, struct target *ret_t, uint8_t *ret_atyp,
                         struct slice *ret_payload);
enum rc socks5_udp_format_head(const struct target *t, void *buf, size_t cap, size_t *ret_n);

#endif
