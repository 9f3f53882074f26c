/* listeners/tungo/netstack.c - flows, mounting, and the way of a packet into lwIP. See netstack.h.
 *
 * What lwIP calls is in netpcb.c, its timers are in ticks.c, what is acknowledged when in turn.c.
 */
#include "listeners/tungo/netstack.h"
#include "core/wire/ip.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/icmp.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/offload.h"
#include "listeners/tungo/ooseq.h"
#include "listeners/tungo/room.h"
#include "listeners/tungo/rxbuf.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include <stdlib.h>

enum {
    USED_STEP_MS = 1000, /* a busy flow moves in the order of use once a second */
};

/* --- life */

static err_t output(struct netif *netif, struct pbuf *p)
{
    struct netstack *ns = netif->state;
    struct tungo_flow *f = netstack_flow_of(netif);

    if (f && turn_keeps(f, p))
        return ERR_OK;
    return offload_send(ns->tungo, f, p) ? ERR_OK : ERR_IF;
}

static err_t on_output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    (void)to;
    return output(netif, p);
}

static err_t on_output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
    (void)to;
    return output(netif, p);
}

static err_t on_netif_init(struct netif *netif)
{
    netif->name[0] = 't';
    netif->name[1] = 'n';
    netif->output = on_output4;
    netif->output_ip6 = on_output6;
    netif->flags = NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

/* No flow is left. */
static void parts_done(struct netstack *ns)
{
    ticks_done(ns);
    idle_done(ns);
    outflows_done(ns);
    parking_done(ns);
    turn_done(ns);
    flowtab_done(&ns->table);
    sources_done(&ns->sources);
    blocks_done(&ns->blocks);
}

struct netstack *netstack_new(struct loop *loop, struct tungo *t)
{
    static const struct budget_limits resets = {NETSTACK_RESETS_BURST, NETSTACK_RESETS_PER_SECOND,
                                                NETSTACK_RESETS_OWN_BURST,
                                                NETSTACK_RESETS_OWN_PER_SECOND};
    struct netstack *ns = calloc(1, sizeof *ns);
    ip4_addr_t own, mask, none;

    if (!ns)
        return NULL;
    ns->loop = loop;
    ns->tungo = t;
    ns->flows_max = NETSTACK_FLOWS_MAX;
    budget_init(&ns->resets, &resets);
    list_init(&ns->parking.lot);
    list_init(&ns->half_open);
    if (!netpcb_listener() || !flowtab_init(&ns->table) ||
        !sources_init(&ns->sources, NETSTACK_HELD_BYTES)) {
        flowtab_done(&ns->table);
        free(ns);
        return NULL;
    }
    blocks_init(&ns->blocks, loop, NETSTACK_BLOCKS_MAX);
    turn_init(ns);
    if (!ticks_init(ns) || !idle_init(ns) || !outflows_init(ns) || !parking_init(ns)) {
        parts_done(ns);
        free(ns);
        return NULL;
    }
    netstack_set_buffers(ns, 0, 0);
    /* lwIP wants an address before it routes; no packet carries it */
    IP4_ADDR(&own, 192, 0, 0, 8);
    IP4_ADDR(&mask, 255, 255, 255, 255);
    IP4_ADDR(&none, 0, 0, 0, 0);
    netif_default = NULL; /* one netif is all it knows: mounting swaps it */
    netif_add(&ns->netif, &own, &mask, &none, ns, on_netif_init, ip_input);
    netif_set_up(&ns->netif);
    NETIF_SET_CHECKSUM_CTRL(&ns->netif, 0); /* the gate checks, the device completes */
    return ns;
}

void netstack_free(struct netstack *ns)
{
    if (!ns)
        return;
    parking_done(ns);
    while (ns->table.oldest)
        flow_kill(LIST_OWNER(ns->table.oldest, struct tungo_flow, entry), RC_CANCELED);
    parts_done(ns);
    netif_default = &ns->netif;
    netif_remove(&ns->netif);
    netif_default = NULL;
    free(ns);
}

void netstack_set_mtu(struct netstack *ns, uint32_t mtu)
{
    ns->netif.mtu = ns->netif.mtu6 = (u16_t)mtu;
}

static uint32_t buffer_bytes(uint32_t asked)
{
    if (!asked)
        return NETSTACK_WINDOW_BYTES;
    if (asked < UINT16_MAX)
        return UINT16_MAX; /* what a client without window scaling is told anyway */
    return asked < NETSTACK_BUFFER_MAX ? asked : NETSTACK_BUFFER_MAX;
}

void netstack_set_buffers(struct netstack *ns, uint32_t receive_bytes, uint32_t send_bytes)
{
    ns->window_bytes = buffer_bytes(receive_bytes);
    ns->send_bytes = buffer_bytes(send_bytes);
    ns->send_grows = !send_bytes;
    ns->window_grows = !receive_bytes;
}

/* --- mounting */

void netstack_mount(struct netstack *ns, struct tungo_flow *f)
{
    BUG_ON(tcp_active_pcbs || tcp_tw_pcbs); /* lwIP is not re-entered */
    netif_default = &ns->netif;
    tcp_ticks = (u32_t)(loop_now_ms(ns->loop) / TCP_SLOW_INTERVAL);
    netpcb_listener()->callback_arg = f;
    if (f && f->pcb) {
        tcp_active_pcbs = f->pcb;
        f->pcb->next = NULL;
    }
    ns->distrusted = false;
    netassert_watch(f ? ns : NULL);
}

/* Sequence number of the first byte that lwIP may still send. */
static uint32_t first_needed(const struct tcp_pcb *pcb)
{
    uint32_t seq = pcb->snd_lbb;

    if (pcb->unsent)
        seq = lwip_ntohl(pcb->unsent->tcphdr->seqno);
    if (pcb->unacked) {
        uint32_t unacked = lwip_ntohl(pcb->unacked->tcphdr->seqno);
        if ((int32_t)(unacked - seq) < 0)
            seq = unacked;
    }
    return seq;
}

/* An assertion failed while it was mounted (netassert.c). */
static void distrust(struct tungo_flow *f)
{
    f->failed = RC_RESET;
    if (f->pcb && f->pcb->state != TIME_WAIT)
        tcp_abort(f->pcb);
}

void netstack_unmount(struct netstack *ns, struct tungo_flow *f)
{
    netassert_watch(NULL);
    if (f && ns->distrusted)
        distrust(f);
    if (tcp_tw_pcbs) {
        /* nothing comes late through a TUN: TIME_WAIT ends here, without a packet */
        tcp_tw_pcbs->next = NULL;
        tcp_abort(tcp_tw_pcbs);
    }
    tcp_active_pcbs = NULL;
    if (!f)
        return;
    if (f->pcb) {
        outflow_look(f);
        sendq_release(&f->tx, &ns->blocks, first_needed(f->pcb));
        if (ticks_are_needed(f))
            ticks_add_slow(f);
    } else {
        flow_wake(f);
    }
    flow_settle(f);
}

/* --- packets */

/* Tells lwIP what its own IP layer would have found; p's payload begins with the IP header. */
static void enter_tcp(struct netstack *ns, struct pbuf *p, size_t l4)
{
    uint8_t *ip = p->payload;

    ip_data.current_netif = ip_data.current_input_netif = &ns->netif;
    ip_data.current_ip_header_tot_len = (u16_t)l4;
    if (packet_version(ip) == 6) {
        struct ip6_hdr *h = (struct ip6_hdr *)(void *)ip;
        ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_dest, h->dest);
        ip_addr_copy_from_ip6_packed(ip_data.current_iphdr_src, h->src);
        ip_data.current_ip6_header = h;
        ip_data.current_ip4_header = NULL;
    } else {
        struct ip_hdr *h = (struct ip_hdr *)(void *)ip;
        ip_addr_copy_from_ip4(ip_data.current_iphdr_dest, h->dest);
        ip_addr_copy_from_ip4(ip_data.current_iphdr_src, h->src);
        ip_data.current_ip4_header = h;
        ip_data.current_ip6_header = NULL;
    }
    pbuf_remove_header(p, l4);
    tcp_input(p, &ns->netif);
    ip_data.current_ip4_header = NULL;
    ip_data.current_ip6_header = NULL;
}

