/* configs/dump.h - prints a typed tree exactly as `gost -O yaml` and `gost -O json` do, byte for
 * byte.
 *
 * Pure. Owner: the caller's struct dump; dump_done() frees the text. Memory failures are kept in
 * it.
 */
#ifndef CONFIGS_DUMP_H
#define CONFIGS_DUMP_H

#include "configs/tree.h"
#include "core/rc.h"

struct dump {
    char *text; /* heap, terminated */
    size_t len, cap;
    bool fresh; /* at the start of a line */
    bool nomem;
};
void dump_done(struct dump *d);

/* config is what decode_config() or merge made. d starts zeroed; RC_NOMEM is the only failure. */
enum rc dump_yaml(struct dump *d, const struct value *config);
enum rc dump_json(struct dump *d, const struct value *config);

/* For the two writers. */
void dump_bytes(struct dump *d, const char *s, size_t n);
void dump_puts(struct dump *d, const char *s);
void dump_indent(struct dump *d, unsigned blanks);
/* The items of a map as GOST prints them: fields in their order, others sorted by key. Heap, map->n
 * entries (at least one is allocated); NULL: no memory. */
typedef int dump_order(const char *key_a, const char *key_b);
const struct value **dump_sorted(struct dump *d, const struct value *map, dump_order *order);

#endif
