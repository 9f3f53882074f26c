/* core/host/link.h - an interface of the kernel: find it, set it up, its MTU and queue, delete it.
 *
 * Verbs over core/host/netlink.h; errors as there.
 */
#ifndef CORE_HOST_LINK_H
#define CORE_HOST_LINK_H

#include "core/rc.h"
#include <stdint.h>

struct netlink;

struct link_info {
    int index;
    uint32_t mtu, txqueuelen;
    bool up;
    char name[16];
};

enum rc link_find(struct netlink *nl, const char *name, struct link_info *ret_i, struct diag *diag);
enum rc link_find_index(struct netlink *nl, int index, struct link_info *ret_i, struct diag *diag);
enum rc link_set_up(struct netlink *nl, int index, bool up, struct diag *diag);
enum rc link_set_mtu(struct netlink *nl, int index, uint32_t mtu, struct diag *diag);
enum rc link_set_txqueuelen(struct netlink *nl, int index, uint32_t packets, struct diag *diag);
enum rc link_delete(struct netlink *nl, int index, struct diag *diag);

#endif
