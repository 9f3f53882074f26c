/* core/secret.c - constant-time comparison and wiping. Contract in core/secret.h. */
#include "core/secret.h"
#include <stdint.h>
#include <string.h>

bool secret_equal(const void *a, size_t na, const void *b, size_t nb)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *x = a, *y = nb > 0 ? b : nothing;
    size_t wrap = nb > 0 ? nb : 1, j = 0;
    volatile size_t diff = na ^ nb;

    for (size_t i = 0; i < na; i++) {
        diff = diff | (size_t)(x[i] ^ y[j]);
        j++;
        j &= (size_t)0 - (size_t)(j < wrap);
    }
    return diff == 0;
}

void secret_wipe(void *p, size_t n)
{
    if (p != NULL && n > 0)
        explicit_bzero(p, n);
}
