/* listeners/tungo/ticks.c - the 50 ms tick: acknowledgements that found no answer to ride on, and
 * lwIP's slow timer for the flows that need it. See netstack.h.
 *
 * The timer runs only while one of the two lists has somebody, so an idle device wakes nobody. lwIP
 * sees a chain of just those pcbs; 50,000 idle flows cost nothing.
 */
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "lwip/priv/tcp_priv.h"

_Static_assert(TCP_TMR_INTERVAL == NETSTACK_TICK_MS, "one tick");

static void on_tick(struct timer *timer);

bool ticks_init(struct netstack *ns)
{
    list_init(&ns->ticks);
    list_init(&ns->acks);
    timer_init(ns->loop, &ns->tick, on_tick);
    return timer_reserve(&ns->tick);
}

void ticks_done(struct netstack *ns)
{
    timer_release(&ns->tick);
}

static void need_tick(struct netstack *ns)
{
    if (!timer_is_running(&ns->tick))
        (void)timer_start(&ns->tick, NETSTACK_TICK_MS); /* reserved */
}

void ticks_add_ack(struct tungo_flow *f)
{
    if (list_is_empty(&f->in_acks))
        list_append(&f->ns->acks, &f->in_acks);
    need_tick(f->ns);
}

void ticks_add_slow(struct tungo_flow *f)
{
    if (list_is_empty(&f->in_ticks))
        list_append(&f->ns->ticks, &f->in_ticks);
    need_tick(f->ns);
}

bool ticks_are_needed(const struct tungo_flow *f)
{
    const struct tcp_pcb *pcb = f->pcb;

    if (pcb->unsent || pcb->unacked || pcb->ooseq || pcb->refused_data || f->tx.waiting ||
        pcb->persist_backoff || (pcb->flags & TF_CLOSEPEND) || (f->shut_wanted && !f->shut_done))
        return true;
    switch (pcb->state) {
    case ESTABLISHED:
    case CLOSE_WAIT:
        return false;
    case FIN_WAIT_2: /* has a deadline only when nobody reads any more */
        return (pcb->flags & TF_RXCLOSED) != 0;
    default:
        return true;
    }
}

static void run_acks(struct netstack *ns)
{
    struct list due;

    list_init(&due);
    list_join(&due, &ns->acks);
    while (!list_is_empty(&due)) {
        struct tungo_flow *f = LIST_OWNER(due.next, struct tungo_flow, in_acks);
        list_remove(&f->in_acks);
        if (!f->pcb)
            continue;
        netstack_mount(ns, f);
        netstack_ack(f);
        netstack_unmount(ns, f);
    }
}

/* What is ours to try again, and the end of the turn for a flow that was in the chain. */
static void after_slow(struct tungo_flow *f)
{
    netstack_mount(f->ns, f);
    if (f->pcb) {
        if (f->pcb->flags & TF_CLOSEPEND) {
            tcp_clear_flags(f->pcb, TF_CLOSEPEND);
            f->shut_done = false;
        }
        if (f->tx.waiting || (f->shut_wanted && !f->shut_done))
            netstack_push(f);
    }
    netstack_unmount(f->ns, f); /* puts it back on the list if it still needs the tick */
}

static void run_slow(struct netstack *ns)
{
    struct tcp_pcb *chain = NULL;
    struct list now;

    list_init(&now);
    list_join(&now, &ns->ticks);
    for (struct list *e = now.next; e != &now; e = e->next) {
        struct tungo_flow *f = LIST_OWNER(e, struct tungo_flow, in_ticks);
        if (f->pcb) {
            f->pcb->next = chain;
            chain = f->pcb;
        }
    }
    netstack_mount(ns, NULL);
    tcp_active_pcbs = chain;
    tcp_ticks--; /* tcp_slowtmr() counts; the clock is mount's */
    tcp_slowtmr();
    tcp_active_pcbs = NULL;
    netstack_unmount(ns, NULL);
    while (!list_is_empty(&now)) {
        struct tungo_flow *f = LIST_OWNER(now.next, struct tungo_flow, in_ticks);
        list_remove(&f->in_ticks);
        after_slow(f);
    }
}

static void on_tick(struct timer *timer)
{
    struct netstack *ns = LIST_OWNER(timer, struct netstack, tick);

    run_acks(ns);
    if (++ns->n_ticks % 2 == 0)
        run_slow(ns);
    if (!list_is_empty(&ns->ticks) || !list_is_empty(&ns->acks))
        need_tick(ns);
}
