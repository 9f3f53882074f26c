/* chain/asker.h - DNS questions by c-ares on our loop; used by chain/resolver.c only.
 *
 * The channel is made with the first question, and made anew when the resolv.conf that it was read
 * from or the machine's network has changed; questions that are open are then asked again. Its
 * sockets are bound and marked like our others.
 *
 * Owner: a resolver, one each. One loop.
 */
#ifndef CHAIN_ASKER_H
#define CHAIN_ASKER_H

#include "core/addr.h"
#include "core/os.h"
#include "core/rc.h"

struct asker;
struct loop;

struct asker_cfg {
    struct loop *loop;
    struct sockopts so; /* strings are copied */
    const char *servers, *resolv_path;
    uint32_t try_ms;
};
struct asker *asker_new(const struct asker_cfg *cfg); /* NULL: no memory */
void asker_free(struct asker *a);                     /* open questions end without a call */

/* why: static words, NULL with RC_OK. v: port 0. May be called from inside asker_ask(). */
typedef void asker_fn(void *arg, enum rc rc, const char *why, const struct addr *v, int n,
                      uint32_t ttl_s);
/* family: AF_INET or AF_INET6. Not from inside an asker_fn. */
void asker_ask(struct asker *a, const char *name, int family, asker_fn *fn, void *arg);
/* Somebody waits for a question that is under way: has what it was asked of changed meanwhile? As
 * asker_ask(), which does the same. */
void asker_look(struct asker *a);

#endif
