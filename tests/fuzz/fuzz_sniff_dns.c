/* tests/fuzz/fuzz_sniff_dns.c - names in DNS queries and answers, and on streams in any split. */
#include "sniff/dns.h"
#include "tests/fuzz/sniffsplit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct sniffed *found)
{
    struct addr ip;

    MUST(found->proto == SNIFF_DNS && memchr(found->name, 0, sizeof found->name));
    MUST(found->name[0] ? found->port == 53 : found->port == 0);
    MUST(!addr_parse_ip(found->name, strlen(found->name), &ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sniffed plain, strict;
    enum rc rc = sniff_dns_query(data, size, 53, &plain);

    if (rc == RC_OK)
        look(&plain);
    if (sniff_dns_query(data, size, 5353, &strict) == RC_OK)
        MUST(rc == RC_OK && memcmp(&plain, &strict, sizeof plain) == 0);
    if (sniff_dns_answer(data, size, &strict) == RC_OK) {
        look(&strict);
        MUST(rc != RC_OK);
    }
    sniff_split(data, size, sniff_dns_stream);
    return 0;
}
