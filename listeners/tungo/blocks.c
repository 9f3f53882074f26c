/* listeners/tungo/blocks.c - see blocks.h. */
#include "listeners/tungo/blocks.h"
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else /* blocks do not come from malloc, so AddressSanitizer has to be told who may touch them */
#define ASAN_POISON_MEMORY_REGION(at, n)   ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(at, n) ((void)0)
#endif

enum { SHRINK_MS = 1000, KEEP = 4 /* free ones that stay for the next packet */ };

static void unmap_one(struct blocks *b)
{
    struct block_free *f = b->first;

    b->first = f->next;
    b->n_free--;
    ASAN_UNPOISON_MEMORY_REGION(f, BLOCK_BYTES);
    (void)munmap(f, BLOCK_BYTES);
}

static void on_shrink(struct timer *timer)
{
    struct blocks *b = (struct blocks *)((char *)timer - offsetof(struct blocks, shrink));
    size_t n = b->n_idle > KEEP ? (b->n_idle - KEEP + 1) / 2 : 0;

    while (n--)
        unmap_one(b);
    b->n_idle = b->n_free;
    if (b->n_free > KEEP)
        (void)timer_start(timer, SHRINK_MS);
}

void blocks_init(struct blocks *b, struct loop *loop, size_t cap)
{
    *b = (struct blocks){.cap = cap};
    timer_init(loop, &b->shrink, on_shrink);
}

void blocks_done(struct blocks *b)
{
    timer_stop(&b->shrink);
    BUG_ON(b->n_used != 0);
    while (b->first)
        unmap_one(b);
}

void *blocks_get(struct blocks *b)
{
    struct block_free *f = b->first;

    if (b->n_used >= b->cap)
        return NULL;
    if (f) {
        b->first = f->next;
        if (--b->n_free < b->n_idle)
            b->n_idle = b->n_free;
        ASAN_UNPOISON_MEMORY_REGION(f, BLOCK_BYTES);
    } else {
        f = mmap(NULL, BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (f == MAP_FAILED)
            return NULL;
    }
    b->n_used++;
    return f;
}

void blocks_put(struct blocks *b, void *block)
{
    struct block_free *f = block;

    f->next = b->first;
    b->first = f;
    ASAN_POISON_MEMORY_REGION(f + 1, BLOCK_BYTES - sizeof *f);
    b->n_free++;
    b->n_used--;
    if (b->n_free > KEEP && !timer_is_running(&b->shrink)) {
        b->n_idle = b->n_free;
        (void)timer_start(&b->shrink, SHRINK_MS);
    }
}
