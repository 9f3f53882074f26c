/* core/wire/proxyproto.h - the PROXY protocol's header, versions 1 and 2: who the client is, said
 * by a server in front of us in the first bytes of a connection. HAProxy's proxy-protocol.txt 2.1,
 * 2.2; gost-config.md 8.1 (proxyProtocol).
 *
 * Pure and incremental: bytes are fed as they come, the outcome does not depend on how they are
 * cut, nothing behind the header is taken. Nothing is kept of a version 2 header but its addresses,
 * so its length (16 bits) costs no memory.
 */
#ifndef CORE_WIRE_PROXYPROTO_H
#define CORE_WIRE_PROXYPROTO_H

#include "core/addr.h"
#include "core/rc.h"
#include <stddef.h>

enum {
    PROXYPROTO_LINE_MAX_BYTES = 107, /* a version 1 line with its CRLF; also the most we send */
    PROXYPROTO_HEAD_BYTES = 16,      /* of version 2, before the addresses */
    PROXYPROTO_HEADER_MAX_BYTES = PROXYPROTO_HEAD_BYTES + 65535
};

enum proxyproto_outcome {
    PROXYPROTO_NONE,     /* the connection begins with something else */
    PROXYPROTO_NOBODY,   /* a header that names no client: UNKNOWN, LOCAL, another family */
    PROXYPROTO_ANNOUNCED /* source and dest are set, IPv4-mapped addresses as IPv4 */
};

struct proxyproto {
    enum proxyproto_outcome outcome; /* once proxyproto_feed() said RC_OK */
    struct addr source, dest;
    const char *why; /* what is wrong, when it said RC_PROTO */
    /* NONE: what was taken before it was clear, and belongs to what follows. */
    uint8_t kept[PROXYPROTO_LINE_MAX_BYTES];
    size_t n_kept;
    /* the rest is private */
    int state;
    uint32_t left, need; /* version 2: bytes to come, and of the present part of them */
    uint8_t tlv[3];
    uint8_t n_tlv;
    bool has_crc;
    uint32_t crc, crc_told;
};

void proxyproto_init(struct proxyproto *p);
/* RC_AGAIN: all n bytes are taken, more are needed. RC_OK: the first *ret_used are the header's.
 * RC_PROTO: a header, but not a valid one. Not to be called again after either. */
enum rc proxyproto_feed(struct proxyproto *p, const void *buf, size_t n, size_t *ret_used);
/* Is it a header, whole or not, valid or not? False as long as it may still be something else. */
bool proxyproto_is_header(const struct proxyproto *p);

/* The header that announces a client and where its connection went; version 1 is the line, all
 * others are version 2. Families that differ or are 0: the header that names nobody. Returns its
 * bytes. */
size_t proxyproto_format(int64_t version, const struct addr *source, const struct addr *dest,
                         uint8_t ret_buf[static PROXYPROTO_LINE_MAX_BYTES]);

#endif
