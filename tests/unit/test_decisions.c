/* What is dialled for a flow from the device, against what GOST was seen to dial for it
 * (tests/vectors/decisions.txt): first bytes -> service rule -> hosts -> hop and node rules. Where
 * we differ on purpose the difference stands in a table here, and in docs/MIGRATION.md.
 *
 * The sniffer, the rules and the router are the real ones, made from a configuration; nothing is
 * sent.
 */
#include "app/registry.h"
#include "app/rules.h"
#include "app/world.h"
#include "chain/explain.h"
#include "configs/load.h"
#include "configs/model.h"
#include "core/loop.h"
#include "run.h"
#include "sniff/sniff.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLOWS_MAX = 64, BYTES_MAX = 512, ANSWER_MAX = 400 };

#define LIST "[example.com, 203.0.113.12, '*.wild.example', '2001:db8::/32']"
#define NAMES                                                                                      \
    "hosts: [{name: n, mappings: [{ip: 203.0.113.10, hostname: a.example, aliases: "               \
    "[example.com]}, {ip: 203.0.113.11, hostname: www.example.com}, {ip: 203.0.113.12, hostname: " \
    "b.example}]}]\n"

static const struct setting {
    const char *name;
    bool sniffs, falls_back, has_chain;
    const char *service, *hop, *node; /* fields of the configuration */
    const char *rules;                /* sections */
} settings[] = {
    {.name = "off", .has_chain = true},
    {.name = "sniff", .sniffs = true, .has_chain = true},
    {.name = "hop",
     .sniffs = true,
     .has_chain = true,
     .hop = "bypass: b,",
     .rules = "bypasses: [{name: b, matchers: " LIST "}]\n"},
    {.name = "hopw",
     .sniffs = true,
     .has_chain = true,
     .hop = "bypass: b,",
     .rules = "bypasses: [{name: b, whitelist: true, matchers: [.example.com]}]\n"},
    {.name = "svc",
     .sniffs = true,
     .has_chain = true,
     .service = "bypass: b,",
     .rules = "bypasses: [{name: b, matchers: " LIST "}]\n"},
    {.name = "svcw",
     .sniffs = true,
     .has_chain = true,
     .service = "bypass: b,",
     .rules = "bypasses: [{name: b, whitelist: true, matchers: [.example.com]}]\n"},
    {.name = "hosts",
     .sniffs = true,
     .has_chain = true,
     .service = "hosts: n,",
     .hop = "bypass: b,",
     .rules = "bypasses: [{name: b, matchers: " LIST "}]\n"
              "hosts: [{name: n, mappings: [{ip: 203.0.113.11, hostname: example.com}]}]\n"},
    {.name = "resolver", /* a table says the same without a question */
     .sniffs = true,
     .has_chain = true,
     .service = "hosts: n,",
     .hop = "bypass: b,",
     .rules = "bypasses: [{name: b, matchers: " LIST "}]\n" NAMES},
    {.name = "node",
     .sniffs = true,
     .has_chain = true,
     .node = "bypass: b,",
     .rules = "bypasses: [{name: b, matchers: " LIST "}]\n"},
    {.name = "direct", .sniffs = true},
    {.name = "fallback", .sniffs = true, .falls_back = true},
};

