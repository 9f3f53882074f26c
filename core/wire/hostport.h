/* core/wire/hostport.h - the address field shared by SOCKS5, UDP-TUN and relay (RFC 1928 section
 * 5): atyp(1) address port(2); atyp 1 = IPv4, 4 = IPv6, 3 = length(1) and a name.
 *
 * Pure. A name that is an IP literal is read as that address; an IPv4-mapped IPv6 address is read
 * and written as IPv4; an address with a zone travels as text (wire-protocols 1.1).
 */
#ifndef CORE_WIRE_HOSTPORT_H
#define CORE_WIRE_HOSTPORT_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"

enum { ATYP_IPV4 = 1, ATYP_NAME = 3, ATYP_IPV6 = 4 };
enum { HOSTPORT_MAX_BYTES = 1 + 1 + TARGET_NAME_MAX + 2 };

/* RC_AGAIN: the field goes on behind the input. RC_INVALID: whole and stepped over, but the name
 * holds a NUL (the target is then empty). RC_PROTO: unknown atyp, its length can't be known.
 * An empty name gives an empty target with the port. */
enum rc hostport_read(struct rd *c, struct target *ret_t, uint8_t *ret_atyp);

/* false: no room. An empty target is written as a name of length 0. */
bool hostport_write(struct wr *c, const struct target *t);

/* "the wildcard address" as GOST's clients write it: 0.0.0.0, ::, an empty name, or the text
 * "0.0.0.0::PORT" (wire-protocols 1.2). Then the port is stored, else false. */
bool hostport_is_wildcard(const struct target *t, uint16_t *ret_port);

#endif
