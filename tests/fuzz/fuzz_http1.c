/* tests/fuzz/fuzz_http1.c - heads and bodies of HTTP/1, beside a twin (libhttp-parser where it is
 * there). The first byte says request or response. A head that is found byte by byte must be the
 * one that is found at once. */
#include "core/wire/http1.h"
#include "core/wire/http1body.h"
#include "tests/unit/http1twin.h"

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http1_head head, again;

static enum rc parse(const char *buf, size_t len, bool request, size_t *scanned,
                     struct http1_head *h, size_t *used)
{
    return request ? http1_parse_request(buf, len, scanned, h, used)
                   : http1_parse_response(buf, len, scanned, h, used);
}

static void check_authority(const struct http1_head *h)
{
    struct http1_authority a;
    char plain[1024];
    struct slice user, pass;
    if (http1_authority(h, &a) == RC_OK) {
        MUST(a.host.n <= 255);
        MUST(a.host.n == 0 || !memchr(a.host.p, '/', a.host.n));
    }
    for (size_t i = 0; i < h->n_fields; i++)
        if (http1_parse_basic(h->fields[i].value, plain, sizeof plain, &user, &pass) == RC_OK)
            MUST(user.n + pass.n < sizeof plain);
}

static void check_body(struct http1_body b, const char *buf, size_t len)
{
    struct http1_body at_once = b;
    size_t used = 0, total = 0;
    enum rc whole = http1_body_feed(&at_once, buf, len, &used), rc = RC_OK;
    for (size_t i = 0; i < len && rc == RC_OK && !b.done; i++) {
        size_t n = 0;
        rc = http1_body_feed(&b, buf + i, 1, &n);
        total += n;
    }
    MUST(rc == whole);
    MUST(rc != RC_OK || (total == used && b.done == at_once.done && used <= len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1_body b;
    size_t used = 0, scanned = 0, n = 0, found = 0;
    if (size == 0)
        return 0;
    bool request = data[0] & 1;
    const char *buf = (const char *)data + 1;
    size_t len = size - 1;
    enum rc rc = parse(buf, len, request, &scanned, &head, &used), step = RC_AGAIN;

    scanned = 0;
    while (step == RC_AGAIN && n < len)
        step = parse(buf, ++n, request, &scanned, &again, &found);
    MUST(len == 0 || rc == step || (step == RC_PROTO && rc == RC_LIMIT));
    if (rc != RC_OK)
        return 0;
    MUST(used == found && used <= len && head.n_fields == again.n_fields);
    MUST(http1_twin_differs(&head, buf, used, request) == NULL);
    if (request)
        check_authority(&head);
    rc = request ? http1_body_of_request(&head, &b)
                 : http1_body_of_response(&head, slice_of("GET"), &b);
    if (rc == RC_OK)
        check_body(b, buf + used, len - used);
    return 0;
}
