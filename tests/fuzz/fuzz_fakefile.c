/* tests/fuzz/fuzz_fakefile.c - any bytes as the record of a fake pool: what was read is given
 * again, each name to one address and back. */
#include "chain/fakefile.h"
#include "chain/fakepool.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct fakepool *pool;
    size_t n;
};

static bool on_name(void *arg, const struct addr *a, const char *name)
{
    struct seen *s = arg;
    struct addr again;
    s->n++;
    MUST(fakepool_takes(name) && fakepool_has(s->pool, a));
    MUST(fakepool_record(s->pool, name, &again) && addr_same_ip(&again, a));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cidr ranges[2];
    struct fakefile_found found;
    struct addr a;
    bool is_new;
    struct seen s = {.n = 0};
    MUST(cidr_parse("198.18.0.0/26", 13, &ranges[0]) && cidr_parse("fd00::/64", 9, &ranges[1]));
    MUST(fakepool_new(ranges, 2, &s.pool, NULL) == RC_OK);
    if (fakefile_parse(s.pool, (const char *)data, size, &found)) {
        (void)fakepool_each(s.pool, on_name, &s);
        MUST(s.n == found.names && s.n == fakepool_count(s.pool) && s.n <= 62);
    }
    MUST(fakepool_give(s.pool, "new.example", AF_INET6, &a, &is_new));
    MUST(strcmp(fakepool_name(s.pool, &a), "new.example") == 0);
    fakepool_free(s.pool);
    return 0;
}
