/* listeners/tungo/sendq.c - see sendq.h. */
#include "listeners/tungo/sendq.h"
#include "listeners/tungo/blocks.h"
#include "listeners/tungo/source.h"
#include <stdlib.h>
#include <string.h>

struct sendchunk {
    struct sendchunk *next;
    uint32_t cap, used, given;
    bool is_block;
    uint8_t data[];
};
_Static_assert(sizeof(struct sendchunk) + SENDQ_CHUNK_BYTES <= BLOCK_BYTES, "a chunk is one block");

static size_t chunk_bytes(const struct sendchunk *c)
{
    return c->is_block ? BLOCK_BYTES : sizeof *c + c->cap;
}

static void chunk_free(struct sendq *q, struct sendchunk *c, struct blocks *blocks)
{
    source_release(q->source, chunk_bytes(c));
    if (c->is_block)
        blocks_put(blocks, c);
    else
        free(c);
}

static void append(struct sendq *q, struct sendchunk *c)
{
    c->next = NULL;
    if (q->last)
        q->last->next = c;
    else
        q->first = c;
    q->last = c;
}

/* Takes the last chunk out of the queue. */
static void drop_last(struct sendq *q)
{
    struct sendchunk **pp = &q->first, *before = NULL;

    while (*pp != q->last) {
        before = *pp;
        pp = &before->next;
    }
    *pp = NULL;
    q->last = before;
}

enum rc sendq_reserve(struct sendq *q, struct blocks *blocks, size_t want, size_t step,
                      struct iovec *ret_v)
{
    struct sendchunk *c = q->last;
    size_t left = c ? c->cap - c->used : 0;

    if (!c || (left < want && left < SENDQ_CHUNK_BYTES / 4)) {
        if (!source_may(q->source, BLOCK_BYTES, !q->first))
            return RC_NOMEM;
        c = blocks_get(blocks);
        if (!c)
            return RC_NOMEM;
        *c = (struct sendchunk){.cap = SENDQ_CHUNK_BYTES, .is_block = true};
        source_hold(q->source, BLOCK_BYTES);
        append(q, c);
        left = c->cap;
    }
    if (want > left)
        want = left;
    if (want > step)
        want -= want % step;
    *ret_v = (struct iovec){c->data + c->used, want};
    q->reserved = true;
    return RC_OK;
}

/* A short write alone in a block moves to a chunk of its size. */
static void make_small(struct sendq *q, struct blocks *blocks, size_t n)
{
    struct sendchunk *c = q->last, *small = malloc(sizeof *small + n);

    if (!small)
        return;
    *small = (struct sendchunk){.cap = (uint32_t)n};
    memcpy(small->data, c->data, n);
    drop_last(q);
    source_hold(q->source, chunk_bytes(small));
    chunk_free(q, c, blocks);
    append(q, small);
}

void sendq_commit(struct sendq *q, struct blocks *blocks, size_t n)
{
    q->reserved = false;
    if (q->last->used == 0 && q->last->is_block) {
        if (n == 0) {
            struct sendchunk *c = q->last;
            drop_last(q);
            chunk_free(q, c, blocks);
            return;
        }
        if (n <= SENDQ_SMALL_BYTES)
            make_small(q, blocks, n);
    }
    if (n == 0)
        return;
    q->last->used += (uint32_t)n;
    q->waiting += (uint32_t)n;
    if (!q->giving)
        q->giving = q->last;
}

bool sendq_next(struct sendq *q, struct iovec *ret_v)
{
    struct sendchunk *c = q->giving;

    if (!c)
        return false;
    *ret_v = (struct iovec){c->data + c->given, c->used - c->given};
    return true;
}

void sendq_given(struct sendq *q, size_t n)
{
    struct sendchunk *c = q->giving;

    c->given += (uint32_t)n;
    q->waiting -= (uint32_t)n;
    if (c->given == c->used)
        q->giving = c->next && c->next->used ? c->next : NULL;
}

void sendq_release(struct sendq *q, struct blocks *blocks, uint32_t seq)
{
    struct sendchunk *c;

    while ((c = q->first) != NULL) {
        if ((int32_t)(seq - (q->first_seq + c->used)) < 0 || c == q->giving ||
            (c == q->last && q->reserved))
            return;
        q->first_seq += c->used;
        q->first = c->next;
        if (!q->first)
            q->last = NULL;
        chunk_free(q, c, blocks);
    }
}

void sendq_clear(struct sendq *q, struct blocks *blocks)
{
    while (q->first) {
        struct sendchunk *c = q->first;
        q->first = c->next;
        chunk_free(q, c, blocks);
    }
    *q = (struct sendq){.source = q->source};
}
