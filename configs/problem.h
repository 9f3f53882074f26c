/* configs/problem.h - what is wrong with a configuration: a growing list that app prints, and the
 * nearest-name hint.
 *
 * The owner zero-initialises a struct problems and ends it with problems_done(). Exact repeats are
 * kept once, at most PROBLEMS_MAX are kept (`more` counts the rest). Texts carry no secrets.
 */
#ifndef CONFIGS_PROBLEM_H
#define CONFIGS_PROBLEM_H

#include "configs/tree.h"

enum severity {
    PROBLEM_WARNING, /* works, but not as somebody may think */
    PROBLEM_ERROR,   /* the operator must act, but GOST goes on here and so do we */
    PROBLEM_REFUSE,  /* not fit to run: load and -t fail; -O still prints the tree */
    PROBLEM_FATAL,   /* there is no tree */
};

struct problem {
    enum severity severity;
    char *place; /* "gost.yml:12:7", may be "" */
    char *text;
};

struct problems {
    struct problem *v;
    size_t n, more;
    bool nomem;
    enum severity worst; /* meaningful when n > 0 */
};

enum { PROBLEMS_MAX = 200 };

void problems_add(struct problems *p, enum severity severity, const struct place *at,
                  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void problems_done(struct problems *p);
/* Is there one at least this bad (or did memory run out)? */
bool problems_have(const struct problems *p, enum severity severity);
const char *severity_name(enum severity s); /* "warning", "error" */

/* For messages: a key; of one that may hold a password ("password:secret") what is before it. */
enum { KEY_SHOWN_MAX = 256 };
const char *key_shown(const char *key, char buf[static KEY_SHOWN_MAX]);

/* Finds the known word that a mistyped one most likely meant. */
struct nearest {
    const char *word, *best;
    unsigned distance;
};
void nearest_init(struct nearest *n, const char *word);
void nearest_try(struct nearest *n, const char *known);
/* "; did you mean \"x\"?", or "" when nothing is near. Returns buf. */
const char *nearest_hint(const struct nearest *n, char *buf, size_t cap);

#endif
