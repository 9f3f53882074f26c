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

/* What lists meant when they were last asked about, for global destinations and as long as the
 * network does not change: asking the kernel costs 13 us and more, with hundreds of interfaces
 * milliseconds. Of the one thread. */
static struct remembered {
    char interface[128], netns[128];
    uint8_t family;
    uint32_t epoch;
    bool known;
    enum rc rc; /* RC_OK, or why there is none */
    int n;
    struct bind_choice v[CHOICES];
} remembered[4];
static unsigned next_remembered;

static struct remembered *find_remembered(const struct sockopts *so, const struct addr *to)
{
    for (size_t i = 0; i < sizeof remembered / sizeof remembered[0]; i++) {
        struct remembered *r = &remembered[i];
        if (r->known && r->family == to->family && r->epoch == uplink_epoch() &&
            strcmp(r->interface, so->interface) == 0 &&
            strcmp(r->netns, so->netns ? so->netns : "") == 0)
            return r;
    }
    return NULL;
}

static void remember(const struct sockopts *so, const struct addr *to, uint32_t epoch, enum rc rc,
                     const struct bind_choice *v, int n)
{
    struct remembered *r = &remembered[next_remembered++ % 4];
    const char *netns = so->netns ? so->netns : "";

    r->known = false;
    if (strlen(so->interface) >= sizeof r->interface || strlen(netns) >= sizeof r->netns)
        return;
    memcpy(r->interface, so->interface, strlen(so->interface) + 1);
    memcpy(r->netns, netns, strlen(netns) + 1);
    r->family = to->family;
    r->epoch = epoch;
    r->known = true;
    r->rc = rc;
    r->n = n;
    memcpy(r->v, v, (size_t)n * sizeof *v);
}

/* What the list means now; n 0: no binding asked. anew: whatever is remembered. */
static enum rc look(const struct sockopts *so, const struct addr *to, bool anew,
                    struct bind_choice *v, int *ret_n, struct diag *diag)
{
    if (!so->interface || !so->interface[0])
        return os_bind_choices(so, to, v, CHOICES, ret_n, diag);
    bool keep = uplink_watch(so->netns) && addr_is_global(to);
    struct remembered *r = keep ? find_remembered(so, to) : NULL;
    if (r && !anew) {
        memcpy(v, r->v, (size_t)r->n * sizeof *v);
        *ret_n = r->n;
        return r->rc == RC_OK ? RC_OK
                              : diag_set(diag, r->rc, "interface %s: not there", so->interface);
    }
    if (r)
        r->known = false;
    uint32_t epoch = uplink_epoch();
    enum rc rc = os_bind_choices(so, to, v, CHOICES, ret_n, diag);
    if (keep && (rc == RC_OK || rc == RC_UNREACH_NET))
        remember(so, to, epoch, rc, v, *ret_n);
    return rc;
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
    enum rc rc = look(so, to, false, v, &n, diag);

    if (rc == RC_OK && make(so, to, v, n, 0, &fd, &s->choice, NULL) != RC_OK) {
        rc = look(so, to, true, v, &n, diag); /* the news of a change may be on its way */
        if (rc == RC_OK)
            rc = make(so, to, v, n, 0, &fd, &s->choice, diag);
    }
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

bool udp_socket_is_lost(const struct udp_socket *s)
{
    return s->choice.device[0] && !is_bound_to(s->hot.fd, s->choice.device);
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
    bool stale = s->epoch == epoch; /* no change was heard of, yet it does not work */
    enum rc rc = look(so, to, stale, v, &n, diag);

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