static const struct difference {
    const char *setting, *flow, *ours;
} differences[] = {
    /* a hello over two records names its target */
    {"sniff", "tls-split", "chain n0 example.com:443"},
    {"hop", "tls-split", "direct example.com:443"},
    {"hopw", "tls-split", "chain n0 example.com:443"},
    {"svcw", "tls-split", "chain n0 example.com:443"},
    {"hosts", "tls-split", "direct 203.0.113.11:443"},
    {"resolver", "tls-split", "direct 203.0.113.10:443"},
    {"node", "tls-split", "chain n1 example.com:443"},
    {"direct", "tls-split", "direct example.com:443"},
    {"fallback", "tls-split", "direct example.com:443"},
    /* one without a name goes to its address, and service rules see that */
    {"sniff", "tls-nosni", "chain n0 203.0.113.12:443"},
    {"hop", "tls-nosni", "direct 203.0.113.12:443"},
    {"hopw", "tls-nosni", "direct 203.0.113.12:443"},
    {"hosts", "tls-nosni", "direct 203.0.113.12:443"},
    {"resolver", "tls-nosni", "direct 203.0.113.12:443"},
    {"node", "tls-nosni", "chain n1 203.0.113.12:443"},
    {"direct", "tls-nosni", "direct 203.0.113.12:443"},
    {"fallback", "tls-nosni", "direct 203.0.113.12:443"},
    {"svc", "http-nohost", "-"},
    {"svcw", "http-nohost", "-"},
    /* service rules count for UDP */
    {"svc", "udp-ip12", "-"},
    {"svc", "udp6", "-"},
    {"svcw", "udp", "-"},
    {"svcw", "udp-ip12", "-"},
    {"svcw", "udp6", "-"},
    {"svcw", "udp-dns", "-"},
    /* with hosts or a resolver hop and node rules see the name as well as the address */
    {"hosts", "http-name", "direct 203.0.113.11:80"},
    {"hosts", "http-port", "direct 203.0.113.11:80"},
    {"hosts", "http-abs", "direct 203.0.113.11:80"},
    {"hosts", "http-upper", "direct 203.0.113.11:80"},
    {"hosts", "tls-name", "direct 203.0.113.11:443"},
    {"hosts", "tls-8443", "direct 203.0.113.11:8443"},
    {"hosts", "tls-upper", "direct 203.0.113.11:443"},
    {"resolver", "http-name", "direct 203.0.113.10:80"},
    {"resolver", "http-port", "direct 203.0.113.10:80"},
    {"resolver", "http-abs", "direct 203.0.113.10:80"},
    {"resolver", "http-upper", "direct 203.0.113.10:80"},
    {"resolver", "tls-name", "direct 203.0.113.10:443"},
    {"resolver", "tls-8443", "direct 203.0.113.10:8443"},
    {"resolver", "tls-upper", "direct 203.0.113.10:443"},
    /* here only: a table does not know a name, where a resolver says that there is none */
    {"resolver", "http-wild", "direct x.wild.example:80"},
    {"resolver", "http-nx", "chain n0 nx.example:80"},
    {"resolver", "tls-nx", "chain n0 nx.example:443"},
};

struct flow {
    char name[32];
    bool udp;
    struct addr dst;
    unsigned char bytes[BYTES_MAX];
    size_t n;
};

static struct flow flows[FLOWS_MAX];
static size_t n_flows;
static struct loop *loop;
static struct config *cfg;
static struct world w;

static void make(const struct setting *s)
{
    char path[] = "/tmp/cgost-decisions-XXXXXX.yml";
    const char *const sources[] = {path};
    struct config_args args = {.sources = sources, .n_sources = 1};
    struct problems problems = {.n = 0};
    struct diag diag = {.rc = RC_OK};
    int fd = mkstemps(path, 4);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "services: [{name: s, addr: ':0', %s handler: {type: tungo, %s metadata: {sniffing: "
            "%s}}, listener: {type: tungo, metadata: {net: 192.168.123.1/24}}}]\n%s",
            s->service ? s->service : "", s->has_chain ? "chain: c," : "",
            s->sniffs ? "true" : "false", s->rules ? s->rules : "");
    if (s->has_chain)
        fprintf(f,
                "chains: [{name: c, hops: [{name: h, %s nodes: [{name: n0, addr: 'x.test:1', %s "
                "connector: {type: relay}, dialer: {type: tcp}}%s]}]}]\n",
                s->hop ? s->hop : "", s->node ? s->node : "",
                s->node ? ", {name: n1, addr: 'x.test:2', connector: {type: socks5}, dialer: "
                          "{type: tcp}}"
                        : "");
    ck_assert_int_eq(fclose(f), 0);
    enum rc rc = config_load(&args, registry_names(), &cfg, &problems);
    ck_assert_msg(rc == RC_OK && problems.n == 0, "%s: %s", s->name,
                  problems.n ? problems.v[0].text : "");
    ck_assert(rules_check(cfg, true, &problems));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_msg(world_build(loop, cfg, &w, &diag) == RC_OK, "%s: %s", s->name, diag.text);
    problems_done(&problems);
}

static void unmake(void)
{
    world_done(&w);
    config_free(cfg);
}

/* The handler's part for first bytes: what service rules are asked about, and what is dialled. */
static void name_target(const struct setting *s, const struct flow *f, struct target *ret_rule,
                        struct target *ret_t)
{
    struct sniffed found = {.proto = SNIFF_UNKNOWN};
    target_from_addr(ret_t, &f->dst);
    if (!s->sniffs || f->udp || f->n == 0 ||
        sniff_stream(f->bytes, f->n, &found) != RC_OK) /* more bytes would be waited for in vain */
        found = (struct sniffed){.proto = SNIFF_UNKNOWN};
    sniffed_rule_target(&found, ret_t, ret_rule);
    (void)sniffed_target(&found, ret_t);
}

