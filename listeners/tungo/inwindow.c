/* listeners/tungo/inwindow.c - see inwindow.h. */
#include "listeners/tungo/inwindow.h"
#include "listeners/tungo/seq.h"

enum { SLACK_US = 2000 }; /* our own turns */

static uint32_t largest(const struct inwindow *w)
{
    return w->rtt_us < INWINDOW_FAR_US && w->most > INWINDOW_NEAR_BYTES
               ? (uint32_t)INWINDOW_NEAR_BYTES
               : w->most;
}

static void next_round(struct inwindow *w, uint32_t rcv_nxt, uint64_t now_us)
{
    w->mark = rcv_nxt + w->bytes;
    w->mark_us = now_us;
}

void inwindow_init(struct inwindow *w, uint32_t first, uint32_t most, uint32_t rcv_nxt,
                   uint64_t now_us)
{
    *w = (struct inwindow){.bytes = first, .first = first, .most = most};
    next_round(w, rcv_nxt, now_us);
}

void inwindow_set_rtt(struct inwindow *w, uint64_t rtt_us)
{
    w->rtt_us = rtt_us;
}

void inwindow_consumed(struct inwindow *w, uint32_t rcv_nxt, uint32_t unread, uint64_t now_us)
{
    if (w->first == w->most || seq_lt(rcv_nxt, w->mark))
        return;
    if (unread > w->bytes / 2)
        w->bytes = w->bytes / 2 > w->first ? w->bytes / 2 : w->first;
    else if (now_us - w->mark_us < 2 * w->rtt_us + SLACK_US)
        w->bytes = w->bytes < largest(w) / 2 ? w->bytes * 2 : largest(w);
    next_round(w, rcv_nxt, now_us);
}
