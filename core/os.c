/* core/os.c - sockets as cgost wants them. See os.h. */
#include "core/os.h"
#include "core/host/netns.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of connections of ours, as Go's: a NAT that forgot one, or a far end that lost its power, is
 * noticed after two and a half minutes of silence, not never (gost-config.md 10.1). */
enum { KEEPALIVE_S = 15, KEEPALIVE_PROBES = 9 };

void os_close(int fd)
{
    int keep = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = keep;
}

void os_keep_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", O_RDWR); /* the lowest that is free: fd */
}

uint64_t os_raise_fd_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r))
        return 1024;
    if (r.rlim_cur < r.rlim_max) {
        struct rlimit more = {r.rlim_max, r.rlim_max};

        if (!setrlimit(RLIMIT_NOFILE, &more))
            r = more;
    }
    return r.rlim_cur;
}

size_t os_fd_part(unsigned part, size_t most)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur / part > most)
        return most;
    return (size_t)(r.rlim_cur / part);
}

/* ---------------------------------------------------------------- sockets */

static int socket_in(const char *netns, int family, int type, struct diag *diag)
{
    struct netns_visit visit = {-1};

    if (netns_enter(netns, &visit, diag) != RC_OK) {
        errno = ENETUNREACH; /* until it is there nothing leaves by it */
        return -1;
    }
    int protocol = type != OS_PING ? 0 : family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    int kind = type == OS_PING ? SOCK_DGRAM : type;
    int fd = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        diag_errno(diag, errno, "socket");
    int keep = errno;
    netns_leave(&visit);
    errno = keep;
    return fd;
}

enum rc os_socket_for(int type, const struct addr *to, const struct sockopts *so,
                      const struct bind_choice *choice, int *ret_fd, struct diag *diag)
{
    int fd = socket_in(so ? so->netns : NULL, to->family ? to->family : AF_INET6, type, diag);
    enum rc rc;

    if (fd < 0)
        return errno ? rc_from_errno(errno) : RC_SYS;
    if (so && so->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &so->mark, sizeof so->mark)) {
        rc = diag_errno(diag, errno, "so_mark %u", so->mark);
        goto fail;
    }
    if (choice && choice->device[0] && addr_is_global(to) &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, choice->device,
                   (socklen_t)strlen(choice->device) + 1)) {
        rc = diag_errno(diag, errno, "bind to device %s", choice->device);
        goto fail;
    }
    if (choice && choice->local.family) {
        struct sockaddr_storage ss;
        socklen_t len = addr_to_sockaddr(&choice->local, false, &ss);
        int one = 1;

        if (type == SOCK_STREAM) /* the port is chosen at connect: more than 28,000 flows per source
                                    address */
            (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&ss, len)) {
            char text[ADDR_TEXT_MAX];

            rc = diag_errno(diag, errno, "bind %s",
                            addr_format_ip(&choice->local, text, sizeof text));
            goto fail;
        }
    }
    if (type == SOCK_STREAM)
        os_keepalive(fd, KEEPALIVE_S, KEEPALIVE_S, KEEPALIVE_PROBES);
    *ret_fd = fd;
    return RC_OK;
fail:
    os_close(fd);
    return rc;
}

enum rc os_connect(int fd, const struct addr *to, struct diag *diag)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, false, &ss);
    char text[ADDR_TEXT_MAX];

    if (!connect(fd, (struct sockaddr *)&ss, len) || errno == EINPROGRESS)
        return RC_OK;
    return diag_errno(diag, errno == EAGAIN ? EADDRNOTAVAIL : errno, "connect %s",
                      addr_format(to, text, sizeof text));
}

int os_socket_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof err;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

bool os_connect_ended(int fd, bool is_error, int *ret_err)
{
    struct addr peer;
    int err = os_socket_error(fd);

    if (!err && is_error && os_peer_addr(fd, &peer) != RC_OK) {
        err = os_socket_error(fd);
        if (!err)
            return false;
    }
    *ret_err = err;
    return true;
}

static enum rc bind_at(int type, const struct addr *at, bool dual, bool reuseport,
                       const struct sockopts *so, int *ret_fd, struct diag *diag)
{
    bool v6 = dual || at->family != AF_INET;
    struct sockaddr_storage ss;
    struct addr any = *at;
    char text[ADDR_TEXT_MAX];
    int one = 1, off = !dual, fd;
    socklen_t len;

    fd = socket_in(so ? so->netns : NULL, v6 ? AF_INET6 : AF_INET, type, diag);
    if (fd < 0 && v6 && dual && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        if (diag)
            diag->rc = RC_OK;
        v6 = false;
        fd = socket_in(so ? so->netns : NULL, AF_INET, type, diag);
    }
    if (fd < 0)
        return errno ? rc_from_errno(errno) : RC_SYS;
    if (any.family == 0 || (dual && addr_is_wildcard(at)))
        any = (struct addr){.family = v6 ? AF_INET6 : AF_INET, .port = at->port};
    if (v6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (reuseport)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (so && so->mark)
        (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &so->mark, sizeof so->mark);
    len = addr_to_sockaddr(&any, v6, &ss);
    if (bind(fd, (struct sockaddr *)&ss, len)) {
        enum rc rc = diag_errno(diag, errno, "bind %s", addr_format(at, text, sizeof text));

        os_close(fd);
        return rc;
    }
    *ret_fd = fd;
    return RC_OK;
}

enum rc os_listen_tcp(const struct addr *at, bool dual, bool reuseport, int backlog, int *ret_fd,
                      struct diag *diag)
{
    int fd;
    enum rc rc = bind_at(SOCK_STREAM, at, dual, reuseport, NULL, &fd, diag);

    if (rc != RC_OK)
        return rc;
    if (listen(fd, backlog)) {
        char text[ADDR_TEXT_MAX];

        rc = diag_errno(diag, errno, "listen %s", addr_format(at, text, sizeof text));
        os_close(fd);
        return rc;
    }
    *ret_fd = fd;
    return RC_OK;
}

enum rc os_bind_udp(const struct addr *at, bool dual, const struct sockopts *so, int *ret_fd,
                    struct diag *diag)
{
    return bind_at(SOCK_DGRAM, at, dual, false, so, ret_fd, diag);
}

enum rc os_local_addr(int fd, struct addr *ret_a)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getsockname(fd, (struct sockaddr *)&ss, &len))
        return rc_from_errno(errno);
    *ret_a = addr_from_sockaddr((struct sockaddr *)&ss);
    return RC_OK;
}

enum rc os_peer_addr(int fd, struct addr *ret_a)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;

    if (getpeername(fd, (struct sockaddr *)&ss, &len))
        return rc_from_errno(errno);
    *ret_a = addr_from_sockaddr((struct sockaddr *)&ss);
    return RC_OK;
}

void os_patience(int fd, unsigned ms)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void os_keepalive(int fd, int idle_s, int interval_s, int count)
{
    int one = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}
