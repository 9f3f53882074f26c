/* listeners/tungo/idle.c - see idle.h. */
#include "listeners/tungo/idle.h"
#include "listeners/tungo/netstack.h"
#include "lwip/priv/tcp_priv.h"

static void on_step(struct timer *timer);

bool idle_init(struct netstack *ns)
{
    struct idle *w = &ns->idle;

    for (int i = 0; i < IDLE_SLOTS; i++)
        list_init(&w->slots[i]);
    timer_init(ns->loop, &w->timer, on_step);
    return timer_reserve(&w->timer);
}

void idle_done(struct netstack *ns)
{
    timer_release(&ns->idle.timer);
}

/* Puts f where the wheel comes by in delay_ms, one step earlier at most. */
static void place(struct tungo_flow *f, uint64_t delay_ms)
{
    struct idle *w = &f->ns->idle;
    uint64_t steps = (delay_ms + IDLE_STEP_MS - 1) / IDLE_STEP_MS;

    if (steps == 0)
        steps = 1;
    if (steps > IDLE_SLOTS - 1)
        steps = IDLE_SLOTS - 1;
    list_append(&w->slots[(w->now + steps) % IDLE_SLOTS], &f->in_wheel);
}

void idle_add(struct tungo_flow *f)
{
    struct idle *w = &f->ns->idle;

    w->n++;
    place(f, IDLE_SILENCE_MS);
    if (!timer_is_running(&w->timer))
        (void)timer_start(&w->timer, IDLE_STEP_MS); /* reserved */
}

void idle_remove(struct tungo_flow *f)
{
    if (list_is_empty(&f->in_wheel))
        return;
    list_remove(&f->in_wheel);
    if (--f->ns->idle.n == 0)
        timer_stop(&f->ns->idle.timer);
}

void idle_orphan(struct tungo_flow *f)
{
    if (list_is_empty(&f->in_wheel))
        return;
    list_remove(&f->in_wheel);
    f->closed_ms = loop_now_ms(f->ns->loop);
    f->closed_ack = f->pcb ? f->pcb->lastack : 0;
    place(f, IDLE_ORPHAN_MS);
}

static void probe(struct tungo_flow *f)
{
    f->probes++;
    netstack_mount(f->ns, f);
    (void)tcp_keepalive(f->pcb); /* no memory: this probe counts as lost */
    netstack_unmount(f->ns, f);
}

/* A closed window that is probed for ever would be a sign of life too: only progress counts. */
static void look_at_orphan(struct tungo_flow *f, uint64_t now)
{
    if (f->pcb && f->pcb->lastack != f->closed_ack) {
        f->closed_ack = f->pcb->lastack;
        f->closed_ms = now;
    } else if (now - f->closed_ms >= IDLE_ORPHAN_MS) {
        flow_kill(f, RC_TIMEOUT);
    }
}

/* f came by and is in no slot. Puts it back, or ends it. */
static void look(struct tungo_flow *f, uint64_t now)
{
    uint64_t silent = now - f->heard_ms;
    struct netstack *ns = f->ns;

    if (!f->layer) {
        place(f, IDLE_ORPHAN_MS);
        look_at_orphan(f, now);
        return;
    }
    if (silent < IDLE_SILENCE_MS) {
        place(f, IDLE_SILENCE_MS - silent);
        return;
    }
    place(f, IDLE_PROBE_MS);
    if (f->probes >= IDLE_PROBES) {
        ns->stats.keepalive_ends++;
        flow_kill(f, RC_TIMEOUT);
    } else {
        probe(f);
    }
}

static void on_step(struct timer *timer)
{
    struct idle *w = LIST_OWNER(timer, struct idle, timer);
    struct netstack *ns = LIST_OWNER(w, struct netstack, idle);
    struct list due;

    list_init(&due);
    w->now = (w->now + 1) % IDLE_SLOTS;
    list_join(&due, &w->slots[w->now]);
    while (!list_is_empty(&due)) {
        struct tungo_flow *f = LIST_OWNER(due.next, struct tungo_flow, in_wheel);
        list_remove(&f->in_wheel);
        look(f, loop_now_ms(ns->loop));
    }
    if (w->n)
        (void)timer_start(timer, IDLE_STEP_MS); /* reserved */
}
