/* core/stream.h - a byte stream made of stacked layers ("floors").
 *
 *   owner (handler, splice)       calls go down        events come up, from the loop only
 *     [ws] [tls] [socks5c] [tls] [tcp]                 top on the left, bottom on the right
 *
 * Ownership: stream_push() takes the layer, also when the stream has failed. stream_close() ends
 * all of them.
 *
 * Buffers belong to the caller and are used only during the call. A layer that must keep bytes
 * copies them into its own bounded buffer.
 *
 * Threads: a stream, its layers and its owner live on one loop.
 *
 * Results: RC_OK (n > 0), RC_AGAIN (nothing moved: state what you want and return), RC_EOF (peer
 * ended its writing; ours may go on), anything else is final for the stream and its reason is in
 * stream_diag().
 *
 * Events are level-triggered for the owner: as long as what it wants is possible, fn is called,
 * once or a few times a turn. fn is never called from inside one of the owner's own calls.
 */
#ifndef CORE_STREAM_H
#define CORE_STREAM_H

#include "core/loop.h"
#include "core/rc.h"
#include <sys/uio.h>

struct stream;
struct layer;
struct addr;

enum stream_event {
    STREAM_IN = 1,   /* recv may give bytes, EOF or the final error */
    STREAM_OUT = 2,  /* send may take bytes */
    STREAM_OPEN = 4, /* stream_open() may get further */
    STREAM_GONE = 8  /* the connection is known to have failed (a reset): for an owner that does not
                        read at the moment. What came before can still be read. Bottoms that don't
                        know never say it */
};
typedef void stream_event_fn(struct stream *s, unsigned ready, void *arg);

struct stream *stream_new(struct loop *loop); /* no layers yet; NULL: no memory */

enum rc stream_open(struct stream *s); /* call again after RC_AGAIN, when STREAM_OPEN comes */
enum rc stream_recv(struct stream *s, void *buf, size_t cap, size_t *ret_n);
enum rc stream_send(struct stream *s, const struct iovec *v, int nv, size_t *ret_n);
/* End our writing: flush, then FIN. RC_OK: all that was sent has left every floor; call again after
 * RC_AGAIN (STREAM_OUT). */
enum rc stream_shut(struct stream *s);

/* Borrow what is already received, in place; then say how much was used. RC_UNSUPPORTED: use
 * stream_recv. */
enum rc stream_peek(struct stream *s, struct iovec *v, int cap, int *ret_n);
enum rc stream_consume(struct stream *s, size_t n);
/* Borrow room to write into (owned by the floor), then say how much was filled (0 gives it back).
 */
enum rc stream_reserve(struct stream *s, size_t want, struct iovec *ret_v);
enum rc stream_commit(struct stream *s, size_t n);

/* Persistent until changed. events 0: no more calls (fn may be NULL then). */
void stream_want(struct stream *s, unsigned events, stream_event_fn *fn, void *arg);
/* Takes l; s becomes "not open" until stream_open() says RC_OK. */
void stream_push(struct stream *s, struct layer *l);
/* No event after these return; memory goes at the end of the turn. NULL is fine. close: what was
 * accepted by send is still delivered as far as the floors can without waiting; abort: the bottom
 * resets the connection (RST). */
void stream_close(struct stream *s);
void stream_abort(struct stream *s);

bool stream_is_open(const struct stream *s);
struct loop *stream_loop(const struct stream *s);
/* The first failure, with its words; rc == RC_OK when there is none. Valid until the end of the
 * turn of the close. */
struct diag *stream_diag(struct stream *s);

enum layer_query {
    QUERY_LOCAL_ADDR, /* struct addr: the bottom's own address */
    QUERY_PEER_ADDR,  /* struct addr: the bottom's peer (below ws: the forwarded one) */
    QUERY_BOUND_ADDR, /* struct addr: what the far end bound (socks5 BND.ADDR, relay addr) */
    QUERY_CONFIRMED,  /* enum stream_confirmed: is the target connected? May read. */
    QUERY_SECURE,     /* bool: everything above this floor is encrypted */
    QUERY_ALPN,       /* const char * or NULL */
    QUERY_FD,         /* int: the socket, only when bytes may bypass every floor (plain tcp) */
    QUERY_EXPEDITE,   /* NULL: send what is held back (a lazy header) now */
    QUERY_SOCKET,     /* int: the socket at the bottom; for its options, never for bytes */
};
enum stream_confirmed {
    CONFIRMED_YES,     /* the target is connected */
    CONFIRMED_PENDING, /* not known yet; ask again when STREAM_IN comes or after a while */
};
/* Asks from the top down until a layer answers. A failure of the connection is returned as its
 * final rc. */
