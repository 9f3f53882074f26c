/* connectors/credentials.h - user and password of a node, for protocols that carry each in up to
 * 255 bytes (relay, SOCKS5).
 *
 * Embedded in what knows the node. Copies; the password is wiped at the end.
 */
#ifndef CONNECTORS_CREDENTIALS_H
#define CONNECTORS_CREDENTIALS_H

#include "connectors/connector.h"

struct credentials {
    bool given;            /* one of the two was */
    char *user, *password; /* "": not given */
};

/* RC_NOMEM, RC_INVALID: longer than that (diag). credentials_done() in all cases. */
enum rc credentials_init(struct credentials *c, const struct connector_setup *setup,
                         struct diag *diag);
void credentials_done(struct credentials *c);

#endif
