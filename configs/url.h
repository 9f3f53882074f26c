/* configs/url.h - the lexical rules of -L and -F (gost-config.md 2.1), and the type names that GOST
 * knows (2.2).
 *
 * Everything lives in the tree that is passed in.
 */
#ifndef CONFIGS_URL_H
#define CONFIGS_URL_H

#include "configs/problem.h"
#include "core/rc.h"

struct url {
    const char *scheme; /* lower case; https is http+tls */
    bool has_user, has_password;
    const char *user, *password; /* decoded */
    const char *host;    /* "a:1,b:2", ":80", "[::1]:1080"; of services exactly as written */
    const char *path;    /* still encoded, with its slash; "" when there is none */
    struct value *query; /* map of strings, first value of each key */
    struct place place;  /* without user part and query */
    bool hidden;         /* it shows no host: that may be a part of a password, as may the query */
};

enum url_kind {
    URL_SERVICE, /* -L, -api, -metrics: the host part is taken as it stands */
    URL_NODE,    /* -F: host and port are checked */
};

/* name is "-L #1". An error is PROBLEM_FATAL with the place. text is trimmed and not empty. */
enum rc url_parse(struct tree *t, struct problems *p, const char *name, const char *text,
                  enum url_kind kind, struct url *ret_u);

/* For messages about hosts that are none: what was written, in quotes, or "..." where it may be a
 * user and a password without their @ ("user:password:1080"). Returns buf. */
const char *url_shown(const char *hosts, char *buf, size_t cap);
/* The mend of such hosts, to be put behind what is wrong; "" where it is something else. */
const char *url_hint(const char *hosts);

/* "a:1" -> "a", "[::1]:1" -> "::1". */
const char *url_hostname(struct tree *t, const char *host);

/* "host:80-82" as three addresses. RC_EOF: no port, or a range that falls: the text stays as it is.
 * bad is set when the port is no number (GOST makes it 0). RC_LIMIT: more than PORTS_MAX. */
struct port_range {
    const char *host; /* without brackets */
    unsigned min, max;
    bool bad;
};
enum { PORTS_MAX = 4096 };
enum rc url_port_range(struct tree *t, const char *addr, struct port_range *ret_r);
const char *url_join(struct tree *t, const char *host, unsigned port);

/* base64 of "user:password" or "user", URL-safe or standard. false: it is not base64. */
bool url_decode_auth(struct tree *t, const char *text, const char **ret_user,
                     const char **ret_password);

/* All type names that GOST registers, ended by NULL. */
extern const char *const known_handlers[], *const known_listeners[], *const known_dialers[],
                                                                         *const known_connectors[];
bool word_in(const char *word, const char *const *words);

#endif
