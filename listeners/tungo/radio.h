/* listeners/tungo/radio.h - how much of what gets lost is the link's own loss.
 *
 * A full queue drops when the window is at its top, a radio at any time. So losses are first taken
 * for a queue's, and the window is cut. While it is low we look on: what still gets lost is not our
 * doing. If that happens far more often than a CUBIC of the window before would live with, it is
 * the radio's: the cut was a mistake, and from then on so much, and half of it more, may get lost
 * without another one. Each cut is an occasion to look again; a radio that has become better is
 * forgotten.
 *
 * So the first losses cost a few round trips; a shallow queue that is shared with others, which
 * shows nowhere in the round trip, is shared as CUBIC does; and a drop that comes from too many
 * flows looks like a radio's only if they do not slow down, either.
 *
 * Pure. Bytes are doubles: only their proportions count.
 */
#ifndef LISTENERS_TUNGO_RADIO_H
#define LISTENERS_TUNGO_RADIO_H

#include <stdbool.h>
#include <stdint.h>

enum radio_phase {
    RADIO_QUIET,
    RADIO_SETTLES, /* a cut has not shown its effect yet */
    RADIO_LOOKS,   /* the window is low */
};

struct radio {
    enum radio_phase phase;
    double rate;     /* part of the bytes that the radio loses; 0: none, as far as we know */
    double credit;   /* bytes that may get lost yet */
    double top;      /* window before the cut */
    double top_lost; /* part that got lost before the cut; 1: there was a queue */

    double arrived, lost, rounds; /* in this look: bytes, and round trips with a loss */
    double last_lost;             /* of lost: in the latest of them ... */
    uint32_t last_round;          /* ... which is this one */
    double past_arrived, past_lost, past_rounds; /* in former looks */
};

/* What there is at the time. */
struct radio_view {
    double window, mss; /* bytes */
    double rtt_s;
    uint32_t round; /* number of the round trip */
};

enum radio_answer {
    RADIO_HEED,     /* cut the window, and call radio_on_cut() */
    RADIO_TOLERATE, /* do nothing */
    RADIO_UNDO,     /* the last cut was a mistake */
};

/* The window was cut from `top`, when the part `lost` of what was sent had got lost. */
void radio_on_cut(struct radio *r, double top, double lost);
/* What had been sent before the cut has arrived, also what had to be sent again. */
void radio_on_settled(struct radio *r);
void radio_on_arrived(struct radio *r, double bytes, const struct radio_view *v);
/* Bytes got lost, and no queue is to be seen. */
enum radio_answer radio_on_lost(struct radio *r, double bytes, const struct radio_view *v);

#endif
