/* core/floor/proxyproto.h - the PROXY header as floors: one that sends it and goes away, one that
 * takes it off the front of an accepted connection. Both stand right on the connection, below TLS
 * and all else. core/wire/proxyproto.h, gost-config.md 8.1.
 *
 * A floor is the caller's until it is pushed (core/stream.h).
 */
#ifndef CORE_FLOOR_PROXYPROTO_H
#define CORE_FLOOR_PROXYPROTO_H

#include "core/addr.h"
#include "core/stream.h"

/* Opening sends the header (core/wire/proxyproto.h says what is in it), then the floor is unlinked.
 * NULL: no memory, as below. */
struct layer *proxyproto_send_layer(int64_t version, const struct addr *source,
                                    const struct addr *dest);

/* Opening reads the header, if there is one. A connection that begins with something else, or says
 * nothing for wait_ms, has none: it loses no byte. A header that is wrong (RC_PROTO) or not whole
 * in time (RC_TIMEOUT) fails. Afterwards the floor answers QUERY_PEER_ADDR with the client that the
 * header names, if any, and passes everything else through. */
struct layer *proxyproto_recv_layer(struct loop *loop, uint32_t wait_ms);
/* Once open: did the header name a client, and which? Else both are left alone. */
bool proxyproto_announced(const struct layer *l, struct addr *ret_source, struct addr *ret_dest);

#endif
