/* configs/cli.h - the command line by the rules of Go's flag package (gost-config.md 1.1).
 *
 * cli_parse() does no I/O; it fills in `args` with pointers into argv and a heap array; cli_done()
 * frees the array.
 */
#ifndef CONFIGS_CLI_H
#define CONFIGS_CLI_H

#include "configs/load.h"
#include <stdio.h>

enum cli_action {
    CLI_RUN,
    CLI_TEST,    /* -t */
    CLI_PRINT,   /* -O: `json` tells in which form */
    CLI_VERSION, /* -V */
    CLI_USAGE,   /* -h: usage on stderr, exit 0 */
    CLI_ERROR,   /* error on stderr, then the usage if `usage`; exit 2 */
};

struct cli {
    enum cli_action action;
    struct config_args args;
    bool json;
    bool usage;
    char error[160];
    const char *ignored;   /* the first of the words behind the flags that nobody reads, or NULL */
    const char **words;    /* private */
    const char **operands; /* cli_parse_command(): the words that are no flags */
    size_t n_operands;
};

/* A flag of a subcommand; one of the two pointers is set. */
struct cli_flag {
    const char *name; /* without dashes; NULL ends the list */
    bool *yes;
    const char **text;
    const char *arg;  /* for the help: what `text` is, in a word */
    const char *help; /* one line, ends without full stop */
};

/* A subcommand, as its help tells it. The pointers of its flags are its own business: the general
 * help follows none. */
struct cli_command {
    const char *name;
    const char *words; /* those that are no flags, or NULL */
    const char *help;  /* one line, lower case, ends without full stop */
    const struct cli_flag *flags;
    int (*run)(int argc, char **argv); /* for the program; argv[0] is the name */
};

/* Returns the exit code that ends the program now, or -1: go on (CLI_RUN, CLI_TEST, CLI_PRINT). */
int cli_parse(struct cli *c, int argc, char *const *argv);
/* `cgost NAME ...`: the same flags and those of `own`, in any order with the words, which come in
 * c->operands. argv[0]: the name. */
int cli_parse_command(struct cli *c, int argc, char *const *argv, const struct cli_command *own);
void cli_done(struct cli *c);

/* commands: ended by NULL. */
void cli_usage(FILE *out, const char *program, const struct cli_command *const *commands);
void cli_usage_command(FILE *out, const char *program, const struct cli_command *own);

#endif
