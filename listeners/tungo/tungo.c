/* listeners/tungo/tungo.c - the tungo listener: makes the device, reads it once somebody handles
 * its flows, makes it again when it was lost.
 *
 * Flows, associations and parked SYNs outlive a lost device: what they send meanwhile counts as
 * lost on the way. gost-config.md 4.1, 4.3.
 */
#include "core/log.h"
#include "listeners/tungo/echo.h"
#include "listeners/tungo/fragment.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/room.h"
#include "listeners/tungo/rxbuf.h"
#include "listeners/tungo/udp.h"
#include "listeners/types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define AT(member) offsetof(struct tungo_options, member)
static const struct option tungo_options[] = {
    {.key = "name",
     .aliases = "tun.name",
     .type = OPTION_STRING,
     .offset = AT(name),
     .def = "tungo",
     .help = "name of the device"},
    {.key = "net",
     .aliases = "tun.net",
     .type = OPTION_NETS,
     .offset = AT(net),
     .help = "addresses of the device, IP/prefix"},
    {.key = "mtu",
     .aliases = "tun.mtu",
     .type = OPTION_INT,
     .offset = AT(mtu),
     .def = "1420",
     .help = "MTU of the device; 0 or less: 1420"},
    {.key = "gw",
     .aliases = "tun.gw",
     .type = OPTION_STRING,
     .offset = AT(gw),
     .help = "gateway of the routes that name none"},
    {.key = "route",
     .aliases = "tun.route",
     .type = OPTION_NETS,
     .offset = AT(route),
     .help = "networks that go to the device"},
    {.key = "routes",
     .aliases = "tun.routes",
     .type = OPTION_LIST,
     .offset = AT(routes),
     .help = "networks that go to the device, each \"CIDR [gateway]\""},
    {.key = "dns",
     .aliases = "tun.dns",
     .type = OPTION_LIST,
     .offset = AT(dns),
     .help = "DNS servers of the device"},
    {.key = "peer",
     .aliases = "tun.peer",
     .type = OPTION_STRING,
     .flags = OPTION_NOOP,
     .offset = AT(peer),
     .help = "macOS: address of the other end"},
    {.key = "guid",
     .aliases = "tun.guid",
     .type = OPTION_STRING,
     .flags = OPTION_NOOP,
     .offset = AT(guid),
     .help = "Windows: GUID of the adapter"},
    {.key = "offload",
     .aliases = "tun.offload",
     .type = OPTION_BOOL,
     .flags = OPTION_OURS,
     .offset = AT(offload),
     .def = "true",
     .help = "let the kernel join and cut packets, where it can"},
    {.key = "guard",
     .aliases = "tun.guard",
     .type = OPTION_BOOL,
     .flags = OPTION_OURS,
     .offset = AT(guard),
     .def = "true",
     .help = "while the device is lost nothing of its routes leaves by another way"},
    {.key = "icmp",
     .aliases = "tun.icmp",
     .type = OPTION_ENUM,
     .flags = OPTION_OURS,
     .offset = AT(icmp),
     .def = "local",
     .values = "local|block|forward",
     .help = "echo requests: answered here, not at all, or sent on where the way is direct"},
    {.key = "congestion",
     .aliases = "tun.congestion",
     .type = OPTION_ENUM,
     .flags = OPTION_OURS,
     .offset = AT(congestion),
     .def = "tolerant",
     .values = "tolerant|cubic|off",
     .help = "towards clients: what the link itself loses does not slow down, or all losses do; "
             "off: the client's window alone"},
    OPTION_END};
#undef AT

/* --- the handler's side (tungo.h) */

void tungo_set_events(struct tungo *t, const struct tungo_events *ev)
{
    t->events = ev ? *ev : (struct tungo_events){0};
    tungo_udp_set_events(t->udp, ev ? &t->events : NULL);
}

void tungo_configure(struct tungo *t, const struct tungo_cfg *cfg)
{
    t->cfg = *cfg;
    netstack_set_buffers(t->net, cfg->tcp_receive_bytes, cfg->tcp_send_bytes);
    t->net->parking.wait_ms = cfg->park_ms ? cfg->park_ms : PARKED_MS;
    tungo_udp_configure(t->udp, &t->cfg);
}

const struct netlist *tungo_nets(const struct tungo *t)
{
    return &t->options->net;
}

void tungo_set_loop_guard(struct tungo *t, bool (*is_node)(void *arg, const struct addr *a),
                          void *arg)
{
    t->is_node = is_node;
    t->is_node_arg = arg;
}

static void on_ageing(struct timer *timer)
{
    struct tungo *t = LIST_OWNER(timer, struct tungo, ageing);
    uint64_t now = loop_now_ms(t->loop), due = reassembly_expire(t->fragments, now);

    if (due)
        (void)timer_start(timer, due > now ? due - now : 1); /* reserved */
}

/* --- the listener */

