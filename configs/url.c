/* configs/url.c - takes a -L or -F text apart. */
#include "configs/url.h"
#include "configs/scalar.h"
#include "core/addr.h"
#include "core/hex.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const known_handlers[] = {
    "auto",  "http", "http2", "http3", "masque", "socks",    "socks5", "socks4",  "socks4a",
    "ss",    "ssu",  "sni",   "relay", "tunnel", "router",   "tcp",    "udp",     "forward",
    "rtcp",  "rudp", "runix", "red",   "redir",  "redirect", "redu",   "tun",     "tap",
    "tungo", "dns",  "file",  "unix",  "serial", "sshd",     "api",    "metrics", NULL};
const char *const known_listeners[] = {
    "tcp",   "udp", "tls",   "ws",       "wss",    "mws",   "mwss", "mtls",  "mtcp",
    "http2", "h2",  "h2c",   "http3",    "h3",     "wt",    "grpc", "quic",  "kcp",
    "dtls",  "ssh", "sshd",  "ohttp",    "otls",   "pht",   "phts", "ftcp",  "icmp",
    "icmp6", "red", "redir", "redirect", "redu",   "rtcp",  "rudp", "runix", "dns",
    "tun",   "tap", "tungo", "unix",     "serial", "stdio", NULL};
const char *const known_connectors[] = {
    "http",    "http2",  "socks",   "socks5", "socks4", "socks4a", "relay",
    "tunnel",  "router", "ss",      "ssu",    "sni",    "sshd",    "tcp",
    "forward", "direct", "virtual", "unix",   "serial", "masque",  NULL};
const char *const known_dialers[] = {
    "tcp",  "udp",   "tls",  "utls",  "ws",     "wss",     "mws",       "mwss",   "mtls",
    "mtcp", "http2", "h2",   "h2c",   "http3",  "h3",      "h3-masque", "wt",     "grpc",
    "quic", "kcp",   "dtls", "ssh",   "sshd",   "ohttp",   "ohttps",    "otls",   "pht",
    "phts", "ftcp",  "icmp", "icmp6", "direct", "virtual", "unix",      "serial", NULL};

bool word_in(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

static bool is_ip(const char *s, size_t len)
{
    struct addr a;
    return addr_parse_ip(s, len, &a);
}

/* May one of these hosts be a user and a password that lost their @? An address without its
 * brackets is not. */
static bool lost_at(const char *s, size_t len)
{
    for (size_t n; len > 0; s += n, len -= n) {
        const char *end = memchr(s, ',', len), *colon, *first;
        n = end ? (size_t)(end - s) : len;
        first = memchr(s, ':', n);
        colon = memrchr(s, ':', n);
        if (colon && *s != '[' && colon != s) {
            size_t port = n - (size_t)(colon + 1 - s);
            bool number = strspn(colon + 1, "-0123456789") >= port;
            bool host = is_ip(s, (size_t)(colon - s)) || (first != colon && is_ip(s, n));
            if (!host && (first != colon || !number))
                return true;
        }
        n += end != NULL;
    }
    return false;
}

const char *url_shown(const char *hosts, char *buf, size_t cap)
{
    (void)snprintf(buf, cap, "\"%.80s\"", lost_at(hosts, strlen(hosts)) ? "..." : hosts);
    return buf;
}

static const char add_at[] = "; with a user and a password it is user:password@host:port";

const char *url_hint(const char *hosts)
{
    return lost_at(hosts, strlen(hosts)) ? add_at : "";
}

static enum rc refuse(struct problems *p, const struct url *u, const char *what)
{
    problems_add(p, PROBLEM_FATAL, &u->place, "%s", what);
    return RC_INVALID;
}

/* Decodes %XX (and + to a blank). NULL: a broken escape or a NUL byte. */
static const char *unescape(struct tree *t, const char *s, size_t len, bool plus)
{
    char *out = tree_text(t, s, len);
    size_t n = 0;
    for (size_t i = 0; out && i < len; i++) {
        if (s[i] == '%') {
            int high = i + 2 < len ? hex_digit(s[i + 1]) : -1,
                low = i + 2 < len ? hex_digit(s[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return NULL;
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = plus && s[i] == '+' ? ' ' : s[i];
        }
    }
    if (out)
        out[n] = 0;
    return out;
}

static bool only_chars(const char *s, size_t len, const char *allowed)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)s[i]) && !(s[i] && strchr(allowed, s[i])))
            return false;
    }
    return true;
}

