/* Answers of a DNS over HTTPS server: the first byte chooses HTTP/1.1 or HTTP/2 and the size of the
 * pieces; what comes out is the same in one piece.
 */
#include "chain/doh.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc run(struct doh *d, bool h2, const uint8_t *p, size_t n, size_t piece)
{
    static const uint8_t question[24] = {0, 1, 1, 0, 0, 1};
    struct doh_cfg cfg = {
        .h2 = h2, .authority = "a", .path = "/", .query = question, .n = sizeof question};
    *d = (struct doh){.h2 = false};
    enum rc rc = doh_begin(d, &cfg);
    if (rc != RC_OK)
        abort();
    rc = RC_AGAIN;
    for (size_t at = 0; rc == RC_AGAIN && at < n; at += piece)
        rc = doh_take(d, p + at, n - at < piece ? n - at : piece);
    return rc == RC_AGAIN ? doh_ended(d) : rc;
}

static enum rc again(struct doh *d, bool h2, const uint8_t *p, size_t n)
{
    static const uint8_t question[24] = {0, 1, 1, 0, 0, 1};
    struct doh_cfg cfg = {
        .h2 = h2, .authority = "a", .path = "/", .query = question, .n = sizeof question};
    free(doh_give(d));
    if (doh_begin(d, &cfg) != RC_OK)
        abort();
    return doh_take(d, p, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doh a, b;
    if (size < 1)
        return 0;
    bool h2 = (data[0] & 1) != 0;
    enum rc one = run(&a, h2, data + 1, size - 1, size);
    enum rc many = run(&b, h2, data + 1, size - 1, 1 + (data[0] >> 1));
    if ((one == RC_OK) != (many == RC_OK))
        abort();
    if (one == RC_OK && (a.answer_n != b.answer_n || memcmp(a.answer, b.answer, a.answer_n) != 0))
        abort();
    /* the same once more behind an answer */
    if (one == RC_OK && a.reusable && again(&a, h2, data + 1, size - 1) == RC_OK &&
        a.answer_n > DOH_BYTES_MAX)
        abort();
    doh_done(&a);
    doh_done(&b);
    return 0;
}
