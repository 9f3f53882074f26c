/* configs/merge.h - several typed configurations into one (gost-config.md 1.4): lists are joined,
 * objects replaced.
 *
 * The result has no order yet; decode_config() gives it one.
 * Pure; everything lives in the trees that are passed in.
 */
#ifndef CONFIGS_MERGE_H
#define CONFIGS_MERGE_H

#include "configs/tree.h"

/* Moves the sections of from into `into`; from is used up. */
void merge_config(struct value *into, struct value *from);

/* into[section][key] = text, keeping the section's other fields. */
void merge_set(struct tree *t, struct value *into, const char *section, const char *key,
               const char *text, const struct place *at);

#endif
