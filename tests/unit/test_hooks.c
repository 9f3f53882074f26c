/* Hooks: words as shlex splits them, order and environment of the commands, warnings, cancel. */
#include "core/host/hooks.h"
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The words joined by '|', or "!" and the reason. */
static const char *split(const char *command)
{
    static char out[HOOKS_COMMAND_MAX + 64];
    static char buf[HOOKS_COMMAND_MAX];
    char *argv[HOOKS_WORDS_MAX];
    struct diag diag = {0};
    size_t n = 99, at = 0;

    if (hooks_split(command, buf, sizeof(buf), argv, HOOKS_WORDS_MAX, &n, &diag) != RC_OK) {
        ck_assert_uint_eq(n, 99);
        (void)snprintf(out, sizeof(out), "!%s", diag.text);
        return out;
    }
    ck_assert_ptr_null(argv[n]);
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i ? "|" : "", argv[i]);
    return out;
}

START_TEST(test_split_follows_shlex)
{
    static const char *const v[][2] = {
        {"ip link set tun0 up", "ip|link|set|tun0|up"},
        {"  \t ip \r\n  route  ", "ip|route"},
        {"", ""},
        {"   ", ""},
        {"sh -c 'echo \"a b\" > /tmp/x; exit 3'", "sh|-c|echo \"a b\" > /tmp/x; exit 3"},
        {"echo $HOME *.c | cat > x", "echo|$HOME|*.c|||cat|>|x"},
        {"a\"b c\"d", "ab cd"},
        {"a'b c'd", "ab cd"},
        {"'' \"\"", "|"},
        {"a '' b", "a||b"},
        {"\"a \\\" b\"", "a \" b"},
        {"\"a\\nb\"", "anb"},
        {"'a\\b'", "a\\b"},
        {"a\\ b", "a b"},
        {"\\#a", "#a"},
        {"a # comment 'open", "a"},
        {"a#b", "a#b"},
        {"# only\nb", "b"},
        {"a'#'b", "a#b"},
        {"echo 'open", "!EOF found when expecting closing quote"},
        {"echo \"open", "!EOF found when expecting closing quote"},
        {"echo \"open\\\"", "!EOF found when expecting closing quote"},
        {"echo end\\", "!EOF found after escape character"},
        {"echo \"end\\", "!EOF found after escape character"},
        {"\xc3\xa4 '\xc3\xb6 \xc3\xbc'", "\xc3\xa4|\xc3\xb6 \xc3\xbc"},
    };

    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        ck_assert_str_eq(split(v[i][0]), v[i][1]);
}
END_TEST

START_TEST(test_split_has_limits)
{
    static char line[HOOKS_COMMAND_MAX + 2];

    memset(line, 'a', HOOKS_COMMAND_MAX - 1);
    ck_assert_uint_eq(strlen(split(line)), HOOKS_COMMAND_MAX - 1);
    line[HOOKS_COMMAND_MAX - 1] = 'a';
    ck_assert_int_eq(split(line)[0], '!');
    for (size_t i = 0; i < 2 * HOOKS_WORDS_MAX - 2; i += 2)
        memcpy(line + i, "a ", 2);
    line[2 * HOOKS_WORDS_MAX - 2] = 0;
    ck_assert_int_eq(split(line)[0], 'a');
    memcpy(line + 2 * HOOKS_WORDS_MAX - 2, "a", 2);
    ck_assert_int_eq(split(line)[0], '!');
}
END_TEST

static char dir[] = "/tmp/cgost-hooks-XXXXXX";
static char path[64], told[2048];
static bool done;
static struct hooks_run *run;

static void note(char mark, const char *text)
{
    size_t at = strlen(told);
    (void)snprintf(told + at, sizeof(told) - at, "%c%s\n", mark, text);
}

static void on_command(void *arg, const char *text)
{
    (void)arg;
    note('>', text);
}

static void on_warning(void *arg, const char *text)
{
    (void)arg;
    note('!', text);
}

static void on_done(void *arg)
{
    (void)arg;
    ck_assert(!done);
    done = true;
}

static const struct hooks_events events = {on_command, on_warning, on_done, NULL};
static const struct hooks_env env = {"tun7", "1400", "10.0.0.1/24,fd00::1/64"};

static void setup(void)
{
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/out", dir);
    ck_assert_int_eq(setenv("HOOKS_OUT", path, 1), 0);
    ck_assert_int_eq(setenv("CGOST_MTU", "stale", 1), 0);
    told[0] = 0;
    done = false;
    run = NULL;
}

