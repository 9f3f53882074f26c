/* tests/unit/configcase.h - a configuration from a text, in a folder of its own, with plug-ins of
 * our own, and the problems that it has.
 */
#ifndef TESTS_UNIT_CONFIGCASE_H
#define TESTS_UNIT_CONFIGCASE_H

#include "configs/check.h"
#include "configs/load.h"
#include "configs/model.h"
#include "core/addr.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- plug-ins of our own ---- */

struct opts {
    char *text;
    int64_t num, wait_ms, bytes;
    bool yes;
    struct strlist list, lines;
    struct strmap map;
    struct netlist nets;
    int word;
};
#define AT(field) offsetof(struct opts, field)
static const struct option table[] = {
    {.key = "text",
     .aliases = "txt,old.text",
     .type = OPTION_STRING,
     .offset = AT(text),
     .def = "none"},
    {.key = "num", .type = OPTION_INT, .offset = AT(num), .min = 1, .max = 10, .def = "3"},
    {.key = "wait", .type = OPTION_DURATION, .offset = AT(wait_ms), .def = "1500ms"},
    {.key = "size", .type = OPTION_SIZE, .offset = AT(bytes)},
    {.key = "yes", .type = OPTION_BOOL, .offset = AT(yes)},
    {.key = "list", .type = OPTION_LIST, .offset = AT(list)},
    {.key = "lines", .type = OPTION_LINES, .offset = AT(lines)},
    {.key = "map", .type = OPTION_MAP, .offset = AT(map)},
    {.key = "nets", .type = OPTION_NETS, .offset = AT(nets)},
    {.key = "word", .type = OPTION_ENUM, .offset = AT(word), .values = "udp|tcp|tls", .def = "tcp"},
    {.key = "later", .type = OPTION_BOOL, .flags = OPTION_LATER, .offset = AT(yes)},
    {.key = "unsafe", .type = OPTION_BOOL, .flags = OPTION_UNSAFE, .offset = AT(yes)},
    {.key = "quiet", .type = OPTION_STRING, .flags = OPTION_NOOP, .offset = AT(text)},
    OPTION_END};
static const struct option wss_table[] = {
    {.key = "path", .aliases = "ws.path", .type = OPTION_STRING}, OPTION_END};
static const struct option no_table[] = {OPTION_END};
#undef AT

static const struct type_entry handlers[] = {{"auto", NULL, no_table},
                                             {"socks5", "socks", table},
                                             {"tcp", NULL, no_table},
                                             {NULL, NULL, NULL}};
static const struct type_entry listeners[] = {
    {"tcp", NULL, no_table}, {"wss", NULL, wss_table}, {NULL, NULL, NULL}};
static const struct type_entry connectors[] = {{"http", NULL, no_table},
                                               {"relay", NULL, no_table},
                                               {"socks5", NULL, table},
                                               {NULL, NULL, NULL}};
static const struct type_entry dialers[] = {
    {"tcp", NULL, no_table}, {"wss", NULL, wss_table}, {NULL, NULL, NULL}};
static struct type_names names = {handlers, listeners, connectors,   dialers,
                                  NULL,     NULL,      CONFIG_BYPASS};

/* ---- helpers ---- */

static struct problems problems;
static struct config *cfg;
static char dir[] = "/tmp/cgost-test-XXXXXX";

static inline void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
    (void)setenv("HOME", dir, 1);
}

static inline void teardown(void)
{
    config_free(cfg);
    problems_done(&problems);
    (void)unlink("gost.yml");
    (void)unlink("users");
    (void)rmdir(dir);
}

static inline void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    (void)fputs(text, f);
    (void)fclose(f);
}

static inline enum rc load_args(const struct config_args *args)
{
    config_free(cfg);
    cfg = NULL;
    problems_done(&problems);
    return config_load(args, &names, &cfg, &problems);
}

static inline enum rc load_yaml(const char *text)
{
    write_file("gost.yml", text);
    return load_args(
        &(struct config_args){.sources = (const char *[]){"gost.yml"}, .n_sources = 1});
}

static inline enum rc load_urls(const char *service, const char *node)
{
    return load_args(&(struct config_args){
        .services = &service, .n_services = 1, .nodes = &node, .n_nodes = node != NULL});
}

static inline void assert_problem(enum severity severity, const char *place, const char *text)
{
    for (size_t i = 0; i < problems.n; i++) {
        const struct problem *p = &problems.v[i];
        if (p->severity == severity && strcmp(p->place, place) == 0 && strcmp(p->text, text) == 0)
            return;
    }
    for (size_t i = 0; i < problems.n; i++)
        (void)fprintf(stderr, "  %d [%s] [%s]\n", problems.v[i].severity, problems.v[i].place,
                      problems.v[i].text);
    ck_abort_msg("no such problem: [%s] [%s]", place, text);
}

#endif
