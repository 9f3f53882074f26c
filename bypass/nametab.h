/* bypass/nametab.h - a hash table of host texts, found by the ends or the beginnings of a name:
 * what makes the cost of a match independent of the number of rules.
 *
 * A key is at most 255 bytes; letters are folded by the caller. Hashes are taken byte by byte from
 * one end (nametab_hash), so that one walk over a name gives those of all its ends. Entries are
 * never removed. Owner: one matcher.
 */
#ifndef BYPASS_NAMETAB_H
#define BYPASS_NAMETAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAMETAB_KEY_MAX = 255 };

/* What the rules of one key are; see matcher.c. */
struct name {
    uint32_t at;      /* of the text */
    uint32_t rule[2]; /* of its rules for any port */
    uint32_t globs;   /* first of a list; 0: none */
    uint8_t bytes, flags;
};

struct nametab {
    struct name *v;
    uint32_t n, room;
    char *text;
    size_t n_text, text_room;
    struct slot {
        uint32_t tag, name; /* place in v + 1; 0: free */
    } * slots;
    uint32_t n_slots;       /* a power of two */
    uint64_t depth_mask[2]; /* bit n: a key with n dots is there (63: or more); [1]: that begins
                               with one */
};

static inline uint64_t nametab_hash(uint64_t hash, char c)
{
    return (hash ^ (uint8_t)c) * 0x100000001b3u;
}
enum { NAMETAB_HASH_START = 0x2545f491 };

/* Room for so many more without growing; false: no memory. */
bool nametab_reserve(struct nametab *t, uint32_t keys);
/* The entry of a key, made when it is new; NULL: no memory. Valid until the next call. */
struct name *nametab_add(struct nametab *t, const char *key, size_t n, uint64_t hash);
/* May there be a key with so many dots? */
static inline bool nametab_may_have(const struct nametab *t, bool begins_with_dot, unsigned dots)
{
    return t->depth_mask[begins_with_dot] >> (dots < 63 ? dots : 63) & 1;
}
/* It will be asked for: memory that is far away comes nearer meanwhile. */
void nametab_expect(const struct nametab *t, uint64_t hash);
struct name *nametab_find(const struct nametab *t, const char *key, size_t n, uint64_t hash);
size_t nametab_bytes(const struct nametab *t);
void nametab_done(struct nametab *t);

#endif