static void teardown(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *output(void)
{
    static char text[1024];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static const char *const commands[] = {
    "sh -c 'sleep 0.05; echo one $CGOST_TUN $CGOST_MTU >> $HOOKS_OUT'",
    "no-such-program-of-cgost x",
    "sh -c 'exit 3'",
    "echo 'open",
    "# nothing",
    "sh -c 'kill -9 $$'",
    "sh -c 'echo two $CGOST_ADDR >> $HOOKS_OUT'",
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char expected[] =
    ">[post-up] sh -c 'sleep 0.05; echo one $CGOST_TUN $CGOST_MTU >> $HOOKS_OUT'\n"
    ">[post-up] no-such-program-of-cgost x\n"
    "![post-up] no-such-program-of-cgost x: exec: \"no-such-program-of-cgost\": executable file "
    "not found in $PATH\n"
    ">[post-up] sh -c 'exit 3'\n"
    "![post-up] sh -c 'exit 3': exit status 3\n"
    ">[post-up] echo 'open\n"
    "![post-up] echo 'open: EOF found when expecting closing quote\n"
    ">[post-up] # nothing\n"
    ">[post-up] sh -c 'kill -9 $$'\n"
    "![post-up] sh -c 'kill -9 $$': signal: Killed\n"
    ">[post-up] sh -c 'echo two $CGOST_ADDR >> $HOOKS_OUT'\n";
static const char expected_output[] = "one tun7 1400\ntwo 10.0.0.1/24,fd00::1/64\n";

START_TEST(test_commands_run_one_after_another_on_the_loop)
{
    struct loop *loop = loop_new(NULL);

    run = hooks_start(loop, HOOKS_POST_UP, commands, COMMANDS, &env, &events);
    ck_assert_ptr_nonnull(run);
    ck_assert_str_eq(told, "");
    loop_run(loop);
    loop_free(loop);
    ck_assert(done);
    ck_assert_str_eq(told, expected);
    ck_assert_str_eq(output(), expected_output);
}
END_TEST

START_TEST(test_commands_run_one_after_another_waiting)
{
    hooks_run_all(HOOKS_POST_UP, commands, COMMANDS, &env, &events);
    ck_assert(!done);
    ck_assert_str_eq(told, expected);
    ck_assert_str_eq(output(), expected_output);
}
END_TEST

START_TEST(test_no_commands_are_done_from_the_loop)
{
    struct loop *loop = loop_new(NULL);

    ck_assert_ptr_nonnull(hooks_start(loop, HOOKS_PRE_UP, NULL, 0, NULL, &events));
    ck_assert(!done);
    loop_run(loop);
    loop_free(loop);
    ck_assert(done);
}
END_TEST

static void cancel_at_warning(void *arg, const char *text)
{
    (void)arg;
    (void)text;
    hooks_cancel(run);
    note('c', "");
}

static void cancel_at_command(void *arg, const char *text)
{
    cancel_at_warning(arg, text);
}

static void cancel_now(struct timer *t)
{
    (void)t;
    hooks_cancel(run);
}

/* At each moment of a run's life: before the first turn, in each callback, while a command runs. */
START_TEST(test_cancel_ends_all_events)
{
    static const char *const two[] = {"sh -c 'exit 1'", "sh -c 'exit 2'"};
    static const char *const slow[] = {"sleep 600", "sh -c 'exit 2'"};
    struct loop *loop = loop_new(NULL);
    struct hooks_events ev = events;

    run = hooks_start(loop, HOOKS_PRE_UP, two, 2, NULL, &ev);
    hooks_cancel(run);
    loop_run(loop);
    ck_assert_str_eq(told, "");
    ev.on_command = NULL;
    ev.on_warning = cancel_at_warning;
    run = hooks_start(loop, HOOKS_PRE_UP, two, 2, NULL, &ev);
    loop_run(loop);
    ck_assert_str_eq(told, "c\n");
    ev.on_command = cancel_at_command;
    run = hooks_start(loop, HOOKS_PRE_UP, two, 2, NULL, &ev);
    loop_run(loop);
    ck_assert_str_eq(told, "c\nc\n");
    struct timer t;
    timer_init(loop, &t, cancel_now);
    ck_assert(timer_start(&t, 30));
    run =
        hooks_start(loop, HOOKS_PRE_UP, slow, 2, NULL, &(struct hooks_events){.on_done = on_done});
    loop_run(loop);
    loop_free(loop);
    ck_assert(!done);
    int status = 0; /* the command does not outlive us */
    ck_assert_int_gt(waitpid(-1, &status, 0), 0);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hooks");
    TCase *words = tcase_create("split");
    TCase *runs = tcase_create("run");

    tcase_add_test(words, test_split_follows_shlex);
    tcase_add_test(words, test_split_has_limits);
    suite_add_tcase(s, words);
    tcase_add_checked_fixture(runs, setup, teardown);
    tcase_add_test(runs, test_commands_run_one_after_another_on_the_loop);
    tcase_add_test(runs, test_commands_run_one_after_another_waiting);
    tcase_add_test(runs, test_no_commands_are_done_from_the_loop);
    tcase_add_test(runs, test_cancel_ends_all_events);
    suite_add_tcase(s, runs);
    return run_suite(s);
}
