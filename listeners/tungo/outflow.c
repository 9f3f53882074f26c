/* listeners/tungo/outflow.c - see outflow.h. */
#include "listeners/tungo/outflow.h"
#include "listeners/tungo/fineclock.h"
#include "listeners/tungo/flow.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/offload.h"
#include "listeners/tungo/resend.h"
#include "lwip/priv/tcp_priv.h"
#include <stdlib.h>

enum {
    CWND_OPEN = 0x3fffffff, /* lwIP still adds to it */
    STEP_US = OUTFLOW_STEP_MS * 1000,
    HANDSHAKE_MOST_US = 900000, /* longer: our SYN-ACK may have been sent twice */
    LONG_US = 10000,            /* a round trip that deserves a larger buffer */
    /* Timeouts after which the way may swallow long packets without a word (RFC 4821 2), and the
     * length that is tried then. */
    BLACKHOLE_FIRST = 4,
    BLACKHOLE_SECOND = 6,
    BLACKHOLE_MTU = 1280,
    /* lwIP's timeouts in a row, of twelve: so many before a window that opens is worth sending all
     * again, and no more while it is closed. */
    CLOSED_TRIES_LEAST = 2,
    CLOSED_TRIES_MOST = 4,
};

/* --- the wheel */

static void on_step(struct timer *timer);

bool outflows_init(struct netstack *ns)
{
    struct outflows *w = &ns->outflows;

    for (int i = 0; i < OUTFLOW_SLOTS; i++)
        list_init(&w->slots[i]);
    timer_init(ns->loop, &w->timer, on_step);
    return timer_reserve(&w->timer);
}

void outflows_done(struct netstack *ns)
{
    timer_release(&ns->outflows.timer);
}

static void leave_wheel(struct outflow *o)
{
    if (list_is_empty(&o->in_wheel))
        return;
    list_remove(&o->in_wheel);
    o->flow->ns->outflows.n--;
}

/* Is looked at when it is due, or when it is in the wheel already, then. An earlier place than
 * needed is kept: it costs a look, moving with every acknowledgement would cost more. */
static void schedule(struct outflow *o, uint64_t now_us)
{
    struct outflows *w = &o->flow->ns->outflows;
    uint64_t due = recovery_due(&o->recovery), steps;

    if (!due && !(o->flow->blocked_out && recovery_is_paced(&o->recovery)))
        return;
    if (o->flow->blocked_out && recovery_is_paced(&o->recovery))
        due = now_us;
    if (!list_is_empty(&o->in_wheel)) {
        if (o->due_us <= due + STEP_US)
            return;
        leave_wheel(o);
    }
    steps = due > now_us ? (due - now_us + STEP_US - 1) / STEP_US : 1;
    if (steps > OUTFLOW_SLOTS - 1)
        steps = OUTFLOW_SLOTS - 1;
    o->due_us = now_us + steps * STEP_US;
    list_append(&w->slots[(w->now + steps) % OUTFLOW_SLOTS], &o->in_wheel);
    w->n++;
    if (!timer_is_running(&w->timer))
        (void)timer_start(&w->timer, OUTFLOW_STEP_MS); /* reserved */
}

/* --- lwIP follows */

static bool has_holes_to_send(const struct outflow *o)
{
    return o->recovery.holes.lost_bytes || o->recovery.probing;
}

/* As much of [seq, seq + len) as lwIP has, over the borders of its segments. */
static uint32_t resend_all(struct tungo_flow *f, struct resend_at *at, uint32_t seq, uint32_t len)
{
    uint32_t done = 0, n;

    do {
        n = resend(f, at, seq + done, len - done);
        done += n;
    } while (n && done < len);
    return done;
}

static void send_again(struct outflow *o, uint64_t now_us)
{
    struct tungo_flow *f = o->flow;
    struct outflows *w = &f->ns->outflows;
    struct resend_at at = {NULL};
    uint32_t seq, len;

    while (has_holes_to_send(o) && recovery_next(&o->recovery, f->raised_mss, &seq, &len)) {
        len = resend_all(f, &at, seq, len);
        recovery_resent(&o->recovery, seq, len, now_us);
        w->stats.resends++;
        w->stats.resent_bytes += len;
    }
}

