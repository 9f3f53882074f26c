/* handlers/assoc.h - the client's side of a SOCKS5 UDP association as a dgram: messages with the
 * RFC 1928 header on a socket of ours. wire-protocols.md 4.5.
 *
 * Only the peer's IP may send, from any port; replies go to the sender of the latest message. What
 * is malformed or fragmented is dropped and counted.
 *
 * Owner: whoever made it; dgram_close() ends it (core/dgram.h).
 */
#ifndef HANDLERS_ASSOC_H
#define HANDLERS_ASSOC_H

#include "core/addr.h"
#include "core/rc.h"

struct dgram;
struct loop;

struct assoc_cfg {
    struct loop *loop;
    const char *netns;           /* where it is bound; NULL: our own namespace */
    struct addr local;           /* where the control connection arrived: its IP is bound */
    struct addr peer;            /* the only IP that may send */
    uint16_t port_min, port_max; /* of the range; 0, 0: any */
};

enum rc assoc_open(const struct assoc_cfg *cfg, struct dgram **ret_d, struct diag *diag);

#endif
