/* listeners/tungo/syn.c - see syn.h. */
#include "listeners/tungo/syn.h"
#include "core/stream.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/room.h"
#include <stdlib.h>

/* --- the lot */

static void on_deadline(struct timer *timer);

bool parking_init(struct netstack *ns)
{
    list_init(&ns->parking.lot);
    timer_init(ns->loop, &ns->parking.deadline, on_deadline);
    ns->parking.wait_ms = PARKED_MS;
    return timer_reserve(&ns->parking.deadline);
}

static struct tungo_flow *longest_parked(struct netstack *ns)
{
    return LIST_OWNER(ns->parking.lot.next, struct parked, in_lot)->flow;
}

void parking_done(struct netstack *ns)
{
    while (!list_is_empty(&ns->parking.lot))
        parking_gone(longest_parked(ns));
    timer_release(&ns->parking.deadline);
}

/* Takes f out of the lot; its SYN is the caller's. */
static struct parked *unpark(struct tungo_flow *f)
{
    struct parked *k = f->parked;
    struct parking *lot = &f->ns->parking;

    list_remove(&k->in_lot);
    list_remove(&k->of_source);
    f->source->n_parked--;
    if (--lot->n == 0)
        timer_stop(&lot->deadline);
    f->parked = NULL;
    return k;
}

void parking_gone(struct tungo_flow *f)
{
    struct tungo *t = f->ns->tungo;

    /* still parked while the handler hears of it: it reads its own pointer */
    if (t->events.on_flow_gone)
        t->events.on_flow_gone(t->events.arg, f);
    free(unpark(f));
    flow_end(f);
}

static void arm(struct netstack *ns)
{
    uint64_t now = loop_now_ms(ns->loop);
    const struct parked *k = longest_parked(ns)->parked;

    /* reserved */
    (void)timer_start(&ns->parking.deadline, k->due_ms > now ? k->due_ms - now : 0);
}

/* A dial that has no end of its own: the client hears "host unreachable". */
static void on_deadline(struct timer *timer)
{
    struct parking *lot = LIST_OWNER(timer, struct parking, deadline);
    struct netstack *ns = LIST_OWNER(lot, struct netstack, parking);
    uint64_t now = loop_now_ms(ns->loop);

    while (!list_is_empty(&lot->lot)) {
        struct tungo_flow *f = longest_parked(ns);
        if (f->parked->due_ms > now) {
            arm(ns);
            return;
        }
        icmp_refuse(&ns->tungo->icmp, f->parked->syn, f->parked->n, RC_TIMEOUT, now);
        parking_gone(f);
    }
}

/* The headers of a SYN, what follows cut off: the length field says so too. Whole checksums: an
 * ICMP error will quote it, and the kernel's own SYNs come without. */
static bool store(struct parked *k, const struct packet *p)
{
    size_t n = p->payload;

    if (n > sizeof k->syn)
        return false;
    memcpy(k->syn, p->ip, n);
    if (packet_version(k->syn) == 6)
        packet_wr16(k->syn + IP6_AT_PAYLOAD, (unsigned)(n - IP6_HEADER_BYTES));
    else
        packet_wr16(k->syn + IP4_AT_TOTAL, (unsigned)n);
    packet_complete(k->syn, p->l4, n, IPPROTO_TCP);
    k->n = (uint16_t)n;
    k->l4 = p->l4;
    k->seq = packet_rd32(p->ip + p->l4 + TCP_AT_SEQ);
    return true;
}

void parking_add(struct netstack *ns, const struct packet *p)
{
    struct tungo *t = ns->tungo;
    struct parking *lot = &ns->parking;
    struct flow_key key = flow_key_of(&p->src, &p->dst);
    struct parked *k;
    struct tungo_flow *f;

    if (!t->events.on_flow)
        return;
    k = calloc(1, sizeof *k);
    if (!k || !store(k, p) || !(f = flow_new(ns, &key))) {
        ns->stats.no_memory++;
        free(k); /* the client asks again */
        return;
    }
    room_for_parked(ns, f->source);
    k->flow = f;
    k->client = p->src;
    k->target = p->dst;
    k->due_ms = loop_now_ms(ns->loop) + lot->wait_ms;
    f->parked = k;
    list_append(&lot->lot, &k->in_lot);
    list_init(&k->of_source);
    list_append(&f->source->parked, &k->of_source);
    f->source->n_parked++;
    if (lot->n++ == 0)
        arm(ns);
    t->events.on_flow(t->events.arg, f);
}

void parking_packet(struct tungo_flow *f, const struct packet *p)
{
    const struct parked *k = f->parked;
    uint32_t seq = packet_rd32(p->ip + p->l4 + TCP_AT_SEQ);

    if (p->tcp_flags & TCPFLAG_RST) {
        if (seq - k->seq <= 1)
            parking_gone(f);
    } else if ((p->tcp_flags & (TCPFLAG_SYN | TCPFLAG_ACK)) == TCPFLAG_SYN && seq != k->seq) {
        /* the client gave the first attempt up and uses the port again */
        struct netstack *ns = f->ns;
        parking_gone(f);
        parking_add(ns, p);
    }
}

/* --- the handler's side (tungo.h) */

const struct addr *tungo_flow_client(const struct tungo_flow *f)
{
    return &f->parked->client;
}

const struct addr *tungo_flow_target(const struct tungo_flow *f)
{
    return &f->parked->target;
}

void tungo_flow_set_user(struct tungo_flow *f, void *user)
{
    f->parked->user = user;
}

void *tungo_flow_user(const struct tungo_flow *f)
{
    return f->parked->user;
}

struct stream *tungo_flow_accept(struct tungo_flow *f)
{
    struct netstack *ns = f->ns;
    struct stream *s = stream_new(ns->loop);
    struct layer *l = s ? netlayer_new(f) : NULL;
    struct parked *k;

    if (!l) {
        stream_close(s);
        tungo_flow_refuse(f, RC_NOMEM);
        return NULL;
    }
    k = unpark(f);
    f->state = FLOW_LIVE;
    stream_push(s, l);
    idle_add(f);
    netstack_give_syn(ns, f, k, false);
    free(k);
    return s; /* without a pcb its open() fails */
}

static bool is_reset(enum rc why)
{
    switch (why) {
    case RC_UNREACH_NET:
    case RC_UNREACH_HOST:
    case RC_NAME:
    case RC_TIMEOUT:
    case RC_DENIED:
        return false;
    default:
        return true;
    }
}

void tungo_flow_refuse(struct tungo_flow *f, enum rc why)
{
    struct netstack *ns = f->ns;
    struct parked *k = unpark(f);

    ns->stats.refused++;
    flow_end(f);
    if (is_reset(why))
        netstack_give_syn(ns, NULL, k, true);
    else
        icmp_refuse(&ns->tungo->icmp, k->syn, k->n, why, loop_now_ms(ns->loop));
    free(k);
}
