/* chain/exchange.h - one DNS question to one nameserver, and its answer: over UDP (asked again
 * until the deadline, over TCP when the answer was cut), TCP, TLS or HTTPS.
 *
 * Every question has a random id, and a socket of its own, or a connection that has no other
 * question at the same time; connections are kept for the next one (chain/nameline.h). An answer
 * counts only with that id, that question and from that server; others are ignored and counted.
 * Where no datagrams can get to the server the question goes over TCP. Owner: who called
 * exchange_new(); exactly one done call, from the loop, unless it is cancelled before.
 */
#ifndef CHAIN_EXCHANGE_H
#define CHAIN_EXCHANGE_H

#include "chain/doh.h"
#include "chain/nameline.h"
#include "chain/nameserver.h"
#include "core/loop.h"
#include "core/os.h"
#include "core/wire/dns.h"

struct dgram;
struct dial;
struct router;
struct stream;

/* answer: with the id of the question as it was given; valid during the call. The reason of a
 * failure stands in the server's `last`. */
typedef void exchange_fn(void *arg, enum rc rc, const uint8_t *answer, size_t n);

struct exchange_cfg {
    struct loop *loop;
    struct nameservers *list; /* referenced */
    int server;
    struct router *router;     /* NULL: by the server's own chain, or directly with so */
    const struct sockopts *so; /* copied */
    const struct target *seen; /* what rules go by; NULL: the server. Copied */
    const void *query;         /* copied; parsed by who asks */
    size_t n;
};

struct exchange {
    struct list link; /* in the list's ring */
    struct exchange_cfg cfg;
    struct nameserver *server;
    struct router *own; /* NULL: cfg.router serves */
    struct target seen;
    struct dial *dial;
    struct stream *stream;
    struct dgram *dgram;
    struct timer deadline, again;
    uint32_t again_ms;
    exchange_fn *done;
    void *arg;
    uint16_t id; /* of the question as it was given */
    struct nameline_key key;
    bool by_stream, over;
    bool kept;  /* by a connection of an earlier question: a failure is the connection's */
    bool fresh; /* not by one */
    struct dns_msg question;
    uint8_t *out; /* of a stream: framed */
    size_t out_n, out_sent;
    uint8_t *in;
    size_t in_n, in_cap;
    struct doh doh;   /* https: instead of out and in */
    struct diag diag; /* why it fails */
    uint8_t *cut;     /* an answer with TC, for the case that TCP fails */
    size_t cut_n;
    struct deferred deferred;
};

/* --- between exchange.c and exchange_stream.c */
struct dial_result;
void exchange_finish(struct exchange *e, enum rc rc, uint8_t *answer, size_t n);
/* why: the words of whoever failed, if there are any; NULL: none. */
void exchange_fail(struct exchange *e, enum rc rc, const struct diag *why);
/* Is this the answer to what was asked? A lie is counted. */
bool exchange_is_ours(struct exchange *e, const void *buf, size_t n);
bool exchange_use_kept(struct exchange *e);
void exchange_dialled(void *arg, struct stream *s, const struct dial_result *res);

/* --- for all */
/* NULL: no memory, the query is none, or the list was stopped. */
struct exchange *exchange_new(const struct exchange_cfg *cfg, exchange_fn *done, void *arg);
void exchange_end(struct exchange *e, enum rc rc); /* calls done at once */
void exchange_cancel(struct exchange *e);          /* done does not come; NULL is fine */

#endif
