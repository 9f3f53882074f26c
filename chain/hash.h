/* chain/hash.h - CRC32-IEEE of the client's IP text: what GOST's hash strategy uses, so that a
 * client keeps its node when a GOST front is replaced. gost-config.md 7.3.
 */
#ifndef CHAIN_HASH_H
#define CHAIN_HASH_H

#include "core/addr.h"

uint32_t hash_text(const char *text);
/* NULL or no address: a random value (GOST's behaviour without a hash source). */
uint32_t hash_client(const struct addr *client);

#endif
