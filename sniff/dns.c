/* sniff/dns.c - see dns.h. */
#include "sniff/dns.h"
#include "core/wire/dns.h"

enum { PORT = 53, CLASS_ANY = 255, QUERY_MAX_BYTES = 4096 };

static void set_found(const struct dns_msg *m, struct sniffed *ret_found)
{
    struct sniffed found = {.proto = SNIFF_DNS};
    struct addr ip;

    if (!addr_parse_ip(m->name, strlen(m->name), &ip))
        sniffed_set_name(&found, m->name, PORT);
    *ret_found = found;
}

/* One question, perhaps EDNS, nothing else and nothing behind it. */
static bool is_query_in_each_detail(const void *buf, size_t n, const struct dns_msg *m)
{
    const uint16_t usual = DNS_RD | 0x0020 | 0x0010; /* AD and CD: RFC 6840 5.7, 5.9 */
    struct dns_walk w;
    struct dns_record r;

    if ((m->flags & ~usual) || m->n_questions != 1 || m->n_answers || m->n_authority ||
        m->n_additional > 1 || (m->class != DNS_CLASS_IN && m->class != CLASS_ANY))
        return false;
    if (m->n_additional == 0)
        return m->question_end == n;
    return dns_walk_start(&w, buf, n, m) == RC_OK && dns_walk_next(&w, &r) == RC_OK &&
           r.type == DNS_OPT && w.at == n;
}

enum rc sniff_dns_query(const void *buf, size_t n, uint16_t port, struct sniffed *ret_found)
{
    struct dns_msg m;
    enum rc rc = dns_parse_query(buf, n, &m);

    if (rc != RC_OK)
        return rc;
    if (port != PORT && !is_query_in_each_detail(buf, n, &m))
        return RC_PROTO;
    set_found(&m, ret_found);
    return RC_OK;
}

enum rc sniff_dns_answer(const void *buf, size_t n, struct sniffed *ret_found)
{
    struct dns_msg m;
    enum rc rc = dns_parse(buf, n, &m);

    if (rc != RC_OK)
        return rc;
    if (!(m.flags & DNS_QR) || (m.flags & DNS_OPCODE))
        return RC_PROTO;
    set_found(&m, ret_found);
    return RC_OK;
}

enum rc sniff_dns_stream(const void *buf, size_t n, struct sniffed *ret_found)
{
    struct slice msg;
    enum rc rc = dns_frame(buf, n, &msg);

    if (msg.n > QUERY_MAX_BYTES)
        return RC_PROTO;
    if (rc == RC_AGAIN)
        *ret_found = (struct sniffed){.proto = SNIFF_DNS};
    if (rc != RC_OK)
        return rc;
    return sniff_dns_query(msg.p, msg.n, PORT, ret_found);
}
