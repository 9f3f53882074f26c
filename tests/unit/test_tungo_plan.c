/* tests/unit/test_tungo_plan.c - what rules see and what is dialled for a flow whose name DNS told,
 * or did not: every state with every option that counts. */
#include "handlers/tungo_inside.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

static struct target original, name;

static void set_up(void)
{
    struct addr a;
    ck_assert(addr_parse("192.0.2.1:443", &a));
    target_from_addr(&original, &a);
    name = (struct target){.addr = a};
    (void)snprintf(name.name, sizeof(name.name), "name.example");
}

static const char *text(const struct handler_plan *p)
{
    static char all[400];
    char rule[TARGET_TEXT_MAX], seen[TARGET_TEXT_MAX], dial[TARGET_TEXT_MAX];
    (void)snprintf(all, sizeof(all), "%.100s %.100s %.100s%s",
                   target_format(&p->rule, rule, sizeof(rule)),
                   target_format(&p->seen, seen, sizeof(seen)),
                   target_format(&p->dial, dial, sizeof(dial)), p->by_name ? " by name" : "");
    return all;
}

#define IP   "192.0.2.1:443"
#define NAME "name.example:443"

START_TEST(test_tcp)
{
    static const struct {
        enum tungodns_known known;
        bool sniffing, override;
        const char *plan; /* rule seen dial; NULL: its first bytes are needed */
        enum rc rc;
    } cases[] = {
        {KNOWN_NOTHING, false, true, IP " " IP " " IP, RC_OK},
        {KNOWN_NOTHING, true, true, NULL, RC_OK},
        {KNOWN_LIKELY, false, true, NAME " " NAME " " IP, RC_OK},
        {KNOWN_LIKELY, false, false, NAME " " NAME " " IP, RC_OK},
        {KNOWN_LIKELY, true, true, NULL, RC_OK},
        {KNOWN_NAME, false, true, NAME " " NAME " " NAME, RC_OK},
        {KNOWN_NAME, true, true, NAME " " NAME " " NAME, RC_OK},
        {KNOWN_NAME, true, false, NAME " " NAME " " IP, RC_OK},
        {KNOWN_FAKE, true, true, NAME " " NAME " " NAME " by name", RC_OK},
        {KNOWN_FAKE, false, false, NAME " " NAME " " NAME " by name", RC_OK},
        {KNOWN_STALE, true, true, IP " " IP " " IP, RC_REFUSED},
        {KNOWN_STALE, false, false, IP " " IP " " IP, RC_REFUSED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tungo_handler_cfg cfg = {.sniffing = cases[i].sniffing,
                                        .sniffing_override = cases[i].override};
        struct handler_plan p;
        bool known = tun_plan_known(&cfg, cases[i].known, &name, &original, &p);
        ck_assert_msg(known == (cases[i].plan != NULL), "case %zu", i);
        if (!known)
            continue;
        ck_assert_msg(strcmp(text(&p), cases[i].plan) == 0, "case %zu: %s", i, text(&p));
        ck_assert_int_eq(p.rc, cases[i].rc);
        ck_assert_int_eq(p.note[0] != 0, p.rc != RC_OK);
    }
}
END_TEST

/* Datagrams go to the address, unless it is a fake one; a name in them counts where DNS is not
 * sure.
 */
START_TEST(test_udp)
{
    static const struct {
        enum tungodns_known known;
        bool sniffed;
        const char *plan;
        enum rc rc;
    } cases[] = {
        {KNOWN_NOTHING, false, IP " " IP " " IP, RC_OK},
        {KNOWN_NOTHING, true, "quic.example:443 quic.example:443 " IP, RC_OK},
        {KNOWN_LIKELY, false, NAME " " NAME " " IP, RC_OK},
        {KNOWN_LIKELY, true, "quic.example:443 quic.example:443 " IP, RC_OK},
        {KNOWN_NAME, true, NAME " " NAME " " IP, RC_OK},
        {KNOWN_FAKE, true, NAME " " NAME " " NAME " by name", RC_OK},
        {KNOWN_STALE, true, IP " " IP " " IP, RC_REFUSED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sniffed found = {.proto = SNIFF_UNKNOWN};
        struct handler_plan p;
        if (cases[i].sniffed) {
            found = (struct sniffed){.proto = SNIFF_QUIC, .port = 443};
            (void)snprintf(found.name, sizeof(found.name), "quic.example");
        }
        tun_plan_udp(cases[i].known, &name, &found, &original, &p);
        ck_assert_msg(strcmp(text(&p), cases[i].plan) == 0, "case %zu: %s", i, text(&p));
        ck_assert_int_eq(p.rc, cases[i].rc);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tungo plan");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, set_up, NULL);
    tcase_add_test(t, test_tcp);
    tcase_add_test(t, test_udp);
    suite_add_tcase(s, t);
    return run_suite(s);
}
