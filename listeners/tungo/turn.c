/* listeners/tungo/turn.c - acknowledgements of a batch of packets: what lwIP would say at once is
 * gathered, and told when the turn ends. See netstack.h.
 */
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/ooseq.h"
#include "lwip/priv/tcp_priv.h"

enum {
    GATHER_BLOCKS = LWIP_TCP_MAX_SACK_NUM - 1 /* one acknowledgement can hardly tell of more */
};

static void add_to_turn(struct tungo_flow *f)
{
    if (list_is_empty(&f->in_turn))
        list_append(&f->ns->turn, &f->in_turn);
}

void turn_answer(struct tungo_flow *f)
{
    f->ack_now = true;
    add_to_turn(f);
}

/* An acknowledgement and nothing else? */
static bool is_bare_ack(const struct pbuf *p)
{
    const uint8_t *ip = p->payload, *tcp;

    tcp = ip + (packet_version(ip) == 6 ? IP6_HEADER_BYTES : IP4_HEADER_BYTES);
    return tcp[TCP_AT_FLAGS] == TCPFLAG_ACK && p->tot_len == tcp - ip + (tcp[TCP_AT_DOFF] >> 4) * 4;
}

/* lwIP keeps the blocks that changed last. Would one more push out what was not told yet? */
static bool tells_enough(struct tungo_flow *f)
{
    uint32_t from = f->pcb->rcv_sacks[0].left;

    if (!f->n_untold || from != f->untold_at)
        f->n_untold++;
    f->untold_at = from;
    return f->n_untold >= GATHER_BLOCKS;
}

void turn_ack(struct tungo_flow *f)
{
    f->ack_due = true;
    add_to_turn(f);
}

/* From a client that understands SACK lwIP answers each segment around a gap, which costs a write
 * and the client's work for it inside of that write: one answer for several. Linux gathers as well
 * (tcp(7), tcp_comp_sack_nr). */
bool turn_may_gather(const struct tungo_flow *f, const struct packet *p)
{
    return (f->pcb->flags & TF_SACK) && ooseq_is_near_gap(f, p);
}

void turn_gather(struct tungo_flow *f)
{
    f->ns->gathering = f;
    turn_answer(f);
}

bool turn_keeps(struct tungo_flow *f, const struct pbuf *p)
{
    if (f == f->ns->gathering && is_bare_ack(p) && !tells_enough(f)) {
        turn_answer(f); /* one with what else the batch brings will say more */
        return true;
    }
    f->n_untold = 0;
    return false;
}

/* --- its end */

static void turn_flow(struct tungo_flow *f)
{
    struct netstack *ns = f->ns;

    if (!f->pcb)
        return;
    if (f->ack_now) {
        f->ack_now = f->ack_due = false;
        netstack_mount(ns, f);
        tcp_send_empty_ack(f->pcb);
        netstack_unmount(ns, f);
        return;
    }
    if (!f->ack_due)
        return;
    f->ack_due = false;
    uint32_t due = f->pcb->rcv_nxt - f->acked_to;
    if (due >= 2u * f->mss) {
        netstack_mount(ns, f);
        netstack_ack(f);
        netstack_unmount(ns, f);
    } else if (due) {
        ticks_add_ack(f); /* the answer may carry it */
    }
}

static void on_turn_end(struct job *job)
{
    struct netstack *ns = LIST_OWNER(job, struct netstack, turn_end);

    while (!list_is_empty(&ns->turn)) {
        struct tungo_flow *f = LIST_OWNER(ns->turn.next, struct tungo_flow, in_turn);
        list_remove(&f->in_turn);
        turn_flow(f);
    }
}

void netstack_batch_end(struct netstack *ns)
{
    if (!list_is_empty(&ns->turn))
        job_post(ns->loop, &ns->turn_end);
}

void turn_init(struct netstack *ns)
{
    list_init(&ns->turn);
    job_init(&ns->turn_end, on_turn_end);
}

void turn_done(struct netstack *ns)
{
    job_cancel(&ns->turn_end);
}
