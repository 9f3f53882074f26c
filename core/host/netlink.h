/* core/host/netlink.h - one rtnetlink request and its answer.
 *
 * Synchronous: the kernel answers within the call, so this is for start, stop and the return of a
 * device, not for the data path. Ownership: the caller's struct; netlink_done() accepts a zeroed or
 * half-built one. Errors: the kernel's errno as enum rc, named in diag together with what was
 * asked. Source: RFC 3549, Linux rtnetlink(7).
 */
#ifndef CORE_HOST_NETLINK_H
#define CORE_HOST_NETLINK_H

#include "core/rc.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct netlink {
    int fd; /* 0 or less: not open */
    uint32_t seq;
    int err; /* errno of the last request, 0 after success: for callers to whom ENOENT is fine */
};

/* In netns (name or path; NULL: ours). */
enum rc netlink_open(struct netlink *nl, const char *netns, struct diag *diag);
void netlink_done(struct netlink *nl);

/* --- a request, built in place. Too much makes the send fail, not the building. */
enum { NETLINK_MSG_BYTES = 1024 };
struct netlink_msg {
    union {
        struct nlmsghdr head;
        uint8_t bytes[NETLINK_MSG_BYTES];
    };
    size_t len;
    bool overflow;
};
/* body: the family's fixed struct (ifinfomsg, ifaddrmsg, rtmsg). NLM_F_REQUEST is added. */
void netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, const void *body,
                   size_t n);
void netlink_add(struct netlink_msg *m, uint16_t attr, const void *data, size_t n);
void netlink_add_u32(struct netlink_msg *m, uint16_t attr, uint32_t value);

/* Sends m and waits for the acknowledgement. what: "add 10.0.0.1/8 to tun0", for diag. */
enum rc netlink_ask(struct netlink *nl, struct netlink_msg *m, struct diag *diag, const char *what);

typedef bool netlink_answer_fn(void *arg, const struct nlmsghdr *answer);
/* Asks for one object: fn is called for the answer, then the acknowledgement is awaited. */
enum rc netlink_get(struct netlink *nl, struct netlink_msg *m, netlink_answer_fn *fn, void *arg,
                    struct diag *diag, const char *what);
/* Sends a dump request; fn is called for each answer. fn returns false to see no more. */
enum rc netlink_dump(struct netlink *nl, struct netlink_msg *m, netlink_answer_fn *fn, void *arg,
                     struct diag *diag, const char *what);

/* What follows the message's and the attribute's header; the kernel's macros drop the const. */
static inline const void *netlink_body(const struct nlmsghdr *h)
{
    return (const uint8_t *)h + NLMSG_HDRLEN;
}
static inline const void *netlink_attr_data(const struct rtattr *a)
{
    return (const uint8_t *)a + RTA_LENGTH(0);
}

/* The attributes after a body of `fixed` bytes: table[type] for types below n, NULL where absent.
 * Lengths are checked; the rest is ignored. */
void netlink_attrs(const struct nlmsghdr *msg, size_t fixed, const struct rtattr **table, size_t n);
bool netlink_attr_u32(const struct rtattr *a, uint32_t *ret_v); /* false: absent or short */

#endif
