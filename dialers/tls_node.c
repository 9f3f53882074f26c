/* dialers/tls_node.c - see the header. */
#include "dialers/tls_node.h"
#include "core/floor/tls.h"
#include <stdlib.h>
#include <string.h>

enum rc tls_node_init(struct tls_node *t, const struct dialer_setup *setup, struct diag *diag)
{
    t->host = strdup(setup->node_host);
    t->addr = strdup(setup->node_addr);
    if (t->host == NULL || t->addr == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    struct diag why = {.rc = RC_OK};
    enum rc rc = tls_client_new(setup->tls, &t->ctx, &why);
    if (rc != RC_OK)
        return diag_set(diag, rc, "node %s: tls: %s", setup->node_name, why.text);
    return RC_OK;
}

enum rc tls_node_push(const struct tls_node *t, struct stream *s)
{
    struct layer *l = tls_client_layer(t->ctx, t->host, t->addr);
    if (l == NULL)
        return RC_NOMEM;
    stream_push(s, l);
    return RC_OK;
}

void tls_node_done(struct tls_node *t)
{
    if (t->ctx != NULL)
        tls_ctx_unref(t->ctx);
    free(t->host);
    free(t->addr);
}
