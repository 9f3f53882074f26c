/* tests/fuzz/fuzz_matcher.c - lines of a rule file, then, after an empty line, targets as
 * host:port. Every answer must be the naive twin's, and the rule that is named must be one that
 * matches. Lines are short, since the twin tries everything.
 */
#include "bypass/matcher.h"
#include "bypass/pattern.h"
#include "tests/unit/rulestwin.h"

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum { RULES_MAX = 32, LINE_MAX_BYTES = 64, STARS_MAX = 5, HOST_MAX_BYTES = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct line {
    const char *s;
    size_t n;
} rules[RULES_MAX];

static struct line next_line(const char **at, const char *end)
{
    struct line l = {.s = *at};
    while (l.s + l.n < end && l.s[l.n] != '\n')
        l.n++;
    *at = l.s + l.n + (l.s + l.n < end);
    return l;
}

static bool is_short(struct line l)
{
    size_t stars = 0, braces = 0;
    for (size_t i = 0; i < l.n; i++) {
        stars += l.s[i] == '*';
        braces += l.s[i] == '{';
    }
    return l.n <= LINE_MAX_BYTES && stars <= STARS_MAX && braces <= 2;
}

static void ask(const struct matcher *m, uint32_t n, struct line l)
{
    char text[HOST_MAX_BYTES + 1];
    struct target t;
    uint32_t rule = UINT32_MAX;
    bool twin = false;
    if (l.n > HOST_MAX_BYTES)
        return;
    memcpy(text, l.s, l.n);
    text[l.n] = 0;
    if (!target_parse(text, &t) || (!target_is_name(&t) && t.addr.family == 0))
        return;
    t.addr.scope = 0;
    for (uint32_t i = 0; i < n && !twin; i++)
        twin = twin_target(rules[i].s, rules[i].n, &t);
    MUST(matcher_has(m, &t, &rule) == twin);
    MUST(!twin || (rule < n && twin_target(rules[rule].s, rules[rule].n, &t)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    struct matcher *m = matcher_new();
    uint32_t n = 0;

    while (at < end) {
        struct line l = next_line(&at, end);
        struct pattern p;
        if (l.n == 0)
            break;
        if (n == RULES_MAX || !is_short(l))
            continue;
        rules[n] = l;
        pattern_parse(l.s, l.n, &p);
        enum rc rc = matcher_add(m, &p, n);
        MUST(rc == RC_OK || rc == RC_LIMIT); /* too many alternatives: none of them is in */
        n += rc == RC_OK;
    }
    matcher_finish(m);
    for (int i = 0; i < 64 && at < end; i++)
        ask(m, n, next_line(&at, end));
    matcher_free(m);
    return 0;
}
