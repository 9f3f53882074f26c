/* tests/unit/run.h - how every Check program of this folder ends: main() is its Suite and
 * `return run_suite(suite)`.
 */
#ifndef TESTS_UNIT_RUN_H
#define TESTS_UNIT_RUN_H

#include <check.h>

/* Takes the suite. The exit status: 0, all passed. How much is printed is CK_VERBOSITY's. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
