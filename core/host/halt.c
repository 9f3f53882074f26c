/* core/host/halt.c - see halt.h. */
#include "core/host/halt.h"
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const int held[] = {SIGTERM, SIGINT};
enum { HELD = sizeof held / sizeof *held };

static struct {
    int fd; /* -1: nothing is held */
    struct sigaction before[HELD];
} the_halt = {.fd = -1};
static volatile sig_atomic_t last;

static void on_signal(int signum)
{
    int before = errno;
    uint64_t one = 1;
    ssize_t n = write(the_halt.fd, &one, sizeof one);

    (void)n; /* full: it is readable as it is */
    last = signum;
    errno = before;
}

void halt_hold(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    int fd = the_halt.fd < 0 ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;

    if (fd < 0)
        return;
    the_halt.fd = fd;
    last = 0;
    sigfillset(&sa.sa_mask);
    for (int i = 0; i < HELD; i++)
        (void)sigaction(held[i], &sa, &the_halt.before[i]);
}

void halt_release(void)
{
    if (the_halt.fd < 0)
        return;
    for (int i = 0; i < HELD; i++)
        (void)sigaction(held[i], &the_halt.before[i], NULL);
    (void)close(the_halt.fd);
    the_halt.fd = -1;
    int signum = last;
    last = 0;
    if (signum)
        (void)raise(signum);
}

int halt_signal(void)
{
    return last;
}

void halt_forget(void)
{
    halt_taken();
    last = 0;
}

int halt_fd(void)
{
    return the_halt.fd;
}

void halt_taken(void)
{
    uint64_t n;
    ssize_t got = the_halt.fd < 0 ? 0 : read(the_halt.fd, &n, sizeof n);

    (void)got; /* nothing there is fine */
}
