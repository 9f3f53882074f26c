/* quickclock - for LD_PRELOAD: after SIGUSR2 the program's clock runs QUICKCLOCK times as fast
 * (40), so that minutes of silence pass in seconds of a test.
 *
 * CLOCK_MONOTONIC and its kin go on from where they are, without a jump; the waits of epoll get
 * shorter by as much. The wall clock and the kernel's own timers stay as they are. No library of
 * the sanitizers is needed: it asks the kernel itself. One thread may switch, the main one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t rate = 1, switched_ns; /* real time at the switch */

static int64_t real_ns(void)
{
    struct timespec t;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_signal(int sig)
{
    const char *text = getenv("QUICKCLOCK");

    (void)sig;
    if (rate != 1)
        return;
    switched_ns = real_ns();
    rate = text ? atoi(text) : 40;
}

__attribute__((constructor)) static void begin(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigaction(SIGUSR2, &sa, NULL);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);

    if (rc == 0 && rate != 1 && id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE &&
        id != CLOCK_PROCESS_CPUTIME_ID && id != CLOCK_THREAD_CPUTIME_ID) {
        int64_t now = real_ns(), ns = now + (now - switched_ns) * (rate - 1);

        t->tv_sec = (time_t)(ns / 1000000000);
        t->tv_nsec = (long)(ns % 1000000000);
    }
    return (int)rc;
}

static int sooner(int ms)
{
    return ms > 0 && rate != 1 ? (int)((ms + rate - 1) / rate) : ms;
}

int epoll_pwait(int fd, struct epoll_event *events, int n, int ms, const sigset_t *mask)
{
    return (int)syscall(SYS_epoll_pwait, fd, events, n, sooner(ms), mask, 8);
}

int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
    return epoll_pwait(fd, events, n, ms, NULL);
}
