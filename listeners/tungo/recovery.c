/* listeners/tungo/recovery.c - see recovery.h. */
#include "listeners/tungo/recovery.h"
#include "listeners/tungo/seq.h"
#include <string.h>

enum {
    REORDER_MSS = 3, /* reported above a hole, so much means that it is lost */
    REORDER_LEAST_US = 100,
    REORDER_MOST = 16,        /* quarters of a round trip */
    REORDER_CALM = 16,        /* so many episodes without a double make the window small again */
    EARLY_US = 5000,          /* with a quarter round trip: what a small hole at the end waits */
    AGAIN_US = 10000,         /* with two round trips: when a resend is taken for lost */
    PROBE_US = 10000,         /* with two round trips */
    PROBE_ALONE_US = 60000,   /* a single segment's acknowledgement may be put off */
    PROBE_FIRST_US = 1000000, /* the round trip is not known yet */
    TIMEOUT_LEAST_US = 200000,
    TIMEOUT_MOST_US = 60000000,
    TIMEOUTS_MOST = 13, /* tries without any progress, the probe included */
    FORGETS_MOST = 16,  /* a client that reports the same again each time, and never more */
    FORGET_AT = 4,      /* the third timeout */
    CLOSED_BACKOFF = 7, /* a closed window is asked for every 13 s */
    POLL_US = 5000,     /* while there are holes */
};

/* --- what is where */

/* On its way, as far as we know. */
static uint32_t flight(const struct recovery *r)
{
    return r->nxt - r->fack + r->holes.bytes - r->holes.lost_bytes;
}

uint32_t recovery_limit(const struct recovery *r)
{
    uint32_t on_way = flight(r), room = r->cc.cwnd > on_way ? r->cc.cwnd - on_way : 0;

    return r->nxt - r->una + (room < r->cc.credit ? room : r->cc.credit);
}

bool recovery_is_paced(const struct recovery *r)
{
    uint32_t on_way = flight(r), room = r->cc.cwnd > on_way ? r->cc.cwnd - on_way : 0;

    return r->cc.credit < room && r->cc.credit < CONGESTION_BURST_BYTES;
}

void recovery_init(struct recovery *r, enum congestion_kind kind, uint32_t mss, uint32_t una,
                   uint64_t now_us)
{
    *r = (struct recovery){.una = una,
                           .fack = una,
                           .nxt = una,
                           .round_end = una,
                           .mss = mss,
                           .widened_at = una,
                           .news_us = now_us};
    congestion_init(&r->cc, kind, mss);
}

void recovery_done(struct recovery *r)
{
    holes_forget(&r->holes);
}

void recovery_set_mss(struct recovery *r, uint32_t mss)
{
    r->mss = r->cc.mss = mss;
}

/* --- sending */

static void time_it(struct recovery *r, uint32_t seq, uint64_t now_us)
{
    unsigned n = r->n_timed;

    if (n == RECOVERY_TIMED ||
        (n && now_us - r->timed[n - 1].at_us < r->rtt.smooth_us / RECOVERY_TIMED))
        return;
    r->timed[n].seq = seq;
    r->timed[n].at_us = now_us;
    r->n_timed++;
}

void recovery_sent(struct recovery *r, uint32_t nxt, uint64_t now_us)
{
    if (!seq_lt(r->nxt, nxt))
        return;
    if (r->nxt == r->una)
        r->news_us = now_us;
    congestion_refill(&r->cc, &r->rtt, now_us);
    congestion_spend(&r->cc, nxt - r->nxt);
    time_it(r, seq_min(nxt, r->nxt + r->mss), now_us); /* the first piece: others wait for it */
    r->nxt = nxt;
    r->sent_us = now_us;
}

bool recovery_next(const struct recovery *r, uint32_t max, uint32_t *ret_seq, uint32_t *ret_len)
{
    uint32_t on_way = flight(r), room = r->cc.cwnd > on_way ? r->cc.cwnd - on_way : 0;
    unsigned i = 0;

    if (r->probing) {
        *ret_seq = r->probe_from;
        *ret_len = r->probe_to - r->probe_from;
        return true;
    }
    if (!r->holes.lost_bytes)
        return false;
    if (room > r->cc.credit)
        room = r->cc.credit;
    if (room > max)
        room = max;
    if (room < r->mss) {
        if (!r->force)
            return false;
        room = r->mss;
    }
    while (!r->holes.v[i].lost)
        i++;
    const struct hole *h = &r->holes.v[i];
    *ret_seq = h->from;
    *ret_len = h->to - h->from;
    if (*ret_len > room)
        *ret_len = room - room % r->mss;
    return true;
}

