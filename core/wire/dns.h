/* core/wire/dns.h - DNS messages: the question, the records, and the few changes that a cache and a
 * forwarder make. Sources: RFC 1035 section 4, RFC 2308 (negative answers), RFC 6891 (EDNS),
 * RFC 7871 (client subnet), wire-protocols.md 7 and 8.4.
 *
 * Pure: no I/O, no allocation. A message is whole or wrong (RC_PROTO): over TCP its two bytes of
 * length come first. Compression pointers lead only backwards, at most 16 of them a name.
 *
 * Names are text without the last dot, "." is the root; a dot or a backslash inside a label is
 * escaped by a backslash, a byte outside the printable ASCII as \DDD. Case is kept as it came and
 * means nothing in comparisons.
 */
#ifndef CORE_WIRE_DNS_H
#define CORE_WIRE_DNS_H

#include "core/addr.h"
#include "core/rc.h"
#include "core/wire/cursor.h"

enum {
    DNS_HEAD_BYTES = 12,
    DNS_NAME_WIRE_MAX = 255,
    DNS_NAME_TEXT_MAX = 1024, /* with the final NUL; every byte may need an escape */
    DNS_MESSAGE_MAX = 65535,
    DNS_UDP_PLAIN_MAX = 512, /* an answer over UDP to somebody without EDNS */
    DNS_UDP_BYTES = 1232     /* what we offer and take by EDNS */
};

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_OPT = 41,
    DNS_HTTPS = 65,
    DNS_TSIG = 250
};
enum { DNS_CLASS_IN = 1 };
enum dns_flag {
    DNS_QR = 0x8000, /* an answer */
    DNS_OPCODE = 0x7800,
    DNS_AA = 0x0400,
    DNS_TC = 0x0200, /* cut: ask again over TCP */
    DNS_RD = 0x0100,
    DNS_RA = 0x0080,
    DNS_RCODE = 0x000f
};
enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5
};

/* Head and first question. */
struct dns_msg {
    uint16_t id, flags;
    uint16_t n_questions, n_answers, n_authority, n_additional;
    uint16_t type, class; /* of the first question */
    size_t question_end;  /* offset behind the first question */
    char name[DNS_NAME_TEXT_MAX];
};

/* The length in front of a message on a stream: 2 + n bytes make the unit. RC_AGAIN: not whole yet
 * (ret_msg.n tells the length once both bytes are there, else 0); RC_PROTO: shorter than a head. */
enum rc dns_frame(const void *buf, size_t len, struct slice *ret_msg);

/* Head and first question of a query or an answer. RC_PROTO: cut, no question, a bad name. */
enum rc dns_parse(const void *buf, size_t len, struct dns_msg *ret_msg);
/* The same, and it must be a standard query (QR 0, opcode 0): what a sniffer wants to know. */
enum rc dns_parse_query(const void *buf, size_t len, struct dns_msg *ret_msg);
/* The same question: name, type, class? */
bool dns_same_question(const struct dns_msg *a, const struct dns_msg *b);

/* A record; rdata points into the message, but names in it may be compressed (dns_read_name). */
enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };
struct dns_record {
    enum dns_section section;
    uint16_t type, class;
    uint32_t ttl_s;
    size_t ttl_at; /* offset of the TTL field */
    size_t rdata_at, rdata_n;
    char name[DNS_NAME_TEXT_MAX];
};
struct dns_walk {
    const uint8_t *buf;
    size_t len, at; /* at: offset behind what was read */
    uint32_t left[3];
};
/* Behind all the questions. RC_PROTO: a question is cut. */
enum rc dns_walk_start(struct dns_walk *w, const void *buf, size_t len, const struct dns_msg *msg);
/* RC_EOF: that was all of them. */
enum rc dns_walk_next(struct dns_walk *w, struct dns_record *ret_r);
/* A name at any offset of the message; ret_next (may be NULL): the offset behind it. */
enum rc dns_read_name(const void *buf, size_t len, size_t at, char name[DNS_NAME_TEXT_MAX],
                      size_t *ret_next);
