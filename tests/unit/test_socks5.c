/* tests/unit/test_socks5.c - SOCKS5 units against the vectors and recorded exchanges. */
#include "core/wire/socks5.h"
#include "vectors.h"

static void add_target(struct pairs *out, uint8_t atyp, const struct target *t)
{
    char host[TARGET_TEXT_MAX];
    target_format_host(t, host, sizeof host);
    pairs_add(out, "atyp", "%u", atyp);
    pairs_add(out, "host", "%s", target_is_name(t) || t->addr.family ? host : "");
    pairs_add(out, "port", "%u", t->addr.port);
}

enum unit { GREETING, METHOD, AUTH, AUTH_REPLY, MESSAGE };

static enum unit unit_of(const struct vector *v)
{
    if (vector_is(v, "s5.greet") || vector_is(v, "s5.bad.nm") || vector_is(v, "s5.bad.ver") ||
        vector_unit(v, "s5greet") || vector_is(v, "s5-auth.1") || vector_is(v, "s5-udptun.1"))
        return GREETING;
    if (vector_is(v, "s5.method") || vector_unit(v, "s5method") || vector_is(v, "s5-auth.2") ||
        vector_is(v, "s5-udptun.2"))
        return METHOD;
    if (vector_is(v, "s5.auth") || vector_unit(v, "s5auth") || vector_is(v, "s5-auth.3") ||
        vector_is(v, "s5-auth.4"))
        return vector_c2s(v) ? AUTH : AUTH_REPLY;
    return MESSAGE;
}

static enum rc decode_greeting(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct slice methods;
    char hex[2 * 255 + 1];
    enum rc rc = socks5_parse_greeting(buf, len, &methods, ret_used);
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < methods.n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)methods.p[i]);
    pairs_add(out, "methods", "%s", hex);
    return RC_OK;
}

static enum rc decode_auth(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct slice user, pass;
    enum rc rc = socks5_parse_auth(buf, len, &user, &pass, ret_used);
    if (rc == RC_OK) {
        pairs_bytes(out, "user", user.p, user.n);
        pairs_bytes(out, "pass", pass.p, pass.n);
    }
    return rc;
}

static enum rc decode(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                      size_t *ret_used)
{
    struct socks5_message m;
    uint8_t method = 0;
    enum rc rc = RC_PROTO;

    switch (unit_of(v)) {
    case GREETING:
        return decode_greeting(buf, len, out, ret_used);
    case METHOD:
        rc = socks5_parse_method(buf, len, &method, ret_used);
        pairs_add(out, "method", "%u", method);
        return rc;
    case AUTH:
        return decode_auth(buf, len, out, ret_used);
    case AUTH_REPLY:
        pairs_add(out, "status", "0");
        return socks5_parse_auth_reply(buf, len, ret_used);
    case MESSAGE:
        break;
    }
    rc = socks5_parse_message(buf, len, &m, ret_used);
    if (rc != RC_OK)
        return rc;
    ck_assert(m.valid);
    pairs_add(out, vector_c2s(v) ? "cmd" : "rep", "%u", m.code);
    add_target(out, m.atyp, &m.target);
    return RC_OK;
}

static bool encode(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct socks5_message m;
    struct slice a, b;
    uint8_t method;
    size_t used;

    switch (unit_of(v)) {
    case GREETING:
        ck_assert_int_eq(socks5_parse_greeting(v->bytes, v->n, &a, &used), RC_OK);
        return socks5_format_greeting((const uint8_t *)a.p, (uint8_t)a.n, buf, cap, ret_n) == RC_OK;
    case METHOD:
        ck_assert_int_eq(socks5_parse_method(v->bytes, v->n, &method, &used), RC_OK);
        socks5_format_method(method, buf);
        *ret_n = 2;
        return true;
    case AUTH:
        ck_assert_int_eq(socks5_parse_auth(v->bytes, v->n, &a, &b, &used), RC_OK);
        return socks5_format_auth(a, b, buf, cap, ret_n) == RC_OK;
    case AUTH_REPLY:
        socks5_format_auth_reply(true, buf);
        *ret_n = 2;
        return true;
    case MESSAGE:
        break;
    }
    ck_assert_int_eq(socks5_parse_message(v->bytes, v->n, &m, &used), RC_OK);
    return socks5_format_message(m.code, &m.target, buf, cap, ret_n) == RC_OK;
}

