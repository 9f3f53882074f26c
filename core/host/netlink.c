/* core/host/netlink.c - requests to rtnetlink, one at a time. */
#include "core/host/netlink.h"
#include "core/host/netns.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 32768, ANSWER_WAIT_S = 5 };

/* Of the kernel's extended acknowledgement; younger headers than ours know more. */
enum { EXTACK_MSG = 1 };

enum rc netlink_open(struct netlink *nl, const char *netns, struct diag *diag)
{
    struct netns_visit visit = {-1};
    *nl = (struct netlink){.fd = -1};
    enum rc rc = netns_enter(netns, &visit, diag);
    if (rc != RC_OK)
        return rc;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    int err = errno;
    netns_leave(&visit);
    if (fd < 0)
        return diag_errno(diag, err, "rtnetlink socket");
    int one = 1;
    struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
    /* both only improve on an answer that comes anyway */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    nl->fd = fd;
    return RC_OK;
}

void netlink_done(struct netlink *nl)
{
    if (nl->fd > 0)
        close(nl->fd);
    nl->fd = -1;
}

void netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, const void *body, size_t n)
{
    memset(m, 0, sizeof(*m));
    m->head.nlmsg_type = type;
    m->head.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST);
    m->len = NLMSG_HDRLEN;
    if (n > sizeof(m->bytes) - m->len) {
        m->overflow = true;
        return;
    }
    memcpy(m->bytes + m->len, body, n);
    m->len += NLMSG_ALIGN(n);
}

void netlink_add(struct netlink_msg *m, uint16_t attr, const void *data, size_t n)
{
    if (m->overflow || n > sizeof(m->bytes) || m->len + RTA_SPACE(n) > sizeof(m->bytes)) {
        m->overflow = true;
        return;
    }
    struct rtattr a = {.rta_type = attr, .rta_len = (unsigned short)RTA_LENGTH(n)};
    memcpy(m->bytes + m->len, &a, sizeof(a));
    if (n > 0)
        memcpy(m->bytes + m->len + RTA_LENGTH(0), data, n);
    m->len += RTA_SPACE(n);
}

void netlink_add_u32(struct netlink_msg *m, uint16_t attr, uint32_t value)
{
    netlink_add(m, attr, &value, sizeof(value));
}

static enum rc failed(struct netlink *nl, int err, struct diag *diag, const char *what)
{
    nl->err = err;
    return diag_errno(diag, err, "%s", what);
}

static enum rc submit(struct netlink *nl, struct netlink_msg *m, struct diag *diag,
                      const char *what)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    if (m->overflow)
        return failed(nl, EMSGSIZE, diag, what);
    m->head.nlmsg_len = (uint32_t)m->len;
    m->head.nlmsg_seq = ++nl->seq;
    ssize_t n;
    do {
        n = sendto(nl->fd, m->bytes, m->len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? failed(nl, errno, diag, what) : RC_OK;
}

/* The kernel's own words of a refusal, "" where it said none. */
static const char *extack_text(const struct nlmsghdr *h, const struct nlmsgerr *e)
{
    size_t at = sizeof(*e);

    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
        return "";
    if (!(h->nlmsg_flags & NLM_F_CAPPED)) /* our request is quoted in full */
        at += NLMSG_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
    const uint8_t *body = netlink_body(h);
    size_t n = h->nlmsg_len - NLMSG_HDRLEN;
    while (at + sizeof(struct rtattr) <= n) {
        struct rtattr a;
        memcpy(&a, body + at, sizeof(a));
        if (a.rta_len < sizeof(a) || a.rta_len > n - at)
            break;
        const char *text = (const char *)body + at + sizeof(a);
        size_t len = a.rta_len - sizeof(a);
        if ((a.rta_type & NLA_TYPE_MASK) == EXTACK_MSG && len > 0 && text[len - 1] == 0)
            return text;
        at += RTA_ALIGN(a.rta_len);
    }
    return "";
}

/* RC_AGAIN: not the end yet. */
static enum rc verdict(struct netlink *nl, const struct nlmsghdr *h, struct diag *diag,
                       const char *what)
{
    const struct nlmsgerr *e = netlink_body(h);

    if (h->nlmsg_type == NLMSG_DONE)
        return RC_OK;
    if (h->nlmsg_type != NLMSG_ERROR)
        return RC_AGAIN;
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)))
        return failed(nl, EBADMSG, diag, what);
    if (e->error == 0)
        return RC_OK;
    nl->err = -e->error;
    const char *text = extack_text(h, e);
    return text[0] ? diag_errno(diag, nl->err, "%s: %s", what, text)
                   : diag_errno(diag, nl->err, "%s", what);
}

/* Reads answers until the acknowledgement or the end of the dump. */
static enum rc await(struct netlink *nl, netlink_answer_fn *fn, void *arg, struct diag *diag,
                     const char *what)
{
    _Alignas(struct nlmsghdr) uint8_t buf[ANSWER_BYTES];
    struct sockaddr_nl from;

    nl->err = 0;
    for (;;) {
        struct iovec v = {buf, sizeof(buf)};
        struct msghdr msg = {
            .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1};
        ssize_t n = recvmsg(nl->fd, &msg, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(nl, errno == EAGAIN ? ETIMEDOUT : errno, diag, what);
        if (from.nl_pid != 0) /* not the kernel */
            continue;
        if (msg.msg_flags & MSG_TRUNC)
            return failed(nl, EMSGSIZE, diag, what);
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)buf; NLMSG_OK(h, left);
             h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_seq != nl->seq)
                continue;
            enum rc rc = verdict(nl, h, diag, what);
            if (rc != RC_AGAIN)
                return rc;
            if (fn && !fn(arg, h))
                fn = NULL; /* the rest still has to be read */
        }
    }
}

enum rc netlink_get(struct netlink *nl, struct netlink_msg *m, netlink_answer_fn *fn, void *arg,
                    struct diag *diag, const char *what)
{
    m->head.nlmsg_flags |= NLM_F_ACK;
    enum rc rc = submit(nl, m, diag, what);
    return rc != RC_OK ? rc : await(nl, fn, arg, diag, what);
}

enum rc netlink_ask(struct netlink *nl, struct netlink_msg *m, struct diag *diag, const char *what)
{
    return netlink_get(nl, m, NULL, NULL, diag, what);
}

enum rc netlink_dump(struct netlink *nl, struct netlink_msg *m, netlink_answer_fn *fn, void *arg,
                     struct diag *diag, const char *what)
{
    m->head.nlmsg_flags |= NLM_F_DUMP;
    enum rc rc = submit(nl, m, diag, what);
    return rc != RC_OK ? rc : await(nl, fn, arg, diag, what);
}

void netlink_attrs(const struct nlmsghdr *msg, size_t fixed, const struct rtattr **table, size_t n)
{
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(fixed);

    memset(table, 0, n * sizeof(*table));
    while (at + sizeof(struct rtattr) <= msg->nlmsg_len) {
        const struct rtattr *a = (const struct rtattr *)((const uint8_t *)msg + at);
        if (a->rta_len < sizeof(*a) || a->rta_len > msg->nlmsg_len - at)
            break;
        size_t type = a->rta_type & NLA_TYPE_MASK;
        if (type < n)
            table[type] = a;
        at += RTA_ALIGN(a->rta_len);
    }
}

bool netlink_attr_u32(const struct rtattr *a, uint32_t *ret_v)
{
    if (!a || RTA_PAYLOAD(a) < sizeof(*ret_v))
        return false;
    memcpy(ret_v, netlink_attr_data(a), sizeof(*ret_v));
    return true;
}
