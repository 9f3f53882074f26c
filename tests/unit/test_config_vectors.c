/* tests/unit/test_config_vectors.c - every recorded command line and configuration file of
 * tests/vectors/config: what real GOST printed for `-O yaml` and `-O json`, byte for byte, and its
 * exit code. Cases of DEVIATIONS must differ.
 *
 * Each case is loaded for real too (config_load), where only crashes and leaks count.
 */
#include "configs/cli.h"
#include "configs/dump.h"
#include "configs/model.h"
#include "run.h"
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CASES_MAX = 1000, ARGS_MAX = 64 };

static char root[PATH_MAX]; /* of the vectors */
static char empty_dir[] =
    "/tmp/cgost-config-XXXXXX"; /* working directory and home of the command lines */
static char *cmdlines[CASES_MAX], *files[CASES_MAX]; /* ids */
static int n_cmdlines, n_files;

static const struct option no_options[] = {OPTION_END};
static const struct type_entry all_types[] = {
    {"auto", NULL, no_options},      {"tcp", NULL, no_options},         {"http", NULL, no_options},
    {"socks5", "socks", no_options}, {"relay", NULL, no_options},       {"tungo", NULL, no_options},
    {"wss", NULL, no_options},       {"direct", "virtual", no_options}, {NULL, NULL, NULL}};
static const struct type_names names = {all_types, all_types, all_types,    all_types,
                                        NULL,      NULL,      CONFIG_BYPASS};

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 16);
    ck_assert_ptr_nonnull(text);
    size_t n = fread(text, 1, (1 << 16) - 1, f);
    ck_assert(n < (1 << 16) - 1);
    (void)fclose(f);
    return text;
}

/* One argument per line, behind `-O yaml` as they were recorded. */
static int split_lines(char *text, char **argv)
{
    int argc = 0;
    static char program[] = "cgost", flag[] = "-O", format[] = "yaml";
    argv[argc++] = program;
    argv[argc++] = flag;
    argv[argc++] = format;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        ck_assert_int_lt(argc, ARGS_MAX - 1);
        argv[argc++] = line;
    }
    argv[argc] = NULL;
    return argc;
}

static bool is_deviation(const char *id)
{
    char path[PATH_MAX + 32], line[512];
    bool found = false;
    (void)snprintf(path, sizeof path, "%s/DEVIATIONS", root);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, " \t\n")] = 0;
        found = found || strcmp(line, id) == 0;
    }
    (void)fclose(f);
    return found;
}

/* The program up to the print: its exit code, and what it prints. */
static int run(int argc, char **argv, bool json, struct dump *out)
{
    struct cli c;
    struct problems p = {0};
    int code = cli_parse(&c, argc, argv);
    if (code < 0) {
        struct tree *t = tree_new();
        struct value *v;
        enum rc rc = config_read(&c.args, t, &p, &v);
        ck_assert(rc == RC_OK || problems_have(&p, PROBLEM_FATAL));
        if (rc == RC_OK)
            rc = json ? dump_json(out, v) : dump_yaml(out, v);
        code = rc == RC_OK ? 0 : 1;
        tree_free(t);
    }
    problems_done(&p);
    cli_done(&c);
    return code;
}

static void load(int argc, char **argv)
{
    struct cli c;
    struct problems p = {0};
    struct config *cfg = NULL;
    if (cli_parse(&c, argc, argv) < 0) {
        enum rc rc = config_load(&c.args, &names, &cfg, &p);
        ck_assert(rc == RC_OK || problems_have(&p, PROBLEM_REFUSE));
        config_free(cfg);
    }
    problems_done(&p);
    cli_done(&c);
}

