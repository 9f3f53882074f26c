/* core/wire/socks4.h - SOCKS4 and 4a. Source: wire-protocols.md 5.1.
 *
 * Pure; slices point into the input. Incremental: RC_AGAIN until the unit is whole, RC_PROTO when
 * it is wrong. User id and host are limited to 255 bytes each.
 */
#ifndef CORE_WIRE_SOCKS4_H
#define CORE_WIRE_SOCKS4_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"

enum socks4_cmd { SOCKS4_CONNECT = 1, SOCKS4_BIND = 2 };

enum socks4_code {
    SOCKS4_GRANTED = 0x5a,
    SOCKS4_FAILED = 0x5b,
    SOCKS4_REJECTED = 0x5c, /* GOST: a bypass */
    SOCKS4_BAD_USER = 0x5d
};

enum {
    SOCKS4_TEXT_MAX = 255,
    SOCKS4_REQUEST_MAX_BYTES = 8 + 2 * (SOCKS4_TEXT_MAX + 1),
    SOCKS4_REPLY_BYTES = 8
};

struct socks4_request {
    uint8_t cmd;
    bool is_4a;
    struct slice user;
    struct target target;
};

enum rc socks4_parse_request(const void *buf, size_t len, struct socks4_request *ret_req,
                             size_t *ret_used);
/* A name, an IPv6 address or is_4a is sent in the 4a form with the host as text, as GOST does.
 * RC_INVALID: user id too long or holding a NUL; RC_LIMIT: no room. */
enum rc socks4_format_request(const struct socks4_request *req, void *buf, size_t cap,
                              size_t *ret_n);
enum rc socks4_parse_reply(const void *buf, size_t len, uint8_t *ret_code, size_t *ret_used);
void socks4_format_reply(enum socks4_code code, uint8_t ret_buf[static SOCKS4_REPLY_BYTES]);

#endif
