/* sniff/sniff.h - the name in the first bytes of a connection.
 *
 * One entry over the parsers of streams: all bytes so far -> need more / protocol and name /
 * nothing we know. Datagrams have their own: quic.h, dns.h. Pure: no I/O, no allocation, no state;
 * the result for some bytes never depends on how they came. wire-protocols.md 8, gost-config.md 5.
 */
#ifndef SNIFF_SNIFF_H
#define SNIFF_SNIFF_H

#include "core/addr.h"
#include "core/rc.h"

/* Bytes worth keeping: past them an unfinished beginning counts as unknown. */
enum { SNIFF_MAX_BYTES = 20480 };

enum sniff_proto {
    SNIFF_UNKNOWN,
    SNIFF_TLS,
    SNIFF_HTTP,
    SNIFF_H2,
    SNIFF_SSH,
    SNIFF_QUIC,
    SNIFF_DNS
};

struct sniffed {
    enum sniff_proto proto;
    char name[TARGET_NAME_MAX + 1]; /* a name, in the letters in which it was sent, without a final
                                       dot; or an address (HTTP). Empty: none */
    uint16_t port; /* the port that the protocol itself means, for service rules: of the Host field,
                      or 80, 443, 53. 0: no name */
    bool outer;    /* TLS with ECH: the name is the public one */
};

/* n bytes from the start of a stream. RC_AGAIN: more bytes; ret_found->proto tells what they look
 * like so far. RC_PROTO: nothing we know (also past SNIFF_MAX_BYTES). */
enum rc sniff_stream(const void *buf, size_t n, struct sniffed *ret_found);

/* For the parsers of this folder: without its final dot; empty or too long: none. */
void sniffed_set_name(struct sniffed *found, const char *name, uint16_t port);
/* Puts a sniffed name, with the port that was asked for, into a target, beside the address. False
 * (t is as before): there is no name, or one that would lead back to this machine ("localhost",
 * loopback, link-local and other addresses that are not global). */
bool sniffed_target(const struct sniffed *found, struct target *t);
/* What service rules are asked about: name and protocol's port; without a name t. */
void sniffed_rule_target(const struct sniffed *found, const struct target *t,
                         struct target *ret_rule);
const char *sniff_proto_name(enum sniff_proto proto); /* "tls", "http" ... */

#endif
