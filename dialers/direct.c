/* dialers/direct.c - no node is reached: the node dials its target itself. gost-config.md 7.7. */
#include "dialers/dialer.h"

static const struct option options[] = {OPTION_END};

const struct dialer_type dialer_direct = {
    .name = "direct",
    .aliases = "virtual",
    .base = DIALER_DIRECT,
    .options = options,
    .cfg_bytes = 1,
};
