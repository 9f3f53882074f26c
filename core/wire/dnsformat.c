/* core/wire/dnsformat.c - DNS messages of ours: a query, an answer. Contract in core/wire/dns.h. */
#include "core/wire/dns.h"
#include <ctype.h>

enum { LABEL_MAX = 63, OPTION_SUBNET = 8, POINTER_TO_QUESTION = 0xc000 | DNS_HEAD_BYTES };

static bool wr_u32(struct wr *c, uint32_t v)
{
    return wr_u16(c, (uint16_t)(v >> 16)) && wr_u16(c, (uint16_t)(v & 0xffff));
}

/* One byte of a label as text; false: a bad escape. */
static bool take_byte(const char **text, uint8_t *ret_byte)
{
    const char *p = *text;
    if (*p != '\\') {
        *ret_byte = (uint8_t)*p;
        *text = p + 1;
        return true;
    }
    if (p[1] == 0)
        return false;
    if (!isdigit((unsigned char)p[1])) {
        *ret_byte = (uint8_t)p[1];
        *text = p + 2;
        return true;
    }
    if (!isdigit((unsigned char)p[2]) || !isdigit((unsigned char)p[3]))
        return false;
    int v = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
    *ret_byte = (uint8_t)v;
    *text = p + 4;
    return v <= UINT8_MAX;
}

/* RC_INVALID: an empty or long label, a long name, a bad escape. */
static enum rc name_to_wire(const char *name, uint8_t wire[DNS_NAME_WIRE_MAX], size_t *ret_n)
{
    size_t n = 0;
    if (strcmp(name, ".") == 0)
        name++;
    while (*name != 0) {
        size_t head = n++, label = 0;
        while (*name != 0 && *name != '.') {
            uint8_t byte;
            if (!take_byte(&name, &byte) || ++label > LABEL_MAX || n >= DNS_NAME_WIRE_MAX - 1)
                return RC_INVALID;
            wire[n++] = byte;
        }
        if (label == 0 || n >= DNS_NAME_WIRE_MAX)
            return RC_INVALID;
        wire[head] = (uint8_t)label;
        if (*name == '.')
            name++;
    }
    wire[n++] = 0;
    *ret_n = n;
    return RC_OK;
}

bool dns_name_is_valid(const char *name)
{
    uint8_t wire[DNS_NAME_WIRE_MAX];
    size_t n;
    return name[0] != 0 && name_to_wire(name, wire, &n) == RC_OK;
}

static bool write_head(struct wr *c, uint16_t id, uint16_t flags, uint16_t answers,
                       uint16_t additional)
{
    return wr_u16(c, id) && wr_u16(c, flags) && wr_u16(c, 1) && wr_u16(c, answers) &&
           wr_u16(c, 0) && wr_u16(c, additional);
}

static bool write_subnet(struct wr *c, const struct cidr *net)
{
    size_t n = (net->bits + 7u) / 8;
    return wr_u16(c, (uint16_t)(8 + n)) && wr_u16(c, OPTION_SUBNET) &&
           wr_u16(c, (uint16_t)(4 + n)) && wr_u16(c, net->net.family == AF_INET ? 1 : 2) &&
           wr_u8(c, net->bits) && wr_u8(c, 0) && wr_bytes(c, net->net.ip, n);
}

static bool write_opt(struct wr *c, const struct dns_query *q)
{
    return wr_u8(c, 0) && wr_u16(c, DNS_OPT) && wr_u16(c, q->edns_bytes) && wr_u32(c, 0) &&
           (q->subnet != NULL ? write_subnet(c, q->subnet) : wr_u16(c, 0));
}

enum rc dns_format_query(const struct dns_query *q, void *buf, size_t cap, size_t *ret_n)
{
    uint8_t wire[DNS_NAME_WIRE_MAX];
    struct wr c = wr_init(buf, cap);
    size_t n;
    bool edns = q->edns_bytes > 0 || q->subnet != NULL;
    if (name_to_wire(q->name, wire, &n) != RC_OK)
        return RC_INVALID;
    if (!write_head(&c, q->id, DNS_RD, 0, edns) || !wr_bytes(&c, wire, n) || !wr_u16(&c, q->type) ||
        !wr_u16(&c, DNS_CLASS_IN) || (edns && !write_opt(&c, q)))
        return RC_LIMIT;
    *ret_n = wr_used(&c);
    return RC_OK;
}

static bool is_asked_for(const struct dns_msg *msg, const struct addr *a)
{
    return msg->class == DNS_CLASS_IN && (msg->type == DNS_A      ? a->family == AF_INET
                                          : msg->type == DNS_AAAA ? a->family == AF_INET6
                                                                  : false);
}

enum rc dns_format_answer(const void *query, const struct dns_msg *msg, enum dns_rcode rcode,
                          const struct addr *v, int n, uint32_t ttl_s, void *buf, size_t cap,
                          size_t *ret_n)
{
    struct wr c = wr_init(buf, cap);
    uint16_t answers = 0;
    for (int i = 0; i < n; i++)
        answers = (uint16_t)(answers + is_asked_for(msg, &v[i]));
    uint16_t flags =
        (uint16_t)(DNS_QR | (msg->flags & (DNS_OPCODE | DNS_RD)) | DNS_RA | (unsigned)rcode);
    const uint8_t *q = query;
    if (!write_head(&c, msg->id, flags, answers, 0) ||
        !wr_bytes(&c, q + DNS_HEAD_BYTES, msg->question_end - DNS_HEAD_BYTES))
        return RC_LIMIT;
    for (int i = 0; i < n; i++) {
        if (!is_asked_for(msg, &v[i]))
            continue;
        size_t bytes = addr_ip_bytes(&v[i]);
        if (!wr_u16(&c, POINTER_TO_QUESTION) || !wr_u16(&c, msg->type) ||
            !wr_u16(&c, DNS_CLASS_IN) || !wr_u32(&c, ttl_s) || !wr_u16(&c, (uint16_t)bytes) ||
            !wr_bytes(&c, v[i].ip, bytes))
            return RC_LIMIT;
    }
    *ret_n = wr_used(&c);
    return RC_OK;
}

enum rc dns_format_failure(const void *query, size_t n, void *buf, size_t cap, size_t *ret_n)
{
    struct dns_msg m;
    struct dns_edns edns;
    enum rc rc = dns_parse_query(query, n, &m);
    if (rc == RC_OK)
        rc = dns_find_edns(query, n, &m, &edns);
    if (rc == RC_OK)
        rc = dns_format_answer(query, &m, DNS_SERVFAIL, NULL, 0, 0, buf, cap, ret_n);
    if (rc == RC_OK)
        *ret_n = dns_add_opt(buf, *ret_n, cap, &edns);
    return rc;
}
