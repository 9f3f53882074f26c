/* tests/unit/test_socks4.c - SOCKS4 and 4a against the vectors and recorded exchanges. */
#include "core/wire/socks4.h"
#include "vectors.h"

static enum rc decode(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                      size_t *ret_used)
{
    struct socks4_request r;
    char host[TARGET_TEXT_MAX];
    uint8_t code;
    enum rc rc;

    if (!vector_c2s(v)) {
        rc = socks4_parse_reply(buf, len, &code, ret_used);
        if (rc == RC_OK)
            pairs_add(out, "code", "%u", code);
        return rc;
    }
    rc = socks4_parse_request(buf, len, &r, ret_used);
    if (rc != RC_OK)
        return rc;
    pairs_add(out, "cmd", "%u", r.cmd);
    pairs_bytes(out, "userid", r.user.p, r.user.n);
    pairs_add(out, "host", "%s", target_format_host(&r.target, host, sizeof host));
    pairs_add(out, "port", "%u", r.target.addr.port);
    return RC_OK;
}

static bool encode(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct socks4_request r;
    uint8_t code;
    size_t used;

    if (vector_c2s(v)) {
        ck_assert_int_eq(socks4_parse_request(v->bytes, v->n, &r, &used), RC_OK);
        return socks4_format_request(&r, buf, cap, ret_n) == RC_OK;
    }
    ck_assert_int_eq(socks4_parse_reply(v->bytes, v->n, &code, &used), RC_OK);
    socks4_format_reply(code, buf);
    *ret_n = SOCKS4_REPLY_BYTES;
    return true;
}

static bool is_recorded(const struct vector *v)
{
    return vector_unit(v, "s4");
}

START_TEST(test_socks4_vectors)
{
    ck_assert_uint_ge(vectors_run("socks4.txt", NULL, decode, encode), 12);
}
END_TEST

START_TEST(test_socks4_recorded_exchanges)
{
    ck_assert_uint_ge(vectors_run("recorded.txt", is_recorded, decode, encode), 12);
}
END_TEST

START_TEST(test_socks4_takes_255_byte_texts)
{
    uint8_t in[SOCKS4_REQUEST_MAX_BYTES] = {4, 1, 0, 80, 0, 0, 0, 1}, out[sizeof in];
    struct socks4_request r;
    size_t used = 0, n = 0;
    memset(in + 8, 'u', 255);
    memset(in + 8 + 256, 'h', 255);
    ck_assert_int_eq(socks4_parse_request(in, sizeof in, &r, &used), RC_OK);
    ck_assert_uint_eq(used, sizeof in);
    ck_assert_uint_eq(r.user.n, 255);
    ck_assert_uint_eq(strlen(r.target.name), 255);
    ck_assert_int_eq(socks4_format_request(&r, out, sizeof out, &n), RC_OK);
    ck_assert_mem_eq(in, out, sizeof in);
    in[8 + 255] = 'u';
    ck_assert_int_eq(socks4_parse_request(in, sizeof in, &r, &used), RC_PROTO);
}
END_TEST

START_TEST(test_socks4_user_id_must_not_end_early)
{
    struct socks4_request r = {.cmd = SOCKS4_CONNECT, .user = {"a\0b", 3}};
    uint8_t buf[SOCKS4_REQUEST_MAX_BYTES];
    size_t n;
    r.target.addr = addr_v4("\1\2\3\4", 80);
    ck_assert_int_eq(socks4_format_request(&r, buf, sizeof buf, &n), RC_INVALID);
    r.user.n = 1;
    ck_assert_int_eq(socks4_format_request(&r, buf, sizeof buf, &n), RC_OK);
    ck_assert_int_eq(socks4_format_request(&r, buf, n - 1, &n), RC_LIMIT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks4_vectors, test_socks4_recorded_exchanges,
                                  test_socks4_takes_255_byte_texts,
                                  test_socks4_user_id_must_not_end_early, NULL};
    return vectors_main("socks4", tests);
}
