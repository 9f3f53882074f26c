/* bypass/load.c - see load.h. Rules are numbered: patterns from 0, then lines, the first of which
 * has the number of patterns.
 */
#include "bypass/load.h"
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include "bypass/source.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 * 1024, LINE_GUESS_BYTES = 24 };

void load_init(struct load *l)
{
    *l = (struct load){.rc = RC_OK};
    atomic_init(&l->canceled, false);
}

void load_cancel(struct load *l)
{
    atomic_store(&l->canceled, true);
}

void load_done(struct load *l)
{
    matcher_free(l->list);
    l->list = NULL;
}

const char *load_rule(const struct load_cfg *cfg, uint32_t rule, char *buf, size_t cap)
{
    if (rule < cfg->n_patterns)
        (void)snprintf(buf, cap, "\"%s\"", cfg->patterns[rule]);
    else
        (void)snprintf(buf, cap, "%s:%zu", cfg->file ? cfg->file : "?", rule - cfg->n_patterns + 1);
    return buf;
}

/* ---- patterns ---- */

/* Only lines: what the configuration holds was judged by whoever read it. */
static void doubt(struct load *l, const struct load_cfg *cfg, uint32_t rule, const char *text,
                  size_t n, const char *why)
{
    char place[LOAD_TEXT_MAX / 2];

    if (rule < cfg->n_patterns)
        return;
    if (l->n_doubts < LOAD_DOUBTS_MAX)
        (void)snprintf(l->doubts[l->n_doubts], LOAD_TEXT_MAX, "%s: pattern \"%.*s\": %s",
                       load_rule(cfg, rule, place, sizeof place), n < 80 ? (int)n : 80, text, why);
    l->n_doubts++;
}

static enum rc add(struct load *l, const struct load_cfg *cfg, const char *text, size_t n,
                   uint32_t rule)
{
    struct pattern p;

    if (cfg->addrs_only)
        pattern_parse_addrs(text, n, &p);
    else
        pattern_parse(text, n, &p);
    if (p.doubt)
        doubt(l, cfg, rule, text, n, p.doubt);
    else
        l->n_good += rule >= cfg->n_patterns;
    if (cfg->addrs_only && p.kind != PATTERN_ADDRS)
        return RC_OK;
    enum rc rc = matcher_add(l->list, &p, rule);
    if (rc != RC_LIMIT)
        return rc;
    doubt(l, cfg, rule, text, n, "it is too long or has too many alternatives, and is ignored");
    return RC_OK;
}

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum rc add_line(struct load *l, const struct load_cfg *cfg, const char *s, size_t n,
                        uint32_t line)
{
    static const char mark[] = "\xef\xbb\xbf"; /* at the start of a file some editors put it */
    const uint32_t rule = (uint32_t)cfg->n_patterns + line - 1;

    if (line == 1 && n >= sizeof mark - 1 && memcmp(s, mark, sizeof mark - 1) == 0) {
        s += sizeof mark - 1;
        n -= sizeof mark - 1;
    }
    const char *comment = memchr(s, '#', n);
    n = comment ? (size_t)(comment - s) : n;
    while (n > 0 && is_blank(*s)) {
        s++;
        n--;
    }
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    if (n > SOURCE_LINE_MAX_BYTES)
        doubt(l, cfg, rule, s, n, "the line is too long and is ignored");
    return n == 0 || n > SOURCE_LINE_MAX_BYTES ? RC_OK : add(l, cfg, s, n, rule);
}

/* The whole lines of buf, and what is behind the last of them if this is the end. The rest is moved
 * to the front; *n becomes its length. */
static enum rc add_lines(struct load *l, const struct load_cfg *cfg, char *buf, size_t *n, bool end,
                         uint32_t *line)
{
    char *at = buf, *stop = buf + *n, *newline;
    enum rc rc = RC_OK;

    while (rc == RC_OK && at < stop) {
        newline = memchr(at, '\n', (size_t)(stop - at));
        if (!newline && !end)
            break;
        newline = newline ? newline : stop;
        rc = add_line(l, cfg, at, (size_t)(newline - at), ++*line);
        at = newline < stop ? newline + 1 : stop;
    }
    *n = at < stop ? (size_t)(stop - at) : 0;
    if (*n > 0)
        memmove(buf, at, *n);
    return rc;
}

