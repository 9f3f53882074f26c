/* handlers/dnsclient.h - the clients of the dns handler: a UDP session or a stream with framed
 * messages (RFC 7766), from which questions come and to which answers go in any order.
 *
 * Owner: the handler's struct dns_clients; dns_clients_done() ends all. A client lives as long as
 * its session or stream; gone() comes before it goes. A stream that says nothing for idle_ms while
 * no question is open is closed, as is one whose question is too long; one that does not read its
 * answers is no longer listened to.
 */
#ifndef HANDLERS_DNSCLIENT_H
#define HANDLERS_DNSCLIENT_H

#include "core/addr.h"
#include "core/list.h"
#include "core/loop.h"

struct client_info;
struct dgram;
struct stream;

enum {
    DNS_OPEN_MAX = 64,            /* questions of one client at a time */
    DNS_QUESTION_MAX_BYTES = 4096 /* on a stream: padded ones (RFC 8467) are a few hundred */
};

struct dns_client;
struct dns_clients {
    struct loop *loop;
    uint32_t idle_ms;
    void (*on_question)(void *arg, struct dns_client *c, const uint8_t *query, size_t n);
    void (*gone)(void *arg, struct dns_client *c);
    void *arg;
    struct list all;
};

struct dns_client {
    struct list link;
    struct dns_clients *owner;
    struct addr peer;
    struct dgram *dgram; /* one of the two */
    struct stream *stream;
    struct list questions; /* the handler's */
    unsigned n_questions;  /* counted by the handler; dns_client_look() after it went down */
    bool ended;            /* it asks no more */
    bool over;
    struct timer idle;
    struct job more; /* what was read already may be asked now */
    uint8_t *in, *out;
    size_t in_n, in_cap, out_n, out_cap, out_sent;
    struct deferred deferred;
};

/* loop, idle_ms and the calls are set by the owner. */
void dns_clients_init(struct dns_clients *all);
void dns_clients_done(struct dns_clients *all);
void dns_client_serve(struct dns_clients *all, struct stream *s, const struct client_info *info);
void dns_client_serve_dgram(struct dns_clients *all, struct dgram *d,
                            const struct client_info *info);
/* The client may be gone afterwards (a stream that failed), but not its memory in this turn. */
void dns_client_answer(struct dns_client *c, const uint8_t *answer, size_t n);
/* A question of it has ended: it may be listened to again, or be done. */
void dns_client_look(struct dns_client *c);

#endif
