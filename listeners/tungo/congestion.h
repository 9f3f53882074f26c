/* listeners/tungo/congestion.h - how many bytes may be on their way to the client, and how fast
 * they may follow each other.
 *
 * Pure; times are microseconds of the caller's clock. CUBIC in bytes (RFC 9438), which leaves slow
 * start when the round trip grows, in two steps (as RFC 9406); and a variant for links that lose by
 * themselves: as long as the round trip shows no queue, what the radio loses (radio.h), at most
 * 1/16, does not slow us down.
 */
#ifndef LISTENERS_TUNGO_CONGESTION_H
#define LISTENERS_TUNGO_CONGESTION_H

#include "listeners/tungo/radio.h"
#include <stdbool.h>
#include <stdint.h>

enum congestion_kind { CONGESTION_TOLERANT, CONGESTION_CUBIC };

enum {
    CONGESTION_MOST_BYTES = 8 << 20,
    CONGESTION_BURST_BYTES = 64 << 10, /* may always leave at once */
    CONGESTION_PACE_US = 5000,         /* shorter round trips are not paced: the timer is coarser */
};

enum { RTT_RECENT = 4 };

struct rtt {
    uint64_t smooth_us, var_us, least_us, last_us; /* all 0: not measured yet */
    uint64_t recent_us[RTT_RECENT]; /* the last samples, about one round trip; 0: fewer */
    unsigned next;
};

struct congestion {
    enum congestion_kind kind;
    uint32_t mss;
    uint32_t cwnd, ssthresh;
    unsigned careful;  /* samples that showed a beginning queue in slow start, one after another */
    double most, k;    /* CUBIC: window before the last cut, seconds until it is reached again */
    uint64_t epoch_us; /* since when it grows; 0: not yet */
    uint32_t undo_cwnd, undo_ssthresh; /* as before the last cut; 0: none */
    uint32_t credit;                   /* bytes that may leave now, where paced */
    uint64_t credit_us;
    struct radio radio;
    uint32_t round;                  /* round trips so far */
    uint32_t top_cwnd, top_ssthresh; /* as before the cut that the radio may be to blame for */
};

void rtt_add(struct rtt *r, uint64_t sample_us);

void congestion_init(struct congestion *c, enum congestion_kind kind, uint32_t mss);
/* A sample was added to r. */
void congestion_on_rtt(struct congestion *c, const struct rtt *r);
/* acked bytes left the network, flight were on their way before that. */
void congestion_on_ack(struct congestion *c, uint32_t acked, uint32_t flight, const struct rtt *r,
                       uint64_t now_us);
/* Bytes arrived; is_settled: what was sent before the last cut has, or is lost. */
void congestion_on_arrived(struct congestion *c, uint32_t n, bool is_settled, const struct rtt *r);
/* n bytes are lost, and `lost` out of `sent` since losses began: slow down? */
bool congestion_heeds_loss(struct congestion *c, const struct rtt *r, uint32_t n, uint32_t lost,
                           uint32_t sent);
void congestion_cut(struct congestion *c, uint32_t flight);
void congestion_timeout(struct congestion *c, uint32_t flight);
void congestion_undo(struct congestion *c); /* the last cut was a mistake */

/* Pacing: brings the credit up to date; takes n bytes that left. */
void congestion_refill(struct congestion *c, const struct rtt *r, uint64_t now_us);
void congestion_spend(struct congestion *c, uint32_t n);

#endif
