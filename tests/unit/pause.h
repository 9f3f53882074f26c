/* tests/unit/pause.h - lets a loop run for a while, however little of that while the machine gives
 * us: time alone is no promise that anything happened.
 */
#ifndef TESTS_UNIT_PAUSE_H
#define TESTS_UNIT_PAUSE_H

#include "core/loop.h"
#include <stdlib.h>

static inline void on_pause_over(struct timer *t)
{
    loop_stop(t->loop);
}

/* For so long, then for as many turns as anything needs whose bytes are already there. */
static inline void pause_ms(struct loop *l, uint64_t ms)
{
    enum { TURNS = 300 };
    struct timer t;

    timer_init(l, &t, on_pause_over);
    if (!timer_start(&t, ms))
        abort();
    loop_run(l);
    for (int i = 0; i < TURNS; i++)
        uv_run(loop_uv(l), UV_RUN_NOWAIT);
    timer_stop(&t);
}

#endif
