/* app/parts.h - `cgost A -- B`: each part of the command line is a program of its own, run by a
 * child; gost-config.md 1.2.
 *
 * The parent forks before anything is opened, passes signals on and waits. A part that ends with a
 * failure ends the others in order (GOST leaves them running), as does the parent's own end. Parts
 * that only print or check (-t, -O, -V, -h) run one after another, all of them; mixed with parts
 * that serve they are refused, and so is a wrong flag in any part, before one of them begins.
 */
#ifndef APP_PARTS_H
#define APP_PARTS_H

#include <stdbool.h>

/* Is there a lone -- that is neither the first word nor the last? */
bool parts_are_there(int argc, char *const *argv);
/* Runs each part by run(argc, argv), whose argv[0] is ours. Returns the exit code of the whole in
 * the parent, that of its part in a child. */
int parts_run(int argc, char **argv, int (*run)(int argc, char **argv));

#endif
