/* core/floor/tls_session.c - the client's tickets. Contract in tls_session.h. */
#include "core/floor/tls_session.h"
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

struct ticket {
    unsigned char *data; /* mbedtls_ssl_session_save(); NULL: free place */
    size_t n;
    uint64_t until_ms;
};

/* The tickets of one key: a ring, `n` of them ending before `next`. */
struct tls_tickets {
    struct tls_tickets *older;
    char *key;
    unsigned next, n;
    struct ticket v[TLS_SESSION_TICKETS];
};

static void ticket_drop(struct ticket *t)
{
    if (t->data)
        mbedtls_platform_zeroize(t->data, t->n);
    free(t->data);
    t->data = NULL;
    t->n = 0;
}

static void tickets_free(struct tls_tickets *ts)
{
    for (unsigned i = 0; i < TLS_SESSION_TICKETS; i++)
        ticket_drop(&ts->v[i]);
    free(ts->key);
    free(ts);
}

void tls_sessions_done(struct tls_sessions *ss)
{
    struct tls_tickets *ts = ss->newest, *older;

    for (; ts; ts = older) {
        older = ts->older;
        tickets_free(ts);
    }
    ss->newest = NULL;
    ss->keys = 0;
}

/* Finds key and makes it the most recently used. */
static struct tls_tickets *touch(struct tls_sessions *ss, const char *key)
{
    struct tls_tickets **link = &ss->newest, *ts;

    for (; (ts = *link) != NULL; link = &ts->older) {
        if (strcmp(ts->key, key) == 0) {
            *link = ts->older;
            ts->older = ss->newest;
            ss->newest = ts;
            return ts;
        }
    }
    return NULL;
}

static void drop_oldest(struct tls_sessions *ss)
{
    struct tls_tickets **link = &ss->newest;

    while ((*link)->older)
        link = &(*link)->older;
    tickets_free(*link);
    *link = NULL;
    ss->keys--;
}

static struct tls_tickets *make(struct tls_sessions *ss, const char *key)
{
    struct tls_tickets *ts = calloc(1, sizeof(*ts));

    if (!ts)
        return NULL;
    ts->key = strdup(key);
    if (!ts->key) {
        free(ts);
        return NULL;
    }
    if (ss->keys == TLS_SESSION_KEYS)
        drop_oldest(ss);
    ts->older = ss->newest;
    ss->newest = ts;
    ss->keys++;
    return ts;
}

void tls_sessions_put(struct tls_sessions *ss, const char *key, const mbedtls_ssl_session *session,
                      uint32_t lifetime_s, uint64_t now_ms)
{
    struct ticket t = {.data = NULL};
    struct tls_tickets *ts;

    (void)mbedtls_ssl_session_save(session, NULL, 0, &t.n); /* says how much it needs */
    if (t.n == 0 || t.n > TLS_SESSION_BYTES || lifetime_s == 0)
        return;
    t.data = malloc(t.n);
    if (!t.data)
        return;
    if (mbedtls_ssl_session_save(session, t.data, t.n, &t.n)) {
        ticket_drop(&t);
        return;
    }
    if (lifetime_s > TLS_SESSION_AGE_S)
        lifetime_s = TLS_SESSION_AGE_S;
    t.until_ms = now_ms + (uint64_t)lifetime_s * 1000;

    ts = touch(ss, key);
    if (!ts)
        ts = make(ss, key);
    if (!ts) {
        ticket_drop(&t);
        return;
    }
    ticket_drop(&ts->v[ts->next]); /* full: the oldest makes room */
    ts->v[ts->next] = t;
    ts->next = (ts->next + 1) % TLS_SESSION_TICKETS;
    if (ts->n < TLS_SESSION_TICKETS)
        ts->n++;
}

bool tls_sessions_take(struct tls_sessions *ss, const char *key, uint64_t now_ms,
                       mbedtls_ssl_session *session)
{
    struct tls_tickets *ts = touch(ss, key);
    bool loaded = false;

    while (ts && ts->n > 0 && !loaded) {
        struct ticket *t;

        ts->next = (ts->next + TLS_SESSION_TICKETS - 1) % TLS_SESSION_TICKETS;
        ts->n--;
        t = &ts->v[ts->next];
        if (t->until_ms > now_ms)
            loaded = mbedtls_ssl_session_load(session, t->data, t->n) == 0;
        ticket_drop(t);
    }
    return loaded;
}

unsigned tls_sessions_count(const struct tls_sessions *ss, const char *key)
{
    for (const struct tls_tickets *ts = ss->newest; ts; ts = ts->older)
        if (strcmp(ts->key, key) == 0)
            return ts->n;
    return 0;
}
