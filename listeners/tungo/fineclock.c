/* listeners/tungo/fineclock.c - see fineclock.h. A file of its own: tests bring another clock. */
#include "listeners/tungo/fineclock.h"
#include <time.h>

uint64_t fineclock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
