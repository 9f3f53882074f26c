/* lwip_hooks.h - where lwIP calls up into listeners/tungo/. Included by lwIP's own sources. */
#ifndef DEPS_LWIP_HOOKS_H
#define DEPS_LWIP_HOOKS_H

#include <stdint.h>

#include "lwip/ip_addr.h"

/* Initial sequence number of a connection (RFC 6528). Ports in host order. Defined by the netstack.
 */
uint32_t netstack_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                      uint16_t remote_port);

#define LWIP_HOOK_TCP_ISN(lip, lport, rip, rport) netstack_isn(lip, lport, rip, rport)

#endif
