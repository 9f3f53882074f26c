/* bypass/pattern.h - what one line of a rule set says: the classes of gost-config.md 6.1, in their
 * order. A pure function.
 *
 *   10.0.0.0/8                             addresses (a prefix)
 *   *.example.com, www.?.net:80-90         a glob over the host
 *   10.1.2.3, 10.0.0.1 - 10.0.0.9          addresses (one, or a range)
 *   example.com, .example.com:443, [::1]:80   a host: the name itself, or with a dot in front the
 *                                          name and all below it
 *
 * Everything is a pattern, as in GOST; what looks like a mistake is told.
 */
#ifndef BYPASS_PATTERN_H
#define BYPASS_PATTERN_H

#include "core/addr.h"

enum pattern_kind { PATTERN_ADDRS, PATTERN_GLOB, PATTERN_HOST };

struct pattern {
    enum pattern_kind kind;
    struct addr first, last; /* ADDRS; families may differ: IPv4 is below IPv6 */
    const char *host;        /* GLOB, HOST: in the text, in its case; at most its length */
    size_t host_bytes;
    uint32_t port_min, port_max; /* 0..65535: any; a falling range is empty */
    const char *doubt;           /* why it hardly is what somebody meant, in words; NULL: none */
};

void pattern_parse(const char *text, size_t n, struct pattern *ret_p);
/* As an admission reads it: IPv4-mapped addresses are IPv4; what is not ADDRS is no use. */
void pattern_parse_addrs(const char *text, size_t n, struct pattern *ret_p);

/* What is wrong with a pattern, in words; NULL: nothing. addrs_only: of an admission. *ret_ignored:
 * lists leave it out, though GOST may make something of it. */
const char *pattern_doubt(const char *text, size_t n, bool addrs_only, bool *ret_ignored);

#endif
