/* core/wire/http1.h - the head of an HTTP/1 message: request line or status line and the fields, as
 * slices of the original bytes (what is passed on must be what came). Source: RFC 9112;
 * wire-protocols.md 5.2, 5.3, 8.3. Bodies are in core/wire/http1body.h.
 *
 * Pure: no I/O, no allocation. Strict where laxness smuggles requests: blanks before the colon,
 * folded lines, control characters, stray CR are RC_PROTO. Lines end in CRLF or a bare LF.
 */
#ifndef CORE_WIRE_HTTP1_H
#define CORE_WIRE_HTTP1_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"

enum { HTTP1_HEAD_MAX_BYTES = 16384, HTTP1_FIELDS_MAX = 128, HTTP1_METHOD_MAX_BYTES = 32 };

struct http1_field {
    struct slice name, value; /* value: blanks around it removed */
    struct slice line;        /* the whole line with its end */
};

struct http1_head {
    struct slice first_line;     /* with its end */
    struct slice method, target; /* requests; an empty target is kept (wire-protocols 5.2) */
    unsigned status;             /* responses; 100..999 */
    struct slice reason;
    unsigned minor; /* of HTTP/1.minor */
    struct http1_field fields[HTTP1_FIELDS_MAX];
    size_t n_fields;
};

/* Finds the end of the head (behind the empty line). *scanned starts at 0 and lets repeated calls
 * with a growing buffer go on where they stopped. RC_AGAIN: more bytes; RC_LIMIT: longer than
 * HTTP1_HEAD_MAX_BYTES. */
enum rc http1_find_end(const char *buf, size_t len, size_t *scanned, size_t *ret_end);

/* RC_AGAIN: not whole yet, and what is there may be the beginning of a request; RC_PROTO: it can't
 * be one; RC_LIMIT: head or number of fields over the cap. *scanned as above. */
enum rc http1_parse_request(const char *buf, size_t len, size_t *scanned,
                            struct http1_head *ret_head, size_t *ret_used);
enum rc http1_parse_response(const char *buf, size_t len, size_t *scanned,
                             struct http1_head *ret_head, size_t *ret_used);

/* GET, POST ... TRACE, CONNECT: the tokens a sniffer goes by. */
bool http1_method_is_known(struct slice method);

/* First field of that name (no case), or NULL; `after` NULL: from the start. */
const struct http1_field *http1_find(const struct http1_head *h, const char *name,
                                     const struct http1_field *after);
/* Does a comma list (all fields of that name together) hold the token (no case)? */
bool http1_has_token(const struct http1_head *h, const char *name, const char *token);

enum http1_form { HTTP1_ORIGIN, HTTP1_ABSOLUTE, HTTP1_AUTHORITY, HTTP1_ASTERISK };

struct http1_authority {
    enum http1_form form;
    bool https;        /* absolute-form with https: */
    struct slice text; /* as it stands in the head, without user info */
    struct slice host; /* without port and brackets; empty: there is none */
    uint16_t port;     /* 0: not given */
    struct slice path; /* absolute-form: what goes into the origin-form; "" stands for "/" */
};

/* Who is asked for: CONNECT's authority; else that of an absolute target; else the Host field.
 * RC_PROTO: two different Hosts, or something that can't be host[:port]. */
enum rc http1_authority(const struct http1_head *h, struct http1_authority *ret_a);

/* "host", "host:port", "[v6]:port". RC_PROTO: port not 1..65535, unmatched bracket, forbidden byte,
 * longer than 255. An empty text gives an empty host. */
enum rc http1_split_hostport(struct slice text, struct slice *ret_host, uint16_t *ret_port);

/* "Basic dTpw" to user and password inside buf (cap >= 3/4 of the value; wipe it after use).
 * RC_AUTH: another scheme or not base64 of user:password. */
enum rc http1_parse_basic(struct slice value, char *buf, size_t cap, struct slice *ret_user,
                          struct slice *ret_pass);
/* Writes "Basic dTpw" and a NUL. RC_LIMIT: no room. */
enum rc http1_format_basic(struct slice user, struct slice pass, char *buf, size_t cap,
                           size_t *ret_n);

struct http1_extra {
    const char *name, *value;
};

struct http1_connect {
    const struct target *target;     /* no address and no name: an empty target (UDP association) */
    const char *basic;               /* value of Proxy-Authorization, or NULL */
    bool udp;                        /* X-Gost-Protocol: udp */
    const char *user_agent;          /* NULL: GOST's */
    const char *host;                /* Host field instead of the target, or NULL */
    const struct http1_extra *extra; /* more fields, or fields of ours with another value */
    size_t n_extra;
};

/* A CONNECT request as GOST's client writes it: Host, User-Agent, then the rest sorted by name.
 * RC_INVALID: a name or value that would break the head; RC_LIMIT: no room. */
enum rc http1_format_connect(const struct http1_connect *req, void *buf, size_t cap, size_t *ret_n);

/* "Not Found" for 404; GOST's "status code N" for an unknown one is left to the caller (NULL). */
const char *http1_reason(unsigned status);

/* Is it a field name (token), or a value without control characters? */
bool http1_is_token(struct slice s);
bool http1_is_value(struct slice s);

#endif
