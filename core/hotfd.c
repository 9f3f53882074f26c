/* core/hotfd.c - hot descriptors: our own edge-triggered epoll set, found by descriptor. See
 * loop.h.
 */
#include "core/loop_in.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

void hotfd_deliver(struct loop *loop)
{
    struct epoll_event ev[HOT_BATCH];
    int n;

    n = epoll_wait(loop->epfd, ev, HOT_BATCH, 0);
    if (n <= 0)
        return;
    for (int i = 0; i < n; i++)
        loop->batch[i] = loop->hot[ev[i].data.fd];
    loop->batch_n = n;
    for (int i = 0; i < n; i++) {
        struct hotfd *h = loop->batch[i];
        unsigned ready = 0;

        if (!h)
            continue; /* removed by one that came before it */
        if (ev[i].events & EPOLLIN)
            ready |= HOT_IN;
        if (ev[i].events & EPOLLOUT)
            ready |= HOT_OUT;
        if (ev[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
            ready |= HOT_HUP;
        if (ev[i].events & EPOLLERR)
            ready |= HOT_ERR;
        loop->batch[i] = NULL;
        h->seen |= ready;
        h->fn(h, ready);
    }
    loop->batch_n = 0;
}

static bool hot_room(struct loop *loop, size_t fd)
{
    size_t cap = loop->hot_cap ? loop->hot_cap : 64;
    struct hotfd **v;

    if (fd < loop->hot_cap)
        return true;
    while (cap <= fd)
        cap *= 2;
    v = realloc(loop->hot, cap * sizeof(*v));
    if (!v)
        return false;
    memset(v + loop->hot_cap, 0, (cap - loop->hot_cap) * sizeof(*v));
    loop->hot = v;
    loop->hot_cap = cap;
    return true;
}

enum rc hotfd_add(struct loop *loop, struct hotfd *h, int fd, hotfd_fn *fn)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};

    *h = (struct hotfd){.loop = loop, .fn = fn, .fd = -1};
    if (!hot_room(loop, (size_t)fd))
        return RC_NOMEM;
    if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev))
        return rc_from_errno(errno);
    h->fd = fd;
    loop->hot[fd] = h;
    if (!loop->hot_users++)
        uv_ref((uv_handle_t *)&loop->poll);
    return RC_OK;
}

void hotfd_remove(struct hotfd *h)
{
    struct loop *loop = h->loop;

    if (h->fd < 0)
        return;
    (void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, h->fd, NULL); /* it may be gone with a lost device */
    if (loop->hot[h->fd] == h)
        loop->hot[h->fd] = NULL;
    h->fd = -1;
    for (int i = 0; i < loop->batch_n; i++)
        if (loop->batch[i] == h)
            loop->batch[i] = NULL;
    if (!--loop->hot_users)
        uv_unref((uv_handle_t *)&loop->poll);
}

void hotfd_take(struct hotfd *to, struct hotfd *from, hotfd_fn *fn)
{
    struct loop *loop = from->loop;

    BUG_ON(from->fd < 0);
    *to = (struct hotfd){.loop = loop, .fn = fn, .fd = from->fd, .seen = from->seen};
    loop->hot[to->fd] = to;
    for (int i = 0; i < loop->batch_n; i++)
        if (loop->batch[i] == from)
            loop->batch[i] = to;
    from->fd = -1;
}
