/* tests/unit/rulestwin.h - the naive twin of bypass/matcher: every rule is read and tried anew for
 * every question, each class by the plainest way there is. gost-config.md 6.1.
 */
#ifndef TESTS_UNIT_RULESTWIN_H
#define TESTS_UNIT_RULESTWIN_H

#include "core/addr.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- globs: by trying everything ---- */

static inline size_t twin_char(const char *s, size_t n) /* bytes of the character at s */
{
    const unsigned char *u = (const unsigned char *)s;
    size_t want = u[0] >= 0xc2 && u[0] <= 0xdf   ? 2
                  : u[0] >= 0xe0 && u[0] <= 0xef ? 3
                  : u[0] >= 0xf0 && u[0] <= 0xf4 ? 4
                                                 : 1;
    if (want > n || (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90))
        return 1;
    for (size_t i = 1; i < want; i++)
        if (u[i] < 0x80 || u[i] > 0xbf)
            return 1;
    return want;
}

/* Characters in their order: UTF-8 sorts as its bytes do, broken bytes above everything. */
static inline int twin_order(const char *a, size_t na, const char *b, size_t nb)
{
    bool broken_a = na == 1 && a[0] & 0x80, broken_b = nb == 1 && b[0] & 0x80;
    if (broken_a != broken_b)
        return broken_a ? 1 : -1;
    int order = memcmp(a, b, na < nb ? na : nb);
    return order ? order : (int)na - (int)nb;
}

/* The class behind '[': bytes that it takes, 0: it is broken. x NULL: only looked at. */
static inline size_t twin_class(const char *g, size_t n, const char *x, size_t nx, bool *ret_in)
{
    size_t i = n > 0 && g[0] == '!', from = i;
    bool in = false, no = i > 0;
    if (i >= n)
        return 0;
    size_t lo = twin_char(g + i, n - i);
    if (i + lo < n && g[i + lo] == '-') {
        size_t at = i + lo + 1;
        if (at >= n)
            return 0;
        size_t hi = twin_char(g + at, n - at);
        if (at + hi >= n || g[at + hi] != ']' || twin_order(g + i, lo, g + at, hi) > 0)
            return 0;
        if (x)
            in = twin_order(g + i, lo, x, nx) <= 0 && twin_order(x, nx, g + at, hi) <= 0;
        i = at + hi;
    } else {
        for (; i < n && g[i] != ']'; i += lo) {
            if (g[i] == '\\' && ++i == n)
                return 0;
            lo = twin_char(g + i, n - i);
            if (x && lo == nx && memcmp(g + i, x, nx) == 0)
                in = true;
        }
        if (i >= n || i == from)
            return 0;
    }
    *ret_in = in != no;
    return i + 1;
}

static inline bool twin_glob_valid(const char *g, size_t n)
{
    bool in;
    for (size_t i = 0; i < n; i++) {
        if (g[i] == '\\') {
            i++;
        } else if (g[i] == '[') {
            size_t took = twin_class(g + i + 1, n - i - 1, NULL, 0, &in);
            if (took == 0)
                return false;
            i += took;
        }
    }
    return true;
}

static inline bool twin_glob(const char *g, size_t n, const char *s, size_t len);

/* g stands behind '{'. */
static inline bool twin_braces(const char *g, size_t n, const char *s, size_t len)
{
    size_t stops[512], n_stops = 0, close = n;
    unsigned depth = 0;
    bool in;
    for (size_t i = 0; i < n && close == n; i++) {
        if (g[i] == '\\')
            i++;
        else if (g[i] == '[')
            i += twin_class(g + i + 1, n - i - 1, NULL, 0, &in);
        else if (g[i] == '{')
            depth++;
        else if (g[i] == '}' && depth > 0)
            depth--;
        else if (g[i] == '}')
            close = i;
        else if (g[i] == ',' && depth == 0 && n_stops < 500)
            stops[n_stops++] = i;
    }
    stops[n_stops++] = close;
    for (size_t k = 0, from = 0; k < n_stops; from = stops[k++] + 1) {
        size_t one = stops[k] - from, rest = close < n ? n - close - 1 : 0;
        char *joined = malloc(one + rest + 1);
        memcpy(joined, g + from, one);
        memcpy(joined + one, g + n - rest, rest);
        bool yes = twin_glob(joined, one + rest, s, len);
        free(joined);
        if (yes)
            return true;
    }
    return false;
}

