/* handlers/udptunnel.h - datagrams between a client and the world: the client's side is one dgram
 * (frames on its stream, a SOCKS5 association's socket, a session of the UDP listener), the other
 * side is its udp flows.
 *
 * Owner: the conn, whose state is CONN_OTHER meanwhile; its ops->done frees the tunnel. The tunnel
 * ends the conn when the client's side is over, when the control stream of an association ends,
 * after idle_ms, or, where there is only one carrier, when that is over. No datagram ever ends it;
 * what there is no room for is dropped.
 */
#ifndef HANDLERS_UDPTUNNEL_H
#define HANDLERS_UDPTUNNEL_H

#include "core/floor/framed.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct udp_tunnel;

struct udp_tunnel_cfg {
    size_t max_bytes;            /* longer datagrams are dropped */
    uint32_t idle_ms;            /* 0: never */
    bool single;                 /* all go by carrier: it has one target, or is a bound socket */
    struct dgram *carrier;       /* taken; NULL: flows are dialled as they are needed */
    const struct target *target; /* that the carrier was dialled for; an empty one: any */
};

/* Sends the reply alone, then makes frames of c->client. On failure the conn is gone. */
void udp_tunnel_on_stream(struct conn *c, const struct udp_tunnel_cfg *cfg, enum framing framing,
                          const void *reply, size_t n, struct udp_tunnel **ret_tunnel);
/* Takes the client's dgram. c->client, when there is one, is the control stream. */
void udp_tunnel_on_dgram(struct conn *c, const struct udp_tunnel_cfg *cfg, struct dgram *client,
                         struct udp_tunnel **ret_tunnel);
void udp_tunnel_free(struct udp_tunnel *t); /* NULL is fine */

#endif
