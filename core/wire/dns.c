/* core/wire/dns.c - reading DNS messages, and changes in place. Contract in core/wire/dns.h; those
 * that we write ourselves are core/wire/dnsformat.c's. */
#include "core/wire/dns.h"
#include <strings.h>

enum {
    JUMPS_MAX = 16,
    LABEL_MAX = 63,
    CNAMES_MAX = 16,
    RECORDS_MAX = 512,
    OPTION_SUBNET = 8,
    EDNS_DO = 0x8000
};

static bool rd_u32(struct rd *c, uint32_t *ret_v)
{
    uint16_t high, low;
    if (rd_left(c) < 4 || !rd_u16(c, &high) || !rd_u16(c, &low))
        return false;
    *ret_v = (uint32_t)high << 16 | low;
    return true;
}

static struct rd cursor_at(const void *buf, size_t len, size_t at)
{
    struct rd c = rd_init(buf, len);
    c.p += at <= len ? at : len;
    return c;
}

enum rc dns_frame(const void *buf, size_t len, struct slice *ret_msg)
{
    struct rd c = rd_init(buf, len);
    uint16_t n = 0;
    *ret_msg = (struct slice){NULL, 0};
    if (!rd_u16(&c, &n))
        return RC_AGAIN;
    if (n < DNS_HEAD_BYTES)
        return RC_PROTO;
    if (rd_slice(&c, n, ret_msg))
        return RC_OK;
    ret_msg->n = n;
    return RC_AGAIN;
}

/* ---------------------------------------------------------------- names */

static size_t put_byte(char *text, uint8_t c)
{
    if (c == '.' || c == '\\') {
        text[0] = '\\';
        text[1] = (char)c;
        return 2;
    }
    if (c > ' ' && c < 0x7f) {
        text[0] = (char)c;
        return 1;
    }
    text[0] = '\\';
    text[1] = (char)('0' + c / 100);
    text[2] = (char)('0' + c / 10 % 10);
    text[3] = (char)('0' + c % 10);
    return 4;
}

/* Every jump goes to before the piece that was just read: so no loop, whatever the bytes. At most
 * 255 bytes of 4 characters each fit into DNS_NAME_TEXT_MAX. */
enum rc dns_read_name(const void *buf, size_t len, size_t at, char name[DNS_NAME_TEXT_MAX],
                      size_t *ret_next)
{
    const uint8_t *p = buf;
    size_t piece = at, next = 0, wire = 1, n = 0;
    int jumps = 0;
    for (;;) {
        if (at >= len)
            return RC_PROTO;
        uint8_t c = p[at];
        if (c == 0)
            break;
        if ((c & 0xc0) == 0xc0) {
            if (len - at < 2 || ++jumps > JUMPS_MAX)
                return RC_PROTO;
            size_t to = (size_t)(c & 0x3f) << 8 | p[at + 1];
            if (to < DNS_HEAD_BYTES || to >= piece)
                return RC_PROTO;
            if (next == 0)
                next = at + 2;
            at = piece = to;
            continue;
        }
        wire += c + (size_t)1;
        if (c > LABEL_MAX || wire > DNS_NAME_WIRE_MAX || len - at <= c)
            return RC_PROTO;
        if (n > 0)
            name[n++] = '.';
        for (size_t i = 1; i <= c; i++)
            n += put_byte(name + n, p[at + i]);
        at += c + (size_t)1;
    }
    if (n == 0)
        name[n++] = '.';
    name[n] = 0;
    if (ret_next != NULL)
        *ret_next = next != 0 ? next : at + 1;
    return RC_OK;
}

/* ---------------------------------------------------------------- head and question */

enum rc dns_parse(const void *buf, size_t len, struct dns_msg *ret_msg)
{
    struct rd c = rd_init(buf, len);
    struct dns_msg *m = ret_msg;
    size_t at;
    if (!rd_u16(&c, &m->id) || !rd_u16(&c, &m->flags) || !rd_u16(&c, &m->n_questions) ||
        !rd_u16(&c, &m->n_answers) || !rd_u16(&c, &m->n_authority) ||
        !rd_u16(&c, &m->n_additional) || m->n_questions == 0)
        return RC_PROTO;
    if (dns_read_name(buf, len, DNS_HEAD_BYTES, m->name, &at) != RC_OK)
        return RC_PROTO;
    c = cursor_at(buf, len, at);
    if (!rd_u16(&c, &m->type) || !rd_u16(&c, &m->class))
        return RC_PROTO;
    m->question_end = at + 4;
    return RC_OK;
}

