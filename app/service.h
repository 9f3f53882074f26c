/* app/service.h - one service: a listener, a handler, their router, and the hooks around them.
 * gost-config.md section 8.
 *
 *   service_new
 *     -> service_open   takes what needs privilege (address, device), runs preUp
 *     -> service_start  postUp, then accepts
 *     -> service_stop   preDown, ends all clients, gives back what open took, postDown
 *     -> service_free
 *
 * Owner: the world. The parent role opens and stops, the worker role serves (app/parent.h).
 */
#ifndef APP_SERVICE_H
#define APP_SERVICE_H

#include "core/floor/tls.h"
#include "core/option.h"
#include "core/rc.h"
#include <stdint.h>

struct auther;
struct conf_service_options;
struct forwarder;
struct handler_type;
struct listener_type;
struct loop;
struct place;
struct router;
struct rules_at;
struct service;

/* All of it is taken, also on failure, but for what is said to be borrowed. */
struct service_parts {
    char *name, *addr;
    /* Both borrowed: the configuration lives as long as the world. */
    const struct conf_service_options *options;
    const struct place *place; /* for messages; NULL: unknown */
    uint32_t mark;
    const struct listener_type *listener;
    void *listener_cfg;
    struct tls_cfg listener_tls;
    const struct handler_type *handler;
    void *handler_cfg;
    struct tls_cfg handler_tls;
    struct router *router;
    struct auther *auther;                  /* NULL: none */
    struct forwarder *forwarder;            /* NULL: none */
    struct rules_at *bypasses, *admissions; /* borrowed (app/rules.h); NULL: no rule */
};
void service_parts_done(struct service_parts *p);

/* What the handler's option dns.fake was set to; NULL: it has none. */
const struct netlist *service_fake(const struct service_parts *p);

/* NULL: no memory; parts are gone. */
struct service *service_new(struct loop *loop, struct service_parts *parts);
const char *service_name(const struct service *s);
const struct service_parts *service_parts_of(const struct service *s);
/* Would its handler begin? Opens nothing; with a handler that needs a device only the fake pool is
 * tried. */
enum rc service_check(struct service *s, struct diag *diag);
enum rc service_open(struct service *s, struct diag *diag);
/* Accepts once its postUp hooks are through. A failure to start is logged and the service stays
 * closed. */
void service_start(struct service *s);
/* One record of what its listener has counted; nothing where it counts nothing. */
void service_tell_counters(const struct service *s);
void service_stop(struct service *s); /* fine in every state; blocks for its down hooks */
void service_free(struct service *s); /* stops it first; NULL is fine */

#endif
