/* chain/fakeanswer.c - see the header. */
#include "chain/fakeanswer.h"
#include "core/hex.h"
#include <stdlib.h>
#include <strings.h>

enum { SVCB = 64, ANY = 255, POINTER_TO_QUESTION = 0xc000 | DNS_HEAD_BYTES };

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcasecmp(name + n - m, end) == 0;
}

static bool is_localhost(const char *name)
{
    return strcasecmp(name, "localhost") == 0 || ends_with(name, ".localhost");
}

static enum rc say(const void *query, const struct dns_msg *msg, enum dns_rcode rcode,
                   const struct addr *a, void *buf, size_t *ret_n)
{
    return dns_format_answer(query, msg, rcode, a, a != NULL, FAKE_TTL_S, buf, FAKEANSWER_MAX_BYTES,
                             ret_n);
}

/* ---------------------------------------------------------------- addresses */

static enum rc answer_address(struct fakepool *pool, const void *query, const struct dns_msg *msg,
                              void *buf, size_t *ret_n, bool *ret_new)
{
    int family = msg->type == DNS_A ? AF_INET : AF_INET6;
    struct addr a;
    if (is_localhost(msg->name)) {
        const char *text = family == AF_INET ? "127.0.0.1" : "::1";
        (void)addr_parse_ip(text, strlen(text), &a);
        return say(query, msg, DNS_NOERROR, &a, buf, ret_n);
    }
    bool given = fakepool_give(pool, msg->name, family, &a, ret_new);
    bool later = !given && fakepool_has_family(pool, family) && fakepool_takes(msg->name);
    return say(query, msg, later ? DNS_SERVFAIL : DNS_NOERROR, given ? &a : NULL, buf, ret_n);
}

/* ---------------------------------------------------------------- names */

/* "1.0.18.198.in-addr.arpa" */
static bool parse_v4(const char *name, struct addr *ret_a)
{
    uint8_t ip[4];
    for (int i = 3; i >= 0; i--) {
        unsigned v = 0, digits = 0;
        for (; *name >= '0' && *name <= '9' && digits < 3; digits++)
            v = v * 10 + (unsigned)(*name++ - '0');
        if (digits == 0 || v > UINT8_MAX || *name++ != '.')
            return false;
        ip[i] = (uint8_t)v;
    }
    *ret_a = addr_v4(ip, 0);
    return strcasecmp(name, "in-addr.arpa") == 0;
}

/* "1.0. ... .d.f.ip6.arpa", 32 digits */
static bool parse_v6(const char *name, struct addr *ret_a)
{
    uint8_t ip[16] = {0};
    for (int i = 31; i >= 0; i--, name += 2) {
        int v = hex_digit(name[0]);
        if (v < 0 || name[1] != '.')
            return false;
        ip[i / 2] = (uint8_t)(ip[i / 2] | (i % 2 == 0 ? v << 4 : v));
    }
    *ret_a = addr_v6(ip, 0);
    return strcasecmp(name, "ip6.arpa") == 0;
}

/* The names of a pool need no escapes. */
static bool write_name(struct wr *c, const char *name)
{
    while (*name != 0) {
        size_t n = strcspn(name, ".");
        if (!wr_u8(c, (uint8_t)n) || !wr_bytes(c, name, n))
            return false;
        name += n + (name[n] == '.');
    }
    return wr_u8(c, 0);
}

static enum rc answer_name(struct fakepool *pool, const void *query, const struct dns_msg *msg,
                           void *buf, size_t *ret_n)
{
    struct addr a;
    if ((!parse_v4(msg->name, &a) && !parse_v6(msg->name, &a)) || !fakepool_has(pool, &a))
        return RC_UNSUPPORTED;
    const char *name = fakepool_name(pool, &a);
    size_t n;
    enum rc rc = say(query, msg, name != NULL ? DNS_NOERROR : DNS_NXDOMAIN, NULL, buf, &n);
    if (rc == RC_OK && name != NULL) {
        uint8_t *out = buf;
        struct wr c = wr_init(out + n, FAKEANSWER_MAX_BYTES - n);
        if (!wr_u16(&c, POINTER_TO_QUESTION) || !wr_u16(&c, DNS_PTR) || !wr_u16(&c, DNS_CLASS_IN) ||
            !wr_u16(&c, 0) || !wr_u16(&c, FAKE_TTL_S) ||
            !wr_u16(&c, (uint16_t)(strlen(name) + 2)) || !write_name(&c, name))
            return RC_LIMIT;
        out[7] = 1; /* one answer */
        n += wr_used(&c);
    }
    if (rc == RC_OK)
        *ret_n = n;
    return rc;
}

enum rc fakeanswer(struct fakepool *pool, const void *query, const struct dns_msg *msg, void *buf,
                   size_t *ret_n, bool *ret_new)
{
    *ret_new = false;
    if (msg->class != DNS_CLASS_IN || (msg->flags & (DNS_QR | DNS_OPCODE)) != 0 ||
        msg->n_questions != 1)
        return RC_UNSUPPORTED;
    switch (msg->type) {
    case DNS_A:
    case DNS_AAAA:
        return answer_address(pool, query, msg, buf, ret_n, ret_new);
    case DNS_HTTPS:
    case SVCB:
    case ANY:
        return say(query, msg, DNS_NOERROR, NULL, buf, ret_n);
    case DNS_PTR:
        return answer_name(pool, query, msg, buf, ret_n);
    default:
        return RC_UNSUPPORTED;
    }
}
