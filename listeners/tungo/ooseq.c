/* listeners/tungo/ooseq.c - see ooseq.h. */
#include "listeners/tungo/ooseq.h"
#include "core/wire/ip.h"
#include "listeners/tungo/flow.h"
#include "listeners/tungo/gate.h"
#include "listeners/tungo/seq.h"
#include "lwip/priv/tcp_priv.h"

static uint32_t seq_of(const struct packet *p)
{
    return packet_rd32(p->ip + p->l4 + TCP_AT_SEQ);
}

static uint32_t bytes_of(const struct packet *p)
{
    return (uint32_t)(p->bytes - p->payload);
}

static bool has_fin(const struct tcp_seg *s)
{
    return (TCPH_FLAGS(s->tcphdr) & TCP_FIN) != 0;
}

/* In a queued segment lwIP keeps the header in host order. */
static uint32_t end_of(const struct tcp_seg *s)
{
    return s->tcphdr->seqno + s->len;
}

static uint16_t count(const struct tcp_pcb *pcb)
{
    uint16_t n = 0;

    for (const struct tcp_seg *s = pcb->ooseq; s && n < OOSEQ_MAX; s = s->next)
        n++;
    return n;
}

/* What is counted in does not tell when it goes, so at the cap it is counted anew: where the link
 * loses, the list need never be empty. */
static bool too_many(struct tungo_flow *f, const struct packet *p)
{
    if (!f->pcb->ooseq) {
        f->n_ooseq = 0;
        return false;
    }
    if (!bytes_of(p) || seq_of(p) == f->pcb->rcv_nxt)
        return false;
    if (f->n_ooseq >= OOSEQ_MAX)
        f->n_ooseq = count(f->pcb);
    if (f->n_ooseq >= OOSEQ_MAX)
        return true;
    f->n_ooseq++;
    return false;
}

/* What no honest client sends and lwIP 2.2.1 answers with a failed assertion: bytes out of order
 * beyond the window (its queue takes the first segment untrimmed), and bytes beyond the client's
 * own FIN (the FIN is taken from the queue into a segment that already fills the window). */
static bool breaks_the_window(const struct tcp_pcb *pcb, const struct packet *p)
{
    uint32_t seq = seq_of(p), end = seq + bytes_of(p);
    uint8_t flags = p->ip[p->l4 + TCP_AT_FLAGS];
    bool fin = flags & TCP_FIN;
    int32_t beyond = (int32_t)(end + fin - (pcb->rcv_nxt + pcb->rcv_wnd));

    if (end + fin == seq || (flags & (TCP_SYN | TCP_RST)))
        return false; /* nothing to queue: lwIP answers or obeys those by itself */
    if (beyond > 0 && seq_lt(pcb->rcv_nxt, seq))
        return true;
    if (beyond < 0)
        return false;
    for (const struct tcp_seg *s = pcb->ooseq; s; s = s->next)
        if (has_fin(s) && seq_lt(end_of(s), end))
            return true;
    return false;
}

bool ooseq_refuses(struct tungo_flow *f, const struct packet *p)
{
    return too_many(f, p) || breaks_the_window(f->pcb, p);
}

bool ooseq_has(const struct tungo_flow *f, const struct packet *p)
{
    uint32_t seq = seq_of(p), end = seq + bytes_of(p);

    if (end == seq)
        return false;
    for (const struct tcp_seg *s = f->pcb->ooseq; s && !seq_lt(seq, s->tcphdr->seqno); s = s->next)
        if (!seq_lt(end_of(s), end))
            return true;
    return false;
}

bool ooseq_is_near_gap(const struct tungo_flow *f, const struct packet *p)
{
    return bytes_of(p) && (f->pcb->ooseq || seq_lt(f->pcb->rcv_nxt, seq_of(p)));
}

/* Both as lwIP has them after the segment that brought them: nobody else holds their pbufs. */
static bool may_join(const struct tcp_seg *a, const struct tcp_seg *b)
{
    return end_of(a) == b->tcphdr->seqno && a->len >= OOSEQ_JOIN_BYTES &&
           b->len >= OOSEQ_JOIN_BYTES && (unsigned)a->len + b->len <= UINT16_MAX && !has_fin(a) &&
           !has_fin(b) && a->p->tot_len == a->len && b->p->tot_len == b->len;
}

void ooseq_join(struct tungo_flow *f)
{
    struct tcp_seg *s = f->pcb->ooseq;

    while (s && s->next) {
        struct tcp_seg *next = s->next;
        if (!may_join(s, next)) {
            s = next;
            continue;
        }
        s->len = (u16_t)(s->len + next->len);
        pbuf_cat(s->p, next->p);
        s->next = next->next;
        next->p = NULL;
        tcp_seg_free(next);
    }
}
