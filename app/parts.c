/* app/parts.c - see parts.h. */
#include "app/parts.h"
#include "core/log.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct parts {
    pid_t *pids; /* 0: has ended */
    int n, running, code;
    bool stopping;
    sigset_t before; /* signals that were blocked when we came */
};

static bool is_border(int argc, char *const *argv, int i)
{
    return i > 1 && i < argc - 1 && strcmp(argv[i], "--") == 0;
}

bool parts_are_there(int argc, char *const *argv)
{
    for (int i = 2; i < argc - 1; i++)
        if (is_border(argc, argv, i))
            return true;
    return false;
}

static bool only_looks(const char *word)
{
    static const char *const words[] = {"-t", "--t", "-V", "--V"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(word, words[i]))
            return true;
    return false;
}

/* Do some parts only look, while the others would serve? Who tests a command line starts nothing.
 */
static bool is_mixed(int argc, char *const *argv)
{
    int parts = 1, looking = 0;
    bool looks = false;

    for (int i = 1; i < argc; i++) {
        if (is_border(argc, argv, i)) {
            looking += looks;
            looks = false;
            parts++;
        }
        looks = looks || only_looks(argv[i]);
    }
    looking += looks;
    return looking > 0 && looking < parts;
}

static void signal_all(const struct parts *p, int signum)
{
    for (int i = 0; i < p->n; i++)
        if (p->pids[i] > 0)
            (void)kill(p->pids[i], signum);
}

static void stop_all(struct parts *p)
{
    if (!p->stopping)
        signal_all(p, SIGTERM);
    p->stopping = true;
}

static void hear_end(struct parts *p, int i, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;

    p->pids[i] = 0;
    p->running--;
    if (p->stopping && WIFSIGNALED(status) &&
        (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT))
        code = 0; /* told twice, by us and by who told us */
    if (code == 0)
        return;
    if (p->code == 0)
        p->code = code;
    if (!p->stopping && p->running > 0)
        log_error("part %d of the command line (they are separated by --) has failed: the others "
                  "are stopped",
                  i + 1);
    stop_all(p);
}

static void collect(struct parts *p)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < p->n; i++)
            if (p->pids[i] == pid)
                hear_end(p, i, status);
}

/* Until the last one has ended. */
static void watch(struct parts *p, const sigset_t *wanted)
{
    siginfo_t info;

    while (p->running > 0) {
        int signum = sigwaitinfo(wanted, &info);

        if (signum == SIGTERM || signum == SIGINT) {
            if (info.si_code == SI_KERNEL) /* a terminal's: they have it, too */
                p->stopping = true;
            stop_all(p);
        } else if (signum == SIGHUP || signum == SIGUSR1) {
            signal_all(p, signum);
        }
        collect(p);
    }
}

/* A child: ends with its parent. */
static int run_part(const struct parts *p, pid_t parent, int argc, char **argv,
                    int (*run)(int argc, char **argv))
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &p->before, NULL);
    return getppid() == parent ? run(argc, argv) : 1;
}

int parts_run(int argc, char **argv, int (*run)(int argc, char **argv))
{
    struct parts p = {.pids = calloc((size_t)argc, sizeof(pid_t))};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    pid_t parent = getpid();
    sigset_t wanted;
    int code = -1;

    if (is_mixed(argc, argv)) {
        log_fatal("-t or -V stands in some parts of the command line only, and the others would "
                  "serve: write it into each");
        free(p.pids);
        free(words);
        return 2;
    }
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&wanted, passed_on[i]);
    (void)sigprocmask(SIG_BLOCK, &wanted, &p.before);
    (void)signal(SIGCHLD, SIG_DFL); /* who ignores it is never told that a part has ended */
    for (int i = 1, n = 0; p.pids && words && i <= argc && code < 0 && !p.stopping; i++) {
        if (i < argc && !is_border(argc, argv, i)) {
            words[++n] = argv[i];
            continue;
        }
        words[0] = argv[0];
        words[n + 1] = NULL;
        pid_t pid = fork();
        if (pid == 0) {
            code = run_part(&p, parent, n + 1, words, run);
        } else if (pid < 0) {
            log_fatal("part %d of the command line: fork: %s", p.n + 1, strerror(errno));
            p.code = 1;
            stop_all(&p);
        } else {
            p.pids[p.n++] = pid;
            p.running++;
        }
        n = 0;
    }
    if (!p.pids || !words) {
        log_fatal("no memory");
        p.code = 1;
    } else if (code < 0) {
        watch(&p, &wanted);
    }
    free(p.pids);
    free(words);
    return code < 0 ? p.code : code;
}
