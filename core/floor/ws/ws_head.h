/* core/floor/ws/ws_head.h - the HTTP heads of a WebSocket upgrade: what we send, what we take.
 * wire-protocols.md 2.2, 2.3. Private to the ws floor.
 *
 * Pure: no I/O, no allocation. LWS makes and checks the keys; the bytes on the wire are those that
 * GOST's ends exchange, which LWS would write in another order and with other fields. A head is
 * given whole, with its empty line (core/wire/http1.h: http1_find_end).
 */
#ifndef CORE_FLOOR_WS_WS_HEAD_H
#define CORE_FLOOR_WS_WS_HEAD_H

#include "core/addr.h"
#include "core/option.h"
#include "core/rc.h"
#include "core/wire/http1.h"

enum {
    WS_KEY_MAX_BYTES = 32,     /* base64 of 16 bytes (key) or of 20 (accept), with a NUL */
    WS_EXTRA_MAX_BYTES = 8192, /* all extra fields of the configuration together */
    WS_HEAD_OUT_BYTES = 12288, /* room that every head of ours fits in */
    WS_PATH_MAX_BYTES = 1024,  /* a configured path; escaped up to three times as long */
    WS_REASON_MAX_BYTES = 64,
};

/* ---- client */

/* Percent-escapes as a path: '?' becomes %3F. false: no room. */
bool ws_head_escape_path(const char *path, char *buf, size_t cap);

/* The request as a GOST client writes it. target: an escaped path. RC_LIMIT: no room. */
enum rc ws_head_request(const char *target, const char *host, const char *key,
                        const struct strmap *extra, char *buf, size_t cap, size_t *ret_n);

struct ws_answer {
    unsigned status;
    char reason[WS_REASON_MAX_BYTES]; /* printable */
    char accept[WS_KEY_MAX_BYTES];    /* of a 101 */
};
/* RC_PROTO: not an answer that upgrades; *ret_why says why (static), status is set when there was
 * one. Whether `accept` is right is LWS's to say. */
enum rc ws_head_read_answer(const char *head, size_t n, struct ws_answer *ret_a,
                            const char **ret_why);

/* ---- server */

enum ws_verdict {
    WS_UPGRADE,       /* 101 */
    WS_NOT_FOUND,     /* 404: another path */
    WS_BAD_METHOD,    /* 405: not GET */
    WS_BAD_UPGRADE,   /* 400: no upgrade to WebSocket 13, or its key is not one */
    WS_NO_HOST,       /* 400 */
    WS_BAD_HEAD,      /* 400: not HTTP */
    WS_HEAD_TOO_LONG, /* 431 */
};

struct ws_request {
    enum ws_verdict verdict;
    char key[WS_KEY_MAX_BYTES]; /* WS_UPGRADE */
    struct addr client;         /* as a proxy in front of us says; family 0: it doesn't */
};
/* path: the configured one, decoded; one that ends in '/' stands for everything below it. */
void ws_head_read_request(const char *head, size_t n, const char *path, struct ws_request *ret_r);

/* What the operator reads of it: "path is not ours (404)". */
const char *ws_verdict_text(enum ws_verdict v);

/* The answer to it, as Go's server writes it. now_s: Unix time, for its Date. RC_LIMIT: no room. */
enum rc ws_head_refuse(enum ws_verdict v, int64_t now_s, char *buf, size_t cap, size_t *ret_n);
enum rc ws_head_accept(const char *accept, const struct strmap *extra, char *buf, size_t cap,
                       size_t *ret_n);

/* ---- configuration */

/* Can these fields be sent? Names are tokens, values have no control characters, none of those that
 * an upgrade sets itself (client: one more, Host, is allowed). */
enum rc ws_head_check_extra(const struct strmap *extra, bool is_client, struct diag *diag);

#endif
