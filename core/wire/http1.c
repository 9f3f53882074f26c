/* core/wire/http1.c - the head of an HTTP/1 message. Contract in core/wire/http1.h. */
#include "core/wire/http1.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c > 0x20 && c < 0x7f && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http1_is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char((unsigned char)s.p[i]))
            return false;
    return s.n > 0;
}

bool http1_is_value(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct slice trim(struct slice s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* The line that begins at *pos, up to its LF; *pos moves behind it. */
static bool next_line(struct slice all, size_t *pos, struct slice *ret_whole,
                      struct slice *ret_text)
{
    const char *start = all.p + *pos;
    const char *lf = *pos < all.n ? memchr(start, '\n', all.n - *pos) : NULL;
    if (!lf)
        return false;
    size_t n = (size_t)(lf - start);
    *ret_whole = (struct slice){start, n + 1};
    if (n > 0 && start[n - 1] == '\r')
        n--;
    *ret_text = (struct slice){start, n};
    *pos += ret_whole->n;
    return true;
}

enum rc http1_find_end(const char *buf, size_t len, size_t *scanned, size_t *ret_end)
{
    size_t cap = len < HTTP1_HEAD_MAX_BYTES ? len : HTTP1_HEAD_MAX_BYTES;
    size_t i = *scanned;

    while (i < cap) {
        const char *lf = memchr(buf + i, '\n', cap - i);
        if (!lf) {
            i = cap;
            break;
        }
        size_t next = (size_t)(lf - buf) + 1;
        if (next < cap && buf[next] == '\n') {
            *ret_end = next + 1;
            return RC_OK;
        }
        if (next + 1 < cap && buf[next] == '\r' && buf[next + 1] == '\n') {
            *ret_end = next + 2;
            return RC_OK;
        }
        /* The line behind this LF is not known to be there: look at the LF again next time. */
        if (next >= cap || (next + 1 >= cap && buf[next] == '\r')) {
            i = next - 1;
            break;
        }
        i = next;
    }
    *scanned = i;
    return len >= HTTP1_HEAD_MAX_BYTES ? RC_LIMIT : RC_AGAIN;
}

/* "HTTP/1.x" */
static bool parse_version(struct slice s, unsigned *ret_minor)
{
    if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || s.p[7] < '0' || s.p[7] > '9')
        return false;
    *ret_minor = (unsigned)(s.p[7] - '0');
    return true;
}

static bool parse_request_line(struct slice s, struct http1_head *h)
{
    const char *sp = s.n > 0 ? memchr(s.p, ' ', s.n) : NULL;
    if (!sp)
        return false;
    h->method = (struct slice){s.p, (size_t)(sp - s.p)};
    if (h->method.n > HTTP1_METHOD_MAX_BYTES || !http1_is_token(h->method))
        return false;
    struct slice rest = {sp + 1, s.n - h->method.n - 1};
    if (rest.n < 9 || rest.p[rest.n - 9] != ' ' ||
        !parse_version((struct slice){rest.p + rest.n - 8, 8}, &h->minor))
        return false;
    h->target = (struct slice){rest.p, rest.n - 9};
    return http1_is_value(h->target) &&
           !(h->target.n > 0 &&
             (memchr(h->target.p, ' ', h->target.n) || memchr(h->target.p, '\t', h->target.n)));
}

static bool parse_status_line(struct slice s, struct http1_head *h)
{
    if (s.n < 12 || !parse_version((struct slice){s.p, 8}, &h->minor) || s.p[8] != ' ')
        return false;
    unsigned status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        status = status * 10 + (unsigned)(s.p[i] - '0');
    }
    if (status < 100 || (s.n > 12 && s.p[12] != ' '))
        return false;
    h->status = status;
    h->reason = s.n > 13 ? (struct slice){s.p + 13, s.n - 13} : (struct slice){s.p + s.n, 0};
    return http1_is_value(h->reason);
}

