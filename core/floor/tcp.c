/* core/floor/tcp.c - a kernel TCP socket as the bottom floor. See tcp.h.
 *
 * The descriptor is edge-triggered: readable and writable remember the last edge until a call says
 * EAGAIN, so that "ready" costs no system call.
 */
#include "core/floor/tcp.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

struct tcp {
    struct layer layer;
    struct hotfd hot;
    int fd;
    bool connecting, readable, writable, hup, failed, shut;
    int lost; /* errno of a send that failed while there were bytes to be read first; 0: none */
};

static void on_hot(struct hotfd *h, unsigned ready)
{
    struct tcp *t = (struct tcp *)((char *)h - offsetof(struct tcp, hot));

    if (ready & (HOT_IN | HOT_HUP))
        t->readable = true;
    if (ready & (HOT_OUT | HOT_HUP))
        t->writable = true;
    if (ready & HOT_HUP)
        t->hup = true;
    if (ready & HOT_ERR)
        t->failed = true;
    layer_wake(&t->layer);
}

static enum rc tcp_open(struct layer *l)
{
    struct tcp *t = (struct tcp *)l;
    int err;

    if (!t->connecting)
        return RC_OK;
    if (!t->writable)
        return RC_AGAIN;
    if (!os_connect_ended(t->fd, t->failed, &err)) { /* its end comes as another edge */
        t->readable = t->writable = t->hup = t->failed = false;
        return RC_AGAIN;
    }
    if (err) {
        struct diag d = {0};

        diag_errno(&d, err, "connect");
        return layer_fail(l, d.rc == RC_AGAIN ? RC_SYS : d.rc, "%s", d.text);
    }
    t->connecting = false;
    return RC_OK;
}

static enum rc tcp_failed(struct tcp *t, const char *what)
{
    struct diag d = {0};

    diag_errno(&d, errno, "%s", what);
    return layer_fail(&t->layer, d.rc, "%s", d.text);
}

/* The connection is over, but what the peer said before that comes first: an answer to an upload it
 * did not want arrives together with its reset. tcp_recv() fails behind the last byte. */
static bool has_last_words(struct tcp *t)
{
    int err = errno;
    char byte;
    bool has = recv(t->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;

    errno = err;
    if (!has)
        return false;
    if (!t->lost)
        t->lost = err;
    t->readable = t->hup = true;
    t->writable = false;
    layer_wake(&t->layer);
    return true;
}

static enum rc tcp_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct tcp *t = (struct tcp *)l;
    ssize_t n;

    if (!t->readable)
        return RC_AGAIN;
    do
        n = recv(t->fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        /* A short read means the queue is empty now: the next bytes bring a new edge. The end of
         * the stream, which may have come with the same edge, does not. */
        if ((size_t)n < cap && !t->hup)
            t->readable = false;
        *ret_n = (size_t)n;
        return RC_OK;
    }
    if (n == 0 && !t->lost)
        return RC_EOF;
    if (t->lost) {
        errno = t->lost;
        return tcp_failed(t, "send");
    }
    if (errno == EAGAIN) {
        t->readable = false;
        return RC_AGAIN;
    }
    return tcp_failed(t, "recv");
}

static enum rc tcp_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    struct tcp *t = (struct tcp *)l;
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)nv};
    ssize_t n;

    if (!t->writable)
        return RC_AGAIN;
    do
        n = sendmsg(t->fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        *ret_n = (size_t)n;
        return RC_OK;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
        t->writable = false;
        return RC_AGAIN;
    }
    return has_last_words(t) ? RC_AGAIN : tcp_failed(t, "send");
}

static enum rc tcp_shut(struct layer *l)
{
    struct tcp *t = (struct tcp *)l;

    if (!t->shut && shutdown(t->fd, SHUT_WR) && errno != ENOTCONN)
        return tcp_failed(t, "shutdown");
    t->shut = true;
    return RC_OK;
}

