/* sniff/http.h - whom an HTTP/1 request asks for, or that it is HTTP/2 with prior knowledge.
 *
 * Pure: no I/O, no allocation, no state; the caller's buffer holds all bytes so far. RFC 9112,
 * 9113 3.4; wire-protocols.md 8.3. Heads are read by core/wire/http1.h.
 */
#ifndef SNIFF_HTTP_H
#define SNIFF_HTTP_H

#include "core/rc.h"
#include <stdint.h>

enum { HTTP_HOST_MAX_BYTES = 255, HTTP_METHOD_TEXT_BYTES = 16 };

struct http_request {
    char method[HTTP_METHOD_TEXT_BYTES];
    char host[HTTP_HOST_MAX_BYTES + 1]; /* as sent, without brackets; empty: none was named */
    uint16_t port; /* 80, or 443 for CONNECT and https:, where none was given; 0: no host */
    bool h2;       /* the preface of HTTP/2: the host is where we don't look (HPACK) */
};

/* RC_AGAIN: more bytes. RC_PROTO: not HTTP, or a head that can't be trusted with a name. ret_used:
 * the head (or the preface) with its end. */
enum rc http_request_parse(const void *buf, size_t n, struct http_request *ret_req,
                           size_t *ret_used);

#endif
