/* core/floor/udp.c - UDP sockets of the kernel as a dgram. See udp.h.
 *
 * Up to four sockets, each made when first needed: per address family, and for destinations that
 * are global (bound to the device asked for) or not (os_socket_for() leaves those unbound).
 */
#include "core/floor/udp.h"
#include "core/floor/udp_socket.h"
#include "core/host/uplink.h"
#include "core/stream.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    SOCKETS = 4,
    TROUBLES = 4,       /* remembered; older ones are forgotten */
    SEGMENTS_MAX = 64,  /* of one UDP_SEGMENT send on every kernel that has it */
    PAYLOAD_MAX = 65507 /* of one send, over IPv4 */
};

struct trouble {
    struct addr about;
    enum rc why;
};

struct udp {
    struct dgram dgram;
    struct sockopts so;
    char *interface, *netns; /* copies behind so */
    struct udp_socket socket[SOCKETS];
    unsigned turn; /* whom recv asks first */
    bool given;    /* by udp_dgram_fd(): only socket[0] */
    struct trouble trouble[TROUBLES];
    unsigned troubles;
    bool trouble_new; /* met while sending: the owner shall look, though nothing was received */
};

static void on_hot(struct hotfd *h, unsigned ready)
{
    struct udp_socket *s = (struct udp_socket *)((char *)h - offsetof(struct udp_socket, hot));
    struct udp *u = s->udp;

    if (ready & (HOT_IN | HOT_HUP))
        s->readable = true;
    if (ready & HOT_HUP)
        s->errors = true;
    dgram_wake(&u->dgram);
}

/* --- errors about single targets */

static enum rc meaning(int err)
{
    switch (err) {
    case ECONNREFUSED:
        return RC_REFUSED;
    case ENETUNREACH:
        return RC_UNREACH_NET;
    case EHOSTUNREACH:
        return RC_UNREACH_HOST;
    case EHOSTDOWN:
        return RC_UNREACH_HOST;
    case EACCES: /* ICMPv6 administratively prohibited, or a route of ours that says so */
    case EPERM:  /* our own firewall */
        return RC_DENIED;
    default: /* EMSGSIZE: the kernel cuts the next one by itself */
        return RC_OK;
    }
}

static void note_trouble(struct udp *u, struct addr about, enum rc why)
{
    for (unsigned i = 0; i < u->troubles; i++) {
        if (u->trouble[i].why == why && addr_equal(&u->trouble[i].about, &about))
            return;
    }
    if (u->troubles == TROUBLES) {
        memmove(u->trouble, u->trouble + 1, sizeof u->trouble - sizeof u->trouble[0]);
        u->troubles--;
    }
    u->trouble[u->troubles++] = (struct trouble){about, why};
}

/* Met while sending, so no event would come. */
static void tell_trouble(struct udp *u, const struct addr *about, enum rc why)
{
    note_trouble(u, *about, why);
    u->trouble_new = true;
    dgram_wake(&u->dgram);
}

static void drain_errors(struct udp *u, struct udp_socket *s)
{
    _Alignas(struct cmsghdr) char control[256];
    struct sockaddr_storage ss;
    char byte;

    s->errors = false;
    for (int i = 0; i < 64; i++) {
        struct iovec v = {&byte, 1};
        struct msghdr m = {.msg_name = &ss,
                           .msg_namelen = sizeof ss,
                           .msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};

        if (recvmsg(s->hot.fd, &m, MSG_ERRQUEUE) < 0)
            return;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
            struct sock_extended_err e;
            bool v4 = c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR;
            bool v6 = c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR;

            if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof e))
                continue;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6) {
                enum rc why = meaning((int)e.ee_errno);
                if (why != RC_OK && m.msg_namelen >= sizeof(sa_family_t))
                    note_trouble(u, addr_unmap(addr_from_sockaddr((struct sockaddr *)&ss)), why);
            }
        }
    }
    s->errors = true; /* more than enough for one turn */
}

