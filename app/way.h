/* app/way.h - how a packet of ours would leave this machine: what its socket is bound to, and the
 * kernel's route for it. Only asks; nothing is sent.
 */
#ifndef APP_WAY_H
#define APP_WAY_H

#include "core/addr.h"
#include "core/os.h"

struct netlink;

struct way {
    int choices;       /* of the interface list for this destination; 0: not bound */
    char bound[16];    /* device of the first choice; "": none */
    struct addr local; /* of the first choice; family 0: none */
    char device[16];   /* by which it leaves; "": the kernel was not asked */
    unsigned bits;     /* prefix of that route */
    struct addr gateway;
    bool tun; /* the device is a TUN */
};

/* The first choice counts. nl NULL, a destination without address or a netns: the kernel is not
 * asked. Errors: no such interface, no route; diag says which. */
enum rc way_find(struct netlink *nl, const struct sockopts *so, const struct addr *to,
                 struct way *ret_w, struct diag *diag);

/* "eth0 via 192.0.2.1", "eth0, on the link"; "" when the kernel was not asked. Returns buf. */
const char *way_format(const struct way *w, char *buf, size_t cap);

#endif
