/* core/wire/socks5.h - SOCKS5 (RFC 1928), user/password (RFC 1929) and GOST's own methods and
 * commands. Source: wire-protocols.md section 4. The UDP header is in core/wire/udptun.h.
 *
 * Pure; slices point into the input. Incremental: RC_AGAIN until the unit is whole, RC_PROTO when
 * it is wrong. GOST's peers swallow what is glued to a request or a reply: send each of them alone.
 */
#ifndef CORE_WIRE_SOCKS5_H
#define CORE_WIRE_SOCKS5_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"
#include "core/wire/hostport.h"

enum socks5_method {
    SOCKS5_NO_AUTH = 0x00,
    SOCKS5_USERPASS = 0x02,
    SOCKS5_TLS = 0x80,      /* TLS on the spot, then the request */
    SOCKS5_TLS_AUTH = 0x82, /* TLS, RFC 1929 inside, request inside */
    SOCKS5_NO_METHOD = 0xff
};

enum socks5_cmd {
    SOCKS5_CONNECT = 1,
    SOCKS5_BIND = 2,
    SOCKS5_ASSOCIATE = 3,
    SOCKS5_RESOLVE = 0xf0,
    SOCKS5_RESOLVE_PTR = 0xf1,
    SOCKS5_MUX_BIND = 0xf2,
    SOCKS5_UDP_TUN = 0xf3
};

enum socks5_rep {
    SOCKS5_REP_OK = 0,
    SOCKS5_REP_FAILURE = 1,
    SOCKS5_REP_NOT_ALLOWED = 2,
    SOCKS5_REP_NET_UNREACHABLE = 3,
    SOCKS5_REP_HOST_UNREACHABLE = 4,
    SOCKS5_REP_REFUSED = 5,
    SOCKS5_REP_TTL_EXPIRED = 6,
    SOCKS5_REP_CMD_UNSUPPORTED = 7,
    SOCKS5_REP_ATYP_UNSUPPORTED = 8
};

enum {
    SOCKS5_GREETING_MAX_BYTES = 2 + 255,
    SOCKS5_AUTH_MAX_BYTES = 3 + 255 + 255,
    SOCKS5_MESSAGE_MAX_BYTES = 3 + HOSTPORT_MAX_BYTES
};

/* A request (code = command) or a reply (code = rep): they have the same shape. */
struct socks5_message {
    uint8_t code;
    uint8_t atyp;
    bool valid; /* false: the name can't be one (holds a NUL); target is empty */
    struct target target;
};

enum rc socks5_parse_greeting(const void *buf, size_t len, struct slice *ret_methods,
                              size_t *ret_used);
enum rc socks5_format_greeting(const uint8_t *methods, uint8_t n, void *buf, size_t cap,
                               size_t *ret_n);
bool socks5_offers(struct slice methods, enum socks5_method m);

/* 2 bytes. RC_AUTH: the server found no acceptable method. */
enum rc socks5_parse_method(const void *buf, size_t len, uint8_t *ret_method, size_t *ret_used);
void socks5_format_method(enum socks5_method m, uint8_t ret_buf[static 2]);

enum rc socks5_parse_auth(const void *buf, size_t len, struct slice *ret_user,
                          struct slice *ret_pass, size_t *ret_used);
enum rc socks5_format_auth(struct slice user, struct slice pass, void *buf, size_t cap,
                           size_t *ret_n);
/* 2 bytes. RC_AUTH: not accepted. */
enum rc socks5_parse_auth_reply(const void *buf, size_t len, size_t *ret_used);
void socks5_format_auth_reply(bool accepted, uint8_t ret_buf[static 2]);

enum rc socks5_parse_message(const void *buf, size_t len, struct socks5_message *ret_msg,
                             size_t *ret_used);
/* target NULL: 0.0.0.0:0, as in error replies. */
enum rc socks5_format_message(uint8_t code, const struct target *t, void *buf, size_t cap,
                              size_t *ret_n);

/* A failed dial as a reply, and a reply as a result. */
enum socks5_rep socks5_rep_from_rc(enum rc rc);
enum rc socks5_rep_to_rc(uint8_t rep);
const char *socks5_rep_text(unsigned rep);

#endif