static enum rc make_parts(struct tungo *t, struct diag *diag)
{
    struct tungo_udp_setup udp = {
        .loop = t->loop,
        .tungo = t,
        .icmp = &t->icmp,
        .own = t->options->net.v,
        .n_own = t->options->net.n,
    };
    struct rlimit files = {0};

    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        udp.sources_max = room_associations_max((size_t)files.rlim_cur);
    icmp_init(&t->icmp, t);
    t->icmp.own = t->options->net.v;
    t->icmp.n_own = t->options->net.n;
    t->icmp.block = t->options->icmp == ICMP_BLOCK;
    if (t->options->icmp == ICMP_FORWARD)
        t->echo = echo_new(t->loop, t, &t->icmp);
    t->net = netstack_new(t->loop, t);
    if (t->net) {
        if (files.rlim_cur)
            t->net->flows_max = room_flows_max((size_t)files.rlim_cur);
        t->net->outflows.off = t->options->congestion > CONGESTION_CUBIC;
        if (!t->net->outflows.off)
            t->net->outflows.kind = (enum congestion_kind)t->options->congestion;
    }
    t->udp = tungo_udp_new(&udp);
    t->fragments = reassembly_new();
    t->spare = calloc(1, sizeof *t->spare);
    if (!t->net || !t->udp || !t->fragments || !t->spare ||
        (!t->echo && t->options->icmp == ICMP_FORWARD))
        return diag_set(diag, RC_NOMEM, "no memory for the device's tables");
    t->spare->spare = true;
    return RC_OK;
}

static void on_done(struct listener *l);

static enum rc on_open(struct listener *l, const struct listener_setup *setup, struct diag *diag)
{
    struct tungo *t = calloc(1, sizeof *t);
    enum rc rc;

    if (!t)
        return diag_set(diag, RC_NOMEM, "no memory for the listener");
    l->state = t;
    t->loop = setup->loop;
    t->service = setup->service;
    t->options = l->cfg;
    t->where = strdup(setup->addr ? setup->addr : "");
    regain_init(t);
    timer_init(t->loop, &t->ageing, on_ageing);
    bool ok = t->where && regain_reserve(t) && timer_reserve(&t->ageing);
    rc = ok ? plan_make(t, setup->so, diag) : diag_set(diag, RC_NOMEM, "no memory");
    if (rc == RC_OK)
        rc = make_parts(t, diag);
    if (rc == RC_OK)
        rc = setup_open(&t->setup_cfg, &t->setup, regain_warn, t, diag);
    if (rc != RC_OK) {
        on_done(l);
        return rc;
    }
    t->open = true;
    device_io_probe(t);
    regain_tell_device(t);
    return RC_OK;
}

static enum rc on_start(struct listener *l, const struct listener_events *ev, struct diag *diag)
{
    struct tungo *t = l->state;

    t->up = *ev;
    t->started = true;
    return regain_start(t, diag);
}

static void on_stop(struct listener *l)
{
    struct tungo *t = l->state;

    /* the device is read and written until done(): clients shall hear how their flows end */
    t->started = false;
    regain_stop(t);
    timer_stop(&t->ageing);
}

static void on_done(struct listener *l)
{
    struct tungo *t = l->state;

    if (!t)
        return;
    on_stop(l);
    regain_release(t);
    timer_release(&t->ageing);
    netstack_free(t->net);
    tungo_udp_free(t->udp);
    echo_free(t->echo);
    reassembly_free(t->fragments);
    device_io_stop(t);
    if (t->open)
        setup_close(&t->setup, regain_warn, t);
    free(t->spare);
    free(t->where);
    plan_free(t);
    free(t);
    l->state = NULL;
}

static void on_abandon(struct listener *l)
{
    struct tungo *t = l->state;

    if (t && t->open)
        setup_close(&t->setup, regain_warn, t);
}

static const char *on_where(const struct listener *l, char *buf, size_t cap)
{
    const struct tungo *t = l->state;

    snprintf(buf, cap, "%s/tun", t->where);
    return buf;
}

static void on_device(const struct listener *l, struct listener_device *ret_d)
{
    const struct tungo *t = l->state;

    *ret_d = (struct listener_device){
        .name = t->setup.device.name, .mtu = t->mtu_text, .addr = t->addr_text};
}

static const char *on_counters(const struct listener *l, char *buf, size_t cap)
{
    return counters_format(l->state, buf, cap);
}

static struct tungo *on_tungo(struct listener *l)
{
    return l->state;
}

const struct listener_type listener_tungo = {
    .name = "tungo",
    .options = tungo_options,
    .cfg_bytes = sizeof(struct tungo_options),
    .open = on_open,
    .start = on_start,
    .stop = on_stop,
    .done = on_done,
    .abandon = on_abandon,
    .where = on_where,
    .device = on_device,
    .plan = plan_tell,
    .drops = plan_drops,
    .counters = on_counters,
    .tungo = on_tungo,
};
