/* core/siphash.h - SipHash-2-4: a keyed hash for tables that strangers fill and for numbers that
 * strangers must not guess.
 *
 * Pure. The key comes from loop_random() at start. Source: "SipHash: a fast short-input PRF".
 */
#ifndef CORE_SIPHASH_H
#define CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k[2];
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t n);

#endif