static enum rc parse_fields(struct slice all, size_t pos, struct http1_head *h)
{
    struct slice whole, text;
    while (next_line(all, &pos, &whole, &text) && text.n > 0) {
        const char *colon = memchr(text.p, ':', text.n);
        if (!colon)
            return RC_PROTO;
        struct slice name = {text.p, (size_t)(colon - text.p)};
        struct slice value = trim((struct slice){colon + 1, text.n - name.n - 1});
        if (!http1_is_token(name) || !http1_is_value(value))
            return RC_PROTO;
        if (h->n_fields == HTTP1_FIELDS_MAX)
            return RC_LIMIT;
        h->fields[h->n_fields++] = (struct http1_field){name, value, whole};
    }
    return RC_OK;
}

static enum rc parse_head(const char *buf, size_t end, bool request, struct http1_head *ret_head)
{
    struct slice all = {buf, end}, text;
    size_t pos = 0;

    ret_head->n_fields = 0;
    ret_head->status = 0;
    ret_head->method = ret_head->target = ret_head->reason = (struct slice){buf, 0};
    if (!next_line(all, &pos, &ret_head->first_line, &text))
        return RC_PROTO;
    if (!(request ? parse_request_line(text, ret_head) : parse_status_line(text, ret_head)))
        return RC_PROTO;
    return parse_fields(all, pos, ret_head);
}

/* Can these bytes begin a request? A token and one blank. */
static bool may_be_request(const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] == ' ')
            return i > 0;
        if (i >= HTTP1_METHOD_MAX_BYTES || !is_token_char((unsigned char)buf[i]))
            return false;
    }
    return true;
}

static bool may_be_response(const char *buf, size_t len)
{
    static const char start[] = "HTTP/1.";
    return memcmp(buf, start, len < sizeof start - 1 ? len : sizeof start - 1) == 0;
}

enum rc http1_parse_request(const char *buf, size_t len, size_t *scanned,
                            struct http1_head *ret_head, size_t *ret_used)
{
    size_t end;
    if (len == 0)
        return RC_AGAIN;
    if (!may_be_request(buf, len))
        return RC_PROTO;
    enum rc rc = http1_find_end(buf, len, scanned, &end);
    if (rc == RC_OK)
        rc = parse_head(buf, end, true, ret_head);
    if (rc == RC_OK)
        *ret_used = end;
    return rc;
}

enum rc http1_parse_response(const char *buf, size_t len, size_t *scanned,
                             struct http1_head *ret_head, size_t *ret_used)
{
    size_t end;
    if (len == 0)
        return RC_AGAIN;
    if (!may_be_response(buf, len))
        return RC_PROTO;
    enum rc rc = http1_find_end(buf, len, scanned, &end);
    if (rc == RC_OK)
        rc = parse_head(buf, end, false, ret_head);
    if (rc == RC_OK)
        *ret_used = end;
    return rc;
}

bool http1_method_is_known(struct slice method)
{
    static const char *const known[] = {"GET",  "POST",    "PUT",   "DELETE", "OPTIONS",
                                        "HEAD", "CONNECT", "PATCH", "TRACE"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_equal(method, known[i]))
            return true;
    return false;
}

const struct http1_field *http1_find(const struct http1_head *h, const char *name,
                                     const struct http1_field *after)
{
    size_t i = after ? (size_t)(after - h->fields) + 1 : 0;
    for (; i < h->n_fields; i++)
        if (slice_equal_nocase(h->fields[i].name, name))
            return &h->fields[i];
    return NULL;
}

static bool list_has(struct slice list, const char *token)
{
    while (list.n > 0) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (slice_equal_nocase(trim((struct slice){list.p, n}), token))
            return true;
        size_t step = comma ? n + 1 : n;
        list.p += step;
        list.n -= step;
    }
    return false;
}

bool http1_has_token(const struct http1_head *h, const char *name, const char *token)
{
    const struct http1_field *f = NULL;
    while ((f = http1_find(h, name, f)))
        if (list_has(f->value, token))
            return true;
    return false;
}

const char *http1_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } known[] = {
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {413, "Request Entity Too Large"},
        {415, "Unsupported Media Type"},
        {418, "I'm a teapot"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].text;
    return NULL;
}
