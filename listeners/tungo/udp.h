/* listeners/tungo/udp.h - UDP of the device: datagrams to associations and back. lwIP is not asked.
 *
 *   packet -> (client, destination) -> route, asked once -> association of (client, route)
 *   association's struct dgram -> packet to the client, from the true sender
 *
 * Owner: the listener, one per device and loop. Associations belong to it; each owns its dgram. The
 * handler decides through struct tungo_events (tungo.h), whose tungo_udp_ready(),
 * tungo_udp_set_user() and tungo_udp_user() live in udp.c. Mapping and filtering are
 * endpoint-independent for routes that are not fixed. Caps: udp_table.h. RFC 768, 4787.
 */
#ifndef LISTENERS_TUNGO_UDP_H
#define LISTENERS_TUNGO_UDP_H

#include "core/addr.h"
#include "core/rc.h"
#include "listeners/tungo/device_io.h"
#include "listeners/tungo/tungo.h"

struct icmp;
struct loop;
struct packet;
struct tungo;
struct tungo_udp;

struct tungo_udp_setup {
    struct loop *loop;
    struct tungo *tungo;
    struct icmp *icmp;      /* borrowed; NULL: errors are not told */
    const struct cidr *own; /* the device's addresses: their clients take packets of any size */
    size_t n_own;
    size_t sources_max; /* 0: UDP_SOURCES_MAX */
};

struct tungo_udp_stats {
    uint64_t up, down;                 /* datagrams */
    uint64_t dropped_up, dropped_down; /* past a cap, no room, not carriable */
    uint32_t sources, associations, opening;
};

/* setup is copied. Memory is taken when the first datagram comes. NULL: no memory. */
struct tungo_udp *tungo_udp_new(const struct tungo_udp_setup *setup);
void tungo_udp_free(struct tungo_udp *u); /* closes every association, with on_udp_gone */
/* Both may change at any time. ev is copied; NULL: everything is dropped. */
void tungo_udp_set_events(struct tungo_udp *u, const struct tungo_events *ev);
void tungo_udp_configure(struct tungo_udp *u, const struct tungo_cfg *cfg);
/* One packet that the gate passed as GATE_UDP, super-packets too. The bytes are used during the
 * call only. */
void tungo_udp_packet(struct tungo_udp *u, const struct packet *p);
/* A client's ICMP error about a datagram of ours from `target`: its port is closed; ends what still
 * sends to it. false: nothing came to it from there, so the error is somebody's guess. */
bool tungo_udp_client_gone(struct tungo_udp *u, const struct addr *client,
                           const struct addr *target);
void tungo_udp_stats(const struct tungo_udp *u, struct tungo_udp_stats *ret_st);

#endif
