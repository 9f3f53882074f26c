/* core/shares.h - who holds how much of something that has one cap for all clients.
 *
 * A client is an IPv4 address or an IPv6 network of 64 bits: whoever has one of its addresses has
 * all. Each has a ring of what it holds, the longest unused first. When a cap is reached the client
 * that holds most (within an eighth) loses its own oldest, so one that asks for thousands takes
 * nothing from those that have few; of equals the one that used nothing for longest. What several
 * clients use counts for the one that holds least.
 *
 * Shares are embedded in what they stand for; a client is known while it holds one, which costs it
 * 80 bytes. Every call is O(1). Pure. Owner: who has the cap.
 */
#ifndef CORE_SHARES_H
#define CORE_SHARES_H

#include "core/addr.h"
#include "core/list.h"
#include "core/siphash.h"
#include <stddef.h>

enum {
    SHARES_SLOTS = 512,
    SHARES_CLASSES = 200,    /* of clients, by how much they hold */
    SHARES_RESERVE_PART = 8, /* see shares_may() */
};

struct share_holder;

struct share {
    struct list used; /* in its holder's ring */
    struct share_holder *holder;
    size_t weight;
};

struct shares {
    struct siphash_key key;
    struct share_holder *slots[SHARES_SLOTS];
    struct list classes[SHARES_CLASSES];
    unsigned top; /* no client is in a class above */
    size_t n_clients;
};

void shares_init(struct shares *all); /* without any share left it needs no end */
/* One share more of this client (NULL: nobody, who is a client like others). x is in none. false:
 * no memory. */
bool shares_add(struct shares *all, struct share *x, const struct addr *client, size_t weight);
void shares_remove(struct shares *all, struct share *x); /* zeroed or removed before: fine */
/* x is its holder's newest; if this client holds less than that one, or nobody held it, it is this
 * client's from now on. NULL: nobody says who. */
void shares_used(struct shares *all, struct share *x, const struct addr *client);
void shares_weigh(struct shares *all, struct share *x, size_t weight); /* it weighs so much now */
struct share *shares_oldest(struct shares *all); /* of the client that holds most; NULL: none */
size_t shares_of(const struct shares *all, const struct addr *client); /* the sum of weights */
bool share_is_of(const struct share *x, const struct addr *client);

/* May a client that has `has` of what `n` of at most `cap` are used have one more? While more than
 * an eighth is free everybody may, then who has less than what is free: something is always left
 * for the next one. */
static inline bool shares_may(size_t has, size_t n, size_t cap)
{
    size_t left = n < cap ? cap - n : 0;

    return left > cap / SHARES_RESERVE_PART || has < left;
}

#endif