static enum rc parse_user(struct tree *t, struct problems *p, const char *s, size_t len,
                          struct url *u)
{
    if (!only_chars(s, len, "-._:~!$&'()*+,;=%@"))
        return refuse(p, u, "a character before the @ that must be percent-encoded");
    const char *colon = memchr(s, ':', len);
    size_t user_len = colon ? (size_t)(colon - s) : len;
    u->has_user = true;
    u->has_password = colon != NULL;
    u->user = unescape(t, s, user_len, false);
    u->password = colon ? unescape(t, colon + 1, len - user_len - 1, false) : "";
    if (!u->user || !u->password)
        return refuse(p, u, "a broken % escape before the @");
    return RC_OK;
}

static bool is_port(const char *s)
{
    return *s == 0 || (*s == ':' && s[1 + strspn(s + 1, "0123456789")] == 0);
}

/* One host of a node: a name or address with an optional port. */
static bool check_host(struct tree *t, const char *item, size_t len, const char **ret_text)
{
    char *text = tree_text(t, item, len);
    if (!text)
        return false;
    if (*text == '[') {
        char *close = strrchr(text, ']'), *zone;
        if (!close || !is_port(close + 1))
            return false;
        zone = strstr(text, "%25");
        if (zone && zone < close)
            memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
        else if (strchr(text, '%'))
            return false;
    } else {
        const char *colon = strrchr(text, ':');
        if ((colon && !is_port(colon)) || strchr(text, '%'))
            return false;
    }
    for (const char *c = text; *c; c++) {
        if (!((unsigned char)*c >= 0x80) && !isalnum((unsigned char)*c) &&
            !strchr("-_.~!$&'()*+,;=:[]<>\"%", *c))
            return false;
    }
    *ret_text = text;
    return true;
}

/* GOST refuses lists of bracketed addresses and lists after http; we take every list. */
static enum rc parse_hosts(struct tree *t, struct problems *p, const char *s, size_t len,
                           struct url *u)
{
    const char *all = "";
    for (;;) {
        const char *comma = memchr(s, ',', len), *item;
        size_t n = comma ? (size_t)(comma - s) : len;
        if (!check_host(t, s, n, &item)) {
            problems_add(p, PROBLEM_FATAL, &u->place, "a bad host or port%s",
                         lost_at(s, n) ? add_at : "");
            return RC_INVALID;
        }
        all = tree_printf(t, "%s%s%s", all, item, comma ? "," : "");
        if (!all)
            return RC_NOMEM;
        if (!comma)
            break;
        s += n + 1;
        len -= n + 1;
    }
    u->host = all;
    return RC_OK;
}

/* Keeps what is fit for a path and encodes the rest. NULL: a broken escape. */
static const char *parse_path(struct tree *t, const char *s, size_t len)
{
    char *out = tree_alloc(t, len * 3 + 1), *to = out;
    for (size_t i = 0; out && i < len; i++) {
        if (s[i] == '%' && (len - i < 3 || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0))
            return NULL;
        if (only_chars(s + i, 1, "-_.~!$&'()*+,;=:@/[]%"))
            *to++ = s[i];
        else
            to += sprintf(to, "%%%02X", (unsigned)(unsigned char)s[i]);
    }
    return out;
}

/* Pairs that are broken or have a ';' are dropped, as GOST does; ours warns. */
static void parse_query(struct tree *t, struct problems *p, const char *s, size_t len,
                        struct url *u)
{
    u->query = value_new(t, VALUE_MAP, &u->place);
    while (len > 0) {
        const char *amp = memchr(s, '&', len);
        size_t n = amp ? (size_t)(amp - s) : len;
        const char *eq = memchr(s, '=', n);
        size_t key_len = eq ? (size_t)(eq - s) : n;
        const char *key = unescape(t, s, key_len, true);
        const char *text = eq ? unescape(t, eq + 1, n - key_len - 1, true) : "";
        if (n > 0 && (!key || !text || memchr(s, ';', n))) {
            problems_add(p, PROBLEM_WARNING, &u->place,
                         "a parameter with a broken escape or a ';' is ignored");
        } else if (n > 0 && !value_get(u->query, key)) {
            struct place at = u->place;
            at.param = u->hidden || strchr(key, '@') ? "..." : key;
            value_put(u->query, key, value_string(t, text, &at));
        }
        s += n + (amp != NULL);
        len -= n + (amp != NULL);
    }
}

