/* listeners/tungo/netpcb.c - where lwIP's pcbs and our flows meet: the listening pcb, the
 * callbacks, what is given to lwIP for a mounted flow.
 *
 * Callbacks only store and wake: no lwIP call that can end a pcb is made inside of them.
 */
#include "core/siphash.h"
#include "listeners/tungo/fineclock.h"
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/offload.h"
#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "lwip_hooks.h"
#include <string.h>
#include <time.h>

_Static_assert((UINT16_MAX << TCP_RCV_SCALE) >= NETSTACK_BUFFER_MAX, "it can be told");

static struct tcp_pcb_listen *listener;
static struct siphash_key isn_secret;

/* --- what lwIP asks for */

uint32_t sys_now(void);
uint32_t sys_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

/* RFC 6528: a secret function of the 4-tuple, and a clock of 4 us. */
uint32_t netstack_isn(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                      uint16_t remote_port)
{
    struct {
        uint8_t local[16], remote[16];
        uint16_t local_port, remote_port;
        uint32_t family;
    } tuple = {.local_port = local_port, .remote_port = remote_port};
    struct timespec t;
    size_t n = IP_IS_V6(local) ? 16 : 4;

    tuple.family = (uint32_t)n;
    memcpy(tuple.local, ip_2_ip6(local), n); /* both families are at the same place */
    memcpy(tuple.remote, ip_2_ip6(remote), n);
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t clock = (uint64_t)t.tv_sec * 250000 + (uint64_t)t.tv_nsec / 4000;
    return (uint32_t)(siphash(&isn_secret, &tuple, sizeof tuple) + clock);
}

struct tungo_flow *netstack_flow_of(const struct netif *netif)
{
    if (!netif->hints)
        return NULL;
    const struct tcp_pcb *pcb =
        (const struct tcp_pcb *)(const void *)((const char *)netif->hints -
                                               offsetof(struct tcp_pcb, netif_hints));
    return pcb->callback_arg;
}

/* --- callbacks */

/* Every way a pcb can end comes by here; its segments are gone already. */
static void on_pcb_destroyed(u8_t id, void *data)
{
    struct tungo_flow *f = data;

    (void)id;
    if (f)
        f->pcb = NULL;
}

static void on_error(void *arg, err_t err)
{
    struct tungo_flow *f = arg;

    if (!f)
        return;
    if (err == ERR_RST)
        f->ns->stats.resets++;
    if (f->failed == RC_OK && err != ERR_CLSD) /* CLSD: LAST_ACK came to its end */
        f->failed = err == ERR_RST ? RC_RESET : RC_TIMEOUT;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tungo_flow *f = arg;

    (void)pcb;
    (void)err;
    if (f->ns->distrusted) {
        if (p)
            pbuf_free(p);
        return ERR_OK;
    }
    if (p)
        recvq_add(&f->rx, p);
    else
        f->got_fin = true;
    flow_wake(f);
    return ERR_OK;
}

static err_t on_accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct tungo_flow *f = arg;

    if (err != ERR_OK || !pcb || !f)
        return ERR_VAL;
    f->established = true;
    list_remove(&f->half_open);
    inwindow_set_rtt(&f->window, fineclock_us() - f->window.mark_us);
    flow_wake(f);
    return ERR_OK;
}

static err_t on_new_pcb(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb);

static const struct tcp_ext_arg_callbacks flow_hooks = {.destroy = on_pcb_destroyed};
static const struct tcp_ext_arg_callbacks listen_hooks = {.passive_open = on_new_pcb};

/* A client without scaling gets 64 KB. */
static void offer_window(struct tungo_flow *f)
{
    const struct netstack *ns = f->ns;
    struct tcp_pcb *pcb = f->pcb;
    uint32_t most = UINT16_MAX, first;

    if (pcb->flags & TF_WND_SCALE)
        most = NETSTACK_BUFFER_MAX;
    first = ns->window_grows ? (uint32_t)INWINDOW_FIRST_BYTES : ns->window_bytes;
    first = LWIP_MIN(first, most);
    inwindow_init(&f->window, first, ns->window_grows ? most : first, pcb->rcv_nxt, fineclock_us());
    pcb->rcv_wnd = pcb->rcv_ann_wnd = first;
}

