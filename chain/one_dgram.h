/* chain/one_dgram.h - a datagram flow to one target over an association that could talk to anybody.
 *
 * What is sent goes to the target whatever `to` says; what others say is dropped and counted
 * (strangers), as with a socket of our own. Of a target by name the far end alone knows the
 * address: then everybody is believed. Source of the rule: RFC 5452 section 9.1.
 *
 * Owner: whoever made it; dgram_close() ends it (core/dgram.h).
 */
#ifndef CHAIN_ONE_DGRAM_H
#define CHAIN_ONE_DGRAM_H

#include "core/dgram.h"

/* Takes d, which is open; t is copied. NULL: no memory (d is closed). */
struct dgram *one_dgram(struct dgram *d, const struct target *t);

#endif
