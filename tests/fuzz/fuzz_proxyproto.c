/* tests/fuzz/fuzz_proxyproto.c - a PROXY header means the same however it is cut, and what it said
 * survives being sent on. */
#include "core/wire/proxyproto.h"
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc feed(struct proxyproto *p, const uint8_t *data, size_t size, uint32_t cuts,
                    size_t *ret_used)
{
    enum rc rc = RC_AGAIN;
    size_t at = 0, used = 0;

    proxyproto_init(p);
    while (rc == RC_AGAIN && at < size) {
        size_t n = cuts == 0 ? size : 1 + cuts % 29;
        cuts = cuts * 1103515245U + (cuts ? 12345 : 0);
        if (n > size - at)
            n = size - at;
        rc = proxyproto_feed(p, data + at, n, &used);
        MUST(used <= n && (rc != RC_AGAIN || used == n));
        at += used;
    }
    *ret_used = at;
    return rc;
}

static void sent_on(const struct proxyproto *p, int64_t version)
{
    uint8_t out[PROXYPROTO_LINE_MAX_BYTES];
    struct proxyproto again;
    size_t used, n = proxyproto_format(version, &p->source, &p->dest, out);

    MUST(n <= sizeof out && feed(&again, out, n, 0, &used) == RC_OK && used == n);
    if (p->outcome != PROXYPROTO_ANNOUNCED || p->source.family != p->dest.family)
        MUST(again.outcome == PROXYPROTO_NOBODY);
    else
        MUST(again.outcome == PROXYPROTO_ANNOUNCED && addr_equal(&again.source, &p->source) &&
             addr_equal(&again.dest, &p->dest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyproto whole, cut;
    size_t used, cut_used;

    if (size < 2)
        return 0;
    uint32_t cuts = (uint32_t)data[0] << 8 | data[1];
    enum rc rc = feed(&whole, data + 2, size - 2, 0, &used);
    MUST(feed(&cut, data + 2, size - 2, cuts, &cut_used) == rc && cut_used == used);
    MUST(proxyproto_is_header(&whole) == proxyproto_is_header(&cut));
    MUST(whole.n_kept == cut.n_kept && !memcmp(whole.kept, cut.kept, whole.n_kept));
    MUST(used <= PROXYPROTO_HEADER_MAX_BYTES && whole.outcome == cut.outcome);
    if (rc == RC_PROTO)
        MUST(whole.why == cut.why);
    if (rc != RC_OK)
        return 0;
    if (whole.outcome == PROXYPROTO_NONE)
        MUST(used == whole.n_kept && !memcmp(whole.kept, data + 2, used));
    if (whole.outcome == PROXYPROTO_ANNOUNCED)
        MUST(addr_equal(&whole.source, &cut.source) && addr_equal(&whole.dest, &cut.dest));
    sent_on(&whole, 1);
    sent_on(&whole, 2);
    return 0;
}
