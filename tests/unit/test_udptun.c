/* tests/unit/test_udptun.c - UDP-TUN frames and the SOCKS5 UDP header against vectors and
 * recordings. */
#include "core/wire/udptun.h"
#include "vectors.h"

static void add_target(struct pairs *out, uint8_t atyp, const struct target *t)
{
    char host[TARGET_TEXT_MAX];
    target_format_host(t, host, sizeof host);
    pairs_add(out, "atyp", "%u", atyp);
    pairs_add(out, "host", "%s", target_is_name(t) || t->addr.family ? host : "");
    pairs_add(out, "port", "%u", t->addr.port);
}

static bool is_dgram(const struct vector *v)
{
    return strncmp(v->dir, "dgram", 5) == 0;
}

static enum rc decode(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                      size_t *ret_used)
{
    struct udptun_frame f = {.frag = 0};
    enum rc rc;
    if (is_dgram(v)) {
        rc = socks5_udp_parse(buf, len, &f.target, &f.atyp, &f.payload);
        if (rc != RC_OK)
            return rc;
        *ret_used = len;
        pairs_add(out, "rsv", "0");
    } else {
        rc = udptun_parse(buf, len, &f, ret_used);
        if (rc != RC_OK)
            return rc;
        ck_assert(f.valid);
        pairs_add(out, "len", "%u", f.len);
    }
    pairs_add(out, "frag", "%u", f.frag);
    add_target(out, f.atyp, &f.target);
    pairs_bytes(out, "data", f.payload.p, f.payload.n);
    return RC_OK;
}

static bool encode(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct udptun_frame f;
    struct slice payload;
    size_t used, head;
    enum rc rc;

    if (is_dgram(v)) {
        ck_assert_int_eq(socks5_udp_parse(v->bytes, v->n, &f.target, &f.atyp, &payload), RC_OK);
        rc = socks5_udp_format_head(&f.target, buf, cap, &head);
    } else {
        ck_assert_int_eq(udptun_parse(v->bytes, v->n, &f, &used), RC_OK);
        payload = f.payload;
        rc = udptun_format_head(&f.target, (uint16_t)payload.n, buf, cap, &head);
    }
    ck_assert_int_eq(rc, RC_OK);
    if (payload.n > 0)
        memcpy(buf + head, payload.p, payload.n);
    *ret_n = head + payload.n;
    return true;
}

static bool is_relay_frame(const struct vector *v)
{
    return vector_is(v, "relay.assoc.dgram");
}

static bool is_socks5_frame(const struct vector *v)
{
    return vector_is(v, "s5.udp");
}

static bool is_frame_vector(const struct vector *v)
{
    return is_socks5_frame(v) && (is_dgram(v) || vector_is(v, "s5.udptun.frame"));
}

static bool is_recorded(const struct vector *v)
{
    return vector_unit(v, "udptun");
}

static bool is_session(const struct vector *v)
{
    return vector_is(v, "relay-assoc.3") || vector_is(v, "relay-assoc.4") ||
           vector_is(v, "s5-udptun.5") || vector_is(v, "s5-udptun.6");
}

START_TEST(test_udptun_vectors)
{
    ck_assert_uint_eq(vectors_run("relay.txt", is_relay_frame, decode, encode), 3);
    ck_assert_uint_eq(vectors_run("socks5.txt", is_frame_vector, decode, encode), 9);
}
END_TEST

START_TEST(test_udptun_recorded_exchanges)
{
    ck_assert_uint_ge(vectors_run("recorded.txt", is_recorded, decode, encode), 38);
    ck_assert_uint_eq(vectors_run("sessions.txt", is_session, decode, encode), 4);
}
END_TEST

START_TEST(test_udptun_steps_over_impossible_name)
{
    static const uint8_t in[] = {0, 2, 0xff, 3, 3, 'a', 0, 'b', 0, 53, 'h', 'i', 'X'};
    struct udptun_frame f;
    size_t used = 0;
    ck_assert_int_eq(udptun_parse(in, sizeof in, &f, &used), RC_OK);
    ck_assert(!f.valid);
    ck_assert_uint_eq(used, sizeof in - 1);
    ck_assert(slice_equal(f.payload, "hi"));
}
END_TEST

START_TEST(test_udptun_cannot_follow_unknown_atyp)
{
    static const uint8_t in[] = {0, 2, 0xff, 2, 1, 2, 3, 4, 0, 53, 'h', 'i'};
    struct udptun_frame f;
    size_t used = 0;
    ck_assert_int_eq(udptun_parse(in, sizeof in, &f, &used), RC_PROTO);
}
END_TEST

START_TEST(test_udptun_head_fits_or_says_so)
{
    uint8_t buf[UDPTUN_HEAD_MAX_BYTES];
    struct target t = {.addr = {.port = 53}};
    size_t n = 0;
    memset(t.name, 'n', TARGET_NAME_MAX);
    ck_assert_int_eq(udptun_format_head(&t, 1, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, sizeof buf);
    ck_assert_int_eq(udptun_format_head(&t, 1, buf, sizeof buf - 1, &n), RC_LIMIT);
    ck_assert_int_eq(socks5_udp_format_head(&t, buf, sizeof buf - 1, &n), RC_LIMIT);
}
END_TEST

START_TEST(test_udptun_mapped_address_is_ipv4)
{
    struct udptun_frame f;
    size_t used = 0;
    static const uint8_t whole[] = {0, 0, 0xff, 4,    0,    0,   0, 0, 0, 0, 0,
                                    0, 0, 0,    0xff, 0xff, 192, 0, 2, 1, 0, 53};
    ck_assert_int_eq(udptun_parse(whole, sizeof whole, &f, &used), RC_OK);
    ck_assert_int_eq(f.target.addr.family, AF_INET);
    ck_assert_uint_eq(f.target.addr.port, 53);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_udptun_vectors,
                                  test_udptun_recorded_exchanges,
                                  test_udptun_steps_over_impossible_name,
                                  test_udptun_cannot_follow_unknown_atyp,
                                  test_udptun_head_fits_or_says_so,
                                  test_udptun_mapped_address_is_ipv4,
                                  NULL};
    return vectors_main("udptun", tests);
}
