/* tests/fuzz/fuzz_fakeanswer.c - any bytes as a question to a fake pool, and as an answer to learn
 * names from: what is answered reads well, an address given is known. */
#include "chain/dnsmap.h"
#include "chain/fakeanswer.h"
#include <stdlib.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct fakepool *pool, const uint8_t *data, const struct dns_msg *m)
{
    uint8_t *buf = malloc(FAKEANSWER_MAX_BYTES); /* its end is watched */
    struct dns_msg again;
    struct dns_walk w;
    struct dns_record r;
    size_t n = 0;
    bool is_new;
    MUST(buf != NULL);
    if (fakeanswer(pool, data, m, buf, &n, &is_new) == RC_OK) {
        MUST(n <= FAKEANSWER_MAX_BYTES && dns_parse(buf, n, &again) == RC_OK);
        MUST(again.id == m->id && (again.flags & DNS_QR) != 0 && again.type == m->type);
        MUST(dns_walk_start(&w, buf, n, &again) == RC_OK);
        enum rc rc;
        int records = 0;
        while ((rc = dns_walk_next(&w, &r)) == RC_OK) {
            struct addr a;
            char name[DNS_NAME_TEXT_MAX];
            records++;
            if (r.type == DNS_PTR)
                MUST(dns_read_name(buf, n, r.rdata_at, name, NULL) == RC_OK &&
                     fakepool_takes(name));
            else
                MUST(dns_record_addr(&w, &r, &a) &&
                     (addr_is_loopback(&a) || fakepool_name(pool, &a) != NULL));
        }
        MUST(rc == RC_EOF && w.at == n && records <= 1);
    }
    free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cidr ranges[2];
    struct fakepool *pool;
    struct dns_msg m;
    struct addr client = addr_v4("\12\0\0\1", 0);
    struct dnsmap *map;
    MUST(cidr_parse("198.18.0.0/28", 13, &ranges[0]) && cidr_parse("fd00::/64", 9, &ranges[1]));
    MUST(fakepool_new(ranges, 2, &pool, NULL) == RC_OK && (map = dnsmap_new()) != NULL);
    for (int i = 1; i < 5; i++) {
        char name[] = "n0.example";
        struct addr a;
        bool is_new;
        name[1] = (char)('0' + i);
        MUST(fakepool_give(pool, name, AF_INET, &a, &is_new));
    }
    if (dns_parse(data, size, &m) == RC_OK)
        check_answer(pool, data, &m);
    int n = dnsmap_learn(map, &client, data, size, 0);
    MUST(n >= 0 && dnsmap_count(map) <= (size_t)n);
    dnsmap_free(map);
    fakepool_free(pool);
    return 0;
}
