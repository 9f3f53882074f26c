/* listeners/tungo/radio.c - see radio.h. */
#include "listeners/tungo/radio.h"
#include <math.h>

static const double enough_rounds = 3; /* round trips with a loss that make a radio */
static const double credit_mss = 8;    /* credit is kept up to this ... */
static const double credit_rounds = 4; /* ... and what may get lost in so many round trips */
static const double few = 4;           /* one part in so many of what was expected is "no more" */
static const double past_most = 32;    /* losses, in packets, that are remembered */
static const double low = 0.85;        /* of the top: so long the window is low */
static const double unfair =
    4; /* times what a CUBIC lives with: it would have half of the window */
static const double tolerance = 1.5; /* times the rate */
static const double most = 0.0625;   /* ... but no more than this */

/* Part of its packets that a CUBIC loses to have such a window: as Reno, or by its own growth
 * (RFC 9438 5.2). */
static double cubic_loses(const struct radio_view *v, double window)
{
    double w = window / v->mss, reno = 1.5 / (w * w), own = v->rtt_s * pow(1.054 / w, 4.0 / 3);

    return reno > own ? reno : own;
}

static double credit_most(const struct radio *r, const struct radio_view *v)
{
    return tolerance * r->rate * credit_rounds * v->window + credit_mss * v->mss;
}

void radio_on_cut(struct radio *r, double top, double lost)
{
    r->phase = RADIO_SETTLES;
    r->arrived = r->lost = r->rounds = r->last_lost = 0;
    r->top = top;
    r->top_lost = lost;
    r->credit = 0;
}

void radio_on_settled(struct radio *r)
{
    if (r->phase == RADIO_SETTLES)
        r->phase = RADIO_LOOKS;
}

/* The look is over: what was seen becomes the rate. */
static void conclude(struct radio *r, double lost, double rounds, const struct radio_view *v)
{
    double least = unfair * cubic_loses(v, r->top), expected = r->rate * r->arrived;

    if (expected > few * v->mss && lost < expected / few)
        r->past_arrived = r->past_lost = r->past_rounds = 0;
    r->past_arrived += r->arrived;
    r->past_lost += lost;
    r->past_rounds += rounds;
    while (r->past_lost > past_most * v->mss || r->past_arrived * least > past_most * v->mss) {
        r->past_arrived /= 2;
        r->past_lost /= 2;
        r->past_rounds /= 2;
    }
    /* by round trips: a queue loses many at once */
    if (r->past_rounds * v->mss < least * r->past_arrived)
        r->rate = r->credit = 0;
    else
        r->rate = r->past_lost / (r->past_arrived + r->past_lost + 1);
    r->phase = RADIO_QUIET;
}

void radio_on_arrived(struct radio *r, double bytes, const struct radio_view *v)
{
    double part = tolerance * r->rate, limit;

    if (part > 0) {
        r->credit += bytes * (part < most ? part : most);
        limit = credit_most(r, v);
        r->credit = r->credit < limit ? r->credit : limit;
    }
    if (r->phase != RADIO_LOOKS)
        return;
    r->arrived += bytes;
    if (v->window > low * r->top ||
        r->arrived * unfair * cubic_loses(v, r->top) > 2 * enough_rounds * v->mss)
        conclude(r, r->lost, r->rounds, v);
}

/* While it looks. */
static enum radio_answer see_loss(struct radio *r, double bytes, const struct radio_view *v)
{
    r->lost += bytes;
    if (r->rounds < 1 || r->last_round != v->round) {
        r->rounds++;
        r->last_round = v->round;
        r->last_lost = 0;
    }
    r->last_lost += bytes;
    if (r->rounds < enough_rounds)
        return RADIO_TOLERATE;
    /* it ends with a loss: without that one it is as long as it should be */
    conclude(r, r->lost - r->last_lost, r->rounds - 1, v);
    if (r->rate <= 0)
        return RADIO_HEED;
    r->credit = credit_most(r, v);
    return r->top_lost <= 2 * r->rate + 3 * v->mss / r->top ? RADIO_UNDO : RADIO_TOLERATE;
}

enum radio_answer radio_on_lost(struct radio *r, double bytes, const struct radio_view *v)
{
    if (r->phase == RADIO_LOOKS)
        return see_loss(r, bytes, v);
    r->credit -= bytes;
    return r->credit < 0 ? RADIO_HEED : RADIO_TOLERATE;
}
