/* chain/fakepool.h - addresses that stand for names: who asks for a name is told one of ours, and a
 * flow to it is a flow to that name.
 *
 * A pool has one range of each family at most. A name has one place, and with it the address of
 * that number in each range. When all places are taken the client with most names (core/shares.h)
 * loses the one it did not use for longest, but in a pool of some size not within a minute: a
 * client that asks for thousands of names would otherwise choose whose flows go where. So many
 * names in a minute that an eighth of the pool is left are refused to who has as many of them as
 * are left, and only to him: the next client finds places. At most 65,536 places; the first and the
 * last address of a range are not given. Pure: no I/O, no clock of its own. Names are kept in lower
 * case, as text that needs no escapes. One owner.
 */
#ifndef CHAIN_FAKEPOOL_H
#define CHAIN_FAKEPOOL_H

#include "core/addr.h"
#include "core/rc.h"
#include <stddef.h>

enum {
    FAKEPOOL_PLACES_MAX = 65536,
    FAKEPOOL_NAME_MAX = 253,
    FAKEPOOL_GRACE_MS = 60000, /* after its last use nobody else gets an address for so long, ... */
    FAKEPOOL_GRACE_PLACES = 4000 /* ... with so many places at least: few are needed again soon */
};

struct fakepool;
/* RC_INVALID: two ranges of a family, one too small (under 8 addresses) or of a kind that can't be
 * the target of a flow. RC_NOMEM. */
enum rc fakepool_new(const struct cidr *ranges, size_t n, struct fakepool **ret_p,
                     struct diag *diag);
void fakepool_free(struct fakepool *p); /* NULL is fine */
/* The time of the uses that follow, and whose they are (NULL: nobody's, who may use all). Time
 * never told: no name keeps its address by it. */
void fakepool_at(struct fakepool *p, const struct addr *client, uint64_t now_ms);

bool fakepool_has(const struct fakepool *p, const struct addr *a); /* in one of the ranges? */
bool fakepool_has_family(const struct fakepool *p, int family);
size_t fakepool_count(const struct fakepool *p); /* of names */

/* Can the name have an address: a host name of up to 253 bytes that leads somewhere else: not
 * "localhost", nothing that a resolver could take for an address ("127.1")? */
bool fakepool_takes(const char *name);
/* The name's address (port 0), given now if it has none: then *ret_new, for who keeps a record.
 * false: no such family, a name that can't have one; no memory, or too many were used just now. */
bool fakepool_give(struct fakepool *p, const char *name, int family, struct addr *ret_a,
                   bool *ret_new);
/* Whose address is it? NULL: nobody's. Valid until the next give; counts as a use, but does not
 * keep the address for a client that used too many names just now. */
const char *fakepool_name(struct fakepool *p, const struct addr *a);

/* For a record: the address of a name in the first range, and the way back. false: not in the
 * pool's first range, or not a name. A later one for the same place or name wins. */
bool fakepool_restore(struct fakepool *p, const struct addr *a, const char *name);
/* All names, the longest unused first. fn returns false to stop. */
typedef bool fakepool_fn(void *arg, const struct addr *a, const char *name);
bool fakepool_each(const struct fakepool *p, fakepool_fn *fn, void *arg);
/* The address that a record names: of the first range. */
bool fakepool_record(const struct fakepool *p, const char *name, struct addr *ret_a);

#endif