enum rc dns_parse_query(const void *buf, size_t len, struct dns_msg *ret_msg)
{
    enum rc rc = dns_parse(buf, len, ret_msg);
    return rc == RC_OK && (ret_msg->flags & (DNS_QR | DNS_OPCODE)) != 0 ? RC_PROTO : rc;
}

bool dns_same_question(const struct dns_msg *a, const struct dns_msg *b)
{
    return a->type == b->type && a->class == b->class && strcasecmp(a->name, b->name) == 0;
}

const char *dns_rcode_text(unsigned rcode)
{
    static const char *const text[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                       "NXDOMAIN", "NOTIMP",  "REFUSED"};
    return rcode < sizeof(text) / sizeof(text[0]) ? text[rcode] : "an error";
}

/* ---------------------------------------------------------------- records */

enum rc dns_walk_start(struct dns_walk *w, const void *buf, size_t len, const struct dns_msg *msg)
{
    char name[DNS_NAME_TEXT_MAX];
    *w = (struct dns_walk){.buf = buf,
                           .len = len,
                           .at = msg->question_end,
                           .left = {msg->n_answers, msg->n_authority, msg->n_additional}};
    for (uint32_t i = 1; i < msg->n_questions; i++) {
        if (dns_read_name(buf, len, w->at, name, &w->at) != RC_OK || len - w->at < 4)
            return RC_PROTO;
        w->at += 4;
    }
    return RC_OK;
}

enum rc dns_walk_next(struct dns_walk *w, struct dns_record *ret_r)
{
    struct dns_record *r = ret_r;
    unsigned section = DNS_ANSWER;
    uint16_t n;
    size_t at;
    while (section <= DNS_ADDITIONAL && w->left[section] == 0)
        section++;
    if (section > DNS_ADDITIONAL)
        return RC_EOF;
    if (dns_read_name(w->buf, w->len, w->at, r->name, &at) != RC_OK)
        return RC_PROTO;
    struct rd c = cursor_at(w->buf, w->len, at);
    struct slice rdata;
    if (!rd_u16(&c, &r->type) || !rd_u16(&c, &r->class) || !rd_u32(&c, &r->ttl_s) ||
        !rd_u16(&c, &n) || !rd_slice(&c, n, &rdata))
        return RC_PROTO;
    r->section = (enum dns_section)section;
    r->ttl_at = at + 4;
    r->rdata_at = at + 10;
    r->rdata_n = n;
    w->at = r->rdata_at + n;
    w->left[section]--;
    return RC_OK;
}

bool dns_record_addr(const struct dns_walk *w, const struct dns_record *r, struct addr *ret_a)
{
    if (r->class != DNS_CLASS_IN)
        return false;
    if (r->type == DNS_A && r->rdata_n == 4)
        *ret_a = addr_v4(w->buf + r->rdata_at, 0);
    else if (r->type == DNS_AAAA && r->rdata_n == 16)
        *ret_a = addr_v6(w->buf + r->rdata_at, 0);
    else
        return false;
    return true;
}

/* ---------------------------------------------------------------- addresses */

/* A TTL with its top bit set means 0 (RFC 2181 section 8). */
static uint32_t ttl_of(const struct dns_record *r)
{
    return r->ttl_s > INT32_MAX ? 0 : r->ttl_s;
}

struct lookup {
    const struct dns_msg *msg;
    struct addr *v;
    int n, cap;
    uint32_t ttl_s;
    char name[DNS_NAME_TEXT_MAX]; /* where the CNAMEs lead */
};

