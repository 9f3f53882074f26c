/* core/sink.c - see sink.h. */
#include "core/sink.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_EVERY_MS = 1000 };

static uint64_t now_ms(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- opening */

static void make_parents(const char *path)
{
    char dir[1024];

    if (strlen(path) >= sizeof dir)
        return;
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        memcpy(dir, path, (size_t)(p - path));
        dir[p - path] = 0;
        (void)mkdir(dir, 0777); /* open() tells what is wrong */
    }
}

/* A FIFO of the file system without a reader is opened all the same, and its lines are lost. */
static int open_file(const char *path)
{
    enum { FLAGS = O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY };
    int fd;

    make_parents(path);
    fd = open(path, FLAGS | O_WRONLY | O_NONBLOCK, 0666);
    return fd < 0 && errno == ENXIO ? open(path, FLAGS | O_RDWR | O_NONBLOCK, 0666) : fd;
}

static void look_what_it_is(struct sink *s)
{
    struct stat st;

    s->kind = SINK_WAITS;
    if (s->fd < 0 || fstat(s->fd, &st))
        return;
    s->kind = S_ISREG(st.st_mode) ? SINK_PLAIN : S_ISSOCK(st.st_mode) ? SINK_SOCKET : SINK_WAITS;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
}

void sink_take(struct sink *s, int fd)
{
    sink_close(s);
    *s = (struct sink){.fd = fd};
    look_what_it_is(s);
}

enum rc sink_open(struct sink *s, const char *path, struct diag *diag)
{
    char *name = strdup(path);
    int fd = name ? open_file(path) : -1;

    if (fd < 0) {
        int err = name ? errno : ENOMEM;
        free(name);
        return diag_errno(diag, err, "log file %s", path);
    }
    sink_take(s, fd);
    s->path = name;
    s->looked_s = now_ms() / 1000;
    return RC_OK;
}

void sink_close(struct sink *s)
{
    if (s->path) {
        (void)close(s->fd);
        free(s->path);
    }
    *s = (struct sink){.fd = 2, .kind = SINK_WAITS};
    look_what_it_is(s);
}

/* Somebody turned the log over: what is now under its name is another file, or none. */
static void follow_name(struct sink *s)
{
    uint64_t now_s = now_ms() / 1000;
    struct stat st;
    int fd;

    if (!s->path || now_s == s->looked_s)
        return;
    s->looked_s = now_s;
    if (!stat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino)
        return;
    fd = open_file(s->path);
    if (fd < 0)
        return;
    (void)close(s->fd);
    s->fd = fd;
    s->torn = false;
    look_what_it_is(s);
}

/* ---------------------------------------------------------------- writing */

static bool takes_some(struct sink *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    uint64_t now = now_ms();
    int wait_ms = now - s->waited_ms >= WAIT_EVERY_MS ? SINK_PATIENCE_MS : 0;

    if (poll(&p, 1, 0) > 0)
        return true;
    if (!wait_ms)
        return false;
    s->waited_ms = now;
    return poll(&p, 1, wait_ms) > 0;
}

static ssize_t write_once(struct sink *s, const char *line, size_t n)
{
    static const char lf[] = "\n";
    struct iovec v[2] = {{(void *)(uintptr_t)lf, s->torn}, {(void *)(uintptr_t)line, n}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

    if (s->kind == SINK_PLAIN)
        return writev(s->fd, v, 2);
    if (!takes_some(s)) {
        errno = EAGAIN;
        return -1;
    }
    if (s->kind == SINK_SOCKET)
        return sendmsg(s->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* in one piece: a pipe that has room takes so much without a wait */
    return s->torn ? writev(s->fd, v, 2) : write(s->fd, line, n);
}

bool sink_line(struct sink *s, const char *line, size_t n)
{
    size_t whole;
    ssize_t k;

    if (s->fd < 0)
        return false;
    follow_name(s);
    whole = n + s->torn;
    do
        k = write_once(s, line, n);
    while (k < 0 && errno == EINTR);
    if (k == (ssize_t)whole) {
        s->torn = false;
        return true;
    }
    s->why = k < 0 ? errno : ENOSPC;
    s->torn = s->torn || k > 0;
    s->lost++;
    return false;
}
