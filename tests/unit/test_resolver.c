/* The resolver against a DNS server of ours on loopback: families as they come, cache and its end,
 * shared questions, the hosts file, silence, cancellation, a changed resolv.conf.
 */
#include "chain/resolver.h"
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------- the server */

struct server {
    uv_poll_t poll;
    int fd;
    int asked_a, asked_aaaa;
    bool silent;
    struct timer later; /* the held AAAA answer */
    unsigned char held[512];
    size_t held_n;
    struct sockaddr_storage peer;
    socklen_t peer_len;
};
static struct server server;
static struct loop *loop;
static char dir[] = "/tmp/test-resolver-XXXXXX";

static void put16(unsigned char *p, unsigned value)
{
    p[0] = (unsigned char)(value >> 8);
    p[1] = (unsigned char)value;
}

/* The answer to a question of len bytes, in place. Names: first label "nx": no such name; "v4":
 * only A; "v6": only AAAA; "slow6": AAAA comes late; else both. Two addresses each, TTL 2 s. */
static size_t answer(unsigned char *q, size_t len, bool *ret_late)
{
    char label[64] = "";
    memcpy(label, q + 13, q[12] < 63 ? q[12] : 63);
    size_t end = 12;
    while (end < len && q[end] != 0)
        end += 1u + q[end];
    ck_assert_uint_le(end + 5, len);
    len = end + 5; /* a newer c-ares adds an OPT record, which nobody here understands */
    put16(q + 10, 0);
    unsigned type = (unsigned)(q[len - 4] << 8 | q[len - 3]);
    bool a = type == 1;
    a ? server.asked_a++ : server.asked_aaaa++;
    put16(q + 2, strcmp(label, "nx") == 0 ? 0x8183 : 0x8180);
    int n = strcmp(label, "nx") == 0 || strcmp(label, a ? "v6" : "v4") == 0 ? 0 : 2;
    put16(q + 6, (unsigned)n);
    *ret_late = strcmp(label, "slow6") == 0 && !a;
    unsigned char *p = q + len;
    for (int i = 0; i < n; i++) {
        put16(p, 0xc00c);
        put16(p + 2, type);
        put16(p + 4, 1);
        put16(p + 6, 0);
        put16(p + 8, 2);
        put16(p + 10, a ? 4 : 16);
        p += 12;
        memset(p, 0, 16);
        if (a) {
            memcpy(p, "\xc0\x00\x02", 3);
            p[3] = (unsigned char)(i + 1);
            p += 4;
        } else {
            memcpy(p, "\x20\x01\x0d\xb8", 4);
            p[15] = (unsigned char)(i + 1);
            p += 16;
        }
    }
    return (size_t)(p - q);
}

static void on_later(struct timer *timer)
{
    (void)timer;
    (void)sendto(server.fd, server.held, server.held_n, 0, (struct sockaddr *)&server.peer,
                 server.peer_len);
}

static void on_question(uv_poll_t *poll, int status, int events)
{
    unsigned char buf[512];
    (void)poll;
    (void)status;
    (void)events;
    server.peer_len = sizeof server.peer;
    ssize_t n = recvfrom(server.fd, buf, sizeof buf - 100, 0, (struct sockaddr *)&server.peer,
                         &server.peer_len);
    if (n < 17 || server.silent)
        return;
    bool late;
    size_t len = answer(buf, (size_t)n, &late);
    if (late) {
        memcpy(server.held, buf, len);
        server.held_n = len;
        ck_assert(timer_start(&server.later, 120));
        return;
    }
    (void)sendto(server.fd, buf, len, 0, (struct sockaddr *)&server.peer, server.peer_len);
}

/* ---------------------------------------------------------------- one test's world */

struct asked {
    struct resolve q;
    struct diag diag;
    enum rc rc;
    int calls, n;
    bool last;
    struct addr v[40];
    uint64_t first_ms, last_ms;
};

