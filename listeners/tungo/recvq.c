/* listeners/tungo/recvq.c - see recvq.h. */
#include "listeners/tungo/recvq.h"
#include "listeners/tungo/source.h"
#include "lwip/pbuf.h"
#include <stdbool.h>
#include <string.h>

enum {
    SMALL_BYTES = 2048,
    SMALL_RUN = 16, /* so many small ones in line before they are gathered */
    GATHER_BYTES = 16384,
};

static void append(struct recvq *q, struct pbuf *p)
{
    p->next = NULL;
    if (q->last)
        q->last->next = p;
    else
        q->first = p;
    q->last = p;
}

/* true: p's bytes are in a gathering buffer and p is gone. */
static bool gather(struct recvq *q, struct pbuf *p)
{
    if (q->gathered < p->len) {
        if (q->n_small < SMALL_RUN)
            return false;
        struct pbuf *g = source_pbuf(q->source, GATHER_BYTES);
        if (!g)
            return false;
        g->len = 0;
        append(q, g);
        q->gathered = GATHER_BYTES;
    }
    memcpy((uint8_t *)q->last->payload + q->last->len, p->payload, p->len);
    q->last->len = (u16_t)(q->last->len + p->len);
    q->gathered = (uint16_t)(q->gathered - p->len);
    pbuf_free(p);
    return true;
}

static void add_one(struct recvq *q, struct pbuf *p)
{
    q->bytes += p->len;
    if (p->len <= SMALL_BYTES) {
        if (gather(q, p))
            return;
        q->n_small++;
    } else {
        q->n_small = 0;
    }
    q->gathered = 0;
    append(q, p);
}

void recvq_add(struct recvq *q, struct pbuf *chain)
{
    while (chain) {
        struct pbuf *next = chain->next;
        chain->next = NULL;
        chain->tot_len = chain->len;
        if (chain->len)
            add_one(q, chain);
        else
            pbuf_free(chain);
        chain = next;
    }
}

int recvq_peek(const struct recvq *q, struct iovec *v, int cap)
{
    int n = 0;

    for (struct pbuf *p = q->first; p && n < cap; p = p->next)
        v[n++] = (struct iovec){p->payload, p->len};
    return n;
}

void recvq_consume(struct recvq *q, size_t n)
{
    q->bytes -= n;
    while (n) {
        struct pbuf *p = q->first;
        if (n < p->len) {
            p->payload = (uint8_t *)p->payload + n;
            p->len = (u16_t)(p->len - n);
            return; /* a gathering buffer keeps its room: payload + len is still its end */
        }
        n -= p->len;
        q->first = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    if (!q->first) {
        q->last = NULL;
        q->n_small = q->gathered = 0;
    }
}

void recvq_clear(struct recvq *q)
{
    recvq_consume(q, q->bytes);
}
