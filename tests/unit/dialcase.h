/* tests/unit/dialcase.h - dials for streams on loopback: a router, and the kinds of node. */
#ifndef TESTS_UNIT_DIALCASE_H
#define TESTS_UNIT_DIALCASE_H

#include "dialworld.h"
#include "run.h"

static inline struct router *router_for(struct chain *c, int retries, uint32_t timeout_ms, bool v6)
{
    return router_new(&(struct router_cfg){.loop = loop,
                                           .service = "service-0",
                                           .chain = c,
                                           .retries = retries,
                                           .dial_timeout_ms = timeout_ms,
                                           .prefer_ipv6 = v6});
}

static const struct {
    const struct handler_type *handler;
    const struct connector_type *connector;
} ends[] = {{&handler_socks5, &connector_socks5},
            {&handler_socks4, &connector_socks4},
            {&handler_http, &connector_http},
            {&handler_relay, &connector_relay}};
enum { ENDS = sizeof ends / sizeof ends[0] };

#endif
