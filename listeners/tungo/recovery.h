/* listeners/tungo/recovery.h - which bytes on their way to a client are lost, and when they are
 * sent again.
 *
 * lwIP 2.2.1 does not look at received SACK blocks. This does: a pure machine beside it, which
 * knows sequence numbers and times and nothing else. Its owner (outflow.c) tells what was sent and
 * what came back, asks what to send again, and keeps lwIP's own retransmissions silent.
 *
 *   una <= holes ... <= fack <= nxt     fack: end of the highest bytes the client has reported
 *
 * Lost: 3 MSS reported above a hole; once reordering was seen, its age instead, in a window that
 * grows while the client reports doubles (RACK, RFC 8985). A resend is lost again when something
 * sent after it arrived. The tail: a probe after two round trips, then the timeout, 200 ms or more,
 * doubled each time (RFC 6298); at the third the client's reports are forgotten, since it may have
 * dropped what it reported (RFC 2018 8). Everything the client says is checked against una and nxt;
 * lies cost its own flow only.
 *
 * Owner: one flow. Times: microseconds of a monotonic clock, given by the caller.
 */
#ifndef LISTENERS_TUNGO_RECOVERY_H
#define LISTENERS_TUNGO_RECOVERY_H

#include "listeners/tungo/congestion.h"
#include "listeners/tungo/holes.h"
#include "listeners/tungo/sack.h"

enum { RECOVERY_TIMED = 4 }; /* measurements in a round trip */

struct recovery {
    uint32_t una, fack, nxt;
    uint32_t mss;
    struct holes holes;
    struct congestion cc;
    struct rtt rtt;
    struct {
        uint32_t seq; /* the round trip is measured when the byte before it is reported */
        uint64_t at_us;
    } timed[RECOVERY_TIMED]; /* in order */
    unsigned n_timed;

    uint64_t news_us, sent_us; /* the last progress; the last new bytes */
    uint64_t resent_us;        /* send time of the latest resend that arrived */
    uint8_t backoff;           /* 0: none, 1: probed, more: timeouts */
    uint8_t forgot;            /* times that its reports were, since una moved */
    bool probing;              /* [probe_from, probe_to) is to be sent */
    bool force;                /* one piece may go although the window is full */
    uint32_t probe_from, probe_to;

    bool in_episode; /* losses, until `end` is acknowledged */
    bool cut;        /* the window was cut for it */
    uint32_t end, lost_bytes;
    uint32_t round_end;             /* a round trip is over when it is reported */
    uint32_t undo_from, undo_bytes; /* resent in the episode and not reported twice */
    uint8_t reordering;             /* quarters of a round trip to wait; 0: none was seen */
    uint8_t calm;                   /* episodes without a double since */
    uint32_t widened_at;            /* once per round trip */

    struct {
        uint32_t resends, probes, timeouts, episodes, undone;
    } count;
};

void recovery_init(struct recovery *r, enum congestion_kind kind, uint32_t mss, uint32_t una,
                   uint64_t now_us);
void recovery_done(struct recovery *r);
void recovery_set_mss(struct recovery *r, uint32_t mss);

/* New bytes were sent, up to nxt. */
void recovery_sent(struct recovery *r, uint32_t nxt, uint64_t now_us);
/* The client acknowledged everything before ack, and reported blocks. ack behind nxt is ignored. */
void recovery_ack(struct recovery *r, uint32_t ack, const struct sack_block *block, unsigned n,
                  uint64_t now_us);
/* The next piece to send again, at most max bytes (a multiple of the MSS but at its end).
 * recovery_resent() must follow: len bytes of it, from its beginning, were sent (0: none can be).
 */
bool recovery_next(const struct recovery *r, uint32_t max, uint32_t *ret_seq, uint32_t *ret_len);
void recovery_resent(struct recovery *r, uint32_t seq, uint32_t len, uint64_t now_us);
/* All that is on its way is lost, and nobody is to blame: a link carries less than we thought. */
void recovery_all_lost(struct recovery *r, uint64_t now_us);

/* To be called at recovery_due(), or later. false: the client has not answered for too long. */
bool recovery_tick(struct recovery *r, uint64_t now_us);
uint64_t recovery_due(const struct recovery *r); /* 0: nothing is on its way */
/* The window was closed and is open again: do not wait for the timeout. */
void recovery_hurry(struct recovery *r);
/* The client answers, but with a closed window: it is asked now and then, for ever (RFC 9293
 * 3.8.6.1). */
void recovery_closed(struct recovery *r);

/* Bytes that may be behind una, those on their way included. */
uint32_t recovery_limit(const struct recovery *r);
bool recovery_is_paced(const struct recovery *r); /* more may be sent a moment later */

#endif
