/* tests/unit/test_relay.c - relay messages against the vectors and recorded exchanges. */
#include "core/wire/hostport.h"
#include "core/wire/relay.h"
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

static enum rc decode_request(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct relay_request r;
    enum rc rc = relay_parse_request(buf, len, &r, ret_used);
    if (rc != RC_OK)
        return rc;
    pairs_add(out, "cmd", "%u", r.cmd);
    pairs_add(out, "udp", "%d", r.udp);
    if (r.has_auth) {
        pairs_bytes(out, "user", r.user.p, r.user.n);
        pairs_bytes(out, "pass", r.pass.p, r.pass.n);
    }
    if (r.has_network)
        pairs_add(out, "net", "%u", r.network);
    if (r.has_addr)
        add_target(out, r.atyp, &r.target);
    if (r.has_tunnel) {
        char hex[2 * RELAY_TUNNEL_ID_BYTES + 1];
        for (size_t i = 0; i < RELAY_TUNNEL_ID_BYTES; i++)
            snprintf(hex + 2 * i, 3, "%02x", r.tunnel[i]);
        pairs_add(out, "tunnel", "%s", hex);
    }
    return RC_OK;
}

static enum rc decode_response(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct relay_response r;
    enum rc rc = relay_parse_response(buf, len, &r, ret_used);
    if (rc != RC_OK)
        return rc;
    pairs_add(out, "status", "%u", r.status);
    if (r.has_addr)
        add_target(out, r.atyp, &r.addr);
    return RC_OK;
}

static enum rc decode_dgram(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct slice payload;
    enum rc rc = relay_parse_dgram(buf, len, &payload, ret_used);
    if (rc == RC_OK) {
        pairs_add(out, "len", "%zu", payload.n);
        pairs_bytes(out, "data", payload.p, payload.n);
    }
    return rc;
}

static enum rc decode_tun(const uint8_t *buf, size_t len, struct pairs *out, size_t *ret_used)
{
    struct udptun_frame f;
    enum rc rc = udptun_parse(buf, len, &f, ret_used);
    if (rc == RC_OK) {
        pairs_add(out, "len", "%u", f.len);
        pairs_add(out, "frag", "%u", f.frag);
        add_target(out, f.atyp, &f.target);
        pairs_bytes(out, "data", f.payload.p, f.payload.n);
    }
    return rc;
}

static enum rc decode(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                      size_t *ret_used)
{
    if (vector_is(v, "relay.assoc.dgram"))
        return decode_tun(buf, len, out, ret_used);
    if (vector_is(v, "relay.udp.dgram") || vector_unit(v, "udplen"))
        return decode_dgram(buf, len, out, ret_used);
    return vector_c2s(v) ? decode_request(buf, len, out, ret_used)
                         : decode_response(buf, len, out, ret_used);
}

/* Vectors that GOST's client would not have written in these very bytes. */
static bool is_canonical(const struct vector *v)
{
    static const char *const odd[] = {"relay.connect.unknown-feature",
                                      "relay.udp.connect-flag-only", "relay.udp.connect-net-only",
                                      "relay.feature."};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        if (vector_is(v, odd[i]))
            return false;
    return true;
}

static bool encode(const struct vector *v, uint8_t *buf, size_t cap, size_t *ret_n)
{
    struct relay_request req;
    struct relay_response resp;
    size_t used;

    if (!is_canonical(v) || vector_is(v, "relay.assoc.dgram") || vector_is(v, "relay.udp.dgram") ||
        vector_unit(v, "udplen"))
        return false;
    if (vector_c2s(v)) {
        ck_assert_int_eq(relay_parse_request(v->bytes, v->n, &req, &used), RC_OK);
        ck_assert_int_eq(relay_format_request(&req, buf, cap, ret_n), RC_OK);
    } else {
        ck_assert_int_eq(relay_parse_response(v->bytes, v->n, &resp, &used), RC_OK);
        ck_assert_int_eq(
            relay_format_response(resp.status, resp.has_addr ? &resp.addr : NULL, buf, cap, ret_n),
            RC_OK);
    }
    return true;
}

static bool is_recorded(const struct vector *v)
{
    return vector_unit(v, "relay") || vector_unit(v, "udplen");
}

static bool is_session(const struct vector *v)
{
    return vector_is(v, "relay-tcp.1") || vector_is(v, "relay-tcp.3") ||
           vector_is(v, "relay-tcp-401.") || vector_is(v, "relay-assoc.1") ||
           vector_is(v, "relay-assoc.2") || vector_is(v, "relay-bind.1") ||
           vector_is(v, "relay-bind.2");
}

