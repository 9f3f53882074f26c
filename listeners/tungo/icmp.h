/* listeners/tungo/icmp.h - ICMP on the device: echo answered here, errors built for refused flows,
 * errors of clients understood.
 *
 * The builders and the parser are pure. Packets must have passed the gate or have been built by us.
 * Errors name the original destination as their sender: the client shall believe that it heard from
 * the target's side. Rate-limited, see budget.h: 200 errors at once, of which the second half is
 * not for who floods, 200 a second. RFC 792, 1122 3.2.2, 1812 4.3.2, 4443.
 */
#ifndef LISTENERS_TUNGO_ICMP_H
#define LISTENERS_TUNGO_ICMP_H

#include "core/addr.h"
#include "core/rc.h"
#include "listeners/tungo/budget.h"
#include "listeners/tungo/packet_out.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet;
struct tungo;

enum {
    ICMP_ERROR_BYTES = 1280,
    ICMP_BURST = 200,
    ICMP_PER_SECOND = 200,
    ICMP_OWN_BURST = 20,
    ICMP_OWN_PER_SECOND = 10,
};

bool icmp_is_echo(const struct packet *p); /* a request; p is GATE_ICMP */
/* Turns the echo request in p (GATE_ICMP) into its answer, in place. false: it is none, or its
 * answer would go to nobody. The packet is p->ip, p->bytes long, checksums complete. */
bool icmp_echo_answer(struct packet *p);

/* Writes the error `why` about the packet ip (n bytes of it are there) to buf; ret_n is its length.
 *   RC_REFUSED, RC_UNSUPPORTED: port unreachable       RC_UNREACH_NET: network unreachable
 *   RC_DENIED: administratively prohibited             all others: host unreachable
 * false: there must be no error about such a packet (an ICMP error, not the first fragment, from or
 * to a group ...). */
bool icmp_error_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                      enum rc why, size_t *ret_n);
/* Packet too big (v6) or fragmentation needed (v4): mtu is what would fit. */
bool icmp_too_big_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                        uint32_t mtu, size_t *ret_n);

/* Time exceeded on the way, told by `from` (NULL: in the name of the destination). */
bool icmp_expired_build(uint8_t buf[static ICMP_ERROR_BYTES], const uint8_t *ip, size_t n,
                        const struct addr *from, size_t *ret_n);
/* Who we are as a hop of a route: an address of the device's subnet that is not its own, because a
 * host takes nothing from outside under its own address. false: none of that family. */
bool icmp_neighbour(const struct cidr *own, size_t n, uint8_t family, struct addr *ret_a);

/* What an ICMP error from a client says about a packet of ours. */
struct icmp_note {
    enum { ICMP_NOTE_UNREACHABLE, ICMP_NOTE_TOO_BIG } kind;
    uint32_t mtu;         /* of TOO_BIG; 0: not told */
    uint8_t proto;        /* IPPROTO_TCP or IPPROTO_UDP */
    struct addr src, dst; /* of the quoted packet: src is the target, dst the client */
    uint32_t seq;         /* of a quoted TCP header */
};
bool icmp_note_parse(const struct packet *p, struct icmp_note *ret_note);

/* --- with state: the limiter, and the way out. Owner: the listener. */
struct icmp {
    struct packet_out out;
    struct budget budget;
    const struct cidr *own; /* the device's addresses */
    size_t n_own;
    bool block; /* `icmp: block`: no echo answers (errors go out all the same) */
    uint64_t echoes, errors, limited;
};
void icmp_init(struct icmp *ic, struct tungo *t);
/* A GATE_ICMP packet: answers an echo, in place. false: it was something else (see
 * icmp_note_parse). */
bool icmp_packet(struct icmp *ic, struct packet *p);
/* Tells the sender that the packet's hops were used up: here (from NULL), or at a router behind. */
void icmp_expired(struct icmp *ic, const uint8_t *ip, size_t n, const struct addr *from,
                  uint64_t now_ms);
/* Tells the sender of ip (n bytes of it) that it goes nowhere. Nothing where that would be wrong or
 * too often. */
void icmp_refuse(struct icmp *ic, const uint8_t *ip, size_t n, enum rc why, uint64_t now_ms);

#endif