/* Splits "scheme:rest"; NULL: no scheme that Go accepts. */
static const char *parse_scheme(struct tree *t, const char *s, size_t *ret_len)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || (n > 0 && s[n] && strchr("+-.", s[n])))
        n++;
    if (n == 0 || s[n] != ':' || isdigit((unsigned char)s[0]))
        return NULL;
    char *scheme = tree_text(t, s, n);
    for (char *c = scheme; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *ret_len = n;
    return scheme && strcmp(scheme, "https") == 0 ? "http+tls" : scheme;
}

/* A raw / ? or # in a password ends the authority too early: what follows has the @, what we see is
 * the user part. */
static bool hides_user(const char *authority, size_t len)
{
    const char *rest = authority + len, *at = strchr(rest, '@');
    if (!at)
        return false;
    const char *colon = memrchr(authority, ':', len);
    bool port = !colon || strspn(colon + 1, "-0123456789") >= (size_t)(rest - colon - 1);
    return !port || (size_t)(at - rest) < strcspn(rest, "?#");
}

/* What messages show: no user part, no query. */
static void set_place(struct tree *t, const char *name, const char *text, struct url *u)
{
    const char *sep = strstr(text, "://"), *start = sep ? sep + 3 : text;
    size_t len = strcspn(start, "/?#");
    const char *at = memrchr(start, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - start);
        start = at + 1;
    } else if (hides_user(start, len) || lost_at(start, len)) {
        u->hidden = true;
        start = "...";
        len = 3;
    }
    int scheme_len = sep && sep - text < 40 ? (int)(sep + 3 - text) : 0;
    int shown_len = (int)(len < 80 ? len : 80);
    char *shown = tree_printf(t, "%s \"%.*s%.*s\"", name, scheme_len, text, shown_len, start);
    for (char *c = shown; c && *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    }
    u->place = (struct place){shown ? shown : name, NULL, 0, 0};
}

enum rc url_parse(struct tree *t, struct problems *p, const char *name, const char *text,
                  enum url_kind kind, struct url *ret_u)
{
    struct url u = {.user = "", .password = "", .path = "", .host = ""};
    set_place(t, name, text, &u);
    if (text[0] == ':' || !strstr(text, "://")) {
        text = tree_printf(t, "auto://%s", text);
        if (!text)
            return RC_NOMEM;
    }
    size_t scheme_len = 0;
    u.scheme = parse_scheme(t, text, &scheme_len);
    if (!u.scheme || strncmp(text + scheme_len, "://", 3) != 0)
        return refuse(p, &u, "not a URL: bad scheme");
    const char *rest = text + scheme_len + 3;
    size_t authority_len = strcspn(rest, kind == URL_NODE ? "/?#" : "/?");
    const char *after = rest + authority_len, *host = rest;
    for (size_t i = authority_len; i > 0 && host == rest; i--) {
        if (rest[i - 1] == '@')
            host = rest + i;
    }
    for (const char *c = text; *c; c++) {
        bool in_host = c >= host && c < after && kind == URL_SERVICE;
        if (((unsigned char)*c < 0x20 || *c == 0x7F) && !in_host)
            return refuse(p, &u, "a control character");
    }
    enum rc rc = RC_OK;
    if (host != rest)
        rc = parse_user(t, p, rest, (size_t)(host - rest - 1), &u);
    if (rc == RC_OK && kind == URL_NODE)
        rc = parse_hosts(t, p, host, (size_t)(after - host), &u);
    else if (rc == RC_OK)
        u.host = tree_text(t, host, (size_t)(after - host));
    if (rc != RC_OK)
        return rc;
    size_t len = strcspn(after, "#"), path_len = strcspn(after, "?#");
    u.path = parse_path(t, after, path_len);
    if (!u.path)
        return refuse(p, &u, "a broken % escape in the path");
    bool has_query = path_len < len;
    parse_query(t, p, after + path_len + has_query, len - path_len - has_query, &u);
    *ret_u = u;
    return tree_ok(t) ? RC_OK : RC_NOMEM;
}

