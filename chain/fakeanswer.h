/* chain/fakeanswer.h - what a fake pool answers to a DNS question. RFC 1035, 3596, 6761
 * (localhost), 9460 (SVCB and HTTPS).
 *
 * Addresses are given for a second, so that a program asks again rather than hold on to a place
 * that may have another name by then. A family that the pool does not have, and the types that
 * could carry addresses past the pool (HTTPS, SVCB, ANY), are answered with nothing (NOERROR).
 * "localhost" stays here. An address of the pool is told its name (PTR). Pure but for the pool.
 */
#ifndef CHAIN_FAKEANSWER_H
#define CHAIN_FAKEANSWER_H

#include "chain/fakepool.h"
#include "core/wire/dns.h"

enum { FAKE_TTL_S = 1, FAKEANSWER_MAX_BYTES = 2 * (DNS_NAME_WIRE_MAX + 32) };

/* buf takes FAKEANSWER_MAX_BYTES. *ret_new: the name has got its address just now. RC_OK: that is
 * the answer; RC_UNSUPPORTED: a question for others. */
enum rc fakeanswer(struct fakepool *pool, const void *query, const struct dns_msg *msg, void *buf,
                   size_t *ret_n, bool *ret_new);

#endif
