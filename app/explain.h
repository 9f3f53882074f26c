/* app/explain.h - `cgost explain`: what would become of a connection or datagram, and why, without
 * sending a packet.
 *
 * The answers come from the code that decides for packets: the service's rules, the handler's
 * choice of a target (handlers/handler.h), chain/explain.h. explain.c is the command,
 * explain_service.c asks one service.
 */
#ifndef APP_EXPLAIN_H
#define APP_EXPLAIN_H

#include "app/story.h"
#include "core/addr.h"

struct cli_command;
struct netlink;
struct service;

/* Its exit code: 0 it was told, 1 the configuration can't be had, 2 wrong words. */
extern const struct cli_command explain_command;

struct explain_question {
    bool udp;
    struct target target;
    const char *sni;    /* the name that the first bytes carry; NULL: none */
    struct addr client; /* family 0: nobody in particular */
};

/* nl: to ask the kernel for routes; NULL: not asked. Facts of the story: service, verdict
 * ("direct", "chain", "refused", "rejected", "unable", "answered"), route, nodes, interface, mark,
 * device. */
void explain_service(struct story *s, const struct service *service,
                     const struct explain_question *q, struct netlink *nl);

#endif
