/* chain/hosts_table.h - a `hosts` object: names with the addresses that the configuration and a
 * file give them. gost-config.md 3.12.
 *
 * Lookup: the name; ".name"; each parent as ".parent"; "." for all others. Without regard to case
 * and a last dot. Refcounted; mappings are added before the first use. The file is read anew when
 * it has changed (chain/hosts.h).
 */
#ifndef CHAIN_HOSTS_TABLE_H
#define CHAIN_HOSTS_TABLE_H

#include "core/addr.h"
#include "core/rc.h"

struct hosts_table;
struct hosts_table *hosts_table_new(const char *file); /* "": none. NULL: no memory. Refcount 1 */
struct hosts_table *hosts_table_ref(struct hosts_table *h);
void hosts_table_unref(struct hosts_table *h); /* NULL is fine */
enum rc hosts_table_add(struct hosts_table *h, const char *name, const struct addr *a);
/* How many addresses (port 0, both families), at most cap. */
int hosts_table_lookup(struct hosts_table *h, const char *name, uint64_t now_ms, struct addr *v,
                       int cap);

#endif
