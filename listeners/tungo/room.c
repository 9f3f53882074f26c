/* listeners/tungo/room.c - see room.h. */
#include "listeners/tungo/room.h"
#include "core/shares.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/udp_table.h"

static struct tungo_flow *unused_for_longest(const struct source *s)
{
    return list_is_empty(&s->by_use) ? NULL
                                     : LIST_OWNER(s->by_use.next, struct tungo_flow, of_source);
}

static struct tungo_flow *half_open_for_longest(const struct netstack *ns)
{
    return list_is_empty(&ns->half_open)
               ? NULL
               : LIST_OWNER(ns->half_open.next, struct tungo_flow, half_open);
}

static void evict(struct netstack *ns, struct tungo_flow *f)
{
    ns->stats.evicted++;
    flow_kill(f, RC_LIMIT);
}

bool room_for_flow(struct netstack *ns, const struct addr *client)
{
    const struct source *s = source_find(&ns->sources, client);
    struct tungo_flow *own, *unreal;

    if (shares_may(s ? s->flows : 0, ns->table.n, ns->flows_max))
        return true;
    unreal = half_open_for_longest(ns);
    if (unreal && (s ? s->flows : 0) < ns->flows_max / SHARES_RESERVE_PART) {
        evict(ns, unreal);
        return true;
    }
    own = s ? unused_for_longest(s) : NULL;
    if (!own && ns->table.n >= ns->flows_max) {
        evict(ns, LIST_OWNER(ns->table.oldest, struct tungo_flow, entry));
        return true;
    }
    if (own && loop_now_ms(ns->loop) - own->heard_ms < ROOM_SILENT_MS) {
        ns->stats.crowded++;
        return false;
    }
    if (own)
        evict(ns, own);
    return true;
}

void room_for_parked(struct netstack *ns, const struct source *s)
{
    const struct parking *lot = &ns->parking;

    if (shares_may(s->n_parked, lot->n, PARKED_MAX))
        return;
    if (!list_is_empty(&s->parked))
        parking_gone(LIST_OWNER(s->parked.next, struct parked, of_source)->flow);
    else if (lot->n >= PARKED_MAX)
        parking_gone(LIST_OWNER(lot->lot.next, struct parked, in_lot)->flow);
}

size_t room_flows_max(size_t descriptors)
{
    size_t most = descriptors - descriptors / 4;

    if (most < ROOM_FLOWS_LEAST)
        return ROOM_FLOWS_LEAST;
    return most < NETSTACK_FLOWS_MAX ? most : NETSTACK_FLOWS_MAX;
}

size_t room_associations_max(size_t descriptors)
{
    size_t most = descriptors / 4;

    if (most < ROOM_PORTS_LEAST)
        return ROOM_PORTS_LEAST;
    return most < UDP_SOURCES_MAX ? most : UDP_SOURCES_MAX;
}
