/* chain/answers.c - a hash table; who holds how much of it. */
#include "chain/answers.h"
#include "core/loop.h"
#include "core/shares.h"
#include "core/siphash.h"
#include <stdlib.h>
#include <strings.h>

enum { BUCKETS = 1024, WEIGHT_BYTES = ANSWERS_MAX_BYTES / ANSWERS_MAX };

struct kept {
    struct share share;
    struct kept *next;
    uint64_t since_ms, until_ms;
    uint32_t bits, hash;
    size_t question_end;
    size_t n;
    uint8_t data[]; /* was parsed once */
};

struct answers {
    struct siphash_key key;
    struct kept *buckets[BUCKETS];
    struct shares shares;
    size_t n, bytes;
};

struct answers *answers_new(void)
{
    struct answers *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    loop_random(&a->key, sizeof(a->key));
    shares_init(&a->shares);
    return a;
}

static void drop(struct answers *a, struct kept *k)
{
    struct kept **at = &a->buckets[k->hash % BUCKETS];
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    shares_remove(&a->shares, &k->share);
    a->n--;
    a->bytes -= sizeof(*k) + k->n;
    free(k);
}

void answers_free(struct answers *a)
{
    if (a == NULL)
        return;
    while (a->n > 0)
        drop(a, LIST_OWNER(shares_oldest(&a->shares), struct kept, share));
    free(a);
}

static uint32_t hash_of(const struct answers *a, const struct answer_key *key)
{
    char name[DNS_NAME_TEXT_MAX];
    size_t n = 0;
    for (const char *p = key->question->name; *p != 0; p++)
        name[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    return (uint32_t)siphash(&a->key, name, n) ^ key->question->type;
}

static struct kept *find(struct answers *a, const struct answer_key *key, uint32_t hash)
{
    struct dns_msg m;
    for (struct kept *k = a->buckets[hash % BUCKETS]; k != NULL; k = k->next) {
        if (k->hash == hash && k->bits == key->bits && dns_parse(k->data, k->n, &m) == RC_OK &&
            dns_same_question(&m, key->question))
            return k;
    }
    return NULL;
}

bool answers_get(struct answers *a, const struct answer_key *key, const void *query,
                 uint64_t now_ms, void *buf, size_t cap, size_t *ret_n)
{
    struct kept *k = find(a, key, hash_of(a, key));
    if (k == NULL)
        return false;
    if (now_ms >= k->until_ms) {
        drop(a, k);
        return false;
    }
    struct dns_msg m;
    if (k->n > cap || k->question_end != key->question->question_end ||
        dns_parse(k->data, k->n, &m) != RC_OK)
        return false;
    shares_used(&a->shares, &k->share, key->client);
    memcpy(buf, k->data, k->n);
    memcpy((char *)buf + DNS_HEAD_BYTES, (const char *)query + DNS_HEAD_BYTES,
           k->question_end - DNS_HEAD_BYTES);
    dns_set_id(buf, key->question->id);
    (void)dns_change_ttls(buf, k->n, &m, DNS_TTL_AGE, (uint32_t)((now_ms - k->since_ms) / 1000));
    *ret_n = k->n;
    return true;
}

void answers_put(struct answers *a, const struct answer_key *key, uint64_t now_ms,
                 const void *answer, size_t n, uint64_t keep_ms)
{
    uint32_t hash = hash_of(a, key);
    struct kept *k = find(a, key, hash);
    struct dns_msg m;
    if (k != NULL)
        drop(a, k);
    if (keep_ms == 0 || n > ANSWER_MAX_BYTES || dns_parse(answer, n, &m) != RC_OK)
        return;
    while (a->n == ANSWERS_MAX || a->bytes + sizeof(*k) + n > ANSWERS_MAX_BYTES)
        drop(a, LIST_OWNER(shares_oldest(&a->shares), struct kept, share));
    k = malloc(sizeof(*k) + n);
    if (k == NULL)
        return;
    *k = (struct kept){.since_ms = now_ms,
                       .until_ms = now_ms + keep_ms,
                       .bits = key->bits,
                       .hash = hash,
                       .question_end = m.question_end,
                       .n = n};
    memcpy(k->data, answer, n);
    if (!shares_add(&a->shares, &k->share, key->client, 1 + n / WEIGHT_BYTES)) {
        free(k);
        return;
    }
    k->next = a->buckets[hash % BUCKETS];
    a->buckets[hash % BUCKETS] = k;
    a->n++;
    a->bytes += sizeof(*k) + n;
}