static unsigned tcp_ready(const struct layer *l, unsigned wish)
{
    const struct tcp *t = (const struct tcp *)l;
    unsigned r = 0;

    if (t->connecting)
        return t->writable ? wish & STREAM_OPEN : 0;
    if (t->readable)
        r |= STREAM_IN;
    if (t->writable)
        r |= STREAM_OUT;
    if (t->failed)
        r |= STREAM_GONE;
    return (r | STREAM_OPEN) & wish;
}

static enum rc tcp_query(struct layer *l, enum layer_query q, void *ret_value)
{
    struct tcp *t = (struct tcp *)l;

    switch (q) {
    case QUERY_LOCAL_ADDR:
        return os_local_addr(t->fd, ret_value);
    case QUERY_PEER_ADDR:
        return os_peer_addr(t->fd, ret_value);
    case QUERY_CONFIRMED:
        *(enum stream_confirmed *)ret_value = CONFIRMED_YES;
        return RC_OK;
    case QUERY_SECURE:
        *(bool *)ret_value = false;
        return RC_OK;
    case QUERY_FD:
    case QUERY_SOCKET:
        *(int *)ret_value = t->fd;
        return RC_OK;
    case QUERY_EXPEDITE:
        return RC_OK;
    case QUERY_BOUND_ADDR:
    case QUERY_ALPN:
        break;
    }
    return RC_UNSUPPORTED;
}

static void tcp_destroy(struct layer *l, bool aborting)
{
    struct tcp *t = (struct tcp *)l;

    if (t->fd < 0)
        return;
    hotfd_remove(&t->hot);
    if (aborting) {
        struct linger lg = {.l_onoff = 1};

        (void)setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    }
    close(t->fd);
    t->fd = -1;
}

static const struct layer_type tcp_type = {
    .name = "tcp",
    .open = tcp_open,
    .recv = tcp_recv,
    .send = tcp_send,
    .shut = tcp_shut,
    .ready = tcp_ready,
    .query = tcp_query,
    .destroy = tcp_destroy,
};

static struct tcp *tcp_new(int fd, struct diag *diag)
{
    struct tcp *t = calloc(1, sizeof *t);
    int one = 1;

    if (!t) {
        diag_set(diag, RC_NOMEM, "no memory for a connection");
        return NULL;
    }
    t->layer.type = &tcp_type;
    t->fd = fd;
    t->readable = t->writable = true; /* not known: the first calls find out */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return t;
}

struct layer *tcp_layer(struct loop *loop, int fd, struct diag *diag)
{
    struct tcp *t = tcp_new(fd, diag);
    enum rc rc = t ? hotfd_add(loop, &t->hot, fd, on_hot) : RC_NOMEM;

    if (rc == RC_OK)
        return &t->layer;
    if (t)
        diag_set(diag, rc, "epoll: %s", rc_name(rc));
    close(fd);
    free(t);
    return NULL;
}

struct layer *tcp_layer_hot(struct hotfd *hot, struct diag *diag)
{
    int fd = hot->fd;
    struct tcp *t = tcp_new(fd, diag);

    if (!t) {
        hotfd_remove(hot);
        close(fd);
        return NULL;
    }
    hotfd_take(&t->hot, hot, on_hot);
    t->hup = (t->hot.seen & HOT_HUP) != 0;
    t->failed = (t->hot.seen & HOT_ERR) != 0;
    return &t->layer;
}

struct layer *tcp_connect_layer(struct loop *loop, const struct addr *peer,
                                const struct sockopts *so, struct diag *diag)
{
    struct bind_choice choice;
    struct layer *l;
    int fd, n = 0;

    if (so && os_bind_choices(so, peer, &choice, 1, &n, diag) != RC_OK)
        return NULL;
    if (os_socket_for(SOCK_STREAM, peer, so, n ? &choice : NULL, &fd, diag) != RC_OK)
        return NULL;
    if (os_connect(fd, peer, diag) != RC_OK) {
        close(fd);
        return NULL;
    }
    l = tcp_layer(loop, fd, diag);
    if (l) {
        struct tcp *t = (struct tcp *)l;

        t->connecting = true;
        t->readable = t->writable = false; /* the edge tells how the connect ended */
    }
    return l;
}
