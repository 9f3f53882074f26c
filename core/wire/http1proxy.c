/* core/wire/http1proxy.c - what a proxy reads out of a head and writes into one: the authority,
 * Basic credentials, CONNECT. Contract in core/wire/http1.h. */
#include "core/secret.h"
#include "core/wire/base64.h"
#include "core/wire/http1.h"
#include <strings.h>

enum { HOST_MAX_BYTES = 255, FIELDS_OUT_MAX = 64 };

static bool is_host_char(unsigned char c)
{
    return c > 0x20 && c != 0x7f && !strchr("/@?#\\<>\"", c);
}

static bool parse_port(struct slice s, uint16_t *ret_port)
{
    uint32_t v = 0;
    if (s.n == 0 || s.n > 5)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    if (v == 0 || v > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)v;
    return true;
}

enum rc http1_split_hostport(struct slice text, struct slice *ret_host, uint16_t *ret_port)
{
    struct slice host = text, rest = {text.p, 0};
    uint16_t port = 0;

    if (text.n > 0 && text.p[0] == '[') {
        const char *close = memchr(text.p, ']', text.n);
        if (!close || close == text.p + 1)
            return RC_PROTO;
        host = (struct slice){text.p + 1, (size_t)(close - text.p) - 1};
        rest = (struct slice){close + 1, text.n - host.n - 2};
        if (rest.n > 0 && rest.p[0] != ':')
            return RC_PROTO;
    } else if (text.n > 0) {
        const char *colon = memchr(text.p, ':', text.n);
        if (colon) {
            host.n = (size_t)(colon - text.p);
            rest = (struct slice){colon, text.n - host.n};
        }
    }
    /* "host:" is host without a port (RFC 3986 3.2.3). */
    if (rest.n > 1 && !parse_port((struct slice){rest.p + 1, rest.n - 1}, &port))
        return RC_PROTO;
    if (host.n > HOST_MAX_BYTES || (host.n == 0 && rest.n > 0))
        return RC_PROTO;
    for (size_t i = 0; i < host.n; i++)
        if (!is_host_char((unsigned char)host.p[i]) || host.p[i] == '[' || host.p[i] == ']')
            return RC_PROTO;
    *ret_host = host;
    *ret_port = port;
    return RC_OK;
}

static bool has_prefix_nocase(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && slice_equal_nocase((struct slice){s.p, n}, prefix);
}

/* "http://user@host:port/path?query" into authority and path. */
static bool split_absolute(struct slice target, struct http1_authority *a)
{
    size_t skip = 0;
    if (has_prefix_nocase(target, "http://"))
        skip = 7;
    else if (has_prefix_nocase(target, "https://"))
        skip = 8;
    else
        return false;
    a->https = skip == 8;
    struct slice rest = {target.p + skip, target.n - skip};
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n]))
        n++;
    a->path = (struct slice){rest.p + n, rest.n - n};
    a->text = (struct slice){rest.p, n};
    for (size_t i = n; i > 0; i--)
        if (rest.p[i - 1] == '@') {
            a->text = (struct slice){rest.p + i, n - i};
            break;
        }
    return true;
}

/* The Host field; several must say the same. */
static enum rc host_field(const struct http1_head *h, struct slice *ret_text)
{
    const struct http1_field *f = http1_find(h, "Host", NULL), *more = f;
    if (!f)
        return RC_OK;
    while ((more = http1_find(h, "Host", more)))
        if (more->value.n != f->value.n ||
            (f->value.n > 0 && memcmp(more->value.p, f->value.p, f->value.n) != 0))
            return RC_PROTO;
    *ret_text = f->value;
    return RC_OK;
}

enum rc http1_authority(const struct http1_head *h, struct http1_authority *ret_a)
{
    struct http1_authority a = {.form = HTTP1_ORIGIN, .path = h->target};
    struct slice host = {h->target.p, 0};

    enum rc rc = host_field(h, &host);
    if (rc != RC_OK)
        return rc;
    if (slice_equal(h->method, "CONNECT")) {
        a.form = HTTP1_AUTHORITY;
        a.text = h->target;
        a.path.n = 0;
    } else if (split_absolute(h->target, &a)) {
        a.form = HTTP1_ABSOLUTE;
        if (a.text.n == 0)
            return RC_PROTO;
    } else {
        if (slice_equal(h->target, "*"))
            a.form = HTTP1_ASTERISK;
        a.text = host;
    }
    rc = http1_split_hostport(a.text, &a.host, &a.port);
    if (rc == RC_OK)
        *ret_a = a;
    return rc;
}

