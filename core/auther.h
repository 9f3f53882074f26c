/* core/auther.h - who may use a service: user names with passwords, compared in constant time.
 * gost-config.md 3.11.
 *
 * Owner: the service. Does not change once it is in use. An empty stored password accepts any
 * password for that user (as GOST; the operator is warned at start). An auther without entries
 * rejects all.
 */
#ifndef CORE_AUTHER_H
#define CORE_AUTHER_H

#include "core/rc.h"

struct auther;
struct auther *auther_new(void);    /* NULL: no memory */
void auther_free(struct auther *a); /* passwords are wiped; NULL is fine */
/* Copies both; password NULL: an empty one. RC_NOMEM. */
enum rc auther_add(struct auther *a, const char *user, const char *password);
/* NULL auther: everybody passes. user and password may be NULL (none given). */
bool auther_check(const struct auther *a, const char *user, const char *password);

#endif
