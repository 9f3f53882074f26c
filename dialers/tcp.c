/* dialers/tcp.c - plain TCP: no floor of its own. gost-config.md 10.2. */
#include "dialers/dialer.h"
#include "dialers/keepalive.h"
#include <stddef.h>

struct cfg {
    struct keepalive_cfg keepalive;
};

static const struct option options[] = {KEEPALIVE_OPTIONS(struct cfg, keepalive, ""), OPTION_END};

static enum rc push(struct dialer *d, struct stream *s)
{
    const struct cfg *cfg = d->cfg;
    keepalive_apply(&cfg->keepalive, s);
    return RC_OK;
}

const struct dialer_type dialer_tcp = {
    .name = "tcp",
    .base = DIALER_TCP,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .push = push,
};
