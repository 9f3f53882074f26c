/* DNS over HTTPS without a network: requests as they should be, answers in every framing and in any
 * pieces, and what no answer can be.
 */
#include "chain/doh.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char question[] = "\0\1\1\0\0\1\0\0\0\0\0\0\1a\4test\0\0\1\0\1";
enum { QUESTION_BYTES = 24 };

static void ask(struct doh *d, bool h2)
{
    struct doh_cfg cfg = {.h2 = h2,
                          .authority = "dns.test:8443",
                          .path = "/dns-query",
                          .query = question,
                          .n = QUESTION_BYTES};
    ck_assert_int_eq(doh_begin(d, &cfg), RC_OK);
}

static void begin(struct doh *d, bool h2)
{
    *d = (struct doh){.h2 = false};
    ask(d, h2);
}

/* Gives it in pieces of `piece` bytes, then the end. */
static enum rc give(struct doh *d, const void *data, size_t n, size_t piece, bool end)
{
    enum rc rc = RC_AGAIN;
    for (size_t at = 0; rc == RC_AGAIN && at < n; at += piece)
        rc = doh_take(d, (const char *)data + at, n - at < piece ? n - at : piece);
    return rc == RC_AGAIN && end ? doh_ended(d) : rc;
}

/* ---------------------------------------------------------------- HTTP/1.1 */

START_TEST(test_a_request)
{
    static const char want[] =
        "POST /dns-query HTTP/1.1\r\nHost: dns.test:8443\r\nContent-Type: application/dns-message"
        "\r\nAccept: application/dns-message\r\nContent-Length: 24\r\n\r\n";
    struct doh d;
    begin(&d, false);
    ck_assert_uint_eq(d.out.n, sizeof want - 1 + QUESTION_BYTES);
    ck_assert_mem_eq(d.out.p, want, sizeof want - 1);
    ck_assert_mem_eq(d.out.p + sizeof want - 1, question, QUESTION_BYTES);
    doh_done(&d);
}
END_TEST

static const struct {
    const char *head;
    bool end; /* the body goes to the end of the stream */
    const char *body;
    enum rc rc;
} answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", false, "hello, world", RC_OK},
    {"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", false, "hello, world and more", RC_OK},
    {"HTTP/1.0 200 OK\r\n\r\n", true, "hello, world", RC_OK},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false,
     "5\r\nhello\r\n07 ; a=b\r\n, world\r\n0\r\n", RC_OK},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, "5\r\nhello\r\n", RC_RESET},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "5\r\nhelloXX", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "g\r\n", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "ffffff\r\n", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false,
     "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", false, "hello world", RC_PROTO}, /* short */
    {"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", false, "hello, world", RC_AGAIN},
    {"HTTP/1.1 200 OK\r\nContent-Length: 655360\r\n\r\n", false, "hello, world", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", false, "hello, world", RC_PROTO},
    {"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", true, "hello, world", RC_RESET},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, "", RC_PROTO},
    {"SSH-2.0-x\r\n", false, "", RC_PROTO},
    {"", true, "", RC_RESET},
};

START_TEST(test_answers)
{
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (size_t piece = 1; piece < 400; piece += piece < 8 ? 1 : 97) {
            char text[512];
            struct doh d;
            int n = snprintf(text, sizeof text, "%s%s", answers[i].head, answers[i].body);
            begin(&d, false);
            enum rc rc = give(&d, text, (size_t)n, piece, answers[i].end);
            ck_assert_msg(rc == answers[i].rc, "%zu in pieces of %zu: %s", i, piece, rc_name(rc));
            if (rc == RC_OK) {
                ck_assert_uint_eq(d.answer_n, 12);
                ck_assert_mem_eq(d.answer, "hello, world", 12);
            } else if (rc != RC_AGAIN) {
                ck_assert_uint_gt(strlen(d.diag.text), 5);
            }
            doh_done(&d);
        }
    }
}
END_TEST

/* ---------------------------------------------------------------- HTTP/2 */

static uint8_t wire[200000];
static size_t wire_n;

static void frame(unsigned type, unsigned flags, unsigned stream, const void *payload, size_t n)
{
    uint8_t head[9] = {
        (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, (uint8_t)type, (uint8_t)flags, 0, 0, 0,
        (uint8_t)stream};
    memcpy(wire + wire_n, head, 9);
    if (n > 0)
        memcpy(wire + wire_n + 9, payload, n);
    wire_n += 9 + n;
}

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW, MORE };

