/* core/floor/ws/ws_head.c - the HTTP heads of a WebSocket upgrade. Contract in ws_head.h. */
#include "core/floor/ws/ws_head.h"
#include "core/hex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { REQUEST_FIELDS_MAX = 68 };

/* ---- writing */

static enum rc done(const struct wr *w, bool fits, size_t *ret_n)
{
    if (!fits)
        return RC_LIMIT;
    *ret_n = wr_used(w);
    return RC_OK;
}

static bool wr_field(struct wr *w, const char *name, const char *value)
{
    return wr_text(w, name) && wr_text(w, ": ") && wr_text(w, value) && wr_text(w, "\r\n");
}

static const char *find_extra(const struct strmap *extra, const char *name)
{
    for (size_t i = 0; i < extra->n; i++)
        if (strcasecmp(extra->keys[i], name) == 0)
            return extra->values[i];
    return NULL;
}

/* What Go's net/url leaves as it is in a path. */
static bool is_path_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("-_.~$&+,/:;=@", c));
}

bool ws_head_escape_path(const char *path, char *buf, size_t cap)
{
    static const char hex[] = "0123456789ABCDEF";
    struct wr w = wr_init(buf, cap);
    bool fits = true;

    for (; fits && *path; path++) {
        unsigned char c = (unsigned char)*path;

        if (is_path_char(c))
            fits = wr_u8(&w, c);
        else
            fits = wr_u8(&w, '%') && wr_u8(&w, (uint8_t)hex[c >> 4]) &&
                   wr_u8(&w, (uint8_t)hex[c & 15]);
    }
    return fits && wr_u8(&w, '\0');
}

struct field {
    const char *name, *value;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct field *)a)->name, ((const struct field *)b)->name);
}

enum rc ws_head_request(const char *target, const char *host, const char *key,
                        const struct strmap *extra, char *buf, size_t cap, size_t *ret_n)
{
    const char *own_host = find_extra(extra, "Host");
    const char *agent = find_extra(extra, "User-Agent");
    struct field f[REQUEST_FIELDS_MAX] = {{"Connection", "Upgrade"},
                                          {"Sec-WebSocket-Key", key},
                                          {"Sec-WebSocket-Version", "13"},
                                          {"Upgrade", "websocket"}};
    struct wr w = wr_init(buf, cap);
    size_t n = 4;
    bool fits;

    if (extra->n > REQUEST_FIELDS_MAX - n)
        return RC_LIMIT;
    for (size_t i = 0; i < extra->n; i++)
        if (strcasecmp(extra->keys[i], "Host") && strcasecmp(extra->keys[i], "User-Agent"))
            f[n++] = (struct field){extra->keys[i], extra->values[i]};
    qsort(f, n, sizeof(f[0]), by_name);
    fits = wr_text(&w, "GET ") && wr_text(&w, target) && wr_text(&w, " HTTP/1.1\r\n") &&
           wr_field(&w, "Host", own_host ? own_host : host) &&
           wr_field(&w, "User-Agent", agent ? agent : "Go-http-client/1.1");
    for (size_t i = 0; fits && i < n; i++)
        fits = wr_field(&w, f[i].name, f[i].value);
    return done(&w, fits && wr_text(&w, "\r\n"), ret_n);
}

