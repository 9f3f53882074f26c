/* configs/cli.c - flags as Go's flag package reads them. */
#include "configs/cli.h"
#include "configs/scalar.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag {
    FLAG_SOURCE,
    FLAG_NODE,
    FLAG_SERVICE,
    FLAG_PRINT,
    FLAG_API,
    FLAG_METRICS,
    FLAG_RELOAD,
    FLAG_LAST_WITH_VALUE = FLAG_RELOAD,
    FLAG_DEBUG,
    FLAG_TRACE,
    FLAG_VERSION,
    FLAG_TEST,
    FLAG_LENIENT,
    FLAG_HELP,
    FLAG_NONE,
};

/* What every command has (`all`) and what only the program itself has a use for. */
static const struct {
    const char *name;
    enum flag flag;
    bool all;
    const char *arg, *help; /* arg NULL: a switch; help NULL: not told */
} flags[] = {
    {"C", FLAG_SOURCE, true, "source",
     "configuration: a file (.yaml, .yml, .json), - for standard input, or {...}; may be repeated"},
    {"D", FLAG_DEBUG, false, NULL, "debug log"},
    {"DD", FLAG_TRACE, false, NULL, "trace log"},
    {"F", FLAG_NODE, true, "url", "next hop of the chain; may be repeated"},
    {"L", FLAG_SERVICE, true, "url", "service; may be repeated"},
    {"O", FLAG_PRINT, false, "format", "print the merged configuration as yaml or json, and end"},
    {"R", FLAG_RELOAD, false, "duration", "reload periodically (not served yet)"},
    {"V", FLAG_VERSION, false, NULL, "print the version, and end"},
    {"api", FLAG_API, false, "address", "web API (not served yet)"},
    {"h", FLAG_HELP, false, NULL, NULL},
    {"help", FLAG_HELP, false, NULL, NULL},
    {"lenient", FLAG_LENIENT, true, NULL, "an unknown key is a warning, not an error"},
    {"metrics", FLAG_METRICS, false, "address", "metrics (not served yet)"},
    {"t", FLAG_TEST, false, NULL, "check the configuration, and end"},
};
enum { N_FLAGS = sizeof flags / sizeof *flags };

static enum flag flag_of(const char *name, size_t len)
{
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0)
            return flags[i].flag;
    }
    return FLAG_NONE;
}

static int fail(struct cli *c, bool usage, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct cli *c, bool usage, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->error, sizeof c->error, fmt, ap);
    va_end(ap);
    c->action = CLI_ERROR;
    c->usage = usage;
    return 2;
}

struct state {
    struct cli *c;
    const char **sources, **nodes, **services; /* parts of c->words */
    const char *print, *reload;
    const struct cli_flag *own; /* of a subcommand; NULL: there is none */
    bool version, test, help;
};

static void set_bool(struct state *s, enum flag flag, bool yes)
{
    if (flag == FLAG_DEBUG)
        s->c->args.debug = yes;
    else if (flag == FLAG_TRACE)
        s->c->args.trace = yes;
    else if (flag == FLAG_VERSION)
        s->version = yes;
    else if (flag == FLAG_TEST)
        s->test = yes;
    else if (flag == FLAG_LENIENT)
        s->c->args.lenient = yes;
}

static bool set_value(struct state *s, enum flag flag, const char *text)
{
    struct config_args *a = &s->c->args;
    int64_t ns;
    switch (flag) {
    case FLAG_SOURCE:
        s->sources[a->n_sources++] = text;
        break;
    case FLAG_NODE:
        s->nodes[a->n_nodes++] = text;
        break;
    case FLAG_SERVICE:
        s->services[a->n_services++] = text;
        break;
    case FLAG_PRINT:
        s->print = text;
        return !*text || strcmp(text, "yaml") == 0 || strcmp(text, "json") == 0;
    case FLAG_API:
        a->api = text;
        break;
    case FLAG_METRICS:
        a->metrics = text;
        break;
    case FLAG_RELOAD:
        s->reload = text;
        return scalar_parse_duration(text, &ns);
    case FLAG_DEBUG:
    case FLAG_TRACE:
    case FLAG_VERSION:
    case FLAG_TEST:
    case FLAG_LENIENT:
    case FLAG_HELP:
    case FLAG_NONE:
        break;
    }
    return true;
}

static const struct cli_flag *own_flag(const struct state *s, const char *name, size_t len)
{
    for (const struct cli_flag *f = s->own; f && f->name; f++) {
        if (strlen(f->name) == len && strncmp(f->name, name, len) == 0)
            return f;
    }
    return NULL;
}