static int open_questions;

static void on_done(struct resolve *q, enum rc rc, const struct addr *v, int n, bool last)
{
    struct asked *a = (struct asked *)q;
    ck_assert(!a->last);
    a->calls++;
    a->rc = rc;
    a->last = last;
    for (int i = 0; i < n; i++)
        a->v[a->n++] = v[i];
    if (a->first_ms == 0)
        a->first_ms = loop_now_ms(loop);
    a->last_ms = loop_now_ms(loop);
    if (last && --open_questions == 0)
        loop_stop(loop);
}

static void ask(struct resolver *r, struct asked *a, const char *name, bool v4, bool v6)
{
    *a = (struct asked){.calls = 0};
    resolve_init(&a->q, on_done);
    ck_assert(resolve_start(r, &a->q, name, v4, v6, &a->diag));
    ck_assert_int_eq(a->calls, 0);
    open_questions++;
}

static const char *listen_at;

static struct resolver *setup(const char *hosts, uint32_t timeout_ms)
{
    struct diag diag = {.rc = RC_OK};
    struct addr at;
    char path[64], servers[64], text[ADDR_TEXT_MAX];
    loop = loop_new(&diag);
    memset(&server, 0, sizeof server);
    ck_assert(addr_parse(listen_at != NULL ? listen_at : "127.0.0.1:0", &at));
    if (os_bind_udp(&at, false, NULL, &server.fd, &diag) != RC_OK) {
        ck_assert(listen_at != NULL);
        loop_free(loop);
        return NULL;
    }
    ck_assert_int_eq(os_local_addr(server.fd, &at), RC_OK);
    ck_assert_int_eq(uv_poll_init(loop_uv(loop), &server.poll, server.fd), 0);
    ck_assert_int_eq(uv_poll_start(&server.poll, UV_READABLE, on_question), 0);
    timer_init(loop, &server.later, on_later);
    strcpy(dir, "/tmp/test-resolver-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/hosts", dir);
    FILE *f = fopen(path, "w");
    fputs(hosts, f);
    fclose(f);
    snprintf(servers, sizeof servers, "%s", addr_format(&at, text, sizeof text));
    open_questions = 0;
    return resolver_new(&(struct resolver_cfg){.loop = loop,
                                               .servers = servers,
                                               .hosts_path = path,
                                               .timeout_ms = timeout_ms,
                                               .try_ms = 400});
}

static void finish(struct resolver *r)
{
    char path[64];
    resolver_unref(r);
    timer_stop(&server.later);
    uv_close((uv_handle_t *)&server.poll, NULL);
    loop_free(loop);
    close(server.fd);
    snprintf(path, sizeof path, "%s/hosts", dir);
    unlink(path);
    rmdir(dir);
}

static int count(const struct asked *a, int family)
{
    int n = 0;
    for (int i = 0; i < a->n; i++)
        n += a->v[i].family == family;
    return n;
}

/* ---------------------------------------------------------------- the tests */

START_TEST(test_both_families)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    ask(r, &a, "both.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_OK);
    ck_assert_int_eq(count(&a, AF_INET), 2);
    ck_assert_int_eq(count(&a, AF_INET6), 2);
    ck_assert_uint_eq(a.v[0].port, 0);
    finish(r);
}
END_TEST

START_TEST(test_one_family_is_given_before_the_other)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    ask(r, &a, "slow6.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.calls, 2);
    ck_assert_int_eq(a.n, 4);
    ck_assert_int_eq(a.v[0].family, AF_INET);
    ck_assert_uint_ge(a.last_ms - a.first_ms, 80);
    finish(r);
}
END_TEST

START_TEST(test_only_the_wanted_family_is_asked)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    ask(r, &a, "both.example", true, false);
    loop_run(loop);
    ck_assert_int_eq(count(&a, AF_INET), 2);
    ck_assert_int_eq(count(&a, AF_INET6), 0);
    ck_assert_int_eq(server.asked_aaaa, 0);
    finish(r);
}
END_TEST

