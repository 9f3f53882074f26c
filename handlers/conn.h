/* handlers/conn.h - one client of a socket handler, from the first byte to the last: what socks,
 * http, relay and the forwarding handlers have in common.
 *
 *   open the floors -> read a request (step) -> dial -> reply -> splice
 *                                   \-> refuse: reply, end our writing, drain, close
 *
 * Owner: the handler's front, which lists all its conns; front_free() ends them. A protocol embeds
 * struct conn first in its own struct, reads requests in step(), which must be correct for any
 * segmentation, and calls one of the verbs below; each verb moves the conn on, after most of them
 * it may be gone (conn_is_over). Deadlines: header_ms from the accept to the complete request, the
 * same again for a reply that the client does not read. Reads at most in_max bytes ahead.
 */
#ifndef HANDLERS_CONN_H
#define HANDLERS_CONN_H

#include "chain/router.h"
#include "core/stream.h"
#include "core/wire/cursor.h"
#include "handlers/handler.h"
#include "handlers/report.h"

struct client_info;
struct conn;
struct node;
struct splice;
struct splice_result;

enum { CONN_HEADER_MS = 15000 };

/* What all clients of one handler share. */
struct front {
    struct handler_setup setup;
    const char *handler; /* name, for the log */
    struct conn *conns;
    uint32_t header_ms, idle_ms, reply_grace_ms;
    bool ending, told_dns_tcp;
    struct deferred deferred;
};

/* For state that begins with a front: ends all clients; the memory goes at the end of the turn.
 * NULL is fine. */
void front_free(struct front *f);
/* Slot of a handler_type whose state begins with its front. */
void front_done(struct handler *h);
void front_init(struct front *f, const struct handler_setup *setup, const char *handler,
                int64_t header_ms); /* header_ms <= 0: CONN_HEADER_MS */

struct conn_ops {
    size_t bytes;  /* of the protocol's struct */
    size_t in_max; /* most bytes of an unfinished request */
    /* The client's floors are open (first call), or bytes came: c->in[0..in_len). */
    void (*step)(struct conn *c);
    /* conn_dial() ended. RC_OK: c->target is open. */
    void (*dialled)(struct conn *c, enum rc rc, const char *reason);
    /* conn_dial_dgram() ended; d belongs to the callee. RC_OK without d, only where any
     * destination was asked for: flows are dialled as destinations come up. */
    void (*dialled_dgram)(struct conn *c, struct dgram *d, enum rc rc, const char *reason);
    void (*done)(struct conn *c); /* the protocol's own memory; NULL: none */
};

enum conn_state {
    CONN_OPEN_WAIT, /* the client's floors */
    CONN_REQUEST,   /* bytes for step() */
    CONN_REPLY,     /* room to write what is in out */
    CONN_DIAL,      /* the dial's answer */
    CONN_CONFIRM,   /* the far end's word that the target is there */
    CONN_GRACE,     /* a moment of silence behind a reply */
    CONN_SPLICE,    /* the end of the splice */
    CONN_DRAIN,     /* the client's reaction to a refusal */
    CONN_OTHER,     /* the protocol's own business: it handles the streams' events */
    CONN_OVER
};

typedef void conn_then_fn(struct conn *c);

struct conn {
    const struct conn_ops *ops;
    struct front *front;
    struct conn *next, **link;
    enum conn_state state;
    struct stream *client, *target; /* NULL: none, or somebody else's by now */
    struct dgram *client_dgram;     /* until somebody takes it */
    struct addr local;              /* where the client arrived */
    struct addr dest;               /* the same as the client sees it */
    bool announced;                 /* by a PROXY header: whoever wrote one more is not believed */
    int64_t proxy_protocol;         /* version of the header that targets are sent; 0: none */
    struct timer timer;
    struct dial *dial;
    struct splice *splice;
    struct node *node; /* that has not confirmed yet */
    char *in;          /* read and not yet consumed */
    size_t in_len, in_cap;
    char *out;
    size_t out_len, out_sent;
    conn_then_fn *then; /* after the reply */
    void *then_arg;
    uint64_t up_bytes, down_bytes; /* of the flow, beside the splice's */
    size_t drained;
    bool verbatim;  /* the target is sent what the client said: it must not be this service */
    bool impatient; /* the target gets bytes of ours at once: don't wait for its word that it is
                       there */
    bool anywhere;  /* the datagram flow being dialled is for any destination */
    struct report report;
    char user[64];
    struct deferred deferred;
};

/* Takes s. The handler's serve() in one line. */
void conn_serve(struct front *f, const struct conn_ops *ops, struct stream *s,
                const struct client_info *info);
/* A client whose side is a dgram, not a stream: ops->step is called once, at once, in CONN_OTHER;
 * it takes the dgram from c->client_dgram. */
void conn_serve_dgram(struct front *f, const struct conn_ops *ops, struct dgram *d,
                      const struct client_info *info);
static inline bool conn_is_over(const struct conn *c)
{
    return c->state == CONN_OVER;
}
struct loop *conn_loop(const struct conn *c);

/* --- verbs for step() and what follows it */

void conn_consume(struct conn *c, size_t n);
/* One read from the client behind what is in c->in, at most max bytes in all. RC_LIMIT: no room. */
enum rc conn_fill(struct conn *c, size_t max);
/* Back to reading a request; step() is called for what is there already. The header deadline starts
 * anew. */
void conn_next_request(struct conn *c, uint32_t deadline_ms);
/* A floor was pushed on the client's stream: opens it, then step() again. */
void conn_reopen(struct conn *c);
/* The user (NUL bytes are refused) and whether the service lets it in. */
bool conn_auth(struct conn *c, struct slice user, struct slice pass);
/* Does the service's bypass exclude it? */
bool conn_bypassed(const struct conn *c, const char *network, const struct target *t);

/* Gives the client, with all that it said, to another handler; the conn is over. */
void conn_hand_over(struct conn *c, struct handler *h);

/* Writes n bytes, alone, then calls then(). RC_NOMEM and failures end the conn. */
void conn_reply(struct conn *c, const void *buf, size_t n, conn_then_fn *then);
/* Asks the router; ops->dialled comes later. */
void conn_dial(struct conn *c, const struct target *t);
/* t NULL: any destination. */
void conn_dial_dgram(struct conn *c, const struct target *t);
/* The reply alone, then (on a plain socket) up to reply_grace_ms of silence or until the client
 * speaks, then the splice: GOST's readers lose what is glued to a reply (wire-protocols 4.3). n may
 * be 0. */
void conn_splice(struct conn *c, const void *reply, size_t n);
/* The same with the target's first bytes joined to the reply when they are at hand. */
void conn_splice_joined(struct conn *c, const void *reply, size_t n);

/* Tells the client and ends: reply, end of our writing, what it still sends is read and dropped (64
 * KiB or 500 ms), so that the close can't overtake the reply as a reset. */
void conn_refuse(struct conn *c, const void *reply, size_t n, enum rc rc, const char *reason);
/* Ends our writing, drains as above, closes; no record. */
void conn_linger(struct conn *c);
/* Ends without a word, with a log record. */
void conn_drop(struct conn *c, enum rc rc, const char *reason);
/* Ends with the record of a transfer (NULL: no record). */
void conn_end(struct conn *c, const struct splice_result *res);

#endif
