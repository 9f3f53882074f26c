/* listeners/tungo/rxbuf.c - see rxbuf.h. */
#include "listeners/tungo/rxbuf.h"
#include "listeners/tungo/source.h"
#include <string.h>

enum { COPY_BYTES = RXBUF_DATA_BYTES / 4 };

struct rxbuf *rxbuf_new(struct blocks *blocks)
{
    struct rxbuf *b = blocks_get(blocks);

    if (b) {
        b->blocks = blocks;
        b->spare = false;
    }
    return b;
}

void rxbuf_free(struct rxbuf *b)
{
    if (b && !b->spare)
        blocks_put(b->blocks, b);
}

static void on_pbuf_free(struct pbuf *p)
{
    struct rxbuf *b = (struct rxbuf *)p; /* pc is the first member */
    struct source *s = b->source;

    rxbuf_free(b);
    source_release(s, BLOCK_BYTES);
}

struct pbuf *rxbuf_to_pbuf(struct rxbuf *b, uint8_t *ip, size_t n, struct source *s)
{
    struct pbuf *p = NULL;

    if (b && n >= COPY_BYTES && n <= UINT16_MAX && !b->spare) {
        b->pc.custom_free_function = on_pbuf_free;
        b->source = s;
        source_hold(s, BLOCK_BYTES);
        return pbuf_alloced_custom(PBUF_RAW, (u16_t)n, PBUF_REF, &b->pc, ip, UINT16_MAX);
    }
    if (n < UINT16_MAX && !(b && n >= COPY_BYTES)) /* longer ones do not fit a pbuf */
        p = source_pbuf(s, n + 1);
    if (p) {
        memcpy(p->payload, ip, n);
        ((uint8_t *)p->payload)[n] = 0; /* the spare byte */
        p->len = p->tot_len = (u16_t)n;
    }
    rxbuf_free(b);
    return p;
}
