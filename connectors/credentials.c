/* connectors/credentials.c - see the header. */
#include "connectors/credentials.h"
#include "core/secret.h"
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 255 };

enum rc credentials_init(struct credentials *c, const struct connector_setup *setup,
                         struct diag *diag)
{
    c->given = setup->user != NULL || setup->password != NULL;
    c->user = strdup(setup->user != NULL ? setup->user : "");
    c->password = strdup(setup->password != NULL ? setup->password : "");
    if (c->user == NULL || c->password == NULL)
        return diag_set(diag, RC_NOMEM, "node %s: no memory", setup->node_name);
    if (strlen(c->user) > TEXT_MAX || strlen(c->password) > TEXT_MAX)
        return diag_set(diag, RC_INVALID, "node %s: user or password is over %d bytes",
                        setup->node_name, TEXT_MAX);
    return RC_OK;
}

void credentials_done(struct credentials *c)
{
    if (c->password != NULL)
        secret_wipe(c->password, strlen(c->password));
    free(c->user);
    free(c->password);
    *c = (struct credentials){.given = false};
}