static enum rc udp_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why)
{
    struct udp *u = (struct udp *)d;

    if (u->troubles == 0)
        return RC_AGAIN;
    target_from_addr(ret_about, &u->trouble[0].about);
    *ret_why = u->trouble[0].why;
    u->troubles--;
    memmove(u->trouble, u->trouble + 1, u->troubles * sizeof u->trouble[0]);
    return RC_OK;
}

/* --- sockets */

static bool is_bound(const struct udp *u)
{
    return u->so.interface && u->so.interface[0];
}

/* NULL: there is no way to such a target now; why is noted. */
static struct udp_socket *socket_to(struct udp *u, const struct addr *to)
{
    bool bound = is_bound(u);

    if (u->given)
        return &u->socket[0];
    bool apart = bound && !addr_is_global(to);
    struct udp_socket *s = &u->socket[(to->family == AF_INET6 ? 2 : 0) + apart];
    enum rc rc = RC_OK;
    if (s->hot.fd < 0)
        rc = udp_socket_open(s, u->dgram.loop, &u->so, to, on_hot, NULL);
    else if (bound && s->epoch != uplink_epoch())
        rc = udp_socket_renew(s, u->dgram.loop, &u->so, to, on_hot, NULL);
    if (rc == RC_OK)
        return s;
    tell_trouble(u, to, rc == RC_UNREACH_NET ? rc : RC_UNREACH_HOST);
    return NULL;
}

/* --- sending */

static bool is_about_somebody_else(int err)
{
    return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH || err == EHOSTDOWN ||
           err == ENOPROTOOPT || err == EPROTO || err == EACCES || err == EMSGSIZE;
}

/* 0 or errno. An error that an earlier message left on the socket is taken off by asking again. */
static int send_once(struct udp_socket *s, const struct addr *to, const void *data, size_t n,
                     size_t segment)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
    struct sockaddr_storage ss;
    struct iovec v;
    struct msghdr m = {.msg_name = &ss, .msg_iov = &v, .msg_iovlen = 1};

    memcpy(&v.iov_base, &data, sizeof data); /* sendmsg does not write there */
    v.iov_len = n;
    m.msg_namelen = addr_to_sockaddr(to, s->mapped, &ss);
    if (segment) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        uint16_t size = (uint16_t)segment;
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof size);
        memcpy(CMSG_DATA(c), &size, sizeof size);
    }
    for (int tries = 0;; tries++) {
        if (sendmsg(s->hot.fd, &m, MSG_NOSIGNAL) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (tries > 0 || !is_about_somebody_else(errno))
            return errno;
    }
}

/* The same; where the socket turns out to be bound to what is not there any more, by a new one. */
static int send_to(struct udp *u, struct udp_socket *s, const struct addr *to, const void *data,
                   size_t n, size_t segment)
{
    int err = send_once(s, to, data, n, segment);
    bool stale = err == ENODEV || err == ENXIO || err == EADDRNOTAVAIL || err == EINVAL ||
                 (err == ENETUNREACH && udp_socket_is_lost(s));

    if (stale && is_bound(u) && !u->given && segment == 0 &&
        udp_socket_renew(s, u->dgram.loop, &u->so, to, on_hot, NULL) == RC_OK && s->hot.fd >= 0)
        err = send_once(s, to, data, n, 0);
    enum rc why = err != 0 ? meaning(err) : RC_OK;
    if (why != RC_OK)
        tell_trouble(u, to, why);
    return err;
}

static struct udp_socket *way_to(struct udp *u, const struct target *to)
{
    if (target_is_name(to) || to->addr.family == 0 || to->addr.port == 0)
        return NULL;
    struct udp_socket *s = socket_to(u, &to->addr);
    return s && s->hot.fd >= 0 ? s : NULL;
}

static enum rc udp_send(struct dgram *d, const struct target *to, const void *data, size_t n)
{
    struct udp *u = (struct udp *)d;
    struct udp_socket *s = way_to(u, to);

