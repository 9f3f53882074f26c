/* The journal: reverse order, failures do not stop the rest, partial undo, caps. */
#include "core/host/journal.h"
#include "run.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char undone[64], warned[256];

static enum rc undo_letter(struct netlink *nl, const void *data, size_t n, struct diag *diag)
{
    char c;

    ck_assert_ptr_null(nl);
    ck_assert_uint_eq(n, 1);
    memcpy(&c, data, 1);
    undone[strlen(undone)] = c;
    return c == 'x' ? diag_set(diag, RC_SYS, "broken") : RC_OK;
}

static const struct journal_kind letter = {"letter", undo_letter};

static void warn(void *arg, const char *text)
{
    ck_assert_ptr_eq(arg, warned);
    strcat(warned, text);
    strcat(warned, ";");
}

static void add(struct journal *j, char c)
{
    char what[] = {'l', c, 0};

    ck_assert_int_eq(journal_add(j, &letter, &c, 1, what), RC_OK);
}

static void setup(void)
{
    memset(undone, 0, sizeof(undone));
    memset(warned, 0, sizeof(warned));
}

START_TEST(test_undo_is_reverse_and_goes_on_after_a_failure)
{
    struct journal j = {0};

    add(&j, 'a');
    add(&j, 'x');
    add(&j, 'c');
    journal_undo(&j, NULL, warn, warned);
    ck_assert_str_eq(undone, "cxa");
    ck_assert_str_eq(warned, "undo lx: broken;");
    ck_assert_uint_eq(j.count, 0);
    journal_undo(&j, NULL, warn, warned);
    ck_assert_str_eq(undone, "cxa");
}
END_TEST

START_TEST(test_undo_to_takes_back_only_the_younger)
{
    struct journal j = {0};

    add(&j, 'a');
    add(&j, 'b');
    add(&j, 'c');
    journal_undo_to(&j, 1, NULL, NULL, NULL);
    ck_assert_str_eq(undone, "cb");
    journal_forget(&j);
    journal_undo(&j, NULL, NULL, NULL);
    ck_assert_str_eq(undone, "cb");
}
END_TEST

START_TEST(test_records_and_bytes_are_capped)
{
    static char big[JOURNAL_DATA_MAX + 1];
    struct journal j = {0};

    ck_assert_int_eq(journal_add(&j, &letter, big, sizeof(big), "big"), RC_LIMIT);
    for (int i = 0; i < JOURNAL_RECORDS_MAX; i++)
        add(&j, 'a');
    ck_assert_int_eq(journal_add(&j, &letter, "a", 1, "one more"), RC_LIMIT);
    ck_assert_uint_eq(j.count, JOURNAL_RECORDS_MAX);
    journal_forget(&j);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("journal");
    TCase *t = tcase_create("undo");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, test_undo_is_reverse_and_goes_on_after_a_failure);
    tcase_add_test(t, test_undo_to_takes_back_only_the_younger);
    tcase_add_test(t, test_records_and_bytes_are_capped);
    suite_add_tcase(s, t);
    return run_suite(s);
}
