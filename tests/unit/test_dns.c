/* tests/unit/test_dns.c - DNS messages: the vectors, every truncation, names that lie, changes. */
#include "core/wire/dns.h"
#include "vectors.h"

static bool is_message(const struct vector *v)
{
    return vector_is(v, "dns.") && !vector_is(v, "dns.doh");
}

static void add_records(struct pairs *out, const uint8_t *buf, size_t len,
                        const struct dns_msg *msg, size_t *ret_end, enum rc *ret_rc)
{
    struct dns_walk w;
    struct dns_record r;
    struct addr a;
    char text[ADDR_TEXT_MAX];
    enum rc rc = dns_walk_start(&w, buf, len, msg);
    while (rc == RC_OK && (rc = dns_walk_next(&w, &r)) == RC_OK) {
        if (dns_record_addr(&w, &r, &a)) {
            pairs_add(out, "a", "%s", addr_format_ip(&a, text, sizeof(text)));
            pairs_add(out, "ttl", "%u", r.ttl_s);
        }
    }
    *ret_end = w.at;
    *ret_rc = rc == RC_EOF ? RC_OK : rc;
}

/* A message is whole or wrong; the harness wants to hear that a cut one could go on. */
static enum rc decode(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                      size_t *ret_used)
{
    enum rc cut = strncmp(v->expect, "ok", 2) == 0 && len < v->n ? RC_AGAIN : RC_PROTO;
    bool framed = strstr(v->expect, "framed=1") != NULL;
    struct slice msg = {(const char *)buf, len};
    struct dns_msg m;
    struct dns_edns edns;
    size_t end = 0;
    enum rc rc;
    if (framed) {
        rc = dns_frame(buf, len, &msg);
        if (rc != RC_OK)
            return rc;
        pairs_add(out, "framed", "1");
    }
    bool answer = vector_is(v, "dns.r.");
    rc = answer ? dns_parse(msg.p, msg.n, &m) : dns_parse_query(msg.p, msg.n, &m);
    if (rc != RC_OK)
        return cut;
    pairs_add(out, "id", "%u", m.id);
    pairs_bytes(out, "name", m.name, strlen(m.name));
    pairs_add(out, "qtype", "%u", m.type);
    pairs_add(out, "qclass", "%u", m.class);
    pairs_add(out, "rcode", "%u", m.flags & DNS_RCODE);
    pairs_add(out, "tc", "%u", (m.flags & DNS_TC) != 0);
    pairs_add(out, "an", "%u", m.n_answers);
    add_records(out, (const uint8_t *)msg.p, msg.n, &m, &end, &rc);
    if (rc != RC_OK)
        return cut;
    ck_assert_int_eq(dns_find_edns(msg.p, msg.n, &m, &edns), RC_OK);
    char text[ADDR_TEXT_MAX];
    if (edns.subnet.net.family != 0)
        pairs_add(out, "ecs", "%s/%u", addr_format_ip(&edns.subnet.net, text, sizeof(text)),
                  edns.subnet.bits);
    *ret_used = end + (framed ? 2 : 0);
    return RC_OK;
}

/* Queries as GOST sends them come out of our formatter byte by byte. */
static bool encode(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct dns_msg m;
    struct dns_edns edns;
    if (!vector_is(v, "dns.q."))
        return false;
    ck_assert_int_eq(dns_parse_query(v->bytes, v->n, &m), RC_OK);
    ck_assert_int_eq(dns_find_edns(v->bytes, v->n, &m, &edns), RC_OK);
    struct dns_query q = {.id = m.id,
                          .type = m.type,
                          .name = m.name,
                          .subnet = edns.subnet.net.family != 0 ? &edns.subnet : NULL};
    ck_assert_int_eq(dns_format_query(&q, buf, cap, ret_n), RC_OK);
    return true;
}

START_TEST(test_dns_vectors)
{
    ck_assert_uint_eq(vectors_run("dns.txt", is_message, decode, encode), 19);
}
END_TEST

static size_t query(uint8_t *buf, size_t cap, const char *name, uint16_t type)
{
    struct dns_query q = {.id = 0x1234, .type = type, .name = name};
    size_t n;
    ck_assert_int_eq(dns_format_query(&q, buf, cap, &n), RC_OK);
    return n;
}

