/* The strategies and failure marks of gost-config.md 7.3, the forwarder, and how a hop and a chain
 * choose (6.3, 7.2).
 */
#include "chain/chain.h"
#include "chain/forwarder.h"
#include "chain/hash.h"
#include "core/loop.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4 };
static struct marker m[N];
static struct marker *const v[N] = {&m[0], &m[1], &m[2], &m[3]};

static struct selector with(enum selector_strategy strategy)
{
    struct selector s;
    memset(m, 0, sizeof m);
    selector_init(&s, &(struct selector_cfg){.strategy = strategy});
    return s;
}

START_TEST(test_round_robin_goes_around)
{
    struct selector s = with(SELECT_ROUND);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(selector_pick(&s, v, 3, 0, 1000), i % 3);
}
END_TEST

START_TEST(test_nothing_to_pick)
{
    struct selector s = with(SELECT_ROUND);
    ck_assert_int_eq(selector_pick(&s, v, 0, 0, 0), -1);
}
END_TEST

START_TEST(test_fifo_takes_the_first_that_lives)
{
    struct selector s = with(SELECT_FIFO);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 1000), 0);
    marker_fail(&m[0], 1000);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 1000), 1);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 10999), 1);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 11000), 0); /* 10 s later it gets a chance */
    marker_fail(&m[0], 11000);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 11001), 1);
    marker_ok(&m[0]);
    ck_assert_int_eq(selector_pick(&s, v, N, 7, 11001), 0);
}
END_TEST

START_TEST(test_all_failed_is_the_oldest_mark)
{
    struct selector s = with(SELECT_ROUND);
    for (int i = 0; i < N; i++)
        marker_fail(&m[i], 1000);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(selector_pick(&s, v, N, 0, 1001), 0);
    marker_fail(&m[0], 1002);
    marker_fail(&m[1], 1003);
    ck_assert_int_eq(selector_pick(&s, v, N, 0, 1004), 2);
}
END_TEST

START_TEST(test_own_limits_beat_the_selectors)
{
    struct selector s = with(SELECT_FIFO);
    m[0].max_fails = 3;
    m[0].fail_timeout_ms = 500;
    marker_fail(&m[0], 1000);
    marker_fail(&m[0], 1000);
    ck_assert(!marker_is_failed(&m[0], &s, 1000));
    marker_fail(&m[0], 1000);
    ck_assert(marker_is_failed(&m[0], &s, 1499));
    ck_assert(!marker_is_failed(&m[0], &s, 1500));
}
END_TEST

START_TEST(test_backups_only_without_primaries)
{
    struct selector s = with(SELECT_ROUND);
    m[2].backup = m[3].backup = true;
    for (int i = 0; i < 8; i++)
        ck_assert_int_lt(selector_pick(&s, v, N, 0, 1000), 2);
    marker_fail(&m[0], 1000);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(selector_pick(&s, v, N, 0, 1000), 1);
    marker_fail(&m[1], 1000);
    for (int i = 0; i < 8; i++)
        ck_assert_int_ge(selector_pick(&s, v, N, 0, 1000), 2);
}
END_TEST

START_TEST(test_random_follows_the_weights)
{
    struct selector s = with(SELECT_RANDOM);
    int seen[N] = {0};
    m[0].weight = 8; /* the others count as 1 */
    m[1].weight = -3;
    for (int i = 0; i < 11000; i++)
        seen[selector_pick(&s, v, N, 0, 1000)]++;
    ck_assert_int_gt(seen[0], 7400);
    ck_assert_int_lt(seen[0], 8600);
    for (int i = 1; i < N; i++)
        ck_assert_int_gt(seen[i], 600);
}
END_TEST

START_TEST(test_hash_keeps_a_client)
{
    struct selector s = with(SELECT_HASH);
    struct addr a, b;
    ck_assert(addr_parse("192.0.2.1:1000", &a) && addr_parse("192.0.2.1:2000", &b));
    ck_assert_uint_eq(hash_client(&a), hash_client(&b));
    ck_assert_uint_eq(hash_text("123456789"), 0xcbf43926); /* CRC-32's check value */
    int first = selector_pick(&s, v, N, hash_client(&a), 0);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(selector_pick(&s, v, N, hash_client(&b), 0), first);
}
END_TEST

START_TEST(test_words)
{
    bool known;
    ck_assert_int_eq(selector_strategy_parse("rr", &known), SELECT_ROUND);
    ck_assert(known);
    ck_assert_int_eq(selector_strategy_parse("HA", &known), SELECT_FIFO);
    ck_assert_int_eq(selector_strategy_parse("rand", &known), SELECT_RANDOM);
    ck_assert_int_eq(selector_strategy_parse("hash", &known), SELECT_HASH);
    ck_assert_int_eq(selector_strategy_parse(NULL, &known), SELECT_ROUND);
    ck_assert(known);
    ck_assert_int_eq(selector_strategy_parse("parallel", &known), SELECT_ROUND);
    ck_assert(!known);
}
END_TEST

