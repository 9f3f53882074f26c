/* tests/unit/test_sniff.c - names in the first bytes of streams: the vectors, whole, cut everywhere
 * and byte by byte; hellos made here, cut into records of every size. */
#include "sniff/http.h"
#include "sniff/sniff.h"
#include "sniff/tls.h"
#include "tests/unit/hello.h"
#include "tests/unit/vectors.h"

/* ---------------------------------------------------------------- vectors */

static void add_hello(struct pairs *out, const struct tls_hello *h)
{
    char versions[64] = "";
    size_t at = 0;

    for (unsigned i = 0; i < h->n_versions; i++)
        at += (size_t)snprintf(versions + at, sizeof versions - at, "%s%04x", i ? "," : "",
                               h->versions[i]);
    pairs_bytes(out, "sni", h->name, strlen(h->name));
    pairs_add(out, "alpn", "%s", h->alpn);
    pairs_add(out, "ver", "%s", versions);
    pairs_add(out, "ech", "%d", h->ech);
}

/* What the entry says must be what the parser says. */
static void check_entry(const uint8_t *buf, size_t n, enum rc rc, const char *name)
{
    struct sniffed found = {.proto = SNIFF_QUIC};
    enum rc same = sniff_stream(buf, n, &found);

    ck_assert_int_eq(same, rc);
    if (rc != RC_OK)
        return;
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    ck_assert_uint_eq(strlen(found.name), len);
    ck_assert(strncmp(found.name, name, len) == 0);
}

static enum rc decode_tls(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                          size_t *ret_used)
{
    struct tls_hello h;
    enum rc rc = tls_hello_records(buf, len, &h, ret_used);
    (void)v;
    if (len > 0 && buf[0] == 0x16)
        check_entry(buf, len, rc, rc == RC_OK ? h.name : "");
    if (rc == RC_OK)
        add_hello(out, &h);
    return rc;
}

START_TEST(test_tls_vectors)
{
    ck_assert_uint_ge(vectors_run("sniff-tls.txt", NULL, decode_tls, NULL), 35);
}
END_TEST

static enum rc decode_http(const struct vector *v, const uint8_t *buf, size_t len,
                           struct pairs *out, size_t *ret_used)
{
    struct http_request req;
    enum rc rc = http_request_parse(buf, len, &req, ret_used);
    (void)v;
    if (len > 0)
        check_entry(buf, len, rc, rc == RC_OK ? req.host : "");
    if (rc != RC_OK)
        return rc;
    pairs_add(out, "method", "%s", req.method);
    pairs_bytes(out, "host", req.host, strlen(req.host));
    pairs_add(out, "port", "%u", req.port);
    pairs_add(out, "proto", "%s", req.h2 ? "h2" : "http");
    return rc;
}

static bool is_http(const struct vector *v)
{
    return !vector_is(v, "ssh.");
}

static enum rc decode_ssh(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                          size_t *ret_used)
{
    struct sniffed found;
    enum rc rc = sniff_stream(buf, len, &found);
    (void)v;
    if (rc != RC_OK)
        return rc;
    *ret_used = 5; /* what it goes by */
    pairs_add(out, "proto", "%s", sniff_proto_name(found.proto));
    return RC_OK;
}

static bool is_ssh(const struct vector *v)
{
    return vector_is(v, "ssh.");
}

START_TEST(test_http_vectors)
{
    ck_assert_uint_ge(vectors_run("sniff-http.txt", is_http, decode_http, NULL), 24);
    ck_assert_uint_eq(vectors_run("sniff-http.txt", is_ssh, decode_ssh, NULL), 1);
}
END_TEST

/* Grown byte by byte, the first answer must be the one for all bytes, and stay. */
static void grows_alike(const uint8_t *bytes, size_t n)
{
    struct sniffed whole = {0}, part = {0};
    enum rc rc = sniff_stream(bytes, n, &whole);
    bool decided = false;

    for (size_t i = 1; i <= n; i++) {
        uint8_t *exact = malloc(i);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, bytes, i);
        enum rc now = sniff_stream(exact, i, &part);
        free(exact);
        ck_assert(!decided || now == rc);
        decided = decided || now != RC_AGAIN;
    }
    ck_assert(rc == RC_AGAIN ? !decided : decided);
    if (rc == RC_OK)
        ck_assert(memcmp(&whole, &part, sizeof whole) == 0);
}

