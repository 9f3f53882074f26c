/* core/host/command.c - posix_spawn and wait. */
#include "core/host/command.h"
#include "core/host/halt.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

bool command_failure(int exit_status, int signal, char *buf, size_t cap)
{
    if (signal != 0)
        (void)snprintf(buf, cap, "signal: %s", strsignal(signal));
    else if (exit_status != 0)
        (void)snprintf(buf, cap, "exit status %d", exit_status);
    else
        return false;
    return true;
}

void command_not_started(const char *name, int err, char *buf, size_t cap)
{
    if (err == ENOENT && !strchr(name, '/'))
        (void)snprintf(buf, cap, "exec: \"%s\": executable file not found in $PATH", name);
    else
        (void)snprintf(buf, cap, "exec: \"%s\": %s", name, strerror(err));
}

static int spawn(const struct command *c, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int err = posix_spawn_file_actions_init(&actions);

    if (err != 0)
        return err;
    err = posix_spawnattr_init(&attr);
    if (err != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return err;
    }
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    err = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (err == 0)
        err = posix_spawnattr_setsigmask(&attr, &none);
    if (err == 0)
        err = posix_spawnattr_setsigdefault(&attr, &all);
    if (err == 0)
        err = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; fd <= 2 && c->quiet && err == 0; fd++)
        err = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
    if (err == 0)
        err =
            posix_spawnp(ret_pid, c->argv[0], &actions, &attr, c->argv, c->env ? c->env : environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* Waits for its end, and passes on that we are told to stop: politely, then not. false: it did not
 * end in time. */
static bool ends_within(pid_t pid, const struct command *c)
{
    struct pollfd p[2] = {{.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN},
                          {.fd = c->halts ? halt_fd() : -1, .events = POLLIN}};
    int timeout = c->wait_ms > 0 ? (int)c->wait_ms : -1, n = 1, told = 0;

    if (p[0].fd < 0) /* an old kernel: then it has all the time it wants */
        return true;
    do {
        n = poll(p, 2, timeout);
        if (n > 0 && p[0].revents == 0 && p[1].revents != 0) {
            halt_taken();
            (void)kill(pid, told++ ? SIGKILL : SIGTERM); /* not yet waited for: the id is its own */
        }
    } while (p[0].revents == 0 && (n > 0 || (n < 0 && errno == EINTR)));
    close(p[0].fd);
    return n != 0;
}

enum rc command_run(const struct command *c, struct diag *diag)
{
    char text[160];
    pid_t pid;
    int status = 0;

    int err = spawn(c, &pid);
    if (err != 0) {
        command_not_started(c->argv[0], err, text, sizeof(text));
        return diag_set(diag, err == ENOENT ? RC_UNSUPPORTED : rc_from_errno(err), "%s", text);
    }
    bool late = (c->wait_ms > 0 || c->halts) && !ends_within(pid, c);
    if (late)
        (void)kill(pid, SIGKILL); /* our own child, not yet waited for: the id is still its own */
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return diag_errno(diag, errno, "wait for %s", c->argv[0]);
    }
    if (late)
        return diag_set(diag, RC_TIMEOUT, "no end within %u ms", c->wait_ms);
    if (!command_failure(WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                         WIFSIGNALED(status) ? WTERMSIG(status) : 0, text, sizeof(text)))
        return RC_OK;
    return diag_set(diag, RC_SYS, "%s", text);
}
