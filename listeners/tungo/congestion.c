/* listeners/tungo/congestion.c - see congestion.h. */
#include "listeners/tungo/congestion.h"
#include <math.h>

enum {
    FIRST_MSS = 10, /* RFC 6928 */
    LEAST_MSS = 2,
    QUEUE_US = 3000, /* with a quarter of the least round trip: what is not yet a queue */
    BEGIN_US = 3000, /* a queue may begin: at least so much more than the least round trip ... */
    BEGIN_MOST_US = 16000, /* ... and at most; an eighth between */
    CAREFUL_PART = 4,      /* slow start goes on with this part of its speed */
    CAREFUL_MOST = 20,     /* samples, five round trips */
    TOLERATED = 16,        /* one part in so many, and a few packets: */
    FEW = 3,
    FEW_AT_START = 6,  /* a window that is cut when it is small is small for long */
    CREDIT_US = 10000, /* credit is kept for so long: two steps of the timer */
};

static const double cubic_c = 0.4, cubic_beta = 0.7, reno_alpha = 0.53;

void rtt_add(struct rtt *r, uint64_t s)
{
    if (s == 0)
        s = 1;
    r->last_us = s;
    r->recent_us[r->next++ % RTT_RECENT] = s;
    if (!r->least_us || s < r->least_us)
        r->least_us = s;
    if (!r->smooth_us) {
        r->smooth_us = s;
        r->var_us = s / 2;
        return;
    }
    uint64_t off = s > r->smooth_us ? s - r->smooth_us : r->smooth_us - s;
    r->var_us = (3 * r->var_us + off) / 4;
    r->smooth_us = (7 * r->smooth_us + s) / 8;
    if (!r->smooth_us)
        r->smooth_us = 1;
}

void congestion_init(struct congestion *c, enum congestion_kind kind, uint32_t mss)
{
    *c = (struct congestion){
        .kind = kind,
        .mss = mss,
        .cwnd = FIRST_MSS * mss,
        .ssthresh = UINT32_MAX,
        .credit = CONGESTION_BURST_BYTES,
    };
}

/* A queue delays every packet; other things, like a scheduler, delay some. */
static uint64_t recent_least(const struct rtt *r)
{
    uint64_t us = r->last_us;

    for (int i = 0; i < RTT_RECENT; i++)
        if (r->recent_us[i] && r->recent_us[i] < us)
            us = r->recent_us[i];
    return us;
}

static bool shows_queue(const struct rtt *r)
{
    return recent_least(r) >= r->least_us + r->least_us / 4 + QUEUE_US;
}

