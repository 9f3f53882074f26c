/* configs/problem.c - the list of problems and the nearest-name hint. */
#include "configs/problem.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 48 };

static bool is_repeat(const struct problems *p, const char *place, const char *text)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->v[i].text, text) == 0 && strcmp(p->v[i].place, place) == 0)
            return true;
    }
    return false;
}

void problems_add(struct problems *p, enum severity severity, const struct place *at,
                  const char *fmt, ...)
{
    char place[PLACE_TEXT_MAX], text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    place_format(at, place, sizeof place);
    if (is_repeat(p, place, text))
        return;
    if (p->worst < severity)
        p->worst = severity;
    if (p->n == PROBLEMS_MAX) {
        p->more++;
        return;
    }
    struct problem *v = realloc(p->v, (p->n + 1) * sizeof *v);
    if (!v) {
        p->nomem = true;
        return;
    }
    p->v = v;
    v[p->n] = (struct problem){severity, strdup(place), strdup(text)};
    if (!v[p->n].place || !v[p->n].text) {
        free(v[p->n].place);
        free(v[p->n].text);
        p->nomem = true;
        return;
    }
    p->n++;
}

void problems_done(struct problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->v[i].place);
        free(p->v[i].text);
    }
    free(p->v);
    *p = (struct problems){0};
}

bool problems_have(const struct problems *p, enum severity severity)
{
    return p->nomem || (p->n > 0 && p->worst >= severity);
}

const char *severity_name(enum severity s)
{
    static const char *const names[] = {"warning", "error", "error", "error"};
    return names[s];
}

const char *key_shown(const char *key, char buf[static KEY_SHOWN_MAX])
{
    const char *colon = strchr(key, ':');
    bool cut = colon || strchr(key, '@');
    (void)snprintf(buf, KEY_SHOWN_MAX, "%.*s%s",
                   colon ? (int)(colon + 1 - key)
                   : cut ? 0
                         : 200,
                   key, cut ? "..." : "");
    return buf;
}

void nearest_init(struct nearest *n, const char *word)
{
    *n = (struct nearest){.word = word, .distance = WORD_MAX};
}

/* Edits between two words, case aside; a swap of neighbours counts once. */
static unsigned distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return WORD_MAX;
    unsigned row[3][WORD_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);
            unsigned d = up[j - 1] + (ca != cb);
            if (up[j] + 1 < d)
                d = up[j] + 1;
            if (now[j - 1] + 1 < d)
                d = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                           cb == tolower((unsigned char)a[i - 2]);
            if (swapped && up2[j - 2] + 1 < d)
                d = up2[j - 2] + 1;
            now[j] = d;
        }
    }
    return row[na % 3][nb];
}

void nearest_try(struct nearest *n, const char *known)
{
    unsigned d = distance(n->word, known);
    bool fuller = d == n->distance && n->best && strlen(known) > strlen(n->best);
    if (d < n->distance || fuller) {
        n->distance = d;
        n->best = known;
    }
}

const char *nearest_hint(const struct nearest *n, char *buf, size_t cap)
{
    size_t len = strlen(n->word);
    unsigned limit = len < 3 ? 0 : len < 6 ? 1 : len < 12 ? 2 : 3;
    if (n->best && n->distance <= limit)
        (void)snprintf(buf, cap, "; did you mean \"%s\"?", n->best);
    else
        (void)snprintf(buf, cap, "%s", "");
    return buf;
}
