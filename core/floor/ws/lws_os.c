/* core/floor/ws/lws_os.c - the descriptors libwebsockets sees: numbers that stand for our streams.
 */
#include "core/floor/ws/lws_os.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What LWS takes for the limit of open files. It makes a table of pointers of that size, of which
 * only the used pages ever exist; and above 10 million it would fall back to 2,560. */
enum { FD_MAX = 1 << 17, FD_FIRST = 1, NO_FD = -1 };

/* Invariant: a slot is on the free list or given, never both; slot 0 is never given, because LWS
 * takes an event pipe of number 0 for none. */
static struct slot {
    void *stream; /* NULL: LWS's own (its event pipe, its random device), or not yet bound */
    int next_free;
    bool given;
} * slots;
static int slots_cap, slots_end = FD_FIRST, first_free = NO_FD, inuse;
static const struct lws_os_ops *os_ops;

/* NULL: LWS is gone. It leaves numbers of its own behind, so the table goes whatever it holds. */
void lws_os_init(const struct lws_os_ops *ops)
{
    os_ops = ops;
    if (ops)
        return;
    free(slots);
    slots = NULL;
    slots_cap = 0;
    slots_end = FD_FIRST;
    first_free = NO_FD;
    inuse = 0;
}

int lws_os_inuse(void)
{
    return inuse;
}

static struct slot *slot_of(int fd)
{
    return fd >= FD_FIRST && fd < slots_end && slots[fd].given ? &slots[fd] : NULL;
}

static int slot_grow(void)
{
    int cap = slots_cap ? 2 * slots_cap : 64;
    struct slot *p;

    if (slots_end == FD_MAX) {
        errno = EMFILE;
        return -1;
    }
    p = realloc(slots, (size_t)cap * sizeof(*p));
    if (!p) {
        errno = ENOMEM;
        return -1;
    }
    slots = p;
    slots_cap = cap;
    return 0;
}

int lws_os_fd(void *stream)
{
    int fd = first_free;

    if (fd != NO_FD) {
        first_free = slots[fd].next_free;
    } else {
        if (slots_end >= slots_cap && slot_grow())
            return -1;
        fd = slots_end++;
    }
    slots[fd] = (struct slot){.stream = stream, .next_free = NO_FD, .given = true};
    inuse++;
    return fd;
}

void lws_os_bind(int fd, void *stream)
{
    struct slot *s = slot_of(fd);

    if (s)
        s->stream = stream;
}

int lws_os_close(int fd)
{
    struct slot *s = slot_of(fd);
    void *stream;

    if (!s) {
        errno = EBADF;
        return -1;
    }
    stream = s->stream;
    *s = (struct slot){.next_free = first_free};
    first_free = fd;
    inuse--;
    if (stream && os_ops->closed)
        os_ops->closed(stream);
    return 0;
}

ssize_t lws_os_recv(int fd, void *buf, size_t n, int flags)
{
    struct slot *s = slot_of(fd);

    (void)flags; /* LWS peeks at nothing */
    return s && s->stream ? os_ops->recv(s->stream, buf, n) : 0;
}

ssize_t lws_os_send(int fd, const void *buf, size_t n, int flags)
{
    struct slot *s = slot_of(fd);

    (void)flags;
    if (!s || !s->stream) {
        errno = EPIPE;
        return -1;
    }
    return os_ops->send(s->stream, buf, n);
}

/* LWS reads only its random device. */
ssize_t lws_os_read(int fd, void *buf, size_t n)
{
    (void)fd;
    os_ops->random(buf, n);
    return (ssize_t)n;
}

/* "Can it take more?" The floor below was asked before anything was written. */
int lws_os_poll(struct pollfd *fds, nfds_t n, int timeout)
{
    (void)timeout;
    for (nfds_t i = 0; i < n; i++)
        fds[i].revents = (short)(fds[i].events & POLLOUT);
    return (int)n;
}

long lws_os_sysconf(int name)
{
    (void)name;
    return FD_MAX;
}

/* ---- what makes a number ---- */

int lws_os_socket(int domain, int type, int protocol)
{
    (void)domain;
    (void)type;
    (void)protocol;
    return lws_os_fd(NULL);
}

int lws_os_eventfd(unsigned value, int flags)
{
    (void)value;
    (void)flags;
    return lws_os_fd(NULL);
}

int lws_os_open(const char *path, int flags, ...)
{
    (void)path;
    (void)flags;
    return lws_os_fd(NULL);
}

/* ---- what is true of any number ---- */

/* The stream below is open before LWS hears of it. */
int lws_os_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    (void)fd;
    (void)addr;
    (void)len;
    return 0;
}

int lws_os_shutdown(int fd, int how)
{
    (void)fd;
    (void)how;
    return 0;
}

int lws_os_fcntl(int fd, int cmd, ...)
{
    (void)fd;
    (void)cmd;
    return 0;
}

int lws_os_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
    (void)fd;
    (void)level;
    (void)name;
    (void)val;
    (void)len;
    return 0;
}

/* SO_ERROR: none. */
int lws_os_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
    (void)fd;
    (void)level;
    (void)name;
    memset(val, 0, *len);
    return 0;
}

int lws_os_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    (void)fd;
    memset(addr, 0, *len);
    return 0;
}

int lws_os_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    (void)fd;
    memset(addr, 0, *len);
    return 0;
}

int lws_os_eventfd_write(int fd, eventfd_t value)
{
    (void)fd;
    (void)value;
    return 0;
}

int lws_os_eventfd_read(int fd, eventfd_t *value)
{
    (void)fd;
    *value = 0;
    return 0;
}

int lws_os_refuse(int fd, ...)
{
    (void)fd;
    errno = EBADF;
    return -1;
}