static enum rc grow(const struct vector *v, const uint8_t *buf, size_t len, struct pairs *out,
                    size_t *ret_used)
{
    (void)v;
    (void)out;
    (void)ret_used;
    grows_alike(buf, len);
    return RC_INVALID;
}

static bool grow_only(const struct vector *v)
{
    struct pairs none = {.n = 0};
    size_t used;
    if (v->n > 0)
        (void)grow(v, v->bytes, v->n, &none, &used);
    return false;
}

START_TEST(test_any_split_gives_the_same)
{
    ck_assert_uint_eq(vectors_run("sniff-tls.txt", grow_only, decode_tls, NULL), 0);
    ck_assert_uint_eq(vectors_run("sniff-http.txt", grow_only, decode_http, NULL), 0);
}
END_TEST

/* ---------------------------------------------------------------- hellos of ours */

static uint8_t message[70000], wire[120000];

static enum rc sniff_hello(const struct hello *h, size_t record, struct sniffed *ret_found)
{
    size_t n = hello_message(h, message, sizeof message);
    size_t all = hello_records(message, n, record, wire, sizeof wire);

    grows_alike(wire, all < 3000 ? all : 3000);
    return sniff_stream(wire, all, ret_found);
}

START_TEST(test_hello_in_records_of_every_size)
{
    struct hello h = {.name = "www.example.com", .alpn = "h2", .pad = 1800};
    size_t n = hello_message(&h, message, sizeof message);

    for (size_t record = 1; record <= n; record += 1 + record / 8) {
        struct sniffed found;
        ck_assert_int_eq(sniff_hello(&h, record, &found), RC_OK);
        ck_assert_int_eq(found.proto, SNIFF_TLS);
        ck_assert_str_eq(found.name, "www.example.com");
        ck_assert_uint_eq(found.port, 443);
    }
}
END_TEST

START_TEST(test_hello_up_to_16_kib)
{
    struct hello h = {.name = "big.example.com"};
    struct sniffed found;
    size_t bare = hello_message(&h, message, sizeof message) + 4;

    h.pad = 16384 - bare;
    ck_assert_uint_eq(hello_message(&h, message, sizeof message), 16384);
    ck_assert_int_eq(sniff_hello(&h, 16384, &found), RC_OK);
    ck_assert_str_eq(found.name, "big.example.com");
    ck_assert_int_eq(sniff_hello(&h, 100, &found), RC_OK);
    h.pad++;
    ck_assert_int_eq(sniff_hello(&h, 16384, &found), RC_PROTO);
    h.pad = 65000;
    ck_assert_int_eq(sniff_hello(&h, 16384, &found), RC_PROTO);
}
END_TEST

/* A hello whose bytes are all there in form, but in so many records that the cap comes first. */
START_TEST(test_cap_counts_as_unknown)
{
    struct hello h = {.name = "tiny.example.com", .pad = 6000};
    struct sniffed found;
    size_t n = hello_message(&h, message, sizeof message);
    size_t all = hello_records(message, n, 1, wire, sizeof wire);

    ck_assert_uint_gt(all, SNIFF_MAX_BYTES);
    ck_assert_int_eq(sniff_stream(wire, SNIFF_MAX_BYTES - 1, &found), RC_AGAIN);
    ck_assert_int_eq(sniff_stream(wire, SNIFF_MAX_BYTES, &found), RC_PROTO);
    ck_assert_int_eq(sniff_stream(wire, all, &found), RC_PROTO);
}
END_TEST

