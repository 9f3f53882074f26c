/* tests/unit/test_tungoquestions.c - questions of one DNS connection: the bytes pass as they are,
 * over a wire that cuts them anywhere; reading ends where one goes another way, once those before
 * it are answered. */
#include "core/floor/mem.h"
#include "core/wire/dns.h"
#include "handlers/tungoquestions.h"
#include "pause.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct loop *loop;
static struct stream *near, *far; /* near: ours, with the layer */
static struct layer *questions;
static char came[4000];   /* what was read, as words */
static uint8_t part[600]; /* of a message */
static size_t n_part;
static char going, first;  /* the first letter of a name is its way */
static uint8_t owed[4000]; /* answers */
static size_t n_owed;
static unsigned told;

static void on_next(void *arg)
{
    (void)arg;
    told++;
}

static bool same_way(void *arg, const struct sniffed *found)
{
    (void)arg;
    return found->name[0] == going;
}

static size_t question(const char *name, uint8_t *buf)
{
    struct dns_query query = {.id = 7, .type = DNS_A, .name = name};
    size_t n;
    ck_assert_int_eq(dns_format_query(&query, buf + 2, 500, &n), RC_OK);
    buf[0] = (uint8_t)(n >> 8);
    buf[1] = (uint8_t)n;
    return n + 2;
}

static void say(const char *text)
{
    ck_assert_uint_lt(strlen(came) + strlen(text), sizeof came);
    strcat(came, text);
}

/* Each question that was read is answered at once, by as many bytes. */
static void take(uint8_t byte)
{
    struct dns_msg m;
    ck_assert_uint_lt(n_part, sizeof part);
    part[n_part++] = byte;
    if (n_part < 2 || n_part < 2 + ((size_t)part[0] << 8 | part[1]))
        return;
    if (dns_parse(part + 2, n_part - 2, &m) == RC_OK) {
        say(m.name);
        say(" ");
    } else {
        say("? ");
    }
    ck_assert_uint_lt(n_owed + n_part, sizeof owed);
    memcpy(owed + n_owed, part, n_part);
    n_owed += n_part;
    n_part = 0;
}

static void answer(void)
{
    struct iovec v = {owed, n_owed};
    size_t n;
    while (n_owed > 0 && stream_send(near, &v, 1, &n) == RC_OK) {
        memmove(owed, owed + n, n_owed - n);
        v.iov_len = n_owed -= n;
    }
}

static void on_event(struct stream *s, unsigned ready, void *arg)
{
    uint8_t buf[100];
    struct sniffed found;
    size_t n;
    enum rc rc;

    (void)ready;
    (void)arg;
    answer();
    while ((rc = stream_recv(s, buf, 1 + (size_t)rand() % sizeof buf, &n)) == RC_OK)
        for (size_t i = 0; i < n; i++)
            take(buf[i]);
    answer();
    stream_want(s, n_owed > 0 ? STREAM_IN | STREAM_OUT : STREAM_IN, on_event, NULL);
    if (rc == RC_AGAIN)
        return;
    ck_assert_int_eq(rc, RC_EOF);
    if (tungoquestions_has_next(questions)) {
        ck_assert_int_eq(stream_shut(s), RC_OK); /* which the client does not hear */
        tungoquestions_next(questions, &found);
        ck_assert_int_eq(found.proto, SNIFF_DNS);
        going = found.name[0];
        say("| ");
        return;
    }
    say("$");
    stream_want(s, 0, NULL, NULL);
    loop_stop(loop);
}

static const uint8_t *to_send;
static size_t n_to_send;

static void on_room(struct stream *s, unsigned ready, void *arg)
{
    size_t n = n_to_send;

    (void)ready;
    (void)arg;
    if (n > 0) {
        struct iovec v = {(void *)(uintptr_t)to_send, n};
        if (stream_send(s, &v, 1, &n) == RC_OK) {
            to_send += n;
            n_to_send -= n;
        }
    } else if (stream_shut(s) == RC_OK) {
        stream_want(s, 0, NULL, NULL);
    }
}

static void start(uint32_t seed)
{
    struct mem_cfg cfg = {.cap_bytes = 9000, .seed = seed};
    struct tungoquestions_cfg qc = {same_way, on_next, NULL};
    struct layer *a, *b;

    srand(seed);
    loop = loop_new(NULL);
    ck_assert(mem_pair(loop, &cfg, &a, &b));
    near = stream_new(loop);
    far = stream_new(loop);
    stream_push(near, a);
    stream_push(far, b);
    ck_assert_int_eq(stream_open(near), RC_OK);
    ck_assert_int_eq(stream_open(far), RC_OK);
    questions = tungoquestions_layer(loop, &qc);
    ck_assert_ptr_nonnull(questions);
    stream_push(near, questions);
    told = 0;
    n_part = 0;
    n_owed = 0;
    came[0] = '\0';
    going = first;
}