/* A record behind what is there; the owner is a pointer. */
static void add_record(uint8_t *buf, size_t *n, unsigned owner, unsigned type, uint32_t ttl_s,
                       const void *rdata, size_t rdata_n)
{
    const uint8_t head[12] = {(uint8_t)(0xc0 | owner >> 8),
                              (uint8_t)owner,
                              0,
                              (uint8_t)type,
                              0,
                              1,
                              (uint8_t)(ttl_s >> 24),
                              (uint8_t)(ttl_s >> 16),
                              (uint8_t)(ttl_s >> 8),
                              (uint8_t)ttl_s,
                              0,
                              (uint8_t)rdata_n};
    memcpy(buf + *n, head, sizeof(head));
    memcpy(buf + *n + sizeof(head), rdata, rdata_n);
    *n += sizeof(head) + rdata_n;
    buf[2] |= 0x80;
    buf[7]++;
}

START_TEST(test_dns_names_keep_odd_bytes)
{
    uint8_t buf[512];
    struct dns_msg m;
    size_t n = query(buf, sizeof(buf), "a\\.b\\\\c\\000\\255.x", DNS_A);
    ck_assert_int_eq(dns_parse_query(buf, n, &m), RC_OK);
    ck_assert_str_eq(m.name, "a\\.b\\\\c\\000\\255.x");
    ck_assert_uint_eq(buf[12], 7);
    n = query(buf, sizeof(buf), "example.com.", DNS_A);
    ck_assert_int_eq(dns_parse_query(buf, n, &m), RC_OK);
    ck_assert_str_eq(m.name, "example.com");
}
END_TEST

START_TEST(test_dns_refuses_names_that_cannot_be)
{
    char long_label[70], long_name[300];
    memset(long_label, 'a', sizeof(long_label));
    long_label[64] = 0;
    ck_assert(!dns_name_is_valid(long_label));
    long_label[63] = 0;
    ck_assert(dns_name_is_valid(long_label));
    for (size_t i = 0; i < sizeof(long_name); i++)
        long_name[i] = i % 2 ? '.' : 'a';
    long_name[254] = 0; /* 127 labels with their dots: 255 on the wire */
    ck_assert(dns_name_is_valid(long_name));
    long_name[254] = 'a';
    long_name[255] = 0;
    ck_assert(!dns_name_is_valid(long_name));
    ck_assert(!dns_name_is_valid("a..b"));
    ck_assert(!dns_name_is_valid(".a"));
    ck_assert(!dns_name_is_valid(""));
    ck_assert(!dns_name_is_valid("a\\"));
    ck_assert(!dns_name_is_valid("a\\25"));
    ck_assert(!dns_name_is_valid("a\\256"));
    ck_assert(dns_name_is_valid("."));
}
END_TEST

START_TEST(test_dns_longest_name_comes_back)
{
    char name[DNS_NAME_TEXT_MAX];
    uint8_t buf[512];
    struct dns_msg m;
    size_t at = 0;
    for (int label = 0; label < 4; label++)
        for (int i = 0; i < (label < 3 ? 63 : 61) + (label > 0); i++)
            at += (size_t)sprintf(name + at, "%s", label > 0 && i == 0 ? "." : "\\001");
    size_t n = query(buf, sizeof(buf), name, DNS_A);
    ck_assert_uint_eq(n, DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4);
    ck_assert_int_eq(dns_parse_query(buf, n, &m), RC_OK);
    ck_assert_str_eq(m.name, name);
}
END_TEST

START_TEST(test_dns_addresses_follow_cnames)
{
    uint8_t buf[512];
    struct dns_msg m;
    struct addr v[4];
    int found = -1;
    uint32_t ttl = 0;
    size_t n = query(buf, sizeof(buf), "w.example", DNS_A);
    size_t alias = n + 12;
    add_record(buf, &n, 12, DNS_CNAME, 30, "\1b\xc0\x0e", 4);
    add_record(buf, &n, (unsigned)alias, DNS_A, 300, "\x0a\0\0\1", 4);
    add_record(buf, &n, (unsigned)alias, DNS_A, 200, "\x0a\0\0\2", 4);
    add_record(buf, &n, 14, DNS_A, 1, "\x0a\0\0\3", 4); /* of another name */
    ck_assert_int_eq(dns_parse(buf, n, &m), RC_OK);
    ck_assert_int_eq(dns_addresses(buf, n, &m, v, 4, &found, &ttl), RC_OK);
    ck_assert_int_eq(found, 2);
    ck_assert_uint_eq(ttl, 30);
    ck_assert_uint_eq(v[1].ip[3], 2);
    for (size_t cut = m.question_end; cut < n; cut++)
        ck_assert_int_eq(dns_addresses(buf, cut, &m, v, 4, &found, &ttl), RC_PROTO);
}
END_TEST

