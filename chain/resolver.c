/* chain/resolver.c - names, their answers and who waits for them. See resolver.h; the questions
 * themselves are chain/asker.c's.
 *
 * An entry is one name: per family either nothing, a question under way, or an answer with its end
 * of life. Answers are handed out by the job of each waiter, one call per run, so that the callee
 * may do as it likes with its question.
 */
#include "chain/resolver.h"
#include "chain/asker.h"
#include "chain/hosts.h"
#include "chain/hosts_table.h"
#include "chain/resolver_set.h"
#include "chain/unreal.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    ENTRIES_MAX = 256, /* kept; more only while all of them are being asked for */
    BUSY_MAX = 4096,
    BUCKETS = 64,
    LOCAL_TTL_MS = 1000, /* an answer of the hosts file: it may change */
    TTL_MIN_S = 1,
    TTL_MAX_S = 3600,
    DEADLINE_MS = 10000,
    TRY_MS = 2000
};

enum { V4, V6, FAMILIES };

struct answer {
    struct resolver_entry *entry;
    bool asked; /* somebody has the question */
    bool known;
    bool other; /* not asked for: the other family was found */
    uint64_t until_ms;
    enum rc rc; /* RC_OK, also for "no address of this family" when the name exists */
    const char *why;
    struct addr v[RESOLVE_ADDRS_MAX];
    int n;
};

struct resolver_entry {
    struct resolver *resolver;
    struct resolver_entry *next; /* in its bucket */
    char name[TARGET_NAME_MAX + 1];
    struct answer answers[FAMILIES];
    struct resolve *waiters;
    struct timer deadline;
    uint64_t used_ms;
};

struct resolver {
    unsigned refs;
    struct loop *loop;
    struct asker *asker;
    struct hosts *hosts; /* NULL: none */
    struct hosts_table *table;
    struct resolver_set *set; /* instead of the asker and hosts; NULL: none */
    uint32_t timeout_ms;
    struct resolver_entry *buckets[BUCKETS];
    int n_entries;
};

static const int family_of[FAMILIES] = {AF_INET, AF_INET6};

struct resolver *resolver_new(const struct resolver_cfg *cfg)
{
    struct resolver *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->refs = 1;
    r->loop = cfg->loop;
    r->timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : DEADLINE_MS;
    r->asker = asker_new(&(struct asker_cfg){
        .loop = cfg->loop,
        .so = cfg->so,
        .servers = cfg->servers,
        .resolv_path = cfg->resolv_path != NULL ? cfg->resolv_path : "/etc/resolv.conf",
        .try_ms = cfg->try_ms > 0 ? cfg->try_ms : TRY_MS});
    const char *hosts = cfg->hosts_path != NULL ? cfg->hosts_path : "/etc/hosts";
    if (cfg->nameservers != NULL) {
        hosts = "";
        r->set = resolver_set_new(cfg->loop, cfg->nameservers, &cfg->so);
    }
    if (cfg->table != NULL)
        r->table = hosts_table_ref(cfg->table);
    if (hosts[0] != 0)
        r->hosts = hosts_new(hosts);
    if (r->asker == NULL || (hosts[0] != 0 && r->hosts == NULL) ||
        (cfg->nameservers != NULL && r->set == NULL)) {
        resolver_unref(r);
        return NULL;
    }
    if (r->set != NULL && cfg->timeout_ms == 0)
        r->timeout_ms = resolver_set_timeout_ms(r->set);
    return r;
}

static void drop_entry(struct resolver_entry *e)
{
    while (e->waiters != NULL)
        resolve_cancel(e->waiters);
    timer_stop(&e->deadline);
    free(e);
}

struct resolver *resolver_ref(struct resolver *r)
{
    r->refs++;
    return r;
}

void resolver_unref(struct resolver *r)
{
    if (r == NULL || --r->refs > 0)
        return;
    asker_free(r->asker); /* first: no answer comes after this */
    resolver_set_free(r->set);
    for (int b = 0; b < BUCKETS; b++) {
        while (r->buckets[b] != NULL) {
            struct resolver_entry *e = r->buckets[b];
            r->buckets[b] = e->next;
            drop_entry(e);
        }
    }
    hosts_free(r->hosts);
    hosts_table_unref(r->table);
    free(r);
}

