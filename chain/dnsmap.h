/* chain/dnsmap.h - which name a client meant by an address: remembered from the answers it was
 * given. RFC 1035 (A), 3596 (AAAA).
 *
 * Kept per client address, for the answer's TTL but 5 minutes at least (programs hold on to what
 * they were told) and a day at most; a use renews the 5 minutes. 16,384 pairs; then the client that
 * holds most (core/shares.h) loses the one it did not use for longest. Pure: times are the
 * caller's. One owner.
 *
 * An address can stand for several names. The one asked for last is the most likely, but while an
 * earlier one is alive nobody can be sure: rules may go by it, a dial must not.
 */
#ifndef CHAIN_DNSMAP_H
#define CHAIN_DNSMAP_H

#include "core/addr.h"
#include <stddef.h>

enum { DNSMAP_MAX = 16384, DNSMAP_KEEP_MIN_S = 300, DNSMAP_KEEP_MAX_S = 86400 };

struct dnsmap;
struct dnsmap *dnsmap_new(void); /* NULL: no memory */
void dnsmap_free(struct dnsmap *m);

/* Ports mean nothing here. An address that nobody connects to through us is left out. */
void dnsmap_put(struct dnsmap *m, const struct addr *client, const struct addr *a, const char *name,
                uint32_t ttl_s, uint64_t now_ms);
/* All addresses that an answer to A or AAAA gives for its question, CNAMEs followed. Whether it is
 * the answer to what was asked is the caller's to know. Returns how many. */
int dnsmap_learn(struct dnsmap *m, const struct addr *client, const void *answer, size_t n,
                 uint64_t now_ms);
/* NULL: not known. Valid until the next call. */
const char *dnsmap_find(struct dnsmap *m, const struct addr *client, const struct addr *a,
                        uint64_t now_ms, bool *ret_sure);
size_t dnsmap_count(const struct dnsmap *m);

#endif
