/* handlers/tungosniff.h - the first bytes of a client that was let in before anybody knows where it
 * wants to go: read, bounded, until they name a target or can't any more.
 *
 * A client that waits for the server to speak says nothing: after timeout_ms the wait is over. What
 * has begun like a protocol that we know gets 15 s at least for the rest (GOST waits for ever): a
 * hello whose second segment was lost must not lose its name. Bytes are given back
 * exactly (core/floor/replay.h).
 *
 * What is read is nobody's window any more, and is kept until the target is there: all clients
 * together have 32 MiB for it, of which something is left for the next one (shares_may()). Who has
 * too much goes on with what was read, as if it named nothing.
 *
 * Owner: a flow of the tungo handler. The stream stays the owner's; until done() its events are
 * ours. done() comes once, from the loop, unless tungosniff_free() came first.
 */
#ifndef HANDLERS_TUNGOSNIFF_H
#define HANDLERS_TUNGOSNIFF_H

#include "core/loop.h"
#include "core/rc.h"
#include "core/shares.h"
#include "sniff/sniff.h"

struct quic_hello;
struct slice;
struct stream;

/* rc RC_OK: go on, `found` says what is known; else the stream has failed with it. */
typedef void tungosniff_fn(void *arg, enum rc rc);

enum { TUNGOSNIFF_MAX_BYTES = 32 << 20 };

struct tungosniffs {
    struct shares shares;
    size_t bytes;
    uint64_t crowded; /* those that had too much */
};

struct tungosniff {
    struct tungosniffs *all;
    struct addr peer;
    struct share share; /* of cap bytes */
    struct stream *client;
    struct timer timer;
    char *buf;
    size_t n, cap;
    uint32_t timeout_ms;
    bool dns;       /* it may be a question */
    bool more_time; /* the beginning of something known was seen */
    struct sniffed found;
    tungosniff_fn *done;
    void *arg;
    struct deferred deferred;
};

void tungosniffs_init(struct tungosniffs *all);
/* s is open, and this client's. dns: a DNS question is looked for, too. NULL: no memory. */
struct tungosniff *tungosniff_start(struct tungosniffs *all, const struct addr *client,
                                    struct stream *s, bool dns, uint32_t timeout_ms,
                                    tungosniff_fn *done, void *arg);
/* Puts the bytes in front of what the client says next. */
enum rc tungosniff_give_back(struct tungosniff *w);
void tungosniff_free(struct tungosniff *w); /* NULL is fine */

/* How long the first datagrams of a QUIC hello are kept: a second at least. */
uint32_t tungosniff_datagrams_ms(int64_t timeout_ms);

/* The first n datagrams of a flow to that port: a DNS question, or a QUIC hello (put together in
 * q). RC_AGAIN: more of them; RC_PROTO: neither. */
enum rc tungosniff_datagrams(struct quic_hello *q, const struct slice *v, int n, uint16_t port,
                             struct sniffed *ret_found);

#endif