static void decide(const struct setting *s, const struct flow *f, const char *want,
                   char answer[ANSWER_MAX])
{
    const struct service_parts *parts = service_parts_of(w.services[0]);
    const char *network = f->udp ? "udp" : "tcp";
    struct dial_req req = {.one = false};
    struct target rule;
    struct route_account a;
    char text[TARGET_TEXT_MAX];
    name_target(s, f, &rule, &req.target);
    if (parts->bypasses && rules_bypassed(parts->bypasses, network, &rule)) {
        strcpy(answer, "-");
        return;
    }
    req.seen = req.target;
    router_explain(parts->router, &req, f->udp, &a);
    ck_assert_msg(a.rc == RC_OK, "%s %s: %s", s->name, f->name, a.diag.text);
    target_format(&a.sent, text, sizeof text);
    if (a.route.n == 0)
        snprintf(answer, ANSWER_MAX, "direct %s", text);
    else if (a.chain.hops[0].n_candidates > 1 && strncmp(want, "chain n", 7) == 0)
        snprintf(answer, ANSWER_MAX, "chain n%c %s", want[7], text); /* either may serve */
    else
        snprintf(answer, ANSWER_MAX, "chain %s %s", a.route.nodes[0]->name, text);
    route_account_done(&a);
}

static void read_flow(const char *line)
{
    struct flow *f = &flows[n_flows++];
    char network[8], dst[64], hex[2 * BYTES_MAX + 1];
    ck_assert_uint_le(n_flows, FLOWS_MAX);
    ck_assert_int_eq(sscanf(line, "#   %31s %7s %63s %1024s", f->name, network, dst, hex), 4);
    f->udp = *network == 'u';
    ck_assert(addr_parse(dst, &f->dst));
    for (const char *p = hex; *p && *p != '-'; p += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(p, "%2x", &byte), 1);
        f->bytes[f->n++] = (unsigned char)byte;
    }
}

static const struct flow *flow_of(const char *name)
{
    for (size_t i = 0; i < n_flows; i++)
        if (strcmp(flows[i].name, name) == 0)
            return &flows[i];
    ck_abort_msg("no flow %s", name);
    return NULL;
}

static const char *ours(const char *setting, const char *flow)
{
    for (size_t i = 0; i < sizeof differences / sizeof *differences; i++)
        if (strcmp(differences[i].setting, setting) == 0 && strcmp(differences[i].flow, flow) == 0)
            return differences[i].ours;
    return NULL;
}

/* One line; those of other settings are left out. */
static unsigned check_line(const struct setting *s, char *line)
{
    char answer[ANSWER_MAX], *save, *name = strtok_r(line, "|", &save);
    char *flow = strtok_r(NULL, "|", &save), *want = strtok_r(NULL, "|", &save), *then;
    name[strcspn(name, " ")] = 0;
    if (strcmp(name, s->name) != 0)
        return 0;
    flow++;
    flow[strcspn(flow, " ")] = 0;
    want++;
    want[strlen(want) - 1] = 0;
    if (s->falls_back && (then = strstr(want, ", then ")) != NULL)
        *then = 0;
    decide(s, flow_of(flow), want, answer);
    const char *different = ours(s->name, flow);
    ck_assert_msg(!different || strcmp(different, want) != 0, "%s %s: no difference any more",
                  s->name, flow);
    ck_assert_msg(strcmp(answer, different ? different : want) == 0,
                  "%s %s: \"%s\", GOST: \"%s\"%s%s", s->name, flow, answer, want,
                  different ? ", ours should be: " : "", different ? different : "");
    return 1;
}

static unsigned check_setting(const struct setting *s, FILE *f)
{
    char line[1024];
    unsigned n = 0;
    bool is_flow = false;
    make(s);
    rewind(f);
    n_flows = 0;
    memset(flows, 0, sizeof flows);
    while (fgets(line, sizeof line, f)) {
        if (*line != '#')
            n += check_line(s, line);
        else if (is_flow)
            read_flow(line);
        else
            is_flow = strncmp(line, "# Flows", 7) == 0;
    }
    unmake();
    return n;
}

START_TEST(test_decisions)
{
    FILE *f = fopen("tests/vectors/decisions.txt", "re");
    unsigned n = 0;
    ck_assert_ptr_nonnull(f);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        n += check_setting(&settings[i], f);
    (void)fclose(f);
    ck_assert_uint_ge(n, 185);
    ck_assert_uint_eq(n_flows, 28);
}
END_TEST

static void start(void)
{
    struct diag diag = {.rc = RC_OK};
    loop = loop_new(&diag);
    ck_assert_ptr_nonnull(loop);
}

static void stop(void)
{
    loop_free(loop);
}

int main(void)
{
    Suite *suite = suite_create("decisions");
    TCase *tc = tcase_create("decisions");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, start, stop);
    tcase_add_test(tc, test_decisions);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
