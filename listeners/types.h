/* listeners/types.h - the listeners that exist; app/registry.c lists them. */
#ifndef LISTENERS_TYPES_H
#define LISTENERS_TYPES_H

#include "listeners/listener.h"

extern const struct listener_type listener_dns, listener_tcp, listener_tls, listener_tungo,
    listener_udp, listener_ws, listener_wss;

#endif
