/* core/addr.c - addresses and targets as values. See addr.h. */
#include "core/addr.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct addr addr_v4(const void *ip4_be, uint16_t port)
{
    struct addr a = {.family = AF_INET, .port = port};

    memcpy(a.ip, ip4_be, 4);
    return a;
}

struct addr addr_v6(const void *ip6, uint16_t port)
{
    struct addr a = {.family = AF_INET6, .port = port};

    memcpy(a.ip, ip6, 16);
    return a;
}

struct addr addr_unmap(struct addr a)
{
    if (a.family == AF_INET6 && !memcmp(a.ip, mapped_prefix, sizeof mapped_prefix))
        return addr_v4(a.ip + 12, a.port);
    return a;
}

struct addr addr_from_sockaddr(const struct sockaddr *sa)
{
    struct addr a = {0};

    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)sa;

        a = addr_v4(&v4->sin_addr, ntohs(v4->sin_port));
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)sa;

        a = addr_v6(&v6->sin6_addr, ntohs(v6->sin6_port));
        a.scope = v6->sin6_scope_id;
    }
    return addr_unmap(a);
}

socklen_t addr_to_sockaddr(const struct addr *a, bool as_v6, struct sockaddr_storage *ret_ss)
{
    memset(ret_ss, 0, sizeof *ret_ss);
    if (a->family == AF_INET && !as_v6) {
        struct sockaddr_in *v4 = (void *)ret_ss;

        v4->sin_family = AF_INET;
        v4->sin_port = htons(a->port);
        memcpy(&v4->sin_addr, a->ip, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (void *)ret_ss;

    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(a->port);
    v6->sin6_scope_id = a->scope;
    if (a->family == AF_INET) {
        memcpy(&v6->sin6_addr, mapped_prefix, 12);
        memcpy(v6->sin6_addr.s6_addr + 12, a->ip, 4);
    } else {
        memcpy(&v6->sin6_addr, a->ip, 16);
    }
    return sizeof *v6;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && !memcmp(a->ip, b->ip, sizeof a->ip);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_wildcard(const struct addr *a)
{
    static const uint8_t zero[16];

    return !memcmp(a->ip, zero, sizeof zero);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return a->family == AF_INET ? a->ip[0] == 127
                                : a->family == AF_INET6 && !memcmp(a->ip, one, 16);
}

bool addr_is_multicast(const struct addr *a)
{
    return a->family == AF_INET ? (a->ip[0] & 0xf0) == 0xe0
                                : a->family == AF_INET6 && a->ip[0] == 0xff;
}

bool addr_is_link_local(const struct addr *a)
{
    return a->family == AF_INET
               ? a->ip[0] == 169 && a->ip[1] == 254
               : a->family == AF_INET6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool addr_is_global(const struct addr *a)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};

    if (a->family == AF_INET && !memcmp(a->ip, broadcast, 4))
        return false;
    return a->family && !addr_is_wildcard(a) && !addr_is_loopback(a) && !addr_is_multicast(a) &&
           !addr_is_link_local(a);
}

uint32_t addr_hash(const struct addr *a, uint64_t key)
{
    uint64_t w[2], h = key ^ ((uint64_t)a->port << 32 | a->family);

    memcpy(w, a->ip, sizeof w);
    for (int i = 0; i < 2; i++) {
        h ^= w[i];
        h *= 0x9fb21c651e98df25ULL;
        h ^= h >> 32;
    }
    h *= 0xd6e8feb86659fd93ULL;
    return (uint32_t)(h >> 32);
}

bool addr_parse_ip(const char *text, size_t len, struct addr *ret_a)
{
    char buf[ADDR_TEXT_MAX];
    char *zone;
    struct addr a = {0};

    if (!len || len >= sizeof buf || memchr(text, 0, len))
        return false;
    memcpy(buf, text, len);
    buf[len] = 0;
    if (inet_pton(AF_INET, buf, a.ip) == 1) {
        a.family = AF_INET;
        *ret_a = a;
        return true;
    }
    zone = strchr(buf, '%');
    if (zone) {
        *zone++ = 0;
        a.scope = if_nametoindex(zone);
        if (!a.scope) {
            char extra;
            unsigned n;

            if (*zone < '0' || *zone > '9' || sscanf(zone, "%9u%c", &n, &extra) != 1)
                return false;
            a.scope = n;
        }
    }
    if (inet_pton(AF_INET6, buf, a.ip) != 1)
        return false;
    a.family = AF_INET6;
    *ret_a = a;
    return true;
}

/* Decimal digits only, 0..65535. */
static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
    unsigned v = 0;

    if (!len || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    if (v > 65535)
        return false;
    *ret_port = (uint16_t)v;
    return true;
}

/* Splits "host:port" and "[host]:port". */
static bool split_host_port(const char *text, const char **ret_host, size_t *ret_len,
                            uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    const char *host = text, *end;

    if (!colon || !parse_port(colon + 1, strlen(colon + 1), ret_port))
        return false;
    end = colon;
    if (*text == '[') {
        if (end - text < 2 || end[-1] != ']')
            return false;
        host++;
        end--;
    } else if (memchr(text, ':', (size_t)(colon - text))) {
        return false;
    }
    *ret_host = host;
    *ret_len = (size_t)(end - host);
    return true;
}

bool addr_parse(const char *text, struct addr *ret_a)
{
    const char *host;
    size_t len;
    uint16_t port;
    struct addr a;

    if (!split_host_port(text, &host, &len, &port) || !addr_parse_ip(host, len, &a))
        return false;
    if ((a.family == AF_INET6) != (*text == '['))
        return false;
    a.port = port;
    *ret_a = a;
    return true;
}

const char *addr_format_ip(const struct addr *a, char *buf, size_t cap)
{
    char ip[INET6_ADDRSTRLEN];

    if (!a->family || !inet_ntop(a->family, a->ip, ip, sizeof ip))
        ip[0] = 0;
    if (a->scope)
        snprintf(buf, cap, "%s%%%u", ip, a->scope);
    else
        snprintf(buf, cap, "%s", ip);
    return buf;
}

const char *addr_format(const struct addr *a, char *buf, size_t cap)
{
    char ip[ADDR_TEXT_MAX];

    addr_format_ip(a, ip, sizeof ip);
    snprintf(buf, cap, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, a->port);
    return buf;
}

bool cidr_parse(const char *text, size_t len, struct cidr *ret_c)
{
    const char *slash = memchr(text, '/', len);
    struct cidr c = {0};
    uint16_t bits;

    if (!addr_parse_ip(text, slash ? (size_t)(slash - text) : len, &c.net))
        return false;
    c.bits = (uint8_t)(addr_ip_bytes(&c.net) * 8);
    if (slash) {
        if (!parse_port(slash + 1, len - (size_t)(slash + 1 - text), &bits) || bits > c.bits)
            return false;
        c.bits = (uint8_t)bits;
    }
    *ret_c = c;
    return true;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->net.family != a->family || memcmp(c->net.ip, a->ip, whole))
        return false;
    return !rest || !((c->net.ip[whole] ^ a->ip[whole]) >> (8 - rest));
}

bool target_set_host(struct target *t, const char *host, size_t len, uint16_t port)
{
    struct target r = {0};

    if (len > TARGET_NAME_MAX || memchr(host, 0, len))
        return false;
    if (!addr_parse_ip(host, len, &r.addr))
        memcpy(r.name, host, len);
    r.addr = addr_unmap(r.addr);
    r.addr.port = port;
    *t = r;
    return true;
}

bool target_parse(const char *text, struct target *ret_t)
{
    const char *host;
    size_t len;
    uint16_t port;

    return split_host_port(text, &host, &len, &port) && target_set_host(ret_t, host, len, port);
}

void target_from_addr(struct target *t, const struct addr *a)
{
    memset(t, 0, sizeof *t);
    t->addr = *a;
}

bool target_is_name(const struct target *t)
{
    return t->name[0] != 0;
}

bool target_equal(const struct target *a, const struct target *b)
{
    return a->addr.port == b->addr.port && !strcmp(a->name, b->name) &&
           (a->name[0] || addr_same_ip(&a->addr, &b->addr));
}

const char *target_format_host(const struct target *t, char *buf, size_t cap)
{
    if (!t->name[0])
        return addr_format_ip(&t->addr, buf, cap);
    snprintf(buf, cap, "%s", t->name);
    return buf;
}

const char *target_format(const struct target *t, char *buf, size_t cap)
{
    if (!t->name[0])
        return addr_format(&t->addr, buf, cap);
    snprintf(buf, cap, "%s:%u", t->name, t->addr.port);
    return buf;
}
