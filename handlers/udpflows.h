/* handlers/udpflows.h - the datagram flows of one client: one per route, or one per destination
 * where the carrier has a fixed target (chain/router.h). The service's bypass is asked here.
 *
 * Owner: a udp tunnel. Nothing here ever ends the association: what can't be sent is dropped
 * (wire-protocols.md 1.7). Replies come by on_reply, from the loop. Caps: 64 flows, of which the
 * longest unused goes first; 64 datagrams or 128 KiB that wait for theirs to open.
 */
#ifndef HANDLERS_UDPFLOWS_H
#define HANDLERS_UDPFLOWS_H

#include "core/addr.h"
#include "core/rc.h"

struct dgram;
struct front;
struct udp_flows;

struct udp_flows_cfg {
    struct front *front;
    struct addr client, dest; /* dest: as in struct dial_req */
    size_t max_bytes;         /* longer datagrams are dropped, never cut */
    bool single; /* everything goes by the adopted flow; rules and routes are not asked */
    void (*on_reply)(void *arg, const struct target *from, const void *data, size_t n);
    /* The carrier that was given with udp_flows_adopt() is over. NULL: the next datagram makes a
     * new one. */
    void (*on_lost)(void *arg, enum rc rc, const char *reason);
    void *arg;
};

struct udp_flows *udp_flows_new(const struct udp_flows_cfg *cfg); /* NULL: no memory */
void udp_flows_free(struct udp_flows *f);                         /* NULL is fine */

/* Takes d, dialled for `to` (empty: any destination). RC_NOMEM: d is closed. */
enum rc udp_flows_adopt(struct udp_flows *f, struct dgram *d, const struct target *to);

/* Sends, or drops. */
void udp_flows_send(struct udp_flows *f, const struct target *to, const void *data, size_t n);

#endif