static enum rc read_lines(struct load *l, const struct load_cfg *cfg, int fd)
{
    char *buf = malloc(BLOCK_BYTES);
    size_t n = 0;
    uint32_t line = 0;
    enum rc rc = buf ? RC_OK : RC_NOMEM;

    for (bool end = false; rc == RC_OK && !end;) {
        ssize_t got = read(fd, buf + n, BLOCK_BYTES - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = diag_errno(&l->diag, errno, "cannot read %s", cfg->file);
            break;
        }
        end = got == 0;
        n += (size_t)got;
        rc = add_lines(l, cfg, buf, &n, end, &line);
        if (n == BLOCK_BYTES)
            rc = diag_set(&l->diag, RC_INVALID, "%s:%u: a line of more than %d bytes", cfg->file,
                          line + 1, BLOCK_BYTES);
        if (atomic_load(&l->canceled))
            rc = RC_CANCELED;
    }
    free(buf);
    return rc;
}

/* ---- the file ---- */

static struct load_stamp stamp_of(const struct stat *st)
{
    return (struct load_stamp){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct load_stamp *a, const struct load_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
           same_time(a->written, b->written) && same_time(a->changed, b->changed);
}

/* Opens it and looks which state it is in. */
static enum rc open_file(struct load *l, const struct load_cfg *cfg, const struct load_stamp *known,
                         int *ret_fd)
{
    int fd = open(cfg->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    enum rc rc = RC_OK;

    if (fd < 0 || fstat(fd, &st) != 0)
        rc = diag_errno(&l->diag, errno, "cannot read %s", cfg->file);
    else if (!S_ISREG(st.st_mode))
        rc = diag_set(&l->diag, RC_INVALID, "cannot read %s: not a regular file", cfg->file);
    else if (st.st_size > SOURCE_FILE_MAX_BYTES)
        rc = diag_set(&l->diag, RC_LIMIT, "cannot read %s: larger than %d MB", cfg->file,
                      SOURCE_FILE_MAX_BYTES >> 20);
    else
        l->stamp = stamp_of(&st);
    if (rc == RC_OK && same_stamp(&l->stamp, known))
        rc = RC_AGAIN;
    if (rc == RC_OK)
        *ret_fd = fd;
    else if (fd >= 0)
        close(fd);
    return rc;
}

static enum rc read_file(struct load *l, const struct load_cfg *cfg, int fd)
{
    struct stat st;

    matcher_reserve(l->list, (uint32_t)(l->stamp.bytes / LINE_GUESS_BYTES));
    enum rc rc = read_lines(l, cfg, fd);
    if (rc == RC_OK && (fstat(fd, &st) != 0 || st.st_size != l->stamp.bytes ||
                        !same_time(st.st_mtim, l->stamp.written)))
        rc = diag_set(&l->diag, RC_INVALID, "%s was written to while it was read", cfg->file);
    return rc;
}

void load_run(struct load *l, const struct load_cfg *cfg, const struct load_stamp *known)
{
    int fd = -1;

    if (cfg->file)
        l->rc = open_file(l, cfg, known, &fd);
    if (l->rc != RC_OK)
        return;
    l->list = matcher_new();
    l->rc = l->list ? RC_OK : RC_NOMEM;
    for (size_t i = 0; i < cfg->n_patterns && l->rc == RC_OK; i++)
        l->rc = add(l, cfg, cfg->patterns[i], strlen(cfg->patterns[i]), (uint32_t)i);
    if (l->rc == RC_OK && fd >= 0)
        l->rc = read_file(l, cfg, fd);
    if (fd >= 0)
        close(fd);
    if (l->rc == RC_NOMEM)
        diag_set(&l->diag, RC_NOMEM, "no memory for the patterns");
    if (l->rc == RC_OK)
        matcher_finish(l->list);
    else
        load_done(l);
}
