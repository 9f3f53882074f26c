/* chain/dns_dgram.h - DNS questions as datagrams over a stream: for a chain that carries streams
 * only. RFC 7766.
 *
 * One server at the stream's end; questions go out as they come, answers come back in any order.
 * What is no question of a client, or no answer to one, is dropped and counted. An answer longer
 * than its asker takes over UDP is cut and marked so (TC): it asks again over TCP. The stream's end
 * is the flow's end; questions that are open by then are answered with SERVFAIL before it.
 *
 * Owner: whoever made it; dgram_close() ends it (core/dgram.h).
 */
#ifndef CHAIN_DNS_DGRAM_H
#define CHAIN_DNS_DGRAM_H

#include "core/dgram.h"

struct stream;

/* Takes s, which is open. server is copied: what answers come from. NULL: no memory (s is closed).
 */
struct dgram *dns_dgram(struct stream *s, const struct target *server);

#endif
