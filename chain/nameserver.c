/* chain/nameserver.c - reading a nameserver's address; see the header. */
#include "chain/nameserver.h"
#include "chain/exchange.h"
#include "chain/nameline.h"
#include "core/floor/tls.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum nameserver_scheme scheme;
    uint16_t port;
} schemes[] = {
    {"udp", NAMESERVER_UDP, 53},  {"tcp", NAMESERVER_TCP, 53},      {"tls", NAMESERVER_TLS, 853},
    {"dot", NAMESERVER_TLS, 853}, {"https", NAMESERVER_HTTPS, 443},
};

static const char HOSTNAME[] = "?hostname="; /* behind tls://host:port */

struct nameservers *nameservers_new(void)
{
    struct nameservers *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->refs = 1;
    list_init(&s->exchanges);
    list_init(&s->lines);
    return s;
}

struct nameservers *nameservers_ref(struct nameservers *s)
{
    s->refs++;
    return s;
}

static void drop(struct nameserver *s)
{
    free(s->text);
    free(s->path);
    tls_ctx_unref(s->tls);
}

void nameservers_stop(struct nameservers *s)
{
    s->stopped = true;
    while (!list_is_empty(&s->exchanges))
        exchange_end(LIST_OWNER(s->exchanges.next, struct exchange, link), RC_CANCELED);
    namelines_close(s);
    for (int i = 0; i < s->n; i++)
        s->v[i].chain = NULL;
}

void nameservers_unref(struct nameservers *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    namelines_close(s);
    for (int i = 0; i < s->n; i++)
        drop(&s->v[i]);
    free(s);
}

const char *nameserver_news_text(const struct nameserver *s, enum nameserver_news news, char *buf,
                                 size_t cap)
{
    switch (news) {
    case NAMESERVER_OVER_TCP:
        (void)snprintf(buf, cap,
                       "nameserver %.80s: the chain to it can't carry UDP; it is asked over TCP",
                       s->text);
        break;
    case NAMESERVER_LIED:
        (void)snprintf(buf, cap,
                       "nameserver %.80s: %" PRIu64
                       " answers so far with a wrong id, question or source; ignored",
                       s->text, s->lies);
        break;
    }
    return buf;
}

void nameserver_failed(struct nameserver *s, enum rc rc, const char *why)
{
    s->failed++;
    s->last.rc = RC_OK;
    (void)diag_set(&s->last, rc, "%.80s: %s", s->text, why);
}

bool nameserver_is_checked(const struct nameserver *s)
{
    return s->tls == NULL || tls_ctx_verifies(s->tls);
}

/* "host", "host:port", "[v6]:port", "2001:db8::1", ":53". */
static bool parse_host(const char *text, uint16_t port, struct target *ret_t)
{
    size_t len = strlen(text);
    struct addr a;
    if (addr_parse_ip(text, len, &a))
        return target_set_host(ret_t, text, len, port);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']')
        return addr_parse_ip(text + 1, len - 2, &a) &&
               target_set_host(ret_t, text + 1, len - 2, port);
    if (strchr(text, ':') == NULL)
        return len > 0 && target_set_host(ret_t, text, len, port);
    if (!target_parse(text, ret_t))
        return false;
    if (!target_is_name(ret_t) && ret_t->addr.family == 0)
        return target_set_host(ret_t, "127.0.0.1", strlen("127.0.0.1"),
                               ret_t->addr.port != 0 ? ret_t->addr.port : port);
    if (ret_t->addr.port == 0)
        ret_t->addr.port = port;
    return true;
}

static enum rc make_tls(struct nameserver *s, const char *hostname, struct diag *diag)
{
    char host[TARGET_TEXT_MAX], h2[] = "h2", http[] = "http/1.1";
    char *alpn[] = {h2, http};
    bool given = hostname != NULL && hostname[0] != 0;
    (void)target_format_host(&s->target, host, sizeof(host));
    char *name = strdup(given ? hostname : host);
    if (name == NULL)
        return diag_set(diag, RC_NOMEM, "no memory");
    struct tls_cfg cfg = {.secure = given || s->scheme == NAMESERVER_HTTPS, .server_name = name};
    if (s->scheme == NAMESERVER_HTTPS)
        cfg.alpn = (struct strlist){alpn, 2};
    enum rc rc = tls_client_new(&cfg, &s->tls, diag);
    free(name);
    return rc;
}

/* Without what stands before an @: that may be a password. */
static const char *without_user(const char *addr)
{
    const char *at = strrchr(addr, '@');
    return at != NULL ? at + 1 : addr;
}

static enum rc parse(struct nameserver *s, const struct nameserver_cfg *cfg, struct diag *diag)
{
    const char *rest = strstr(cfg->addr, "://");
    size_t known = 0, n = sizeof(schemes) / sizeof(schemes[0]);
    if (rest != NULL) {
        size_t len = (size_t)(rest - cfg->addr);
        rest += 3;
        while (known < n && (strlen(schemes[known].name) != len ||
                             strncasecmp(schemes[known].name, cfg->addr, len) != 0))
            known++;
        s->guessed = known == n;
        if (s->guessed)
            known = 0;
    } else {
        rest = cfg->addr;
    }
    s->scheme = schemes[known].scheme;
    size_t host_len = strcspn(rest, s->scheme == NAMESERVER_TLS ? "/?" : "/");
    const char *hostname = cfg->hostname, *query = rest + host_len;
    if (memchr(rest, '@', host_len) != NULL)
        return diag_set(diag, RC_INVALID,
                        "nameserver \"%.80s\": a user before its name is not supported",
                        without_user(cfg->addr));
    if (s->scheme == NAMESERVER_TLS && strncmp(query, HOSTNAME, strlen(HOSTNAME)) == 0)
        hostname = query + strlen(HOSTNAME);
    char *host = strndup(rest, host_len);
    s->path = strdup(rest[host_len] != 0 ? rest + host_len : "/dns-query");
    s->text = strdup(cfg->addr);
    if (host == NULL || s->path == NULL || s->text == NULL) {
        free(host);
        return diag_set(diag, RC_NOMEM, "no memory");
    }
    bool ok = parse_host(host, schemes[known].port, &s->target);
    free(host);
    for (const char *p = rest; *p != 0; p++)
        ok = ok && *p > ' ' && *p < 0x7f;
    if (!ok)
        return diag_set(diag, RC_INVALID, "nameserver \"%.80s\" is not [scheme://]host[:port]",
                        without_user(cfg->addr));
    return s->scheme == NAMESERVER_TLS || s->scheme == NAMESERVER_HTTPS
               ? make_tls(s, hostname, diag)
               : RC_OK;
}

enum rc nameservers_add(struct nameservers *s, const struct nameserver_cfg *cfg, struct diag *diag)
{
    if (s->n == NAMESERVERS_MAX)
        return diag_set(diag, RC_LIMIT, "more than %d nameservers", NAMESERVERS_MAX);
    struct nameserver *ns = &s->v[s->n];
    *ns = (struct nameserver){.ttl_ms = cfg->ttl_ms,
                              .timeout_ms = cfg->timeout_ms > 0 && cfg->timeout_ms < INT32_MAX
                                                ? (uint32_t)cfg->timeout_ms
                                                : NAMESERVER_TIMEOUT_MS,
                              .prefer_ipv6 = cfg->prefer_ipv6,
                              .v4_only = cfg->v4_only,
                              .v6_only = cfg->v6_only,
                              .subnet = cfg->subnet};
    enum rc rc = parse(ns, cfg, diag);
    if (rc != RC_OK) {
        drop(ns);
        return rc;
    }
    s->n++;
    return RC_OK;
}
