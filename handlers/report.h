/* handlers/report.h - the log records of one client's work, the same for every handler: GOST's
 * words and field names (gost-config.md 11.1), one line at info when it ended.
 */
#ifndef HANDLERS_REPORT_H
#define HANDLERS_REPORT_H

#include "core/addr.h"
#include "core/rc.h"
#include <stdbool.h>
#include <stdint.h>

struct splice_result;

/* Who and where to; embedded in a handler's conn. Strings are borrowed. */
struct report {
    const char *service, *handler;
    const char *network; /* "tcp", "udp" */
    const char *user;    /* NULL: none */
    uint64_t id;         /* unique in this process: field "sid" */
    struct addr client;
    struct target target;
    char route[200]; /* how it left: "direct", "node-0@192.0.2.1:443 > ..." */
    uint64_t started_ms;
    bool connected; /* it has become a flow: its end is report_ended's, not report_failed's */
    bool told;      /* of its end */
};

/* id and started_ms are filled in. */
void report_init(struct report *r, const char *service, const char *handler, const char *network,
                 const struct addr *client, uint64_t now_ms);
/* "client <-> target" at debug. */
void report_connected(struct report *r);
/* "the chain can't carry UDP: DNS goes over TCP": at warn, once per told. */
void report_dns_over_tcp(const struct report *r, bool *told);
/* "client >-< target", bytes, duration, route and the reason of an end that was not clean: at info.
 */
void report_ended(struct report *r, const struct splice_result *res);
/* The end of what ends because its service does: of a flow the same line with that reason, else
 * report_failed; nothing where an end was told already. */
void report_stopped(struct report *r, uint64_t up_bytes, uint64_t down_bytes, uint64_t now_ms);
/* A client whose target was never reached: at warn for our failures, at info for the target's and
 * the client's. Not more lines than handlers/hush.h allows, unless the log is at debug. */
void report_failed(struct report *r, enum rc rc, const char *reason, uint64_t now_ms);

#endif
