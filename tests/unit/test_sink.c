/* tests/unit/test_sink.c - the log's file is renamed, its disk full, its reader asleep or gone: the
 * loop goes on, whole lines stay whole, and what is lost is told. */
#include "core/log.h"
#include "core/sink.h"
#include "run.h"
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/cgost-test-sink-XXXXXX";
static char path[96], old[96], text[1 << 20];

static void setup(void)
{
    memcpy(strrchr(dir, '-') + 1, "XXXXXX", 6);
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/sub/log", dir);
    snprintf(old, sizeof old, "%s/sub/log.1", dir);
    ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void teardown(void)
{
    char sub[96];

    log_close();
    unlink(path);
    unlink(old);
    snprintf(sub, sizeof sub, "%s/sub", dir);
    rmdir(sub);
    rmdir(dir);
}

static void open_log(const char *output)
{
    ck_assert_int_eq(log_open(&(struct log_cfg){.level = LOG_INFO, .output = output}, NULL), RC_OK);
}

static const char *content(const char *name)
{
    int fd = open(name, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Lines until one is found in the file of that name. */
static void write_until_in(const char *name, const char *what)
{
    for (int i = 0; i < 300; i++) {
        log_info("%s", what);
        if (strstr(content(name), what))
            return;
        pause_ms(20);
    }
    ck_abort_msg("\"%s\" does not come to %s", what, name);
}

START_TEST(test_a_renamed_file_is_made_anew)
{
    struct stat a, b;

    open_log(path);
    log_info("first");
    ck_assert_int_eq(rename(path, old), 0);
    log_info("second");
    write_until_in(path, "third");
    ck_assert(strstr(content(old), "first") != NULL);
    ck_assert_int_eq(unlink(path), 0); /* and one that is removed */
    write_until_in(path, "fourth");
    ck_assert_int_eq(stat(path, &a), 0);
    log_info("fifth");
    ck_assert_int_eq(stat(path, &b), 0);
    ck_assert(a.st_ino == b.st_ino && b.st_size > a.st_size);
}
END_TEST

/* Nothing can be opened there any more: the old file goes on. */
START_TEST(test_a_name_that_is_a_folder_now)
{
    open_log(path);
    ck_assert_int_eq(rename(path, old), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    pause_ms(1200);
    log_info("second");
    ck_assert(strstr(content(old), "second") != NULL);
    rmdir(path);
}
END_TEST

/* A full disk, by the limit of a file's size: a line may be cut, all others are whole. */
START_TEST(test_full_disk)
{
    struct rlimit was, small;

    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    open_log(path);
    small = (struct rlimit){1000, was.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 100; i++)
        log_info("line %d", i);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &was), 0);
    log_info("room again");
    log_info("the last");

    int whole = 0, torn = 0, lost = -1;
    bool again = false;
    (void)content(path);
    for (char *save = NULL, *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        const char *of = strstr(l, " lines of the log are lost: File too large");
        if (l[0] != '{' || l[strlen(l) - 1] != '}')
            torn++;
        else if (strstr(l, "line "))
            whole++;
        if (of) {
            while (of > l && of[-1] >= '0' && of[-1] <= '9')
                of--;
            lost = atoi(of);
        }
        again = again || strstr(l, "room again");
    }
    ck_assert_int_le(torn, 1);
    ck_assert_int_gt(whole, 5);
    ck_assert_int_eq(lost, 100 - whole);
    ck_assert(again && strstr(content(path), "the last"));
}
END_TEST

/* Writes into fd's far end far more than it takes: comes back, and later tells how much is lost. */
static void reader_sleeps(int near, int far)
{
    bool told = false;
    int kept = dup(2);

    ck_assert_int_ge(kept, 0);
    ck_assert_int_eq(dup2(near, 2), 2);
    open_log("stderr");
    for (int i = 0; i < 20000; i++)
        log_info("line %d of a reader that sleeps", i);
    for (int i = 0; i < 300 && !told; i++) {
        struct pollfd p = {.fd = far, .events = POLLIN};
        log_info("awake");
        while (poll(&p, 1, 0) > 0) {
            ssize_t n = read(far, text, sizeof text - 1);
            ck_assert_int_gt(n, 0);
            text[n] = '\0';
            told = told || strstr(text, "lines of the log are lost: its reader does not read");
        }
    }
    ck_assert_int_eq(fcntl(2, F_GETFL) & O_NONBLOCK, 0); /* others write there, too */
    close(far);
    log_info("nobody is there"); /* no SIGPIPE, no loop */
    ck_assert_int_eq(dup2(kept, 2), 2);
    close(kept);
    close(near);
    ck_assert(told);
}

START_TEST(test_a_pipe_whose_reader_sleeps)
{
    int fd[2];

    ck_assert_int_eq(pipe(fd), 0);
    reader_sleeps(fd[1], fd[0]);
}
END_TEST

START_TEST(test_a_socket_whose_reader_sleeps)
{
    int fd[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    reader_sleeps(fd[1], fd[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sink");
    TCase *tc = tcase_create("sink");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_a_renamed_file_is_made_anew);
    tcase_add_test(tc, test_a_name_that_is_a_folder_now);
    tcase_add_test(tc, test_full_disk);
    tcase_add_test(tc, test_a_pipe_whose_reader_sleeps);
    tcase_add_test(tc, test_a_socket_whose_reader_sleeps);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
