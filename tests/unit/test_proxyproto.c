/* The PROXY header codec: both versions as HAProxy's proxy-protocol.txt has them, every cut of
 * every header, headers that are wrong, and what is no header at all. */
#include "core/wire/proxyproto.h"
#include "vectors.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define LIT(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct bytes {
    const char *p;
    size_t n;
};

/* Fed in pieces of `step` bytes, behind a first one of `first`. */
static enum rc feed(struct proxyproto *p, struct bytes in, size_t first, size_t step,
                    size_t *ret_used)
{
    enum rc rc = RC_AGAIN;
    size_t at = 0, used = 0;

    proxyproto_init(p);
    for (size_t n = first; rc == RC_AGAIN && at < in.n; n = step) {
        if (n > in.n - at)
            n = in.n - at;
        rc = proxyproto_feed(p, in.p + at, n, &used);
        ck_assert_uint_le(used, n);
        ck_assert(rc != RC_AGAIN || used == n);
        at += used;
    }
    *ret_used = at;
    return rc;
}

static void expect_addr(const struct addr *a, const char *text)
{
    char buf[ADDR_TEXT_MAX];
    ck_assert_str_eq(addr_format(a, buf, sizeof buf), text);
}

/* The same outcome for each cut, and never a byte behind the header. */
static void expect(struct bytes header, enum proxyproto_outcome outcome, const char *source,
                   const char *dest)
{
    char with_more[1024];
    struct bytes in = {with_more, header.n + 3};
    struct proxyproto p;
    size_t used;

    ck_assert_uint_lt(in.n, sizeof with_more);
    memcpy(with_more, header.p, header.n);
    memcpy(with_more + header.n, "abc", 3);
    for (size_t first = 1; first <= in.n; first++)
        for (size_t step = 1; step <= in.n; step += step < 4 ? 1 : 37) {
            ck_assert_int_eq(feed(&p, in, first, step, &used), RC_OK);
            ck_assert_uint_eq(used, header.n);
            ck_assert_int_eq(p.outcome, outcome);
            ck_assert(proxyproto_is_header(&p));
            if (outcome == PROXYPROTO_ANNOUNCED) {
                expect_addr(&p.source, source);
                expect_addr(&p.dest, dest);
            }
        }
    for (size_t cut = 0; cut < header.n; cut++) /* each truncation waits */
        ck_assert_int_eq(feed(&p, (struct bytes){header.p, cut}, 1, 7, &used), RC_AGAIN);
}

static void expect_bad(struct bytes in, const char *why)
{
    struct proxyproto p;
    size_t used, used_at_once;

    ck_assert_int_eq(feed(&p, in, in.n, 1, &used_at_once), RC_PROTO);
    for (size_t first = 1; first <= in.n; first++) {
        ck_assert_int_eq(feed(&p, in, first, 1, &used), RC_PROTO);
        ck_assert_uint_eq(used, used_at_once);
        ck_assert(proxyproto_is_header(&p));
        ck_assert_msg(strstr(p.why, why) != NULL, "\"%s\" is not about \"%s\"", p.why, why);
    }
}

START_TEST(test_lines)
{
    static const struct {
        struct bytes in;
        enum proxyproto_outcome outcome;
        const char *source, *dest;
    } v[] = {
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), PROXYPROTO_ANNOUNCED,
         "192.0.2.7:56324", "198.51.100.1:443"},
        {LIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), PROXYPROTO_ANNOUNCED,
         "255.255.255.255:65535", "255.255.255.255:65535"},
        {LIT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), PROXYPROTO_ANNOUNCED, "0.0.0.0:0", "0.0.0.0:0"},
        {LIT("PROXY TCP6 2001:db8::7 2001:DB8::1 1 2\r\n"), PROXYPROTO_ANNOUNCED, "[2001:db8::7]:1",
         "[2001:db8::1]:2"},
        {LIT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         PROXYPROTO_ANNOUNCED, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {LIT("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n"), PROXYPROTO_ANNOUNCED,
         "192.0.2.7:1", "[2001:db8::1]:2"},
        {LIT("PROXY UNKNOWN\r\n"), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT("PROXY UNKNOWN ffff:f...f:ffff \r 7\r\n"), PROXYPROTO_NOBODY, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        expect(v[i].in, v[i].outcome, v[i].source, v[i].dest);
}
END_TEST

START_TEST(test_a_line_has_107_bytes_at_most)
{
    char line[108];
    struct bytes most = {line, 107};

    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    expect(most, PROXYPROTO_NOBODY, NULL, NULL);
    memcpy(line + 105, "x\r\n", 3);
    most.n = 108;
    expect_bad(most, "longer than 107");
}
END_TEST

START_TEST(test_wrong_lines)
{
    static const struct {
        struct bytes in;
        const char *why;
    } v[] = {
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n"), "CR LF"},
        {LIT("PROXY \n"), "CR LF"},
        {LIT("PROXY \r\n"), "family"},
        {LIT("PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n"), "family"},
        {LIT("PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n"), "family"},
        {LIT("PROXY UNKNOWNS\r\n"), "family"},
        {LIT("PROXY TCP4\r\n"), "source address"},
        {LIT("PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n"), "source address"},
        {LIT("PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n"), "source address"},
        {LIT("PROXY TCP6 fe80::1%1 fe80::2 1 2\r\n"), "source address"},
        {LIT("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n"), "source address"},
        {LIT("PROXY TCP4 192.0.2.777 198.51.100.1 1 2\r\n"), "source address"},
        {LIT("PROXY TCP4 name.test 198.51.100.1 1 2\r\n"), "source address"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100 1 2\r\n"), "destination address"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n"), "source port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n"), "source port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n"), "source port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n"), "destination port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n"), "destination port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n"), "destination port"},
        {LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 000002\r\n"), "destination port"},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        expect_bad(v[i].in, v[i].why);
}
END_TEST

