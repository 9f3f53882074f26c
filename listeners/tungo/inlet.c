/* listeners/tungo/inlet.c - where one packet of the device goes: gate, then TCP, UDP, ICMP or
 * reassembly. See inside.h.
 */
#include "core/log.h"
#include "core/wire/ip.h"
#include "listeners/tungo/echo.h"
#include "listeners/tungo/fragment.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/rxbuf.h"
#include "listeners/tungo/udp.h"

/* Does a new flow go to one of our own nodes? Then our own dial came back by the device's routes,
 * and accepting it would dial again, for ever. Whoever answers also tells the operator. */
static bool is_loop(struct tungo *t, const struct packet *p)
{
    if (!t->is_node || !t->is_node(t->is_node_arg, &p->dst))
        return false;
    t->stats.loops++;
    return true;
}

/* Was this its last hop? Then it must not go further, and traceroute sees us. Segments of a flow
 * that was let in are not asked. */
static bool is_expired(struct tungo *t, struct packet *p)
{
    bool v6 = packet_version(p->ip) == 6;

    if (p->ip[v6 ? IP6_AT_HOPS : IP4_AT_TTL] > 1)
        return false;
    if (p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6 && !p->gso_size)
        packet_complete(p->ip, p->l4, p->bytes, p->proto);
    icmp_expired(&t->icmp, p->ip, p->bytes, NULL, loop_now_ms(t->loop));
    return true;
}

static void on_tcp(struct tungo *t, struct packet *p, struct rxbuf *b)
{
    bool is_syn = (p->tcp_flags & (TCPFLAG_SYN | TCPFLAG_ACK)) == TCPFLAG_SYN;

    if (is_syn && !t->started) { /* nobody is there to handle it */
        rxbuf_free(b);
        return;
    }
    if (is_syn && is_expired(t, p)) {
        rxbuf_free(b);
        return;
    }
    if (is_syn && is_loop(t, p)) {
        packet_complete(p->ip, p->l4, p->bytes, IPPROTO_TCP);
        icmp_refuse(&t->icmp, p->ip, p->bytes, RC_UNREACH_HOST, loop_now_ms(t->loop));
        rxbuf_free(b);
        return;
    }
    netstack_packet(t->net, p, b);
}

/* Whether a ping leaves is the handler's word; what can't be told from afar is not made up here. */
static void on_echo(struct tungo *t, struct packet *p)
{
    const struct sockopts *so = NULL;
    struct diag diag = {.rc = RC_OK};
    enum rc rc = RC_AGAIN;

    if (t->started && t->events.on_echo)
        rc = t->events.on_echo(t->events.arg, &p->src, &p->dst, &so);
    if (rc == RC_AGAIN) {
        (void)icmp_packet(&t->icmp, p);
        return;
    }
    if (rc == RC_OK)
        rc = echo_forward(t->echo, p, so, &diag);
    if (rc == RC_SYS && !t->told_no_ping) {
        t->told_no_ping = true;
        log_warn("%s: icmp=forward: %s; pings are refused until this process may send them (sysctl "
                 "net.ipv4.ping_group_range)",
                 t->service, diag.text);
    }
    if (rc == RC_SYS)
        rc = RC_DENIED;
    if (rc != RC_OK)
        icmp_refuse(&t->icmp, p->ip, p->bytes, rc, loop_now_ms(t->loop));
}

/* Only the client itself knows that its port is closed, and of datagrams we quote only those that
 * it may have got: else a neighbour that guesses a port could end what is not its own. */
static void on_port_closed(struct tungo *t, const struct packet *p, const struct icmp_note *note)
{
    if (!addr_same_ip(&p->src, &note->dst) ||
        !tungo_udp_client_gone(t->udp, &note->dst, &note->src))
        t->net->stats.notes++;
}

static void on_icmp(struct tungo *t, struct packet *p)
{
    struct icmp_note note;

    if (icmp_is_echo(p) && is_expired(t, p))
        return;
    if (t->echo && icmp_is_echo(p)) {
        on_echo(t, p);
        return;
    }
    if (icmp_packet(&t->icmp, p) || !icmp_note_parse(p, &note))
        return;
    if (note.proto == IPPROTO_TCP && note.kind == ICMP_NOTE_TOO_BIG)
        netstack_too_big(t->net, &note);
    else if (note.proto == IPPROTO_UDP && note.kind == ICMP_NOTE_UNREACHABLE)
        on_port_closed(t, p, &note);
}

static void on_fragment(struct tungo *t, const struct packet *p)
{
    uint8_t *ip;
    size_t n;

    if (reassembly_add(t->fragments, p->ip, p->bytes, p->l4, loop_now_ms(t->loop), &ip, &n) ==
        REASSEMBLY_DONE)
        inlet_packet(t, NULL, ip, n, NULL);
    else if (!timer_is_running(&t->ageing) && reassembly_waiting(t->fragments) > 0)
        (void)timer_start(&t->ageing, FRAGMENT_WAIT_MS); /* reserved */
}

void inlet_packet(struct tungo *t, struct rxbuf *b, uint8_t *data, size_t n,
                  const struct virtio_net_hdr *vh)
{
    struct packet p;

    switch (gate_check(&t->gate, data, n, vh, &p)) {
    case GATE_TCP:
        on_tcp(t, &p, b);
        return;
    case GATE_UDP:
        if (t->started && !is_expired(t, &p))
            tungo_udp_packet(t->udp, &p);
        break;
    case GATE_ICMP:
        on_icmp(t, &p);
        break;
    case GATE_FRAGMENT:
        if (b) /* in what was put together a fragment is a trick */
            on_fragment(t, &p);
        break;
    case GATE_DROP:
        t->stats.dropped[p.why]++;
        break;
    }
    rxbuf_free(b);
}