enum rc stream_query(struct stream *s, enum layer_query q, void *ret_value);

/* ---------------------------------------------------------------- for those who write a layer */

enum layer_flag {
    LAYER_SECURE = 1, /* encrypts */
    /* unlinked once open: only its handshake mattered. pending() must be false then */
    LAYER_SETUP = 2,
    LAYER_MESSAGE = 4 /* one send is one message below (ws): do not cut small pieces */
};

/* One static const per protocol. A NULL slot passes the call to the floor below; peek, consume,
 * reserve and commit are RC_UNSUPPORTED when NULL. A bottom floor (below == NULL) fills open (or
 * NULL), recv, send, shut, ready, destroy. */
struct layer_type {
    const char *name; /* "tls": in traces and reasons */
    unsigned flags;
    /* Own handshake, with the floor below already open. Resumable. */
    enum rc (*open)(struct layer *l);
    /* When RC_AGAIN is returned, either the floor below said RC_AGAIN, or pending()/wants() tell
     * the truth about why. */
    enum rc (*recv)(struct layer *l, void *buf, size_t cap, size_t *ret_n);
    /* Partial sends are fine (RC_OK with fewer bytes). What was taken must leave by itself
     * (needs/run). */
    enum rc (*send)(struct layer *l, const struct iovec *v, int nv, size_t *ret_n);
    enum rc (*peek)(struct layer *l, struct iovec *v, int cap, int *ret_n);
    enum rc (*consume)(struct layer *l, size_t n);
    enum rc (*reserve)(struct layer *l, size_t want, struct iovec *ret_v);
    enum rc (*commit)(struct layer *l, size_t n);
    enum rc (*shut)(struct layer *l);
    /* Which events of the floor below serve this wish (exactly one of IN, OUT, OPEN)? NULL: the
     * same; for STREAM_OPEN: IN. */
    unsigned (*wants)(const struct layer *l, unsigned wish);
    /* Can this wish (STREAM_IN: decoded bytes or EOF or failure at hand; STREAM_OUT: room) be
     * served without the floor below? NULL: no. */
    bool (*pending)(const struct layer *l, unsigned wish);
    /* Bottom floors only: the part of `wish` that may succeed now. */
    unsigned (*ready)(const struct layer *l, unsigned wish);
    /* The floor's own unfinished business (records to flush, a pong): events of the floor below it
     * waits for; 0: none. After the state changed by itself, call layer_wake(). NULL: never any. */
    unsigned (*needs)(const struct layer *l);
    void (*run)(struct layer *l); /* from the loop, when what needs() named may be possible */
    /* The stream is being closed in order: hand what is held back and the last words
     * (close_notify) to the floor below, without waiting. Top floor first. NULL: nothing to say. */
    void (*leave)(struct layer *l);
    /* RC_UNSUPPORTED: ask below */
    enum rc (*query)(struct layer *l, enum layer_query q, void *ret_value);
    /* Own memory only; accepts half-built; never calls the floor below. aborting: end with a reset
     * where there is one. */
    void (*destroy)(struct layer *l, bool aborting);
};

/* Embedded first in each layer's own struct: struct tls { struct layer layer; ... }. The memory of
 * the layer itself is freed by the stream with free() at the end of the turn after destroy(). */
struct layer {
    const struct layer_type *type;
    struct layer *below, *above; /* above: only for the stream's own use */
    struct stream *stream;
    struct deferred deferred;
    bool opened;
};

/* Calls on the floor below; each also works for a floor without the slot. l may not be NULL. */
enum rc layer_open(struct layer *l);
enum rc layer_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n);
enum rc layer_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n);
enum rc layer_peek(struct layer *l, struct iovec *v, int cap, int *ret_n);
enum rc layer_consume(struct layer *l, size_t n);
enum rc layer_shut(struct layer *l);
enum rc layer_query(struct layer *l, enum layer_query q, void *ret_value);
/* May a call for this event on l succeed now? */
bool layer_can(const struct layer *l, unsigned event);

/* For a setup floor in its open(): puts `lower`, not pushed anywhere yet, between l and the floor
 * below it. One that is not opened must be opened with layer_open(l->below) before l goes on. */
void layer_insert(struct layer *l, struct layer *lower);

/* Something changed (an fd became ready, a pcb got data, own business began): the stream looks
 * again, from the loop. */
void layer_wake(struct layer *l);

/* Records the reason in the stream's diag, prefixed by the layer's name; returns rc. First reason
 * wins. */
enum rc layer_fail(struct layer *l, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
