/* core/addr.h - an IP address with a port, and a target (an address or a name, with a port).
 *
 * Pure values: copied by assignment, compared with the functions below. Ports are in host order.
 */
#ifndef CORE_ADDR_H
#define CORE_ADDR_H

#include "core/rc.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
    uint8_t family; /* AF_INET, AF_INET6, or 0: none */
    uint16_t port;
    uint32_t scope; /* IPv6 zone index */
    uint8_t ip[16]; /* IPv4 in the first four bytes, the rest zero */
};

enum { ADDR_TEXT_MAX = 64, TARGET_NAME_MAX = 255, TARGET_TEXT_MAX = 320 };

/* Where the client wants to go. name[0] == 0: addr is it; else the name with addr.port (addr.family
 * is 0 unless the address is known besides the name). */
struct target {
    struct addr addr;
    char name[TARGET_NAME_MAX + 1];
};

static inline size_t addr_ip_bytes(const struct addr *a)
{
    return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

struct addr addr_v4(const void *ip4_be, uint16_t port);
struct addr addr_v6(const void *ip6, uint16_t port);
/* IPv4-mapped IPv6 becomes IPv4; everything else stays. */
struct addr addr_unmap(struct addr a);
struct addr addr_from_sockaddr(const struct sockaddr *sa);
/* Returns the length for the system call; v4 is written as an IPv4-mapped address when as_v6. */
socklen_t addr_to_sockaddr(const struct addr *a, bool as_v6, struct sockaddr_storage *ret_ss);

bool addr_equal(const struct addr *a, const struct addr *b); /* with port */
bool addr_same_ip(const struct addr *a, const struct addr *b);
bool addr_is_wildcard(const struct addr *a);
bool addr_is_loopback(const struct addr *a);
bool addr_is_multicast(const struct addr *a);
bool addr_is_link_local(const struct addr *a);
/* As Go's IsGlobalUnicast: not wildcard, loopback, link-local, multicast, broadcast; private
 * networks count as global. */
bool addr_is_global(const struct addr *a);
uint32_t addr_hash(const struct addr *a, uint64_t key);

/* "1.2.3.4", "2001:db8::1", "fe80::1%3"; no brackets, no port, no blanks. */
bool addr_parse_ip(const char *text, size_t len, struct addr *ret_a);
/* "1.2.3.4:80", "[::1]:80". */
bool addr_parse(const char *text, struct addr *ret_a);
/* "1.2.3.4:80", "[::1]:80"; always terminated. Returns buf. */
const char *addr_format(const struct addr *a, char *buf, size_t cap);
const char *addr_format_ip(const struct addr *a, char *buf, size_t cap);

/* A CIDR prefix, or a plain address as /32 or /128. */
struct cidr {
    struct addr net;
    uint8_t bits;
};
bool cidr_parse(const char *text, size_t len, struct cidr *ret_c);
bool cidr_has(const struct cidr *c, const struct addr *a);

/* host may be an IP literal (then addr is set and name is empty) or a name of at most 255 bytes. */
bool target_set_host(struct target *t, const char *host, size_t len, uint16_t port);
/* "host:port", "[v6]:port", ":port" (empty name), names too. */
bool target_parse(const char *text, struct target *ret_t);
void target_from_addr(struct target *t, const struct addr *a);
bool target_is_name(const struct target *t);
bool target_equal(const struct target *a, const struct target *b);
const char *target_format(const struct target *t, char *buf, size_t cap); /* "host:port" */
const char *target_format_host(const struct target *t, char *buf, size_t cap);

#endif
