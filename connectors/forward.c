/* connectors/forward.c - hands the connection through: the node itself is the target.
 * gost-config.md 10.3 ("tcp", "forward").
 */
#include "connectors/connector.h"

static const struct option options[] = {OPTION_END};

static enum rc push(struct connector *c, struct stream *s, const struct target *t)
{
    (void)c;
    (void)s;
    (void)t;
    return RC_OK;
}

const struct connector_type connector_forward = {
    .name = "forward",
    .aliases = "tcp",
    .options = options,
    .cfg_bytes = 1,
    .push = push,
};
