/* listeners/tungo/counters.c - what the device has seen, for the log. See inside.h. */
#include "listeners/tungo/echo.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/udp.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct line {
    char *buf;
    size_t cap, n;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *fmt, ...)
{
    va_list ap;

    if (l->n >= l->cap)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(l->buf + l->n, l->cap - l->n, fmt, ap);
    va_end(ap);
    l->n += n > 0 ? (size_t)n : 0;
}

const char *counters_format(const struct tungo *t, char *buf, size_t cap)
{
    struct line l = {buf, cap, 0};
    struct tungo_udp_stats udp;
    const struct netstack_stats *tcp = &t->net->stats;

    tungo_udp_stats(t->udp, &udp);
    put(&l, "packets: in %" PRIu64 ", out %" PRIu64 ", lost %" PRIu64, t->stats.read_packets,
        t->stats.written_packets, t->stats.lost_writes);
    put(&l, "; dropped:");
    for (int why = DROP_NONE + 1; why < DROP_REASONS; why++) {
        if (t->stats.dropped[why])
            put(&l, " %s %" PRIu64, gate_drop_name((enum gate_drop)why), t->stats.dropped[why]);
    }
    put(&l, " loops %" PRIu64, t->stats.loops);
    put(&l, "; TCP: flows %zu, bytes held %zu, all %" PRIu64 ", refused %" PRIu64, t->net->table.n,
        t->net->sources.held, tcp->flows, tcp->refused);
    if (t->net->outflows.stats.resends)
        put(&l, ", sent again %" PRIu64 " packets of %" PRIu64 " bytes",
            t->net->outflows.stats.resends, t->net->outflows.stats.resent_bytes);
    if (t->net->outflows.stats.given_up)
        put(&l, ", clients given up %" PRIu64, t->net->outflows.stats.given_up);
    if (tcp->keepalive_ends)
        put(&l, ", clients silent for too long %" PRIu64, tcp->keepalive_ends);
    if (tcp->evicted)
        put(&l, ", gone for others %" PRIu64, tcp->evicted);
    if (tcp->crowded)
        put(&l, ", one client's too many %" PRIu64, tcp->crowded);
    if (tcp->resets_held)
        put(&l, ", resets held back %" PRIu64, tcp->resets_held);
    if (tcp->cut)
        put(&l, ", not taken for memory %" PRIu64, tcp->cut);
    if (tcp->dropped_ooseq)
        put(&l, ", out of order in vain %" PRIu64, tcp->dropped_ooseq);
    if (tcp->no_memory)
        put(&l, ", no memory %" PRIu64, tcp->no_memory);
    if (tcp->notes)
        put(&l, ", ICMP errors not believed %" PRIu64, tcp->notes);
    if (tcp->asserts)
        put(&l, ", assertions of lwIP %" PRIu64, tcp->asserts);
    put(&l,
        "; UDP: sources %" PRIu32 ", associations %" PRIu32 ", up %" PRIu64 ", down %" PRIu64
        ", lost up %" PRIu64 ", lost down %" PRIu64,
        udp.sources, udp.associations, udp.up, udp.down, udp.dropped_up, udp.dropped_down);
    put(&l, "; ICMP: echoes %" PRIu64 ", errors %" PRIu64 ", held back %" PRIu64, t->icmp.echoes,
        t->icmp.errors, t->icmp.limited);
    if (t->echo)
        put(&l, ", pings sent on %u, gone for others %" PRIu64, echo_sessions(t->echo),
            echo_evicted(t->echo));
    return buf;
}
