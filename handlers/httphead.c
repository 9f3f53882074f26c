/* handlers/httphead.c - see httphead.h. */
#include "handlers/httphead.h"
#include <stdlib.h>

enum { HEAD_OUT_BYTES = HTTP1_HEAD_MAX_BYTES + 512 };

static bool starts_nocase(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && slice_equal_nocase((struct slice){s.p, n}, prefix);
}

static bool is_listed(const struct http1_head *h, struct slice name)
{
    char text[64];
    if (name.n >= sizeof text)
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return http1_has_token(h, "Connection", text);
}

/* Fields that speak of one connection, not of the message (RFC 9110 7.6.1). A body is passed on as
 * it came, so what frames it stays, whatever Connection names. */
static bool is_hop_field(const struct http1_head *h, struct slice name)
{
    if (slice_equal_nocase(name, "Transfer-Encoding") || slice_equal_nocase(name, "Content-Length"))
        return false;
    return slice_equal_nocase(name, "Connection") || slice_equal_nocase(name, "Keep-Alive") ||
           starts_nocase(name, "Proxy-") || slice_equal_nocase(name, "Gost-Target") ||
           slice_equal_nocase(name, "X-Gost-Target") || is_listed(h, name);
}

static bool write_fields(struct wr *w, const struct http1_head *h, bool upgrade)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct http1_field *f = &h->fields[i];
        bool kept = upgrade && slice_equal_nocase(f->name, "Upgrade");
        if (!kept && is_hop_field(h, f->name))
            continue;
        if (h->method.n > 0 && slice_equal_nocase(f->name, "Host"))
            continue; /* written first, from the target */
        if (!wr_slice(w, f->name) || !wr_text(w, ": ") || !wr_slice(w, f->value) ||
            !wr_text(w, "\r\n"))
            return false;
    }
    return true;
}

bool httphead_is_upgrade(const struct http1_head *h)
{
    return http1_has_token(h, "Connection", "upgrade") && http1_find(h, "Upgrade", NULL);
}

bool httphead_keeps_alive(const struct http1_head *h)
{
    bool close = http1_has_token(h, "Connection", "close") ||
                 http1_has_token(h, "Proxy-Connection", "close");
    bool keep = http1_has_token(h, "Connection", "keep-alive") ||
                http1_has_token(h, "Proxy-Connection", "keep-alive");
    return !close && (h->minor > 0 || keep);
}

static bool write_request(struct wr *w, const struct http1_head *h, const struct http1_authority *a)
{
    struct slice path = a->path;
    bool upgrade = httphead_is_upgrade(h);
    if (path.n == 0)
        path = slice_of(slice_equal(h->method, "OPTIONS") ? "*" : "/");
    return wr_slice(w, h->method) && wr_text(w, " ") &&
           (path.p[0] != '?' || wr_text(w, "/")) && /* "http://host?query" */
           wr_slice(w, path) && wr_text(w, h->minor > 0 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n") &&
           wr_text(w, "Host: ") && wr_slice(w, a->text) && wr_text(w, "\r\n") &&
           write_fields(w, h, upgrade) &&
           wr_text(w, upgrade ? "Connection: Upgrade\r\n\r\n" : "Connection: close\r\n\r\n");
}

enum rc httphead_request(const struct http1_head *h, const struct http1_authority *a,
                         char **ret_head, size_t *ret_n)
{
    char *head = malloc(HEAD_OUT_BYTES);

    if (!head)
        return RC_NOMEM;
    struct wr w = wr_init(head, HEAD_OUT_BYTES);
    if (!write_request(&w, h, a)) {
        free(head);
        return RC_LIMIT;
    }
    *ret_head = head;
    *ret_n = wr_used(&w);
    return RC_OK;
}

static bool write_answer(struct wr *w, const struct http1_head *h, const struct httphead_wish *wish)
{
    struct slice line = h->first_line;
    bool final = h->status >= 200;
    bool ok = wr_text(w, wish->minor > 0 ? "HTTP/1.1" : "HTTP/1.0") &&
              wr_slice(w, (struct slice){line.p + 8, line.n - 8}) &&
              write_fields(w, h, h->status == 101);

    if (ok && h->status == 101)
        ok = wr_text(w, "Connection: Upgrade\r\n");
    else if (ok && final && !wish->keep)
        ok = wr_text(w, "Connection: close\r\n");
    else if (ok && final && wish->minor == 0)
        ok = wr_text(w, "Connection: keep-alive\r\n");
    return ok && wr_text(w, "\r\n");
}

enum rc httphead_answer(const struct http1_head *h, const struct httphead_wish *wish,
                        char **ret_head, size_t *ret_n)
{
    char *head = malloc(HEAD_OUT_BYTES);

    if (!head)
        return RC_NOMEM;
    struct wr w = wr_init(head, HEAD_OUT_BYTES);
    if (!write_answer(&w, h, wish)) {
        free(head);
        return RC_LIMIT;
    }
    *ret_head = head;
    *ret_n = wr_used(&w);
    return RC_OK;
}
