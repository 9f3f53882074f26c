/* app/subcommand.h - what the subcommands share: flags, configuration and world, built but not
 * opened.
 *
 * Owner: a subcommand's main function, on its stack. Warnings of the configuration go to standard
 * error as plain lines; what the program would log at start is not repeated here.
 */
#ifndef APP_SUBCOMMAND_H
#define APP_SUBCOMMAND_H

#include "app/world.h"
#include "configs/cli.h"

struct config;
struct loop;
struct problems;

struct subcommand {
    const char *name;
    bool may_be_bare; /* without any configuration it goes on: cfg stays NULL, the world empty */
    struct cli cli;
    struct config *cfg;
    struct loop *loop;
    struct world world;
};

/* -1: go on; else the exit code (it was said why). subcommand_close() in both cases. own: this
 * command. */
int subcommand_parse(struct subcommand *c, int argc, char **argv, const struct cli_command *own);
int subcommand_build(struct subcommand *c);
void subcommand_close(struct subcommand *c);

/* What only building tells: the world and its handlers, without opening anything; all is taken
 * back. false: what the start would say is in p. */
bool subcommand_try(const struct config *cfg, struct problems *p);

/* Plain lines on standard error. */
void subcommand_tell(const struct problems *p);

#endif
