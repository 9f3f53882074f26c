/* chain/dnsmap.c - a hash table; who holds how much of it. */
#include "chain/dnsmap.h"
#include "chain/fakepool.h"
#include "core/loop.h"
#include "core/shares.h"
#include "core/siphash.h"
#include "core/wire/dns.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BUCKETS = 4096, LEARN_MAX = 32 };

struct pair {
    struct share share;
    struct pair *next;
    struct addr client, addr;
    uint32_t hash;
    uint64_t until_ms, unsure_until_ms;
    char *name;
};

struct dnsmap {
    struct siphash_key key;
    struct pair *buckets[BUCKETS];
    struct shares shares;
    size_t n;
};

struct dnsmap *dnsmap_new(void)
{
    struct dnsmap *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    loop_random(&m->key, sizeof(m->key));
    shares_init(&m->shares);
    return m;
}

static void drop(struct dnsmap *m, struct pair *p)
{
    struct pair **at = &m->buckets[p->hash % BUCKETS];
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    shares_remove(&m->shares, &p->share);
    m->n--;
    free(p->name);
    free(p);
}

void dnsmap_free(struct dnsmap *m)
{
    if (m == NULL)
        return;
    while (m->n > 0)
        drop(m, LIST_OWNER(shares_oldest(&m->shares), struct pair, share));
    free(m);
}

size_t dnsmap_count(const struct dnsmap *m)
{
    return m->n;
}

static uint32_t hash_of(const struct dnsmap *m, const struct addr *client, const struct addr *a)
{
    uint8_t both[34] = {client->family, a->family};
    memcpy(both + 2, client->ip, 16);
    memcpy(both + 18, a->ip, 16);
    return (uint32_t)siphash(&m->key, both, sizeof(both));
}

static struct pair *find(struct dnsmap *m, const struct addr *client, const struct addr *a,
                         uint32_t hash)
{
    struct pair *p = m->buckets[hash % BUCKETS];
    while (p != NULL &&
           (p->hash != hash || !addr_same_ip(&p->client, client) || !addr_same_ip(&p->addr, a)))
        p = p->next;
    return p;
}

static struct pair *add(struct dnsmap *m, const struct addr *client, const struct addr *a,
                        uint32_t hash)
{
    if (m->n == DNSMAP_MAX)
        drop(m, LIST_OWNER(shares_oldest(&m->shares), struct pair, share));
    struct pair *p = calloc(1, sizeof(*p));
    if (p == NULL || !shares_add(&m->shares, &p->share, client, 1)) {
        free(p);
        return NULL;
    }
    p->client = *client;
    p->addr = *a;
    p->hash = hash;
    p->next = m->buckets[hash % BUCKETS];
    m->buckets[hash % BUCKETS] = p;
    m->n++;
    return p;
}

static bool is_worth(const struct addr *a, const char *name)
{
    return addr_ip_bytes(a) > 0 && !addr_is_wildcard(a) && !addr_is_loopback(a) &&
           !addr_is_multicast(a) && !addr_is_link_local(a) && fakepool_takes(name);
}

void dnsmap_put(struct dnsmap *m, const struct addr *client, const struct addr *a, const char *name,
                uint32_t ttl_s, uint64_t now_ms)
{
    if (!is_worth(a, name))
        return;
    uint32_t hash = hash_of(m, client, a);
    struct pair *p = find(m, client, a, hash);
    bool is_new = p == NULL;
    if (is_new)
        p = add(m, client, a, hash);
    if (p == NULL)
        return;
    if (p->name == NULL || strcasecmp(p->name, name) != 0) {
        char *copy = strdup(name);
        if (copy == NULL) {
            drop(m, p); /* better nothing than the wrong one */
            return;
        }
        if (!is_new && p->until_ms > now_ms && p->until_ms > p->unsure_until_ms)
            p->unsure_until_ms = p->until_ms;
        free(p->name);
        p->name = copy;
    }
    if (ttl_s < DNSMAP_KEEP_MIN_S)
        ttl_s = DNSMAP_KEEP_MIN_S;
    if (ttl_s > DNSMAP_KEEP_MAX_S)
        ttl_s = DNSMAP_KEEP_MAX_S;
    p->until_ms = now_ms + ttl_s * UINT64_C(1000);
    shares_used(&m->shares, &p->share, NULL);
}

int dnsmap_learn(struct dnsmap *m, const struct addr *client, const void *answer, size_t n,
                 uint64_t now_ms)
{
    struct addr v[LEARN_MAX];
    struct dns_msg msg;
    uint32_t ttl_s = 0;
    int count = 0;
    if (dns_parse(answer, n, &msg) != RC_OK || (msg.flags & DNS_QR) == 0 ||
        (msg.flags & DNS_RCODE) != DNS_NOERROR || msg.class != DNS_CLASS_IN ||
        (msg.type != DNS_A && msg.type != DNS_AAAA) ||
        dns_addresses(answer, n, &msg, v, LEARN_MAX, &count, &ttl_s) != RC_OK)
        return 0;
    for (int i = 0; i < count; i++)
        dnsmap_put(m, client, &v[i], msg.name, ttl_s, now_ms);
    return count;
}

const char *dnsmap_find(struct dnsmap *m, const struct addr *client, const struct addr *a,
                        uint64_t now_ms, bool *ret_sure)
{
    struct pair *p = find(m, client, a, hash_of(m, client, a));
    if (p == NULL)
        return NULL;
    if (p->until_ms <= now_ms) {
        drop(m, p);
        return NULL;
    }
    uint64_t renewed_ms = now_ms + DNSMAP_KEEP_MIN_S * UINT64_C(1000);
    if (p->until_ms < renewed_ms)
        p->until_ms = renewed_ms;
    shares_used(&m->shares, &p->share, NULL);
    *ret_sure = p->unsure_until_ms <= now_ms;
    return p->name;
}
