/* The recovery machine with a receiver that lies, or one that does not. Input: what there is, then
 * commands of a byte and two arguments. What an honest receiver has reported is never sent again.
 * Blocks are outside of the window, overlapping, reversed, one byte each; acknowledgements are of
 * what was never sent; pieces get lost. Cumulative acknowledgements are true, so in the end, when
 * the lies and the losses stop, every byte must have arrived, whatever was said before. */
#include "core/rc.h"
#include "listeners/tungo/recovery.h"
#include "listeners/tungo/seq.h"
#include <stdlib.h>
#include <string.h>

enum { BYTES = 12000, MSS = 200 };
static const uint32_t first = 0xffffc000;

static struct recovery r;
static uint8_t got[BYTES];
static uint32_t expected; /* offset: all before has arrived */
static uint64_t now;
static bool honest;
static uint8_t reported[BYTES]; /* by an honest one, and not forgotten by the machine */

static void check(void)
{
    uint32_t at = r.una, bytes = 0, lost = 0;

    BUG_ON(r.holes.n > HOLES_MAX || (!r.holes.n && r.holes.v));
    for (unsigned i = 0; i < r.holes.n; i++) {
        const struct hole *h = &r.holes.v[i];
        BUG_ON(!seq_le(at, h->from) || !seq_lt(h->from, h->to));
        at = h->to;
        bytes += h->to - h->from;
        lost += h->lost ? h->to - h->from : 0;
    }
    BUG_ON(!seq_le(at, r.fack) || !seq_le(r.fack, r.nxt) || !seq_le(r.una, r.fack));
    BUG_ON(bytes != r.holes.bytes || lost != r.holes.lost_bytes);
    BUG_ON(r.cc.cwnd < 2 * r.cc.mss || r.cc.cwnd > CONGESTION_MOST_BYTES);
    BUG_ON(recovery_limit(&r) - (r.nxt - r.una) > r.cc.cwnd);
    BUG_ON((r.una == r.nxt) != (recovery_due(&r) == 0));
}

/* The next byte from `at` on that is `what`; end: none. */
static uint32_t next_that_is(uint8_t what, uint32_t at, uint32_t end)
{
    const uint8_t *found = memchr(got + at, what, end - at);

    return found ? (uint32_t)(found - got) : end;
}

static void arrives(uint32_t seq, uint32_t len)
{
    memset(got + (seq - first), 1, len);
    expected = next_that_is(0, expected, BYTES);
}

/* Sends again what it wants; `keep` of it, by bits, arrives. */
static void resend_all(uint32_t keep)
{
    uint32_t seq, len, before = r.count.resends;

    while (recovery_next(&r, 20 * MSS, &seq, &len)) {
        BUG_ON(!len || !seq_le(r.una, seq) || !seq_le(seq + len, r.nxt));
        BUG_ON(r.count.resends - before > HOLES_MAX + BYTES / 50);
        if (honest && !r.probing)
            BUG_ON(memchr(reported + (seq - first), 1, len));
        if (keep & 1)
            arrives(seq, len);
        keep = keep >> 1 | keep << 31;
        recovery_resent(&r, seq, len, now);
        check();
    }
}

static void send_new(uint32_t n, bool arrive)
{
    uint32_t limit = recovery_limit(&r), under_way = r.nxt - r.una;
    uint32_t room = limit > under_way ? limit - under_way : 0, left = first + BYTES - r.nxt;

    n = n < room ? n : room;
    n = n < left ? n : left;
    if (!n)
        return;
    if (arrive)
        arrives(r.nxt, n);
    recovery_sent(&r, r.nxt + n, now);
}

static void tell_truth(void)
{
    struct sack_block b[3];
    uint32_t end = r.nxt - first;
    unsigned n = 0;

    for (uint32_t i = next_that_is(1, expected, end), to; i < end && n < 3;
         i = next_that_is(1, to, end), n++) {
        to = next_that_is(0, i, end);
        b[n] = (struct sack_block){first + i, first + to};
        memset(reported + i, 1, to - i);
    }
    recovery_ack(&r, first + expected, b, n, now);
}

static bool tick(void)
{
    bool goes_on = recovery_tick(&r, now);

    if (r.backoff > 3) /* what it may have dropped is sent again */
        memset(reported, 0, sizeof reported);
    return goes_on;
}

static void tell_lies(uint8_t what, uint32_t a, uint32_t b)
{
    struct sack_block l[4];
    uint32_t base = what & 4 ? r.fack : what & 8 ? r.nxt : r.una;

    for (unsigned i = 0; i < 4; i++) {
        l[i].from = base + (what & 16 ? a : a % 3000) + i * (what & 32 ? 2 : 700);
        l[i].to = what & 64 ? l[i].from - b : l[i].from + b % 1500;
        if (what & 128)
            l[i] = (struct sack_block){first + a % BYTES, first + a % BYTES + 1 + i};
    }
    recovery_ack(&r, what & 1 ? r.nxt + 1 + a % (1u << 30) : first + expected, l,
                 1 + (what >> 1) % 4, now);
}

static void command(uint8_t what, uint32_t a, uint32_t b)
{
    now += b % 97 * 50;
    switch (what % 8) {
    case 0:
        send_new(a % 20000, what & 8);
        break;
    case 1:
        tell_truth();
        break;
    case 2:
    case 3:
        if (honest)
            tell_truth();
        else
            tell_lies((uint8_t)(a ^ b), a, b);
        break;
    case 4:
        now += a % 400000;
        BUG_ON(recovery_due(&r) && !tick() && r.backoff < 13);
        break;
    case 5:
        resend_all(a);
        break;
    case 6:
        recovery_set_mss(&r, 88 + a % 1400);
        if (b & 1)
            recovery_all_lost(&r, now);
        break;
    default:
        recovery_hurry(&r);
    }
    if (r.cc.cwnd < 2 * r.cc.mss)
        r.cc.cwnd = 2 * r.cc.mss; /* the MSS of a flow never grows */
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    now = 1000000;
    expected = 0;
    honest = data[0] & 2;
    memset(got, 0, sizeof got);
    memset(reported, 0, sizeof reported);
    recovery_init(&r, (enum congestion_kind)(data[0] & 1), MSS, first, now);
    for (data++, n--; n >= 9; data += 9, n -= 9) {
        uint32_t a, b;
        memcpy(&a, data + 1, 4);
        memcpy(&b, data + 5, 4);
        command(data[0], a, b);
    }
    for (unsigned i = 0; r.una != first + (uint32_t)BYTES; i++) {
        BUG_ON(i > 100000);
        now += 5000;
        if (recovery_due(&r) > now)
            now = recovery_due(&r);
        send_new(20000, true);
        tell_truth();
        BUG_ON(!tick() && i > 20);
        resend_all(UINT32_MAX);
        check();
    }
    recovery_done(&r);
    return 0;
}