void congestion_on_rtt(struct congestion *c, const struct rtt *r)
{
    uint64_t more = r->least_us / 8;

    if (c->cwnd >= c->ssthresh)
        return;
    more = more < BEGIN_US ? BEGIN_US : more > BEGIN_MOST_US ? BEGIN_MOST_US : more;
    c->careful = r->last_us >= r->least_us + more ? c->careful + 1 : 0;
    if (recent_least(r) >= r->least_us + r->least_us / 2 + QUEUE_US || c->careful >= CAREFUL_MOST) {
        c->ssthresh = c->cwnd;
        c->careful = 0;
    }
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void grow_cubic(struct congestion *c, uint32_t acked, const struct rtt *r, uint64_t now_us)
{
    double cwnd = c->cwnd, mss = c->mss;

    if (!c->epoch_us) {
        double down = (c->most - cwnd) / mss;
        c->epoch_us = now_us;
        c->k = down > 0 ? cbrt(down / cubic_c) : 0;
        c->most = larger(c->most, cwnd);
    }
    double x = (double)(now_us - c->epoch_us + r->smooth_us) / 1e6 - c->k;
    double target = c->most + cubic_c * x * x * x * mss;
    double next = cwnd;
    if (target > next)
        next += (target - next) * acked / next;
    next = larger(next, cwnd + reno_alpha * mss * acked / cwnd);
    if (next > cwnd * 1.5)
        next = cwnd * 1.5;
    c->cwnd = next < (double)CONGESTION_MOST_BYTES ? (uint32_t)(next + 0.5) : CONGESTION_MOST_BYTES;
}

void congestion_on_ack(struct congestion *c, uint32_t acked, uint32_t flight, const struct rtt *r,
                       uint64_t now_us)
{
    if (flight + 3 * c->mss < c->cwnd / 2)
        return; /* something else was the limit: more room would not have been used */
    if (c->cwnd >= c->ssthresh) {
        grow_cubic(c, acked, r, now_us);
        return;
    }
    if (acked > c->cwnd)
        acked = c->cwnd;
    if (c->careful)
        acked /= CAREFUL_PART;
    c->cwnd =
        c->cwnd + acked < CONGESTION_MOST_BYTES ? c->cwnd + acked : (uint32_t)CONGESTION_MOST_BYTES;
}

static void take_back(struct congestion *c, uint32_t cwnd, uint32_t ssthresh)
{
    if (c->cwnd < cwnd)
        c->cwnd = cwnd;
    if (c->ssthresh < ssthresh)
        c->ssthresh = ssthresh;
    c->epoch_us = 0;
}

static struct radio_view view(const struct congestion *c, const struct rtt *r)
{
    return (struct radio_view){c->cwnd, c->mss, (double)r->smooth_us / 1e6, c->round};
}

void congestion_on_arrived(struct congestion *c, uint32_t n, bool is_settled, const struct rtt *r)
{
    struct radio_view v = view(c, r);

    if (c->kind != CONGESTION_TOLERANT)
        return;
    if (is_settled)
        radio_on_settled(&c->radio);
    radio_on_arrived(&c->radio, n, &v);
}

/* In slow start there is no former window to compare with: only `too much` counts. */
static enum radio_answer ask_radio(struct congestion *c, uint32_t n, const struct rtt *r)
{
    struct radio_view v = view(c, r);

    if (c->cwnd < c->ssthresh && c->radio.phase == RADIO_QUIET)
        return RADIO_TOLERATE;
    return radio_on_lost(&c->radio, n, &v);
}

bool congestion_heeds_loss(struct congestion *c, const struct rtt *r, uint32_t n, uint32_t lost,
                           uint32_t sent)
{
    uint32_t of = sent > c->cwnd ? sent : c->cwnd;
    uint32_t few = (c->cwnd < c->ssthresh ? FEW_AT_START : FEW) * c->mss;
    bool too_much = lost > of / TOLERATED + few, queue;
    enum radio_answer answer;

    if (c->kind != CONGESTION_TOLERANT)
        return true;
    queue = shows_queue(r);
    answer = ask_radio(c, n, r);
    if (queue || too_much || answer == RADIO_HEED) {
        radio_on_cut(&c->radio, c->cwnd, queue ? 1 : (double)lost / of);
        c->top_cwnd = c->cwnd;
        c->top_ssthresh = c->ssthresh;
        return true;
    }
    if (answer == RADIO_UNDO)
        take_back(c, c->top_cwnd, c->top_ssthresh);
    return false;
}

void congestion_cut(struct congestion *c, uint32_t flight)
{
    double w = flight < c->cwnd ? flight : c->cwnd;
    uint32_t least = LEAST_MSS * c->mss;

    c->undo_cwnd = c->cwnd;
    c->undo_ssthresh = c->ssthresh;
    c->most = w < c->most * 0.99 ? w * (1 + cubic_beta) / 2 : w; /* fast convergence */
    c->cwnd = (uint32_t)(w * cubic_beta);
    if (c->cwnd < least)
        c->cwnd = least;
    c->ssthresh = c->cwnd;
    c->epoch_us = 0;
}

void congestion_timeout(struct congestion *c, uint32_t flight)
{
    congestion_cut(c, flight);
    c->cwnd = LEAST_MSS * c->mss;
}

void congestion_undo(struct congestion *c)
{
    if (!c->undo_cwnd)
        return;
    take_back(c, c->undo_cwnd, c->undo_ssthresh);
    c->undo_cwnd = 0;
}

void congestion_refill(struct congestion *c, const struct rtt *r, uint64_t now_us)
{
    double gain = c->cwnd < c->ssthresh ? 2.0 : 1.25, rate, credit, most;
    uint64_t since = now_us - c->credit_us;

    if (r->smooth_us < CONGESTION_PACE_US) {
        c->credit = UINT32_MAX;
        c->credit_us = now_us;
        return;
    }
    rate = gain * c->cwnd / (double)r->smooth_us;
    if (rate * (double)since < 1)
        return; /* parts of a byte add up */
    c->credit_us = now_us;
    most = larger(CONGESTION_BURST_BYTES, rate * (double)CREDIT_US);
    credit = c->credit + rate * (double)since;
    c->credit = (uint32_t)(credit < most ? credit : most);
}

void congestion_spend(struct congestion *c, uint32_t n)
{
    c->credit -= n < c->credit ? n : c->credit;
}
