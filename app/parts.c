/* app/parts.c - see parts.h. */
#include "app/parts.h"
#include "configs/cli.h"
#include "core/log.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
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
    bool in_turn;    /* each is waited for before the next begins: what they print stays apart */
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
    if (p->in_turn)
        return;
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
            if (info.si_code != SI_KERNEL) /* a terminal's: they have it, too */
                signal_all(p, SIGTERM);    /* each one: the second ends a hook that hangs */
            p->stopping = true;
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
    char id[16];

    snprintf(id, sizeof id, "%d", p->n);
    (void)setenv("_GOST_ID", id, 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &p->before, NULL);
    return getppid() == parent ? run(argc, argv) : 1;
}

/* Words between borders as a command line of their own. */
static int take_part(char **words, int argc, char **argv, int first)
{
    int n = 1;

    words[0] = argv[0];
    for (int i = first; i < argc && !is_border(argc, argv, i); i++)
        words[n++] = argv[i];
    words[n] = NULL;
    return n;
}

/* What the parts would do, each by itself. */
struct survey {
    int parts, looking; /* looking: they print or check something, and end */
    int wrong;          /* where the first part with a wrong flag begins; 0: there is none */
};

static bool survey_all(struct survey *s, char **words, int argc, char **argv)
{
    for (int first = 1; first <= argc;) {
        int n = take_part(words, argc, argv, first);
        struct cli c;

        (void)cli_parse(&c, n, words);
        bool whole = c.words != NULL;
        s->parts++;
        s->looking += c.action != CLI_RUN && c.action != CLI_ERROR;
        if (c.action == CLI_ERROR && !s->wrong)
            s->wrong = first;
        cli_done(&c);
        if (!whole)
            return false;
        first += n;
    }
    return true;
}

/* Returns the code of a child that ends, in the parent -1. */
static int run_all(struct parts *p, char **words, int argc, char **argv, const sigset_t *wanted,
                   int (*run)(int argc, char **argv))
{
    pid_t parent = getpid();

    for (int first = 1; first <= argc && !p->stopping;) {
        int n = take_part(words, argc, argv, first);
        pid_t pid = fork();

        if (pid == 0)
            return run_part(p, parent, n, words, run);
        if (pid < 0) {
            log_fatal("part %d of the command line: fork: %s", p->n + 1, strerror(errno));
            p->code = 1;
            stop_all(p);
            break;
        }
        p->pids[p->n++] = pid;
        p->running++;
        first += n; /* the border, too */
        if (p->in_turn)
            watch(p, wanted);
    }
    watch(p, wanted);
    return -1;
}

int parts_run(int argc, char **argv, int (*run)(int argc, char **argv))
{
    struct parts p = {.pids = calloc((size_t)argc, sizeof(pid_t))};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    struct survey s = {.parts = 0};
    sigset_t wanted;
    int code = 1;

    if (!p.pids || !words || !survey_all(&s, words, argc, argv)) {
        log_fatal("no memory");
    } else if (s.wrong) {
        code = run(take_part(words, argc, argv, s.wrong), words); /* tells it */
    } else if (s.looking > 0 && s.looking < s.parts) {
        log_fatal("-t, -O, -V or -h stands in some parts of the command line only, and the others "
                  "would serve: write it into each");
        code = 2;
    } else {
        p.in_turn = s.looking > 0;
        sigemptyset(&wanted);
        sigaddset(&wanted, SIGCHLD);
        for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
            sigaddset(&wanted, passed_on[i]);
        (void)sigprocmask(SIG_BLOCK, &wanted, &p.before);
        (void)signal(SIGCHLD, SIG_DFL); /* who ignores it is never told that a part has ended */
        code = run_all(&p, words, argc, argv, &wanted, run);
        code = code < 0 ? p.code : code;
    }
    free(p.pids);
    free(words);
    return code;
}