void recovery_resent(struct recovery *r, uint32_t seq, uint32_t len, uint64_t now_us)
{
    int i = holes_find(&r->holes, seq);

    congestion_spend(&r->cc, len);
    r->count.resends++;
    if (r->probing && seq == r->probe_from) {
        r->probing = false;
        r->sent_us = now_us;
        if (i < 0)
            return;
    }
    r->force = false;
    if (i < 0)
        return;
    if (len && len < r->holes.v[i].to - seq)
        (void)holes_split(&r->holes, (unsigned)i, seq + len); /* no room: as if all were sent */
    struct hole *h = &r->holes.v[i];
    holes_set_lost(&r->holes, (unsigned)i, false);
    if (h->tries < UINT8_MAX)
        h->tries++;
    h->at_us = now_us;
    h->mark = r->nxt;
    r->undo_bytes += h->to - h->from;
}

/* --- reports of the client */

/* Packets overtake each other by so much time, at least. */
static void see_reordering(struct recovery *r, uint64_t us)
{
    uint64_t quarters = r->rtt.least_us ? us * 5 / r->rtt.least_us + 1 : 1;

    if (quarters > REORDER_MOST)
        quarters = REORDER_MOST;
    if (r->reordering < quarters)
        r->reordering = (uint8_t)quarters;
}

/* Sent again and not lost: more patience, once per round trip. */
static void widen(struct recovery *r)
{
    r->calm = 0;
    if (seq_lt(r->una, r->widened_at))
        return;
    r->widened_at = r->nxt;
    if (r->reordering < REORDER_MOST)
        r->reordering++;
}

/* The client has got something twice: we were too quick. */
static void on_double(struct recovery *r, const struct sack_block *b)
{
    uint32_t n = b->to - b->from;

    if (seq_lt(b->from, r->probe_to) && seq_lt(r->probe_from, b->to)) {
        r->probe_from = r->probe_to = r->una; /* the probe: only the acknowledgement was late */
        r->probing = false;                   /* also one that waits: nothing of it is left */
        return;
    }
    if (!r->undo_bytes || seq_lt(b->from, r->undo_from))
        return;
    widen(r);
    r->undo_bytes -= n < r->undo_bytes ? n : r->undo_bytes;
    if (!r->undo_bytes && r->cut) {
        congestion_undo(&r->cc);
        r->cut = false;
        r->count.undone++;
    }
}

/* RFC 2883: below the acknowledgement, or inside of the second block. */
static bool is_double(const struct recovery *r, const struct sack_block *b, unsigned n,
                      uint32_t ack)
{
    if (n == 0 || !seq_lt(b[0].from, b[0].to) || seq_lt(r->nxt, b[0].to))
        return false;
    return seq_le(b[0].to, ack) ||
           (n > 1 && seq_le(b[1].from, b[0].from) && seq_le(b[0].to, b[1].to));
}

static void on_filled(struct recovery *r, const struct holes_news *news, uint64_t now_us)
{
    if (news->late_us)
        see_reordering(r, now_us - news->late_us);
    if (!news->resent_us)
        return;
    if (now_us - news->resent_us < r->rtt.least_us - r->rtt.least_us / 8)
        widen(r); /* quicker than any round trip: it was the first one that arrived */
    else if (news->resent_us > r->resent_us)
        r->resent_us = news->resent_us;
}

/* true: it told something new. */
static bool take_block(struct recovery *r, const struct sack_block *b, uint64_t now_us)
{
    uint32_t from = seq_max(b->from, r->una);
    struct holes_news news = {0};
    bool is_new = false;

    if (!seq_lt(b->from, b->to) || seq_le(b->to, r->una) || seq_lt(r->nxt, b->to))
        return false;
    if (seq_lt(r->fack, b->to)) {
        if (seq_lt(r->fack, from) && !holes_add(&r->holes, r->fack, from, now_us))
            return false; /* too many: it will be reported again */
        if (seq_lt(from, r->fack))
            holes_clear(&r->holes, from, r->fack, &news);
        r->fack = b->to;
        is_new = true;
    } else {
        holes_clear(&r->holes, from, b->to, &news);
    }
    if (news.any)
        on_filled(r, &news, now_us);
    return is_new || news.any;
}

