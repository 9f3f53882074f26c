/* chain/bindcache.h - what an interface list means, remembered until the network changes (where
 * nobody watches it: for a second): asking the kernel for all addresses costs 13 us and more with
 * every connection.
 *
 * Embedded next to its sockopts, zeroed at start. Who finds a remembered choice wrong (an address
 * that has gone) drops it and asks again.
 */
#ifndef CHAIN_BINDCACHE_H
#define CHAIN_BINDCACHE_H

#include "core/os.h"

enum { BIND_CHOICES_MAX = 8 };

struct bind_cache {
    struct {
        uint64_t until_ms; /* 0: nothing is known; UINT64_MAX: as long as the epoch holds */
        uint32_t epoch;    /* uplink_epoch() when it was asked for */
        struct bind_choice v[BIND_CHOICES_MAX];
        int n;
    } families[2]; /* for global destinations: IPv4, IPv6 */
};

/* As os_bind_choices(). *ret_cached: the answer was not asked for now. */
enum rc bind_cache_get(struct bind_cache *c, const struct sockopts *so, const struct addr *to,
                       uint64_t now_ms, struct bind_choice v[static BIND_CHOICES_MAX], int *ret_n,
                       bool *ret_cached, struct diag *diag);
void bind_cache_drop(struct bind_cache *c);

#endif
