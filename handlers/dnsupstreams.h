/* handlers/dnsupstreams.h - whom the dns handler asks: the nodes of the service's forwarder, else
 * `dns`, else the nameservers of the machine's resolv.conf, else 127.0.0.1 (gost-config.md 9).
 */
#ifndef HANDLERS_DNSUPSTREAMS_H
#define HANDLERS_DNSUPSTREAMS_H

#include "core/option.h"
#include "core/rc.h"

struct forwarder;
struct handler_setup;
struct nameservers;

struct dns_upstreams_cfg {
    const struct strlist *dns;
    int64_t ttl_ms, timeout_ms;
};

/* ret_own: who picks one of them, when the service has no forwarder that does. Both belong to the
 * caller, also on failure. setup lives as long as they do. */
enum rc dns_upstreams_new(const struct handler_setup *setup, const struct dns_upstreams_cfg *cfg,
                          struct nameservers **ret_list, struct forwarder **ret_own,
                          struct diag *diag);

#endif
