/* chain/resolver_set.h - names to addresses by the nameservers of a `resolvers` entry: in order
 * (those that did not answer in the last 10 s after the others), until one gives addresses; the
 * preferred family first. gost-config.md 3.12.
 *
 * Owner: a resolver (chain/resolver.c), which keeps the answers and joins equal questions.
 *
 * A server that is silent or fails costs one of its timeouts; one that says no (any code but
 * NOERROR, or no address of a family that counts) lets the next one speak.
 */
#ifndef CHAIN_RESOLVER_SET_H
#define CHAIN_RESOLVER_SET_H

#include "chain/nameserver.h"
#include "core/loop.h"
#include "core/os.h"

enum { FAMILY_V4 = 1, FAMILY_V6 = 2, SET_ADDRS_MAX = 16 };

struct resolver_set;
/* so: of questions that leave directly; copied. NULL: no memory. */
struct resolver_set *resolver_set_new(struct loop *loop, struct nameservers *list,
                                      const struct sockopts *so);
void resolver_set_free(struct resolver_set *s); /* open questions end without a call */
/* Of all servers, one after another. */
uint32_t resolver_set_timeout_ms(const struct resolver_set *s);

/* families: as asked. v: port 0, of one family. why: words that live as long as the set. keep_ms:
 * how long the answer, also a no, may be kept. */
typedef void resolver_set_fn(void *arg, unsigned families, enum rc rc, const char *why,
                             const struct addr *v, int n, uint64_t keep_ms);
/* May call fn at once, when nothing can be asked. */
void resolver_set_ask(struct resolver_set *s, const char *name, unsigned families,
                      resolver_set_fn *fn, void *arg);

#endif