void netstack_give_syn(struct netstack *ns, struct tungo_flow *f, const struct parked *k,
                       bool refuse)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, k->n, PBUF_RAM);

    if (!p) {
        ns->stats.no_memory++;
        if (f) {
            f->failed = RC_NOMEM;
            flow_settle(f);
        }
        return;
    }
    memcpy(p->payload, k->syn, k->n);
    netstack_mount(ns, f);
    /* port 0 is nobody's: lwIP answers with a reset */
    netpcb_listener()->local_port = refuse ? 0 : k->target.port;
    enter_tcp(ns, p, k->l4);
    netstack_unmount(ns, f);
}

/* Nobody knows this flow: a reset, unless it is one. */
static void stray(struct netstack *ns, const struct packet *p, struct rxbuf *b)
{
    struct pbuf *q;

    ns->stats.strays++;
    if (p->tcp_flags & TCPFLAG_RST) {
        rxbuf_free(b);
        return;
    }
    if (!budget_take(&ns->resets, &p->src, loop_now_ms(ns->loop))) {
        ns->stats.resets_held++; /* a flood, or all clients after a restart: they come again */
        rxbuf_free(b);
        return;
    }
    q = rxbuf_to_pbuf(b, p->ip, p->bytes, NULL);
    if (!q)
        return;
    netstack_mount(ns, NULL);
    netpcb_listener()->local_port = 0;
    enter_tcp(ns, q, p->l4);
    netstack_unmount(ns, NULL);
}

static void after_input(struct tungo_flow *f, const struct sack_news *news)
{
    struct tcp_pcb *pcb = f->pcb;

    offload_keep_mss(f);
    outflow_after_input(f, news);
    if (pcb->flags & TF_ACK_DELAY) {
        tcp_clear_flags(pcb, TF_ACK_DELAY);
        turn_ack(f);
    }
    if (f->blocked_out && (netlayer_room(f) || f->shut_wanted))
        flow_wake(f);
}