const char *url_hostname(struct tree *t, const char *host)
{
    const char *colon = strrchr(host, ':');
    size_t len = colon && is_port(colon) ? (size_t)(colon - host) : strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    return tree_text(t, host, len);
}

static bool parse_port(const char *s, size_t len, unsigned *ret)
{
    char text[16];
    int64_t n;
    if (len >= sizeof text)
        return false;
    memcpy(text, s, len);
    text[len] = 0;
    if (!scalar_parse_decimal(text, &n) || n < 0 || n > 65535)
        return false;
    *ret = (unsigned)n;
    return true;
}

enum rc url_port_range(struct tree *t, const char *addr, struct port_range *ret_r)
{
    const char *colon = strrchr(addr, ':');
    if (!colon || strstr(addr, "://"))
        return RC_EOF;
    struct port_range r = {0};
    const char *host = addr;
    size_t host_len = (size_t)(colon - addr);
    if (*host == '[') {
        if (host_len < 2 || host[host_len - 1] != ']' || memchr(host, ']', host_len - 1))
            return RC_EOF;
        host++;
        host_len -= 2;
    } else if (memchr(host, ':', host_len) || memchr(host, '[', host_len) ||
               memchr(host, ']', host_len)) {
        return RC_EOF;
    }
    const char *ports = colon + 1, *dash = strchr(ports, '-');
    size_t min_len = dash ? (size_t)(dash - ports) : strlen(ports);
    if (strpbrk(ports, "[]"))
        return RC_EOF;
    if (!parse_port(ports, min_len, &r.min) ||
        !parse_port(dash ? dash + 1 : ports, dash ? strlen(dash + 1) : min_len, &r.max)) {
        r.min = r.max = 0;
        r.bad = true;
    }
    if (r.max < r.min)
        return RC_EOF;
    if (r.max - r.min >= PORTS_MAX)
        return RC_LIMIT;
    r.host = tree_text(t, host, host_len);
    if (!r.host)
        return RC_NOMEM;
    *ret_r = r;
    return RC_OK;
}

const char *url_join(struct tree *t, const char *host, unsigned port)
{
    return tree_printf(t, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* Whole groups of four may be padded; without padding the last group has two or three digits. */
static const char *decode_base64(struct tree *t, const char *s, bool url_safe)
{
    size_t len = strlen(s), n = 0;
    if (!url_safe) {
        if (len % 4 != 0)
            return NULL;
        for (int i = 0; i < 2 && len > 0 && s[len - 1] == '='; i++)
            len--;
    }
    if (len % 4 == 1)
        return NULL;
    char *out = tree_text(t, s, len);
    unsigned bits = 0, have = 0;
    for (size_t i = 0; out && i < len; i++) {
        char c = s[i];
        int digit = c >= 'A' && c <= 'Z'          ? c - 'A'
                    : c >= 'a' && c <= 'z'        ? c - 'a' + 26
                    : c >= '0' && c <= '9'        ? c - '0' + 52
                    : c == (url_safe ? '-' : '+') ? 62
                    : c == (url_safe ? '_' : '/') ? 63
                                                  : -1;
        if (digit < 0)
            return NULL;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n] = (char)(bits >> have);
            if (out[n++] == 0)
                return NULL;
        }
    }
    if (out)
        out[n] = 0;
    return out;
}

bool url_decode_auth(struct tree *t, const char *text, const char **ret_user,
                     const char **ret_password)
{
    const char *plain = decode_base64(t, text, true);
    if (!plain)
        plain = decode_base64(t, text, false);
    if (!plain)
        return false;
    size_t len = strcspn(plain, ":");
    *ret_user = tree_text(t, plain, len);
    *ret_password = plain[len] ? plain + len + 1 : NULL;
    return true;
}