START_TEST(test_an_h2_request)
{
    struct doh d;
    size_t at = 24;
    begin(&d, true);
    ck_assert_mem_eq(d.out.p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    static const unsigned types[] = {SETTINGS, HEADERS, DATA};
    static const unsigned flags[] = {0, 4, 1};
    for (int i = 0; i < 3; i++) {
        const uint8_t *p = d.out.p + at;
        size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        ck_assert_uint_le(at + 9 + n, d.out.n);
        ck_assert_uint_eq(p[3], types[i]);
        ck_assert_uint_eq(p[4], flags[i]);
        ck_assert_uint_eq(p[8], i == 0 ? 0 : 1);
        if (i == 1) {
            static const uint8_t start[] = {0x83, 0x87, 0x04, 10, '/', 'd'};
            ck_assert_mem_eq(p + 9, start, sizeof start);
            ck_assert(memmem(p + 9, n, "\1\15dns.test:8443", 15) != NULL);
            ck_assert(memmem(p + 9, n, "\17\20\27application/dns-message", 26) != NULL);
            ck_assert(memmem(p + 9, n,
                             "\17\15\2"
                             "24",
                             5) != NULL);
        }
        if (i == 2)
            ck_assert_mem_eq(p + 9, question, QUESTION_BYTES);
        at += 9 + n;
    }
    ck_assert_uint_eq(at, d.out.n);
    doh_done(&d);
}
END_TEST

struct head {
    const char *block;
    size_t n;
    enum rc rc; /* RC_OK: 200 */
};
#define BLOCK(text) text, sizeof(text) - 1
static const struct head heads[] = {
    {BLOCK("\x88"), RC_OK},
    {BLOCK("\x20\x88\x5f\1x"), RC_OK}, /* the table's size first, fields behind */
    {BLOCK("\x08\3"
           "200"),
     RC_OK}, /* not indexed */
    {BLOCK("\x18\3"
           "200"),
     RC_OK}, /* never indexed */
    {BLOCK("\x48\3"
           "200"),
     RC_OK},                            /* to be indexed */
    {BLOCK("\x48\x82\x10\x01"), RC_OK}, /* Huffman: 00010 00000 00000 1 */
    {BLOCK("\x08\3"
           "404"),
     RC_PROTO},
    {BLOCK("\x8c"), RC_PROTO},                 /* 400 */
    {BLOCK("\x48\x83\x6c\x0c\xff"), RC_PROTO}, /* Huffman: 503 */
    {BLOCK("\x08\3"
           "2x0"),
     RC_PROTO},
    {BLOCK("\x08\2"
           "20"),
     RC_PROTO},
    {BLOCK("\x08\3"
           "20"),
     RC_PROTO},
    {BLOCK("\x08\x80"), RC_PROTO},
    {BLOCK("\xbe"), RC_PROTO}, /* the dynamic table, which is empty */
    {BLOCK("\x82"), RC_PROTO},
    {BLOCK("\x3f\xe1\x1f\x88"), RC_PROTO}, /* a table larger than we allowed */
    {BLOCK(""), RC_PROTO},
};

START_TEST(test_h2_heads)
{
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (size_t piece = 1; piece < 60; piece += 7) {
            struct doh d;
            begin(&d, true);
            wire_n = 0;
            frame(SETTINGS, 0, 0, "\0\4\0\1\0\0", 6);
            frame(HEADERS, 4, 1, heads[i].block, heads[i].n);
            frame(DATA, 1, 1, "hello, world", 12);
            enum rc rc = give(&d, wire, wire_n, piece, true);
            ck_assert_msg(rc == heads[i].rc, "%zu: %s: %s", i, rc_name(rc), d.diag.text);
            if (rc == RC_OK)
                ck_assert_mem_eq(d.answer, "hello, world", 12);
            doh_done(&d);
        }
    }
}
END_TEST

