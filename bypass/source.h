/* bypass/source.h - where the patterns of a rule set come from: the configuration and the lines of
 * a file, compiled together, and the file read again every so often. gost-config.md 6.4.
 *
 * The first reading is done by source_new(). Later ones are done by a thread of their own, which
 * touches nothing but the file and the list that it compiles; the loop takes the finished list. A
 * file that can't be read, that leaves no pattern at all, or none that can be meant, changes
 * nothing: the last good list stays (the first time there is none: that is told). A file that did
 * not change is not read.
 *
 * Lines: one pattern each; '#' and what follows is a comment; blanks around are dropped. What is
 * odd about them is told; the configuration's patterns were judged by whoever read it (pattern.h).
 * Owner: one rule set. Threads: the loop's, but for what was said.
 */
#ifndef BYPASS_SOURCE_H
#define BYPASS_SOURCE_H

#include "core/rc.h"
#include <stdint.h>

struct loop;
struct matcher;
struct source;

enum { SOURCE_FILE_MAX_BYTES = 1 << 29, SOURCE_LINE_MAX_BYTES = 4096, SOURCE_RELOAD_MIN_MS = 1000 };

enum source_note {
    SOURCE_LOADED,  /* the list is new */
    SOURCE_EMPTY,   /* the first reading of a file left a list without any pattern */
    SOURCE_DOUBT,   /* a pattern that hardly is what somebody meant, or is ignored */
    SOURCE_TROUBLE, /* the file can't be read; told once until it can */
};
typedef void source_note_fn(void *arg, enum source_note note, const char *text);

struct source_cfg {
    struct loop *loop;
    const char *const *patterns; /* of the configuration; copied, as all strings */
    size_t n_patterns;
    const char *file;   /* NULL or "": none */
    uint32_t reload_ms; /* 0: never again; less than a second is a second */
    bool addrs_only;    /* what is no address, prefix or range is ignored */
    /* Where a pattern of the configuration stands ("gost.yml:12:7"); NULL: not known. Returns buf.
     */
    const char *(*place)(void *arg, uint32_t pattern, char *buf, size_t cap);
    source_note_fn *note; /* from source_new() too; NULL: nobody listens */
    void *arg;
};

/* NULL: no memory. A file that can't be read is no failure: it is told. */
struct source *source_new(const struct source_cfg *cfg);
void source_free(struct source *s); /* waits for the thread to notice; NULL is fine */

/* The list in force: never NULL, valid until the loop goes on. */
const struct matcher *source_list(const struct source *s);
/* A rule of that list in words: "\"TEXT\"", with its place behind it when that is known, or
 * "FILE:LINE". Returns buf. */
const char *source_rule(const struct source *s, uint32_t rule, char *buf, size_t cap);

#endif
