/* handlers/dns_inside.h - what dns.c (options, what is answered here) and dnsquestion.c (what
 * others are asked) share. Private to them.
 */
#ifndef HANDLERS_DNS_INSIDE_H
#define HANDLERS_DNS_INSIDE_H

#include "core/shares.h"
#include "core/siphash.h"
#include "core/wire/dns.h"
#include "handlers/dnsclient.h"
#include "handlers/handler.h"

struct answers;
struct dns_options;
struct nameservers;
struct question;

enum { DNS_BUCKETS = 256, DNS_OPEN_ALL_MAX = 4096, DNS_OPEN_PART = 4 /* of the descriptors */ };

struct dns_front {
    struct handler_setup setup;
    const struct dns_options *cfg;
    int64_t ttl_ms; /* of kept answers; 0: as they say; < 0: nothing is kept */
    struct dns_clients clients;
    struct forwarder *own;       /* of `dns` or the machine; NULL: the service's */
    struct forwarder *forwarder; /* whose picks are places in upstreams */
    struct nameservers *upstreams;
    struct answers *answers;
    struct siphash_key hash_key;
    struct question *asking[DNS_BUCKETS]; /* those that others may wait for */
    unsigned open;                        /* questions of clients */
    size_t open_max;
    struct shares shares; /* whose they are: see shares_may() */
    bool silent;          /* no upstream answered the last one: told once */
    bool ending;
};

/* --- dns.c: what goes to a client, who may be gone afterwards (c->over) */
void dns_send_answer(struct dns_client *c, uint8_t *answer, size_t n, size_t max_bytes,
                     const struct dns_edns *edns);
void dns_say(struct dns_client *c, const uint8_t *query, const struct dns_msg *msg,
             enum dns_rcode rcode, const struct addr *v, int n, const struct dns_edns *edns);

/* --- dnsquestion.c */
struct dns_asked {
    const struct dns_msg *msg;
    const struct dns_edns *edns;
    uint32_t bits; /* what else makes answers differ */
    bool for_all;  /* the answer is the same for everybody: it is kept, and waited for together */
    size_t max_bytes; /* that the client takes */
};
/* Asks an upstream, or waits for the answer to somebody else's equal question. false: the client
 * has too many open ones, or no memory. */
bool dns_ask(struct dns_front *f, struct dns_client *c, const uint8_t *query, size_t n,
             const struct dns_asked *asked);
void dns_client_gone(void *arg, struct dns_client *c); /* ends its questions */

#endif
