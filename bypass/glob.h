/* bypass/glob.h - shell-like patterns over a host: pure functions on text. gost-config.md 6.1.
 *
 *   *      any run of bytes, also none and across dots      ?      one character (UTF-8)
 *   [abc] [!abc] [a-z] [!a-z]   one character; a list or one range, not both
 *   {a,b}  alternatives, may be nested; one that is not closed ends with the text
 *   \x     x itself
 *
 * Case is the caller's business. Nothing is allocated; matching takes O(text x glob) at worst.
 */
#ifndef BYPASS_GLOB_H
#define BYPASS_GLOB_H

#include "core/rc.h"
#include <stdbool.h>
#include <stddef.h>

enum { GLOB_MAX_BYTES = 512, GLOB_ALTERNATIVES_MAX = 256 };

/* Does it contain what makes a text a glob ('*' or '?')? */
bool glob_is_wild(const char *text, size_t n);
bool glob_is_valid(const char *text, size_t n);

/* Calls fn with each of the globs without braces that a valid glob stands for; stops at the first
 * result that is not RC_OK. RC_LIMIT: too long or too many; fn was not called. */
typedef enum rc glob_fn(void *arg, const char *glob, size_t n);
enum rc glob_expand(const char *text, size_t n, glob_fn *fn, void *arg);

/* glob: valid, without braces. */
bool glob_match(const char *glob, size_t n, const char *text, size_t len);

/* The literal bytes at both ends of a glob without braces: head is as far as the first special
 * character, tail what follows the last one. A glob without any is all head. */
void glob_ends(const char *glob, size_t n, size_t *ret_head, size_t *ret_tail);

#endif
