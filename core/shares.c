/* core/shares.c - a hash table of clients, which stand in classes by what they hold. */
#include "core/shares.h"
#include "core/loop.h"
#include "core/rc.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { EXACT = 8 /* classes of one number each; then so many for each power of two */ };

struct share_key {
    uint64_t family, net; /* IPv4: the address; IPv6: the first half */
};

struct share_holder {
    struct share_holder *next; /* in its slot */
    struct list link;          /* in its class */
    struct list used;          /* its shares, the longest unused first */
    struct share_key key;
    size_t sum;
    unsigned class;
};

void shares_init(struct shares *all)
{
    *all = (struct shares){.top = 0};
    loop_random(&all->key, sizeof all->key);
    for (int i = 0; i < SHARES_CLASSES; i++)
        list_init(&all->classes[i]);
}

static unsigned class_of(size_t sum)
{
    unsigned log = 0, class;

    if (sum < EXACT)
        return (unsigned)sum;
    while (sum >> log >= 2 * (size_t)EXACT)
        log++;
    class = (log + 1) * EXACT + (unsigned)(sum >> log) - EXACT;
    return class < SHARES_CLASSES ? class : SHARES_CLASSES - 1;
}

static struct share_key key_of(const struct addr *client)
{
    struct share_key key = {.family = client ? client->family : AF_UNSPEC};

    if (client)
        memcpy(&key.net, client->ip, client->family == AF_INET6 ? 8 : 4);
    return key;
}

static size_t slot_of(const struct shares *all, const struct share_key *key)
{
    return siphash(&all->key, key, sizeof *key) % SHARES_SLOTS;
}

static bool is(const struct share_holder *h, const struct share_key *key)
{
    return h->key.family == key->family && h->key.net == key->net;
}

static struct share_holder *find(const struct shares *all, const struct addr *client)
{
    struct share_key key = key_of(client);
    struct share_holder *h = all->slots[slot_of(all, &key)];

    while (h && !is(h, &key))
        h = h->next;
    return h;
}

static struct share_holder *holder_new(struct shares *all, const struct addr *client)
{
    struct share_holder *h = calloc(1, sizeof *h), **slot;

    if (!h)
        return NULL;
    h->key = key_of(client);
    slot = &all->slots[slot_of(all, &h->key)];
    h->next = *slot;
    *slot = h;
    list_init(&h->used);
    list_init(&h->link);
    list_append(&all->classes[0], &h->link);
    all->n_clients++;
    return h;
}

static void holder_free(struct shares *all, struct share_holder *h)
{
    struct share_holder **at = &all->slots[slot_of(all, &h->key)];

    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    list_remove(&h->link);
    all->n_clients--;
    free(h);
}

/* The last of its class: the first one loses first. */
static void to_last(struct shares *all, struct share_holder *h)
{
    list_remove(&h->link);
    list_append(&all->classes[h->class], &h->link);
}

static void hold(struct shares *all, struct share_holder *h, size_t sum)
{
    unsigned class = class_of(sum);

    h->sum = sum;
    if (class == h->class)
        return;
    h->class = class;
    to_last(all, h);
    if (class > all->top)
        all->top = class;
}

static void take(struct shares *all, struct share *x, struct share_holder *h)
{
    x->holder = h;
    list_append(&h->used, &x->used);
    hold(all, h, h->sum + x->weight);
    to_last(all, h);
}

bool shares_add(struct shares *all, struct share *x, const struct addr *client, size_t weight)
{
    struct share_holder *h = find(all, client);

    if (!h)
        h = holder_new(all, client);
    if (!h)
        return false;
    list_init(&x->used);
    x->weight = weight;
    take(all, x, h);
    return true;
}

void shares_remove(struct shares *all, struct share *x)
{
    struct share_holder *h = x->holder;

    if (!h)
        return;
    list_remove(&x->used);
    x->holder = NULL;
    hold(all, h, h->sum - x->weight);
    if (list_is_empty(&h->used))
        holder_free(all, h);
}

/* Would the client still hold no more than the one that has it now? */
static bool has_less(const struct share *x, const struct share_holder *to)
{
    const struct share_holder *from = x->holder;

    return from->key.family == AF_UNSPEC || (to ? to->sum : 0) + x->weight <= from->sum - x->weight;
}

void shares_used(struct shares *all, struct share *x, const struct addr *client)
{
    struct share_holder *from = x->holder, *to = client ? find(all, client) : from;

    if (to != from && has_less(x, to)) {
        if (!to)
            to = holder_new(all, client);
        if (to) {
            shares_remove(all, x);
            take(all, x, to);
            return;
        }
    }
    list_remove(&x->used);
    list_append(&from->used, &x->used);
    to_last(all, from);
}

void shares_weigh(struct shares *all, struct share *x, size_t weight)
{
    hold(all, x->holder, x->holder->sum - x->weight + weight);
    x->weight = weight;
}

struct share *shares_oldest(struct shares *all)
{
    while (all->top > 0 && list_is_empty(&all->classes[all->top]))
        all->top--;
    if (list_is_empty(&all->classes[all->top]))
        return NULL;
    return LIST_OWNER(LIST_OWNER(all->classes[all->top].next, struct share_holder, link)->used.next,
                      struct share, used);
}

size_t shares_of(const struct shares *all, const struct addr *client)
{
    const struct share_holder *h = find(all, client);

    return h ? h->sum : 0;
}

bool share_is_of(const struct share *x, const struct addr *client)
{
    struct share_key key = key_of(client);

    return is(x->holder, &key);
}