START_TEST(test_dns_cname_ring_is_an_error)
{
    uint8_t buf[512];
    struct dns_msg m;
    struct addr v[4];
    int found = -1;
    uint32_t ttl = 0;
    size_t n = query(buf, sizeof(buf), "w.example", DNS_A);
    size_t alias = n + 12;
    add_record(buf, &n, 12, DNS_CNAME, 30, "\1b\xc0\x0e", 4);
    add_record(buf, &n, (unsigned)alias, DNS_CNAME, 30, "\xc0\x0c", 2);
    ck_assert_int_eq(dns_parse(buf, n, &m), RC_OK);
    ck_assert_int_eq(dns_addresses(buf, n, &m, v, 4, &found, &ttl), RC_PROTO);
}
END_TEST

START_TEST(test_dns_ttls_change_in_place)
{
    uint8_t buf[512];
    struct dns_msg m;
    uint32_t ttl = 0;
    size_t n = query(buf, sizeof(buf), "w.example", DNS_A);
    add_record(buf, &n, 12, DNS_A, 300, "\x0a\0\0\1", 4);
    add_record(buf, &n, 12, DNS_A, 20, "\x0a\0\0\2", 4);
    ck_assert_int_eq(dns_parse(buf, n, &m), RC_OK);
    ck_assert(dns_lifetime(buf, n, &m, &ttl));
    ck_assert_uint_eq(ttl, 20);
    ck_assert_int_eq(dns_change_ttls(buf, n, &m, DNS_TTL_AGE, 30), RC_OK);
    ck_assert(dns_lifetime(buf, n, &m, &ttl));
    ck_assert_uint_eq(ttl, 0);
    ck_assert_int_eq(dns_change_ttls(buf, n, &m, DNS_TTL_SET, 77), RC_OK);
    ck_assert(dns_lifetime(buf, n, &m, &ttl));
    ck_assert_uint_eq(ttl, 77);
    dns_set_id(buf, 0xabcd);
    size_t left = dns_truncate(buf, &m);
    ck_assert_int_eq(dns_parse(buf, left, &m), RC_OK);
    ck_assert_uint_eq(m.id, 0xabcd);
    ck_assert_uint_eq(m.n_answers, 0);
    ck_assert((m.flags & DNS_TC) != 0);
}
END_TEST

START_TEST(test_dns_negative_answer_lives_as_its_soa_says)
{
    static const uint8_t soa[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0,
                                  0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 90};
    uint8_t buf[512];
    struct dns_msg m;
    uint32_t ttl = 0;
    size_t n = query(buf, sizeof(buf), "nope.example", DNS_A);
    ck_assert_int_eq(dns_parse(buf, n, &m), RC_OK);
    ck_assert(!dns_lifetime(buf, n, &m, &ttl));
    add_record(buf, &n, 17, DNS_SOA, 300, soa, sizeof(soa));
    buf[7] = 0;
    buf[9] = 1; /* in the authority section */
    ck_assert_int_eq(dns_parse(buf, n, &m), RC_OK);
    ck_assert(dns_lifetime(buf, n, &m, &ttl));
    ck_assert_uint_eq(ttl, 90);
}
END_TEST

START_TEST(test_dns_answer_of_ours_gives_the_family_asked_for)
{
    uint8_t buf[512], out[512];
    struct dns_msg m;
    struct addr v[2], got[2];
    int found = 0;
    uint32_t ttl = 0;
    size_t n = query(buf, sizeof(buf), "WWW.Example", DNS_AAAA), out_n = 0;
    ck_assert(addr_parse_ip("192.0.2.1", 9, &v[0]) && addr_parse_ip("2001:db8::1", 11, &v[1]));
    ck_assert_int_eq(dns_parse_query(buf, n, &m), RC_OK);
    ck_assert_int_eq(dns_format_answer(buf, &m, DNS_NOERROR, v, 2, 3600, out, sizeof(out), &out_n),
                     RC_OK);
    for (size_t cap = 0; cap < out_n; cap++) {
        size_t unused;
        ck_assert_int_eq(dns_format_answer(buf, &m, DNS_NOERROR, v, 2, 3600, out, cap, &unused),
                         RC_LIMIT);
    }
    ck_assert_int_eq(dns_format_answer(buf, &m, DNS_NOERROR, v, 2, 3600, out, sizeof(out), &out_n),
                     RC_OK);
    ck_assert_int_eq(dns_parse(out, out_n, &m), RC_OK);
    ck_assert_str_eq(m.name, "WWW.Example");
    ck_assert_int_eq(dns_addresses(out, out_n, &m, got, 2, &found, &ttl), RC_OK);
    ck_assert_int_eq(found, 1);
    ck_assert_uint_eq(ttl, 3600);
    ck_assert(addr_equal(&got[0], &v[1]));
}
END_TEST

