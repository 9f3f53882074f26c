/* chain/nameserver.h - the nameservers that a `resolvers` entry or a dns handler names: where each
 * is, how it is spoken to, how its answers are used. gost-config.md 3.12, wire-protocols.md 7.
 *
 * A list is refcounted and does not change once it is in use, but for its counters and the ring of
 * questions under way (chain/exchange.h). Its chains are borrowed: nameservers_stop() must come
 * before they go.
 */
#ifndef CHAIN_NAMESERVER_H
#define CHAIN_NAMESERVER_H

#include "core/addr.h"
#include "core/list.h"
#include "core/rc.h"

struct chain;
struct tls_ctx;

enum nameserver_scheme { NAMESERVER_UDP, NAMESERVER_TCP, NAMESERVER_TLS, NAMESERVER_HTTPS };

enum { NAMESERVERS_MAX = 64, NAMESERVER_TIMEOUT_MS = 5000 };

struct nameserver_cfg {
    /* "[scheme://]host[:port][/path]"; an unknown scheme is udp; ours: "tls://host?hostname=name"
     */
    const char *addr;
    /* Of its certificate; NULL or "": tls is not verified, https by its host. */
    const char *hostname;
    int64_t ttl_ms;     /* 0: as the answers say; < 0: nothing is kept */
    int64_t timeout_ms; /* of one question; <= 0: 5,000 */
    bool prefer_ipv6, v4_only, v6_only;
    struct cidr subnet; /* EDNS client subnet; net.family 0: none */
};

struct nameserver {
    char *text; /* as written */
    enum nameserver_scheme scheme;
    bool guessed; /* the scheme was unknown: udp, as in GOST */
    struct target target;
    char *path;          /* https */
    struct tls_ctx *tls; /* tls and https */
    struct chain *chain; /* NULL: direct */
    int64_t ttl_ms;
    uint32_t timeout_ms;
    bool prefer_ipv6, v4_only, v6_only;
    struct cidr subnet;
    uint64_t asked, failed, lies; /* lies: wrong id, question or source; ignored */
    uint64_t failed_ms;           /* when it could not be asked; 0: it answered last */
    struct diag last;             /* the last failure: "tls://192.0.2.1: certificate ..." */
    bool over_tcp;                /* udp, but its chain carried no datagrams the last time */
};

/* What the operator should hear; the owner of the list logs it. */
enum nameserver_news {
    NAMESERVER_OVER_TCP, /* first time: its chain can't carry UDP, so questions go over TCP */
    NAMESERVER_LIED      /* s->lies: the first, then with every power of ten */
};
typedef void nameserver_tell_fn(void *arg, const struct nameserver *s, enum nameserver_news news);

struct nameservers {
    unsigned refs;
    struct list exchanges; /* under way */
    struct list lines;     /* connections that are kept (chain/nameline.h) */
    int n_lines;
    bool stopped;
    nameserver_tell_fn *tell; /* NULL: nobody listens. From the loop; asks and ends nothing */
    void *tell_arg;
    struct nameserver v[NAMESERVERS_MAX];
    int n;
};

struct nameservers *nameservers_new(void); /* NULL: no memory. Refcount 1 */
struct nameservers *nameservers_ref(struct nameservers *s);
void nameservers_unref(struct nameservers *s); /* NULL is fine */
/* RC_INVALID: no host, a bad port; RC_LIMIT: too many; RC_CERT: no root certificates. */
enum rc nameservers_add(struct nameservers *s, const struct nameserver_cfg *cfg, struct diag *diag);
/* Ends the questions under way (RC_CANCELED) and forgets the chains: nothing more is asked. */
void nameservers_stop(struct nameservers *s);
/* The news in words, for a log. Returns buf. */
const char *nameserver_news_text(const struct nameserver *s, enum nameserver_news news, char *buf,
                                 size_t cap);
/* Counts a failure and keeps its words. */
void nameserver_failed(struct nameserver *s, enum rc rc, const char *why);
/* false: encrypted, but nobody checks who is at the other end (the operator is warned). */
bool nameserver_is_checked(const struct nameserver *s);

#endif
