/* sniff/http.c - see http.h. */
#include "sniff/http.h"
#include "core/wire/http1.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Do the bytes begin like text, as far as both go? */
static bool begins_like(const char *buf, size_t n, const char *text, size_t text_n)
{
    size_t common = n < text_n ? n : text_n;
    return memcmp(buf, text, common) == 0;
}

/* A method that we know and one blank, or the beginning of that. */
static bool may_be_method(const char *buf, size_t n)
{
    static const char *const methods[] = {"GET ",  "POST ",    "PUT ",   "DELETE ", "OPTIONS ",
                                          "HEAD ", "CONNECT ", "PATCH ", "TRACE "};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (begins_like(buf, n, methods[i], strlen(methods[i])))
            return true;
    return false;
}

/* The first line, once it is whole, ends in " HTTP/1.x": what only begins like HTTP is told from it
 * without a wait for the rest of a head that will not come. */
static bool may_be_first_line(const char *buf, size_t n)
{
    static const char version[] = " HTTP/1.";
    const char *lf = n > 0 ? memchr(buf, '\n', n) : NULL;

    if (!lf)
        return true;
    size_t len = (size_t)(lf - buf), tail = sizeof version; /* the digit for the NUL */
    if (len > 0 && lf[-1] == '\r')
        len--;
    return len >= tail && memcmp(buf + len - tail, version, tail - 1) == 0;
}

/* A name that may go into other protocols' requests. */
static bool is_plain(struct slice host)
{
    for (size_t i = 0; i < host.n; i++)
        if (host.p[i] <= 0x20 || host.p[i] == 0x7f)
            return false;
    return true;
}

static enum rc read_head(const struct http1_head *head, struct http_request *ret_req)
{
    struct http_request req = {.port = 0};
    struct http1_authority a;
    enum rc rc = http1_authority(head, &a);

    if (rc != RC_OK)
        return rc;
    if (!http1_method_is_known(head->method) || head->method.n >= sizeof req.method ||
        a.host.n > HTTP_HOST_MAX_BYTES || !is_plain(a.host))
        return RC_PROTO;
    memcpy(req.method, head->method.p, head->method.n);
    if (a.host.n > 0) {
        memcpy(req.host, a.host.p, a.host.n);
        bool secure = a.form == HTTP1_AUTHORITY || a.https;
        req.port = a.port != 0 ? a.port : secure ? 443 : 80;
    }
    *ret_req = req;
    return RC_OK;
}

enum rc http_request_parse(const void *buf, size_t n, struct http_request *ret_req,
                           size_t *ret_used)
{
    struct http1_head head;
    size_t scanned = 0, used;

    if (n == 0)
        return RC_AGAIN;
    if (begins_like(buf, n, preface, sizeof preface - 1)) {
        if (n < sizeof preface - 1)
            return RC_AGAIN;
        *ret_req = (struct http_request){.method = "PRI", .h2 = true};
        *ret_used = sizeof preface - 1;
        return RC_OK;
    }
    if (!may_be_method(buf, n) || !may_be_first_line(buf, n))
        return RC_PROTO;
    enum rc rc = http1_parse_request(buf, n, &scanned, &head, &used);
    if (rc == RC_OK)
        rc = read_head(&head, ret_req);
    if (rc == RC_OK)
        *ret_used = used;
    return rc == RC_OK || rc == RC_AGAIN ? rc : RC_PROTO;
}
