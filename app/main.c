/* app/main.c - the program: flags, configuration, one run. Exit codes as GOST: 0 fine, 1 what it
 * was told can't be done, 2 wrong flags (gost-config.md 1.5).
 */
#include "app/doctor.h"
#include "app/explain.h"
#include "app/interfaces.h"
#include "app/names.h"
#include "app/parent.h"
#include "app/parts.h"
#include "app/registry.h"
#include "app/rules.h"
#include "app/services_check.h"
#include "app/subcommand.h"
#include "app/world.h"
#include "configs/cli.h"
#include "configs/dump.h"
#include "core/floor/ws/ws.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/os.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define VERSION "0.1.0"

/* At start problems are log records; for -t and -O, where somebody looks at a terminal, they are
 * plain lines (subcommand_tell). */
static void tell(const struct problem *p)
{
    enum log_level level = p->severity == PROBLEM_WARNING ? LOG_WARN
                           : p->severity == PROBLEM_ERROR ? LOG_ERROR
                                                          : LOG_FATAL;

    log_write(level, NULL, "%s%s%s", p->place, p->place[0] ? ": " : "", p->text);
}

static void tell_all(const struct problems *p)
{
    for (size_t i = 0; i < p->n; i++)
        tell(&p->v[i]);
    if (p->more)
        fprintf(stderr, "and %zu more\n", p->more);
    if (p->nomem)
        fprintf(stderr, "no memory\n");
}

static int print(const struct cli *c)
{
    struct problems p = {0};
    struct tree *t = tree_new();
    struct value *v = NULL;
    struct dump d = {0};
    int code = 1;

    if (t && config_read(&c->args, t, &p, &v) == RC_OK) {
        if ((c->json ? dump_json(&d, v) : dump_yaml(&d, v)) == RC_OK &&
            fwrite(d.text, 1, d.len, stdout) == d.len && !fflush(stdout))
            code = 0;
        else
            fprintf(stderr, "no memory, or standard output can't be written\n");
    } else {
        subcommand_tell(&p);
    }
    dump_done(&d);
    tree_free(t);
    problems_done(&p);
    return code;
}

static int test(const struct cli *c)
{
    struct problems p = {0};
    struct config *cfg = NULL;
    enum rc rc = config_load(&c->args, registry_names(), &cfg, &p);

    if (rc == RC_OK) {
        bool ok = rules_check(cfg, true, &p);

        ok = names_check(cfg, &p) && ok;
        if (!services_check(cfg, true, &p) || !ok || !subcommand_try(cfg, &p))
            rc = RC_INVALID;
    }
    subcommand_tell(&p);
    if (rc == RC_OK)
        printf("configuration ok: %zu service%s\n", cfg->n_services,
               cfg->n_services == 1 ? "" : "s");
    config_free(cfg);
    problems_done(&p);
    return rc == RC_OK ? 0 : 1;
}

static enum rc open_log(const struct config *cfg, struct diag *diag)
{
    struct log_cfg lc = {
        .level = cfg->log.level[0] ? log_level_parse(cfg->log.level, NULL) : LOG_INFO,
        .text = !strcmp(cfg->log.format, "text"),
        .output = cfg->log.output,
    };

    return log_open(&lc, diag);
}

/* The first word may be one of these; they say what they find on standard output. */
static const struct cli_command *const commands[] = {&doctor_command, &explain_command, NULL};

/* What a start logs and -t and -O print; NULL: nothing is ignored. */
static const char *ignored_text(const struct cli *c, char *buf, size_t cap)
{
    struct nearest n;
    char hint[80];

    if (!c->ignored)
        return NULL;
    if (strpbrk(c->ignored, "@:")) { /* a URL, perhaps with its password */
        snprintf(buf, cap, "words behind the flags are ignored: is a -L or -F missing?");
        return buf;
    }
    nearest_init(&n, c->ignored);
    for (size_t i = 0; commands[i]; i++) {
        if (!strcmp(c->ignored, commands[i]->name)) {
            snprintf(buf, cap, "the words from \"%s\" on are ignored: a command is the first word",
                     c->ignored);
            return buf;
        }
        nearest_try(&n, commands[i]->name);
    }
    snprintf(buf, cap, "the words from \"%.60s\" on are ignored: flags come first%s", c->ignored,
             nearest_hint(&n, hint, sizeof hint));
    return buf;
}

static int run(const struct cli *c)
{
    struct problems p = {0};
    struct config *cfg = NULL;
    struct world w = {0};
    struct diag diag = {0};
    struct loop *loop = NULL;
    char words[240];
    int code = 1;
    enum rc rc = config_load(&c->args, registry_names(), &cfg, &p);

    if (rc == RC_OK) {
        (void)rules_check(cfg, false, &p);
        (void)services_check(cfg, false, &p);
        if (problems_have(&p, PROBLEM_REFUSE))
            rc = RC_INVALID;
    }
    if (rc == RC_OK)
        rc = open_log(cfg, &diag);
    if (ignored_text(c, words, sizeof words))
        log_warn("%s", words);
    tell_all(&p);
    if (rc == RC_OK) {
        loop = loop_new(&diag);
        rc = loop ? world_build(loop, cfg, &w, &diag) : diag.rc;
    }
    if (rc == RC_OK) {
        struct interfaces *watch = interfaces_watch(loop, cfg);
        code = parent_run(loop, &w);
        interfaces_free(watch);
    }
    if (rc != RC_OK && diag.rc != RC_OK)
        log_fatal("%s", diag.text);
    ws_shutdown();
    loop_free(loop);
    config_free(cfg);
    problems_done(&p);
    log_close();
    return code;
}

static void version(void)
{
    struct utsname u;

    printf("cgost %s (C linux/%s)\n", VERSION, uname(&u) ? "unknown" : u.machine);
}

static int program(int argc, char **argv)
{
    struct cli c;
    char words[240];
    int code = cli_parse(&c, argc, argv);
    if ((c.action == CLI_TEST || c.action == CLI_PRINT) && ignored_text(&c, words, sizeof words))
        fprintf(stderr, "warning: %s\n", words);

    switch (c.action) {
    case CLI_VERSION:
        version();
        break;
    case CLI_ERROR:
        fprintf(stderr, "%s\n", c.error);
        if (c.usage)
            cli_usage(stderr, argv[0], commands);
        break;
    case CLI_USAGE:
        cli_usage(stderr, argv[0], commands);
        break;
    case CLI_PRINT:
        code = print(&c);
        break;
    case CLI_TEST:
        code = test(&c);
        break;
    case CLI_RUN:
        code = run(&c);
        break;
    }
    cli_done(&c);
    return code;
}

int main(int argc, char **argv)
{
    os_keep_standard_fds();
    for (size_t i = 0; argc > 1 && commands[i]; i++)
        if (!strcmp(argv[1], commands[i]->name))
            return commands[i]->run(argc - 1, argv + 1);
    return parts_are_there(argc, argv) ? parts_run(argc, argv, program) : program(argc, argv);
}
