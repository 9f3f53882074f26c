/* listeners/tungo/flowtab.h - finds a flow by its 4-tuple; knows which was not used for longest.
 *
 * A hash table with chaining, keyed (SipHash) because clients choose the keys; it doubles and
 * halves with its load. Entries are embedded in their owner's struct; the table owns only its
 * slots.
 */
#ifndef LISTENERS_TUNGO_FLOWTAB_H
#define LISTENERS_TUNGO_FLOWTAB_H

#include "core/addr.h"
#include "core/siphash.h"

struct flow_key {
    uint8_t client[16], target[16]; /* IPv4 in the first four bytes, the rest zero */
    uint16_t client_port, target_port;
    uint32_t family; /* not narrower: a key has no padding */
};

struct flow_key flow_key_of(const struct addr *client, const struct addr *target);

struct flowtab_entry {
    struct flowtab_entry *next;          /* in its slot */
    struct flowtab_entry *older, *newer; /* by use */
    struct flow_key key;
    uint64_t hash;
};

struct flowtab {
    struct siphash_key secret;
    struct flowtab_entry **slots;
    size_t n_slots, n; /* n_slots: a power of two */
    struct flowtab_entry *oldest, *newest;
};

bool flowtab_init(struct flowtab *t); /* false: no memory */
void flowtab_done(struct flowtab *t); /* entries stay their owners' */
struct flowtab_entry *flowtab_find(const struct flowtab *t, const struct flow_key *key);
/* e->key is filled in and not in the table. Never fails: without memory it does not grow. */
void flowtab_add(struct flowtab *t, struct flowtab_entry *e);
void flowtab_remove(struct flowtab *t, struct flowtab_entry *e);
void flowtab_used(struct flowtab *t, struct flowtab_entry *e); /* makes it the newest */

#endif
