/* core/sink.h - where lines of the log go: a file that somebody renames, a disk that is full, a
 * pipe whose reader sleeps. None of these may stop the loop.
 *
 * A line is written whole with one system call or is lost; lost ones are counted. A file that has
 * been renamed or removed is opened anew by its name, within about a second of the next line; where
 * that fails the old one goes on. A pipe, terminal or socket that takes nothing is waited for
 * SINK_PATIENCE_MS at most once a second. For pipes this holds with one writing process, or more
 * than a page of room; lines are at most PIPE_BUF (4,096) bytes.
 *
 * Owner: core/log. One thread.
 */
#ifndef CORE_SINK_H
#define CORE_SINK_H

#include "core/rc.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SINK_PATIENCE_MS = 20 };

enum sink_kind {
    SINK_PLAIN, /* a file or a device: write(2) doesn't wait for anybody */
    SINK_WAITS, /* a pipe or terminal */
    SINK_SOCKET /* systemd's journal gives one */
};

struct sink {
    int fd; /* -1: none */
    enum sink_kind kind;
    char *path;        /* NULL: not ours to open and to close */
    dev_t dev;         /* of the file that fd is, to know it again */
    ino_t ino;         /* the same */
    uint64_t looked_s; /* when the name was last looked at */
    uint64_t waited_ms;
    bool torn;     /* the last line is there in part: the next begins with a line feed */
    uint64_t lost; /* lines since the last sink_found() */
    int why;       /* errno of the last lost line */
};

/* The ends that are no file: 1, 2, -1 (none). */
void sink_take(struct sink *s, int fd);
/* A file: its folders are made, it is appended to. */
enum rc sink_open(struct sink *s, const char *path, struct diag *diag);
void sink_close(struct sink *s); /* then stderr is what it writes to */
/* A line with its line feed. false: it is lost. */
bool sink_line(struct sink *s, const char *line, size_t n);
static inline void sink_found(struct sink *s, uint64_t lost)
{
    s->lost -= lost;
}

#endif