START_TEST(test_dns_question_counts_that_lie)
{
    uint8_t buf[512];
    struct dns_msg m;
    struct dns_walk w;
    size_t n = query(buf, sizeof(buf), "w.example", DNS_A);
    buf[4] = buf[5] = 0xff;
    ck_assert_int_eq(dns_parse_query(buf, n, &m), RC_OK);
    ck_assert_str_eq(m.name, "w.example");
    ck_assert_int_eq(dns_walk_start(&w, buf, n, &m), RC_PROTO);
}
END_TEST

START_TEST(test_dns_options_are_dropped)
{
    uint8_t buf[256], with[256];
    struct cidr net = {.bits = 24};
    struct dns_msg m;
    struct dns_edns edns;
    size_t n, plain, left;
    ck_assert(addr_parse_ip("192.0.2.0", 9, &net.net));
    struct dns_query q = {.id = 7, .type = DNS_A, .name = "a.test", .edns_bytes = 1232};
    ck_assert_int_eq(dns_format_query(&q, buf, sizeof buf, &plain), RC_OK);
    ck_assert_int_eq(dns_parse(buf, plain, &m), RC_OK);
    ck_assert_uint_eq(dns_drop_options(buf, plain, &m), plain); /* there are none */
    q.subnet = &net;
    ck_assert_int_eq(dns_format_query(&q, with, sizeof with, &n), RC_OK);
    ck_assert_uint_gt(n, plain);
    ck_assert_int_eq(dns_parse(with, n, &m), RC_OK);
    left = dns_drop_options(with, n, &m);
    ck_assert_uint_eq(left, plain);
    ck_assert_mem_eq(with, buf, plain);
    ck_assert_int_eq(dns_find_edns(with, left, &m, &edns), RC_OK);
    ck_assert(edns.present && !edns.options);
    /* signed: not touched */
    static const uint8_t tsig[] = {0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 1, 9};
    ck_assert_int_eq(dns_format_query(&q, with, sizeof with, &n), RC_OK);
    memcpy(with + n, tsig, sizeof tsig);
    with[11] = 2;
    ck_assert_int_eq(dns_parse(with, n + sizeof tsig, &m), RC_OK);
    ck_assert_uint_eq(dns_drop_options(with, n + sizeof tsig, &m), n + sizeof tsig);
}
END_TEST

START_TEST(test_dns_frame_lengths)
{
    static const uint8_t zero[] = {0, 0, 1}, small[] = {0, 11}, far[] = {1, 0, 0};
    struct slice s;
    ck_assert_int_eq(dns_frame(zero, sizeof(zero), &s), RC_PROTO);
    ck_assert_int_eq(dns_frame(small, sizeof(small), &s), RC_PROTO);
    ck_assert_int_eq(dns_frame(far, 1, &s), RC_AGAIN);
    ck_assert_uint_eq(s.n, 0);
    ck_assert_int_eq(dns_frame(far, sizeof(far), &s), RC_AGAIN);
    ck_assert_uint_eq(s.n, 256);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_dns_vectors,
                                  test_dns_names_keep_odd_bytes,
                                  test_dns_refuses_names_that_cannot_be,
                                  test_dns_longest_name_comes_back,
                                  test_dns_addresses_follow_cnames,
                                  test_dns_cname_ring_is_an_error,
                                  test_dns_ttls_change_in_place,
                                  test_dns_negative_answer_lives_as_its_soa_says,
                                  test_dns_answer_of_ours_gives_the_family_asked_for,
                                  test_dns_question_counts_that_lie,
                                  test_dns_frame_lengths,
                                  test_dns_options_are_dropped,
                                  NULL};
    return vectors_main("dns", tests);
}
