/* chain/resolver_set.c - one question at a time: server by server, family by family. */
#include "chain/resolver_set.h"
#include "chain/exchange.h"
#include "chain/node.h"
#include <stdlib.h>
#include <string.h>

enum {
    LEFT_ALONE_MS = 10000,
    KEEP_MAX_S = 86400,
    KEEP_NO_MAX_S = 300 /* a no */
};

struct resolver_set {
    struct loop *loop;
    struct nameservers *list;
    struct sockopts so;
    struct list questions;
};

struct question {
    struct list link;
    struct resolver_set *set;
    resolver_set_fn *fn;
    void *arg;
    unsigned families, left; /* left: not yet asked of this server */
    uint64_t asked;          /* of which servers it was the turn: bit i */
    int server;
    uint16_t type;
    bool refused;     /* some server said: no such name */
    bool all_refused; /* every one so far, with a lifetime of that no */
    uint32_t no_s;
    enum rc rc;      /* the first failure */
    const char *why; /* in words: its server's */
    struct exchange *exchange;
    struct deferred deferred;
    char name[TARGET_NAME_MAX + 1];
};

struct resolver_set *resolver_set_new(struct loop *loop, struct nameservers *list,
                                      const struct sockopts *so)
{
    struct resolver_set *s = calloc(1, sizeof(*s));
    if (s == NULL || !sockopts_copy(so, &s->so)) {
        free(s);
        return NULL;
    }
    s->loop = loop;
    s->list = nameservers_ref(list);
    list_init(&s->questions);
    return s;
}

static void drop_question(struct question *q)
{
    exchange_cancel(q->exchange);
    list_remove(&q->link);
    loop_free_later(q->set->loop, &q->deferred, free, q);
}

void resolver_set_free(struct resolver_set *s)
{
    if (s == NULL)
        return;
    while (!list_is_empty(&s->questions))
        drop_question(LIST_OWNER(s->questions.next, struct question, link));
    nameservers_unref(s->list);
    sockopts_drop(&s->so);
    free(s);
}

uint32_t resolver_set_timeout_ms(const struct resolver_set *s)
{
    uint32_t sum = 0;
    for (int i = 0; i < s->list->n; i++)
        sum += 2 * s->list->v[i].timeout_ms < 60000 ? 2 * s->list->v[i].timeout_ms : 60000;
    return sum + 100;
}

static void end(struct question *q, enum rc rc, const char *why, const struct addr *v, int n,
                uint64_t keep_ms)
{
    resolver_set_fn *fn = q->fn;
    void *arg = q->arg;
    unsigned families = q->families;
    drop_question(q);
    fn(arg, families, rc, why, v, n, keep_ms);
}

static void end_without(struct question *q)
{
    if (q->all_refused)
        end(q, RC_NAME, "no nameserver knows an address", NULL, 0, q->no_s * UINT64_C(1000));
    else if (q->refused || q->rc == RC_OK)
        end(q, RC_NAME, "no nameserver knows an address", NULL, 0, 0);
    else
        end(q, q->rc, q->why, NULL, 0, 0);
}

static void failed(struct question *q, enum rc rc, const char *why)
{
    if (q->rc != RC_OK)
        return;
    q->rc = rc;
    q->why = why;
}

/* In order; but those that could not be reached a moment ago come last. */
static bool next_server(struct question *q)
{
    uint64_t now = loop_now_ms(q->set->loop);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < q->set->list->n; i++) {
            const struct nameserver *s = &q->set->list->v[i];
            bool bad = s->failed_ms != 0 && now - s->failed_ms < LEFT_ALONE_MS;
            if ((q->asked & UINT64_C(1) << i) != 0 || (pass == 0 && bad))
                continue;
            q->asked |= UINT64_C(1) << i;
            q->server = i;
            q->left = q->families & (s->v4_only ? FAMILY_V4 : s->v6_only ? FAMILY_V6 : ~0u);
            if (q->left != 0)
                return true;
        }
    }
    return false;
}

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n);