START_TEST(test_a_name_with_one_family_is_fine)
{
    struct resolver *r = setup("", 0);
    struct asked a, b, c;
    ask(r, &a, "v4.example", true, true);
    ask(r, &b, "v6.example", true, true);
    ask(r, &c, "v6.example", true, false);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_OK);
    ck_assert_int_eq(count(&a, AF_INET), 2);
    ck_assert_int_eq(b.rc, RC_OK);
    ck_assert_int_eq(count(&b, AF_INET6), 2);
    ck_assert_int_eq(c.rc, RC_NAME);
    finish(r);
}
END_TEST

START_TEST(test_no_such_name)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    ask(r, &a, "nx.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_NAME);
    ck_assert_int_eq(a.n, 0);
    ck_assert(strstr(a.diag.text, "nx.example") != NULL);
    finish(r);
}
END_TEST

START_TEST(test_silence_ends_at_the_deadline)
{
    struct resolver *r = setup("", 300);
    struct asked a;
    server.silent = true;
    uint64_t start = loop_now_ms(loop);
    ask(r, &a, "both.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_TIMEOUT);
    ck_assert_uint_ge(a.last_ms - start, 290);
    ck_assert_uint_lt(a.last_ms - start, 8000);
    /* and the next one is asked again */
    server.silent = false;
    ask(r, &a, "v4.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_OK);
    finish(r);
}
END_TEST

START_TEST(test_a_lost_question_is_repeated)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    struct timer wake;
    (void)wake;
    server.silent = true;
    ask(r, &a, "v4.example", true, false);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    server.silent = false;
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_OK);
    finish(r);
}
END_TEST

START_TEST(test_equal_questions_are_asked_once)
{
    struct resolver *r = setup("", 0);
    struct asked a, b, c;
    ask(r, &a, "both.example", true, true);
    ask(r, &b, "Both.EXAMPLE", true, true);
    ask(r, &c, "both.example", true, false);
    loop_run(loop);
    ck_assert_int_eq(a.n, 4);
    ck_assert_int_eq(b.n, 4);
    ck_assert_int_eq(c.n, 2);
    ck_assert_int_eq(server.asked_a, 1);
    ck_assert_int_eq(server.asked_aaaa, 1);
    struct addr v[8];
    ck_assert_int_eq(resolver_peek(r, "both.example", v, 8), 4);
    ck_assert_int_eq(resolver_peek(r, "other.example", v, 8), 0);
    ask(r, &a, "both.example", true, true);
    loop_run(loop);
    ck_assert_int_eq(a.n, 4);
    ck_assert_int_eq(a.calls, 1);
    ck_assert_int_eq(server.asked_a, 1);
    finish(r);
}
END_TEST

static struct asked again;
static struct resolver *expiring;
static void on_expired(struct timer *timer)
{
    (void)timer;
    ask(expiring, &again, "both.example", true, true);
}

START_TEST(test_an_answer_lives_as_long_as_its_ttl)
{
    struct resolver *r = setup("", 0);
    struct asked a;
    struct timer t;
    ask(r, &a, "both.example", true, true);
    loop_run(loop);
    expiring = r;
    timer_init(loop, &t, on_expired);
    ck_assert(timer_start(&t, 2050));
    loop_run(loop);
    ck_assert_int_eq(again.n, 4);
    ck_assert_int_eq(server.asked_a, 2);
    finish(r);
}
END_TEST

