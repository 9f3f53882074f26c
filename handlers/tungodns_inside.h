/* handlers/tungodns_inside.h - what the files of tungodns share: the flows of questions and the
 * open questions. Private to them.
 *
 * A flow is one client's socket that talks to port 53 of one server: datagrams (tungodns_udp.c) or
 * a stream (tungodns_tcp.c). Each owns its questions (tungodns_ask.c).
 */
#ifndef HANDLERS_TUNGODNS_INSIDE_H
#define HANDLERS_TUNGODNS_INSIDE_H

#include "chain/answers.h"
#include "chain/dnsmap.h"
#include "chain/exchange.h"
#include "chain/fakefile.h"
#include "chain/fakepool.h"
#include "chain/router.h"
#include "core/list.h"
#include "core/loop.h"
#include "core/shares.h"
#include "core/siphash.h"
#include "core/wire/dns.h"
#include "handlers/handler.h"
#include "handlers/tungodns.h"

enum { DNSSTREAMS_MAX = 1024, DNSASKS_PER_FLOW = 64, DNSASKS_MAX = 4096, DNSASKS_SLOTS = 256 };
enum { DNSASKS_PART = 8 /* of the descriptors: questions that we ask take one each */ };

struct tungodns_stats {
    uint64_t fake, kept, hosts, asked, passed; /* questions, by where their answer comes from */
    uint64_t strange;                          /* answers that nobody had asked for */
    uint64_t stale;                            /* flows to fake addresses that nobody has */
};

struct tungodns {
    struct handler_setup setup;
    const struct tungodns_options *options;
    bool names_rule;
    struct siphash_key key;
    struct answers *answers; /* dns.cache */
    struct dnsmap *map;      /* dns.map */
    struct fakepool *pool;   /* dns.fake */
    struct fakefile *file;   /* NULL: no record is kept */
    struct matcher *except;  /* names that are never fake; NULL: none */
    struct job flush;        /* of the record */
    size_t n_unreal;         /* ranges of the pool that are in chain/unreal.h */
    struct list flows;
    unsigned n_asks, n_exchanges; /* of them, asked by us */
    size_t asks_max;
    unsigned n_streams;                /* flows by TCP */
    size_t held_bytes;                 /* of questions whose way is dialled */
    struct shares asks, streams, held; /* whose they are */
    struct list by_id[DNSASKS_SLOTS];  /* questions that we ask, by the id that they leave with */
    struct tungodns_stats stats;
    bool told_of_loop; /* a question of ours came back in */
    bool told_dns_tcp;
    struct deferred deferred;
};

struct dnsflow {
    struct tungodns *dns; /* NULL: the handler has ended */
    struct list link;
    struct addr client, server;
    struct addr who;     /* the client as the map knows it */
    struct target where; /* the server, by its name if its address is a fake one */
    bool tcp;
    struct share share; /* of the streams */
    struct list asks;
    unsigned n_asks;
    struct nameservers *origin; /* the server, asked over TCP; made when needed */
    void (*say)(struct dnsflow *f, const uint8_t *answer, size_t n);
    void (*asked)(struct dnsflow *f); /* a question was ended; NULL: never mind */
    void (*end)(struct dnsflow *f);   /* the handler ends */
};

/* A question under way. */
struct dnsask {
    struct list link;  /* of its flow: the oldest first */
    struct list by_id; /* while there is an exchange */
    struct share share;
    struct dnsflow *flow;
    struct exchange *exchange; /* NULL: passed on as it came */
    struct nameservers *list;
    int server;
    uint32_t bits;
    bool keep;          /* the answer is the same for everybody */
    size_t max_bytes;   /* that the client takes */
    uint16_t client_id; /* msg has what it is asked with */
    struct dns_msg msg;
    size_t n;
    uint8_t query[];
};

/* The client as the map knows it. */
struct addr tungodns_who(const struct tungodns *d, const struct addr *client);

void dnsflow_init(struct dnsflow *f, struct tungodns *d, const struct addr *client,
                  const struct addr *server, bool tcp);
void dnsflow_done(struct dnsflow *f); /* ends its questions without an answer */

/* What becomes of bytes that a client sent. DNSFATE_PASS: they go where they were sent; *ret_ask is
 * the question that they are (its answer: dnsflow_answer()), NULL when they are none. */
enum dnsfate { DNSFATE_TAKEN, DNSFATE_PASS };
enum dnsfate dnsflow_question(struct dnsflow *f, const uint8_t *data, size_t n,
                              struct dnsask **ret_ask);
/* An answer to what was passed on: remembered, if it is one, and with its client's id. */
void dnsflow_answer(struct dnsflow *f, uint8_t *answer, size_t n);

/* The open question with this id and name that was passed on; NULL: nobody asked that. */
struct dnsask *dnsflow_passed(struct dnsflow *f, const struct dns_msg *msg);

/* What rules go by: the server, or with names_rule the name that is asked for, beside the server's
 * address, which counts as well. msg NULL: no question. */
struct target dnsflow_seen(const struct dnsflow *f, const struct dns_msg *msg);

/* NULL: past a cap, no memory. query_n 0: only who asked what is kept. */
struct dnsask *dnsask_new(struct dnsflow *f, const struct dns_msg *msg, const uint8_t *query,
                          size_t query_n);
void dnsask_end(struct dnsask *a);
/* Asks the service's resolver, or the server itself over TCP. The client hears of it, whatever
 * comes; a is gone then. */
void dnsask_resolver(struct dnsask *a);
void dnsask_origin(struct dnsask *a);
/* The question itself came back in: nobody shall ask it again. */
bool dnsask_is_ours(struct tungodns *d, const struct addr *server, const struct dns_msg *msg);

/* Says, cut to what the client takes. answer is changed. */
void dnsflow_say(struct dnsflow *f, uint8_t *answer, size_t n, size_t max_bytes);
void dnsflow_say_rcode(struct dnsflow *f, const uint8_t *query, const struct dns_msg *msg,
                       enum dns_rcode rcode);
/* Puts an answer to a question of ours or the client's into map and cache. */
void dnsask_learn(struct dnsask *a, const uint8_t *answer, size_t n, int64_t ttl_ms);

#endif
