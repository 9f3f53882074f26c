/* core/host/hooks_split.c - the words of a hook's command line, by the rules of shlex.
 *
 * Blanks end words; '...' is literal; in "..." and outside of quotes a backslash takes the next
 * character as it is; # at the start of a word begins a comment that lasts to the end of the line.
 * Nothing is expanded.
 */
#include "core/host/hooks.h"
#include <string.h>

enum state { ST_BETWEEN, ST_WORD, ST_SINGLE, ST_DOUBLE, ST_ESCAPED, ST_DOUBLE_ESCAPED, ST_COMMENT };

struct words {
    char *buf;
    size_t cap, at;
    char **argv;
    size_t argv_cap, n;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool word_begin(struct words *w)
{
    if (w->n + 1 >= w->argv_cap) /* the last one is for NULL */
        return false;
    w->argv[w->n++] = w->buf + w->at;
    return true;
}

static bool word_put(struct words *w, char c)
{
    if (w->at >= w->cap)
        return false;
    w->buf[w->at++] = c;
    return true;
}

/* What a character outside of quotes does; *fits turns false when there is no room. */
static enum state outside(struct words *w, enum state was, char c, bool *fits)
{
    if (is_blank(c)) {
        if (was == ST_WORD)
            *fits = word_put(w, 0);
        return ST_BETWEEN;
    }
    if (was == ST_BETWEEN) {
        if (c == '#')
            return ST_COMMENT;
        *fits = word_begin(w);
    }
    switch (c) {
    case '\'':
        return ST_SINGLE;
    case '"':
        return ST_DOUBLE;
    case '\\':
        return ST_ESCAPED;
    default:
        *fits = *fits && word_put(w, c);
        return ST_WORD;
    }
}

static enum state step(struct words *w, enum state st, char c, bool *fits)
{
    switch (st) {
    case ST_BETWEEN:
    case ST_WORD:
        return outside(w, st, c, fits);
    case ST_SINGLE:
        if (c == '\'')
            return ST_WORD;
        break;
    case ST_DOUBLE:
        if (c == '"')
            return ST_WORD;
        if (c == '\\')
            return ST_DOUBLE_ESCAPED;
        break;
    case ST_ESCAPED:
        *fits = word_put(w, c);
        return ST_WORD;
    case ST_DOUBLE_ESCAPED:
        *fits = word_put(w, c);
        return ST_DOUBLE;
    case ST_COMMENT:
        return c == '\n' ? ST_BETWEEN : ST_COMMENT;
    }
    *fits = word_put(w, c);
    return st;
}

static enum rc split(struct words *w, const char *command, struct diag *diag)
{
    enum state st = ST_BETWEEN;
    bool fits = true;

    for (const char *p = command; *p && fits; p++)
        st = step(w, st, *p, &fits);
    if (fits && st == ST_WORD)
        fits = word_put(w, 0);
    if (!fits)
        return diag_set(diag, RC_LIMIT, "command of more than %d bytes or %d words",
                        HOOKS_COMMAND_MAX - 1, HOOKS_WORDS_MAX - 1);
    switch (st) {
    case ST_BETWEEN:
    case ST_WORD:
    case ST_COMMENT:
        return RC_OK;
    case ST_SINGLE:
    case ST_DOUBLE:
        return diag_set(diag, RC_INVALID, "EOF found when expecting closing quote");
    case ST_ESCAPED:
    case ST_DOUBLE_ESCAPED:
        break;
    }
    return diag_set(diag, RC_INVALID, "EOF found after escape character");
}

enum rc hooks_split(const char *command, char *buf, size_t cap, char **argv, size_t words_cap,
                    size_t *ret_n, struct diag *diag)
{
    struct words w = {.buf = buf, .cap = cap, .argv = argv, .argv_cap = words_cap};

    if (words_cap == 0)
        return diag_set(diag, RC_LIMIT, "no room for words");
    enum rc rc = split(&w, command, diag);
    if (rc != RC_OK)
        return rc;
    argv[w.n] = NULL;
    *ret_n = w.n;
    return RC_OK;
}
