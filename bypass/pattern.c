/* bypass/pattern.c - see pattern.h. */
#include "bypass/pattern.h"
#include "bypass/glob.h"
#include <string.h>
#include <strings.h>

enum { PORT_MAX = 65535, NUMBER_MAX = 9999999 };

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* ---- addresses ---- */

/* Could this be part of an address, a prefix or a range? Spares names the real parsers. */
static bool looks_like_addr(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = s[i], low = (char)(c | 0x20);
        if (!((c >= '.' && c <= ':') || (low >= 'a' && low <= 'f') || c == '-' || is_blank(c)))
            return false; /* '.' to ':' are the dot, the slash, the digits and the colon */
    }
    return n > 0;
}

/* With a prefix of an IPv4-mapped network as the IPv4 network that it is. */
static bool parse_cidr(const char *s, size_t n, struct pattern *p)
{
    struct cidr c;
    const size_t mapped_bits = 96;

    if (!memchr(s, '/', n) || !cidr_parse(s, n, &c))
        return false;
    struct addr plain = addr_unmap(c.net);
    if (plain.family != c.net.family && c.bits >= mapped_bits) {
        c.net = plain;
        c.bits = (uint8_t)(c.bits - mapped_bits);
    }
    p->first = p->last = c.net;
    for (size_t i = 0; i < addr_ip_bytes(&c.net); i++) {
        size_t before = i * 8;
        unsigned mask = c.bits >= before + 8 ? 0xffu
                        : c.bits <= before   ? 0
                                             : 0xffu << (before + 8 - c.bits);
        p->first.ip[i] = (uint8_t)(c.net.ip[i] & mask);
        p->last.ip[i] = (uint8_t)(c.net.ip[i] | ~mask);
    }
    return true;
}

static bool parse_trimmed(const char *s, size_t n, struct addr *ret_a)
{
    while (n > 0 && is_blank(*s)) {
        s++;
        n--;
    }
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    return addr_parse_ip(s, n, ret_a);
}

/* Below 0: a comes first. IPv4 is below IPv6. */
static int addr_order(const struct addr *a, const struct addr *b)
{
    if (a->family != b->family)
        return a->family == AF_INET ? -1 : 1;
    return memcmp(a->ip, b->ip, sizeof a->ip);
}

static bool parse_range(const char *s, size_t n, struct pattern *p)
{
    const char *dash = memchr(s, '-', n);

    if (!dash) {
        if (!parse_trimmed(s, n, &p->first))
            return false;
        p->last = p->first;
    } else if (!parse_trimmed(s, (size_t)(dash - s), &p->first) ||
               !parse_trimmed(dash + 1, (size_t)(s + n - dash - 1), &p->last)) {
        return false;
    }
    if (addr_unmap(p->first).family != p->first.family && p->last.family == AF_INET6 &&
        memcmp(p->first.ip, p->last.ip, sizeof p->first.ip) == 0)
        p->doubt = "targets of that kind are IPv4 addresses";
    if (addr_order(&p->first, &p->last) > 0)
        p->doubt = "the range falls";
    return true;
}

/* ---- host and port ---- */

/* As Go's SplitHostPort; false: there is no port, or it is not so plain. */
static bool split(const char *s, size_t n, struct pattern *p, const char **ret_port)
{
    const char *end = s + n, *colon = memrchr(s, ':', n);
    const char *host = s, *host_end = colon, *open_from = s, *close_from = s;

    if (!colon)
        return false;
    if (*s == '[') {
        host_end = memchr(s, ']', n);
        if (!host_end || host_end + 1 != colon)
            return false;
        host = open_from = s + 1;
        close_from = colon;
    } else if (memchr(s, ':', (size_t)(colon - s))) {
        return false;
    }
    if (host == host_end || memchr(open_from, '[', (size_t)(end - open_from)) ||
        memchr(close_from, ']', (size_t)(end - close_from)))
        return false;
    p->host = host;
    p->host_bytes = (size_t)(host_end - host);
    *ret_port = colon + 1;
    return true;
}

/* As Go's Atoi, without a minus; what is too large for anything becomes NUMBER_MAX. */
static bool parse_number(const char *s, size_t n, uint32_t *ret_v)
{
    uint32_t v = 0;

    if (n > 1 && *s == '+') {
        s++;
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(s[i] - '0');
        v = v > NUMBER_MAX ? NUMBER_MAX : v;
    }
    *ret_v = v;
    return n > 0;
}