static void stop(void)
{
    stream_close(near);
    stream_close(far);
    loop_run(loop);
    loop_free(loop);
}

static void passes(const uint8_t *sent, size_t n, const char *want)
{
    for (uint32_t seed = 0; seed < 60; seed++) {
        start(seed);
        to_send = sent;
        n_to_send = n;
        stream_want(far, STREAM_OUT, on_room, NULL);
        stream_want(near, STREAM_IN, on_event, NULL);
        loop_run(loop);
        ck_assert_str_eq(came, want);
        stop();
    }
}

/* Names, one behind the other; "?": a message that is no question. */
static void asked(const char *names, const char *want)
{
    static const uint8_t no_question[] = {0, 14, 0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'x', 'y'};
    uint8_t sent[3000];
    char copy[300];
    size_t n = 0;

    snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " ")) {
        if (*name == '?') {
            memcpy(sent + n, no_question, sizeof no_question);
            n += sizeof no_question;
        } else {
            first = n == 0 ? *name : first;
            n += question(name, sent + n);
        }
        ck_assert_uint_lt(n, sizeof sent - 600);
    }
    passes(sent, n, want);
}

START_TEST(test_one_way)
{
    asked("a1.test", "a1.test $");
    asked("", "$");
}
END_TEST

START_TEST(test_ways)
{
    asked("a.test b.test", "a.test | b.test $");
    asked("a.test b.test b2.test a.test c.test", "a.test | b.test b2.test | a.test | c.test $");
    asked("a.test b.test ? c.test", "a.test | b.test ? c.test $");
}
END_TEST

/* It does not end before they are answered; the owner hears of it all the same. */
START_TEST(test_what_was_asked_is_answered_first)
{
    uint8_t buf[600], back[600];
    struct sniffed found;
    size_t n, q = question("a.test", buf), k = question("b.test", buf + q);
    struct iovec v = {buf, q + k};

    start(0);
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_OK);
    ck_assert_uint_eq(n, q);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_AGAIN);
    ck_assert(tungoquestions_has_next(questions));
    ck_assert_uint_eq(told, 0); /* from the loop only */
    pause_ms(loop, 1);
    ck_assert_uint_eq(told, 1);
    v = (struct iovec){buf, q - 1};
    ck_assert_int_eq(stream_send(near, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_AGAIN);
    v = (struct iovec){buf + q - 1, 1};
    ck_assert_int_eq(stream_send(near, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_EOF);
    tungoquestions_next(questions, &found);
    ck_assert_str_eq(found.name, "b.test");
    pause_ms(loop, 1);
    ck_assert_uint_eq(told, 1); /* not of an end that is over */
    going = 'b';
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_OK);
    ck_assert_uint_eq(n, k);
    stop();

    start(0); /* the target had ended before: nobody could answer the next question */
    ck_assert_int_eq(stream_shut(near), RC_OK);
    v = (struct iovec){buf, q + k};
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_OK);
    (void)stream_recv(near, back, sizeof back, &n);
    ck_assert(!tungoquestions_has_next(questions));
    stop();
}
END_TEST

START_TEST(test_what_is_no_dns_passes)
{
    static const uint8_t text[] = "\x00\x03SSH-2.0-x\r\n";
    uint8_t sent[600], back[600];
    size_t n, q = question("a.test", sent);
    memcpy(sent + q, text, sizeof text);
    struct iovec v = {sent, q + sizeof text};

    start(0);
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_OK);
    ck_assert_uint_eq(n, v.iov_len);
    ck_assert_mem_eq(back, sent, n);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_AGAIN);
    ck_assert_int_eq(stream_send(far, &v, 1, &n), RC_OK);
    ck_assert_int_eq(stream_recv(near, back, sizeof back, &n), RC_OK);
    ck_assert_uint_eq(n, v.iov_len);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tungoquestions");
    TCase *tc = tcase_create("tungoquestions");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_one_way);
    tcase_add_test(tc, test_ways);
    tcase_add_test(tc, test_what_was_asked_is_answered_first);
    tcase_add_test(tc, test_what_is_no_dns_passes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
