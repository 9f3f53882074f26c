/* core/floor/tls_session.h - the client's tickets: what makes the next handshake with the same node
 * a short one.
 *
 * Owner: the tls_ctx. A ticket is used once (a second use would let an observer link the two
 * connections, RFC 8446 C.4). Bounded: keys, tickets per key, bytes of one ticket, age; the key
 * that was unused for longest goes first. Tickets hold secrets: wiped when they leave.
 */
#ifndef CORE_FLOOR_TLS_SESSION_H
#define CORE_FLOOR_TLS_SESSION_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_SESSION_KEYS = 64,        /* nodes (and names) remembered per context */
    TLS_SESSION_TICKETS = 32,     /* per key: as many connections at once can resume */
    TLS_SESSION_BYTES = 4096,     /* a longer ticket is not kept */
    TLS_SESSION_AGE_S = 24 * 3600 /* whatever the server allows */
};

struct tls_tickets; /* of one key */
struct tls_sessions {
    struct tls_tickets *newest; /* most recently used first */
    unsigned keys;
};

void tls_sessions_done(struct tls_sessions *ss);

/* Copies what a later handshake needs out of session. Best effort: no memory means no ticket.
 * lifetime_s: as the server says. */
void tls_sessions_put(struct tls_sessions *ss, const char *key, const mbedtls_ssl_session *session,
                      uint32_t lifetime_s, uint64_t now_ms);

/* The newest ticket of key that is not too old, into an initialised session. */
bool tls_sessions_take(struct tls_sessions *ss, const char *key, uint64_t now_ms,
                       mbedtls_ssl_session *session);

/* Tickets in hand for key; for tests. */
unsigned tls_sessions_count(const struct tls_sessions *ss, const char *key);

#endif