static inline bool twin_glob(const char *g, size_t n, const char *s, size_t len)
{
    bool in = false;
    if (n == 0)
        return len == 0;
    if (*g == '*') {
        while (n > 1 && g[1] == '*') { /* one is as good as many, and quicker */
            g++;
            n--;
        }
        for (size_t k = 0; k <= len; k++) {
            if (twin_glob(g + 1, n - 1, s + k, len - k))
                return true;
            if (k < len)
                k += twin_char(s + k, len - k) - 1;
        }
        return false;
    }
    if (*g == '{')
        return twin_braces(g + 1, n - 1, s, len);
    if (*g == '\\' && n == 1)
        return len == 0;
    if (len == 0)
        return false;
    size_t c = twin_char(s, len);
    if (*g == '?')
        return twin_glob(g + 1, n - 1, s + c, len - c);
    if (*g == '[') {
        size_t took = twin_class(g + 1, n - 1, s, c, &in);
        return took > 0 && in && twin_glob(g + 1 + took, n - 1 - took, s + c, len - c);
    }
    size_t skip = *g == '\\', k = twin_char(g + skip, n - skip);
    return k == c && memcmp(g + skip, s, c) == 0 &&
           twin_glob(g + skip + k, n - skip - k, s + c, len - c);
}

/* ---- addresses ---- */

