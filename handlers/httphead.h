/* handlers/httphead.h - the heads of a plain HTTP request and of its answer as a proxy passes them
 * on: origin-form, without the fields that speak of one connection. RFC 9110 7.6.1, RFC 9112 3.2.1;
 * wire-protocols.md 5.3.
 *
 * Pure but for the memory of what is written. What frames a body stays as it came.
 */
#ifndef HANDLERS_HTTPHEAD_H
#define HANDLERS_HTTPHEAD_H

#include "core/wire/http1.h"

bool httphead_is_upgrade(const struct http1_head *h);
/* Does the client want its connection kept? */
bool httphead_keeps_alive(const struct http1_head *h);

/* For the target. *ret_head is heap, the caller's. RC_NOMEM, RC_LIMIT. */
enum rc httphead_request(const struct http1_head *h, const struct http1_authority *a,
                         char **ret_head, size_t *ret_n);

struct httphead_wish {
    unsigned minor; /* of the client's HTTP/1.minor */
    bool keep;      /* its connection goes on */
};
/* For the client. As above. */
enum rc httphead_answer(const struct http1_head *h, const struct httphead_wish *wish,
                        char **ret_head, size_t *ret_n);

#endif
