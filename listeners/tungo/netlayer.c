/* listeners/tungo/netlayer.c - see netlayer.h. */
#include "listeners/tungo/netlayer.h"
#include "listeners/tungo/netstack.h"
#include "listeners/tungo/outflow.h"
#include "lwip/priv/tcp_priv.h"
#include <stdlib.h>
#include <string.h>

enum {
    PIECES_MAX = 4096, /* pbufs in lwIP's queues: it walks them to their ends */
    SEND_PIECE_BYTES = SENDQ_CHUNK_BYTES
};

static struct tungo_flow *flow_of(const struct layer *l)
{
    return ((const struct netlayer *)(const void *)l)->flow;
}

/* Why nothing more will go out; RC_OK: it may. */
static enum rc send_state(const struct tungo_flow *f)
{
    if (f->pcb && !f->shut_wanted)
        return RC_OK;
    return f->failed != RC_OK ? f->failed : RC_RESET;
}

size_t netlayer_room(const struct tungo_flow *f)
{
    const struct tcp_pcb *pcb = f->pcb;
    uint32_t limit, under_way, room, need;

    if (!pcb || !f->established || f->shut_wanted || f->tx.waiting ||
        pcb->snd_queuelen >= PIECES_MAX)
        return 0;
    under_way = pcb->snd_lbb - pcb->lastack;
    limit = LWIP_MIN(pcb->snd_wnd, outflow_limit(f));
    room = limit > under_way ? limit - under_way : 0;
    /* The window is closed and nothing is on its way: lwIP needs something to probe with. */
    if (!room && !under_way)
        return f->mss;
    /* Whole super-segments, where the window is not small: with less, each acknowledgement would be
     * answered by a small read and a small segment. */
    need = LWIP_MIN(outflow_worth(f), limit / 2);
    return room && room >= need ? room : 0;
}

static enum rc fail(struct tungo_flow *f, enum rc rc)
{
    return layer_fail(&f->layer->layer, rc, "%s",
                      rc == RC_RESET     ? "reset by the client"
                      : rc == RC_TIMEOUT ? "the client does not answer"
                      : rc == RC_LIMIT   ? "too many flows"
                                         : rc_name(rc));
}

/* --- receiving */

/* What a read finds when no bytes wait. */
static enum rc nothing_waits(struct tungo_flow *f)
{
    if (f->got_fin)
        return RC_EOF;
    if (f->pcb)
        return RC_AGAIN;
    return fail(f, f->failed != RC_OK ? f->failed : RC_RESET);
}

static enum rc on_peek(struct layer *l, struct iovec *v, int cap, int *ret_n)
{
    struct tungo_flow *f = flow_of(l);

    if (!f->rx.bytes)
        return nothing_waits(f);
    *ret_n = recvq_peek(&f->rx, v, cap);
    return RC_OK;
}

static enum rc on_consume(struct layer *l, size_t n)
{
    struct tungo_flow *f = flow_of(l);

    BUG_ON(n > f->rx.bytes);
    recvq_consume(&f->rx, n);
    netstack_credit(f);
    return RC_OK;
}

static enum rc on_recv(struct layer *l, void *buf, size_t cap, size_t *ret_n)
{
    struct tungo_flow *f = flow_of(l);
    struct iovec v[16];
    size_t done = 0;

    if (!f->rx.bytes)
        return nothing_waits(f);
    int nv = recvq_peek(&f->rx, v, 16);
    for (int i = 0; i < nv && done < cap; i++) {
        size_t n = LWIP_MIN(v[i].iov_len, cap - done);
        memcpy((char *)buf + done, v[i].iov_base, n);
        done += n;
    }
    *ret_n = done;
    return on_consume(l, done);
}

/* --- sending */

static enum rc on_reserve(struct layer *l, size_t want, struct iovec *ret_v)
{
    struct tungo_flow *f = flow_of(l);
    enum rc rc = send_state(f);
    size_t room;

    if (rc != RC_OK)
        return fail(f, rc);
    room = netlayer_room(f);
    if (!room || !want) {
        f->blocked_out = true;
        return RC_AGAIN;
    }
    f->blocked_out = false;
    if (!f->tx.first)
        f->tx.first_seq = f->pcb->snd_lbb;
    /* one super-segment at a time: a little more would leave as a small packet behind it */
    room = LWIP_MIN(room, f->raised_mss);
    rc = sendq_reserve(&f->tx, &f->ns->blocks, LWIP_MIN(want, room), f->mss, ret_v);
    if (rc == RC_NOMEM) {
        /* blocks come back with the acknowledgements of others; the tick asks again */
        f->ns->stats.no_memory++;
        f->blocked_out = true;
        ticks_add_slow(f);
        return RC_AGAIN;
    }
    return rc;
}

static enum rc on_commit(struct layer *l, size_t n)
{
    struct tungo_flow *f = flow_of(l);

