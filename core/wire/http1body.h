/* core/wire/http1body.h - where the body of an HTTP/1 message ends (RFC 9112 section 6). Bytes are
 * passed on as they came; this only counts.
 *
 * Pure; a small struct in its owner. Both Content-Length and Transfer-Encoding, differing lengths,
 * or an encoding that does not end in chunked are RC_PROTO: they smuggle requests.
 */
#ifndef CORE_WIRE_HTTP1BODY_H
#define CORE_WIRE_HTTP1BODY_H

#include "core/rc.h"
#include "core/wire/http1.h"

enum http1_body_kind { HTTP1_BODY_NONE, HTTP1_BODY_LENGTH, HTTP1_BODY_CHUNKED, HTTP1_BODY_TO_EOF };

struct http1_body {
    enum http1_body_kind kind;
    int state;           /* of the chunked reader */
    uint64_t left;       /* of the length, or of the chunk */
    unsigned line_bytes; /* of the chunk-size line or trailer so far */
    bool done;
};

enum rc http1_body_of_request(const struct http1_head *h, struct http1_body *ret_b);
/* Needs the method of the request it answers (HEAD has no body, CONNECT's 200 neither). */
enum rc http1_body_of_response(const struct http1_head *h, struct slice method,
                               struct http1_body *ret_b);

/* How many of the next len bytes belong to the body; then b->done may be true. RC_PROTO: bad chunk.
 * A body to EOF takes everything and is never done. */
enum rc http1_body_feed(struct http1_body *b, const char *buf, size_t len, size_t *ret_used);

#endif
