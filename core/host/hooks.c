/* core/host/hooks.c - commands of a service's phases, one after another. */
#include "core/host/hooks.h"
#include "core/host/command.h"
#include "core/host/halt.h"
#include "core/loop.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static const char *phase_name(enum hooks_phase phase)
{
    switch (phase) {
    case HOOKS_PRE_UP:
        return "pre-up";
    case HOOKS_POST_UP:
        return "post-up";
    case HOOKS_PRE_DOWN:
        return "pre-down";
    case HOOKS_POST_DOWN:
        return "post-down";
    }
    return "";
}

/* --- environment: ours, with CGOST_* replaced */

static const char *const variables[] = {"CGOST_TUN", "CGOST_MTU", "CGOST_ADDR"};
enum { VARIABLES = 3 };

static bool is_replaced(const char *entry)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        size_t n = strlen(variables[i]);
        if (strncmp(entry, variables[i], n) == 0 && entry[n] == '=')
            return true;
    }
    return false;
}

/* Entries of ours lie in one block behind the array, the others stay where they are. */
static char **env_new(const struct hooks_env *env)
{
    const char *values[VARIABLES] = {env ? env->tun : NULL, env ? env->mtu : NULL,
                                     env ? env->addr : NULL};
    size_t count = 0, bytes = 0, n = 0;

    for (char **e = environ; e && *e; e++)
        count++;
    for (size_t i = 0; i < VARIABLES; i++)
        bytes += values[i] ? strlen(variables[i]) + strlen(values[i]) + 2 : 0;
    char **v = malloc((count + VARIABLES + 1) * sizeof(*v) + bytes);
    if (!v)
        return NULL;
    char *text = (char *)(v + count + VARIABLES + 1);
    for (char **e = environ; e && *e; e++) {
        if (!is_replaced(*e))
            v[n++] = *e;
    }
    for (size_t i = 0; i < VARIABLES; i++) {
        if (!values[i])
            continue;
        v[n++] = text;
        text += sprintf(text, "%s=%s", variables[i], values[i]) + 1; /* counted above */
    }
    v[n] = NULL;
    return v;
}

/* --- the words of one command and what is said about it; used by both ways of running */

struct words {
    char buf[HOOKS_COMMAND_MAX];
    char *argv[HOOKS_WORDS_MAX];
    size_t n;
};

static void tell(void (*fn)(void *arg, const char *text), void *arg, enum hooks_phase phase,
                 const char *command, const char *why)
{
    char text[512];

    if (!fn)
        return;
    int n = snprintf(text, sizeof(text), "[%s] %.300s%s%s", phase_name(phase), command,
                     why ? ": " : "", why ? why : "");
    if (n > 0)
        fn(arg, text);
}

/* --- on the loop */

enum run_state {
    RUN_QUEUED,  /* the job will start the next command */
    RUN_CALLING, /* inside a callback of the owner */
    RUN_CHILD,   /* a command runs */
    RUN_CLOSING  /* its handle is being closed */
};

struct hooks_run {
    struct loop *loop;
    enum hooks_phase phase;
    enum run_state state;
    bool canceled;
    struct hooks_events ev;
    struct job job;
    struct deferred deferred;
    uv_process_t child;
    char **env;
    size_t next, count;
    char *commands[];
};

static void run_free(void *obj)
{
    struct hooks_run *run = obj;

    for (size_t i = 0; i < run->count; i++)
        free(run->commands[i]);
    free(run->env);
    free(run);
}

static void warn(struct hooks_run *run, const char *why)
{
    tell(run->ev.on_warning, run->ev.arg, run->phase, run->commands[run->next], why);
}

static void next_command(struct hooks_run *run)
{
    run->next++;
    run->state = RUN_QUEUED;
    job_post(run->loop, &run->job);
}

static void on_closed(uv_handle_t *h)
{
    struct hooks_run *run = h->data;

    if (run->canceled)
        run_free(run);
    else
        next_command(run);
}

static void on_exit_status(uv_process_t *child, int64_t status, int signal)
{
    struct hooks_run *run = child->data;
    char why[160];

    run->state = RUN_CALLING;
    if (command_failure((int)status, signal, why, sizeof(why)))
        warn(run, why);
    run->state = RUN_CLOSING;
    uv_close((uv_handle_t *)child, on_closed);
}

