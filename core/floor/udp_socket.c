/* core/floor/udp_socket.c - see udp_socket.h. */
#include "core/floor/udp_socket.h"
#include "core/host/uplink.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { CHOICES = 8 };

enum rc udp_socket_adopt(struct udp_socket *s, struct loop *loop, int fd, int family, hotfd_fn *fn)
{
    int one = 1;

    /* what a target refuses is told to the client; without it the flow works all the same */
    (void)setsockopt(fd, SOL_IP, IP_RECVERR, &one, sizeof one);
    if (family == AF_INET6)
        (void)setsockopt(fd, SOL_IPV6, IPV6_RECVERR, &one, sizeof one);
    return hotfd_add(loop, &s->hot, fd, fn);
}

void udp_socket_close(struct udp_socket *s)
{
    int fd = s->hot.fd;

    if (fd < 0)
        return;
    hotfd_remove(&s->hot);
    os_close(fd);
}

/* What the list means now; n 0: no binding asked. */
static enum rc look(const struct sockopts *so, const struct addr *to, struct bind_choice *v,
                    int *ret_n, struct diag *diag)
{
    bool asked = so->interface && so->interface[0];

    if (asked)
        (void)uplink_watch(so->netns); /* where nobody watches, a failed send makes us look */
    return os_bind_choices(so, to, v, CHOICES, ret_n, diag);
}

/* The first of n choices that can be had, with this port if that is free. */
static enum rc make(const struct sockopts *so, const struct addr *to, const struct bind_choice *v,
                    int n, uint16_t port, int *ret_fd, struct bind_choice *ret_choice,
                    struct diag *diag)
{
    const struct bind_choice none = {.strict = false};
    enum rc rc = RC_UNREACH_NET;

    for (int i = 0; i < (n ? n : 1); i++) {
        struct bind_choice c = n ? v[i] : none;
        *ret_choice = c;
        if (port) {
            if (!c.local.family)
                c.local = (struct addr){.family = to->family};
            c.local.port = port;
            if (os_socket_for(SOCK_DGRAM, to, so, &c, ret_fd, NULL) == RC_OK)
                return RC_OK;
        }
        rc = os_socket_for(SOCK_DGRAM, to, so, n ? &v[i] : NULL, ret_fd, diag);
        if (rc == RC_OK || c.strict)
            return rc;
    }
    return rc;
}

enum rc udp_socket_open(struct udp_socket *s, struct loop *loop, const struct sockopts *so,
                        const struct addr *to, hotfd_fn *fn, struct diag *diag)
{
    struct bind_choice v[CHOICES];
    int n = 0, fd;
    uint32_t epoch = uplink_epoch();
    enum rc rc = look(so, to, v, &n, diag);

    if (rc == RC_OK)
        rc = make(so, to, v, n, 0, &fd, &s->choice, diag);
    if (rc != RC_OK)
        return rc;
    rc = udp_socket_adopt(s, loop, fd, to->family, fn);
    if (rc != RC_OK)
        os_close(fd);
    s->epoch = epoch;
    return rc;
}

/* Is fd bound to that device, as it is numbered now? */
static bool is_bound_to(int fd, const char *device)
{
    char name[16] = "";
    socklen_t len = sizeof name;

    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) != 0)
        return false; /* the device it was bound to is gone */
    return len == 0 || strncmp(name, device, sizeof name) == 0; /* 0: never bound to one */
}

/* It is by the device that comes first, and its address is still one of that device's: another one
 * that has come along is no reason to change what peers know. */
static bool is_right(const struct udp_socket *s, const struct bind_choice *v, int n)
{
    if (strcmp(s->choice.device, v[0].device) != 0 || !is_bound_to(s->hot.fd, v[0].device))
        return false;
    for (int i = 0; i < n; i++) {
        if (strcmp(v[i].device, v[0].device) == 0 && addr_same_ip(&s->choice.local, &v[i].local))
            return true;
    }
    return false;
}

enum rc udp_socket_renew(struct udp_socket *s, struct loop *loop, const struct sockopts *so,
                         const struct addr *to, hotfd_fn *fn, struct diag *diag)
{
    struct bind_choice v[CHOICES], choice;
    struct addr local = {.family = 0};
    uint32_t epoch = uplink_epoch();
    int n = 0, fd;
    enum rc rc = look(so, to, v, &n, diag);

    if (rc != RC_OK)
        return rc;
    s->epoch = epoch;
    if (n == 0 || is_right(s, v, n))
        return RC_OK;
    (void)os_local_addr(s->hot.fd, &local);
    rc = make(so, to, v, n, local.port, &fd, &choice, diag);
    if (rc != RC_OK)
        return rc;
    struct udp_socket fresh = {.udp = s->udp, .epoch = epoch, .choice = choice, .hot.fd = -1};
    udp_socket_close(s);
    *s = fresh;
    rc = udp_socket_adopt(s, loop, fd, to->family, fn);
    if (rc != RC_OK) {
        os_close(fd);
        s->hot.fd = -1;
    }
    return rc;
}
