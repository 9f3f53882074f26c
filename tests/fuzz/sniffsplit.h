/* tests/fuzz/sniffsplit.h - what the fuzz targets of sniff/ check: the result for a stream's first
 * bytes does not depend on how they came. */
#ifndef TESTS_FUZZ_SNIFFSPLIT_H
#define TESTS_FUZZ_SNIFFSPLIT_H

#include "sniff/sniff.h"
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

typedef enum rc sniff_fn(const void *buf, size_t n, struct sniffed *ret_found);

/* Grown in steps that the bytes themselves choose; each piece in memory of exactly its size. */
static inline void sniff_split(const uint8_t *data, size_t n, sniff_fn *sniff)
{
    struct sniffed whole = {.proto = SNIFF_UNKNOWN}, part = {.proto = SNIFF_UNKNOWN};
    enum rc rc = sniff(data, n, &whole), step = RC_AGAIN;
    size_t have = 0;

    MUST(rc == RC_OK || rc == RC_AGAIN || rc == RC_PROTO);
    MUST(memchr(whole.name, 0, sizeof whole.name) != NULL);
    while (have < n && step == RC_AGAIN) {
        size_t more = n < 600 ? 1 : 1 + data[have] * (size_t)data[n - 1 - have] / 16;
        have = more < n - have ? have + more : n;
        uint8_t *exact = malloc(have);
        MUST(exact != NULL);
        memcpy(exact, data, have);
        step = sniff(exact, have, &part);
        free(exact);
    }
    MUST(n == 0 || step == rc);
    MUST(rc != RC_OK || memcmp(&whole, &part, sizeof whole) == 0);
}

/* The targets of a name: never back to this machine. */
static inline void sniff_use(const uint8_t *data, size_t n)
{
    struct sniffed found;
    struct target t, rule;
    struct addr a = addr_v4("\xcb\0\x71\x01", 443);

    if (sniff_stream(data, n, &found) != RC_OK)
        return;
    target_from_addr(&t, &a);
    sniffed_rule_target(&found, &t, &rule);
    if (sniffed_target(&found, &t))
        MUST(found.name[0] && t.addr.port == 443 && (target_is_name(&t) || t.addr.family));
    else
        MUST(addr_equal(&t.addr, &a) && !target_is_name(&t));
}

#endif
