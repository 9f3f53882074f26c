/* handlers/types.h - the handlers that exist; app/registry.c lists them. */
#ifndef HANDLERS_TYPES_H
#define HANDLERS_TYPES_H

#include "handlers/handler.h"

extern const struct handler_type handler_auto, handler_dns, handler_forward, handler_http,
    handler_relay, handler_socks4, handler_socks5, handler_tcp, handler_tungo, handler_udp;

#endif