/* lwIP's own idea of the window, and its retransmissions. */
static void drive(struct tungo_flow *f)
{
    struct tcp_pcb *pcb = f->pcb;
    uint32_t limit = CWND_OPEN;

    if (f->outflow) {
        limit = recovery_limit(&f->outflow->recovery);
        /* a segment that was cut for a larger window goes when it is alone, or it never would */
        if (!pcb->unacked || limit > CWND_OPEN)
            limit = CWND_OPEN;
        pcb->dupacks = 0;
        if (pcb->rtime > 0 && pcb->unacked) /* else: what the device did not take */
            pcb->rtime = 0;
    }
    pcb->cwnd = limit;
    pcb->ssthresh = CWND_OPEN;
}

void outflow_look(struct tungo_flow *f)
{
    struct outflow *o = f->outflow;

    if (!o || f->pcb->state < ESTABLISHED)
        return;
    if (f->pcb->snd_nxt != o->recovery.nxt || f->blocked_out) {
        uint64_t now_us = fineclock_us();
        recovery_sent(&o->recovery, f->pcb->snd_nxt, now_us);
        schedule(o, now_us);
    }
    drive(f);
}

/* --- segments of the client */

static void begin(struct tungo_flow *f)
{
    struct outflow *o;

    f->outflow_begun = true;
    f->out_window = f->pcb->snd_wnd;
    if (f->ns->outflows.off || !(f->pcb->flags & TF_SACK))
        return;
    o = calloc(1, sizeof *o);
    if (!o)
        return; /* as without SACK */
    o->flow = f;
    list_init(&o->in_wheel);
    recovery_init(&o->recovery, f->ns->outflows.kind, f->mss, f->pcb->lastack, fineclock_us());
    if (f->window.rtt_us && f->window.rtt_us < HANDSHAKE_MOST_US)
        rtt_add(&o->recovery.rtt, f->window.rtt_us);
    f->outflow = o;
}

static bool is_closed(const struct tungo_flow *f)
{
    return f->out_window < f->mss;
}

/* lwIP's own timeouts: not the last ones for who answers, and no longer than the window is closed.
 */
static void ease_timeouts(struct tungo_flow *f, bool opens)
{
    struct tcp_pcb *pcb = f->pcb;

    if (!pcb->unacked || pcb->nrtx < CLOSED_TRIES_LEAST)
        return;
    if (opens) {
        pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
        pcb->rtime = 0;
        pcb->nrtx = 0; /* all is sent again once for each series of timeouts */
        tcp_rexmit_rto(pcb);
    } else if (is_closed(f) && pcb->nrtx > CLOSED_TRIES_MOST) {
        pcb->nrtx = CLOSED_TRIES_MOST;
    }
}

/* lwIP does not see a window that closes in front of bytes under way: it takes a smaller one only
 * with another acknowledgement. A client without memory does that, drops them and answers what is
 * sent again (RFC 9293 3.8.6.2.1). true: it was closed and is not any more. */
static bool take_window(struct tungo_flow *f, const struct sack_news *news)
{
    uint32_t window = (uint32_t)news->window << f->pcb->snd_scale;
    bool was_closed = is_closed(f);

    if (f->outflow && window > f->out_window)
        recovery_hurry(&f->outflow->recovery);
    f->out_window = window;
    return was_closed && !is_closed(f);
}

void outflow_before_input(struct tungo_flow *f, const struct packet *p, struct sack_news *ret_news)
{
    ret_news->is_ack = ret_news->opens = false;
    if (!f->outflow_begun)
        return;
    sack_read(p, ret_news);
    /* blocks of a segment that lwIP would not obey either say nothing (RFC 5961 5) */
    if (ret_news->seq - f->pcb->rcv_nxt + f->pcb->rcv_wnd > 2 * f->pcb->rcv_wnd ||
        ret_news->ack - f->pcb->lastack > f->pcb->snd_nxt - f->pcb->lastack)
        ret_news->n = 0;
    else if (ret_news->is_ack)
        ret_news->opens = take_window(f, ret_news);
    if (f->outflow)
        f->pcb->dupacks = 0;
}