/* ---------------------------------------------------------------- entries */

static unsigned bucket_of(const char *name)
{
    uint32_t h = 2166136261u;
    for (; *name != 0; name++) {
        uint8_t c = (uint8_t)*name;
        h = (h ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
    }
    return h % BUCKETS;
}

static bool is_busy(const struct resolver_entry *e)
{
    return e->waiters != NULL || e->answers[V4].asked || e->answers[V6].asked;
}

/* Makes room by dropping the entry that was not used for the longest time. false: all are busy. */
static bool evict_one(struct resolver *r)
{
    struct resolver_entry **oldest = NULL;
    for (int b = 0; b < BUCKETS; b++)
        for (struct resolver_entry **e = &r->buckets[b]; *e != NULL; e = &(*e)->next)
            if (!is_busy(*e) && (oldest == NULL || (*e)->used_ms < (*oldest)->used_ms))
                oldest = e;
    if (oldest == NULL)
        return false;
    struct resolver_entry *e = *oldest;
    *oldest = e->next;
    drop_entry(e);
    r->n_entries--;
    return true;
}

static void on_deadline(struct timer *timer);

static struct resolver_entry *entry_of(struct resolver *r, const char *name)
{
    unsigned b = bucket_of(name);
    for (struct resolver_entry *e = r->buckets[b]; e != NULL; e = e->next)
        if (strcasecmp(e->name, name) == 0)
            return e;
    if (strlen(name) > TARGET_NAME_MAX)
        return NULL;
    for (int i = 0; i < 2 && r->n_entries >= ENTRIES_MAX; i++) /* two: back to the cap by and by */
        if (!evict_one(r) && r->n_entries >= BUSY_MAX)
            return NULL;
    struct resolver_entry *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->resolver = r;
    memcpy(e->name, name, strlen(name) + 1);
    e->answers[V4].entry = e->answers[V6].entry = e;
    timer_init(r->loop, &e->deadline, on_deadline);
    e->next = r->buckets[b];
    r->buckets[b] = e;
    r->n_entries++;
    return e;
}

/* The table, the hosts file, and "localhost" (RFC 6761 6.3): both families are then known. A final
 * dot is for nameservers. */
static bool answer_here(struct resolver_entry *e)
{
    struct resolver *r = e->resolver;
    struct addr v[2 * RESOLVE_ADDRS_MAX];
    uint64_t now = loop_now_ms(r->loop);
    size_t len = strlen(e->name);
    char name[TARGET_NAME_MAX + 1];
    memcpy(name, e->name, len + 1);
    if (len > 1 && name[len - 1] == '.')
        name[--len] = 0;
    int cap = (int)(sizeof(v) / sizeof(v[0]));
    int n = r->table != NULL ? hosts_table_lookup(r->table, name, now, v, cap) : 0;
    if (n == 0 && r->hosts != NULL)
        n = hosts_lookup(r->hosts, name, now, v, cap);
    if (n == 0 && (strcasecmp(name, "localhost") == 0 ||
                   (len > 10 && strcasecmp(name + len - 10, ".localhost") == 0))) {
        (void)addr_parse_ip("127.0.0.1", 9, &v[0]);
        (void)addr_parse_ip("::1", 3, &v[1]);
        n = 2;
    }
    if (n == 0)
        return false;
    for (int f = 0; f < FAMILIES; f++) {
        struct answer *a = &e->answers[f];
        a->known = true;
        a->other = false;
        a->rc = RC_OK;
        a->until_ms = now + LOCAL_TTL_MS;
        a->n = 0;
        for (int i = 0; i < n && a->n < RESOLVE_ADDRS_MAX; i++)
            if (v[i].family == family_of[f])
                a->v[a->n++] = v[i];
    }
    return true;
}

static bool is_fresh(const struct resolver_entry *e, int f)
{
    const struct answer *a = &e->answers[f];
    return a->known && !a->asked && loop_now_ms(e->resolver->loop) < a->until_ms;
}

/* ---------------------------------------------------------------- answers */

static void wake_waiters(struct resolver_entry *e)
{
    for (struct resolve *q = e->waiters; q != NULL; q = q->next)
        job_post(e->resolver->loop, &q->job);
}

/* keep_ms 0: it serves those who wait now; the next one asks again. */
static void have_answer(struct answer *a, enum rc rc, const char *why, const struct addr *v, int n,
                        uint64_t keep_ms)
{
    struct resolver_entry *e = a->entry;
    a->asked = a->other = false;
    a->known = true;
    a->rc = rc;
    a->why = why;
    a->n = n < RESOLVE_ADDRS_MAX ? n : RESOLVE_ADDRS_MAX;
    if (a->n > 0)
        memcpy(a->v, v, (size_t)a->n * sizeof(*v));
    if (a->n > 0 && (a->n = unreal_drop(a->v, a->n)) == 0) {
        a->rc = RC_INVALID;
        a->why = "answered from our own fake pool (dns.fake): a `resolver` or `interface` of the "
                 "service, or of the node, can ask past it";
        keep_ms = 0;
    }
    a->until_ms = loop_now_ms(e->resolver->loop) + keep_ms;
    if (!e->answers[V4].asked && !e->answers[V6].asked)
        timer_stop(&e->deadline);
    wake_waiters(e);
}

static void on_answer(void *arg, enum rc rc, const char *why, const struct addr *v, int n,
                      uint32_t ttl_s)
{
    if (ttl_s < TTL_MIN_S)
        ttl_s = TTL_MIN_S;
    if (ttl_s > TTL_MAX_S)
        ttl_s = TTL_MAX_S;
    have_answer(arg, rc, why, v, n, n > 0 ? ttl_s * UINT64_C(1000) : 0);
}

static unsigned mask_of(int f)
{
    return f == V4 ? FAMILY_V4 : FAMILY_V6;
}

/* The set's answer for all families that it was asked for: the addresses are of one of them. */
static void on_set_answer(void *arg, unsigned families, enum rc rc, const char *why,
                          const struct addr *v, int n, uint64_t keep_ms)
{
    struct resolver_entry *e = arg;
    for (int f = 0; f < FAMILIES; f++) {
        struct answer *a = &e->answers[f];
        bool found = n > 0 && v[0].family == family_of[f];
        if ((families & mask_of(f)) == 0)
            continue;
        have_answer(a, rc, why, v, found ? n : 0, keep_ms);
        a->other = n > 0 && !found;
    }
}

static void on_deadline(struct timer *timer)
{
    struct resolver_entry *e =
        (struct resolver_entry *)((char *)timer - offsetof(struct resolver_entry, deadline));
    for (int f = 0; f < FAMILIES; f++) {
        struct answer *a = &e->answers[f];
        if (!a->asked)
            continue;
        a->known = true;
        a->rc = RC_TIMEOUT;
        a->why = "no answer in time";
        a->n = 0;
        a->until_ms = 0;
    }
    wake_waiters(e);
}

static void leave(struct resolve *q)
{
    *q->link = q->next;
    if (q->next != NULL)
        q->next->link = q->link;
    q->entry = NULL;
}

static enum rc worst(const struct resolver_entry *e, unsigned wanted, struct diag *diag)
{
    const struct answer *bad = NULL;
    for (int f = 0; f < FAMILIES; f++) {
        const struct answer *a = &e->answers[f];
        if ((wanted & 1u << f) == 0 || a->rc == RC_OK)
            continue;
        /* "no such name" is the least telling of two reasons */
        if (bad == NULL || bad->rc == RC_NAME)
            bad = a;
    }
    if (bad == NULL)
        return diag_set(diag, RC_NAME, "%s: no address of the wanted family", e->name);
    return diag_set(diag, bad->rc, "%s: %s", e->name, bad->why);
}

static void on_waiter(struct job *job)
{
    struct resolve *q = (struct resolve *)((char *)job - offsetof(struct resolve, job));
    struct resolver_entry *e = q->entry;
    struct addr v[FAMILIES * RESOLVE_ADDRS_MAX];
    int n = 0;
    unsigned fresh = 0;
    for (int f = 0; f < FAMILIES; f++) {
        const struct answer *a = &e->answers[f];
        if ((q->wanted & ~q->given & 1u << f) == 0 || !a->known)
            continue;
        fresh |= 1u << f;
        for (int i = 0; i < a->n; i++)
            v[n++] = a->v[i];
    }
    if (fresh == 0)
        return;
    q->given |= fresh;
    q->found += n;
    if (q->given != q->wanted) {
        if (n > 0)
            q->fn(q, RC_OK, v, n, false);
        return;
    }
    enum rc rc = q->found > 0 ? RC_OK : worst(e, q->wanted, q->diag);
    leave(q);
    q->fn(q, rc, v, n, true);
}

/* ---------------------------------------------------------------- questions */

void resolve_init(struct resolve *q, resolve_fn *fn)
{
    *q = (struct resolve){.fn = fn};
    job_init(&q->job, on_waiter);
}

static void ask_set(struct resolver_entry *e, unsigned wanted)
{
    struct resolver *r = e->resolver;
    unsigned need = 0;
    for (int f = 0; f < FAMILIES; f++) {
        struct answer *a = &e->answers[f];
        if ((wanted & 1u << f) == 0 || (is_fresh(e, f) && !(a->other && wanted == 1u << f)))
            continue;
        a->known = false;
        if (!a->asked)
            need |= mask_of(f);
        a->asked = true;
    }
    if (need == 0)
        return;
    if (timer_is_running(&e->deadline) || timer_start(&e->deadline, r->timeout_ms))
        resolver_set_ask(r->set, e->name, need, on_set_answer, e);
    else
        on_set_answer(e, need, RC_NOMEM, "no memory", NULL, 0, 0);
}

bool resolver_claims(struct resolver *r, const char *name)
{
    struct addr a;
    return r->set != NULL || (r->table != NULL &&
                              hosts_table_lookup(r->table, name, loop_now_ms(r->loop), &a, 1) > 0);
}

bool resolve_start(struct resolver *r, struct resolve *q, const char *name, bool v4, bool v6,
                   struct diag *diag)
{
    struct resolver_entry *e = entry_of(r, name);
    if (e == NULL) {
        (void)diag_set(diag, RC_NOMEM, "%s: no room for another name", name);
        return false;
    }
    e->used_ms = loop_now_ms(r->loop);
    q->entry = e;
    q->wanted = (v4 ? 1u << V4 : 0) | (v6 ? 1u << V6 : 0);
    q->given = 0;
    q->found = 0;
    q->diag = diag;
    q->next = e->waiters;
    q->link = &e->waiters;
    if (e->waiters != NULL)
        e->waiters->link = &q->next;
    e->waiters = q;
    job_post(r->loop, &q->job);
    if (r->set == NULL && is_fresh(e, V4) && is_fresh(e, V6))
        return true;
    if (answer_here(e))
        return true;
    if (r->set != NULL) {
        ask_set(e, q->wanted);
        return true;
    }
    for (int f = 0; f < FAMILIES; f++) {
        struct answer *a = &e->answers[f];
        if ((q->wanted & 1u << f) == 0 || is_fresh(e, f))
            continue;
        a->known = false;
        if (a->asked) { /* perhaps for long, of servers that are not ours any more */
            (void)(timer_is_running(&e->deadline) || timer_start(&e->deadline, r->timeout_ms));
            asker_look(r->asker);
            continue;
        }
        a->asked = true;
        if (!timer_is_running(&e->deadline) && !timer_start(&e->deadline, r->timeout_ms)) {
            a->asked = false;
            on_answer(a, RC_NOMEM, "no memory", NULL, 0, 0);
            continue;
        }
        asker_ask(r->asker, e->name, family_of[f], on_answer, a);
    }
    return true;
}

void resolve_cancel(struct resolve *q)
{
    if (q->entry == NULL)
        return;
    job_cancel(&q->job);
    leave(q);
}

int resolver_peek(struct resolver *r, const char *name, struct addr *v, int cap)
{
    struct resolver_entry *e = entry_of(r, name);
    if (e == NULL)
        return 0;
    e->used_ms = loop_now_ms(r->loop);
    if (!is_fresh(e, V4) && !is_fresh(e, V6) && !is_busy(e))
        (void)answer_here(e);
    int n = 0;
    for (int f = 0; f < FAMILIES; f++)
        for (int i = 0; is_fresh(e, f) && i < e->answers[f].n && n < cap; i++)
            v[n++] = e->answers[f].v[i];
    return n;
}