enum rc http1_parse_basic(struct slice value, char *buf, size_t cap, struct slice *ret_user,
                          struct slice *ret_pass)
{
    size_t n;
    if (!has_prefix_nocase(value, "Basic "))
        return RC_AUTH;
    struct slice b64 = {value.p + 6, value.n - 6};
    while (b64.n > 0 && b64.p[0] == ' ') {
        b64.p++;
        b64.n--;
    }
    if (base64_decode(b64.p, b64.n, buf, cap, &n) != RC_OK)
        return RC_AUTH;
    const char *colon = n > 0 ? memchr(buf, ':', n) : NULL;
    if (!colon)
        return RC_AUTH;
    *ret_user = (struct slice){buf, (size_t)(colon - buf)};
    *ret_pass = (struct slice){colon + 1, n - ret_user->n - 1};
    return RC_OK;
}

enum rc http1_format_basic(struct slice user, struct slice pass, char *buf, size_t cap,
                           size_t *ret_n)
{
    static const char scheme[] = "Basic ";
    char plain[1024];
    struct wr c = wr_init(plain, sizeof plain);
    size_t n = 0;
    enum rc rc = RC_LIMIT;

    if (cap > sizeof scheme && wr_slice(&c, user) && wr_u8(&c, ':') && wr_slice(&c, pass)) {
        memcpy(buf, scheme, sizeof scheme - 1);
        rc = base64_encode(plain, wr_used(&c), buf + sizeof scheme - 1, cap - (sizeof scheme - 1),
                           &n);
    }
    secret_wipe(plain, sizeof plain);
    if (rc == RC_OK)
        *ret_n = n + sizeof scheme - 1;
    return rc;
}

/* Sets a field of the list or adds it; the list stays sorted by name. */
static bool put_field(struct http1_extra *list, size_t *n, const char *name, const char *value)
{
    size_t i = 0;
    while (i < *n && strcasecmp(list[i].name, name) < 0)
        i++;
    if (i < *n && strcasecmp(list[i].name, name) == 0) {
        list[i] = (struct http1_extra){name, value};
        return true;
    }
    if (*n == FIELDS_OUT_MAX)
        return false;
    memmove(&list[i + 1], &list[i], (*n - i) * sizeof list[0]);
    list[i] = (struct http1_extra){name, value};
    (*n)++;
    return true;
}

static bool write_field(struct wr *c, const char *name, const char *value)
{
    return wr_text(c, name) && wr_text(c, ": ") && wr_text(c, value) && wr_text(c, "\r\n");
}

/* A target's text goes into the head: a name from a client must not break the line. */
static bool target_is_clean(struct slice s)
{
    return http1_is_value(s) && !(s.n > 0 && (memchr(s.p, ' ', s.n) || memchr(s.p, '\t', s.n)));
}

enum rc http1_format_connect(const struct http1_connect *req, void *buf, size_t cap, size_t *ret_n)
{
    struct http1_extra list[FIELDS_OUT_MAX];
    char authority[TARGET_TEXT_MAX] = "";
    const char *host = req->host, *agent = req->user_agent;
    struct wr c = wr_init(buf, cap);
    size_t n = 0;

    if (target_is_name(req->target) || req->target->addr.family != 0)
        target_format(req->target, authority, sizeof authority);
    if (!target_is_clean(slice_of(authority)))
        return RC_INVALID;
    if (req->basic)
        (void)put_field(list, &n, "Proxy-Authorization", req->basic); /* there is room */
    (void)put_field(list, &n, "Proxy-Connection", "keep-alive");
    if (req->udp)
        (void)put_field(list, &n, "X-Gost-Protocol", "udp");
    for (size_t i = 0; i < req->n_extra; i++) {
        const struct http1_extra *x = &req->extra[i];
        if (!http1_is_token(slice_of(x->name)) || !http1_is_value(slice_of(x->value)))
            return RC_INVALID;
        if (strcasecmp(x->name, "Host") == 0)
            host = x->value;
        else if (strcasecmp(x->name, "User-Agent") == 0)
            agent = x->value;
        else if (!put_field(list, &n, x->name, x->value))
            return RC_LIMIT;
    }
    bool ok = wr_text(&c, "CONNECT ") && wr_text(&c, authority) && wr_text(&c, " HTTP/1.1\r\n") &&
              write_field(&c, "Host", host ? host : authority) &&
              write_field(&c, "User-Agent", agent ? agent : "Go-http-client/1.1");
    for (size_t i = 0; ok && i < n; i++)
        ok = write_field(&c, list[i].name, list[i].value);
    if (!ok || !wr_text(&c, "\r\n"))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}