    if (!s || send_to(u, s, &to->addr, data, n, 0) != 0)
        return RC_AGAIN; /* this one is lost, the next may have a way */
    return RC_OK;
}

static enum rc udp_send_burst(struct dgram *d, const struct target *to, const void *data, size_t n,
                              size_t segment)
{
    struct udp *u = (struct udp *)d;
    struct udp_socket *s = way_to(u, to);
    const char *at = data;

    if (!s) {
        d->dropped += (n + segment - 1) / segment;
        return RC_AGAIN;
    }
    size_t many = segment > PAYLOAD_MAX ? 1 : PAYLOAD_MAX / segment;
    if (many > SEGMENTS_MAX)
        many = SEGMENTS_MAX;
    while (n > 0) {
        size_t most = s->no_segment ? segment : segment * many;
        size_t take = n < most ? n : most;
        int err = send_to(u, s, &to->addr, at, take, take > segment ? segment : 0);

        if (err != 0 && take > segment && (err == EIO || err == EINVAL || err == EMSGSIZE)) {
            /* no such option here, or the way's MTU is below the segment: one by one */
            s->no_segment = s->no_segment || err != EMSGSIZE;
            take = segment;
            err = send_to(u, s, &to->addr, at, take, 0);
        }
        if (err != 0)
            d->dropped += (take + segment - 1) / segment;
        at += take;
        n -= take;
    }
    return RC_OK;
}

/* --- receiving */

/* Bytes, or -1 with errno. segment: what the kernel joined has that many bytes each, 0: one
 * message. */
static ssize_t recv_once(struct udp_socket *s, void *buf, size_t cap, size_t *ret_segment,
                         struct addr *ret_from)
{
    _Alignas(struct cmsghdr) char control[64];
    struct sockaddr_storage ss = {0};
    struct iovec v = {buf, cap};
    struct msghdr m = {.msg_name = &ss, .msg_namelen = sizeof ss, .msg_iov = &v, .msg_iovlen = 1};

    if (s->gro) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
    }
    ssize_t n = recvmsg(s->hot.fd, &m, 0);
    if (n < 0)
        return n;
    *ret_segment = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        int size;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO &&
            c->cmsg_len >= CMSG_LEN(sizeof size)) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            *ret_segment = size > 0 ? (size_t)size : 0;
        }
    }
    *ret_from = addr_unmap(addr_from_sockaddr((struct sockaddr *)&ss));
    return n;
}

/* From the sockets in turn, so that one does not starve the others. */
static enum rc recv_any(struct udp *u, void *buf, size_t cap, size_t *ret_n, size_t *ret_segment,
                        struct target *ret_from)
{
    struct addr from;

    for (unsigned i = 0; i < SOCKETS; i++) {
        struct udp_socket *s = &u->socket[(u->turn + i) % SOCKETS];

        if (s->hot.fd < 0)
            continue;
        if (s->errors)
            drain_errors(u, s);
        for (int tries = 0; s->readable && tries < 8; tries++) {
            ssize_t n = recv_once(s, buf, cap, ret_segment, &from);
            if (n >= 0) {
                u->turn = (u->turn + i) % SOCKETS;
                *ret_n = (size_t)n;
                target_from_addr(ret_from, &from);
                return RC_OK;
            }
            if (errno == EAGAIN)
                s->readable = false;
            else if (errno == EBADF || errno == ENOTSOCK)
                return RC_SYS;
            /* else: what an earlier message of ours met; the queue may hold more */
        }
    }
    u->turn++;
    u->trouble_new = false;
    return RC_AGAIN;
}

static enum rc udp_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                        struct target *ret_from)
{
    size_t segment;

    return recv_any((struct udp *)d, buf, cap, ret_n, &segment, ret_from);
}

static enum rc udp_recv_burst(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                              size_t *ret_segment, struct target *ret_from)
{
    struct udp *u = (struct udp *)d;
    int one = 1;