static void spawn(struct hooks_run *run, struct words *w)
{
    uv_stdio_container_t io[3] = {{.flags = UV_IGNORE}};
    char why[160];

    for (int fd = 1; fd <= 2; fd++) {
        io[fd].flags = UV_INHERIT_FD;
        io[fd].data.fd = fd;
    }
    uv_process_options_t options = {.file = w->argv[0],
                                    .args = w->argv,
                                    .env = run->env,
                                    .exit_cb = on_exit_status,
                                    .stdio = io,
                                    .stdio_count = 3};
    run->child.data = run;
    int err = uv_spawn(loop_uv(run->loop), &run->child, &options);
    if (err == 0) {
        run->state = RUN_CHILD;
        return;
    }
    command_not_started(w->argv[0], -err, why, sizeof(why));
    run->state = RUN_CALLING;
    warn(run, why);
    run->state = RUN_CLOSING;
    uv_close((uv_handle_t *)&run->child, on_closed);
}

static void start_next(struct hooks_run *run)
{
    struct words w;
    struct diag diag = {0};

    run->state = RUN_CALLING;
    tell(run->ev.on_command, run->ev.arg, run->phase, run->commands[run->next], NULL);
    if (run->canceled) {
        run_free(run);
        return;
    }
    if (hooks_split(run->commands[run->next], w.buf, sizeof(w.buf), w.argv, HOOKS_WORDS_MAX, &w.n,
                    &diag) == RC_OK &&
        w.n > 0) {
        spawn(run, &w);
        return;
    }
    if (diag.rc != RC_OK)
        warn(run, diag.text);
    if (run->canceled)
        run_free(run);
    else
        next_command(run);
}

static void on_job(struct job *job)
{
    struct hooks_run *run = (struct hooks_run *)((char *)job - offsetof(struct hooks_run, job));

    if (run->next < run->count) {
        start_next(run);
        return;
    }
    run->state = RUN_CALLING;
    if (run->ev.on_done)
        run->ev.on_done(run->ev.arg);
    run_free(run);
}

struct hooks_run *hooks_start(struct loop *loop, enum hooks_phase phase,
                              const char *const *commands, size_t count,
                              const struct hooks_env *env, const struct hooks_events *ev)
{
    struct hooks_run *run = calloc(1, sizeof(*run) + count * sizeof(run->commands[0]));

    if (!run)
        return NULL;
    run->loop = loop;
    run->phase = phase;
    run->ev = *ev;
    run->env = env_new(env);
    job_init(&run->job, on_job);
    bool whole = run->env != NULL;
    for (; whole && run->count < count; run->count += whole) {
        run->commands[run->count] = strdup(commands[run->count]);
        whole = run->commands[run->count] != NULL;
    }
    if (!whole) {
        run_free(run);
        return NULL;
    }
    job_post(loop, &run->job);
    return run;
}

void hooks_cancel(struct hooks_run *run)
{
    if (!run || run->canceled)
        return;
    run->canceled = true;
    run->ev = (struct hooks_events){0};
    switch (run->state) {
    case RUN_QUEUED:
        job_cancel(&run->job);
        loop_free_later(run->loop, &run->deferred, run_free, run);
        break;
    case RUN_CHILD:
        run->state = RUN_CLOSING;
        (void)uv_process_kill(&run->child, SIGTERM); /* or it changes the machine after us */
        uv_close((uv_handle_t *)&run->child, on_closed);
        break;
    case RUN_CALLING: /* who called us looks at `canceled` */
    case RUN_CLOSING: /* on_closed does */
        break;
    }
}

/* --- waiting */

void hooks_run_all(enum hooks_phase phase, const char *const *commands, size_t count,
                   const struct hooks_env *env, const struct hooks_events *ev)
{
    bool is_up = phase == HOOKS_PRE_UP || phase == HOOKS_POST_UP, holds = halt_fd() < 0;
    char **own = env_new(env);

    if (holds)
        halt_hold();
    for (size_t i = 0; i < count && !(is_up && halt_signal()); i++) {
        struct words w;
        struct diag diag = {0};
        if (!is_up)
            halt_taken(); /* that was about a command before */
        tell(ev->on_command, ev->arg, phase, commands[i], NULL);
        enum rc rc =
            hooks_split(commands[i], w.buf, sizeof(w.buf), w.argv, HOOKS_WORDS_MAX, &w.n, &diag);
        if (rc == RC_OK && w.n > 0) {
            struct command c = {
                .argv = w.argv, .env = own, .halts = true}; /* no memory: without CGOST_* */
            rc = command_run(&c, &diag);
        }
        if (rc != RC_OK)
            tell(ev->on_warning, ev->arg, phase, commands[i], diag.text);
    }
    free(own);
    if (holds)
        halt_release();
}