void outflow_after_input(struct tungo_flow *f, const struct sack_news *news)
{
    struct tcp_pcb *pcb = f->pcb;
    struct outflow *o;

    if (pcb->state < ESTABLISHED)
        return;
    if (!f->outflow_begun)
        begin(f);
    o = f->outflow;
    if (o && news->is_ack) {
        uint64_t now_us = fineclock_us();
        recovery_sent(&o->recovery, pcb->snd_nxt, now_us);
        recovery_ack(&o->recovery, pcb->lastack, news->block, news->n, now_us);
        if (is_closed(f))
            recovery_closed(&o->recovery);
        send_again(o, now_us);
        schedule(o, now_us);
    } else if (!o && news->is_ack) {
        ease_timeouts(f, news->opens);
    }
    bool was_shut = pcb->cwnd < pcb->snd_wnd || o;
    drive(f);
    if (was_shut && pcb->unsent)
        tcp_output(pcb);
}

void outflow_shrunk(struct tungo_flow *f)
{
    struct outflow *o = f->outflow;
    uint64_t now_us;

    if (!o)
        return;
    now_us = fineclock_us();
    recovery_set_mss(&o->recovery, f->mss);
    recovery_all_lost(&o->recovery, now_us);
    send_again(o, now_us);
    schedule(o, now_us);
}

void outflow_end(struct tungo_flow *f)
{
    struct outflow *o = f->outflow;
    struct outflows *w = &f->ns->outflows;

    if (!o)
        return;
    w->stats.probes += o->recovery.count.probes;
    w->stats.timeouts += o->recovery.count.timeouts;
    w->stats.undone += o->recovery.count.undone;
    leave_wheel(o);
    recovery_done(&o->recovery);
    free(o);
    f->outflow = NULL;
}

/* --- time */

/* Another timeout: perhaps it is the length. */
static void suspect_length(struct outflow *o)
{
    if (o->recovery.nxt - o->recovery.una < o->flow->mss)
        return;
    if (o->recovery.backoff == BLACKHOLE_FIRST)
        offload_shrink_mss(o->flow, BLACKHOLE_MTU);
    else if (o->recovery.backoff == BLACKHOLE_SECOND)
        offload_shrink_mss(o->flow, IP4_MTU_LEAST);
}

/* Its slot has come; it is in none. */
static void look_at(struct outflow *o, uint64_t now_us)
{
    struct tungo_flow *f = o->flow;
    uint8_t backoff = o->recovery.backoff;

    if (f->pcb->unacked && !recovery_tick(&o->recovery, now_us)) {
        f->ns->outflows.stats.given_up++;
        flow_kill(f, RC_TIMEOUT);
        return;
    }
    if (o->recovery.backoff > backoff && !is_closed(f))
        suspect_length(o);
    if (f->pcb->unacked)
        send_again(o, now_us);
    congestion_refill(&o->recovery.cc, &o->recovery.rtt, now_us);
    if (f->pcb->unacked || f->blocked_out)
        schedule(o, now_us);
    netstack_mount(f->ns, f);
    drive(f);
    if (f->pcb->unsent)
        tcp_output(f->pcb);
    bool wake = f->blocked_out && netlayer_room(f);
    netstack_unmount(f->ns, f);
    if (wake)
        flow_wake(f);
}

static void on_step(struct timer *timer)
{
    struct outflows *w = LIST_OWNER(timer, struct outflows, timer);
    uint64_t now_us = fineclock_us();
    struct list due;

    w->now = (w->now + 1) % OUTFLOW_SLOTS;
    list_init(&due);
    list_join(&due, &w->slots[w->now]);
    if (w->n)
        (void)timer_start(timer, OUTFLOW_STEP_MS); /* reserved */
    while (!list_is_empty(&due)) {
        struct outflow *o = LIST_OWNER(due.next, struct outflow, in_wheel);
        leave_wheel(o);
        look_at(o, now_us);
    }
}

/* --- how much */

uint32_t outflow_limit(const struct tungo_flow *f)
{
    uint32_t most = f->ns->send_bytes, limit;

    if (!f->outflow)
        return most;
    if (f->outflow->recovery.rtt.smooth_us > LONG_US && f->ns->send_grows)
        most = NETSTACK_BUFFER_MAX;
    limit = recovery_limit(&f->outflow->recovery);
    return limit < most ? limit : most;
}

uint32_t outflow_worth(const struct tungo_flow *f)
{
    uint32_t worth;

    if (!f->outflow)
        return f->raised_mss;
    worth = f->outflow->recovery.cc.cwnd / 8;
    return worth < f->mss ? f->mss : worth < f->raised_mss ? worth : f->raised_mss;
}
