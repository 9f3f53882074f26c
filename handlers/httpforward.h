/* handlers/httpforward.h - one plain HTTP request through the proxy: head rewritten to origin-form,
 * body passed on, answer passed back, then the client's connection is free for its next request.
 * wire-protocols.md 5.3.
 *
 * Owner: the conn (state CONN_OTHER meanwhile); its ops->done frees it. The target's connection
 * serves one request ("Connection: close"). 1xx answers are passed on; the 101 that was asked for
 * turns the rest into a splice. At the end next() is called when the client's connection can go on,
 * else the conn is drained and closed.
 */
#ifndef HANDLERS_HTTPFORWARD_H
#define HANDLERS_HTTPFORWARD_H

#include "core/wire/http1.h"
#include "core/wire/http1body.h"

struct conn;
struct httpforward;

/* What must be known of a request while it is dialled. */
struct httpforward_request {
    char *head; /* for the target; heap */
    size_t head_bytes;
    char method[HTTP1_METHOD_MAX_BYTES + 1];
    unsigned minor;
    bool keep_alive; /* the client's wish */
    bool upgrade;    /* to another protocol, if the target wants it too */
    struct http1_body body;
};

/* RC_PROTO: the framing of its body can't be trusted; RC_NOMEM; RC_LIMIT: a head too long. The
 * head's bytes need not outlive the call. */
enum rc httpforward_prepare(const struct http1_head *h, const struct http1_authority *a,
                            struct httpforward_request *ret_req);

/* c->target is open; takes req's head. fail() answers for a target that never answered. */
void httpforward_start(struct conn *c, struct httpforward_request *req, uint32_t answer_ms,
                       void (*next)(struct conn *c),
                       void (*fail)(struct conn *c, enum rc rc, const char *reason),
                       struct httpforward **ret_x);
void httpforward_free(struct httpforward *x); /* NULL is fine */

#endif
