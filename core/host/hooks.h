/* core/host/hooks.h - preUp, postUp, preDown and postDown commands: run one after another, without
 * a shell.
 *
 * Each command is split into words by the shlex rules (gost-config.md 8.2); argv[0] is searched in
 * PATH; environment, stdout and stderr are inherited, CGOST_TUN, CGOST_MTU and CGOST_ADDR are
 * added. A failing command never stops the next one: its warning goes to the caller, who logs it.
 * No timeout: a hook may take its time.
 */
#ifndef CORE_HOST_HOOKS_H
#define CORE_HOST_HOOKS_H

#include "core/rc.h"
#include <stddef.h>

struct hooks_run;
struct loop;

enum hooks_phase { HOOKS_PRE_UP, HOOKS_POST_UP, HOOKS_PRE_DOWN, HOOKS_POST_DOWN };

enum { HOOKS_COMMAND_MAX = 4096, HOOKS_WORDS_MAX = 256 };

/* Pure. Words go into buf (cap bytes; HOOKS_COMMAND_MAX always does) and argv (NULL-terminated, at
 * most words_cap pointers with the NULL). RC_INVALID with the reason in diag: unbalanced quote;
 * RC_LIMIT: too long. An empty line or a comment is RC_OK with 0 words. */
enum rc hooks_split(const char *command, char *buf, size_t cap, char **argv, size_t words_cap,
                    size_t *ret_n, struct diag *diag);

/* NULL members are left out of the environment. */
struct hooks_env {
    const char *tun;  /* device name */
    const char *mtu;  /* "1420" */
    const char *addr; /* "192.168.123.1/24,fd00::1/64" */
};

struct hooks_events {
    /* About to run, for the log: "[pre-up] ip link set ...". NULL: not told. */
    void (*on_command)(void *arg, const char *text);
    /* "[pre-up] COMMAND: exit status 3". NULL: not told. */
    void (*on_warning)(void *arg, const char *text);
    /* All commands ended; the run is freed after this returns. From the loop, exactly once, never
     * from inside hooks_start(); not called by hooks_run_all(). NULL: not told. */
    void (*on_done)(void *arg);
    void *arg;
};

/* Everything is copied; count 0 is fine. NULL: no memory (nothing is called). */
struct hooks_run *hooks_start(struct loop *loop, enum hooks_phase phase,
                              const char *const *commands, size_t count,
                              const struct hooks_env *env, const struct hooks_events *ev);
/* No event after this returns; a command under way gets SIGTERM and is not waited for, the rest is
 * dropped. */
void hooks_cancel(struct hooks_run *run);

/* The same, waiting: for the way into and out of the process, when no loop turns. SIGTERM or SIGINT
 * ends the command under way (a second one kills it) and the commands of an up phase. */
void hooks_run_all(enum hooks_phase phase, const char *const *commands, size_t count,
                   const struct hooks_env *env, const struct hooks_events *ev);

#endif