/* Asks what is next, or ends. */
static void go_on(struct question *q)
{
    struct resolver_set *set = q->set;
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + 64];
    for (;;) {
        if (q->left == 0 && !next_server(q)) {
            end_without(q);
            return;
        }
        const struct nameserver *s = &set->list->v[q->server];
        unsigned first = s->prefer_ipv6 ? FAMILY_V6 : FAMILY_V4;
        unsigned family = (q->left & first) != 0 ? first : q->left;
        q->left &= ~family;
        q->type = family == FAMILY_V6 ? DNS_AAAA : DNS_A;
        struct dns_query query = {.type = q->type,
                                  .name = q->name,
                                  .subnet = s->subnet.net.family != 0 ? &s->subnet : NULL};
        size_t n;
        if (dns_format_query(&query, buf, sizeof(buf), &n) != RC_OK) {
            end(q, RC_NAME, "not a name that DNS can carry", NULL, 0, 0);
            return;
        }
        q->exchange = exchange_new(&(struct exchange_cfg){.loop = set->loop,
                                                          .list = set->list,
                                                          .server = q->server,
                                                          .so = &set->so,
                                                          .query = buf,
                                                          .n = n},
                                   on_exchange, q);
        if (q->exchange != NULL)
            return;
        failed(q, RC_NOMEM, "no memory for a question");
        q->all_refused = false;
        q->left = 0;
    }
}

static uint64_t keep_of(const struct nameserver *s, uint32_t ttl_s)
{
    if (s->ttl_ms < 0)
        return 0;
    if (s->ttl_ms > 0)
        return (uint64_t)s->ttl_ms;
    return (ttl_s < KEEP_MAX_S ? ttl_s : KEEP_MAX_S) * UINT64_C(1000);
}

/* A no: kept as long as the shortest of all that said so. */
static void note_no(struct question *q, const struct nameserver *s, const uint8_t *answer, size_t n,
                    const struct dns_msg *m)
{
    uint32_t ttl_s;
    q->refused = true;
    if (s->ttl_ms < 0 || !dns_lifetime(answer, n, m, &ttl_s))
        q->all_refused = false;
    else if (ttl_s < q->no_s)
        q->no_s = ttl_s;
}

static void on_exchange(void *arg, enum rc rc, const uint8_t *answer, size_t n)
{
    struct question *q = arg;
    struct nameserver *s = &q->set->list->v[q->server];
    struct addr v[SET_ADDRS_MAX];
    struct dns_msg m = {.flags = 0};
    int found = 0;
    uint32_t ttl_s = 0;
    const enum rc asked = rc;
    q->exchange = NULL;
    s->failed_ms = rc == RC_OK ? 0 : loop_now_ms(q->set->loop);
    if (rc == RC_OK)
        rc = dns_parse(answer, n, &m);
    unsigned rcode = m.flags & DNS_RCODE;
    if (rc == RC_OK && rcode == DNS_NOERROR)
        rc = dns_addresses(answer, n, &m, v, SET_ADDRS_MAX, &found, &ttl_s);
    if (rc == RC_OK && found > 0) {
        end(q, RC_OK, NULL, v, found, keep_of(s, ttl_s));
        return;
    }
    if (rc == RC_OK && (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN)) {
        note_no(q, s, answer, n, &m);
        if (rcode == DNS_NXDOMAIN)
            q->left = 0;
    } else {
        if (asked == RC_OK && rc != RC_OK)
            nameserver_failed(s, rc, "a malformed answer");
        else if (rc == RC_OK)
            nameserver_failed(s, RC_PROTO, dns_rcode_text(rcode));
        failed(q, rc != RC_OK ? rc : RC_PROTO, s->last.text);
        q->all_refused = false;
        q->left = 0;
    }
    go_on(q);
}

void resolver_set_ask(struct resolver_set *s, const char *name, unsigned families,
                      resolver_set_fn *fn, void *arg)
{
    struct question *q = strlen(name) <= TARGET_NAME_MAX ? calloc(1, sizeof(*q)) : NULL;
    if (q == NULL) {
        fn(arg, families, RC_NOMEM, "no memory", NULL, 0, 0);
        return;
    }
    *q = (struct question){.set = s,
                           .fn = fn,
                           .arg = arg,
                           .families = families,
                           .all_refused = true,
                           .no_s = KEEP_NO_MAX_S};
    memcpy(q->name, name, strlen(name) + 1);
    list_init(&q->link);
    list_append(&s->questions, &q->link);
    go_on(q);
}