START_TEST(test_forwarder_skips_what_failed)
{
    struct diag diag = {.rc = RC_OK};
    struct loop *loop = loop_new(&diag);
    struct forwarder *f = forwarder_new(loop, &(struct selector_cfg){.strategy = SELECT_FIFO});
    struct target t, got;
    ck_assert_int_eq(forwarder_pick(f, NULL, &got), -1);
    ck_assert(target_parse("a.example:1", &t));
    ck_assert_int_eq(forwarder_add(f, "a", &t), RC_OK);
    ck_assert(target_parse("192.0.2.2:2", &t));
    ck_assert_int_eq(forwarder_add(f, "b", &t), RC_OK);
    ck_assert_int_eq(forwarder_pick(f, NULL, &got), 0);
    forwarder_mark(f, 0, false);
    ck_assert_int_eq(forwarder_pick(f, NULL, &got), 1);
    ck_assert(target_equal(&got, &t));
    forwarder_mark(f, 1, false);
    ck_assert_int_eq(forwarder_pick(f, NULL, &got), 0);
    forwarder_mark(f, 1, true);
    ck_assert_int_eq(forwarder_pick(f, NULL, &got), 1);
    forwarder_mark(f, 77, false);
    forwarder_free(f);
    loop_free(loop);
}
END_TEST

/* ---------------------------------------------------------------- hops and chains */

static const struct option no_options[] = {OPTION_END};
static const struct dialer_type plain = {
    .name = "plain", .base = DIALER_TCP, .options = no_options, .cfg_bytes = 1};
static const struct connector_type tcp_only = {
    .name = "tcponly", .options = no_options, .cfg_bytes = 1};
static const struct connector_type any_udp = {
    .name = "any", .flags = CONNECTOR_UDP_ANY, .options = no_options, .cfg_bytes = 1};
static struct loop *loop;
static char out_of[64]; /* the name that a bypass excludes */

static bool bypassed(void *arg, const char *network, const struct target *t)
{
    (void)network;
    return strcmp(t->name, arg) == 0;
}

static struct node *add_node(struct hop *h, const char *name, const struct connector_type *c,
                             const char *not_for)
{
    struct diag diag = {.rc = RC_OK};
    static char names[8][64];
    static int used;
    char *arg = names[used++ % 8];
    strcpy(arg, not_for != NULL ? not_for : "");
    struct node *n = node_new(&(struct node_cfg){.loop = loop,
                                                 .name = name,
                                                 .addr = "192.0.2.7:1080",
                                                 .connector = c,
                                                 .connector_cfg = calloc(1, 1),
                                                 .dialer = &plain,
                                                 .dialer_cfg = calloc(1, 1),
                                                 .bypassed = not_for != NULL ? bypassed : NULL,
                                                 .bypassed_arg = arg},
                              &diag);
    ck_assert_msg(n != NULL, "%s", diag.text);
    ck_assert_int_eq(hop_add(h, n), RC_OK);
    return n;
}

static struct hop *new_hop(const char *name, bool with_bypass)
{
    return hop_new(&(struct hop_cfg){.loop = loop,
                                     .name = name,
                                     .selector = {.strategy = SELECT_FIFO},
                                     .bypassed = with_bypass ? bypassed : NULL,
                                     .bypassed_arg = out_of});
}

static enum rc route(struct chain *c, const char *target, unsigned udp, char *ret_text,
                     struct diag *diag)
{
    struct target t = {.name = ""};
    struct route r;
    if (target != NULL)
        ck_assert(target_parse(target, &t));
    *diag = (struct diag){.rc = RC_OK};
    enum rc rc = chain_route(
        c, &(struct hop_ask){.network = udp ? "udp" : "tcp", .target = &t, .udp = udp}, &r, diag);
    if (rc == RC_OK) {
        route_format(&r, ret_text, 200);
        route_done(&r);
    }
    return rc;
}