/* The headers alone go on: what they acknowledge gives memory back. The bytes come again. */
static void cut_payload(struct packet *p)
{
    if (packet_version(p->ip) == 6)
        packet_wr16(p->ip + IP6_AT_PAYLOAD, (unsigned)(p->payload - IP6_HEADER_BYTES));
    else
        packet_wr16(p->ip + IP4_AT_TOTAL, (unsigned)p->payload);
    p->bytes = p->payload;
    p->tcp_flags &= (uint8_t)~TCPFLAG_FIN;
    p->ip[p->l4 + TCP_AT_FLAGS] &= (uint8_t)~TCPFLAG_FIN;
}

static bool may_hold(const struct tungo_flow *f, const struct packet *p)
{
    bool poor = f->rx.bytes < NETSTACK_POOR_BYTES && !f->pcb->ooseq;

    return p->payload == p->bytes || source_may(f->source, p->bytes, poor);
}

static void feed(struct tungo_flow *f, struct packet *p, struct rxbuf *b)
{
    struct netstack *ns = f->ns;
    uint64_t now = loop_now_ms(ns->loop);
    struct sack_news news;
    struct pbuf *q;
    bool gap;

    if (now - f->heard_ms >= USED_STEP_MS)
        flow_used(f);
    f->heard_ms = now;
    f->probes = 0;
    if (ooseq_refuses(f, p)) {
        ns->stats.dropped_ooseq++;
        rxbuf_free(b);
        return;
    }
    if (!may_hold(f, p)) {
        ns->stats.cut++;
        cut_payload(p);
    }
    gap = turn_may_gather(f, p);
    if (ooseq_has(f, p)) {
        cut_payload(p);
        turn_answer(f);
    }
    outflow_before_input(f, p, &news);
    q = rxbuf_to_pbuf(b, p->ip, p->bytes, f->source);
    if (!q) {
        ns->stats.no_memory++;
        return; /* as if it had been lost */
    }
    if (gap)
        turn_gather(f);
    netstack_mount(ns, f);
    enter_tcp(ns, q, p->l4);
    ns->gathering = NULL;
    if (f->pcb) {
        ooseq_join(f);
        after_input(f, &news);
    }
    netstack_unmount(ns, f);
}

/* A SYN for a 4-tuple that has a pcb. true: the old flow is out of the way. */
static bool replaces(struct tungo_flow *f, const struct packet *p)
{
    const struct tcp_pcb *pcb = f->pcb;
    uint32_t seq = packet_rd32(p->ip + p->l4 + TCP_AT_SEQ);

    if (pcb->state == SYN_RCVD) {
        if (seq == pcb->rcv_nxt - 1)
            return false; /* the same SYN again: lwIP repeats its answer */
    } else {
        bool in_window = seq - pcb->rcv_nxt < pcb->rcv_wnd;
        bool over = !f->layer || pcb->state == CLOSE_WAIT || pcb->state == LAST_ACK ||
                    pcb->state == FIN_WAIT_2 || pcb->state == CLOSING;
        if (in_window || !over)
            return false; /* lwIP answers with an acknowledgement; a reset of the client follows */
    }
    if (f->failed == RC_OK)
        f->failed = RC_RESET;
    netstack_mount(f->ns, f);
    tcp_abandon(f->pcb, 0);
    netstack_unmount(f->ns, f);
    return true;
}

void netstack_packet(struct netstack *ns, struct packet *p, struct rxbuf *b)
{
    struct flow_key key = flow_key_of(&p->src, &p->dst);
    struct tungo_flow *f = flow_find(ns, &key);
    bool is_syn =
        (p->tcp_flags & (TCPFLAG_SYN | TCPFLAG_ACK | TCPFLAG_RST | TCPFLAG_FIN)) == TCPFLAG_SYN;

    if (f && f->state == FLOW_PARKED) {
        parking_packet(f, p);
        rxbuf_free(b);
        return;
    }
    if (f && !(is_syn && replaces(f, p))) {
        feed(f, p, b);
        return;
    }
    if (!is_syn) {
        stray(ns, p, b);
        return;
    }
    if (room_for_flow(ns, &p->src))
        parking_add(ns, p);
    rxbuf_free(b);
}

void netstack_too_big(struct netstack *ns, const struct icmp_note *note)
{
    struct flow_key key = flow_key_of(&note->dst, &note->src);
    struct tungo_flow *f = flow_find(ns, &key);

    uint32_t least = key.family == AF_INET6 ? IP6_MTU_LEAST : IP4_MTU_LEAST;

    /* only what is on its way can have been too long: others guess (RFC 5927 7) */
    if (!f || !f->pcb || note->seq - f->pcb->lastack >= f->pcb->snd_nxt - f->pcb->lastack ||
        (note->mtu && note->mtu < least)) {
        ns->stats.notes++;
        return;
    }
    offload_shrink_mss(f, note->mtu);
}
