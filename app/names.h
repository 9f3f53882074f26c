/* app/names.h - the `resolvers` and `hosts` of the configuration as objects, and who uses them.
 *
 * Owner: the world. Made before the chains (nodes use them); the nameservers learn their chains
 * afterwards. names_done() comes before the chains go.
 */
#ifndef APP_NAMES_H
#define APP_NAMES_H

#include "core/rc.h"
#include <stdbool.h>
#include <stddef.h>

struct chain;
struct config;
struct hosts_table;
struct nameservers;
struct problems;

struct names {
    const struct config *cfg;
    struct nameservers **resolvers; /* as in cfg */
    struct hosts_table **hosts;
    size_t n_resolvers, n_hosts;
};

/* A nameserver that can't be used is left out with an error in the log, as in GOST; one whose
 * certificates can't be had refuses the start. */
enum rc names_build(struct names *n, const struct config *cfg, struct diag *diag);
/* Nameservers that wait for themselves by their chain, which a start logs: for tests of a
 * configuration. false: there are such. */
bool names_check(const struct config *cfg, struct problems *p);
/* chains: as in cfg. */
void names_set_chains(struct names *n, struct chain *const *chains);
void names_done(struct names *n);

/* NULL: no such name, or none given. Borrowed. */
struct nameservers *names_resolver(const struct names *n, const char *name);
struct hosts_table *names_hosts(const struct names *n, const char *name);

#endif
