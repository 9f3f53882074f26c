/* tests/unit/test_sniff_quic.c - QUIC: the RFCs' keys, the vectors, hellos cut into frames, packets
 * and datagrams in every order; what is damaged. */
#include "sniff/quic.h"
#include "tests/unit/hello.h"
#include "tests/unit/quicinitial.h"
#include "tests/unit/vectors.h"

static const char dcid[] = "\x83\x94\xc8\xf0\x3e\x51\x57\x08";
static uint8_t message[20000], flight[16][20000];
static size_t n_flight[16];

static size_t hex(const char *text, uint8_t *out)
{
    size_t n = strlen(text) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static void is_hex(const uint8_t *got, const char *text)
{
    uint8_t want[64];

    ck_assert(memcmp(got, want, hex(text, want)) == 0);
}

START_TEST(test_keys_of_the_rfcs)
{
    struct slice id = {dcid, 8};
    struct quic_keys k;

    ck_assert(quic_client_keys(QUIC_V1, id, &k)); /* RFC 9001 A.1 */
    is_hex(k.secret, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
    is_hex(k.key, "1f369613dd76d5467730efcbe3b1a22d");
    is_hex(k.iv, "fa044b2f42a3fd3b46fb255c");
    is_hex(k.hp, "9f50449e04a0e810283a1e9933adedd2");
    ck_assert(quic_client_keys(QUIC_V2, id, &k)); /* RFC 9369 A.1 */
    is_hex(k.secret, "14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b");
    is_hex(k.key, "8b1a0bc121284290a29e0971b5cd045d");
    is_hex(k.iv, "91f73e2351d8fa91660e909f");
    is_hex(k.hp, "45b95e15235d6f45a6b19cbcb0294ba9");
    ck_assert(!quic_client_keys(0xff00001d, id, &k));
}
END_TEST

static enum rc sniff_all(unsigned n, struct sniffed *ret_found)
{
    static struct quic_hello q;
    enum rc rc = RC_AGAIN;

    quic_hello_start(&q);
    for (unsigned i = 0; i < n && rc == RC_AGAIN; i++) {
        uint8_t *exact = malloc(n_flight[i] ? n_flight[i] : 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, flight[i], n_flight[i]);
        rc = quic_hello_add(&q, exact, n_flight[i], ret_found);
        free(exact);
    }
    return rc;
}

/* The vectors: frames are protected here, packets are as they are. */
static bool decode(const struct vector *v)
{
    bool frames = vector_is(v, "quic.crypto"), ok = strncmp(v->expect, "ok", 2) == 0;
    struct quic_initial initial = {.version = QUIC_V1, .dcid = dcid};
    struct sniffed found;
    char want[300];

    if (vector_is(v, "quic.v1.dcid") || vector_is(v, "quic.v1.keys"))
        return false;
    if (frames) {
        n_flight[0] = quic_seal(&initial, v->bytes, v->n, flight[0], sizeof flight[0]);
    } else {
        memcpy(flight[0], v->bytes, v->n);
        n_flight[0] = v->n;
    }
    enum rc rc = sniff_all(1, &found);
    ck_assert_msg(rc == (ok ? RC_OK : RC_PROTO), "%s: rc %d", v->name, (int)rc);
    if (!ok)
        return true;
    snprintf(want, sizeof want, ";sni=%s;", found.name);
    ck_assert_msg(strstr(v->expect, want) != NULL, "%s: %s", v->name, found.name);
    ck_assert_int_eq(found.proto, SNIFF_QUIC);
    ck_assert_uint_eq(found.port, 443);
    for (size_t cut = 0; !frames && cut < v->n; cut++) {
        n_flight[0] = cut;
        ck_assert_int_eq(sniff_all(1, &found), RC_PROTO);
    }
    return true;
}

static unsigned n_vectors;

static bool pick(const struct vector *v)
{
    n_vectors += decode(v);
    return false;
}

START_TEST(test_vectors)
{
    (void)vectors_run("sniff-quic.txt", pick, NULL, NULL);
    ck_assert_uint_ge(n_vectors, 8);
}
END_TEST

/* The hello in `pieces` CRYPTO frames; frame i goes to datagram i % datagrams, or backwards. */
static void make_flight(const struct hello *h, uint32_t version, unsigned pieces,
                        unsigned datagrams, bool backwards)
{
    static uint8_t frames[20000];
    size_t n = hello_message(h, message, sizeof message);

    for (unsigned d = 0; d < datagrams; d++) {
        struct quic_initial initial = {
            .version = version, .dcid = dcid, .number = d, .token = d * 40, .least = 1200};
        struct wr w = wr_init(frames, sizeof frames);
        quic_put(wr_u8(&w, 1)); /* PING */
        for (unsigned k = 0; k < pieces; k++) {
            unsigned i = backwards ? pieces - 1 - k : k;
            if (i % datagrams == d)
                quic_put_crypto(&w, message, n * i / pieces, n * (i + 1) / pieces - n * i / pieces);
        }
        quic_put(wr_bytes(&w, "\x02\x05\x00\x00\x00", 5)); /* ACK */
        n_flight[d] = quic_seal(&initial, frames, wr_used(&w), flight[d], sizeof flight[d]);
    }
}

static void swap_datagrams(unsigned a, unsigned b)
{
    static uint8_t t[sizeof flight[0]];
    size_t n = n_flight[a];

    memcpy(t, flight[a], n);
    memcpy(flight[a], flight[b], n_flight[b]);
    memcpy(flight[b], t, n);
    n_flight[a] = n_flight[b];
    n_flight[b] = n;
}

START_TEST(test_any_split_gives_the_same)
{
    struct hello h = {.name = "www.example.com", .alpn = "h3", .pad = 1800, .grease = true};
    struct sniffed found;

    for (int v = 0; v < 2; v++)
        for (unsigned pieces = 1; pieces <= 40; pieces += 3)
            for (unsigned datagrams = 1; datagrams <= 5 && datagrams <= pieces; datagrams++)
                for (int order = 0; order < 3; order++) {
                    make_flight(&h, v ? QUIC_V2 : QUIC_V1, pieces, datagrams, order == 1);
                    if (order == 2 && datagrams > 1)
                        swap_datagrams(0, datagrams - 1);
                    ck_assert_int_eq(sniff_all(datagrams, &found), RC_OK);
                    ck_assert_str_eq(found.name, "www.example.com");
                    ck_assert_int_eq(sniff_all(datagrams - 1, &found), RC_AGAIN);
                }
}
END_TEST

START_TEST(test_coalesced_packets)
{
    struct hello h = {.name = "www.example.com"};
    struct sniffed found;
    /* a 0-RTT packet of no bytes worth reading */
    uint8_t early[] = {0xd0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, [35] = 0};

    make_flight(&h, QUIC_V1, 6, 2, true);
    memcpy(flight[0] + n_flight[0], flight[1], n_flight[1]);
    n_flight[0] += n_flight[1];
    ck_assert_int_eq(sniff_all(1, &found), RC_OK);
    ck_assert_str_eq(found.name, "www.example.com");

    make_flight(&h, QUIC_V1, 1, 1, false);
    memcpy(flight[1], flight[0], n_flight[1] = n_flight[0]);
    memcpy(flight[0], early, n_flight[0] = sizeof early);
    ck_assert_int_eq(sniff_all(1, &found), RC_AGAIN);
    ck_assert_int_eq(sniff_all(2, &found), RC_OK);
    memcpy(flight[0] + sizeof early, flight[1], n_flight[1]);
    n_flight[0] = sizeof early + n_flight[1];
    ck_assert_int_eq(sniff_all(1, &found), RC_OK);

    /* what comes behind a packet is not our business */
    make_flight(&h, QUIC_V1, 1, 1, false);
    memset(flight[0] + n_flight[0], 0xff, 100);
    n_flight[0] += 100;
    ck_assert_int_eq(sniff_all(1, &found), RC_OK);
}
END_TEST

START_TEST(test_others_are_passed_over)
{
    struct hello h = {.name = "www.example.com"};
    struct quic_initial other = {
        .version = QUIC_V1, .dcid = "another!", .number = 1, .least = 1200};
    struct sniffed found;
    uint8_t frame[] = {6, 0, 4, 'n', 'o', 'n', 'o'};

    make_flight(&h, QUIC_V1, 4, 2, false);
    memcpy(flight[2], flight[1], n_flight[2] = n_flight[1]);
    n_flight[1] = quic_seal(&other, frame, sizeof frame, flight[1], sizeof flight[1]);
    ck_assert_int_eq(sniff_all(3, &found), RC_OK);
    ck_assert_str_eq(found.name, "www.example.com");
    other.dcid = dcid;
    n_flight[1] = quic_seal(&other, frame, 0, flight[1], sizeof flight[1]);
    flight[1][n_flight[1] - 1] ^= 1; /* damaged */
    ck_assert_int_eq(sniff_all(3, &found), RC_OK);
    /* as the first it decides */
    swap_datagrams(0, 1);
    ck_assert_int_eq(sniff_all(3, &found), RC_PROTO);
}
END_TEST

static enum rc sniff_frames(const void *frames, size_t n)
{
    struct quic_initial initial = {.version = QUIC_V1, .dcid = dcid, .least = 1200};
    struct sniffed found;

    n_flight[0] = quic_seal(&initial, frames, n, flight[0], sizeof flight[0]);
    return sniff_all(1, &found);
}

START_TEST(test_frames)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum rc rc;
    } cases[] = {
        {"", 0, RC_AGAIN},
        {"\x01\x01", 2, RC_AGAIN},
        {"\x06\x00\x00", 3, RC_AGAIN},
        {"\x06\x05\x01x", 4, RC_AGAIN},                /* a gap in front */
        {"\x06\x00\x01\x02", 4, RC_PROTO},             /* a ServerHello */
        {"\x06\x00\x04\x01\xff\xff\xff", 7, RC_PROTO}, /* 16 MiB of hello */
        {"\x06\x80\x00\x40\x00\x01x", 7, RC_PROTO},    /* past 16 KiB */
        {"\x06\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 11, RC_PROTO},
        {"\x06\x00\x7f\xff", 4, RC_PROTO}, /* longer than the packet */
        {"\x1c\x00\x00\x00", 4, RC_PROTO}, /* CONNECTION_CLOSE */
        {"\x08\x00\x01x", 4, RC_PROTO},    /* STREAM */
        {"\x02\x05\x00\x02\x00\x00\x00\x00\x00", 9, RC_AGAIN},
        {"\x03\x05\x00\x00\x00\x01\x01\x01", 8, RC_AGAIN}, /* ACK with ECN */
        {"\x02\x05\x00\xff\xff\xff\xff\xff\xff\xff\xff", 11, RC_PROTO},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(sniff_frames(cases[i].bytes, cases[i].n) == cases[i].rc, "case %zu", i);
}
END_TEST

START_TEST(test_hello_of_16_kib)
{
    struct hello h = {.name = "big.example.com"};
    struct sniffed found;

    h.pad = TLS_HELLO_MAX_BYTES - hello_message(&h, message, sizeof message) - 4;
    make_flight(&h, QUIC_V1, 26, 13, false);
    ck_assert_int_eq(sniff_all(13, &found), RC_OK);
    ck_assert_str_eq(found.name, "big.example.com");
    h.pad++;
    make_flight(&h, QUIC_V1, 26, 13, false);
    ck_assert_int_eq(sniff_all(13, &found), RC_PROTO);
}
END_TEST

START_TEST(test_each_byte_changed)
{
    struct hello h = {.name = "www.example.com"};
    struct sniffed found;

    make_flight(&h, QUIC_V1, 1, 1, false);
    for (size_t i = 0; i < n_flight[0]; i++) {
        flight[0][i] ^= 0x05;
        ck_assert_int_eq(sniff_all(1, &found), RC_PROTO);
        flight[0][i] ^= 0x05;
    }
    ck_assert_int_eq(sniff_all(1, &found), RC_OK);
}
END_TEST

START_TEST(test_beginnings)
{
    struct hello h = {.name = "www.example.com"};
    uint8_t other[1300] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8};

    make_flight(&h, QUIC_V2, 1, 1, false);
    ck_assert(quic_is_beginning(flight[0], n_flight[0]));
    flight[0][0] ^= 0x30; /* another type */
    ck_assert(!quic_is_beginning(flight[0], n_flight[0] - 16));
    ck_assert(quic_is_beginning(other, sizeof other)); /* a version to be negotiated */
    ck_assert(!quic_is_beginning(other, 1100));
    other[0] = 0x40; /* a connection under way */
    ck_assert(!quic_is_beginning(other, sizeof other));
    ck_assert(!quic_is_beginning("", 0));
}
END_TEST

int main(void)
{
    static const TTest *tests[16];
    size_t n = 0;

    tests[n++] = test_keys_of_the_rfcs;
    tests[n++] = test_vectors;
    tests[n++] = test_any_split_gives_the_same;
    tests[n++] = test_coalesced_packets;
    tests[n++] = test_others_are_passed_over;
    tests[n++] = test_frames;
    tests[n++] = test_hello_of_16_kib;
    tests[n++] = test_each_byte_changed;
    tests[n++] = test_beginnings;
    return vectors_main("sniff_quic", tests);
}
