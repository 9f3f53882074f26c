/* core/wire/http1body.c - the end of an HTTP/1 body. Contract in core/wire/http1body.h. */
#include "core/wire/http1body.h"
#include "core/hex.h"

enum { SIZE_LINE_MAX_BYTES = 1024, TRAILERS_MAX_BYTES = HTTP1_HEAD_MAX_BYTES };

/* What the chunked reader waits for. */
enum {
    ST_SIZE_FIRST,   /* the first digit */
    ST_SIZE,         /* more digits, an extension, or the end of the line */
    ST_SIZE_BLANK,   /* the extension or the end of the line, behind blanks */
    ST_EXTENSION,    /* the end of the line */
    ST_SIZE_LF,      /* LF behind CR */
    ST_DATA,         /* left bytes */
    ST_DATA_CR,      /* the line end behind the data */
    ST_DATA_LF,      /* LF behind CR */
    ST_TRAILER_LINE, /* first byte of a trailer line; an empty line ends the body */
    ST_TRAILER,      /* the end of a trailer line */
    ST_LAST_LF       /* LF of the empty line */
};

static bool parse_length(struct slice s, uint64_t *ret_v)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 18)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret_v = v;
    return true;
}

/* Content-Length; several must say the same. */
static enum rc read_length(const struct http1_head *h, bool *ret_has, uint64_t *ret_v)
{
    const struct http1_field *f = NULL;
    uint64_t v;
    *ret_has = false;
    while ((f = http1_find(h, "Content-Length", f))) {
        if (!parse_length(f->value, &v) || (*ret_has && v != *ret_v))
            return RC_PROTO;
        *ret_v = v;
        *ret_has = true;
    }
    return RC_OK;
}

/* Other codings before it don't matter to who only counts. */
static bool ends_in_chunked(struct slice s)
{
    static const char last[] = "chunked";
    const size_t n = sizeof last - 1;
    if (s.n < n || !slice_equal_nocase((struct slice){s.p + s.n - n, n}, last))
        return false;
    return s.n == n || strchr(", \t", s.p[s.n - n - 1]) != NULL;
}

static enum rc framing(const struct http1_head *h, enum http1_body_kind without,
                       struct http1_body *ret_b)
{
    const struct http1_field *te = http1_find(h, "Transfer-Encoding", NULL);
    struct http1_body b = {.kind = without, .state = ST_SIZE_FIRST};
    bool has_length;

    enum rc rc = read_length(h, &has_length, &b.left);
    if (rc != RC_OK)
        return rc;
    if (te) {
        if (has_length || http1_find(h, "Transfer-Encoding", te) || !ends_in_chunked(te->value))
            return RC_PROTO;
        b.kind = HTTP1_BODY_CHUNKED;
    } else if (has_length) {
        b.kind = HTTP1_BODY_LENGTH;
    }
    b.done = b.kind == HTTP1_BODY_NONE || (b.kind == HTTP1_BODY_LENGTH && b.left == 0);
    *ret_b = b;
    return RC_OK;
}

enum rc http1_body_of_request(const struct http1_head *h, struct http1_body *ret_b)
{
    return framing(h, HTTP1_BODY_NONE, ret_b);
}

enum rc http1_body_of_response(const struct http1_head *h, struct slice method,
                               struct http1_body *ret_b)
{
    bool tunnel = slice_equal(method, "CONNECT") && h->status / 100 == 2;
    if (slice_equal(method, "HEAD") || tunnel || h->status / 100 == 1 || h->status == 204 ||
        h->status == 304) {
        *ret_b = (struct http1_body){.kind = HTTP1_BODY_NONE, .done = true};
        return RC_OK;
    }
    return framing(h, HTTP1_BODY_TO_EOF, ret_b);
}

static bool end_of_size_line(struct http1_body *b)
{
    b->state = b->left > 0 ? ST_DATA : ST_TRAILER_LINE;
    b->line_bytes = 0;
    return true;
}

static bool in_size_line(struct http1_body *b, char c)
{
    int d = hex_digit(c);
    if (b->state == ST_SIZE_FIRST) {
        b->left = 0;
        b->state = ST_SIZE;
        if (d < 0)
            return false;
    }
    if (b->state == ST_SIZE && d >= 0) {
        if (b->left >> 58)
            return false;
        b->left = b->left << 4 | (uint64_t)d;
        return true;
    }
    if (c == '\r') {
        b->state = ST_SIZE_LF;
        return true;
    }
    if (c == '\n')
        return end_of_size_line(b);
    bool blank = c == ' ' || c == '\t';
    if (b->state == ST_EXTENSION)
        return (unsigned char)c >= 0x20 || blank;
    b->state = blank ? ST_SIZE_BLANK : ST_EXTENSION;
    return blank || c == ';';
}

/* One byte that is not chunk data. */
static bool in_framing(struct http1_body *b, char c)
{
    switch (b->state) {
    case ST_SIZE_FIRST:
    case ST_SIZE:
    case ST_SIZE_BLANK:
    case ST_EXTENSION:
        return ++b->line_bytes <= SIZE_LINE_MAX_BYTES && in_size_line(b, c);
    case ST_SIZE_LF:
        return c == '\n' && end_of_size_line(b);
    case ST_DATA_CR:
        b->state = c == '\r' ? ST_DATA_LF : ST_SIZE_FIRST;
        return c == '\r' || c == '\n';
    case ST_DATA_LF:
        b->state = ST_SIZE_FIRST;
        return c == '\n';
    case ST_TRAILER_LINE:
        if (c == '\n')
            b->done = true;
        b->state = c == '\r' ? ST_LAST_LF : ST_TRAILER;
        return ++b->line_bytes <= TRAILERS_MAX_BYTES;
    case ST_TRAILER:
        if (c == '\n')
            b->state = ST_TRAILER_LINE;
        return ++b->line_bytes <= TRAILERS_MAX_BYTES;
    case ST_LAST_LF:
        b->done = true;
        return c == '\n';
    }
    return false;
}

static enum rc feed_chunked(struct http1_body *b, const char *buf, size_t len, size_t *ret_used)
{
    size_t i = 0;
    while (i < len && !b->done) {
        if (b->state == ST_DATA) {
            size_t n = len - i < b->left ? len - i : (size_t)b->left;
            i += n;
            b->left -= n;
            if (b->left == 0)
                b->state = ST_DATA_CR;
        } else if (!in_framing(b, buf[i++])) {
            return RC_PROTO;
        }
    }
    *ret_used = i;
    return RC_OK;
}

enum rc http1_body_feed(struct http1_body *b, const char *buf, size_t len, size_t *ret_used)
{
    size_t n = 0;
    switch (b->kind) {
    case HTTP1_BODY_NONE:
        break;
    case HTTP1_BODY_LENGTH:
        n = len < b->left ? len : (size_t)b->left;
        b->left -= n;
        b->done = b->left == 0;
        break;
    case HTTP1_BODY_CHUNKED:
        return feed_chunked(b, buf, len, ret_used);
    case HTTP1_BODY_TO_EOF:
        n = len;
        break;
    }
    *ret_used = n;
    return RC_OK;
}