/* One pass over the answers: the addresses of l->name, or where its CNAME leads (ret_alias). */
static enum rc pass(struct lookup *l, const void *buf, size_t len, bool *ret_alias)
{
    struct dns_walk w;
    struct dns_record r;
    char alias[DNS_NAME_TEXT_MAX];
    bool found = false;
    enum rc rc = dns_walk_start(&w, buf, len, l->msg);
    for (int i = 0; rc == RC_OK && w.left[DNS_ANSWER] > 0 && i < RECORDS_MAX; i++) {
        rc = dns_walk_next(&w, &r);
        if (rc != RC_OK || r.class != DNS_CLASS_IN || strcasecmp(r.name, l->name) != 0)
            continue;
        if (r.type == DNS_CNAME && !found) {
            rc = dns_read_name(buf, len, r.rdata_at, alias, NULL);
            found = rc == RC_OK;
        } else if (r.type == l->msg->type && l->n < l->cap &&
                   dns_record_addr(&w, &r, &l->v[l->n])) {
            l->n++;
        } else {
            continue;
        }
        if (ttl_of(&r) < l->ttl_s)
            l->ttl_s = ttl_of(&r);
    }
    if (rc == RC_OK && found)
        memcpy(l->name, alias, strlen(alias) + 1);
    *ret_alias = found;
    return rc;
}

enum rc dns_addresses(const void *buf, size_t len, const struct dns_msg *msg, struct addr *v,
                      int cap, int *ret_n, uint32_t *ret_ttl_s)
{
    struct lookup l = {.msg = msg, .v = v, .cap = cap, .ttl_s = UINT32_MAX};
    bool alias = true;
    memcpy(l.name, msg->name, strlen(msg->name) + 1);
    for (int hops = 0; alias && l.n == 0; hops++) {
        if (hops > CNAMES_MAX)
            return RC_PROTO;
        enum rc rc = pass(&l, buf, len, &alias);
        if (rc != RC_OK)
            return rc;
    }
    *ret_n = l.n;
    *ret_ttl_s = l.n > 0 ? l.ttl_s : 0;
    return RC_OK;
}

bool dns_lifetime(const void *buf, size_t len, const struct dns_msg *msg, uint32_t *ret_ttl_s)
{
    struct dns_walk w;
    struct dns_record r;
    uint32_t ttl_s = UINT32_MAX, soa_s = UINT32_MAX;
    enum rc rc = dns_walk_start(&w, buf, len, msg);
    while (rc == RC_OK && (rc = dns_walk_next(&w, &r)) == RC_OK) {
        if (r.type == DNS_OPT)
            continue;
        if (ttl_of(&r) < ttl_s)
            ttl_s = ttl_of(&r);
        uint32_t minimum;
        if (r.type != DNS_SOA || r.section != DNS_AUTHORITY || r.rdata_n < 4)
            continue;
        struct rd c = cursor_at(buf, len, r.rdata_at + r.rdata_n - 4);
        if (rd_u32(&c, &minimum))
            soa_s = minimum < ttl_of(&r) ? minimum : ttl_of(&r);
    }
    if (msg->n_answers == 0)
        ttl_s = soa_s;
    if (rc != RC_EOF || ttl_s == UINT32_MAX)
        return false;
    *ret_ttl_s = ttl_s;
    return true;
}

/* ---------------------------------------------------------------- EDNS */

static void read_subnet(struct rd *c, size_t n, struct cidr *ret_net)
{
    uint16_t family;
    uint8_t bits, scope, ip[16] = {0};
    if (n < 4 || !rd_u16(c, &family) || !rd_u8(c, &bits) || !rd_u8(c, &scope))
        return;
    size_t max = family == 1 ? 4 : family == 2 ? 16 : 0;
    if (max == 0 || n - 4 > max || bits > max * 8 || n - 4 < (bits + 7u) / 8 ||
        !rd_bytes(c, ip, n - 4))
        return;
    ret_net->net = family == 1 ? addr_v4(ip, 0) : addr_v6(ip, 0);
    ret_net->bits = bits;
}

