/* Assertions of lwIP that do not hold: a flow that is reset, or an orderly end of the process. */
#include "core/fatal.h"
#include "run.h"
#include "tests/unit/tungoflow.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int undone[2]; /* a pipe: what was undone, in order */

static void undo(void *arg)
{
    ck_assert_int_eq(write(undone[1], arg, 1), 1);
}

static void undo_badly(void *arg)
{
    undo(arg);
    bug("inside of undoing", "test", 1);
}

/* What a child process that does `work` leaves in the pipe; returns its status. */
static int in_child(void (*work)(void), char *ret_text, size_t cap)
{
    int status;
    ssize_t n;
    pid_t pid;

    ck_assert_int_eq(pipe(undone), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct fatal a = {.fn = undo, .arg = (char[]){"a"}};
        struct fatal b = {.fn = undo_badly, .arg = (char[]){"b"}};
        struct fatal c3 = {.fn = undo, .arg = (char[]){"c"}};
        struct fatal d = {.fn = undo, .arg = (char[]){"d"}};

        fatal_on(&a);
        fatal_on(&b);
        fatal_on(&c3);
        fatal_on(&d);
        fatal_off(&c3);
        fatal_off(&c3);
        work();
        _exit(77);
    }
    close(undone[1]);
    n = read(undone[0], ret_text, cap - 1);
    for (ssize_t more = n; more > 0 && n + 1 < (ssize_t)cap; n += more)
        more = read(undone[0], ret_text + n, cap - 1 - (size_t)n);
    ret_text[n > 0 ? n : 0] = 0;
    close(undone[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_unknown(void)
{
    netstack_assert("pcb != NULL", "/some/where/tcp.c", 273);
}

static void assert_without_flow(void)
{
    netstack_mount(ns, NULL);
    netstack_assert("tcp_receive: tcplen > rcv_wnd", "tcp_in.c", 1549);
}

static void make_mistake(void)
{
    bug("first", "test", 2);
}

START_TEST(test_unknown_assertion_ends_in_order)
{
    char text[8];
    int status = in_child(assert_unknown, text, sizeof text);

    /* the bug in b's undoing does not keep a from being undone */
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_str_eq(text, FATAL_ABORTS ? "" : "dba");
}
END_TEST

START_TEST(test_assertion_of_no_flow_ends_in_order)
{
    char text[8];
    int status = in_child(assert_without_flow, text, sizeof text);

    ck_assert(WIFSIGNALED(status));
    ck_assert_str_eq(text, FATAL_ABORTS ? "" : "dba");
}
END_TEST

START_TEST(test_a_bug_is_undone_too)
{
    char text[8];
    int status = in_child(make_mistake, text, sizeof text);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_str_eq(text, FATAL_ABORTS ? "" : "dba");
}
END_TEST

START_TEST(test_fatal_exit_has_status_1)
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        fatal_exit("test");
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (FATAL_ABORTS)
        ck_assert(WIFSIGNALED(status));
    else
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}
END_TEST

#if !FATAL_ABORTS
static void break_one(const char *what)
{
    struct flow_key key = flow_key_of(&c.src, &c.dst);
    struct tungo_flow *f = flow_find(ns, &key);

    netstack_mount(ns, f);
    netstack_assert(what, "tcp_in.c", 1);
    netstack_unmount(ns, f);
}

START_TEST(test_harmless_assertion_costs_the_flow)
{
    static const char *const all[] = {
        "tcp_receive: segment not trimmed correctly to rcv_wnd\n",
        "tcp_receive: segment not trimmed correctly to ooseq queue\n",
        "tcp_receive: tcplen > rcv_wnd",
        "tcp_receive: ooseq tcplen > rcv_wnd",
    };
    char buf[10];
    size_t n;

    establish("8.8.8.8", 1380, 7);
    send_data(&c, 0, 4);
    break_one(all[_i]);
    ck_assert_uint_eq(last()->p.tcp_flags & TCPFLAG_RST, TCPFLAG_RST);
    ck_assert_uint_eq(ns->table.n, 0);
    ck_assert_uint_eq(ns->stats.asserts, 1);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK); /* what came before */
    ck_assert_uint_eq(n, 4);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_RESET);
    stream_close(s);
    /* the next one is none the worse for it */
    establish_from("8.8.4.4", 40001, 1380, 7);
    send_data(&c, 0, 4);
    ck_assert_int_eq(stream_recv(s, buf, sizeof buf, &n), RC_OK);
    stream_close(s);
    ck_assert_uint_eq(ns->stats.asserts, 1);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("netassert");
    TCase *t = tcase_create("netassert");

    tcase_add_checked_fixture(t, net_up, net_down);
    tcase_add_test(t, test_unknown_assertion_ends_in_order);
    tcase_add_test(t, test_assertion_of_no_flow_ends_in_order);
    tcase_add_test(t, test_a_bug_is_undone_too);
    tcase_add_test(t, test_fatal_exit_has_status_1);
#if !FATAL_ABORTS
    tcase_add_loop_test(t, test_harmless_assertion_costs_the_flow, 0, 4);
#endif
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
