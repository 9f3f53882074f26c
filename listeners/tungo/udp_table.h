/* listeners/tungo/udp_table.h - who sends UDP, where to, and by which association.
 *
 *   source (client address and port) --< pair (source, destination) >-- dest (association)
 *
 * Pure: no I/O, no timers; times are the caller's. Keyed hash for sources and pairs, lists in order
 * of use, so that the least recently used is found at once. Who makes room when there are too many
 * is told by what clients hold (core/shares.h). Owner: udp.c. A source lives while it has pairs or
 * associations; a pair with a dest ends with it; a pair without one is a verdict ("refused") kept
 * for a while.
 */
#ifndef LISTENERS_TUNGO_UDP_TABLE_H
#define LISTENERS_TUNGO_UDP_TABLE_H

#include "core/addr.h"
#include "core/list.h"
#include "core/rc.h"
#include "core/shares.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UDP_SOURCES_MAX = 4096,      /* fewer where descriptors are few (room.h) */
    UDP_DESTS_MAX = 8192,        /* associations of all sources */
    UDP_OPENING_MAX = 1024,      /* of them, not open yet */
    UDP_WAITING_PER_SOURCE = 64, /* of those, of one source */
    UDP_PAIRS_PER_SOURCE = 1024,
    UDP_PAIRS_MAX = 65536, /* of all sources */
    UDP_DNS_IDS = 16
};

struct dgram;
struct udp_first;
struct udp_held;

struct udp_source {
    struct addr client;
    struct udp_source *hash_next;
    uint32_t hash;
    struct list used;         /* in table.sources */
    struct list unanswered;   /* the same: nothing has come back for it yet */
    struct share port, share; /* as a port; as so many pairs */
    struct list pairs;        /* of udp_pair.of_source, least recently used first */
    struct list dests;        /* of udp_dest.of_source */
    uint32_t n_pairs, n_opening;
    uint64_t used_ms;
};

/* The association; known to the handler (tungo.h) as an opaque pointer. */
struct udp_dest {
    struct udp_source *source;
    struct list of_source, used; /* used: in table.fresh, .dests or .ending */
    struct list pairs;           /* of udp_pair.of_dest */
    struct share share, waiting; /* waiting: while it is opening */
    uint64_t used_ms, up_bytes, down_bytes;
    uint32_t route;
    bool fixed, opening, ending;
    bool replied;     /* something has come back */
    bool empty_apart; /* it can't carry empty datagrams */
    bool empty_plain; /* the same: a plain one beside it does */
    bool plain;       /* it is for empty datagrams only; no pair is bound to it */
    bool told;        /* on_udp_open was called: on_udp_gone is due */
    bool closing;     /* on_udp_gone runs */
    bool dns;         /* nobody but port 53 was asked so far */
    uint8_t n_ids;
    uint16_t ids[UDP_DNS_IDS]; /* DNS questions without an answer */
    struct udp_pair *last;     /* of whom the last answer came; NULL: look it up */
    struct addr stranger;      /* who sent last without having been asked; family 0: nobody */
    struct dgram *dgram;       /* NULL: not there yet */
    struct udp_held *held;     /* datagrams that wait for it */
    void *owner, *user;        /* struct tungo_udp; the handler's */
};

struct udp_pair {
    struct addr dst;
    struct udp_pair *hash_next;
    uint32_t hash;
    struct udp_source *source;
    struct list of_source, of_dest;
    struct udp_dest *dest;   /* NULL: verdict is why there is none */
    struct udp_first *first; /* not decided yet */
    enum rc verdict;
    uint64_t used_ms; /* of a verdict: until when it holds */
};

struct udp_table {
    uint64_t key;
    struct udp_source **source_slots;
    struct udp_pair **pair_slots;
    size_t source_mask, pair_mask; /* slots - 1; 0: none yet */
    uint32_t n_sources, n_pairs, n_dests, n_opening;
    struct shares ports, pairs, openings, associations;
    struct list sources;    /* least recently used first */
    struct list unanswered; /* of them, the oldest first */
    struct list fresh, dests,
        ending; /* least recently used first: nothing came back yet; in use; DNS that is answered */
};

