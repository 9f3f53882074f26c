/* tests/fuzz/fuzz_dns.c - any bytes as a DNS message: read, changed, answered, and read again. */
#include "core/wire/dns.h"
#include <stdlib.h>
#include <strings.h>

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A name that was read can be asked for, and reads the same again. */
static void check_name(const struct dns_msg *m)
{
    uint8_t buf[DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4];
    struct dns_query q = {.id = m->id, .type = m->type, .name = m->name};
    struct dns_msg again;
    size_t n;
    MUST(dns_name_is_valid(m->name));
    MUST(dns_format_query(&q, buf, sizeof(buf), &n) == RC_OK);
    MUST(dns_parse_query(buf, n, &again) == RC_OK);
    MUST(strcmp(again.name, m->name) == 0 && again.type == m->type && again.id == m->id);
}

static void check_answer(const uint8_t *data, const struct dns_msg *m)
{
    static uint8_t out[DNS_MESSAGE_MAX];
    struct addr v[2] = {addr_v4("\1\2\3\4", 0), addr_v6("0123456789abcdef", 0)}, got[4];
    struct dns_msg again;
    size_t n;
    int found;
    uint32_t ttl_s;
    MUST(dns_format_answer(data, m, DNS_NOERROR, v, 2, 7, out, sizeof(out), &n) == RC_OK);
    MUST(dns_parse(out, n, &again) == RC_OK && dns_same_question(m, &again));
    if (m->type != DNS_A && m->type != DNS_AAAA)
        return;
    MUST(dns_addresses(out, n, &again, got, 4, &found, &ttl_s) == RC_OK);
    MUST(found == (m->class == DNS_CLASS_IN));
}

static void check_changes(const uint8_t *data, size_t size, const struct dns_msg *m)
{
    uint8_t *copy = malloc(size);
    struct dns_msg again;
    uint32_t before = 0, after = 0;
    MUST(copy != NULL);
    memcpy(copy, data, size);
    bool lives = dns_lifetime(copy, size, m, &before);
    enum rc rc = dns_change_ttls(copy, size, m, DNS_TTL_AGE, 5);
    if (lives && rc == RC_OK && m->n_answers > 0 && dns_parse(copy, size, &again) == RC_OK &&
        dns_lifetime(copy, size, &again, &after))
        MUST(after <= before);
    memcpy(copy, data, size);
    struct dns_edns edns;
    size_t n = dns_drop_options(copy, size, m);
    MUST(n <= size && dns_parse(copy, n, &again) == RC_OK);
    if (n < size)
        MUST(dns_find_edns(copy, n, &again, &edns) == RC_OK && !edns.options);
    memcpy(copy, data, size);
    n = dns_truncate(copy, m);
    MUST(n <= size && dns_parse(copy, n, &again) == RC_OK && dns_same_question(m, &again));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_msg m;
    struct dns_edns edns;
    struct addr v[4];
    struct slice framed;
    int n = 0;
    uint32_t ttl_s;

    (void)dns_frame(data, size, &framed);
    if (size > DNS_MESSAGE_MAX || dns_parse(data, size, &m) != RC_OK)
        return 0;
    MUST(m.question_end <= size);
    if (dns_addresses(data, size, &m, v, 4, &n, &ttl_s) == RC_OK)
        MUST(n >= 0 && n <= 4);
    (void)dns_find_edns(data, size, &m, &edns);
    check_name(&m);
    /* without jumps in it the question may be copied */
    if (m.question_end - DNS_HEAD_BYTES <= DNS_NAME_WIRE_MAX + 4)
        check_answer(data, &m);
    check_changes(data, size, &m);
    return 0;
}
