/* A netstack without a device and with a clock of its own: what it writes is kept in an array, what
 * a client would send is made here. Included by one test program or fuzz target. */
#ifndef TESTS_TUNGONET_H
#define TESTS_TUNGONET_H

#include "core/stream.h"
#include "core/wire/ip.h"
#include "listeners/tungo/fineclock.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/rxbuf.h"
#include "lwip/priv/tcp_priv.h"
#include <stdlib.h>
#include <uv.h>

/* --- the clock: libuv's is overruled for all that asks loop_now_ms() */

static uint64_t fake_ms = 1000000;

uint64_t uv_now(const uv_loop_t *loop)
{
    (void)loop;
    return fake_ms;
}

uint64_t fineclock_us(void)
{
    return fake_ms * 1000;
}

/* --- the device */

enum { OUT_MAX = 256, CLIENT_MTU = 1420 };

struct out {
    uint8_t data[66000];
    size_t n;
    struct virtio_net_hdr vh;
    struct packet p;
};
static struct out *outs; /* for the life of the program */
static unsigned n_outs;
static bool device_broken;

static struct tungo tun;
static struct netstack *ns;
static bool with_recovery; /* else the window stands open: one write is one segment */

const struct tun_caps *tungo_caps(const struct tungo *t)
{
    return &t->caps;
}

struct virtio_net_hdr tun_vnet(bool ip6, bool tcp, size_t l4, size_t header_bytes,
                               size_t segment_bytes)
{
    (void)ip6;
    (void)tcp;
    return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .gso_type = segment_bytes ? VIRTIO_NET_HDR_GSO_TCPV4 : 0,
                                   .gso_size = (uint16_t)segment_bytes,
                                   .hdr_len = (uint16_t)header_bytes,
                                   .csum_start = (uint16_t)l4,
                                   .csum_offset = TCP_AT_SUM};
}

bool tun_write(struct tungo *t, const struct iovec *v, int nv, const struct virtio_net_hdr *vh)
{
    static const struct gate_cfg open_gate;
    struct out *o = &outs[n_outs % OUT_MAX];

    (void)t;
    if (device_broken)
        return false;
    o->n = 0;
    for (int i = 0; i < nv; i++) {
        BUG_ON(o->n + v[i].iov_len > sizeof o->data);
        memcpy(o->data + o->n, v[i].iov_base, v[i].iov_len);
        o->n += v[i].iov_len;
    }
    o->vh = vh ? *vh : (struct virtio_net_hdr){0};
    /* what we write must pass our own gate: lengths, header checksum */
    BUG_ON(gate_check(&open_gate, o->data, o->n, &(struct virtio_net_hdr){.flags = 1}, &o->p) ==
           GATE_DROP);
    BUG_ON(o->p.bytes != o->n);
    n_outs++;
    return true;
}

/* --- turns */

static void turn(void)
{
    for (int i = 0; i < 4; i++)
        uv_run(loop_uv(tun.loop), UV_RUN_NOWAIT);
}

/* Lets ms pass. The netstack's timers are run by hand, since libuv has its own clock. */
static inline void pass(uint64_t ms)
{
    struct timer *timers[] = {&ns->tick, &ns->idle.timer, &ns->parking.deadline,
                              &ns->outflows.timer};
    uint64_t end = fake_ms + ms;

    for (;;) {
        struct timer *next = NULL;
        for (int i = 0; i < 4; i++)
            if (timer_is_running(timers[i]) && timers[i]->due_ms <= end &&
                (!next || timers[i]->due_ms < next->due_ms))
                next = timers[i];
        if (!next)
            break;
        if (next->due_ms > fake_ms)
            fake_ms = next->due_ms;
        timer_stop(next);
        next->fn(next);
    }
    fake_ms = end;
    turn();
}

/* --- a client */

struct client {
    struct addr src, dst;
    uint32_t seq, ack; /* next to send; next expected */
    uint16_t window;
    uint8_t options[40];
    size_t options_n;
};

static struct client client_new(const char *target, uint16_t port)
{
    struct client c = {.seq = 5000, .window = 65535};
    bool v6 = strchr(target, ':') != NULL;

