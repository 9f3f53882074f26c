/* listeners/dns.c - where DNS clients come in: a udp, tcp or tls listener, as `mode` says.
 * gost-config.md 10.1.
 */
#include "configs/check.h"
#include "listeners/accept.h"
#include "listeners/types.h"
#include <stdlib.h>
#include <string.h>

enum mode { MODE_UDP, MODE_TCP, MODE_TLS, MODE_HTTPS };

struct dns_options {
    int mode;
    int64_t buffer_bytes, read_timeout_ms, write_timeout_ms, backlog;
};

#define AT(field) offsetof(struct dns_options, field)
static const struct option options[] = {
    {.key = "mode",
     .type = OPTION_ENUM,
     .offset = AT(mode),
     .def = "udp",
     .values = "udp|tcp|tls|https",
     .help = "how clients ask"},
    {.key = "readBufferSize",
     .type = OPTION_SIZE,
     .flags = OPTION_NOOP,
     .offset = AT(buffer_bytes),
     .help = "largest question"},
    {.key = "readTimeout",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(read_timeout_ms),
     .help = "wait for a question; the handler's counts"},
    {.key = "writeTimeout",
     .type = OPTION_DURATION,
     .flags = OPTION_NOOP,
     .offset = AT(write_timeout_ms),
     .help = "wait for room to answer"},
    {.key = "backlog",
     .type = OPTION_INT,
     .flags = OPTION_NOOP,
     .offset = AT(backlog),
     .help = "clients that wait to be accepted"},
    OPTION_END,
};
#undef AT

enum { SESSION_MS = 15000 /* longer than the questions of a UDP client stay open */ };

static const struct listener_type *type_of(const struct dns_options *cfg)
{
    switch ((enum mode)cfg->mode) {
    case MODE_UDP:
        return &listener_udp;
    case MODE_TCP:
        return &listener_tcp;
    case MODE_TLS:
        return &listener_tls;
    case MODE_HTTPS:
        return NULL;
    }
    return NULL;
}

/* The inner listener's options: its defaults. */
static enum rc fill(struct listener *inner)
{
    struct problems none = {.n = 0};
    inner->cfg = calloc(1, inner->type->cfg_bytes);
    if (inner->cfg == NULL || options_fill(inner->type->options, NULL, inner->cfg, &none) != RC_OK)
        return RC_NOMEM;
    for (const struct option *o = inner->type->options; o->key != NULL; o++) {
        if (inner->type == &listener_udp && strcmp(o->key, "ttl") == 0)
            *(int64_t *)((char *)inner->cfg + o->offset) = SESSION_MS;
    }
    return RC_OK;
}

static enum rc dns_open(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    const struct listener_type *type = type_of(l->cfg);
    if (type == NULL)
        return diag_set(diag, RC_UNSUPPORTED, "mode https is not served yet");
    struct listener *inner = calloc(1, sizeof(*inner));
    if (inner == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    inner->type = type;
    l->state = inner;
    if (fill(inner) != RC_OK)
        return diag_set(diag, RC_NOMEM, "no memory");
    return type->open(inner, setup, diag);
}

static enum rc start(struct listener *l, const struct listener_events *ev, struct diag *diag)
{
    struct listener *inner = l->state;
    return inner->type->start(inner, ev, diag);
}

static void stop(struct listener *l)
{
    struct listener *inner = l->state;
    if (inner != NULL)
        inner->type->stop(inner);
}

static void done(struct listener *l)
{
    struct listener *inner = l->state;
    l->state = NULL;
    if (inner == NULL)
        return;
    inner->type->done(inner);
    if (inner->cfg != NULL)
        options_done(inner->type->options, inner->cfg);
    free(inner->cfg);
    free(inner);
}

static const char *where(const struct listener *l, char *buf, size_t cap)
{
    const struct listener *inner = l->state;
    return inner->type->where(inner, buf, cap);
}

const struct listener_type listener_dns = {
    .name = "dns",
    .options = options,
    .cfg_bytes = sizeof(struct dns_options),
    .open = dns_open,
    .start = start,
    .stop = stop,
    .done = done,
    .where = where,
};
