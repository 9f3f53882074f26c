/* connectors/direct.c - a node that dials the target itself, from here; or, with action=reject, one
 * that answers every request with the end of the stream. gost-config.md 7.7.
 */
#include "connectors/connector.h"
#include "core/stream.h"
#include <stddef.h>
#include <stdlib.h>

enum action { ACTION_DIAL, ACTION_REJECT };

struct cfg {
    int action;
};

static const struct option options[] = {{.key = "action",
                                         .type = OPTION_ENUM,
                                         .offset = offsetof(struct cfg, action),
                                         .def = "dial",
                                         .values = "dial|reject",
                                         .help = "reject: the connection ends at once"},
                                        OPTION_END};

/* The bottom of a rejected stream: at its end for reading, bottomless for writing. */
static enum rc reject_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    (void)l;
    (void)buf;
    (void)cap;
    (void)ret_n;
    return RC_EOF;
}

static enum rc reject_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    (void)l;
    size_t n = 0;
    for (int i = 0; i < nv; i++)
        n += v[i].iov_len;
    *ret_n = n;
    return RC_OK;
}

static enum rc reject_shut(struct layer *l)
{
    (void)l;
    return RC_OK;
}

static unsigned reject_ready(const struct layer *l, unsigned wish)
{
    (void)l;
    return wish & ~(unsigned)STREAM_GONE; /* it ends in order */
}

static enum rc reject_query(struct layer *l, enum layer_query q, void *ret_value)
{
    (void)l;
    if (q != QUERY_CONFIRMED)
        return RC_UNSUPPORTED;
    *(enum stream_confirmed *)ret_value = CONFIRMED_YES;
    return RC_OK;
}

static const struct layer_type reject_type = {
    .name = "reject",
    .recv = reject_recv,
    .send = reject_send,
    .shut = reject_shut,
    .ready = reject_ready,
    .query = reject_query,
};

static enum rc push(struct connector *c, struct stream *s, const struct target *t)
{
    const struct cfg *cfg = c->cfg;
    (void)t;
    if (cfg->action == ACTION_DIAL)
        return RC_UNSUPPORTED;
    struct layer *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return RC_NOMEM;
    l->type = &reject_type;
    stream_push(s, l);
    return RC_OK;
}

static enum rc dgram(struct connector *c, struct stream *s, const struct target *t,
                     const struct sockopts *so, struct dgram **ret_d)
{
    const struct cfg *cfg = c->cfg;
    (void)s;
    (void)t;
    (void)so;
    *ret_d = NULL;
    return cfg->action == ACTION_REJECT ? RC_DENIED : RC_OK;
}

const struct connector_type connector_direct = {
    .name = "direct",
    .aliases = "virtual",
    .flags = CONNECTOR_DIRECT | CONNECTOR_UDP_ANY,
    .options = options,
    .cfg_bytes = sizeof(struct cfg),
    .push = push,
    .dgram = dgram,
};