/* 17 bytes that sort as addresses do: IPv4 below IPv6. Blanks around are fine when blanks. */
static inline bool twin_ip(const char *s, size_t n, bool blanks, unsigned char v[17])
{
    char text[128];
    while (blanks && n > 0 && isspace((unsigned char)*s))
        s++, n--;
    while (blanks && n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    if (n >= sizeof text || memchr(s, 0, n))
        return false;
    memcpy(text, s, n);
    text[n] = 0;
    memset(v, 0, 17);
    if (inet_pton(AF_INET, text, v + 13) == 1)
        return true;
    v[0] = 1;
    return inet_pton(AF_INET6, text, v + 1) == 1;
}

static inline bool twin_bit(const unsigned char *v, int i)
{
    return v[i / 8] >> (7 - i % 8) & 1;
}

/* -1: no prefix */
static inline int twin_cidr(const char *s, size_t n, const unsigned char ip[17])
{
    static const unsigned char mapped[13] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const char *slash = memchr(s, '/', n);
    unsigned char net[17];
    int bits = 0, most;
    if (!slash || !twin_ip(s, (size_t)(slash - s), false, net))
        return -1;
    size_t digits = (size_t)(s + n - slash - 1);
    most = net[0] ? 128 : 32;
    if (digits == 0 || digits > 5)
        return -1;
    for (size_t i = 1; i <= digits; i++) {
        if (slash[i] < '0' || slash[i] > '9')
            return -1;
        bits = bits * 10 + slash[i] - '0';
    }
    if (bits > most)
        return -1;
    int from = most == 32 ? 104 : 8;
    if (most == 128 && bits >= 96 && memcmp(net, mapped, 13) == 0) { /* an IPv4 network */
        net[0] = 0;
        from = 104;
        bits -= 96;
    }
    for (int i = from; i < from + bits; i++)
        if (twin_bit(net, i) != twin_bit(ip, i))
            return 0;
    return net[0] == ip[0];
}

/* -1: no range */
static inline int twin_range(const char *s, size_t n, const unsigned char ip[17])
{
    const char *dash = memchr(s, '-', n);
    unsigned char min[17], max[17];
    if (!dash)
        return twin_ip(s, n, true, min) ? memcmp(min, ip, 17) == 0 : -1;
    if (!twin_ip(s, (size_t)(dash - s), true, min) ||
        !twin_ip(dash + 1, (size_t)(s + n - dash - 1), true, max))
        return -1;
    return memcmp(min, ip, 17) <= 0 && memcmp(ip, max, 17) <= 0;
}

/* ---- hosts ---- */

/* Go's net.SplitHostPort; false: its error. */
static inline bool twin_split(const char *s, size_t n, const char **host, size_t *n_host,
                              const char **port)
{
    size_t colon = n, closing = n, i;
    for (i = 0; i < n; i++)
        if (s[i] == ':')
            colon = i;
    if (colon == n)
        return false;
    if (s[0] == '[') {
        for (closing = 0; closing < n && s[closing] != ']'; closing++)
            continue;
        if (closing == n || closing + 1 != colon)
            return false;
        *host = s + 1;
        *n_host = closing - 1;
    } else {
        *host = s;
        *n_host = colon;
        for (i = 0; i < colon; i++)
            if (s[i] == ':')
                return false;
    }
    for (i = 0; i < n; i++) {
        if (s[i] == '[' && !(s[0] == '[' && i == 0))
            return false;
        if (s[i] == ']' && !(s[0] == '[' && i == closing))
            return false;
    }
    *port = s + colon + 1;
    return *n_host > 0;
}

/* Digits; false: Go's Atoi would not take them. */
static inline bool twin_atoi(const char *s, size_t n, double *v)
{
    char text[32];
    char *end;
    size_t i = n > 0 && *s == '+';
    if (n == i || n >= sizeof text)
        return false;
    for (size_t k = i; k < n; k++)
        if (!isdigit((unsigned char)s[k]))
            return false;
    memcpy(text, s, n);
    text[n] = 0;
    *v = strtod(text, &end);
    return *v < 9e18;
}

static inline bool twin_port(const char *s, size_t n, unsigned port)
{
    const char *dash = memchr(s, '-', n);
    double min, max;
    if (!dash)
        return !twin_atoi(s, n, &min) || min > 65535 || port == min;
    if (!twin_atoi(s, (size_t)(dash - s), &min) ||
        !twin_atoi(dash + 1, (size_t)(s + n - dash - 1), &max))
        return true;
    return port >= min && port <= max;
}

static inline bool twin_text_is(const char *key, size_t n_key, const char *lead, const char *s)
{
    size_t n = strlen(lead) + strlen(s);
    return n_key == n && strncasecmp(key, lead, strlen(lead)) == 0 &&
           strncasecmp(key + strlen(lead), s, strlen(s)) == 0;
}

static inline bool twin_host(const char *key, size_t n, const char *host)
{
    if (twin_text_is(key, n, "", host) || twin_text_is(key, n, ".", host))
        return true;
    for (const char *dot; (dot = strchr(host, '.')) && dot != host; host = dot + 1)
        if (twin_text_is(key, n, "", dot))
            return true;
    return false;
}

/* ---- a rule ---- */

/* host: the target's name, or its address as text; ip: NULL for a name. */
static inline bool twin_matches(const char *rule, size_t n, const char *host,
                                const unsigned char *ip, unsigned port)
{
    static const unsigned char none[17] = {9};
    char low_rule[1024], low_host[1024];
    const char *key = rule, *port_text = "";
    size_t n_key = n, n_host = strlen(host);
    int yes = twin_cidr(rule, n, ip ? ip : none);

    if (yes >= 0)
        return yes;
    bool wild = memchr(rule, '*', n) || memchr(rule, '?', n);
    bool is_glob = wild && twin_glob_valid(rule, n);
    if (!is_glob && (yes = twin_range(rule, n, ip ? ip : none)) >= 0)
        return yes && ip;
    bool has_port = twin_split(rule, n, &key, &n_key, &port_text);
    if (!has_port) {
        key = rule;
        n_key = n;
    }
    if (has_port && !twin_port(port_text, (size_t)(rule + n - port_text), port))
        return false;
    if (!is_glob)
        return twin_host(key, n_key, host);
    if (n_key > sizeof low_rule || n_host > sizeof low_host)
        return false;
    for (size_t i = 0; i < n_key; i++)
        low_rule[i] = (char)(key[i] >= 'A' && key[i] <= 'Z' ? key[i] + 32 : key[i]);
    for (size_t i = 0; i < n_host; i++)
        low_host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
    return twin_glob_valid(low_rule, n_key) && twin_glob(low_rule, n_key, low_host, n_host);
}

static inline bool twin_target(const char *rule, size_t n, const struct target *t)
{
    unsigned char ip[17] = {0};
    char text[ADDR_TEXT_MAX];
    if (t->name[0])
        return twin_matches(rule, n, t->name, NULL, t->addr.port);
    ip[0] = t->addr.family == AF_INET6;
    memcpy(ip + (ip[0] ? 1 : 13), t->addr.ip, ip[0] ? 16 : 4);
    return twin_matches(rule, n, addr_format_ip(&t->addr, text, sizeof text), ip, t->addr.port);
}

#endif