static bool is_vector(const struct vector *v)
{
    return !vector_is(v, "s5.udp.") && !vector_is(v, "s5.udptun.");
}

static bool is_recorded(const struct vector *v)
{
    return vector_unit(v, "s5greet") || vector_unit(v, "s5method") || vector_unit(v, "s5auth") ||
           vector_unit(v, "s5req");
}

static bool is_session(const struct vector *v)
{
    return vector_is(v, "s5-") && !vector_is(v, "s5-udptun.5") && !vector_is(v, "s5-udptun.6");
}

START_TEST(test_socks5_vectors)
{
    ck_assert_uint_ge(vectors_run("socks5.txt", is_vector, decode, encode), 30);
}
END_TEST

START_TEST(test_socks5_recorded_exchanges)
{
    ck_assert_uint_ge(vectors_run("recorded.txt", is_recorded, decode, encode), 70);
    ck_assert_uint_ge(vectors_run("sessions.txt", is_session, decode, encode), 10);
}
END_TEST

START_TEST(test_socks5_offers)
{
    static const char methods[] = {0, (char)0x80};
    struct slice s = {methods, sizeof methods};
    ck_assert(socks5_offers(s, SOCKS5_NO_AUTH));
    ck_assert(socks5_offers(s, SOCKS5_TLS));
    ck_assert(!socks5_offers(s, SOCKS5_USERPASS));
    ck_assert(!socks5_offers((struct slice){NULL, 0}, SOCKS5_NO_AUTH));
}
END_TEST

START_TEST(test_socks5_error_reply_is_ten_bytes_of_zero_address)
{
    static const uint8_t want[] = {5, 5, 0, 1, 0, 0, 0, 0, 0, 0};
    uint8_t buf[SOCKS5_MESSAGE_MAX_BYTES];
    size_t n = 0;
    ck_assert_int_eq(
        socks5_format_message(socks5_rep_from_rc(RC_REFUSED), NULL, buf, sizeof buf, &n), RC_OK);
    ck_assert_mem_eq(buf, want, sizeof want);
    ck_assert_uint_eq(n, sizeof want);
    ck_assert_int_eq(socks5_format_message(1, NULL, buf, 9, &n), RC_LIMIT);
}
END_TEST

START_TEST(test_socks5_replies_and_results_agree)
{
    static const enum rc same[] = {RC_OK, RC_DENIED, RC_REFUSED, RC_UNREACH_HOST, RC_UNREACH_NET};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        ck_assert_int_eq(socks5_rep_to_rc((uint8_t)socks5_rep_from_rc(same[i])), same[i]);
    for (unsigned rep = 1; rep < 256; rep++)
        ck_assert_int_ne(socks5_rep_to_rc((uint8_t)rep), RC_OK);
    ck_assert_int_eq(socks5_rep_from_rc(RC_TIMEOUT), SOCKS5_REP_HOST_UNREACHABLE);
}
END_TEST

START_TEST(test_socks5_marks_impossible_name)
{
    static const uint8_t in[] = {5, 1, 0, 3, 2, 'a', 0, 0, 80};
    struct socks5_message m;
    size_t used = 0;
    ck_assert_int_eq(socks5_parse_message(in, sizeof in, &m, &used), RC_OK);
    ck_assert(!m.valid);
    ck_assert_uint_eq(used, sizeof in);
}
END_TEST

START_TEST(test_socks5_rejects_too_long_password)
{
    char text[256] = "";
    uint8_t buf[SOCKS5_AUTH_MAX_BYTES];
    size_t n;
    ck_assert_int_eq(
        socks5_format_auth((struct slice){text, 256}, (struct slice){text, 1}, buf, sizeof buf, &n),
        RC_INVALID);
    ck_assert_int_eq(socks5_format_auth((struct slice){text, 255}, (struct slice){text, 255}, buf,
                                        sizeof buf, &n),
                     RC_OK);
    ck_assert_uint_eq(n, SOCKS5_AUTH_MAX_BYTES);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_socks5_vectors,
                                  test_socks5_recorded_exchanges,
                                  test_socks5_offers,
                                  test_socks5_error_reply_is_ten_bytes_of_zero_address,
                                  test_socks5_replies_and_results_agree,
                                  test_socks5_marks_impossible_name,
                                  test_socks5_rejects_too_long_password,
                                  NULL};
    return vectors_main("socks5", tests);
}