/* One flag at argv[*i]; 0: go on, else the exit code. */
static int one_flag(struct state *s, int argc, char *const *argv, int *i)
{
    const char *name = argv[*i] + 1;
    name += *name == '-';
    size_t len = strcspn(name, "=");
    if (*name == '-' || *name == '=' || !*name)
        return fail(s->c, true, "bad flag syntax: %.100s", argv[*i]);
    const char *text = name[len] ? name + len + 1 : NULL;
    enum flag flag = flag_of(name, len);
    const struct cli_flag *own = own_flag(s, name, len);
    int shown = (int)(len < 60 ? len : 60);
    if (flag == FLAG_NONE && !own && strcspn(name, ":@") < len)
        return fail(s->c, true, /* a URL, perhaps with its password */
                    "flag provided but not defined: -%c...; a blank goes behind a flag", *name);
    if (flag == FLAG_NONE && !own)
        return fail(s->c, true, "flag provided but not defined: -%.*s", shown, name);
    if (flag == FLAG_HELP) {
        s->c->action = CLI_USAGE;
        return 1;
    }
    if (own ? own->yes != NULL : flag > FLAG_LAST_WITH_VALUE) {
        bool yes = true;
        if (text && !scalar_parse_bool(text, &yes))
            return fail(s->c, true, "invalid boolean value \"%.60s\" for -%.*s: parse error", text,
                        shown, name);
        if (own)
            *own->yes = yes;
        else
            set_bool(s, flag, yes);
        return 0;
    }
    if (!text && *i + 1 < argc)
        text = argv[++*i];
    if (!text)
        return fail(s->c, true, "flag needs an argument: -%.*s", shown, name);
    if (own)
        *own->text = text;
    else if (!set_value(s, flag, text))
        return fail(s->c, true, "invalid value \"%.60s\" for flag -%.*s: parse error", text, shown,
                    name);
    return 0;
}

static int not_served(struct state *s)
{
    struct config_args *a = &s->c->args;
    if (s->c->action == CLI_PRINT)
        return -1;
    if (a->api || a->metrics || s->reload)
        return fail(s->c, false, "%s: not served yet",
                    a->api       ? "-api"
                    : a->metrics ? "-metrics"
                                 : "-R");
    return -1;
}

static int parse(struct cli *c, int argc, char *const *argv, const struct cli_flag *own)
{
    *c = (struct cli){0};
    size_t n = argc > 0 ? (size_t)argc : 1;
    c->words = calloc(n * 4, sizeof *c->words);
    if (!c->words)
        return fail(c, false, "no memory");
    struct state s = {.c = c,
                      .own = own,
                      .sources = c->words,
                      .nodes = c->words + n,
                      .services = c->words + 2 * n};
    c->operands = c->words + 3 * n;
    c->args.sources = s.sources;
    c->args.nodes = s.nodes;
    c->args.services = s.services;
    for (int i = 1; i + 1 < argc; i++) {
        if (i > 1 && strcmp(argv[i], "--") == 0)
            return fail(c, false,
                        "one configuration only: leave out the --, and what is on one side of it");
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1] || strcmp(argv[i], "--") == 0) {
            if (own && strcmp(argv[i], "--") != 0) {
                c->operands[c->n_operands++] = argv[i];
                continue;
            }
            if (strcmp(argv[i], "--") == 0)
                i++;
            c->ignored = i < argc ? argv[i] : NULL;
            break;
        }
        int code = one_flag(&s, argc, argv, &i);
        if (code != 0)
            return c->action == CLI_USAGE ? 0 : code;
    }
    if (s.version) {
        c->action = CLI_VERSION;
        return 0;
    }
    if (s.print && *s.print) {
        c->action = CLI_PRINT;
        c->json = strcmp(s.print, "json") == 0;
    } else if (s.test) {
        c->action = CLI_TEST;
    }
    return not_served(&s);
}

int cli_parse(struct cli *c, int argc, char *const *argv)
{
    return parse(c, argc, argv, NULL);
}

int cli_parse_command(struct cli *c, int argc, char *const *argv, const struct cli_command *own)
{
    return parse(c, argc, argv, own->flags);
}

static void tell_flag(FILE *out, const char *name, const char *arg, const char *help)
{
    fprintf(out, "  -%s%s%s%s\t%s\n", name, arg ? " " : "", arg ? arg : "",
            arg || name[1] ? "\n    " : "", help);
}

/* "explain tcp|udp host:port [-sni name] [-json]" */
static void tell_command(FILE *out, const struct cli_command *c)
{
    fprintf(out, "%s%s%s", c->name, c->words ? " " : "", c->words ? c->words : "");
    for (const struct cli_flag *f = c->flags; f->name; f++)
        fprintf(out, " [--%s%s%s]", f->name, f->text ? " " : "", f->text ? f->arg : "");
}

void cli_usage(FILE *out, const char *program, const struct cli_command *const *commands)
{
    fprintf(out, "Usage of %s:\n", program);
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (flags[i].help)
            tell_flag(out, flags[i].name, flags[i].arg, flags[i].help);
    }
    if (*commands)
        fprintf(out, "Commands, as the first word, with the flags that tell the configuration; "
                     "COMMAND -h tells more:\n");
    for (; *commands; commands++) {
        fprintf(out, "  ");
        tell_command(out, *commands);
        fprintf(out, "\n    \t%s\n", (*commands)->help);
    }
}

void cli_usage_command(FILE *out, const char *program, const struct cli_command *own)
{
    fprintf(out, "Usage: %s ", program);
    tell_command(out, own);
    fprintf(out, " [flags]\n%c%s. Words and flags come in any order.\n", toupper(*own->help),
            own->help + 1);
    for (const struct cli_flag *f = own->flags; f->name; f++)
        tell_flag(out, f->name, f->text ? f->arg : NULL, f->help);
    fprintf(out, "The configuration, as for the program itself:\n");
    for (size_t i = 0; i < N_FLAGS; i++) {
        if (flags[i].all)
            tell_flag(out, flags[i].name, flags[i].arg, flags[i].help);
    }
}

void cli_done(struct cli *c)
{
    free(c->words);
    *c = (struct cli){0};
}