START_TEST(test_hosts_file_and_localhost)
{
    struct resolver *r = setup("# comment\n192.0.2.77 box.example box # me\n"
                               "2001:db8::77\tBox.example\nnonsense here\n192.0.2.78 box\n",
                               0);
    struct asked a, b, c, d, e;
    ask(r, &a, "BOX.example", true, true);
    ask(r, &b, "box", true, true);
    ask(r, &c, "localhost", true, true);
    ask(r, &d, "box.EXAMPLE.", true, true); /* absolute, and the same name */
    ask(r, &e, "localhost.", true, true);
    loop_run(loop);
    ck_assert_int_eq(d.n, 2);
    ck_assert_int_eq(e.n, 2);
    ck_assert_int_eq(count(&a, AF_INET), 1);
    ck_assert_int_eq(count(&a, AF_INET6), 1);
    ck_assert_int_eq(a.calls, 1);
    ck_assert_int_eq(count(&b, AF_INET), 2);
    ck_assert_int_eq(c.n, 2);
    ck_assert(addr_is_loopback(&c.v[0]));
    ck_assert_int_eq(server.asked_a + server.asked_aaaa, 0);
    /* the file knows the name, but not in this family: no other is asked */
    ask(r, &b, "box", false, true);
    loop_run(loop);
    ck_assert_int_eq(b.rc, RC_NAME);
    ck_assert_int_eq(server.asked_aaaa, 0);
    finish(r);
}
END_TEST

START_TEST(test_cancel_and_free_with_open_questions)
{
    struct resolver *r = setup("", 0);
    struct asked a, b, c;
    server.silent = true;
    ask(r, &a, "one.example", true, true);
    ask(r, &b, "one.example", true, true);
    ask(r, &c, "two.example", true, true);
    resolve_cancel(&b.q);
    resolve_cancel(&b.q);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    resolve_cancel(&a.q);
    ck_assert_int_eq(a.calls + b.calls + c.calls, 0);
    finish(r); /* c is still open */
    ck_assert_int_eq(c.calls, 0);
}
END_TEST

START_TEST(test_more_names_than_room)
{
    struct resolver *r = setup("", 0);
    static struct asked a[300];
    char name[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "n%d.example", 100 * round + i);
            ask(r, &a[i], name, true, false);
        }
        loop_run(loop);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(a[i].n, 2);
    }
    struct addr v[8];
    ck_assert_int_eq(resolver_peek(r, "n299.example", v, 8), 2);
    finish(r);
}
END_TEST

/* Questions under way are never dropped for others, and many may be. */
START_TEST(test_many_names_at_once)
{
    struct resolver *r = setup("", 3000);
    static struct asked a[1000];
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "m%d.example", i);
        ask(r, &a[i], name, true, false);
    }
    for (int i = 0; i < 1000; i++)
        resolve_cancel(&a[i].q);
    open_questions = 0;
    finish(r);
}
END_TEST

