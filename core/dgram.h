/* core/dgram.h - whole messages with an address: a UDP socket, or datagrams carried by a stream.
 *
 * Results as for streams; RC_AGAIN on send means "no room": the caller drops the message and counts
 * it. Nothing is queued without bound. One bad message never ends the flow (it is dropped and
 * counted). Ownership: dgram_close() ends it; memory goes at the end of the turn. Events come from
 * the loop only, level-triggered.
 */
#ifndef CORE_DGRAM_H
#define CORE_DGRAM_H

#include "core/addr.h"
#include "core/loop.h"
#include "core/rc.h"

struct dgram;
typedef void dgram_event_fn(struct dgram *d, unsigned ready,
                            void *arg); /* STREAM_ bits; STREAM_GONE: it is over, though nobody
                                           reads (only where the implementation knows) */

enum { DGRAM_MAX_BYTES = 65535 };

enum dgram_flag {
    /* one target, agreed when it was opened; `to` is ignored, `from` is that target */
    DGRAM_FIXED = 1,
    DGRAM_NAMES = 2 /* `to` may be a name: the far end resolves it. Without: only addresses */
};

struct dgram_type {
    const char *name;
    enum rc (*open)(struct dgram *d); /* resumable; NULL: open at once */
    /* One message. RC_OK: sent or taken; RC_AGAIN: no room now; else the flow is over. */
    enum rc (*send)(struct dgram *d, const struct target *to, const void *data, size_t n);
    /* One message of at most cap bytes into buf (longer ones are cut: ret_n is what was stored). n
     * may be 0. */
    enum rc (*recv)(struct dgram *d, void *buf, size_t cap, size_t *ret_n, struct target *ret_from);
    unsigned (*ready)(struct dgram *d, unsigned wish);
    enum rc (*local)(struct dgram *d, struct addr *ret_addr); /* the address peers see, if known */
    void (*destroy)(struct dgram *d);                         /* own memory only */
    /* The three below may be NULL. As dgram_send_burst(), dgram_recv_burst(), dgram_trouble(). */
    enum rc (*send_burst)(struct dgram *d, const struct target *to, const void *data, size_t n,
                          size_t segment);
    enum rc (*recv_burst)(struct dgram *d, void *buf, size_t cap, size_t *ret_n,
                          size_t *ret_segment, struct target *ret_from);
    enum rc (*trouble)(struct dgram *d, struct target *ret_about, enum rc *ret_why);
};

/* Embedded first in each implementation's struct; the struct itself is freed by dgram_close(). */
struct dgram {
    const struct dgram_type *type;
    struct loop *loop;
    unsigned flags, want;
    dgram_event_fn *fn;
    void *arg;
    struct job job;
    struct deferred deferred;
    struct diag diag;
    uint64_t dropped;   /* messages we had to drop */
    uint64_t strangers; /* of those: from somebody else than the one target */
    bool opened, closed;
};

void dgram_init(struct dgram *d, const struct dgram_type *type, struct loop *loop, unsigned flags);
enum rc dgram_open(struct dgram *d);
enum rc dgram_send(struct dgram *d, const struct target *to, const void *data, size_t n);
enum rc dgram_recv(struct dgram *d, void *buf, size_t cap, size_t *ret_n, struct target *ret_from);
/* Several messages to one target at once: n bytes, cut after every `segment` (the last may be
 * shorter). */
enum rc dgram_send_burst(struct dgram *d, const struct target *to, const void *data, size_t n,
                         size_t segment);
/* One or several messages of one sender, as above; one message has segment == n. cap is at least
 * DGRAM_MAX_BYTES. A flow is read either so or by dgram_recv(), never both ways. */
enum rc dgram_recv_burst(struct dgram *d, void *buf, size_t cap, size_t *ret_n, size_t *ret_segment,
                         struct target *ret_from);
/* What was heard about single targets since: why is RC_REFUSED (port unreachable), RC_UNREACH_*.
 * The flow goes on. Look after receiving; RC_AGAIN: nothing, RC_UNSUPPORTED: never. */
enum rc dgram_trouble(struct dgram *d, struct target *ret_about, enum rc *ret_why);
enum rc dgram_local(struct dgram *d, struct addr *ret_addr);
void dgram_want(struct dgram *d, unsigned events, dgram_event_fn *fn, void *arg);
void dgram_wake(struct dgram *d); /* for implementations: look again, from the loop */
void dgram_close(struct dgram *d);

#endif
