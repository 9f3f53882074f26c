/* app/registry.c - see registry.h. */
#include "app/registry.h"
#include "core/floor/tls.h"
#include "handlers/types.h"
#include "listeners/types.h"
#include <string.h>

static const struct handler_type *const handler_types[] = {
    &handler_auto,   &handler_dns,    &handler_forward, &handler_http,  &handler_relay,
    &handler_socks4, &handler_socks5, &handler_tcp,     &handler_tungo, &handler_udp,
};

static const struct listener_type *const listener_types[] = {
    &listener_dns, &listener_tcp, &listener_tls, &listener_tungo,
    &listener_udp, &listener_ws,  &listener_wss,
};

static const struct dialer_type *const dialer_types[] = {
    &dialer_direct, &dialer_tcp, &dialer_tls, &dialer_ws, &dialer_wss,
};

static const struct connector_type *const connector_types[] = {
    &connector_direct, &connector_forward, &connector_http,
    &connector_relay,  &connector_socks4,  &connector_socks5,
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static struct type_entry handlers[COUNT(handler_types) + 1], listeners[COUNT(listener_types) + 1],
    dialers[COUNT(dialer_types) + 1], connectors[COUNT(connector_types) + 1];

#define LIST(to, types)                                                                            \
    for (size_t i = 0; i < COUNT(types); i++)                                                      \
        (to)[i] = (struct type_entry){(types)[i]->name, (types)[i]->aliases, (types)[i]->options};

const struct type_names *registry_names(void)
{
    static struct type_names names;

    LIST(handlers, handler_types)
    LIST(listeners, listener_types)
    LIST(dialers, dialer_types)
    LIST(connectors, connector_types)
    names = (struct type_names){
        .handlers = handlers,
        .listeners = listeners,
        .connectors = connectors,
        .dialers = dialers,
        .tls_client = tls_client_options,
        .tls_server = tls_server_options,
        .features = CONFIG_BYPASS | CONFIG_RESOLVER | CONFIG_HOSTS | CONFIG_ADMISSION,
    };
    return &names;
}

/* The place of a name in its table; the tables of entries are parallel to those of types. */
#define FIND(entries, types, name)                                                                 \
    const struct type_entry *e = type_find(entries, name);                                         \
    return e ? (types)[e - (entries)] : NULL

const struct handler_type *registry_handler(const char *name)
{
    FIND(handlers, handler_types, name);
}

const struct listener_type *registry_listener(const char *name)
{
    FIND(listeners, listener_types, name);
}

const struct dialer_type *registry_dialer(const char *name)
{
    FIND(dialers, dialer_types, name);
}

const struct connector_type *registry_connector(const char *name)
{
    FIND(connectors, connector_types, name);
}
