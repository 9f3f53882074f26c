/* app/registry.h - the plug-ins of this program: four tables, written by hand (greppable, ordered).
 *
 * `make check` compares them with the folders. Lookups are by exact name or alias, as GOST's.
 */
#ifndef APP_REGISTRY_H
#define APP_REGISTRY_H

#include "configs/model.h"
#include "connectors/connector.h"
#include "dialers/dialer.h"
#include "handlers/handler.h"
#include "listeners/listener.h"

/* NULL: no such type. */
const struct handler_type *registry_handler(const char *name);
const struct listener_type *registry_listener(const char *name);
const struct dialer_type *registry_dialer(const char *name);
const struct connector_type *registry_connector(const char *name);

/* All of them for configs/: names with their option tables. */
const struct type_names *registry_names(void);

#endif
