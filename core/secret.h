/* core/secret.h - passwords and keys: compared in constant time, wiped when dropped. */
#ifndef CORE_SECRET_H
#define CORE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* The time taken depends on na (what the peer sent) only, not on the bytes and not on nb. */
bool secret_equal(const void *a, size_t na, const void *b, size_t nb);

/* Overwrites; not optimised away. NULL is fine. */
void secret_wipe(void *p, size_t n);

#endif
