/* app/world.h - the objects that one checked configuration became: services with their routers,
 * chains and users.
 *
 * Owner: app/main.c. A reload will build a new world beside the old one.
 */
#ifndef APP_WORLD_H
#define APP_WORLD_H

#include "app/names.h"
#include "app/rules.h"
#include "app/service.h"

struct chain;
struct config;
struct hop;
struct loop;

struct world {
    struct loop *loop;
    struct service **services;
    size_t n_services;
    struct chain **chains;
    size_t n_chains;
    struct hop **hops; /* top-level ones, shared by chains */
    size_t n_hops;
    struct names names;
    struct rules rules;
};

/* Builds everything, opens nothing. On failure the reason (with its place) is in diag and w is
 * empty. Warnings that the operator must see at start are logged. */
enum rc world_build(struct loop *loop, const struct config *cfg, struct world *w,
                    struct diag *diag);
void world_done(struct world *w); /* stops what is open */

#endif
