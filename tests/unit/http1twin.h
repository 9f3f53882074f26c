/* tests/unit/http1twin.h - the differential twin of core/wire/http1: libhttp-parser reads the same
 * bytes, and where both accept a head they must have read the same thing. Without the library it
 * compares nothing.
 */
#ifndef TESTS_UNIT_HTTP1TWIN_H
#define TESTS_UNIT_HTTP1TWIN_H

#include "core/wire/http1.h"
#include <stdlib.h>

#if defined(__has_include)
#if __has_include(<http_parser.h>) && defined(HAVE_HTTP_PARSER)
#define HTTP1_TWIN 1
#include <http_parser.h>
#endif
#endif

#ifdef HTTP1_TWIN

struct twin {
    struct slice name[HTTP1_FIELDS_MAX], value[HTTP1_FIELDS_MAX], target;
    size_t n;
    bool in_value, complete, folded, overflow;
};

/* The callbacks get pieces; all pieces lie behind one another in one buffer (folded lines don't).
 */
static inline bool twin_join(struct slice *s, const char *at, size_t n)
{
    if (!s->p)
        *s = (struct slice){at, n};
    else if (s->p + s->n == at)
        s->n += n;
    else
        return false;
    return true;
}

static inline int twin_target(http_parser *p, const char *at, size_t n)
{
    struct twin *t = p->data;
    (void)twin_join(&t->target, at, n);
    return 0;
}

static inline int twin_name(http_parser *p, const char *at, size_t n)
{
    struct twin *t = p->data;
    if (t->in_value) {
        t->n++;
        t->in_value = false;
    }
    if (t->n >= HTTP1_FIELDS_MAX)
        t->overflow = true;
    else
        (void)twin_join(&t->name[t->n], at, n);
    return 0;
}

static inline int twin_value(http_parser *p, const char *at, size_t n)
{
    struct twin *t = p->data;
    t->in_value = true;
    if (t->n >= HTTP1_FIELDS_MAX)
        t->overflow = true;
    else if (!twin_join(&t->value[t->n], at, n))
        t->folded = true;
    return 0;
}

static inline int twin_complete(http_parser *p)
{
    struct twin *t = p->data;
    if (t->in_value)
        t->n++;
    t->complete = true;
    return 2; /* no body, and nothing behind it */
}

static inline bool twin_same(struct slice a, struct slice b)
{
    while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--;
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* NULL: they agree (or the twin refused, or is not asked); else what differs. */
static inline const char *http1_twin_differs(const struct http1_head *h, const char *buf,
                                             size_t len, bool request)
{
    static struct twin t;
    http_parser p;
    http_parser_settings cb;

    memset(&t, 0, sizeof t);
    http_parser_init(&p, request ? HTTP_REQUEST : HTTP_RESPONSE);
    http_parser_settings_init(&cb);
    p.data = &t;
    cb.on_url = twin_target;
    cb.on_header_field = twin_name;
    cb.on_header_value = twin_value;
    cb.on_headers_complete = twin_complete;
    (void)http_parser_execute(&p, &cb, buf, len); /* what counts is how far it came */
    if (!t.complete || t.overflow || t.folded)
        return NULL;
    if (request && h->target.n == 0) /* ours alone: the twin takes the version for the target */
        return NULL;
    if (p.http_minor != h->minor)
        return "version";
    if (request && !slice_equal(h->method, http_method_str((enum http_method)p.method)))
        return "method";
    if (request && !twin_same(h->target, t.target))
        return "target";
    if (!request && p.status_code != h->status)
        return "status";
    if (t.n != h->n_fields)
        return "number of fields";
    for (size_t i = 0; i < t.n; i++)
        if (!twin_same(h->fields[i].name, t.name[i]) || !twin_same(h->fields[i].value, t.value[i]))
            return "field";
    return NULL;
}

#else

static inline const char *http1_twin_differs(const struct http1_head *h, const char *buf,
                                             size_t len, bool request)
{
    (void)h, (void)buf, (void)len, (void)request;
    return NULL;
}

#endif
#endif
