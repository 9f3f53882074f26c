/* arch/cc.h - what lwIP asks of the compiler and the C library: a hosted Linux build. */
#ifndef DEPS_LWIP_ARCH_CC_H
#define DEPS_LWIP_ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(x) ((void)0)

/* lwIP's own mistakes only (the gate lets no malformed packet in): better dead than corrupted */
#define LWIP_PLATFORM_ASSERT(x)                                                                    \
    do {                                                                                           \
        fprintf(stderr, "lwip: %s (%s:%d)\n", x, __FILE__, __LINE__);                              \
        abort();                                                                                   \
    } while (0)

/* Only for ports and addresses that lwIP would choose itself; it never does here. Sequence numbers
 * come from lwip_hooks.h. */
#define LWIP_RAND() ((u32_t)random())

#endif
