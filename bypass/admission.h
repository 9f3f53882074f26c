/* bypass/admission.h - which clients a service lets in: rule sets over addresses and networks, with
 * the engine of bypasses. gost-config.md 3.10.
 *
 * Owner: app. Several at one place: all must admit.
 */
#ifndef BYPASS_ADMISSION_H
#define BYPASS_ADMISSION_H

#include "bypass/source.h"

struct addr;
struct admission;

struct admission_cfg {
    const char *name;
    const char *place;        /* where it is configured; NULL: not known */
    bool whitelist;           /* only what is in the list is admitted; else all but that */
    struct source_cfg source; /* addrs_only is implied */
};

struct admission *admission_new(const struct admission_cfg *cfg); /* NULL: no memory */
void admission_free(struct admission *a);                         /* NULL is fine */

/* May this client in? Its port does not count; one without an address is let in. */
bool admission_has(const struct admission *a, const struct addr *client);
/* Why, in words: "admission lan, \"10.0.0.0/8\" (gost.yml:12:7)", "admission lan, not in its list
 * (gost.yml:10:3)". Returns buf. */
const char *admission_why(const struct admission *a, const struct addr *client, char *buf,
                          size_t cap);

#endif
