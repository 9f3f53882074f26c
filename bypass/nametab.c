/* bypass/nametab.c - see nametab.h. Open addressing, at most three of five slots in use. */
#include "bypass/nametab.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 16 };

static uint64_t mix(uint64_t h)
{
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static bool is_full(const struct nametab *t, uint64_t keys)
{
    return keys * 5 > (uint64_t)t->n_slots * 3;
}

static void put(struct nametab *t, uint32_t tag, uint32_t name)
{
    uint32_t i = tag & (t->n_slots - 1);

    while (t->slots[i].name)
        i = (i + 1) & (t->n_slots - 1);
    t->slots[i] = (struct slot){tag, name};
}

static bool rehash(struct nametab *t, uint32_t n_slots)
{
    struct nametab old = *t;
    struct slot *slots = calloc(n_slots, sizeof *slots);

    if (!slots)
        return false;
    t->slots = slots;
    t->n_slots = n_slots;
    for (uint32_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].name)
            put(t, old.slots[i].tag, old.slots[i].name);
    free(old.slots);
    return true;
}

bool nametab_reserve(struct nametab *t, uint32_t keys)
{
    uint64_t want = (uint64_t)t->n + keys, n_slots = t->n_slots ? t->n_slots : SLOTS_MIN;

    if (want > UINT32_MAX / 4)
        return false;
    while (want * 5 > n_slots * 3)
        n_slots *= 2;
    return n_slots == t->n_slots || rehash(t, (uint32_t)n_slots);
}

void nametab_expect(const struct nametab *t, uint64_t hash)
{
    if (t->n_slots > 0)
        __builtin_prefetch(&t->slots[(uint32_t)mix(hash) & (t->n_slots - 1)]);
}

struct name *nametab_find(const struct nametab *t, const char *key, size_t n, uint64_t hash)
{
    uint32_t tag = (uint32_t)mix(hash), mask = t->n_slots - 1;

    if (t->n_slots == 0)
        return NULL;
    for (uint32_t i = tag & mask; t->slots[i].name; i = (i + 1) & mask) {
        struct name *e = &t->v[t->slots[i].name - 1];
        if (t->slots[i].tag == tag && e->bytes == n && memcmp(t->text + e->at, key, n) == 0)
            return e;
    }
    return NULL;
}

static bool has_room(struct nametab *t, size_t n)
{
    if (t->n == t->room) {
        uint32_t room = t->room ? t->room + t->room / 2 : 16;
        struct name *v = realloc(t->v, room * sizeof *v);
        if (!v)
            return false;
        t->v = v;
        t->room = room;
    }
    if (t->n_text + n > t->text_room) {
        size_t room = t->text_room ? t->text_room + t->text_room / 2 : 512;
        char *text = room > UINT32_MAX ? NULL : realloc(t->text, room);
        if (!text)
            return false;
        t->text = text;
        t->text_room = room;
    }
    return !is_full(t, (uint64_t)t->n + 1) || nametab_reserve(t, 1);
}

struct name *nametab_add(struct nametab *t, const char *key, size_t n, uint64_t hash)
{
    struct name *e = nametab_find(t, key, n, hash);
    unsigned depth = 0;

    if (e)
        return e;
    if (n > NAMETAB_KEY_MAX || !has_room(t, n))
        return NULL;
    e = &t->v[t->n++];
    *e = (struct name){.at = (uint32_t)t->n_text, .bytes = (uint8_t)n};
    memcpy(t->text + t->n_text, key, n);
    t->n_text += n;
    put(t, (uint32_t)mix(hash), t->n);
    for (size_t i = 0; i < n; i++)
        depth += key[i] == '.';
    t->depth_mask[n > 0 && *key == '.'] |= (uint64_t)1 << (depth < 63 ? depth : 63);
    return e;
}

size_t nametab_bytes(const struct nametab *t)
{
    return t->room * sizeof *t->v + t->text_room + (size_t)t->n_slots * sizeof *t->slots;
}

void nametab_done(struct nametab *t)
{
    free(t->v);
    free(t->text);
    free(t->slots);
    *t = (struct nametab){0};
}
