/* listeners/tungo/udp_first.h - the first datagrams of a pair whose route is not known yet: kept in
 * order until the handler has seen enough (on_udp_more), their time is over, or a cap is reached.
 *
 * Pure: memory and lists. Owner: the pair; it goes with it. Caps: below.
 */
#ifndef LISTENERS_TUNGO_UDP_FIRST_H
#define LISTENERS_TUNGO_UDP_FIRST_H

#include "core/list.h"
#include "core/shares.h"
#include "core/wire/cursor.h"

enum {
    UDP_FIRST_DATAGRAMS = 8, /* of a pair */
    UDP_FIRST_BYTES = 16384,
    UDP_FIRST_PAIRS = 512 /* that wait so at a time, see shares_may() */
};

struct udp_pair;

struct udp_firsts {
    struct list all; /* of udp_first.all, the oldest first */
    struct shares shares;
    unsigned n;
};

struct udp_first {
    struct list all;
    struct share share;
    struct udp_firsts *owner;
    struct udp_pair *pair;
    uint64_t due_ms;
    size_t bytes;
    int n;
    struct slice v[UDP_FIRST_DATAGRAMS];
};

void udp_firsts_init(struct udp_firsts *all);
struct udp_first *udp_firsts_oldest(const struct udp_firsts *all); /* NULL: none */

/* NULL: the client has too many already, or no memory. */
struct udp_first *udp_first_new(struct udp_firsts *all, struct udp_pair *pair, uint64_t due_ms);
/* A copy. false: no room, or no memory. */
bool udp_first_add(struct udp_first *f, const void *data, size_t n);
void udp_first_free(struct udp_first *f); /* NULL is fine */

#endif
