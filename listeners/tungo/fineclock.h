/* listeners/tungo/fineclock.h - monotonic microseconds: round trips on a host are shorter than the
 * loop's millisecond.
 */
#ifndef LISTENERS_TUNGO_FINECLOCK_H
#define LISTENERS_TUNGO_FINECLOCK_H

#include <stdint.h>

uint64_t fineclock_us(void);

#endif
