/* bypass/matcher.c - see matcher.h.
 *
 * Where a pattern goes:
 *   addresses                                        v4, v6: ranges
 *   host                                             ends, under its whole text: NAME
 *   glob that is "*" and ".x.y"                      ends, under ".x.y": STAR
 *   glob with ".x" after its last special character  ends, under ".x", as a glob
 *   glob with "x." before its first one              heads, under "x.", as a glob
 *   glob that is "*"                                 all
 *   other globs                                      loose
 *
 * A NAME that begins with a dot matches what lies below it, too. Rules with a port are ranges of
 * (entry, kind, port) in one set.
 */
#include "bypass/matcher.h"
#include "bypass/glob.h"
#include "bypass/nametab.h"
#include "bypass/pattern.h"
#include "bypass/spans.h"
#include <stdlib.h>
#include <string.h>

enum { NAME, STAR, N_KINDS }; /* flags of an entry: 1 << kind: for any port; 4 << kind: for some */
enum { PORT_MAX = 65535 };

/* A glob without braces, tried where its literal part was found. */
struct glob {
    uint32_t next, at, rule;
    uint16_t bytes, port_min, port_max;
};

struct matcher {
    struct nametab ends, heads;
    struct spans v4, v6, ports;
    struct glob *globs; /* from 1 on */
    uint32_t n_globs, room_globs, loose;
    char *text; /* of the globs */
    size_t n_text, text_room;
    uint32_t count;
    bool all, as_v4, as_v6; /* "*" is there; texts that an address could have as its text are */
};

struct matcher *matcher_new(void)
{
    return calloc(1, sizeof(struct matcher));
}

void matcher_free(struct matcher *m)
{
    if (!m)
        return;
    nametab_done(&m->ends);
    nametab_done(&m->heads);
    spans_done(&m->v4);
    spans_done(&m->v6);
    spans_done(&m->ports);
    free(m->globs);
    free(m->text);
    free(m);
}

void matcher_reserve(struct matcher *m, uint32_t patterns)
{
    (void)nametab_reserve(&m->ends, patterns); /* without memory it fails where it matters */
}

uint32_t matcher_count(const struct matcher *m)
{
    return m->count;
}