#define V4    "\xc0\x00\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb"
#define V6A   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6B   "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define V6    V6A V6B "\xdc\x04\x01\xbb"
#define UNIX  V6 V6 V6 V6 V6 V6 /* 216 bytes, whatever is in them */
#define NOOP3 "\x04\0\0"

START_TEST(test_binary)
{
    static const struct {
        struct bytes in;
        enum proxyproto_outcome outcome;
        const char *source, *dest;
    } v[] = {
        {LIT(SIG "\x21\x11\0\x0c" V4), PROXYPROTO_ANNOUNCED, "192.0.2.7:56324", "198.51.100.1:443"},
        {LIT(SIG "\x21\x12\0\x0c" V4), PROXYPROTO_ANNOUNCED, "192.0.2.7:56324", "198.51.100.1:443"},
        {LIT(SIG "\x21\x21\0\x24" V6), PROXYPROTO_ANNOUNCED, "[2001:db8::7]:56324",
         "[2001:db8::1]:443"},
        {LIT(SIG "\x21\x11\0\x0f" V4 NOOP3), PROXYPROTO_ANNOUNCED, "192.0.2.7:56324",
         "198.51.100.1:443"},
        {LIT(SIG "\x21\x11\0\x19" V4 "\x02\0\x04name" NOOP3 NOOP3), PROXYPROTO_ANNOUNCED,
         "192.0.2.7:56324", "198.51.100.1:443"},
        /* the checksum, alone and between other TLVs; computed apart from this code */
        {LIT(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\x54\x8e\x28\xff"), PROXYPROTO_ANNOUNCED,
         "192.0.2.7:56324", "198.51.100.1:443"},
        {LIT(SIG "\x21\x11\0\x1d" V4 "\x02\0\x04name\x03\0\x04\x16\x7b\xa8\x72" NOOP3),
         PROXYPROTO_ANNOUNCED, "192.0.2.7:56324", "198.51.100.1:443"},
        {LIT(SIG "\x20\0\0\0"), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x20\x11\0\x0c" V4), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x20\xff\0\x02zz"), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x21\0\0\0"), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x21\0\0\x02zz"), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x21\x31\0\xd8" UNIX), PROXYPROTO_NOBODY, NULL, NULL},
        {LIT(SIG "\x21\x31\0\xdb" UNIX NOOP3), PROXYPROTO_NOBODY, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        expect(v[i].in, v[i].outcome, v[i].source, v[i].dest);
}
END_TEST

START_TEST(test_wrong_binary)
{
    static const struct {
        struct bytes in;
        const char *why;
    } v[] = {
        {LIT(SIG "\x11\x11\0\x0c"), "version"},
        {LIT(SIG "\x22\x11\0\x0c"), "command"},
        {LIT(SIG "\x21\x41\0\x0c"), "unknown"},
        {LIT(SIG "\x21\x13\0\x0c"), "unknown"},
        {LIT(SIG "\x21\x11\0\x0b"), "too short"},
        {LIT(SIG "\x21\x21\0\x23"), "too short"},
        {LIT(SIG "\x21\x31\0\xd7"), "too short"},
        {LIT(SIG "\x21\x11\0\x0e" V4), "cut"},
        {LIT(SIG "\x21\x11\0\x0f" V4 "\x02\0\x01"), "longer"},
        {LIT(SIG "\x21\x11\0\x13" V4 "\x02\xff\xffname"), "longer"},
        {LIT(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\x54\x8e\x28\xfe"), "checksum is wrong"},
        {LIT(SIG "\x21\x11\0\x12" V4 "\x03\0\x03\x54\x8e\x28"), "four bytes"},
        {LIT(SIG "\x21\x11\0\x1a" V4 "\x03\0\x04\x54\x8e\x28\xff\x03\0\x04"), "four bytes"},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        expect_bad(v[i].in, v[i].why);
}
END_TEST

/* The longest there is, of one TLV, takes no memory and ends where it says. */
START_TEST(test_longest_binary)
{
    static char buf[PROXYPROTO_HEADER_MAX_BYTES + 1];
    static const char head[] = SIG "\x21\x11\xff\xff" V4 "\x05\xff\xf0";
    struct bytes in = {buf, sizeof buf};
    struct proxyproto p;
    size_t used;

    memcpy(buf, head, sizeof head - 1);
    ck_assert_int_eq(feed(&p, in, 5, 1000, &used), RC_OK);
    ck_assert_uint_eq(used, PROXYPROTO_HEADER_MAX_BYTES);
    ck_assert_int_eq(p.outcome, PROXYPROTO_ANNOUNCED);
}
END_TEST

START_TEST(test_no_header)
{
    static const struct {
        struct bytes in;
        size_t kept; /* taken before it was clear */
    } v[] = {
        {LIT("GET / HTTP/1.1\r\n"), 0},
        {LIT("\x05\x01\0"), 0},
        {LIT("\x16\x03\x01"), 0},
        {LIT("POST / HTTP/1.1\r\n"), 1},
        {LIT("PRI * HTTP/2.0\r\n"), 2},
        {LIT("PROXYTCP4 192.0.2.7"), 5},
        {LIT("PROXY\r\n"), 5},
        {LIT("\r\nGET / HTTP/1.1"), 2},
        {LIT("\r\n\r\n\0\r\nQUIT\r"), 11},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        for (size_t first = 1; first <= v[i].in.n; first++) {
            struct proxyproto p;
            size_t used;
            ck_assert_int_eq(feed(&p, v[i].in, first, 1, &used), RC_OK);
            ck_assert_int_eq(p.outcome, PROXYPROTO_NONE);
            ck_assert(!proxyproto_is_header(&p));
            ck_assert_uint_eq(used, v[i].kept);
            ck_assert_uint_eq(p.n_kept, v[i].kept);
            ck_assert_mem_eq(p.kept, v[i].in.p, p.n_kept);
        }
}
END_TEST

/* From which byte on is it a header? Until then a silence may still mean that there is none. */
START_TEST(test_when_it_is_a_header)
{
    static const struct {
        struct bytes in;
        size_t sure;
    } v[] = {{LIT("PROXY TCP4 1"), 6}, {LIT(SIG "\x21\x11"), 12}};

    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        for (size_t n = 0; n <= v[i].in.n; n++) {
            struct proxyproto p;
            size_t used;
            ck_assert_int_eq(feed(&p, (struct bytes){v[i].in.p, n}, 1, 1, &used), RC_AGAIN);
            ck_assert_int_eq(proxyproto_is_header(&p), n >= v[i].sure);
        }
}
END_TEST

static struct addr addr_of(const char *text)
{
    struct addr a = {.family = 0};
    ck_assert(!*text || addr_parse(text, &a));
    return a;
}

START_TEST(test_sent)
{
    static const struct {
        int64_t version;
        const char *source, *dest;
        struct bytes out;
    } v[] = {
        {1, "192.0.2.7:56324", "198.51.100.1:443",
         LIT("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n")},
        {1, "[2001:db8::7]:56324", "[2001:db8::1]:443",
         LIT("PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n")},
        {1, "[fe80::7%3]:1", "[fe80::8%3]:2", LIT("PROXY TCP6 fe80::7 fe80::8 1 2\r\n")},
        {1, "[::ffff:192.0.2.7]:1", "198.51.100.1:2",
         LIT("PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n")},
        {1, "192.0.2.7:56324", "[2001:db8::1]:443", LIT("PROXY UNKNOWN\r\n")},
        {1, "", "198.51.100.1:443", LIT("PROXY UNKNOWN\r\n")},
        {1, "192.0.2.7:56324", "", LIT("PROXY UNKNOWN\r\n")},
        {2, "192.0.2.7:56324", "198.51.100.1:443", LIT(SIG "\x21\x11\0\x0c" V4)},
        {2, "[2001:db8::7]:56324", "[2001:db8::1]:443", LIT(SIG "\x21\x21\0\x24" V6)},
        {2, "192.0.2.7:56324", "[2001:db8::1]:443", LIT(SIG "\x20\0\0\0")},
        {2, "", "", LIT(SIG "\x20\0\0\0")},
        {3, "192.0.2.7:56324", "198.51.100.1:443", LIT(SIG "\x21\x11\0\x0c" V4)},
    };
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        uint8_t out[PROXYPROTO_LINE_MAX_BYTES];
        struct addr source = addr_of(v[i].source), dest = addr_of(v[i].dest);
        ck_assert_uint_eq(proxyproto_format(v[i].version, &source, &dest, out), v[i].out.n);
        ck_assert_mem_eq(out, v[i].out.p, v[i].out.n);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_lines,        test_a_line_has_107_bytes_at_most,
                                  test_wrong_lines,  test_binary,
                                  test_wrong_binary, test_longest_binary,
                                  test_no_header,    test_when_it_is_a_header,
                                  test_sent,         NULL};
    return vectors_main("proxyproto", tests);
}
