/* core/host/command.h - run one program and wait for it, without a shell.
 *
 * For start and stop only: it blocks. argv[0] is searched in PATH; stdin is /dev/null, signals have
 * their defaults.
 */
#ifndef CORE_HOST_COMMAND_H
#define CORE_HOST_COMMAND_H

#include "core/rc.h"
#include <stdint.h>

struct command {
    char *const *argv;
    char *const *env; /* NULL: ours */
    uint32_t wait_ms; /* 0: as long as it takes; past it the program is killed: RC_TIMEOUT */
    bool halts;       /* what core/host/halt.h holds ends it */
    bool quiet;       /* its stdout and stderr go to /dev/null, else they are ours */
};

/* RC_OK: it exited with 0. RC_UNSUPPORTED: there is no such program. Else diag says "exit status
 * 3", "signal: killed", ... */
enum rc command_run(const struct command *c, struct diag *diag);

/* The words of an ended program, for both ways of running one. false: it exited with 0. */
bool command_failure(int exit_status, int signal, char *buf, size_t cap);
/* The words for a program that could not be started. */
void command_not_started(const char *name, int err, char *buf, size_t cap);

#endif