static void measure(struct recovery *r, uint64_t now_us)
{
    while (r->n_timed && seq_le(r->timed[0].seq, r->fack)) {
        uint32_t seq = r->timed[0].seq;
        if (seq_le(seq, r->una) || !holes_have(&r->holes, seq - 1)) {
            rtt_add(&r->rtt, now_us - r->timed[0].at_us);
            congestion_on_rtt(&r->cc, &r->rtt);
        }
        memmove(r->timed, r->timed + 1, --r->n_timed * sizeof *r->timed);
    }
}

/* --- loss */

static uint64_t reorder_us(const struct recovery *r)
{
    uint64_t us = r->rtt.least_us / 4 * (r->reordering ? r->reordering : 1);

    if (us > r->rtt.smooth_us)
        us = r->rtt.smooth_us;
    return us > REORDER_LEAST_US ? us : REORDER_LEAST_US;
}

static bool is_lost(const struct recovery *r, const struct hole *h, uint64_t now_us, bool tick)
{
    uint64_t age = now_us - h->at_us, patience = reorder_us(r), early;

    if (h->tries) {
        if (r->resent_us > h->at_us + patience)
            return true;
        if (seq_le(h->mark + REORDER_MSS * r->mss, r->fack) &&
            age > r->rtt.least_us + (r->reordering ? patience : 0))
            return true;
        /* when nobody answers at all, the timeout's patience counts */
        return tick && !r->backoff && age > 2 * r->rtt.smooth_us + AGAIN_US;
    }
    early = r->rtt.smooth_us / 4 + EARLY_US;
    if (tick && age > (early > patience ? early : patience))
        return true;
    return seq_le(h->to + REORDER_MSS * r->mss, r->fack) && (!r->reordering || age >= patience);
}

static void begin_episode(struct recovery *r, bool cut)
{
    r->in_episode = true;
    r->end = r->nxt;
    r->lost_bytes = 0;
    r->undo_from = r->una;
    r->undo_bytes = 0;
    r->cut = cut;
    r->count.episodes++;
    if (r->calm < REORDER_CALM && ++r->calm == REORDER_CALM && r->reordering > 1)
        r->reordering = 1;
}

static void mark_lost(struct recovery *r, uint64_t now_us, bool tick)
{
    uint32_t before = r->nxt - r->una, lost = 0;

    for (unsigned i = 0; i < r->holes.n; i++) {
        struct hole *h = &r->holes.v[i];
        if (h->lost || !is_lost(r, h, now_us, tick))
            continue;
        holes_set_lost(&r->holes, i, true);
        lost += h->to - h->from;
    }
    if (!lost)
        return;
    if (!r->in_episode)
        begin_episode(r, false);
    r->lost_bytes += lost;
    if (!r->cut &&
        congestion_heeds_loss(&r->cc, &r->rtt, lost, r->lost_bytes, r->nxt - r->undo_from)) {
        r->end = r->nxt;
        r->cut = true;
        congestion_cut(&r->cc, before);
    }
}

void recovery_ack(struct recovery *r, uint32_t ack, const struct sack_block *block, unsigned n,
                  uint64_t now_us)
{
    uint32_t before = flight(r), known = r->fack - r->holes.bytes, arrived;
    bool is_new = false;

    if (is_double(r, block, n, ack))
        on_double(r, block);
    if (seq_lt(r->una, ack) && seq_le(ack, r->nxt)) {
        struct holes_news news = {0};
        holes_clear(&r->holes, r->una, ack, &news);
        if (news.any)
            on_filled(r, &news, now_us);
        r->forgot = 0;
        r->una = ack;
        r->fack = seq_max(r->fack, ack);
        is_new = true;
    }
    for (unsigned i = 0; i < n; i++)
        is_new = take_block(r, &block[i], now_us) || is_new;
    measure(r, now_us);
    arrived = r->fack - r->holes.bytes - known;
    if (is_new) {
        r->news_us = now_us;
        r->backoff = 0;
        r->probing = false;
        r->force = true;
    }
    if (r->in_episode && seq_le(r->end, r->una))
        r->in_episode = false;
    if (seq_le(r->round_end, r->fack)) {
        r->cc.round++;
        r->round_end = r->nxt;
    }
    if (r->holes.n)
        mark_lost(r, now_us, false);
    if (arrived)
        congestion_on_arrived(&r->cc, arrived, !(r->in_episode && r->cut), &r->rtt);
    if (arrived && !(r->in_episode && r->cut && r->cc.cwnd >= r->cc.ssthresh))
        congestion_on_ack(&r->cc, arrived, before, &r->rtt, now_us);
    congestion_refill(&r->cc, &r->rtt, now_us);
}