    BUG_ON(!f->tx.reserved);
    sendq_commit(&f->tx, &f->ns->blocks, n);
    if (!n)
        return RC_OK;
    netstack_mount(f->ns, f);
    netstack_push(f);
    netstack_unmount(f->ns, f);
    return RC_OK;
}

static enum rc on_send(struct layer *l, const struct iovec *v, int nv, size_t *ret_n)
{
    size_t total = 0, sent = 0, at = 0;
    int i = 0;

    for (int k = 0; k < nv; k++)
        total += v[k].iov_len;
    while (sent < total) {
        struct iovec room;
        enum rc rc = on_reserve(l, LWIP_MIN(total - sent, SEND_PIECE_BYTES), &room);
        if (rc != RC_OK) {
            if (sent)
                break;
            return rc;
        }
        size_t done = 0;
        while (done < room.iov_len && i < nv) {
            size_t n = LWIP_MIN(room.iov_len - done, v[i].iov_len - at);
            memcpy((char *)room.iov_base + done, (const char *)v[i].iov_base + at, n);
            done += n;
            at += n;
            if (at == v[i].iov_len) {
                i++;
                at = 0;
            }
        }
        rc = on_commit(l, done);
        if (rc != RC_OK)
            return rc;
        sent += done;
    }
    *ret_n = sent;
    return RC_OK;
}

static enum rc on_shut(struct layer *l)
{
    struct tungo_flow *f = flow_of(l);

    if (f->shut_done)
        return RC_OK;
    if (!f->pcb)
        return fail(f, send_state(f));
    f->shut_wanted = true; /* it goes out by itself behind what waits */
    netstack_mount(f->ns, f);
    netstack_push(f);
    netstack_unmount(f->ns, f);
    return RC_OK;
}

/* --- the rest */

static enum rc on_open(struct layer *l)
{
    struct tungo_flow *f = flow_of(l);

    if (f->established)
        return RC_OK;
    if (f->pcb)
        return RC_AGAIN;
    return fail(f, f->failed != RC_OK ? f->failed : RC_TIMEOUT);
}

static unsigned on_ready(const struct layer *l, unsigned wish)
{
    const struct tungo_flow *f = flow_of(l);
    unsigned ready = 0;

    if (!f->pcb) /* every call has an answer now; an orderly end is no failure */
        return f->failed != RC_OK ? wish : wish & ~(unsigned)STREAM_GONE;
    if (f->rx.bytes || f->got_fin)
        ready |= STREAM_IN;
    if (netlayer_room(f) || f->shut_wanted)
        ready |= STREAM_OUT;
    if (f->established)
        ready |= STREAM_OPEN;
    return ready & wish;
}

static enum rc on_query(struct layer *l, enum layer_query q, void *ret_value)
{
    const struct tungo_flow *f = flow_of(l);

    switch (q) {
    case QUERY_PEER_ADDR:
        *(struct addr *)ret_value = flow_client(f);
        return RC_OK;
    case QUERY_LOCAL_ADDR:
        *(struct addr *)ret_value = flow_target(f);
        return RC_OK;
    case QUERY_BOUND_ADDR:
    case QUERY_CONFIRMED:
    case QUERY_SECURE:
    case QUERY_ALPN:
    case QUERY_FD:
    case QUERY_EXPEDITE:
    case QUERY_SOCKET:
        break;
    }
    return RC_UNSUPPORTED;
}

/* The owner is done. All consumed: our FIN, and the pcb comes to its end by itself. Something
 * unread, or no handshake: the client must not believe that it was heard. */
static void on_destroy(struct layer *l, bool aborting)
{
    struct tungo_flow *f = flow_of(l);
    bool clean = !aborting && f->established && !f->rx.bytes;

    f->layer = NULL;
    if (f->tx.reserved)
        sendq_commit(&f->tx, &f->ns->blocks, 0);
    recvq_clear(&f->rx);
    if (!f->pcb || !clean) {
        flow_kill(f, RC_CANCELED);
        return;
    }
    netstack_mount(f->ns, f);
    f->shut_wanted = true;
    netstack_push(f);
    if (f->pcb && !f->got_fin)
        (void)tcp_shutdown(f->pcb, 1, 0); /* what comes now is answered with a reset */
    netstack_unmount(f->ns, f);
    if (f->state != FLOW_DEAD)
        idle_orphan(f);
}

static const struct layer_type netlayer_type = {
    .name = "tungo",
    .open = on_open,
    .recv = on_recv,
    .send = on_send,
    .peek = on_peek,
    .consume = on_consume,
    .reserve = on_reserve,
    .commit = on_commit,
    .shut = on_shut,
    .ready = on_ready,
    .query = on_query,
    .destroy = on_destroy,
};

struct layer *netlayer_new(struct tungo_flow *f)
{
    struct netlayer *n = calloc(1, sizeof *n);

    if (!n)
        return NULL;
    n->layer.type = &netlayer_type;
    n->flow = f;
    f->layer = n;
    return &n->layer;
}
