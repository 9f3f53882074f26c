/* app/subcommand.c - see subcommand.h. */
#include "app/subcommand.h"
#include "app/names.h"
#include "app/registry.h"
#include "app/rules.h"
#include "app/service.h"
#include "app/services_check.h"
#include "configs/load.h"
#include "core/floor/ws/ws.h"
#include "core/log.h"
#include "core/loop.h"
#include <stdio.h>

void subcommand_tell(const struct problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct problem *q = &p->v[i];

        fprintf(stderr, "%s%s%s: %s\n", q->place, q->place[0] ? ": " : "",
                severity_name(q->severity), q->text);
    }
    if (p->more)
        fprintf(stderr, "and %zu more\n", p->more);
    if (p->nomem)
        fprintf(stderr, "no memory\n");
}

int subcommand_parse(struct subcommand *c, int argc, char **argv, const struct cli_command *own)
{
    int code;

    c->name = argv[0];
    code = cli_parse_command(&c->cli, argc, argv, own);
    switch (c->cli.action) {
    case CLI_RUN:
        return -1;
    case CLI_USAGE:
        cli_usage_command(stderr, "cgost", own);
        return 0;
    case CLI_ERROR:
        fprintf(stderr, "%s: %s\n", c->name, c->cli.error);
        return code;
    case CLI_TEST:
    case CLI_PRINT:
    case CLI_VERSION:
        break;
    }
    fprintf(stderr, "%s: -t, -O and -V have no meaning here\n", c->name);
    return 2;
}

static const struct log_cfg silent = {.output = "none", .level = LOG_NONE};

bool subcommand_try(const struct config *cfg, struct problems *p)
{
    struct subcommand c = {.name = NULL};
    struct diag diag = {0};
    size_t before = p->n;

    if (log_open(&silent, &diag) == RC_OK && (c.loop = loop_new(&diag)) != NULL &&
        world_build(c.loop, cfg, &c.world, &diag) == RC_OK) {
        for (size_t i = 0; i < c.world.n_services; i++) {
            struct diag why = {0};
            if (service_check(c.world.services[i], &why) != RC_OK)
                problems_add(p, PROBLEM_REFUSE, service_parts_of(c.world.services[i])->place, "%s",
                             why.text);
        }
    } else {
        problems_add(p, PROBLEM_REFUSE, NULL, "%s", diag.text); /* it has the place */
    }
    subcommand_close(&c);
    return p->n == before && !p->nomem;
}

int subcommand_build(struct subcommand *c)
{
    struct problems p = {0};
    struct diag diag = {0};
    enum rc rc = config_load(&c->cli.args, registry_names(), &c->cfg, &p);

    if (rc == RC_OK) {
        (void)rules_check(c->cfg, true, &p);
        (void)names_check(c->cfg, &p);
        (void)services_check(c->cfg, true, &p);
        if (problems_have(&p, PROBLEM_REFUSE))
            rc = RC_INVALID;
    }
    bool bare = rc == RC_EOF && c->may_be_bare;
    if (!bare)
        subcommand_tell(&p);
    problems_done(&p);
    if (rc != RC_OK)
        return bare ? -1 : 1;
    rc = log_open(&silent, &diag);
    if (rc == RC_OK) {
        c->loop = loop_new(&diag);
        rc = c->loop ? world_build(c->loop, c->cfg, &c->world, &diag) : diag.rc;
    }
    if (rc == RC_OK)
        return -1;
    fprintf(stderr, "%s: %s\n", c->name, diag.text);
    return 1;
}

void subcommand_close(struct subcommand *c)
{
    world_done(&c->world);
    if (c->loop)
        uv_run(loop_uv(c->loop), UV_RUN_NOWAIT); /* what was closed ends here */
    ws_shutdown();
    loop_free(c->loop);
    config_free(c->cfg);
    log_close();
    cli_done(&c->cli);
}
