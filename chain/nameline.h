/* chain/nameline.h - connections to nameservers that are kept for the next question: over TCP, TLS
 * and HTTPS a new one costs up to three round trips (RFC 7766 section 6.2.1, RFC 7858 section 3.4).
 *
 * One question at a time goes over a line. What was kept is only used by whoever would make the
 * same connection: the same server, by the same router or by sockets with the same options. Owner:
 * the list of nameservers; a line lives 8 s, 32 of them a list, the oldest goes first. One whose
 * server ends it or says something unasked is closed.
 */
#ifndef CHAIN_NAMELINE_H
#define CHAIN_NAMELINE_H

#include "chain/doh.h"
#include "chain/nameserver.h"

struct loop;
struct stream;

enum { NAMELINES_MAX = 32, NAMELINE_IDLE_MS = 8000, NAMELINE_KEY_MAX = 128 };

struct nameline_key {
    const struct nameserver *server;
    char path[NAMELINE_KEY_MAX]; /* who makes the connection; "": nobody else's will do */
};

/* Takes s, which is open and has nothing under way, and what is in doh (then zeroed). */
void nameline_keep(struct nameservers *list, struct loop *loop, const struct nameline_key *key,
                   struct stream *s, struct doh *doh);
/* NULL: there is none. ret_doh gets its state. */
struct stream *nameline_take(struct nameservers *list, const struct nameline_key *key,
                             struct doh *ret_doh);
void namelines_close(struct nameservers *list);

#endif
