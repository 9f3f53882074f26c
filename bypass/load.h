/* bypass/load.h - one reading of a rule set: patterns and the lines of a file become a compiled
 * list. Blocks for the file; runs in any thread; private to bypass/source.c.
 */
#ifndef BYPASS_LOAD_H
#define BYPASS_LOAD_H

#include "core/rc.h"
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct matcher;

enum { LOAD_DOUBTS_MAX = 3, LOAD_TEXT_MAX = 320 };

struct load_cfg {
    const char *const *patterns;
    size_t n_patterns;
    const char *file; /* NULL: none */
    bool addrs_only;
};

/* Which state of a file it is. */
struct load_stamp {
    dev_t dev;
    ino_t ino;
    off_t bytes;
    struct timespec written, changed;
};

struct load {
    enum rc rc;           /* RC_OK; RC_AGAIN: the file is the known one; else diag says why */
    struct matcher *list; /* NULL unless RC_OK */
    struct load_stamp stamp;
    struct diag diag;
    unsigned n_doubts, n_good; /* lines that are in doubt, and those that are not */
    char doubts[LOAD_DOUBTS_MAX][LOAD_TEXT_MAX]; /* the first ones, in words */
    atomic_bool canceled;
};

void load_init(struct load *l);
void load_run(struct load *l, const struct load_cfg *cfg, const struct load_stamp *known);
void load_cancel(struct load *l); /* from another thread: it ends soon with RC_CANCELED */
void load_done(struct load *l);

/* The numbers that the list gives its rules, in words; see source_rule(). */
const char *load_rule(const struct load_cfg *cfg, uint32_t rule, char *buf, size_t cap);

#endif
