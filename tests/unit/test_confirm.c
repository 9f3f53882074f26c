/* How long a parked SYN waits: for its dial, then for the last node's word. */
#include "chain/node.h"
#include "chain/router.h"
#include "handlers/confirm.h"
#include "handlers/tungo_inside.h"
#include "run.h"
#include <check.h>
#include <stdlib.h>

static uint32_t parked_ms(uint32_t dial_ms, int retries, bool fallback)
{
    struct diag diag = {0};
    struct loop *loop = loop_new(&diag);
    struct tungo_handler_cfg cfg = {.sniffing_fallback = fallback};
    struct router *r = router_new(&(struct router_cfg){
        .loop = loop, .service = "s", .dial_timeout_ms = dial_ms, .retries = retries});
    uint32_t ms = tun_park_ms(&cfg, r);

    router_free(r);
    loop_free(loop);
    return ms;
}

START_TEST(test_a_parked_syn_outwaits_its_dial)
{
    /* the dial (15 s when nothing is said), then 20 s for an eager node, and a second more */
    ck_assert_uint_eq(parked_ms(0, 0, false), 36000);
    ck_assert_uint_eq(parked_ms(40000, 0, false), 61000);
    ck_assert_uint_eq(parked_ms(3000, 2, false), 30000);
    ck_assert_uint_eq(parked_ms(3000, 2, true), 39000);
    ck_assert_uint_eq(parked_ms(UINT32_MAX, 7, false), UINT32_MAX);
}
END_TEST

START_TEST(test_the_nodes_word_is_waited_for_as_it_is_known)
{
    struct node n = {.eager = false};

    ck_assert_uint_eq(confirm_wait_ms(NULL, 0), 20);
    ck_assert_uint_eq(confirm_wait_ms(&n, 9), 20);
    ck_assert_uint_eq(confirm_wait_ms(&n, 50), 100);
    ck_assert_uint_eq(confirm_wait_ms(&n, UINT64_MAX), 250);
    confirm_learn(&n, true);
    ck_assert_uint_eq(confirm_wait_ms(&n, 50), 20000);
    confirm_learn(&n, false); /* it let the time pass once */
    ck_assert_uint_eq(confirm_wait_ms(&n, 50), 100);
    confirm_learn(NULL, true);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("confirm");
    TCase *t = tcase_create("confirm");

    tcase_add_test(t, test_a_parked_syn_outwaits_its_dial);
    tcase_add_test(t, test_the_nodes_word_is_waited_for_as_it_is_known);
    suite_add_tcase(s, t);
    return run_suite(s);
}
