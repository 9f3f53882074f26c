/* tests/tools/cfgdump.c - the configuration half of the program: reads, checks and prints, starts
 * nothing. For tests/config.sh and for hands.
 */
#include "configs/cli.h"
#include "configs/dump.h"
#include <stdio.h>

static void print_problems(const struct problems *p, enum severity least)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct problem *v = &p->v[i];
        if (v->severity >= least)
            (void)fprintf(stderr, "%s%s%s: %s\n", v->place, *v->place ? ": " : "",
                          severity_name(v->severity), v->text);
    }
    if (p->more)
        (void)fprintf(stderr, "and %zu more\n", p->more);
}

static int print_tree(const struct cli *c, struct problems *p)
{
    struct tree *t = tree_new();
    struct value *v;
    struct dump d = {0};
    enum rc rc = t ? config_read(&c->args, t, p, &v) : RC_NOMEM;
    if (rc == RC_OK)
        rc = c->json ? dump_json(&d, v) : dump_yaml(&d, v);
    if (rc == RC_OK)
        (void)fwrite(d.text, 1, d.len, stdout);
    print_problems(p, PROBLEM_FATAL);
    dump_done(&d);
    tree_free(t);
    return rc == RC_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct cli_command *const none[] = {NULL};
    struct cli c;
    struct problems p = {0};
    int code = cli_parse(&c, argc, argv);
    if (c.action == CLI_ERROR)
        (void)fprintf(stderr, "%s\n", c.error);
    if (c.action == CLI_USAGE || (c.action == CLI_ERROR && c.usage))
        cli_usage(stderr, argv[0], none);
    if (code < 0)
        code = print_tree(&c, &p);
    problems_done(&p);
    cli_done(&c);
    return code;
}
