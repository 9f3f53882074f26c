/* app/services_check.h - what only the types of a configuration can judge, with its place, before
 * anything is opened: addresses to listen on, pairs of handler and listener, targets, devices,
 * nameservers, words of the log.
 *
 * Depends on the registry. Pure but for reading files in the thorough form.
 */
#ifndef APP_SERVICES_CHECK_H
#define APP_SERVICES_CHECK_H

#include <stdbool.h>

struct config;
struct problems;

/* Tells what is wrong; false: something worse than a warning is. thorough: also what the start
 * itself would tell (certificates, nameservers, the log's file, one port wanted twice): for -t and
 * the commands. */
bool services_check(const struct config *cfg, bool thorough, struct problems *p);

#endif