START_TEST(test_names_of_hellos)
{
    static const struct {
        const char *sent, *name;
        enum rc rc;
    } cases[] = {
        {"example.com", "example.com", RC_OK},
        {"EXAMPLE.Com.", "EXAMPLE.Com", RC_OK},
        {"192.0.2.1", "", RC_OK},
        {"2001:db8::1", "", RC_OK},
        {"a b", "", RC_PROTO},
        {"caf\xc3\xa9.example", "", RC_PROTO},
        {"_sip.x_y.example", "_sip.x_y.example", RC_OK},
    };
    struct sniffed found;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello h = {.name = cases[i].sent};
        ck_assert_int_eq(sniff_hello(&h, 16384, &found), cases[i].rc);
        if (cases[i].rc == RC_OK)
            ck_assert_str_eq(found.name, cases[i].name);
    }
    char long_name[257];
    memset(long_name, 'a', 256);
    long_name[255] = '\0';
    ck_assert_int_eq(sniff_hello(&(struct hello){.name = long_name}, 16384, &found), RC_OK);
    ck_assert_uint_eq(strlen(found.name), 255);
    long_name[255] = 'a';
    long_name[256] = '\0';
    ck_assert_int_eq(sniff_hello(&(struct hello){.name = long_name}, 16384, &found), RC_PROTO);
}
END_TEST

START_TEST(test_hello_extras)
{
    struct tls_hello t;
    size_t used, n;

    n = hello_message(&(struct hello){.name = "first.example", .second_name = "second.example"},
                      message, sizeof message);
    ck_assert_int_eq(tls_hello_message(message, n, &t, &used), RC_OK);
    ck_assert_str_eq(t.name, "first.example");
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(tls_hello_message(message, i, &t, &used), RC_AGAIN);
    n = hello_message(
        &(struct hello){.name = "public.example", .ech = true, .grease = true, .alpn = "http/1.1"},
        message, sizeof message);
    ck_assert_int_eq(tls_hello_message(message, n, &t, &used), RC_OK);
    ck_assert(t.ech);
    ck_assert_str_eq(t.alpn, "http/1.1");
}
END_TEST

/* Every length field one too big and one too small: refused, or read without harm. */
START_TEST(test_each_byte_of_a_hello_changed)
{
    struct hello h = {.name = "www.example.com", .alpn = "h2", .grease = true};
    size_t n = hello_message(&h, message, sizeof message);
    size_t all = hello_records(message, n, 60, wire, sizeof wire);

    for (size_t i = 0; i < all; i++)
        for (int d = -1; d <= 1; d += 2) {
            uint8_t *exact = malloc(all);
            struct sniffed found;
            ck_assert_ptr_nonnull(exact);
            memcpy(exact, wire, all);
            exact[i] = (uint8_t)(exact[i] + d);
            (void)sniff_stream(exact, all, &found);
            free(exact);
        }
}
END_TEST

/* ---------------------------------------------------------------- HTTP and the rest */

static enum rc sniff_text(const char *text, struct sniffed *ret_found)
{
    grows_alike((const uint8_t *)text, strlen(text));
    return sniff_stream(text, strlen(text), ret_found);
}

START_TEST(test_what_only_looks_like_something)
{
    static const char *const unknown[] = {
        "GETTING nowhere\n\n",  "GET nowhere\r\n", "Z",
        "*1\r\n$4\r\nPING\r\n", "HELO there\r\n",  "get / HTTP/1.1\r\n",
        "PRI * HTTP/3.0\r\n",   "SSH-1",           "\x16\x03\x01",
        "\x17\x03\x03",
    };
    struct sniffed found;

    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(sniff_text(unknown[i], &found), RC_PROTO);
    ck_assert_int_eq(sniff_text(unknown[8], &found), RC_AGAIN);
    ck_assert_int_eq(found.proto, SNIFF_TLS);
    ck_assert_int_eq(sniff_text(unknown[9], &found), RC_PROTO);
    ck_assert_int_eq(sniff_stream("\x16\x03\x01\0\x05hello", 10, &found), RC_PROTO);
    ck_assert_int_eq(sniff_stream("", 0, &found), RC_AGAIN);
    ck_assert_int_eq(found.proto, SNIFF_UNKNOWN);
}
END_TEST