size_t matcher_bytes(const struct matcher *m)
{
    size_t spans = m->v4.room + m->v6.room + m->ports.room;
    return sizeof *m + nametab_bytes(&m->ends) + nametab_bytes(&m->heads) +
           spans * sizeof(struct span) + m->room_globs * sizeof(struct glob) + m->text_room;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* ---- addresses ---- */

static struct key key_of(const struct addr *a)
{
    struct key k = {0, 0};

    for (size_t i = 0; i < addr_ip_bytes(a); i++) {
        k.hi = k.hi << 8 | k.lo >> 56;
        k.lo = k.lo << 8 | a->ip[i];
    }
    return k;
}

static enum rc add_addrs(struct matcher *m, const struct pattern *p, uint32_t rule)
{
    static const struct key v4_last = {0, UINT32_MAX};
    const bool from_v4 = p->first.family == AF_INET, to_v4 = p->last.family == AF_INET;
    const struct key first = key_of(&p->first), last = key_of(&p->last);

    if (to_v4 && !from_v4)
        return RC_OK;
    if (from_v4 && !spans_add(&m->v4, first, to_v4 ? last : v4_last, rule))
        return RC_NOMEM;
    if (!to_v4 && !spans_add(&m->v6, from_v4 ? (struct key){0, 0} : first, last, rule))
        return RC_NOMEM;
    return RC_OK;
}

/* ---- hosts ---- */

static enum rc add_ports(struct matcher *m, uint64_t of, const struct pattern *p, uint32_t rule)
{
    const struct key min = {of, p->port_min}, max = {of, p->port_max};
    return spans_add(&m->ports, min, max, rule) ? RC_OK : RC_NOMEM;
}

static struct name *end_of(struct matcher *m, const char *key, size_t n)
{
    uint64_t hash = NAMETAB_HASH_START;

    for (size_t i = n; i-- > 0;)
        hash = nametab_hash(hash, key[i]);
    m->as_v4 = m->as_v4 || (key[n - 1] >= '0' && key[n - 1] <= '9');
    m->as_v6 = m->as_v6 || m->as_v4 || memchr(key, ':', n);
    return nametab_add(&m->ends, key, n, hash);
}

/* Where the ports of a kind of an entry are in their set. */
static uint64_t ports_of(const struct matcher *m, const struct name *e, unsigned kind)
{
    return (uint64_t)(e - m->ends.v) * N_KINDS + kind;
}

static enum rc add_end(struct matcher *m, unsigned kind, const char *key, size_t n,
                       const struct pattern *p, uint32_t rule)
{
    if (n == 0 || n > NAMETAB_KEY_MAX)
        return RC_OK; /* matches nothing */
    struct name *e = end_of(m, key, n);
    if (!e)
        return RC_NOMEM;
    if (p->port_min > 0 || p->port_max < PORT_MAX) {
        e->flags |= (uint8_t)(4u << kind);
        return add_ports(m, ports_of(m, e, kind), p, rule);
    }
    if (!(e->flags & 1u << kind))
        e->rule[kind] = rule;
    e->flags |= (uint8_t)(1u << kind);
    return RC_OK;
}

/* ---- globs ---- */

/* A pattern's glob on its way in. */
struct glob_add {
    struct matcher *m;
    const struct pattern *p;
    uint32_t rule;
};

static uint32_t *list_for(struct matcher *m, const char *g, size_t n)
{
    size_t head, tail;

    glob_ends(g, n, &head, &tail);
    const char *end = head == n ? g : g + n - tail, *dot = memchr(end, '.', (size_t)(g + n - end));
    if (dot) {
        size_t bytes = (size_t)(g + n - dot);
        struct name *e = bytes <= NAMETAB_KEY_MAX ? end_of(m, dot, bytes) : NULL;
        return e ? &e->globs : NULL;
    }
    m->as_v4 = m->as_v6 = true;
    while (head > 0 && g[head - 1] != '.' && g[head - 1] != ':')
        head--;
    if (head == 0 || head > NAMETAB_KEY_MAX)
        return &m->loose;
    uint64_t hash = NAMETAB_HASH_START;
    for (size_t i = 0; i < head; i++)
        hash = nametab_hash(hash, g[i]);
    struct name *e = nametab_add(&m->heads, g, head, hash);
    return e ? &e->globs : NULL;
}

static bool has_glob_room(struct matcher *m, size_t n)
{
    if (m->n_globs + 1 >= m->room_globs) {
        uint32_t room = m->room_globs ? m->room_globs * 2 : 16;
        struct glob *v = realloc(m->globs, room * sizeof *v);
        if (!v)
            return false;
        m->globs = v;
        m->room_globs = room;
    }
    if (m->n_text + n > m->text_room) {
        size_t room = m->text_room * 2 + GLOB_MAX_BYTES;
        char *text = room > UINT32_MAX ? NULL : realloc(m->text, room);
        if (!text)
            return false;
        m->text = text;
        m->text_room = room;
    }
    return true;
}

/* g is of small letters and has no braces. */
static enum rc add_glob(void *arg, const char *g, size_t n)
{
    const struct glob_add *a = arg;
    const struct pattern *p = a->p;
    struct matcher *m = a->m;

    if (n == 0)
        return RC_OK;
    while (n > 1 && g[0] == '*' && g[1] == '*') {
        g++;
        n--;
    }
    if (n == 1 && *g == '*') {
        m->all = m->as_v4 = m->as_v6 = true;
        return add_ports(m, UINT64_MAX, p, a->rule);
    }
    size_t head, tail;
    glob_ends(g, n, &head, &tail);
    if (head == 0 && tail == n - 1 && g[0] == '*' && g[1] == '.')
        return add_end(m, STAR, g + 1, n - 1, p, a->rule);
    uint32_t *list = list_for(m, g, n);
    if (!list || !has_glob_room(m, n))
        return RC_NOMEM;
    m->globs[++m->n_globs] = (struct glob){.next = *list,
                                           .at = (uint32_t)m->n_text,
                                           .rule = a->rule,
                                           .bytes = (uint16_t)n,
                                           .port_min = (uint16_t)p->port_min,
                                           .port_max = (uint16_t)p->port_max};
    *list = m->n_globs;
    memcpy(m->text + m->n_text, g, n);
    m->n_text += n;
    return RC_OK;
}

enum rc matcher_add(struct matcher *m, const struct pattern *p, uint32_t rule)
{
    char host[GLOB_MAX_BYTES];
    struct glob_add a = {m, p, rule};

    m->count++;
    if (p->kind == PATTERN_ADDRS)
        return add_addrs(m, p, rule);
    if (p->host_bytes > sizeof host)
        return p->kind == PATTERN_GLOB ? RC_LIMIT : RC_OK;
    if (p->port_min > p->port_max)
        return RC_OK;
    for (size_t i = 0; i < p->host_bytes; i++)
        host[i] = fold(p->host[i]);
    if (p->kind == PATTERN_HOST)
        return add_end(m, NAME, host, p->host_bytes, p, rule);
    return glob_is_valid(host, p->host_bytes) /* in small letters [Z-a] is not */
               ? glob_expand(host, p->host_bytes, add_glob, &a)
               : RC_OK;
}

void matcher_finish(struct matcher *m)
{
    spans_finish(&m->v4);
    spans_finish(&m->v6);
    spans_finish(&m->ports);
}

/* ---- questions ---- */

struct question {
    const struct matcher *m;
    const char *host; /* small letters; there is a dot before it */
    size_t n;
    uint16_t port;
    uint32_t *rule;
};

static bool found(const struct question *q, uint32_t rule)
{
    if (q->rule)
        *q->rule = rule;
    return true;
}

static bool has_port(const struct question *q, uint64_t of)
{
    const struct span *s = spans_find(&q->m->ports, (struct key){of, q->port});
    return s && found(q, s->rule);
}

static bool has_kind(const struct question *q, const struct name *e, unsigned kind)
{
    if (e->flags & 1u << kind)
        return found(q, e->rule[kind]);
    return e->flags & 4u << kind && has_port(q, ports_of(q->m, e, kind));
}

static bool has_glob(const struct question *q, uint32_t at)
{
    const struct matcher *m = q->m;

    for (; at; at = m->globs[at].next) {
        const struct glob *g = &m->globs[at];
        if (q->port >= g->port_min && q->port <= g->port_max &&
            glob_match(m->text + g->at, g->bytes, q->host, q->n))
            return found(q, g->rule);
    }
    return false;
}

/* An end of the host whose key may be there. */
struct end {
    uint64_t hash;
    const char *from;
};
enum { ENDS_MAX = NAMETAB_KEY_MAX + 2 };

/* The ends that begin with a dot, from the last to the first, then the host behind a dot of ours
 * and the host itself: as many as may be there. */
static unsigned list_ends(const struct question *q, struct end *v)
{
    const struct nametab *t = &q->m->ends;
    uint64_t hash = NAMETAB_HASH_START;
    unsigned dots = 0, n = 0;

    for (size_t i = q->n; i-- > 0;) {
        hash = nametab_hash(hash, q->host[i]);
        if (q->host[i] == '.' && nametab_may_have(t, true, ++dots))
            v[n++] = (struct end){hash, q->host + i};
    }
    if (nametab_may_have(t, true, dots + 1))
        v[n++] = (struct end){nametab_hash(hash, '.'), q->host - 1};
    if (nametab_may_have(t, *q->host == '.', dots))
        v[n++] = (struct end){hash, q->host};
    return n;
}

/* odd: where the first dot stands that no label is before; GOST looks no further for names. */
static bool has_end(const struct question *q, size_t odd)
{
    struct end v[ENDS_MAX];
    unsigned n = list_ends(q, v);

    for (unsigned i = 0; i < n; i++)
        nametab_expect(&q->m->ends, v[i].hash);
    for (unsigned i = 0; i < n; i++) {
        const size_t bytes = (size_t)(q->host + q->n - v[i].from);
        const struct name *e = nametab_find(&q->m->ends, v[i].from, bytes, v[i].hash);
        if (!e)
            continue;
        bool whole = bytes >= q->n, below = v[i].from >= q->host && *v[i].from == '.';
        if (((whole || (size_t)(v[i].from - q->host) < odd) && has_kind(q, e, NAME)) ||
            (below && (has_kind(q, e, STAR) || has_glob(q, e->globs))))
            return true;
    }
    return false;
}

static bool has_head(const struct question *q)
{
    uint64_t hash = NAMETAB_HASH_START;

    for (size_t i = 0; i < q->n; i++) {
        hash = nametab_hash(hash, q->host[i]);
        if (q->host[i] != '.' && q->host[i] != ':')
            continue;
        const struct name *e = nametab_find(&q->m->heads, q->host, i + 1, hash);
        if (e && has_glob(q, e->globs))
            return true;
    }
    return false;
}

static bool has_text(const struct matcher *m, const char *text, uint16_t port, uint32_t *ret_rule)
{
    char buf[NAMETAB_KEY_MAX + 1] = ".";
    struct question q = {.m = m, .host = buf + 1, .port = port, .rule = ret_rule};
    size_t odd = sizeof buf;

    for (; text[q.n] && q.n < sizeof buf - 1; q.n++) {
        if (text[q.n] == '.' && buf[q.n] == '.' && odd > q.n)
            odd = q.n;
        buf[q.n + 1] = fold(text[q.n]);
    }
    return has_end(&q, odd) || (m->heads.n > 0 && has_head(&q)) ||
           (m->all && has_port(&q, UINT64_MAX)) || has_glob(&q, m->loose);
}

static bool has_addr(const struct matcher *m, const struct addr *addr, uint32_t *ret_rule)
{
    struct addr a = addr_unmap(*addr);
    const bool v4 = a.family == AF_INET;
    const struct span *s = spans_find(v4 ? &m->v4 : &m->v6, key_of(&a));
    char text[ADDR_TEXT_MAX];

    if (s && ret_rule)
        *ret_rule = s->rule;
    if (s || !(v4 ? m->as_v4 : m->as_v6))
        return s != NULL;
    a.scope = 0;
    return has_text(m, addr_format_ip(&a, text, sizeof text), a.port, ret_rule);
}

bool matcher_has(const struct matcher *m, const struct target *t, uint32_t *ret_rule)
{
    return (target_is_name(t) && has_text(m, t->name, t->addr.port, ret_rule)) ||
           (t->addr.family != 0 && has_addr(m, &t->addr, ret_rule));
}