static void open_stdin(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        fd = open("/dev/null", O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(dup2(fd, STDIN_FILENO), 0);
    (void)close(fd);
}

/* base + "yaml", "err" and "json" are what was recorded. */
static void check_case(const char *id, const char *base, const char *args_path,
                       const char *stdin_path)
{
    char path[PATH_MAX + 64];
    char *argv[ARGS_MAX], *args = read_text(args_path);
    ck_assert_ptr_nonnull(args);
    int argc = split_lines(args, argv);
    struct dump out = {0};
    (void)snprintf(path, sizeof path, "%serr", base);
    char *err = read_text(path);
    (void)snprintf(path, sizeof path, "%syaml", base);
    char *want = read_text(path);
    ck_assert(err || want);
    open_stdin(stdin_path);
    int code = run(argc, argv, false, &out);
    bool same = err && !want ? code == atoi(err + strlen("exit "))
                             : code == 0 && out.text && strcmp(out.text, want) == 0;
    bool deviates = is_deviation(id);
    ck_assert_msg(same != deviates, "%s: %s, exit %d:\n%s", id,
                  same ? "a listed deviation is equal" : "differs", code, out.text ? out.text : "");
    (void)snprintf(path, sizeof path, "%sjson", base);
    char *want_json = read_text(path);
    if (want_json) {
        struct dump json = {0};
        ck_assert_int_eq(run(argc, argv, true, &json), 0);
        ck_assert_str_eq(json.text, want_json);
        dump_done(&json);
    }
    open_stdin(stdin_path);
    argv[2] = argv[0]; /* without -O */
    load(argc - 2, argv + 2);
    dump_done(&out);
    free(want_json);
    free(want);
    free(err);
    free(args);
}

START_TEST(test_command_line_prints_what_gost_prints)
{
    char base[PATH_MAX + 32], args[PATH_MAX + 32];
    const char *id = cmdlines[_i];
    (void)snprintf(base, sizeof base, "%s/cmdline/%s.", root, id);
    (void)snprintf(args, sizeof args, "%s/cmdline/%s.args", root, id);
    ck_assert_int_eq(chdir(empty_dir), 0);
    check_case(id, base, args, "/dev/null");
}
END_TEST

START_TEST(test_file_prints_what_gost_prints)
{
    char dir[PATH_MAX + 32], base[PATH_MAX + 64], in[PATH_MAX + 64];
    const char *id = files[_i];
    (void)snprintf(dir, sizeof dir, "%s/yaml/%s", root, id);
    (void)snprintf(base, sizeof base, "%s/expect.", dir);
    (void)snprintf(in, sizeof in, "%s/stdin", dir);
    ck_assert_int_eq(chdir(dir), 0);
    if (strcmp(id, "C-env") == 0) {
        (void)setenv("GOST_LOGGER_LEVEL", "error", 1);
        (void)setenv("GOST_API", "127.0.0.1:18080", 1);
        (void)setenv("GOST_METRICS", "127.0.0.1:9100", 1);
        (void)setenv("GOST_PROFILING", "127.0.0.1:6060", 1);
    }
    check_case(id, base, "args", in);
}
END_TEST

/* Ids of a folder: files that end in .args, or folders that hold args. */
static int list_cases(const char *sub, bool folders, char **v)
{
    char path[PATH_MAX + 300];
    int n = 0;
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", root, sub);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) && n < CASES_MAX;) {
        size_t len = strlen(e->d_name);
        (void)snprintf(path, sizeof path, "%s/%s/%s/args", root, sub, e->d_name);
        if (folders && stat(path, &st) == 0)
            v[n++] = strdup(e->d_name);
        else if (!folders && len > 5 && strcmp(e->d_name + len - 5, ".args") == 0 &&
                 strcmp(e->d_name, "M-V.args") != 0) /* the version is ours */
            v[n++] = strndup(e->d_name, len - 5);
    }
    if (d)
        (void)closedir(d);
    return n;
}

int main(void)
{
    static const char *const vars[] = {"GOST_LOGGER_LEVEL", "GOST_API", "GOST_METRICS",
                                       "GOST_PROFILING"};
    if (!realpath("tests/vectors/config", root) || !mkdtemp(empty_dir))
        return 1;
    for (size_t i = 0; i < sizeof vars / sizeof *vars; i++)
        (void)unsetenv(vars[i]);
    (void)setenv("HOME", empty_dir, 1);
    n_cmdlines = list_cases("cmdline", false, cmdlines);
    n_files = list_cases("yaml", true, files);
    Suite *s = suite_create("config vectors");
    TCase *tc = tcase_create("recorded");
    tcase_add_loop_test(tc, test_command_line_prints_what_gost_prints, 0, n_cmdlines);
    tcase_add_loop_test(tc, test_file_prints_what_gost_prints, 0, n_files);
    suite_add_tcase(s, tc);
    int failed = run_suite(s);
    for (int i = 0; i < n_cmdlines; i++)
        free(cmdlines[i]);
    for (int i = 0; i < n_files; i++)
        free(files[i]);
    (void)rmdir(empty_dir);
    return failed != 0 || n_cmdlines + n_files < 400;
}