/* An A or AAAA record's address, port 0. */
bool dns_record_addr(const struct dns_walk *w, const struct dns_record *r, struct addr *ret_a);

/* The addresses that an answer gives for its question (type A or AAAA), CNAMEs followed; ret_ttl_s
 * is the smallest TTL on the way (0 when nothing was found). Records of other names are left out.
 * RC_OK with 0 addresses: none; RC_PROTO: cut, or the CNAMEs go in a ring. */
enum rc dns_addresses(const void *buf, size_t len, const struct dns_msg *msg, struct addr *v,
                      int cap, int *ret_n, uint32_t *ret_ttl_s);

/* How long an answer may be kept: the smallest TTL of all its records; without any in the answer
 * section the SOA's (RFC 2308 section 5). false: it says nothing. */
bool dns_lifetime(const void *buf, size_t len, const struct dns_msg *msg, uint32_t *ret_ttl_s);

/* What EDNS says: the sender's UDP size (>= 512; 512 without EDNS), and its client subnet. */
struct dns_edns {
    bool present;
    bool dnssec;  /* the DO bit */
    bool options; /* it has options: cookies, subnets ...: an answer may be for this asker only */
    uint16_t udp_bytes;
    struct cidr subnet; /* net.family 0: none */
};
enum rc dns_find_edns(const void *buf, size_t len, const struct dns_msg *msg,
                      struct dns_edns *ret_edns);

/* --- changes in place; the message was parsed before */
void dns_set_id(void *buf, uint16_t id);
enum dns_ttl_change { DNS_TTL_SET, DNS_TTL_AGE /* less so many seconds, not below 0 */ };
/* All records but OPT. RC_PROTO: the message is cut; TTLs before the cut are changed. */
enum rc dns_change_ttls(void *buf, size_t len, const struct dns_msg *msg, enum dns_ttl_change how,
                        uint32_t ttl_s);
/* Takes all options out of the OPT record (they are between two neighbours, RFC 6891
 * section 6.1.1). Returns the new length; len when there are none, or when the message is signed
 * (TSIG). */
size_t dns_drop_options(void *buf, size_t len, const struct dns_msg *msg);
/* An OPT record for an answer of ours to somebody who sent one (RFC 6891 section 6.1.1): appended
 * where there is none and room is. Returns the new length. */
size_t dns_add_opt(void *buf, size_t len, size_t cap, const struct dns_edns *asked);
/* Leaves head and first question, with TC set. Returns the new length. */
size_t dns_truncate(void *buf, const struct dns_msg *msg);

/* --- messages of ours */
struct dns_query {
    uint16_t id, type;
    const char *name;          /* text as above, a last dot is fine */
    uint16_t edns_bytes;       /* UDP size to offer; 0: no EDNS unless a subnet is given */
    const struct cidr *subnet; /* NULL: none */
};
/* RC_INVALID: the name can't be one; RC_LIMIT: no room. */
enum rc dns_format_query(const struct dns_query *q, void *buf, size_t cap, size_t *ret_n);
/* An answer of ours to a parsed query: its id and question echoed, rcode, addresses of the family
 * asked for (others are left out). RC_LIMIT: no room. */
enum rc dns_format_answer(const void *query, const struct dns_msg *msg, enum dns_rcode rcode,
                          const struct addr *v, int n, uint32_t ttl_s, void *buf, size_t cap,
                          size_t *ret_n);
/* SERVFAIL to any query, with an OPT record if it had one. RC_PROTO: it is no query. */
enum { DNS_FAILURE_MAX_BYTES = DNS_HEAD_BYTES + DNS_NAME_WIRE_MAX + 4 + 11 };
enum rc dns_format_failure(const void *query, size_t n, void *buf, size_t cap, size_t *ret_n);

/* "SERVFAIL", "REFUSED" ...; "an error" for those without a name. */
const char *dns_rcode_text(unsigned rcode);

/* Can the text be a name on the wire? */
bool dns_name_is_valid(const char *name);

#endif