START_TEST(test_h2_frames_in_any_pieces)
{
    for (size_t piece = 1; piece < 200; piece++) {
        struct doh d;
        begin(&d, true);
        size_t asked = d.out.n;
        wire_n = 0;
        frame(SETTINGS, 0, 0, NULL, 0);
        frame(SETTINGS, 1, 0, NULL, 0);
        frame(PING, 0, 0, "12345678", 8);
        frame(WINDOW, 0, 0, "\0\0\1\0", 4);
        frame(HEADERS, 4, 1,
              "\x08\3"
              "103",
              5); /* early hints */
        frame(HEADERS, 8 | 0x20, 1,
              "\3"
              "\0\0\0\0\1"
              "\x88\5"
              "xyz",
              11);
        frame(MORE, 4, 1, "\1z", 2);
        frame(200, 7, 1, "unknown", 7);
        frame(DATA, 8, 1, "\2hello\0\0", 8);
        frame(DATA, 0, 1, NULL, 0);
        frame(DATA, 0, 1, ", world", 7);
        frame(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0bye", 11);
        frame(HEADERS, 5, 1, "\x82", 1); /* trailers, not looked at */
        enum rc rc = give(&d, wire, wire_n, piece, true);
        ck_assert_msg(rc == RC_OK, "in pieces of %zu: %s", piece, d.diag.text);
        ck_assert_uint_eq(d.answer_n, 12);
        ck_assert_mem_eq(d.answer, "hello, world", 12);
        ck_assert_uint_eq(d.out.n, asked + 9 + 17); /* SETTINGS and PING are acknowledged */
        ck_assert_uint_eq(d.out.p[asked + 3], SETTINGS);
        ck_assert_uint_eq(d.out.p[asked + 4], 1);
        ck_assert_mem_eq(d.out.p + asked + 18, "12345678", 8);
        doh_done(&d);
    }
}
END_TEST

static enum rc after_head(unsigned type, unsigned flags, unsigned stream, const void *p, size_t n)
{
    struct doh d;
    begin(&d, true);
    wire_n = 0;
    frame(HEADERS, 4, 1, "\x88", 1);
    frame(type, flags, stream, p, n);
    enum rc rc = give(&d, wire, wire_n, wire_n, true);
    ck_assert_uint_gt(strlen(d.diag.text), 5);
    doh_done(&d);
    return rc;
}

START_TEST(test_h2_that_is_none)
{
    static uint8_t much[70000];
    struct doh d;
    ck_assert_int_eq(after_head(DATA, 0, 3, "hello, world", 12), RC_PROTO); /* another stream */
    ck_assert_int_eq(after_head(DATA, 8, 1, "\20hello", 6), RC_PROTO);      /* padding only */
    ck_assert_int_eq(after_head(DATA, 8, 1, "", 0), RC_PROTO);
    ck_assert_int_eq(after_head(DATA, 1, 1, "short", 5), RC_PROTO);
    ck_assert_int_eq(after_head(MORE, 4, 1, "x", 1), RC_PROTO); /* of nothing */
    ck_assert_int_eq(after_head(PUSH_PROMISE, 4, 1, "xxxx", 4), RC_PROTO);
    ck_assert_int_eq(after_head(PING, 0, 0, "x", 1), RC_PROTO);
    ck_assert_int_eq(after_head(RST_STREAM, 0, 1, "\0\0\0\7", 4), RC_RESET);
    ck_assert_int_eq(after_head(RST_STREAM, 0, 1, "", 0), RC_PROTO);
    ck_assert_int_eq(after_head(GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8), RC_RESET); /* not served */
    ck_assert_int_eq(after_head(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\13", 8), RC_RESET);
    ck_assert_int_eq(after_head(SETTINGS, 0, 0, much, 16385), RC_PROTO); /* too long a frame */
    begin(&d, true);
    wire_n = 0;
    frame(DATA, 1, 1, "hello, world", 12); /* no head */
    ck_assert_int_eq(give(&d, wire, wire_n, 50, true), RC_PROTO);
    doh_done(&d);
    begin(&d, true);
    wire_n = 0;
    frame(HEADERS, 0, 1, "\x88", 1);
    frame(DATA, 1, 1, "hello, world", 12); /* in the middle of a head */
    ck_assert_int_eq(give(&d, wire, wire_n, 50, true), RC_PROTO);
    doh_done(&d);
    begin(&d, true);
    wire_n = 0;
    frame(HEADERS, 4, 1, "\x88", 1);
    for (int i = 0; i < 5; i++)
        frame(DATA, 0, 1, much, 16000); /* longer than an answer can be */
    ck_assert_int_eq(give(&d, wire, wire_n, 1000, true), RC_PROTO);
    doh_done(&d);
    ck_assert_int_eq((begin(&d, true), give(&d, "HTTP/1.1 400 Bad\r\n\r\n", 20, 20, true)),
                     RC_PROTO);
    doh_done(&d);
    begin(&d, true); /* questions without an end for us to answer */
    wire_n = 0;
    for (int i = 0; i < 4000; i++)
        frame(PING, 0, 0, "12345678", 8);
    ck_assert_int_eq(give(&d, wire, wire_n, 4096, true), RC_LIMIT);
    doh_done(&d);
}
END_TEST

/* ---------------------------------------------------------------- one after another */

START_TEST(test_http1_answers_after_which_more_may_be_asked)
{
    static const struct {
        const char *text;
        bool more;
    } v[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world!", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\nhello, world", false},
        {"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 12\r\n\r\nhello, world", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n",
         false}};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct doh d;
        begin(&d, false);
        ck_assert_int_eq(give(&d, v[i].text, strlen(v[i].text), 1000, false), RC_OK);
        ck_assert_msg(d.reusable == v[i].more, "%s", v[i].text);
        doh_done(&d);
    }
    struct doh d;
    begin(&d, false);
    for (int i = 0; i < 3; i++) {
        size_t n = d.out.n;
        ck_assert_int_eq(give(&d, v[0].text, strlen(v[0].text), 7, false), RC_OK);
        ck_assert_mem_eq(d.answer, "hello, world", 12);
        if (i == 1) { /* the answer may outlive it */
            uint8_t *answer = d.answer, *buf = doh_give(&d);
            ck_assert_mem_eq(answer, "hello, world", 12);
            free(buf);
        }
        ask(&d, false);
        ck_assert_uint_eq(d.out.n, n);
    }
    doh_done(&d);
}
END_TEST

START_TEST(test_h2_questions_one_after_another)
{
    struct doh d;
    begin(&d, true);
    for (unsigned i = 0; i < 4; i++) {
        unsigned stream = 2 * i + 1;
        wire_n = 0;
        if (i == 0)
            frame(SETTINGS, 0, 0, NULL, 0);
        frame(HEADERS, 4, stream, "\x88", 1);
        frame(DATA, 1, stream, "hello, world", 12);
        ck_assert_int_eq(give(&d, wire, wire_n, 5, false), RC_OK);
        ck_assert_mem_eq(d.answer, "hello, world", 12);
        ck_assert(d.reusable);
        d.out.n = 0; /* sent */
        wire_n = 0;  /* in between */
        frame(SETTINGS, 1, 0, NULL, 0);
        frame(RST_STREAM, 0, stream, "\0\0\0\0", 4);
        frame(PING, 0, 0, "12345678", 8);
        ck_assert_int_eq(give(&d, wire, wire_n, 3, false), RC_AGAIN);
        ck_assert_uint_eq(d.out.n, 17);
        ask(&d, true);
        ck_assert_uint_eq(d.out.p[3], WINDOW); /* no preface; room for what was taken */
        ck_assert_uint_eq(d.out.p[12], 12);
        ck_assert_uint_eq(d.out.p[13 + 3], HEADERS);
        ck_assert_uint_eq(d.out.p[13 + 8], stream + 2);
    }
    doh_done(&d);
    /* what ends it in between */
    for (int i = 0; i < 3; i++) {
        begin(&d, true);
        wire_n = 0;
        frame(HEADERS, 4, 1, "\x88", 1);
        frame(DATA, 1, 1, "hello, world", 12);
        ck_assert_int_eq(give(&d, wire, wire_n, wire_n, false), RC_OK);
        wire_n = 0;
        if (i == 0)
            frame(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
        else
            frame(i == 1 ? DATA : HEADERS, 4, 1, "\x88", 1);
        enum rc rc = give(&d, wire, wire_n, wire_n, false);
        ck_assert_int_eq(rc, i == 0 ? RC_RESET : RC_PROTO);
        doh_done(&d);
    }
    begin(&d, true);
    wire_n = 0;
    frame(HEADERS, 4, 1, "\x88", 1);
    frame(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
    frame(DATA, 1, 1, "hello, world", 12);
    ck_assert_int_eq(give(&d, wire, wire_n, 4, false), RC_OK);
    ck_assert(!d.reusable);
    doh_done(&d);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doh");
    TCase *tc = tcase_create("doh");
    tcase_add_test(tc, test_a_request);
    tcase_add_test(tc, test_answers);
    tcase_add_test(tc, test_an_h2_request);
    tcase_add_test(tc, test_h2_heads);
    tcase_add_test(tc, test_h2_frames_in_any_pieces);
    tcase_add_test(tc, test_h2_that_is_none);
    tcase_add_test(tc, test_http1_answers_after_which_more_may_be_asked);
    tcase_add_test(tc, test_h2_questions_one_after_another);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
