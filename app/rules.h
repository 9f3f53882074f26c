/* app/rules.h - the `bypasses` and `admissions` of the configuration as objects, and which of them
 * count at which place. gost-config.md 3.9, 3.10, section 6.
 *
 * Owner: the world. Made before the chains, which ask them; gone after all that asks. The
 * configuration outlives them. Files are read again on the loop's time (bypass/source.h): what they
 * bring, and what is wrong with them, is logged.
 */
#ifndef APP_RULES_H
#define APP_RULES_H

#include "core/rc.h"
#include <stddef.h>

struct addr;
struct admission;
struct bypass;
struct conf_names;
struct config;
struct loop;
struct problems;
struct rules_at;
struct rules_set;
struct target;

struct rules {
    const struct config *cfg;
    struct bypass **bypasses; /* as in cfg */
    struct admission **admissions;
    struct rules_set *sets; /* what their files have to say, bypasses first */
    size_t n_bypasses, n_admissions;
    struct rules_at *places;
    struct diag failed; /* while they are made: a file that will never be read */
};

/* Patterns that can't be meant, each with its place, and files that can't be read (files: only for
 * tests of a configuration, since rules_build() tells it as well). What GOST takes and what then
 * never matches is PROBLEM_ERROR; what we leave out is PROBLEM_REFUSE. false: something was found.
 */
bool rules_check(const struct config *cfg, bool files, struct problems *p);

enum rc rules_build(struct rules *r, struct loop *loop, const struct config *cfg,
                    struct diag *diag);
void rules_done(struct rules *r);

/* What counts at one place, "service" "socks5-0" or "hop" "hop-0": bypasses (names of a service, a
 * hop, a node) or admissions (of a service). *ret_at is NULL where none does. It lives as long as
 * r. RC_NOMEM. */
enum rc rules_bypasses_at(struct rules *r, const char *kind, const char *name,
                          const struct conf_names *names, struct rules_at **ret_at);
enum rc rules_admissions_at(struct rules *r, const char *kind, const char *name,
                            const struct conf_names *names, struct rules_at **ret_at);

/* at: a struct rules_at, as the callbacks of chain/ and handlers/ pass it. A hit is logged at debug
 * level. */
bool rules_bypassed(void *at, const char *network, const struct target *t);
bool rules_admitted(void *at, const struct addr *client);

/* The same decisions in words, with nothing logged: by which rule, at which place.
 *   bypassed:  bypass lan, "10.0.0.0/8" (gost.yml:12:7)    bypass lan, /etc/lan.txt:3
 *              bypass lan, not in its whitelist (gost.yml:10:3)
 *   not:       no rule matches      bypass lan, "10.0.0.0/8" (gost.yml:12:7): a whitelist spares it
 * at may be NULL: no rule is there. */
bool rules_explain_bypassed(const struct rules_at *at, const char *network, const struct target *t,
                            char *buf, size_t cap);
bool rules_explain_admitted(const struct rules_at *at, const struct addr *client, char *buf,
                            size_t cap);

#endif
