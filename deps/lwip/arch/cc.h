/* arch/cc.h - what lwIP asks of the compiler and the C library: a hosted Linux build. */
#ifndef DEPS_LWIP_ARCH_CC_H
#define DEPS_LWIP_ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(x) ((void)0)

/* Returns only where lwIP may go on (listeners/tungo/netassert.c). */
void netstack_assert(const char *what, const char *file, int line);
#define LWIP_PLATFORM_ASSERT(x) netstack_assert(x, __FILE__, __LINE__)

/* Only for ports and addresses that lwIP would choose itself; it never does here. Sequence numbers
 * come from lwip_hooks.h. */
#define LWIP_RAND() ((u32_t)random())

#endif
