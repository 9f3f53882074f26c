/* chain/fakepool.c - a table of places, a hash table of names, two rings by last use. */
#include "chain/fakepool.h"
#include "core/list.h"
#include "core/loop.h"
#include "core/shares.h"
#include "core/siphash.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RANGES_MAX = 2, LABEL_MAX = 63, BITS_MIN = 3 /* 8 addresses */ };

struct fake {
    struct list used;           /* in one of the rings */
    struct share share, recent; /* recent: while it is in that ring */
    struct fake *next;
    uint32_t hash, place;
    uint64_t used_ms; /* 0: not since it was restored, or nobody tells the time */
    char name[];
};

struct fakepool {
    struct cidr ranges[RANGES_MAX]; /* masked; the first one is what records name */
    size_t n_ranges;
    struct siphash_key key;
    struct fake **places, **buckets; /* n_places of each */
    uint32_t n_places, count;
    uint32_t fresh; /* places below it are taken, or were once */
    uint64_t now_ms;
    struct addr client;       /* family 0: nobody */
    struct list used, recent; /* the least recently used first; recent: nobody else gets it now */
    uint32_t n_recent;
    struct shares shares, recents;
};

/* ---------------------------------------------------------------- ranges */

static void mask(struct cidr *c)
{
    size_t bytes = addr_ip_bytes(&c->net);
    for (size_t i = 0; i < bytes; i++) {
        size_t keep = c->bits > i * 8 ? c->bits - i * 8 : 0;
        if (keep < 8)
            c->net.ip[i] = (uint8_t)(c->net.ip[i] & (0xff00 >> keep));
    }
    c->net.port = 0;
    c->net.scope = 0;
}

static uint32_t places_of(const struct cidr *c)
{
    unsigned host_bits = (unsigned)(addr_ip_bytes(&c->net) * 8) - c->bits;
    return host_bits > 16 ? FAKEPOOL_PLACES_MAX : (1u << host_bits) - 2;
}

static enum rc add_range(struct fakepool *p, const struct cidr *range, struct diag *diag)
{
    struct cidr c = *range;
    char text[ADDR_TEXT_MAX];
    mask(&c);
    (void)addr_format_ip(&c.net, text, sizeof(text));
    if ((size_t)c.bits + BITS_MIN > addr_ip_bytes(&c.net) * 8)
        return diag_set(diag, RC_INVALID, "%s/%u is too small a pool: 8 addresses at least", text,
                        c.bits);
    if (addr_is_wildcard(&c.net) || addr_is_loopback(&c.net) || addr_is_multicast(&c.net) ||
        addr_is_link_local(&c.net))
        return diag_set(diag, RC_INVALID,
                        "%s/%u can't be a pool: flows don't go there. Take 198.18.0.0/15 or a "
                        "part of fd00::/8",
                        text, c.bits);
    for (size_t i = 0; i < p->n_ranges; i++)
        if (p->ranges[i].net.family == c.net.family)
            return diag_set(diag, RC_INVALID, "%s/%u: one range of each family at most", text,
                            c.bits);
    p->ranges[p->n_ranges++] = c;
    if (p->n_ranges == 2 && c.net.family == AF_INET) { /* records name IPv4, where there is one */
        p->ranges[1] = p->ranges[0];
        p->ranges[0] = c;
    }
    if (p->n_places == 0 || places_of(&c) < p->n_places)
        p->n_places = places_of(&c);
    return RC_OK;
}