enum rc ws_head_accept(const char *accept, const struct strmap *extra, char *buf, size_t cap,
                       size_t *ret_n)
{
    struct wr w = wr_init(buf, cap);
    const char *protocol = find_extra(extra, "Sec-WebSocket-Protocol");
    bool fits = wr_text(&w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\n") &&
                wr_field(&w, "Sec-WebSocket-Accept", accept);

    if (fits && protocol)
        fits = wr_field(&w, "Sec-WebSocket-Protocol", protocol);
    for (size_t i = 0; fits && i < extra->n; i++)
        if (strcasecmp(extra->keys[i], "Sec-WebSocket-Protocol"))
            fits = wr_field(&w, extra->keys[i], extra->values[i]);
    return done(&w, fits && wr_text(&w, "\r\n"), ret_n);
}

/* What Go's server sends before a handler of its own sees the request: no Date, no length. */
static bool refuse_early(struct wr *w, const char *status)
{
    return wr_text(w, "HTTP/1.1 ") && wr_text(w, status) &&
           wr_text(w, "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n") &&
           wr_text(w, status);
}

static bool refuse(struct wr *w, const char *status, const char *body, bool version, int64_t now_s)
{
    char date[64], length[24];
    time_t now = (time_t)now_s;
    struct tm tm;

    if (!gmtime_r(&now, &tm) || !strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return false;
    snprintf(length, sizeof(length), "%zu", strlen(body));
    return wr_text(w, "HTTP/1.1 ") && wr_text(w, status) && wr_text(w, "\r\n") &&
           wr_field(w, "Content-Type", "text/plain; charset=utf-8") &&
           (!version || wr_field(w, "Sec-Websocket-Version", "13")) &&
           wr_field(w, "X-Content-Type-Options", "nosniff") && wr_field(w, "Date", date) &&
           wr_field(w, "Content-Length", length) && wr_field(w, "Connection", "close") &&
           wr_text(w, "\r\n") && wr_text(w, body);
}

enum rc ws_head_refuse(enum ws_verdict v, int64_t now_s, char *buf, size_t cap, size_t *ret_n)
{
    struct wr w = wr_init(buf, cap);
    bool fits = false;

    switch (v) {
    case WS_UPGRADE:
        return RC_INVALID;
    case WS_NOT_FOUND:
        fits = refuse(&w, "404 Not Found", "404 page not found\n", false, now_s);
        break;
    case WS_BAD_METHOD:
        fits = refuse(&w, "405 Method Not Allowed", "Method Not Allowed\n", true, now_s);
        break;
    case WS_BAD_UPGRADE:
        fits = refuse(&w, "400 Bad Request", "Bad Request\n", true, now_s);
        break;
    case WS_NO_HOST:
        fits = refuse_early(&w, "400 Bad Request: missing required Host header");
        break;
    case WS_BAD_HEAD:
        fits = refuse_early(&w, "400 Bad Request");
        break;
    case WS_HEAD_TOO_LONG:
        fits = refuse_early(&w, "431 Request Header Fields Too Large");
        break;
    }
    return done(&w, fits, ret_n);
}

const char *ws_verdict_text(enum ws_verdict v)
{
    switch (v) {
    case WS_UPGRADE:
        return "upgrade accepted (101)";
    case WS_NOT_FOUND:
        return "the client asked for another path (404)";
    case WS_BAD_METHOD:
        return "the client's method is not GET (405)";
    case WS_BAD_UPGRADE:
        return "the client asked for no WebSocket upgrade (400)";
    case WS_NO_HOST:
        return "the client's request has no Host (400)";
    case WS_BAD_HEAD:
        return "the client does not speak HTTP (400)";
    case WS_HEAD_TOO_LONG:
        return "the client's request head is too long (431)";
    }
    return "";
}

/* ---- reading */

static bool copy_key(struct slice s, char key[static WS_KEY_MAX_BYTES])
{
    if (s.n == 0 || s.n >= WS_KEY_MAX_BYTES)
        return false;
    memcpy(key, s.p, s.n);
    key[s.n] = '\0';
    return true;
}

/* The reason phrase of a stranger goes into our log: printable ASCII only. */
static void copy_reason(struct slice s, char reason[static WS_REASON_MAX_BYTES])
{
    size_t n = s.n < WS_REASON_MAX_BYTES - 1 ? s.n : WS_REASON_MAX_BYTES - 1;

    for (size_t i = 0; i < n; i++)
        reason[i] = s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?';
    reason[n] = '\0';
}

enum rc ws_head_read_answer(const char *head, size_t n, struct ws_answer *ret_a,
                            const char **ret_why)
{
    struct http1_head h;
    size_t scanned = 0, used;
    const struct http1_field *accept, *ext;

    *ret_a = (struct ws_answer){0};
    if (http1_parse_response(head, n, &scanned, &h, &used) != RC_OK) {
        *ret_why = "node does not answer with HTTP";
        return RC_PROTO;
    }
    ret_a->status = h.status;
    copy_reason(h.reason, ret_a->reason);
    accept = http1_find(&h, "Sec-WebSocket-Accept", NULL);
    ext = http1_find(&h, "Sec-WebSocket-Extensions", NULL);
    if (h.status != 101)
        *ret_why = "node answered without 101";
    else if (!http1_has_token(&h, "Upgrade", "websocket") ||
             !http1_has_token(&h, "Connection", "upgrade"))
        *ret_why = "node's 101 is no upgrade to WebSocket";
    else if (!accept || !copy_key(accept->value, ret_a->accept))
        *ret_why = "node's 101 has no proper Sec-WebSocket-Accept";
    else if (ext && ext->value.n)
        *ret_why = "node's 101 has an extension that was not offered";
    else
        return RC_OK;
    return RC_PROTO;
}

/* Compares decoded, up to the query. */
static bool path_is_ours(struct slice target, const char *path)
{
    size_t i = 0, want = strlen(path);
    bool subtree = want && path[want - 1] == '/';

    for (size_t at = 0; at < target.n && target.p[at] != '?'; at++, i++) {
        char c = target.p[at];

        if (c == '%') {
            int hi = at + 1 < target.n ? hex_digit(target.p[at + 1]) : -1;
            int lo = at + 2 < target.n ? hex_digit(target.p[at + 2]) : -1;

            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi << 4 | lo);
            at += 2;
        }
        if (i == want)
            return subtree;
        if (c != path[i])
            return false;
    }
    return i == want;
}

/* The path in any form of a request target; a CONNECT's authority has none. */
static struct slice path_of(const struct http1_head *h)
{
    struct http1_authority a;

    if (h->target.n && h->target.p[0] == '/')
        return h->target;
    if (http1_authority(h, &a) != RC_OK || a.form != HTTP1_ABSOLUTE)
        return (struct slice){"", 0};
    return a.path.n ? a.path : (struct slice){"/", 1};
}

/* base64 of exactly 16 bytes */
static bool is_key(struct slice s)
{
    if (s.n != 24 || s.p[22] != '=' || s.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = s.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

static struct addr client_of(const struct http1_head *h)
{
    static const char *const names[] = {"CF-Connecting-IP", "X-Forwarded-For", "X-Real-Ip"};
    struct addr a = {0};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct http1_field *f = http1_find(h, names[i], NULL);
        struct slice s = f ? f->value : (struct slice){"", 0};
        const char *comma = s.n ? memchr(s.p, ',', s.n) : NULL;

        if (comma)
            s.n = (size_t)(comma - s.p);
        while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
            s.n--;
        if (s.n && addr_parse_ip(s.p, s.n, &a))
            return a;
    }
    return (struct addr){0};
}

static enum ws_verdict judge(const struct http1_head *h, const char *path, char *ret_key)
{
    const struct http1_field *key = http1_find(h, "Sec-WebSocket-Key", NULL);

    if (!http1_find(h, "Host", NULL) && h->minor > 0)
        return WS_NO_HOST;
    if (!path_is_ours(path_of(h), path))
        return WS_NOT_FOUND;
    if (!http1_has_token(h, "Connection", "upgrade") || !http1_has_token(h, "Upgrade", "websocket"))
        return WS_BAD_UPGRADE;
    if (!slice_equal(h->method, "GET"))
        return WS_BAD_METHOD;
    if (!http1_has_token(h, "Sec-WebSocket-Version", "13") || !key || !is_key(key->value) ||
        !copy_key(key->value, ret_key))
        return WS_BAD_UPGRADE;
    return WS_UPGRADE;
}

void ws_head_read_request(const char *head, size_t n, const char *path, struct ws_request *ret_r)
{
    struct http1_head h;
    size_t scanned = 0, used;
    enum rc rc = http1_parse_request(head, n, &scanned, &h, &used);

    *ret_r = (struct ws_request){.verdict = rc == RC_LIMIT ? WS_HEAD_TOO_LONG : WS_BAD_HEAD};
    if (rc != RC_OK)
        return;
    ret_r->verdict = judge(&h, path, ret_r->key);
    ret_r->client = client_of(&h);
}

/* ---- configuration */

static bool is_own_field(const char *name, bool is_client)
{
    static const char *const both[] = {"Connection", "Upgrade", "Sec-WebSocket-Extensions",
                                       "Content-Length", "Transfer-Encoding"};
    static const char *const client[] = {"Sec-WebSocket-Key", "Sec-WebSocket-Version"};

    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        if (strcasecmp(name, both[i]) == 0)
            return true;
    if (!is_client)
        return strcasecmp(name, "Sec-WebSocket-Accept") == 0;
    return strcasecmp(name, client[0]) == 0 || strcasecmp(name, client[1]) == 0;
}

enum rc ws_head_check_extra(const struct strmap *extra, bool is_client, struct diag *diag)
{
    size_t total = 0;

    if (extra->n > REQUEST_FIELDS_MAX - 4)
        return diag_set(diag, RC_INVALID, "header: more than %d fields", REQUEST_FIELDS_MAX - 4);
    for (size_t i = 0; i < extra->n; i++) {
        const char *name = extra->keys[i], *value = extra->values[i] ? extra->values[i] : "";

        if (!http1_is_token(slice_of(name)) || !http1_is_value(slice_of(value)))
            return diag_set(diag, RC_INVALID, "header: %s can't stand in an HTTP head", name);
        if (is_own_field(name, is_client))
            return diag_set(diag, RC_INVALID, "header: %s belongs to the upgrade itself", name);
        total += strlen(name) + strlen(value) + 4;
    }
    if (total > WS_EXTRA_MAX_BYTES)
        return diag_set(diag, RC_INVALID, "header: more than %d bytes", WS_EXTRA_MAX_BYTES);
    return RC_OK;
}
