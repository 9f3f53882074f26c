/* app/command.h - what the subcommands share: flags, configuration and world, built but not opened.
 *
 * Owner: a subcommand's main function, on its stack. Warnings of the configuration go to standard
 * error as plain lines; what the program would log at start is not repeated here.
 */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "app/world.h"
#include "configs/cli.h"

struct config;
struct loop;
struct problems;

struct command {
    const char *name;
    struct cli cli;
    struct config *cfg;
    struct loop *loop;
    struct world world;
};

/* -1: go on; else the exit code (it was said why). command_close() in both cases. own: flags of
 * this command. */
int command_parse(struct command *c, int argc, char **argv, const struct cli_flag *own);
int command_build(struct command *c);
void command_close(struct command *c);

/* Plain lines on standard error. */
void command_tell(const struct problems *p);

#endif