/* --- time */

static uint64_t timeout_us(const struct recovery *r)
{
    uint64_t us = r->rtt.smooth_us + 4 * r->rtt.var_us;

    if (us < TIMEOUT_LEAST_US)
        us = TIMEOUT_LEAST_US;
    if (!r->rtt.smooth_us && us < PROBE_FIRST_US)
        us = PROBE_FIRST_US;
    if (r->backoff > 1)
        us <<= r->backoff - 1;
    return us < TIMEOUT_MOST_US ? us : TIMEOUT_MOST_US;
}

/* When nobody says anything. */
static uint64_t silence_due(const struct recovery *r)
{
    uint64_t since = r->sent_us > r->news_us ? r->sent_us : r->news_us, probe, most;

    if (r->backoff)
        return r->news_us + timeout_us(r);
    if (!r->rtt.smooth_us)
        return since + PROBE_FIRST_US;
    probe = 2 * r->rtt.smooth_us + (r->nxt - r->una <= r->mss ? PROBE_ALONE_US : PROBE_US);
    most = timeout_us(r);
    if (most < probe)
        most = probe;
    return since + probe < r->news_us + most ? since + probe : r->news_us + most;
}

uint64_t recovery_due(const struct recovery *r)
{
    uint64_t due, poll = r->news_us > r->sent_us ? r->news_us : r->sent_us;

    if (r->una == r->nxt)
        return 0;
    due = silence_due(r);
    if (!r->holes.n)
        return due;
    poll += POLL_US; /* in the past by then: the next step of the timer */
    return poll < due ? poll : due;
}

static void probe(struct recovery *r)
{
    uint32_t n = r->nxt - r->una;

    r->count.probes++;
    r->n_timed = 0;
    if (r->holes.n) {
        holes_set_lost(&r->holes, 0, true);
        r->force = true;
        return;
    }
    r->probe_to = r->nxt;
    r->probe_from = r->nxt - (n < r->mss ? n : r->mss);
    r->probing = true;
}

/* Everything that was not reported is lost. */
static void lose_all(struct recovery *r, uint64_t now_us)
{
    if (seq_lt(r->fack, r->nxt) && !holes_add(&r->holes, r->fack, r->nxt, now_us)) {
        holes_forget(&r->holes); /* too many: all is sent again */
        if (!holes_add(&r->holes, r->una, r->nxt, now_us))
            return; /* no memory: the next timeout tries again */
    }
    r->fack = r->nxt;
    for (unsigned i = 0; i < r->holes.n; i++)
        holes_set_lost(&r->holes, i, true);
    r->n_timed = 0;
    r->force = true;
}

static void on_timeout(struct recovery *r, uint64_t now_us)
{
    uint32_t before = r->nxt - r->una;

    r->count.timeouts++;
    if (r->backoff >= FORGET_AT) {
        holes_forget(&r->holes);
        r->fack = r->una;
        r->forgot++;
    }
    if (!r->in_episode || !r->cut) {
        begin_episode(r, true);
        congestion_timeout(&r->cc, before);
    }
    r->cc.cwnd = 2 * r->mss;
    r->end = r->nxt;
    r->probing = false;
    lose_all(r, now_us);
}

bool recovery_tick(struct recovery *r, uint64_t now_us)
{
    if (r->una == r->nxt)
        return true;
    congestion_refill(&r->cc, &r->rtt, now_us);
    if (r->holes.n)
        mark_lost(r, now_us, true);
    if (now_us < silence_due(r))
        return true;
    if (r->backoff >= TIMEOUTS_MOST || r->forgot >= FORGETS_MOST)
        return false;
    r->backoff++;
    r->news_us = now_us;
    if (r->backoff == 1)
        probe(r);
    else
        on_timeout(r, now_us);
    return true;
}

void recovery_hurry(struct recovery *r)
{
    if (r->backoff < 2 || r->una == r->nxt)
        return;
    r->backoff = 1;
    if (r->holes.n)
        holes_set_lost(&r->holes, 0, true);
    r->force = true;
}

void recovery_closed(struct recovery *r)
{
    if (r->backoff > CLOSED_BACKOFF)
        r->backoff = CLOSED_BACKOFF;
    r->forgot = 0;
}

void recovery_all_lost(struct recovery *r, uint64_t now_us)
{
    if (r->una == r->nxt)
        return;
    lose_all(r, now_us);
    if (!r->in_episode)
        begin_episode(r, false);
    r->end = r->nxt;
}
