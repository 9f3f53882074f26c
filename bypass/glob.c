/* bypass/glob.c - see glob.h. */
#include "bypass/glob.h"
#include <stdint.h>
#include <string.h>

bool glob_is_wild(const char *text, size_t n)
{
    return n > 0 && (memchr(text, '*', n) || memchr(text, '?', n));
}

/* ---- characters ---- */

/* The character at p, which is before end; *p moves behind it. A byte that is no UTF-8 is one. */
static uint32_t next_char(const char **p, const char *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *s = (const uint8_t *)*p;
    int n = s[0] < 0xc2 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 1;
    uint32_t c = s[0];

    if (n > 1 && n <= end - *p) {
        uint32_t v = c & (0x7fu >> n);
        int i = 1;
        while (i < n && (s[i] & 0xc0) == 0x80)
            v = v << 6 | (s[i++] & 0x3fu);
        if (i == n && v >= least[n]) {
            *p += n;
            return v;
        }
    }
    *p += 1;
    return c < 0x80 ? c : 0x110000 + c; /* no character is that */
}

/* ---- classes: [abc] [!a-z] ---- */

struct class
{
    const char *list, *list_end; /* escapes in it; NULL: lo to hi */
    uint32_t lo, hi;
    bool negated;
};

/* *p stands behind '[' and moves behind ']'. */
static bool class_parse(const char **p, const char *end, struct class *ret_c)
{
    struct class c = {.negated = false};
    const char *s = *p;

    if (s < end && *s == '!') {
        c.negated = true;
        s++;
    }
    if (s == end)
        return false;
    const char *first = s;
    c.lo = next_char(&s, end);
    if (s < end && *s == '-') {
        if (++s == end)
            return false;
        c.hi = next_char(&s, end);
        if (c.hi < c.lo || s == end || *s != ']')
            return false;
    } else {
        c.list = s = first;
        while (s < end && *s != ']')
            s += *s == '\\' && s + 1 < end ? 2 : 1;
        if (s >= end || s == first)
            return false;
        c.list_end = s;
    }
    *p = s + 1;
    *ret_c = c;
    return true;
}

static bool class_has(const struct class *c, uint32_t x)
{
    bool in = false;

    if (!c->list)
        in = c->lo <= x && x <= c->hi;
    for (const char *s = c->list; s && s < c->list_end && !in;) {
        if (*s == '\\' && ++s == c->list_end)
            break;
        in = next_char(&s, c->list_end) == x;
    }
    return in != c->negated;
}

/* ---- validity and alternatives ---- */

/* Behind the item at s: an escape, a class, or one byte. NULL: a broken class. */
static const char *skip_item(const char *s, const char *end)
{
    struct class c;

    if (*s == '\\')
        return s + 1 < end ? s + 2 : end;
    if (*s != '[')
        return s + 1;
    s++;
    return class_parse(&s, end, &c) ? s : NULL;
}

bool glob_is_valid(const char *text, size_t n)
{
    const char *end = text + n;

    while (text && text < end)
        text = skip_item(text, end);
    return text != NULL;
}

struct expansion {
    glob_fn *fn;
    void *arg;
    unsigned left;
};

/* The first brace from s on; end: none. */
static const char *find_brace(const char *s, const char *end)
{
    while (s < end && *s != '{')
        s = skip_item(s, end);
    return s;
}

/* The end of the alternative that begins at s: its comma or brace, or the end of the text. */
static const char *alternative_end(const char *s, const char *end)
{
    for (unsigned depth = 0; s < end; s = skip_item(s, end)) {
        if (depth == 0 && (*s == ',' || *s == '}'))
            break;
        if (*s == '{')
            depth++;
        else if (*s == '}')
            depth--;
    }
    return s;
}

static enum rc expand(struct expansion *x, const char *text, size_t n)
{
    char one[GLOB_MAX_BYTES];
    const char *end = text + n, *brace = find_brace(text, end), *close = brace;

    if (brace == end) {
        if (x->left == 0)
            return RC_LIMIT;
        x->left--;
        return x->fn(x->arg, text, n);
    }
    do
        close = alternative_end(close + 1, end);
    while (close < end && *close == ',');
    const char *rest = close < end ? close + 1 : end;
    const size_t n_head = (size_t)(brace - text), n_rest = (size_t)(end - rest);
    for (const char *at = brace + 1;; at++) {
        const char *stop = alternative_end(at, end);
        size_t n_one = (size_t)(stop - at);
        memcpy(one, text, n_head); /* shorter than the whole, as all of it */
        memcpy(one + n_head, at, n_one);
        memcpy(one + n_head + n_one, rest, n_rest);
        enum rc rc = expand(x, one, n_head + n_one + n_rest);
        if (rc != RC_OK || stop == close)
            return rc;
        at = stop;
    }
}

static enum rc only_count(void *arg, const char *text, size_t n)
{
    (void)arg, (void)text, (void)n;
    return RC_OK;
}

enum rc glob_expand(const char *text, size_t n, glob_fn *fn, void *arg)
{
    struct expansion x = {.fn = fn, .arg = arg, .left = GLOB_ALTERNATIVES_MAX};
    struct expansion counted = {.fn = only_count, .left = GLOB_ALTERNATIVES_MAX};
    if (n > GLOB_MAX_BYTES)
        return RC_LIMIT;
    enum rc rc = expand(&counted, text, n); /* half a glob is no glob */
    return rc == RC_OK ? expand(&x, text, n) : rc;
}

/* ---- matching ---- */

/* One item of the glob that is no star against one character of the text; both move on. */
static bool match_one(const char **g, const char *g_end, const char **s, const char *s_end)
{
    uint32_t x = next_char(s, s_end);
    struct class c;

    if (**g == '?') {
        ++*g;
        return true;
    }
    if (**g == '[') {
        ++*g;
        return class_parse(g, g_end, &c) && class_has(&c, x);
    }
    if (**g == '\\')
        ++*g;
    return *g < g_end && next_char(g, g_end) == x;
}

/* Only the last star that was passed needs to be tried again: what an earlier one took can't make
 * the rest match better. */
bool glob_match(const char *glob, size_t n, const char *text, size_t len)
{
    const char *g = glob, *g_end = glob + n, *s = text, *s_end = text + len;
    const char *star = NULL, *retry = NULL;

    if (n > 0 && g_end[-1] == '\\') { /* an escape of nothing is nothing */
        size_t run = 1;
        while (run < n && g_end[-1 - (ptrdiff_t)run] == '\\')
            run++;
        g_end -= run % 2;
    }
    for (;;) {
        if (g < g_end && *g == '*') {
            star = ++g;
            retry = s;
            continue;
        }
        if (s == s_end)
            return g == g_end;
        if (g < g_end && match_one(&g, g_end, &s, s_end))
            continue;
        if (!star)
            return false;
        g = star;
        s = retry;
        (void)next_char(&s, s_end);
        retry = s;
    }
}

void glob_ends(const char *glob, size_t n, size_t *ret_head, size_t *ret_tail)
{
    const char *end = glob + n, *s = glob, *last = NULL;
    size_t head = n;

    while (s && s < end) {
        const char *next = skip_item(s, end);
        if (strchr("*?[\\", *s) && *s) {
            if (!last)
                head = (size_t)(s - glob);
            last = next;
        }
        s = next;
    }
    *ret_head = head;
    *ret_tail = last ? (size_t)(end - last) : 0;
}
