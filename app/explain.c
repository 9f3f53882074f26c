/* app/explain.c - the command: its words, each service's story, text or JSON. See explain.h. */
#include "app/explain.h"
#include "app/subcommand.h"
#include "core/host/netlink.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct explain_question q;
    const char *service; /* NULL: all */
    const char *client;
    bool json;
};

static int explain_main(int argc, char **argv);

/* What was asked for on the command line, once per process. */
static struct request asked;

static const struct cli_flag own[] = {
    {"sni", NULL, &asked.q.sni, "name", "the server name that the first bytes will carry"},
    {"client", NULL, &asked.client, "address", "who asks, for admissions"},
    {"service", NULL, &asked.service, "name", "tell of this service only"},
    {"json", &asked.json, NULL, NULL, "one JSON object with all services"},
    {.name = NULL},
};
const struct cli_command explain_command = {
    .name = "explain",
    .words = "tcp|udp host:port",
    .help = "say what would become of it and why, without sending a packet",
    .flags = own,
    .run = explain_main,
};

static void tell_usage(void)
{
    cli_usage_command(stderr, "cgost", &explain_command);
}

static int read_words(const struct subcommand *c, struct request *r)
{
    const char *const *word = c->cli.operands;

    if (c->cli.n_operands != 2 || (strcmp(word[0], "tcp") != 0 && strcmp(word[0], "udp") != 0)) {
        tell_usage();
        return 2;
    }
    r->q.udp = !strcmp(word[0], "udp");
    if (!target_parse(word[1], &r->q.target) || r->q.target.addr.port == 0 ||
        (!target_is_name(&r->q.target) && r->q.target.addr.family == 0)) {
        bool is_url = strchr(word[1], '@') || strstr(word[1], "://"); /* with a password? */
        if (is_url)
            fprintf(stderr, "explain: a URL is not host:port\n");
        else
            fprintf(stderr, "explain: \"%.260s\" is not host:port\n", word[1]);
        tell_usage();
        return 2;
    }
    if (r->q.sni && (!*r->q.sni || strlen(r->q.sni) > TARGET_NAME_MAX)) {
        fprintf(stderr, "explain: --sni wants a name of at most %d bytes\n", TARGET_NAME_MAX);
        return 2;
    }
    if (r->client && !addr_parse_ip(r->client, strlen(r->client), &r->q.client)) {
        fprintf(stderr, "explain: --client \"%.80s\" is no IP address\n", r->client);
        return 2;
    }
    return -1;
}

/* One story per service; JSON: one object with all of them. */
static int tell(const struct subcommand *c, const struct request *r)
{
    json_t *all = json_array(), *top = json_pack("{s:O?}", "services", all);
    struct netlink nl = {.fd = -1};
    bool bad = !top, reach = netlink_open(&nl, NULL, NULL) == RC_OK;
    size_t told = 0;

    for (size_t i = 0; i < c->world.n_services && !bad; i++) {
        struct story s;

        if (r->service && strcmp(r->service, service_name(c->world.services[i])) != 0)
            continue;
        story_init(&s);
        if (!s.nomem)
            explain_service(&s, c->world.services[i], &r->q, reach ? &nl : NULL);
        bad = s.nomem || (r->json && json_array_append(all, s.root));
        if (!bad && !r->json) {
            if (told > 0)
                putchar('\n');
            story_print(&s);
        }
        told++;
        story_done(&s);
    }
    netlink_done(&nl);
    if (!bad && told > 0 && r->json) {
        bad = json_dumpf(top, stdout, JSON_INDENT(2)) != 0;
        putchar('\n');
    }
    json_decref(all);
    json_decref(top);
    if (told == 0 && !bad) {
        fprintf(stderr, "explain: there is no service%s%s\n", r->service ? " " : "",
                r->service ? r->service : "");
        return 2;
    }
    if (bad || fflush(stdout)) {
        fprintf(stderr, "explain: no memory, or standard output can't be written\n");
        return 1;
    }
    return 0;
}

static int explain_main(int argc, char **argv)
{
    struct request *r = &asked;
    struct subcommand c = {.name = NULL};
    int code = subcommand_parse(&c, argc, argv, &explain_command);

    if (code < 0)
        code = read_words(&c, r);
    if (code < 0)
        code = subcommand_build(&c);
    if (code < 0)
        code = tell(&c, r);
    subcommand_close(&c);
    return code;
}