    BUG_ON(!addr_parse_ip(target, strlen(target), &c.dst));
    BUG_ON(!addr_parse_ip(v6 ? "fd00::2" : "10.0.0.2", v6 ? 7 : 8, &c.src));
    c.src.port = port;
    c.dst.port = 443;
    return c;
}

/* One segment from the client; len bytes of payload that tell their sequence number. */
static void send_raw(struct client *c, uint8_t flags, uint32_t seq, size_t len)
{
    static const struct gate_cfg open_gate;
    struct rxbuf *b = rxbuf_new(&ns->blocks);
    struct ip_fields f = {.src = &c->src, .dst = &c->dst, .proto = IPPROTO_TCP};
    size_t header = TCP_HEADER_BYTES + c->options_n;
    struct packet p;

    BUG_ON(!b);
    size_t l4 = packet_put_ip(b->data, &f, header + len);
    uint8_t *h = b->data + l4;
    packet_wr16(h + TCP_AT_SRC, c->src.port);
    packet_wr16(h + TCP_AT_DST, c->dst.port);
    packet_wr32(h + TCP_AT_SEQ, seq);
    packet_wr32(h + TCP_AT_ACK, flags & TCPFLAG_ACK ? c->ack : 0);
    h[TCP_AT_DOFF] = (uint8_t)(header / 4 << 4);
    h[TCP_AT_FLAGS] = flags;
    packet_wr16(h + TCP_AT_WINDOW, c->window);
    packet_wr32(h + TCP_AT_SUM, 0);
    memcpy(h + TCP_HEADER_BYTES, c->options, c->options_n);
    for (size_t i = 0; i < len; i++)
        h[header + i] = (uint8_t)(seq + i);
    if (gate_check(&open_gate, b->data, l4 + header + len, &(struct virtio_net_hdr){.flags = 1},
                   &p) == GATE_TCP)
        netstack_packet(ns, &p, b);
    else
        rxbuf_free(b);
}

static void send_data(struct client *c, uint8_t flags, size_t len)
{
    send_raw(c, flags | TCPFLAG_ACK, c->seq, len);
    c->seq += (uint32_t)len + (flags & TCPFLAG_FIN ? 1 : 0);
}

/* mss 0, scale -1: without that option. */
static void send_syn(struct client *c, unsigned mss, int scale)
{
    uint8_t *o = c->options;

    if (mss) {
        o[0] = 2;
        o[1] = 4;
        packet_wr16(o + 2, mss);
        o += 4;
    }
    if (scale >= 0) {
        const uint8_t ws[8] = {1, 3, 3, (uint8_t)scale, 1, 1, 4, 2};
        memcpy(o, ws, sizeof ws);
        o += 8;
    }
    c->options_n = (size_t)(o - c->options);
    send_raw(c, TCPFLAG_SYN, c->seq, 0);
    c->options_n = 0;
}

static inline void batch_end(void)
{
    netstack_batch_end(ns);
    turn();
}

/* --- the handler */

static struct tungo_flow *parked;
static unsigned n_parked, n_gone;

static void on_flow(void *arg, struct tungo_flow *f)
{
    (void)arg;
    parked = f;
    n_parked++;
}

static void on_flow_gone(void *arg, struct tungo_flow *f)
{
    (void)arg;
    if (parked == f)
        parked = NULL;
    n_gone++;
}

static void net_up(void)
{
    struct diag diag = {0};

    if (!outs)
        outs = calloc(OUT_MAX, sizeof *outs);
    n_outs = n_parked = n_gone = 0;
    tun = (struct tungo){.service = "test"};
    tun.loop = loop_new(&diag);
    tun.caps = (struct tun_caps){.vnet = true, .tso = true, .uso = true, .mtu = CLIENT_MTU};
    tun.events = (struct tungo_events){.on_flow = on_flow, .on_flow_gone = on_flow_gone};
    icmp_init(&tun.icmp, &tun);
    ns = tun.net = netstack_new(tun.loop, &tun);
    BUG_ON(!ns || !outs);
    netstack_set_mtu(ns, CLIENT_MTU);
    ns->outflows.off = !with_recovery;
}

static void net_down(void)
{
    turn();
    netstack_free(ns);
    turn();
    loop_free(tun.loop);
}

#endif