    for (int i = 0; i < SOCKETS; i++) {
        struct udp_socket *s = &u->socket[i];
        if (s->hot.fd >= 0 && !s->gro_asked) {
            s->gro_asked = true;
            s->gro = setsockopt(s->hot.fd, SOL_UDP, UDP_GRO, &one, sizeof one) == 0;
        }
    }
    enum rc rc = recv_any(u, buf, cap, ret_n, ret_segment, ret_from);
    if (rc == RC_OK && (*ret_segment == 0 || *ret_segment > *ret_n))
        *ret_segment = *ret_n;
    return rc;
}

static unsigned udp_ready(struct dgram *d, unsigned wish)
{
    struct udp *u = (struct udp *)d;
    unsigned ready = wish & (STREAM_OUT | STREAM_OPEN); /* sending never waits */

    if (u->trouble_new)
        ready |= wish & STREAM_IN;
    for (int i = 0; i < SOCKETS; i++) {
        const struct udp_socket *s = &u->socket[i];
        if (s->hot.fd >= 0 && (s->readable || s->errors))
            ready |= wish & STREAM_IN;
    }
    return ready;
}

static enum rc udp_local(struct dgram *d, struct addr *ret_addr)
{
    struct udp *u = (struct udp *)d;

    for (int i = 0; i < SOCKETS; i++) {
        if (u->socket[i].hot.fd >= 0)
            return os_local_addr(u->socket[i].hot.fd, ret_addr);
    }
    return RC_AGAIN;
}

static void udp_destroy(struct dgram *d)
{
    struct udp *u = (struct udp *)d;

    for (int i = 0; i < SOCKETS; i++)
        udp_socket_close(&u->socket[i]);
    free(u->interface);
    free(u->netns);
    u->interface = u->netns = NULL;
}

static const struct dgram_type type = {.name = "udp",
                                       .send = udp_send,
                                       .recv = udp_recv,
                                       .ready = udp_ready,
                                       .local = udp_local,
                                       .destroy = udp_destroy,
                                       .send_burst = udp_send_burst,
                                       .recv_burst = udp_recv_burst,
                                       .trouble = udp_trouble};

static struct udp *make(struct loop *loop)
{
    struct udp *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    dgram_init(&u->dgram, &type, loop, 0);
    for (int i = 0; i < SOCKETS; i++) {
        u->socket[i].hot.fd = -1;
        u->socket[i].udp = u;
    }
    return u;
}

/* false: no memory. */
static bool copy(const char *text, char **ret_copy, const char **ret_text)
{
    if (!text)
        return true;
    *ret_text = *ret_copy = strdup(text);
    return *ret_copy != NULL;
}

struct dgram *udp_dgram(struct loop *loop, const struct sockopts *so)
{
    struct udp *u = make(loop);

    if (!u)
        return NULL;
    if (so) {
        u->so = *so;
        if (!copy(so->interface, &u->interface, &u->so.interface) ||
            !copy(so->netns, &u->netns, &u->so.netns)) {
            dgram_close(&u->dgram);
            return NULL;
        }
    }
    return &u->dgram;
}

struct dgram *udp_dgram_fd(struct loop *loop, int fd)
{
    struct udp *u = make(loop);
    struct addr local = {0};
    int only6 = 1;
    socklen_t len = sizeof only6;

    if (!u) {
        os_close(fd);
        return NULL;
    }
    u->given = true;
    (void)os_local_addr(fd, &local); /* stays of no family: then it is not IPv6 */
    if (local.family == AF_INET6 && getsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &only6, &len) == 0)
        u->socket[0].mapped = !only6;
    if (udp_socket_adopt(&u->socket[0], loop, fd, local.family, on_hot) != RC_OK) {
        os_close(fd);
        u->socket[0].hot.fd = -1;
        dgram_close(&u->dgram);
        return NULL;
    }
    return &u->dgram;
}
