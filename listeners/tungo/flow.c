/* listeners/tungo/flow.c - see flow.h. */
#include "listeners/tungo/flow.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/outflow.h"
#include "listeners/tungo/source.h"
#include "lwip/priv/tcp_priv.h"
#include <stdlib.h>

struct tungo_flow *flow_find(struct netstack *ns, const struct flow_key *key)
{
    struct flowtab_entry *e = flowtab_find(&ns->table, key);

    return e ? LIST_OWNER(e, struct tungo_flow, entry) : NULL;
}

struct tungo_flow *flow_new(struct netstack *ns, const struct flow_key *key)
{
    struct tungo_flow *f = calloc(1, sizeof *f);
    struct addr client;

    if (!f)
        return NULL;
    f->ns = ns;
    f->state = FLOW_PARKED;
    f->entry.key = *key;
    f->heard_ms = loop_now_ms(ns->loop);
    client = flow_client(f);
    f->source = f->rx.source = f->tx.source = source_get(&ns->sources, &client);
    if (!f->source) {
        free(f);
        return NULL;
    }
    list_init(&f->in_turn);
    list_init(&f->in_ticks);
    list_init(&f->in_acks);
    list_init(&f->in_wheel);
    flowtab_add(&ns->table, &f->entry);
    list_init(&f->of_source);
    list_append(&f->source->by_use, &f->of_source);
    list_init(&f->half_open);
    list_append(&ns->half_open, &f->half_open);
    f->in_table = true;
    ns->stats.flows++;
    return f;
}

static struct addr key_addr(uint32_t family, const uint8_t ip[16], uint16_t port)
{
    return family == AF_INET ? addr_v4(ip, port) : addr_v6(ip, port);
}

struct addr flow_client(const struct tungo_flow *f)
{
    const struct flow_key *k = &f->entry.key;

    return key_addr(k->family, k->client, k->client_port);
}

struct addr flow_target(const struct tungo_flow *f)
{
    const struct flow_key *k = &f->entry.key;

    return key_addr(k->family, k->target, k->target_port);
}

static void leave_table(struct tungo_flow *f)
{
    if (f->in_table)
        flowtab_remove(&f->ns->table, &f->entry);
    list_remove(&f->of_source);
    list_remove(&f->half_open);
    f->in_table = false;
}

void flow_used(struct tungo_flow *f)
{
    flowtab_used(&f->ns->table, &f->entry);
    list_remove(&f->of_source);
    list_append(&f->source->by_use, &f->of_source);
}

void flow_end(struct tungo_flow *f)
{
    f->state = FLOW_DEAD;
    leave_table(f);
    list_remove(&f->in_turn);
    list_remove(&f->in_ticks);
    list_remove(&f->in_acks);
    idle_remove(f);
    recvq_clear(&f->rx);
    sendq_clear(&f->tx, &f->ns->blocks);
    source_put(f->source);
    f->source = f->rx.source = f->tx.source = NULL;
    loop_free_later(f->ns->loop, &f->deferred, free, f);
}

void flow_settle(struct tungo_flow *f)
{
    if (f->state != FLOW_LIVE || f->pcb)
        return;
    leave_table(f);
    idle_remove(f);
    outflow_end(f);
    sendq_clear(&f->tx, &f->ns->blocks);
    if (!f->layer)
        flow_end(f);
}

void flow_wake(struct tungo_flow *f)
{
    if (f->layer)
        layer_wake(&f->layer->layer);
}

void flow_kill(struct tungo_flow *f, enum rc why)
{
    struct netstack *ns = f->ns;

    if (f->state == FLOW_PARKED)
        parking_gone(f);
    if (f->state != FLOW_LIVE)
        return;
    if (f->failed == RC_OK)
        f->failed = why;
    if (f->pcb) {
        netstack_mount(ns, f);
        tcp_abort(f->pcb);
        netstack_unmount(ns, f);
    } else {
        flow_settle(f);
    }
    if (f->state != FLOW_DEAD)
        flow_wake(f);
}