enum rc dns_find_edns(const void *buf, size_t len, const struct dns_msg *msg,
                      struct dns_edns *ret_edns)
{
    struct dns_walk w;
    struct dns_record r;
    *ret_edns = (struct dns_edns){.udp_bytes = DNS_UDP_PLAIN_MAX};
    enum rc rc = dns_walk_start(&w, buf, len, msg);
    while (rc == RC_OK && (rc = dns_walk_next(&w, &r)) == RC_OK) {
        if (r.type != DNS_OPT || r.section != DNS_ADDITIONAL || ret_edns->present)
            continue;
        ret_edns->present = true;
        ret_edns->dnssec = (r.ttl_s & EDNS_DO) != 0;
        ret_edns->options = r.rdata_n > 0;
        if (r.class > DNS_UDP_PLAIN_MAX)
            ret_edns->udp_bytes = r.class;
        struct rd c = cursor_at(buf, r.rdata_at + r.rdata_n, r.rdata_at);
        uint16_t code, n;
        while (rd_u16(&c, &code) && rd_u16(&c, &n)) {
            struct rd option = c;
            if (!rd_skip(&c, n))
                break;
            if (code == OPTION_SUBNET)
                read_subnet(&option, n, &ret_edns->subnet);
        }
    }
    return rc == RC_EOF ? RC_OK : RC_PROTO;
}

/* ---------------------------------------------------------------- changes */

void dns_set_id(void *buf, uint16_t id)
{
    uint8_t *p = buf;
    p[0] = (uint8_t)(id >> 8);
    p[1] = (uint8_t)(id & 0xff);
}

enum rc dns_change_ttls(void *buf, size_t len, const struct dns_msg *msg, enum dns_ttl_change how,
                        uint32_t ttl_s)
{
    struct dns_walk w;
    struct dns_record r;
    enum rc rc = dns_walk_start(&w, buf, len, msg);
    while (rc == RC_OK && (rc = dns_walk_next(&w, &r)) == RC_OK) {
        if (r.type == DNS_OPT)
            continue;
        uint32_t now = ttl_s, was = ttl_of(&r);
        if (how == DNS_TTL_AGE)
            now = was > ttl_s ? was - ttl_s : 0;
        uint8_t *p = (uint8_t *)buf + r.ttl_at;
        for (int i = 0; i < 4; i++)
            p[i] = (uint8_t)(now >> (24 - 8 * i) & 0xff);
    }
    return rc == RC_EOF ? RC_OK : RC_PROTO;
}

size_t dns_drop_options(void *buf, size_t len, const struct dns_msg *msg)
{
    struct dns_walk w;
    struct dns_record r;
    size_t at = 0, n = 0;
    enum rc rc = dns_walk_start(&w, buf, len, msg);
    while (rc == RC_OK && (rc = dns_walk_next(&w, &r)) == RC_OK) {
        if (r.type == DNS_TSIG)
            return len;
        if (r.type != DNS_OPT || r.rdata_n == 0)
            continue;
        if (n > 0)
            return len;
        at = r.rdata_at;
        n = r.rdata_n;
    }
    if (rc != RC_EOF || n == 0)
        return len;
    uint8_t *p = buf;
    p[at - 2] = p[at - 1] = 0;
    memmove(p + at, p + at + n, len - at - n);
    return len - n;
}

size_t dns_add_opt(void *buf, size_t len, size_t cap, const struct dns_edns *asked)
{
    uint8_t *p = buf;
    uint8_t opt[11] = {0, 0, DNS_OPT, DNS_UDP_BYTES >> 8, DNS_UDP_BYTES & 0xff};
    if (!asked->present || len < DNS_HEAD_BYTES || p[10] != 0 || p[11] != 0 ||
        cap - len < sizeof(opt))
        return len;
    opt[7] = asked->dnssec ? EDNS_DO >> 8 : 0;
    memcpy(p + len, opt, sizeof(opt));
    p[11] = 1;
    return len + sizeof(opt);
}

size_t dns_truncate(void *buf, const struct dns_msg *msg)
{
    uint8_t *p = buf;
    p[2] |= DNS_TC >> 8;
    p[4] = 0;
    p[5] = 1;
    memset(p + 6, 0, 6);
    return msg->question_end;
}