enum rc fakepool_new(const struct cidr *ranges, size_t n, struct fakepool **ret_p,
                     struct diag *diag)
{
    struct fakepool *p = calloc(1, sizeof(*p));
    enum rc rc = RC_OK;
    if (p == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    list_init(&p->used);
    list_init(&p->recent);
    shares_init(&p->shares);
    shares_init(&p->recents);
    loop_random(&p->key, sizeof(p->key));
    if (n == 0)
        rc = diag_set(diag, RC_INVALID, "no range");
    for (size_t i = 0; i < n && rc == RC_OK; i++)
        rc = add_range(p, &ranges[i], diag);
    if (rc == RC_OK) {
        p->places = calloc(p->n_places, sizeof(*p->places));
        p->buckets = calloc(p->n_places, sizeof(*p->buckets));
        if (p->places == NULL || p->buckets == NULL)
            rc = diag_set(diag, RC_NOMEM, "no memory");
    }
    if (rc != RC_OK)
        fakepool_free(p);
    else
        *ret_p = p;
    return rc;
}

static const struct cidr *range_of(const struct fakepool *p, int family)
{
    for (size_t i = 0; i < p->n_ranges; i++)
        if (p->ranges[i].net.family == family)
            return &p->ranges[i];
    return NULL;
}

bool fakepool_has_family(const struct fakepool *p, int family)
{
    return range_of(p, family) != NULL;
}

bool fakepool_has(const struct fakepool *p, const struct addr *a)
{
    const struct cidr *c = range_of(p, a->family);
    return c != NULL && cidr_has(c, a);
}

size_t fakepool_count(const struct fakepool *p)
{
    return p->count;
}

/* ---------------------------------------------------------------- places and addresses */

static struct addr addr_of(const struct cidr *c, uint32_t place)
{
    struct addr a = c->net;
    uint32_t rest = place + 1;
    for (size_t i = addr_ip_bytes(&a); i > 0 && rest > 0; i--) {
        rest += a.ip[i - 1];
        a.ip[i - 1] = (uint8_t)(rest & 0xff);
        rest >>= 8;
    }
    return a;
}

/* false: no place of the pool has this address. */
static bool place_of(const struct fakepool *p, const struct addr *a, uint32_t *ret_place)
{
    const struct cidr *c = range_of(p, a->family);
    uint32_t n = 0;
    if (c == NULL || !cidr_has(c, a))
        return false;
    for (size_t i = 0; i < addr_ip_bytes(a); i++) {
        if (n >> 24 != 0)
            return false;
        n = n << 8 | (uint32_t)(a->ip[i] ^ c->net.ip[i]);
    }
    if (n == 0 || n > p->n_places)
        return false;
    *ret_place = n - 1;
    return true;
}

/* ---------------------------------------------------------------- names */

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* "127.1", "0x7f.1", "1": some resolvers take them for addresses. */
static bool ends_in_a_number(const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot != NULL ? dot + 1 : name;
    return last[strspn(last, "0123456789")] == 0 ||
           (last[0] == '0' && (last[1] == 'x' || last[1] == 'X'));
}

static bool is_localhost(const char *name)
{
    size_t n = strlen(name);
    return strcasecmp(name, "localhost") == 0 ||
           (n > 10 && strcasecmp(name + n - 10, ".localhost") == 0);
}

bool fakepool_takes(const char *name)
{
    size_t n = strlen(name), label = 0;
    if (n == 0 || n > FAKEPOOL_NAME_MAX || ends_in_a_number(name) || is_localhost(name))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '.' ? label == 0 : !is_host_byte(name[i]))
            return false;
        label = name[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

static size_t lower(const char *name, char low[FAKEPOOL_NAME_MAX + 1])
{
    size_t n = 0;
    for (; name[n] != 0; n++)
        low[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    low[n] = 0;
    return n;
}

static struct fake *find(const struct fakepool *p, const char *low, uint32_t hash)
{
    struct fake *f = p->buckets[hash % p->n_places];
    while (f != NULL && (f->hash != hash || strcmp(f->name, low) != 0))
        f = f->next;
    return f;
}

static void drop(struct fakepool *p, struct fake *f)
{
    struct fake **at = &p->buckets[f->hash % p->n_places];
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    p->places[f->place] = NULL;
    list_remove(&f->used);
    shares_remove(&p->shares, &f->share);
    p->n_recent -= f->recent.holder != NULL;
    shares_remove(&p->recents, &f->recent);
    p->count--;
    free(f);
}

void fakepool_free(struct fakepool *p)
{
    if (p == NULL)
        return;
    list_join(&p->used, &p->recent);
    while (!list_is_empty(&p->used))
        drop(p, LIST_OWNER(p->used.next, struct fake, used));
    free(p->places);
    free(p->buckets);
    free(p);
}

static struct fake *add(struct fakepool *p, const char *low, size_t n, uint32_t hash,
                        uint32_t place)
{
    struct fake *f = malloc(sizeof(*f) + n + 1);
    if (f == NULL)
        return NULL;
    *f = (struct fake){.hash = hash, .place = place};
    if (!shares_add(&p->shares, &f->share, p->client.family ? &p->client : NULL, 1)) {
        free(f);
        return NULL;
    }
    memcpy(f->name, low, n + 1);
    f->next = p->buckets[hash % p->n_places];
    p->buckets[hash % p->n_places] = f;
    p->places[place] = f;
    list_init(&f->used);
    list_append(&p->used, &f->used);
    p->count++;
    return f;
}

/* ---------------------------------------------------------------- use */

/* Names whose last use is a while ago may lose their places. */
void fakepool_at(struct fakepool *p, const struct addr *client, uint64_t now_ms)
{
    p->now_ms = now_ms;
    p->client = client ? *client : (struct addr){.family = 0};
    while (!list_is_empty(&p->recent)) {
        struct fake *f = LIST_OWNER(p->recent.next, struct fake, used);
        if (now_ms - f->used_ms < FAKEPOOL_GRACE_MS)
            return;
        list_remove(&f->used);
        list_append(&p->used, &f->used);
        shares_remove(&p->recents, &f->recent);
        p->n_recent--;
    }
}

static bool keeps_recent(const struct fakepool *p)
{
    return p->now_ms != 0 && p->n_places >= FAKEPOOL_GRACE_PLACES;
}

/* May the client keep one name more for a minute? */
static bool may_keep(const struct fakepool *p)
{
    if (!p->client.family)
        return p->n_recent < p->n_places;
    return shares_may(shares_of(&p->recents, &p->client), p->n_recent, p->n_places);
}

static void touch(struct fakepool *p, struct fake *f)
{
    const struct addr *client = p->client.family ? &p->client : NULL;
    bool was_recent = f->recent.holder != NULL;
    shares_used(&p->shares, &f->share, client);
    if (keeps_recent(p) && !(was_recent && share_is_of(&f->recent, client))) {
        if (may_keep(p)) { /* who uses it last is who keeps it */
            shares_remove(&p->recents, &f->recent);
            p->n_recent -= was_recent;
            p->n_recent += shares_add(&p->recents, &f->recent, client, 1);
        } else if (was_recent) {
            return; /* as recent as it was */
        }
    }
    f->used_ms = p->now_ms;
    list_remove(&f->used);
    list_append(f->recent.holder != NULL ? &p->recent : &p->used, &f->used);
}

/* Who loses a place now? NULL: nobody, the client has too many or everything was used just now. */
static struct fake *loser(struct fakepool *p)
{
    struct share *most = shares_oldest(&p->shares);
    struct fake *f = LIST_OWNER(most, struct fake, share);
    if (f->recent.holder == NULL)
        return f;
    if (list_is_empty(&p->used) || (p->client.family && share_is_of(most, &p->client)))
        return NULL;
    return LIST_OWNER(p->used.next, struct fake, used);
}

/* A place that is free now; n_places: there is none. */
static uint32_t make_place(struct fakepool *p)
{
    if (keeps_recent(p) && !may_keep(p))
        return p->n_places;
    while (p->fresh < p->n_places && p->places[p->fresh] != NULL)
        p->fresh++;
    if (p->fresh < p->n_places)
        return p->fresh++;
    if (p->count < p->n_places) { /* one that was free again */
        p->fresh = 0;
        return make_place(p);
    }
    struct fake *f = loser(p);
    if (f == NULL)
        return p->n_places;
    uint32_t place = f->place;
    drop(p, f);
    return place;
}

bool fakepool_give(struct fakepool *p, const char *name, int family, struct addr *ret_a,
                   bool *ret_new)
{
    const struct cidr *c = range_of(p, family);
    char low[FAKEPOOL_NAME_MAX + 1];
    if (c == NULL || !fakepool_takes(name))
        return false;
    size_t n = lower(name, low);
    uint32_t hash = (uint32_t)siphash(&p->key, low, n);
    struct fake *f = find(p, low, hash);
    *ret_new = f == NULL;
    if (f == NULL) {
        uint32_t place = make_place(p);
        f = place < p->n_places ? add(p, low, n, hash, place) : NULL;
    }
    if (f == NULL)
        return false;
    touch(p, f);
    *ret_a = addr_of(c, f->place);
    return true;
}

const char *fakepool_name(struct fakepool *p, const struct addr *a)
{
    uint32_t place;
    if (!place_of(p, a, &place) || p->places[place] == NULL)
        return NULL;
    touch(p, p->places[place]);
    return p->places[place]->name;
}

/* ---------------------------------------------------------------- records */

bool fakepool_restore(struct fakepool *p, const struct addr *a, const char *name)
{
    char low[FAKEPOOL_NAME_MAX + 1];
    uint32_t place;
    if (a->family != p->ranges[0].net.family || !place_of(p, a, &place) || !fakepool_takes(name))
        return false;
    size_t n = lower(name, low);
    uint32_t hash = (uint32_t)siphash(&p->key, low, n);
    struct fake *f = find(p, low, hash);
    if (f != NULL && f->place == place) {
        touch(p, f);
        return true;
    }
    if (f != NULL)
        drop(p, f);
    if (p->places[place] != NULL)
        drop(p, p->places[place]);
    return add(p, low, n, hash, place) != NULL;
}

bool fakepool_record(const struct fakepool *p, const char *name, struct addr *ret_a)
{
    char low[FAKEPOOL_NAME_MAX + 1];
    if (!fakepool_takes(name))
        return false;
    size_t n = lower(name, low);
    const struct fake *f = find(p, low, (uint32_t)siphash(&p->key, low, n));
    if (f == NULL)
        return false;
    *ret_a = addr_of(&p->ranges[0], f->place);
    return true;
}

static bool each(const struct fakepool *p, const struct list *ring, fakepool_fn *fn, void *arg)
{
    for (struct list *l = ring->next; l != ring; l = l->next) {
        const struct fake *f = LIST_OWNER(l, struct fake, used);
        struct addr a = addr_of(&p->ranges[0], f->place);
        if (!fn(arg, &a, f->name))
            return false;
    }
    return true;
}

bool fakepool_each(const struct fakepool *p, fakepool_fn *fn, void *arg)
{
    return each(p, &p->used, fn, arg) && each(p, &p->recent, fn, arg);
}