static struct asked after_change;
static struct resolver *changing;
static void on_changed(struct timer *timer)
{
    (void)timer;
    ask(changing, &after_change, "v4.example", true, false);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

/* resolv.conf has no ports, so the server stands on port 53 of a loopback address of its own. */
START_TEST(test_a_changed_resolv_conf_is_read_again)
{
    char path[64];
    struct asked a;
    struct timer t;
    listen_at = "127.77.0.1:53";
    struct resolver *unused = setup("", 0);
    listen_at = NULL;
    if (unused == NULL)
        return; /* not for ordinary users */
    snprintf(path, sizeof path, "%s/resolv.conf", dir);
    write_file(path, "nameserver 127.77.0.1\n");
    struct resolver *r = resolver_new(&(struct resolver_cfg){
        .loop = loop, .hosts_path = "", .resolv_path = path, .timeout_ms = 300, .try_ms = 100});
    ask(r, &a, "both.example", true, false);
    loop_run(loop);
    ck_assert_int_eq(a.rc, RC_OK);
    write_file(path, "nameserver 127.77.0.2\n");
    changing = r;
    timer_init(loop, &t, on_changed);
    ck_assert(timer_start(&t, 1100));
    loop_run(loop);
    ck_assert_int_ne(after_change.rc, RC_OK);
    ck_assert_int_eq(server.asked_a, 1);
    resolver_unref(r);
    unlink(path);
    finish(unused);
}
END_TEST

static struct asked others;
static void on_asked_again(struct timer *timer)
{
    (void)timer;
    ask(changing, &others, "v4.example", true, false);
}

/* A machine whose servers went away is never without open questions: they move to the new ones. */
START_TEST(test_open_questions_move_to_the_servers_of_a_new_resolv_conf)
{
    char path[64];
    struct asked waits;
    struct timer t, same;
    listen_at = "127.77.0.1:53";
    struct resolver *unused = setup("", 0);
    listen_at = NULL;
    if (unused == NULL)
        return; /* not for ordinary users */
    struct addr silent = {.port = 53};
    int fd;
    ck_assert(addr_parse("127.77.0.2:53", &silent));
    ck_assert_int_eq(os_bind_udp(&silent, false, NULL, &fd, NULL), RC_OK);
    snprintf(path, sizeof path, "%s/resolv.conf", dir);
    write_file(path, "nameserver 127.77.0.2\n");
    struct resolver *r = resolver_new(&(struct resolver_cfg){
        .loop = loop, .hosts_path = "", .resolv_path = path, .timeout_ms = 20000, .try_ms = 15000});
    ask(r, &waits, "both.example", true, false);
    write_file(path, "nameserver 127.77.0.1\n");
    changing = r;
    timer_init(loop, &t, on_asked_again);
    ck_assert(timer_start(&t, 1100));
    uint64_t began = loop_now_ms(loop);
    loop_run(loop);
    ck_assert_int_eq(waits.rc, RC_OK);
    ck_assert_int_eq(others.rc, RC_OK);
    ck_assert_uint_lt(loop_now_ms(loop) - began, 10000);
    ck_assert_int_eq(server.asked_a, 2);

    /* the same with one name alone: its second waiter looks */
    write_file(path, "nameserver 127.77.0.2\n");
    struct resolver *r2 = resolver_new(&(struct resolver_cfg){
        .loop = loop, .hosts_path = "", .resolv_path = path, .timeout_ms = 20000, .try_ms = 15000});
    ask(r2, &waits, "v4.example", true, false);
    write_file(path, "nameserver 127.77.0.1\n");
    changing = r2;
    timer_init(loop, &same, on_asked_again);
    ck_assert(timer_start(&same, 1100));
    began = loop_now_ms(loop);
    loop_run(loop);
    ck_assert_int_eq(waits.rc, RC_OK);
    ck_assert_int_eq(others.rc, RC_OK);
    ck_assert_uint_lt(loop_now_ms(loop) - began, 10000);
    resolver_unref(r2);
    resolver_unref(r);
    close(fd);
    unlink(path);
    finish(unused);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *tc = tcase_create("resolver");
    tcase_add_test(tc, test_both_families);
    tcase_add_test(tc, test_one_family_is_given_before_the_other);
    tcase_add_test(tc, test_only_the_wanted_family_is_asked);
    tcase_add_test(tc, test_a_name_with_one_family_is_fine);
    tcase_add_test(tc, test_no_such_name);
    tcase_add_test(tc, test_silence_ends_at_the_deadline);
    tcase_add_test(tc, test_a_lost_question_is_repeated);
    tcase_add_test(tc, test_equal_questions_are_asked_once);
    tcase_add_test(tc, test_an_answer_lives_as_long_as_its_ttl);
    tcase_add_test(tc, test_hosts_file_and_localhost);
    tcase_add_test(tc, test_cancel_and_free_with_open_questions);
    tcase_add_test(tc, test_more_names_than_room);
    tcase_add_test(tc, test_many_names_at_once);
    tcase_add_test(tc, test_a_changed_resolv_conf_is_read_again);
    tcase_add_test(tc, test_open_questions_move_to_the_servers_of_a_new_resolv_conf);
    tcase_set_timeout(tc, 40);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
