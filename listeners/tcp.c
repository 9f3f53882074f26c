/* listeners/tcp.c - plain TCP. gost-config.md 10.1. */
#include "listeners/accept.h"
#include "listeners/types.h"
#include <stdlib.h>

struct tcp_options {
    struct accept_options accept;
};

static const struct option options[] = {
    {.key = "reuseport",
     .type = OPTION_BOOL,
     .offset = offsetof(struct tcp_options, accept.reuseport),
     .help = "several processes may listen on the port"},
    ACCEPT_OPTIONS(tcp_options, accept),
    OPTION_END,
};

static enum rc tcp_open(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    const struct tcp_options *cfg = l->cfg;
    struct acceptor *a = calloc(1, sizeof *a);
    if (!a)
        return diag_set(diag, RC_NOMEM, "no memory");
    l->state = a;
    return acceptor_open(a, setup, &cfg->accept, diag);
}

static void done(struct listener *l)
{
    accept_stop(l);
    free(l->state);
    l->state = NULL;
}

const struct listener_type listener_tcp = {
    .name = "tcp",
    .options = options,
    .cfg_bytes = sizeof(struct tcp_options),
    .open = tcp_open,
    .start = accept_start,
    .stop = accept_stop,
    .done = done,
    .where = accept_where,
};
