/* listeners/udp_session.h - the sessions of one UDP port: each client address is a dgram, and all
 * of them share the port's socket.
 *
 * Replies leave with the address that the client sent to, also on a machine that has several: a
 * client that asks by two of them has two sessions. A session ends (RC_EOF) after its silence, or
 * when it is the longest silent one past the cap; the handler then closes it. Queues are capped;
 * what does not fit is dropped and counted.
 *
 * Owner: the port embeds the table; a session's dgram belongs to whom it was handed up. Either may
 * go first. Private to listeners/udp*.c.
 */
#ifndef LISTENERS_UDP_SESSION_H
#define LISTENERS_UDP_SESSION_H

#include "core/addr.h"
#include "core/loop.h"

enum { UDP_SESSIONS_MAX = 4096, UDP_SESSIONS_BUCKETS = 1024 };

struct dgram;
struct udp_session;

struct udp_sessions {
    struct loop *loop;
    int fd;           /* of the port */
    bool v6;          /* it is an IPv6 socket */
    size_t queue_max; /* datagrams of one session */
    uint64_t key;
    struct udp_session *bucket[UDP_SESSIONS_BUCKETS];
    struct udp_session *oldest, *youngest; /* by last use */
    size_t n, queued_bytes;
};

/* all is zeroed; fd, v6 and queue_max are its owner's to set. */
void udp_sessions_init(struct udp_sessions *all, struct loop *loop);
/* A datagram of peer, sent to local (family 0: unknown), is queued or dropped. Returns the session
 * where it was made for it, to be handed up; NULL: it was known, or there is no memory. */
struct dgram *udp_sessions_take(struct udp_sessions *all, const struct addr *peer,
                                const struct addr *local, const void *data, size_t n);
/* Ends those that were silent for ttl_ms. Returns after how many ms to look again. */
uint64_t udp_sessions_sweep(struct udp_sessions *all, uint64_t ttl_ms);
void udp_sessions_end(struct udp_sessions *all); /* all of them */

#endif