/* Bad text is any port; a range may reach beyond what there is. */
static void parse_ports(const char *s, size_t n, struct pattern *p)
{
    const char *dash = memchr(s, '-', n), *second = dash ? dash + 1 : s, *end = s + n;
    uint32_t min, max;

    if (!parse_number(s, (size_t)((dash ? dash : end) - s), &min) ||
        !parse_number(second, (size_t)(end - second), &max) || (!dash && min > PORT_MAX)) {
        p->doubt = "what stands behind the colon is no port, so that every port matches";
        return;
    }
    p->port_min = min;
    p->port_max = max < PORT_MAX ? max : PORT_MAX;
    if (p->port_min > p->port_max || max == 0)
        p->doubt = "it has a port that nothing has";
}

/* Is it how an address is written when it is a target? */
static bool is_canonical_ip(const char *s, size_t n)
{
    char text[ADDR_TEXT_MAX];
    struct addr a;

    if (!addr_parse_ip(s, n, &a) || addr_unmap(a).family != a.family)
        return false;
    addr_format_ip(&a, text, sizeof text);
    return strlen(text) == n && strncasecmp(text, s, n) == 0;
}

static bool is_in_names(char c)
{
    char low = (char)(c | 0x20);

    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* Hosts as nobody asks for them. */
static const char *host_doubt(const char *s, size_t n)
{
    bool is_number = true, is_ascii = true;
    struct pattern range;

    if (n == 0)
        return "it is empty";
    if (n > TARGET_NAME_MAX)
        return "it is longer than a name can be";
    if (memchr(s, '/', n))
        return "it is no network, and no name has a slash";
    if (memchr(s, ':', n))
        return is_canonical_ip(s, n) ? NULL : "it is neither a name nor an address";
    if (looks_like_addr(s, n) && memchr(s, '-', n) && parse_range(s, n, &range))
        return "a range of addresses has no port here";
    for (size_t i = 0; i < n; i++) {
        is_ascii = is_ascii && !(s[i] & 0x80);
        if (!(s[i] & 0x80) && !is_in_names(s[i]))
            return "no name has such characters";
        if (i > 0 && s[i] == '.' && s[i - 1] == '.')
            return "no name has two dots in a row";
        is_number = is_number && (s[i] == '.' || (s[i] >= '0' && s[i] <= '9'));
    }
    if (!is_ascii)
        return "browsers ask for such a name in its xn-- form: list that";
    return is_number && *s != '.' && !is_canonical_ip(s, n) ? "it is no whole address" : NULL;
}

void pattern_parse(const char *text, size_t n, struct pattern *ret_p)
{
    struct pattern p = {.host = text, .host_bytes = n, .port_max = PORT_MAX};
    bool wild = glob_is_wild(text, n);
    const char *port, *colon = memchr(text, ':', n);

    if (!wild && looks_like_addr(text, n) &&
        (parse_cidr(text, n, &p) || parse_range(text, n, &p))) {
        p.kind = PATTERN_ADDRS;
        *ret_p = p;
        return;
    }
    p.kind = wild && glob_is_valid(text, n) ? PATTERN_GLOB : PATTERN_HOST;
    if (split(text, n, &p, &port))
        parse_ports(port, (size_t)(text + n - port), &p);
    else if (colon && colon == memrchr(text, ':', n))
        p.doubt = "what stands behind the colon is not taken for a port";
    if (n > 3 && memmem(text, n, "://", 3))
        p.doubt = "a pattern has no scheme: write the name or the address alone";
    if (!p.doubt && p.kind == PATTERN_HOST)
        p.doubt = wild ? "it is no glob" : host_doubt(p.host, p.host_bytes);
    *ret_p = p;
}

void pattern_parse_addrs(const char *text, size_t n, struct pattern *ret_p)
{
    pattern_parse(text, n, ret_p);
    if (ret_p->kind != PATTERN_ADDRS) {
        ret_p->doubt = "it is no address or network, and is ignored";
        return;
    }
    struct addr first = addr_unmap(ret_p->first), last = addr_unmap(ret_p->last);
    bool falls = addr_order(&first, &last) > 0;
    if (first.family == last.family) {
        ret_p->first = first;
        ret_p->last = last;
    }
    ret_p->doubt = falls ? "the range falls" : NULL;
}

static enum rc count_glob(void *arg, const char *glob, size_t n)
{
    (void)arg;
    (void)glob;
    (void)n;
    return RC_OK;
}

const char *pattern_doubt(const char *text, size_t n, bool addrs_only, bool *ret_ignored)
{
    struct pattern p;

    if (addrs_only)
        pattern_parse_addrs(text, n, &p);
    else
        pattern_parse(text, n, &p);
    *ret_ignored = addrs_only && p.kind != PATTERN_ADDRS;
    if (!addrs_only && p.kind == PATTERN_GLOB &&
        glob_expand(p.host, p.host_bytes, count_glob, NULL) == RC_LIMIT) {
        *ret_ignored = true;
        return "it is too long or has too many alternatives, and is ignored";
    }
    return p.doubt;
}
