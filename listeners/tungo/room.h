/* listeners/tungo/room.h - who may have one more flow when there are many, and who must go for it.
 *
 * Flows are descriptors, parked SYNs are dials: both have a cap that all clients share. While more
 * than an eighth of it is free everybody may have more. From then on a client (source.h) may have
 * as many as are free (shares_may()); one that has more makes room by itself: the flow it did not
 * use for longest goes, if that was silent for a while, else its new SYN is dropped and comes
 * again. So a client that opens thousands takes nothing from those that have few, and the next one
 * finds room.
 *
 * One host that sends from thousands of addresses that are not its own is thousands of clients with
 * a flow each. But nobody completes the handshakes of these: a client that has less than an eighth
 * of all takes the place of the flow that is half open for longest. Only if there is none its own
 * goes, or, if it has none, that of anybody which was longest unused.
 *
 * Ports that send datagrams, their associations and destinations have caps, too (udp_table.h): once
 * one is reached the client that has most of them loses the one that it used longest ago.
 *
 * Owner: the netstack. No state of its own.
 */
#ifndef LISTENERS_TUNGO_ROOM_H
#define LISTENERS_TUNGO_ROOM_H

#include <stdbool.h>
#include <stddef.h>

struct addr;
struct netstack;
struct source;

enum {
    ROOM_SILENT_MS = 3000,  /* a flow that may go for another one of the same client */
    ROOM_FLOWS_LEAST = 256, /* whatever the limit of descriptors is */
    ROOM_PORTS_LEAST = 128, /* the same */
};

/* Before a flow of this client is made. false: its SYN is to be dropped (counted). */
bool room_for_flow(struct netstack *ns, const struct addr *client);
/* Before one more of its SYNs is parked: somebody else's, or one of its own, goes. */
void room_for_parked(struct netstack *ns, const struct source *s);
/* What the limit of descriptors allows: three quarters, the rest is for datagrams, nodes, names. */
size_t room_flows_max(size_t descriptors);
/* The same for ports that send datagrams, each of which takes one or more: a quarter, of
 * which hardly anybody has all. */
size_t room_associations_max(size_t descriptors);

#endif