START_TEST(test_http_head_over_the_cap)
{
    static char head[40000];
    struct sniffed found;
    size_t n = (size_t)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a.example\r\nX: ");

    memset(head + n, 'x', sizeof head - n);
    ck_assert_int_eq(sniff_stream(head, 16383, &found), RC_AGAIN);
    ck_assert_int_eq(sniff_stream(head, 16384, &found), RC_PROTO);
    ck_assert_int_eq(sniff_stream(head, sizeof head, &found), RC_PROTO);
}
END_TEST

START_TEST(test_http_names_and_ports)
{
    static const struct {
        const char *head, *name;
        unsigned port;
    } good[] = {
        {"GET / HTTP/1.1\r\nhOsT:Example.com:8080\r\n\r\n", "Example.com", 8080},
        {"GET https://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", "a.example", 443},
        {"CONNECT c.example:8443 HTTP/1.1\r\n\r\n", "c.example", 8443},
        {"GET / HTTP/1.1\r\nHost: 192.0.2.7\r\n\r\n", "192.0.2.7", 80},
        {"GET / HTTP/1.1\r\nHost: dot.example.\r\n\r\n", "dot.example", 80},
        {"GET / HTTP/1.1\r\nHost: .\r\n\r\n", "", 0},
        {"GET / HTTP/1.0\r\n\r\nbody", "", 0},
    };
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\nHost: caf\xc3\xa9.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example:0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example:-1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon here\r\n\r\n",
    };
    struct sniffed found;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_int_eq(sniff_text(good[i].head, &found), RC_OK);
        ck_assert_int_eq(found.proto, SNIFF_HTTP);
        ck_assert_str_eq(found.name, good[i].name);
        ck_assert_uint_eq(found.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(sniff_text(bad[i], &found), RC_PROTO);
}
END_TEST

START_TEST(test_targets_of_names)
{
    static const struct {
        const char *name, *target;
    } cases[] = {
        {"example.com", "example.com:8443"},
        {"198.51.100.7", "198.51.100.7:8443"},
        {"2001:db8::7", "[2001:db8::7]:8443"},
        {"", NULL},
        {"localhost", NULL},
        {"a.LOCALHOST", NULL},
        {"notlocalhost", "notlocalhost:8443"},
        {"127.0.0.1", NULL},
        {"::1", NULL},
        {"::ffff:127.0.0.1", NULL},
        {"0.0.0.0", NULL},
        {"169.254.169.254", NULL},
        {"fe80::1", NULL},
        {"224.0.0.1", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sniffed found = {.proto = SNIFF_HTTP, .port = 80};
        struct target t, rule;
        char text[TARGET_TEXT_MAX];
        ck_assert(target_parse("203.0.113.10:8443", &t));
        snprintf(found.name, sizeof found.name, "%s", cases[i].name);
        sniffed_rule_target(&found, &t, &rule);
        ck_assert_uint_eq(rule.addr.port, cases[i].name[0] ? 80 : 8443);
        ck_assert_int_eq(sniffed_target(&found, &t), cases[i].target != NULL);
        ck_assert_str_eq(target_format(&t, text, sizeof text),
                         cases[i].target ? cases[i].target : "203.0.113.10:8443");
    }
}
END_TEST

int main(void)
{
    static const TTest *tests[16];
    size_t n = 0;

    tests[n++] = test_tls_vectors;
    tests[n++] = test_http_vectors;
    tests[n++] = test_any_split_gives_the_same;
    tests[n++] = test_hello_in_records_of_every_size;
    tests[n++] = test_hello_up_to_16_kib;
    tests[n++] = test_cap_counts_as_unknown;
    tests[n++] = test_names_of_hellos;
    tests[n++] = test_hello_extras;
    tests[n++] = test_each_byte_of_a_hello_changed;
    tests[n++] = test_what_only_looks_like_something;
    tests[n++] = test_http_head_over_the_cap;
    tests[n++] = test_http_names_and_ports;
    tests[n++] = test_targets_of_names;
    return vectors_main("sniff", tests);
}