/* A SYN made a pcb; its SYN-ACK has not been built yet. */
static err_t on_new_pcb(u8_t id, struct tcp_pcb_listen *lpcb, struct tcp_pcb *pcb)
{
    struct tungo_flow *f = lpcb->callback_arg;

    if (!f || f->pcb)
        return ERR_VAL;
    f->pcb = pcb;
    tcp_ext_arg_set_callbacks(pcb, id, &flow_hooks);
    tcp_ext_arg_set(pcb, id, f);
    tcp_arg(pcb, f);
    tcp_recv(pcb, on_received);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, NULL, UINT8_MAX);
    tcp_nagle_disable(pcb);
    /* netlayer_room() is the limit; lwIP's own counts segments until their last byte is
     * acknowledged and would refuse what there is room for */
    pcb->snd_buf = NETSTACK_BUFFER_MAX + 2 * SENDQ_CHUNK_BYTES;
    f->acked_to = pcb->rcv_nxt;
    offer_window(f);
    offload_raise_mss(f);
    return ERR_OK;
}

struct tcp_pcb_listen *netpcb_listener(void)
{
    struct tcp_pcb *pcb;
    static bool begun;

    if (listener)
        return listener;
    if (!begun)
        lwip_init();
    begun = true;
    loop_random(&isn_secret, sizeof isn_secret);
    pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (!pcb)
        return NULL;
    if (tcp_bind(pcb, IP_ANY_TYPE, 1) != ERR_OK) {
        tcp_abort(pcb);
        return NULL;
    }
    struct tcp_pcb *lpcb = tcp_listen(pcb);
    if (!lpcb) {
        tcp_abort(pcb);
        return NULL;
    }
    tcp_accept(lpcb, on_accepted);
    tcp_ext_arg_set_callbacks(lpcb, 0, &listen_hooks);
    listener = (struct tcp_pcb_listen *)lpcb;
    return listener;
}

/* --- given to lwIP */

static void push_fin(struct tungo_flow *f)
{
    if (!f->shut_wanted || f->shut_done || f->tx.waiting)
        return;
    if (tcp_shutdown(f->pcb, 0, 1) == ERR_OK)
        f->shut_done = true; /* without memory lwIP sets TF_CLOSEPEND: ticks.c asks again */
}

void netstack_push(struct tungo_flow *f)
{
    struct iovec v;

    while (f->pcb && sendq_next(&f->tx, &v)) {
        size_t n = v.iov_len < f->raised_mss ? v.iov_len : f->raised_mss;
        if (tcp_write(f->pcb, v.iov_base, (u16_t)n, 0) != ERR_OK)
            break; /* no memory: the next tick tries again */
        sendq_given(&f->tx, n);
    }
    if (f->pcb)
        push_fin(f);
    if (f->pcb)
        tcp_output(f->pcb);
}

void netstack_ack(struct tungo_flow *f)
{
    if (!f->pcb || f->pcb->rcv_nxt == f->acked_to)
        return;
    tcp_ack_now(f->pcb);
    tcp_output(f->pcb);
}

void netstack_credit(struct tungo_flow *f)
{
    struct tcp_pcb *pcb = f->pcb;

    if (!pcb || f->got_fin)
        return;
    netstack_mount(f->ns, f);
    /* lwIP announces in steps of min(window / 2, mss): with the raised one a client without window
     * scaling would be told nothing until all 64 KB are free */
    pcb->mss = f->mss;
    /* not by tcp_recved(): it knows one size of windows for all */
    inwindow_consumed(&f->window, pcb->rcv_nxt, (uint32_t)f->rx.bytes, fineclock_us());
    if (f->window.bytes > f->rx.bytes + pcb->rcv_wnd)
        pcb->rcv_wnd = f->window.bytes - (uint32_t)f->rx.bytes;
    tcp_update_rcv_ann_wnd(pcb);
    pcb->mss = f->raised_mss;
    uint32_t news = pcb->rcv_nxt + pcb->rcv_ann_wnd - pcb->rcv_ann_right_edge;
    if (news >= f->window.bytes / 2) {
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
    netstack_unmount(f->ns, f);
}