void udp_table_init(struct udp_table *t, uint64_t key);
void udp_table_done(struct udp_table *t); /* everything must have been removed */

struct udp_source *udp_table_source(const struct udp_table *t, const struct addr *client);
/* Caps are the caller's: it looks at n_sources and n_pairs first. NULL: no memory. */
struct udp_source *udp_table_source_add(struct udp_table *t, const struct addr *client,
                                        uint64_t now_ms);
/* Frees it if nothing hangs on it. */
bool udp_table_source_drop(struct udp_table *t, struct udp_source *s);
struct udp_source *udp_table_oldest_source(const struct udp_table *t); /* NULL: none */
/* Who makes room for another source, for another pair: of the client that has most ports, most
 * pairs the one that it used longest ago. But where nobody has an eighth of all ports, as when one
 * host sends from thousands of addresses that are not its own, the oldest port that was never
 * answered. NULL: there is none. */
struct udp_source *udp_table_port_to_go(struct udp_table *t);
struct udp_source *udp_table_pairs_to_go(struct udp_table *t);

struct udp_pair *udp_table_pair(const struct udp_table *t, const struct udp_source *s,
                                const struct addr *dst);
struct udp_pair *udp_table_pair_add(struct udp_table *t, struct udp_source *s,
                                    const struct addr *dst, uint64_t now_ms);
/* dest NULL: from now on the verdict. */
void udp_table_pair_bind(struct udp_pair *p, struct udp_dest *dest, enum rc verdict,
                         uint64_t used_ms);
void udp_table_pair_remove(struct udp_table *t, struct udp_pair *p);
struct udp_pair *udp_table_oldest_pair(const struct udp_source *s); /* NULL: none */
struct udp_pair *udp_table_first_pair(const struct udp_dest *d);    /* NULL: none */

/* The one of that route that may be shared, or the plain one beside it; NULL: none. */
struct udp_dest *udp_table_dest(const struct udp_source *s, uint32_t route, bool plain);
struct udp_dest *udp_table_dest_add(struct udp_table *t, struct udp_source *s, uint32_t route,
                                    bool fixed, uint64_t now_ms);
void udp_table_dest_opened(struct udp_table *t, struct udp_dest *d);
/* Its pairs must be gone. */
void udp_table_dest_remove(struct udp_table *t, struct udp_dest *d);
struct udp_dest *udp_table_oldest_fresh(const struct udp_table *t); /* NULL: none, as the next */
struct udp_dest *udp_table_oldest_dest(const struct udp_table *t);
struct udp_dest *udp_table_oldest_ending(const struct udp_table *t);
/* Who makes room for another one: one that has its answers, else of the client that has most the
 * one that it used longest ago. NULL: none. */
struct udp_dest *udp_table_victim(struct udp_table *t);
/* May one more of this client be opening? */
bool udp_table_may_open(const struct udp_table *t, const struct addr *client);
struct udp_dest *udp_table_oldest_waiting(const struct udp_source *s);

/* Was anything sent to this client in this name? */
bool udp_table_heard(const struct udp_table *t, const struct udp_source *s,
                     const struct addr *from);
/* A datagram went either way. pair NULL: not known. */
void udp_table_replied(struct udp_table *t, struct udp_dest *d); /* the first one came back */
void udp_table_used(struct udp_table *t, struct udp_dest *d, struct udp_pair *pair,
                    uint64_t now_ms);

/* DNS: a datagram to port 53, from port 53. All that was asked is answered: the association moves
 * to `ending`, and back with the next question. */
void udp_table_asked(struct udp_table *t, struct udp_dest *d, const uint8_t *data, size_t n);
void udp_table_answered(struct udp_table *t, struct udp_dest *d, const uint8_t *data, size_t n);

#endif
