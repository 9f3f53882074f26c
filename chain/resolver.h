/* chain/resolver.h - names to addresses: by what `hosts` and `resolver` of a service or node name
 * (gost-config.md 3.12), else by the machine's own resolver: the hosts file, then DNS by c-ares on
 * the loop. RFC 8305 section 3.
 *
 * For names that this machine must resolve itself: node addresses, direct dials, and the targets of
 * a service that says so. Its sockets are bound and marked as `so` says, so a default route into
 * our own TUN does not swallow the question.
 *
 * Refcounted: its router or node and the datagram flows that ask it. One loop; nothing blocks but a
 * look at the files. A and AAAA are asked at once and answers are given as they come. Answers are
 * kept by their TTL (256 names are kept, 4,096 asked for at once); equal questions at the same time
 * are asked once.
 */
#ifndef CHAIN_RESOLVER_H
#define CHAIN_RESOLVER_H

#include "core/addr.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/rc.h"

struct hosts_table;
struct nameservers;
struct resolver;
struct resolver_entry;

struct resolver_cfg {
    struct loop *loop;
    struct sockopts so;        /* strings are copied */
    const char *servers;       /* "192.0.2.1,[2001:db8::1]:5353"; NULL: those of resolv_path */
    const char *hosts_path;    /* NULL: /etc/hosts; "": none */
    const char *resolv_path;   /* NULL: /etc/resolv.conf; watched: read again when it has changed */
    uint32_t timeout_ms;       /* of a question, all servers and repeats; 0: 10,000, or as the
                                  nameservers say */
    uint32_t try_ms;           /* first wait for one server, doubled with each round; 0: 2,000 */
    struct hosts_table *table; /* asked first; NULL: none. Referenced, as the next */
    struct nameservers *nameservers; /* instead of the hosts file and c-ares; NULL: those */
};
struct resolver *resolver_new(const struct resolver_cfg *cfg); /* NULL: no memory */
struct resolver *resolver_ref(struct resolver *r);
/* With the last reference open questions end without a call. NULL is fine. */
void resolver_unref(struct resolver *r);

enum { RESOLVE_ADDRS_MAX = 16 };

/* Called from the loop until `last`: n addresses (port 0) of one family; n may be 0. With `last` rc
 * tells: RC_OK (something was given), RC_NAME, RC_TIMEOUT, RC_SYS, RC_NOMEM. */
struct resolve;
typedef void resolve_fn(struct resolve *q, enum rc rc, const struct addr *v, int n, bool last);

/* One question; embedded in its owner. */
struct resolve {
    struct resolver_entry *entry; /* NULL: idle */
    struct resolve *next, **link;
    resolve_fn *fn;
    unsigned wanted, given; /* families */
    int found;
    struct diag *diag;
    struct job job;
};
void resolve_init(struct resolve *q, resolve_fn *fn);
/* v4, v6: families wanted (at least one). diag gets the reason; it must live as long as the
 * question. fn comes later, never from inside this call. false: no memory, fn does not come. */
bool resolve_start(struct resolver *r, struct resolve *q, const char *name, bool v4, bool v6,
                   struct diag *diag);
void resolve_cancel(struct resolve *q); /* fn does not come any more; fine when idle */

/* Must the name be resolved here, whoever could do it further on? That is so with nameservers, and
 * for a name in the table. */
bool resolver_claims(struct resolver *r, const char *name);
/* What is known without asking anybody: the count of addresses, 0: ask. */
int resolver_peek(struct resolver *r, const char *name, struct addr *v, int cap);

#endif
