/* sniff/dns.h - whom a DNS message asks for.
 *
 * Pure: no I/O, no allocation, no state. Messages are read by core/wire/dns.h; RFC 1035,
 * wire-protocols.md 8.4. A found name is as in sniff.h; the root and texts that are addresses are
 * no names (found->name is empty). The name says whom the question is about, never where the
 * message goes.
 */
#ifndef SNIFF_DNS_H
#define SNIFF_DNS_H

#include "sniff/sniff.h"

/* A datagram. RC_PROTO: no standard query with a question. port is where it goes to: bytes to any
 * other than 53 must be a query in each detail, for there they could be anything. */
enum rc sniff_dns_query(const void *buf, size_t n, uint16_t port, struct sniffed *ret_found);
/* An answer's question. RC_PROTO: no answer to a standard query. */
enum rc sniff_dns_answer(const void *buf, size_t n, struct sniffed *ret_found);
/* The first query of a stream (two bytes of length first, 4,096 at most). RC_AGAIN: more bytes. */
enum rc sniff_dns_stream(const void *buf, size_t n, struct sniffed *ret_found);

#endif
