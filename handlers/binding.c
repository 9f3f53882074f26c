/* handlers/binding.c - one accepted connection. Contract in handlers/binding.h.
 *
 * Who may hold a binding when it is freed: the loop's descriptor set (removed), its timer
 * (stopped).
 */
#include "handlers/binding.h"
#include "core/floor/tcp.h"
#include "core/host/netns.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/stream.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BACKLOG = 1, KEEPALIVE_S = 15, KEEPALIVE_PROBES = 9 }; /* keepalive as on every accept */

struct binding {
    struct loop *loop;
    struct hotfd hot;
    struct timer timer;
    int fd; /* -1: closed */
    binding_peer_fn *peer;
    void *arg;
    struct deferred deferred;
};

static void stop(struct binding *b)
{
    timer_stop(&b->timer);
    hotfd_remove(&b->hot);
    os_close(b->fd);
    b->fd = -1;
}

void binding_free(struct binding *b)
{
    if (!b)
        return;
    stop(b);
    loop_free_later(b->loop, &b->deferred, free, b);
}

static void on_timer(struct timer *t)
{
    struct binding *b = (struct binding *)((char *)t - offsetof(struct binding, timer));
    stop(b);
    b->peer(b->arg, NULL, NULL, RC_TIMEOUT, "nobody connected to the bound port");
}

/* Takes fd. NULL: reason in diag. */
static struct stream *stream_over(struct loop *loop, int fd, struct diag *diag)
{
    struct stream *s = stream_new(loop);
    if (!s) {
        os_close(fd);
        diag_set(diag, RC_NOMEM, "no memory for a connection");
        return NULL;
    }
    struct layer *l = tcp_layer(loop, fd, diag);
    if (l)
        stream_push(s, l);
    if (!l || stream_open(s) != RC_OK) { /* an accepted socket opens at once */
        diag_set(diag, RC_SYS, "the accepted connection is gone");
        stream_close(s);
        return NULL;
    }
    return s;
}

static void on_hot(struct hotfd *h, unsigned ready)
{
    struct binding *b = (struct binding *)((char *)h - offsetof(struct binding, hot));
    struct diag diag = {.rc = RC_OK};
    struct sockaddr_storage from;
    struct stream *s = NULL;
    struct addr peer = {.family = 0};
    int fd;
    (void)ready;
    do {
        socklen_t len = sizeof from;
        fd = accept4(b->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0 && errno == EAGAIN)
        return;
    if (fd >= 0) {
        os_keepalive(fd, KEEPALIVE_S, KEEPALIVE_S, KEEPALIVE_PROBES);
        peer = addr_unmap(addr_from_sockaddr((const struct sockaddr *)&from));
        s = stream_over(b->loop, fd, &diag);
    } else {
        diag_errno(&diag, errno, "accept");
    }
    stop(b);
    b->peer(b->arg, s, &peer, s ? RC_OK : diag.rc, diag.text);
}

enum rc binding_open(struct loop *loop, const char *netns, const struct addr *at, bool dual,
                     struct binding **ret_b, struct addr *ret_at, struct diag *diag)
{
    struct netns_visit visit = {-1};
    int fd;
    enum rc rc = netns_enter(netns, &visit, diag);
    if (rc != RC_OK)
        return rc;
    rc = os_listen_tcp(at, dual, false, BACKLOG, &fd, diag);
    netns_leave(&visit);
    if (rc != RC_OK)
        return rc;
    struct binding *b = calloc(1, sizeof *b);
    rc = b ? os_local_addr(fd, ret_at) : RC_NOMEM;
    if (rc != RC_OK) {
        free(b);
        os_close(fd);
        return diag_set(diag, rc, "a port to wait on: %s", rc_name(rc));
    }
    b->loop = loop;
    b->fd = fd;
    b->hot.fd = -1;
    timer_init(loop, &b->timer, on_timer);
    *ret_b = b;
    return RC_OK;
}

enum rc binding_start(struct binding *b, uint32_t wait_ms, binding_peer_fn *peer, void *arg)
{
    b->peer = peer;
    b->arg = arg;
    if (!timer_start(&b->timer, wait_ms))
        return RC_NOMEM;
    return hotfd_add(b->loop, &b->hot, b->fd, on_hot);
}
