/* configs/decode.h - a raw tree to a typed one: GOST's field names and order, converted values,
 * defaults that GOST prints, nothing else. gost-config.md 3.1.
 *
 * What can't be converted is PROBLEM_FATAL, as in GOST. Unknown keys, keys not served yet and null
 * items are lesser problems: the tree leaves them out or keeps them as GOST would.
 */
#ifndef CONFIGS_DECODE_H
#define CONFIGS_DECODE_H

#include "configs/schema.h"
#include "core/rc.h"

struct decode_opts {
    bool strict;  /* inline JSON: no conversions, durations are integers of nanoseconds */
    bool lenient; /* an unknown key is only a warning */
};

/* ret_v is a VALUE_MAP in t. raw may be VALUE_NULL: an empty configuration. */
enum rc decode_config(struct tree *t, struct problems *p, const struct decode_opts *opts,
                      const struct value *raw, struct value **ret_v);

#endif
