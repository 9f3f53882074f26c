/* bypass/bypass.h - one named rule set over targets, and what several of them say together.
 * gost-config.md 3.9, 6.2.
 *
 * "Bypassed" is all that is said here; what it means is decided where it is asked: a service
 * refuses, a hop ends the route before it, a node is no candidate (6.3).
 *
 * Owner: app. Immutable but for the list, which its source renews from the loop.
 */
#ifndef BYPASS_BYPASS_H
#define BYPASS_BYPASS_H

#include "bypass/source.h"

struct bypass;
struct target;

struct bypass_cfg {
    const char *name;
    const char *place;   /* where it is configured, for explanations; NULL: not known */
    const char *network; /* "tcp" or "udp": for nothing else; NULL or "": for all */
    bool whitelist;      /* what is not in the list is bypassed */
    struct source_cfg source;
};

struct bypass *bypass_new(const struct bypass_cfg *cfg); /* NULL: no memory */
void bypass_free(struct bypass *b);                      /* NULL is fine */

/* What decided: for those who explain. */
struct bypass_hit {
    bool bypassed;
    const struct bypass *by; /* the set that bypasses it, or the whitelist that spares it; NULL:
                                none of them has anything to say */
    bool listed;             /* by a rule: the one below; else since no rule lists it */
    uint32_t rule;
};

/* An empty target is never bypassed. ret_hit may be NULL. */
bool bypass_has(const struct bypass *b, const char *network, const struct target *t,
                struct bypass_hit *ret_hit);

/* Together: bypassed when all whitelists say so (and there is one), or any other. */
struct bypass_group {
    const struct bypass **v;
    size_t n;
};
bool bypass_group_has(const struct bypass_group *g, const char *network, const struct target *t,
                      struct bypass_hit *ret_hit);

/* "bypass lan, \"10.0.0.0/8\" (gost.yml:12:7)", "bypass lan, /etc/list:12", "bypass lan, not in its
 * whitelist (gost.yml:10:3)", "no rule matches". The hit is valid as long as the list is in force.
 * Returns buf. */
const char *bypass_hit_format(const struct bypass_hit *hit, char *buf, size_t cap);

#endif