START_TEST(test_rules_of_hops_and_nodes)
{
    struct diag diag = {.rc = RC_OK};
    char text[200];
    loop = loop_new(&diag);
    strcpy(out_of, "lan.example");
    struct chain *c = chain_new("out");
    struct hop *h0 = new_hop("hop-0", false), *h1 = new_hop("hop-1", true);
    struct node *a = add_node(h0, "a", &any_udp, "not-a.example");
    struct node *b = add_node(h0, "b", &any_udp, "not-a.example");
    b->bypassed_arg = out_of;
    add_node(h1, "t", &tcp_only, NULL);
    ck_assert_int_eq(chain_add(c, h0), RC_OK);
    ck_assert_int_eq(chain_add(c, h1), RC_OK);

    ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "a@192.0.2.7:1080 > t@192.0.2.7:1080");
    /* the second hop's rule: the traffic leaves from the first hop's node */
    ck_assert_int_eq(route(c, "lan.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "a@192.0.2.7:1080");
    /* a node's rule: another node of the hop serves */
    ck_assert_int_eq(route(c, "not-a.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "b@192.0.2.7:1080 > t@192.0.2.7:1080");
    /* all nodes excluded: as if the hop were */
    strcpy(a->bypassed_arg, "lan.example");
    ck_assert_int_eq(route(c, "lan.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "direct");
    /* all failed: one flow tries the first one, others are refused, never around the chain */
    marker_fail(&a->marker, loop_now_ms(loop));
    marker_fail(&b->marker, loop_now_ms(loop));
    ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "a@192.0.2.7:1080 > t@192.0.2.7:1080");
    ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_REFUSED);
    ck_assert(strstr(diag.text, "hop-0 has failed lately") != NULL);
    diag.rc = RC_OK;
    h0->trial_ms -= HOP_TRIAL_MS;
    ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_OK);
    marker_ok(&b->marker); /* a flow of before got through */
    ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "b@192.0.2.7:1080 > t@192.0.2.7:1080");
    /* a hop's only node is tried whatever its mark says */
    marker_fail(&h1->nodes[0]->marker, loop_now_ms(loop));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(route(c, "x.example:80", 0, text, &diag), RC_OK);
    /* the last hop can't carry UDP: an error that names it */
    ck_assert_int_eq(route(c, "x.example:80", CONNECTOR_UDP_ANY, text, &diag), RC_UNSUPPORTED);
    ck_assert(strstr(diag.text, "hop-1") != NULL);
    /* without it the first one can, and an empty target asks no rule */
    ck_assert_int_eq(route(c, NULL, CONNECTOR_UDP_ANY, text, &diag), RC_UNSUPPORTED);
    chain_unref(c);
    loop_free(loop);
}
END_TEST

START_TEST(test_udp_goes_to_a_node_that_can)
{
    struct diag diag = {.rc = RC_OK};
    char text[200];
    loop = loop_new(&diag);
    struct chain *c = chain_new("out");
    struct hop *h = new_hop("hop-0", false);
    add_node(h, "t", &tcp_only, NULL);
    add_node(h, "u", &any_udp, NULL);
    ck_assert_int_eq(chain_add(c, h), RC_OK);
    ck_assert_int_eq(route(c, "192.0.2.1:53", CONNECTOR_UDP_ANY, text, &diag), RC_OK);
    ck_assert_str_eq(text, "u@192.0.2.7:1080");
    ck_assert_int_eq(route(c, "192.0.2.1:53", 0, text, &diag), RC_OK);
    ck_assert_str_eq(text, "t@192.0.2.7:1080");
    chain_unref(c);
    loop_free(loop);
}
END_TEST

START_TEST(test_a_hop_without_nodes_is_refused)
{
    struct diag diag = {.rc = RC_OK};
    char text[200];
    loop = loop_new(&diag);
    struct chain *c = chain_new("out");
    ck_assert_int_eq(chain_add(c, new_hop("hop-0", false)), RC_OK);
    ck_assert_int_eq(route(c, "192.0.2.1:80", 0, text, &diag), RC_INVALID);
    ck_assert(strstr(diag.text, "hop-0") != NULL);
    chain_unref(c);
    loop_free(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("selector");
    TCase *tc = tcase_create("selector");
    tcase_add_test(tc, test_round_robin_goes_around);
    tcase_add_test(tc, test_nothing_to_pick);
    tcase_add_test(tc, test_fifo_takes_the_first_that_lives);
    tcase_add_test(tc, test_all_failed_is_the_oldest_mark);
    tcase_add_test(tc, test_own_limits_beat_the_selectors);
    tcase_add_test(tc, test_backups_only_without_primaries);
    tcase_add_test(tc, test_random_follows_the_weights);
    tcase_add_test(tc, test_hash_keeps_a_client);
    tcase_add_test(tc, test_words);
    tcase_add_test(tc, test_forwarder_skips_what_failed);
    tcase_add_test(tc, test_rules_of_hops_and_nodes);
    tcase_add_test(tc, test_udp_goes_to_a_node_that_can);
    tcase_add_test(tc, test_a_hop_without_nodes_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