START_TEST(test_relay_vectors)
{
    ck_assert_uint_ge(vectors_run("relay.txt", NULL, decode, encode), 50);
}
END_TEST

START_TEST(test_relay_recorded_exchanges)
{
    ck_assert_uint_ge(vectors_run("recorded.txt", is_recorded, decode, encode), 50);
    ck_assert_uint_ge(vectors_run("sessions.txt", is_session, decode, encode), 7);
}
END_TEST

START_TEST(test_relay_keeps_last_of_duplicate_features)
{
    static const uint8_t in[] = {1, 1, 0, 20, 2, 0, 7, 1, 1, 1, 1, 1,
                                 0, 1, 2, 0,  7, 1, 2, 2, 2, 2, 0, 2};
    struct relay_request r;
    size_t used;
    ck_assert_int_eq(relay_parse_request(in, sizeof in, &r, &used), RC_OK);
    ck_assert_uint_eq(r.target.addr.port, 2);
    ck_assert_uint_eq(r.target.addr.ip[0], 2);
}
END_TEST

START_TEST(test_relay_accepts_longest_features)
{
    static uint8_t in[RELAY_MESSAGE_MAX_BYTES] = {1, 1, 0xff, 0xff, 0x7f, 0xff, 0xfc};
    struct relay_request r;
    size_t used = 0;
    ck_assert_int_eq(relay_parse_request(in, sizeof in - 1, &r, &used), RC_AGAIN);
    ck_assert_int_eq(relay_parse_request(in, sizeof in, &r, &used), RC_OK);
    ck_assert_uint_eq(used, sizeof in);
}
END_TEST

START_TEST(test_relay_rejects_name_with_nul)
{
    static const uint8_t in[] = {1, 1, 0, 10, 2, 0, 7, 3, 3, 'a', 0, 'b', 0, 80};
    struct relay_request r;
    size_t used;
    ck_assert_int_eq(relay_parse_request(in, sizeof in, &r, &used), RC_PROTO);
}
END_TEST

START_TEST(test_relay_format_says_when_it_does_not_fit)
{
    char long_text[256];
    memset(long_text, 'x', sizeof long_text);
    struct relay_request r = {.cmd = RELAY_CONNECT,
                              .has_auth = true,
                              .user = {long_text, 255},
                              .pass = {long_text, 255},
                              .udp = true,
                              .has_addr = true};
    memset(r.target.name, 'n', TARGET_NAME_MAX);
    uint8_t buf[RELAY_REQUEST_MAX_BYTES];
    size_t n = 0;
    ck_assert_int_eq(relay_format_request(&r, buf, sizeof buf, &n), RC_OK);
    ck_assert_uint_eq(n, sizeof buf);
    for (size_t cap = 0; cap < sizeof buf; cap++)
        ck_assert_int_eq(relay_format_request(&r, buf, cap, &n), RC_LIMIT);
    r.user.n = 256;
    ck_assert_int_eq(relay_format_request(&r, buf, sizeof buf, &n), RC_INVALID);
}
END_TEST

START_TEST(test_relay_wildcards)
{
    struct target t = {.name = ""};
    uint16_t port = 1;
    ck_assert(hostport_is_wildcard(&t, &port));
    ck_assert_uint_eq(port, 0);
    strcpy(t.name, "0.0.0.0::2222");
    ck_assert(hostport_is_wildcard(&t, &port));
    ck_assert_uint_eq(port, 2222);
    strcpy(t.name, "0.0.0.0::65536");
    ck_assert(!hostport_is_wildcard(&t, &port));
    strcpy(t.name, "0.0.0.0::");
    ck_assert(!hostport_is_wildcard(&t, &port));
    strcpy(t.name, "example.com");
    ck_assert(!hostport_is_wildcard(&t, &port));
    t = (struct target){.addr = addr_v4("\1\2\3\4", 5)};
    ck_assert(!hostport_is_wildcard(&t, &port));
    t = (struct target){.addr = addr_v4("\0\0\0\0", 5)};
    ck_assert(hostport_is_wildcard(&t, &port));
    ck_assert_uint_eq(port, 5);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_relay_vectors,
                                  test_relay_recorded_exchanges,
                                  test_relay_keeps_last_of_duplicate_features,
                                  test_relay_accepts_longest_features,
                                  test_relay_rejects_name_with_nul,
                                  test_relay_format_says_when_it_does_not_fit,
                                  test_relay_wildcards,
                                  NULL};
    return vectors_main("relay", tests);
}
