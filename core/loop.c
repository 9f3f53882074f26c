/* core/loop.c - one turn: ready descriptors, timers, a bounded run of jobs, the memory of what was
 * closed. See loop.h.
 *
 * libuv turns the wheel. Our epoll set is one uv_poll handle in it; jobs and deferred memory run in
 * the prepare phase (after timers, before the wait) and in the check phase (after the descriptors).
 * While jobs are left over, an idle handle keeps libuv from waiting.
 */
#include "core/loop_in.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    JOBS_MORE = 16,      /* of the jobs posted during a phase run in it; the rest in the next one */
    TRIM_AFTER = 512,    /* so many objects freed: the allocator is asked to give pages back ... */
    TRIM_QUIET_MS = 1000 /* ... once it has been quiet for so long */
};

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

void loop_random(void *buf, size_t n)
{
    unsigned char *p = buf;

    while (n) {
        ssize_t k = getrandom(p, n, 0);

        BUG_ON(k < 0 && errno != EINTR);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
    }
}

/* ---------------------------------------------------------------- jobs and deferred memory */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is the point */
}

void job_init(struct job *job, job_fn *fn)
{
    *job = (struct job){.fn = fn};
}

static void post_to(struct loop *loop, struct job *ring, struct job *job)
{
    if (job->next)
        return;
    job->next = ring;
    job->prev = ring->prev;
    ring->prev->next = job;
    ring->prev = job;
    if (!uv_is_active((uv_handle_t *)&loop->idle))
        uv_idle_start(&loop->idle, on_idle);
}

void job_post(struct loop *loop, struct job *job)
{
    post_to(loop, &loop->jobs, job);
}

void job_post_later(struct loop *loop, struct job *job)
{
    post_to(loop, &loop->later, job);
}

void job_cancel(struct job *job)
{
    if (!job->next)
        return;
    job->prev->next = job->next;
    job->next->prev = job->prev;
    job->next = job->prev = NULL;
}

static void run_first(struct job *ring)
{
    struct job *job = ring->next;

    job_cancel(job);
    job->fn(job);
}

/* What is in the ring now, and a few more: jobs that post each other or themselves, as those of
 * streams that always have bytes, must not keep descriptors and timers waiting. */
static void run_jobs(struct loop *loop)
{
    struct job *ring = &loop->jobs, end = {0};

    if (ring->next != ring) {
        post_to(loop, ring, &end);
        while (ring->next != &end)
            run_first(ring);
        job_cancel(&end);
        for (int i = 0; i < JOBS_MORE && ring->next != ring; i++)
            run_first(ring);
    }
    if (ring->next == ring && loop->later.next == &loop->later)
        uv_idle_stop(&loop->idle);
}

/* The descriptors have been looked at: what waited for that runs now. */
static void take_later(struct loop *loop)
{
    struct job *ring = &loop->jobs, *later = &loop->later;

    if (later->next == later)
        return;
    later->next->prev = ring->prev;
    ring->prev->next = later->next;
    later->prev->next = ring;
    ring->prev = later->prev;
    later->next = later->prev = later;
}

void loop_free_later(struct loop *loop, struct deferred *d, void (*free_fn)(void *obj), void *obj)
{
    d->free_fn = free_fn;
    d->obj = obj;
    d->next = loop->dead;
    loop->dead = d;
}

/* The memory of flows that are gone goes back to the system, not only to the allocator's lists. */
static void on_trim(uv_timer_t *trim)
{
    struct loop *loop = trim->data;

    if (loop->freed - loop->freed_seen >=
        TRIM_AFTER) { /* still busy: what is freed is used again at once */
        loop->freed_seen = loop->freed;
        uv_timer_start(&loop->trim, on_trim, TRIM_QUIET_MS, 0);
        return;
    }
    loop->freed = 0;
    (void)malloc_trim(0);
}

static void free_dead(struct loop *loop)
{
    while (loop->dead) {
        struct deferred *d = loop->dead;

        loop->dead = d->next; /* d lives inside the object */
        d->free_fn(d->obj);
        loop->freed++;
    }
    if (loop->freed >= TRIM_AFTER && !uv_is_active((uv_handle_t *)&loop->trim)) {
        loop->freed_seen = loop->freed;
        uv_timer_start(&loop->trim, on_trim, TRIM_QUIET_MS, 0);
    }
}

/* ---------------------------------------------------------------- timers */

static void heap_put(struct loop *loop, uint32_t i, struct timer *t)
{
    loop->heap[i] = t;
    t->slot = i + 1;
}

static void heap_up(struct loop *loop, uint32_t i, struct timer *t)
{
    while (i) {
        uint32_t parent = (i - 1) / 2;

        if (loop->heap[parent]->due_ms <= t->due_ms)
            break;
        heap_put(loop, i, loop->heap[parent]);
        i = parent;
    }
    heap_put(loop, i, t);
}

static void heap_down(struct loop *loop, uint32_t i, struct timer *t)
{
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= loop->heap_n)
            break;
        if (child + 1 < loop->heap_n && loop->heap[child + 1]->due_ms < loop->heap[child]->due_ms)
            child++;
        if (t->due_ms <= loop->heap[child]->due_ms)
            break;
        heap_put(loop, i, loop->heap[child]);
        i = child;
    }
    heap_put(loop, i, t);
}

static void heap_place(struct loop *loop, uint32_t i, struct timer *t)
{
    if (i && loop->heap[(i - 1) / 2]->due_ms > t->due_ms)
        heap_up(loop, i, t);
    else
        heap_down(loop, i, t);
}

static void on_clock(uv_timer_t *clock);

/* Arms libuv's timer for the first of ours; called when it changed and before the loop waits. */
static void set_clock(struct loop *loop)
{
    uint64_t now = uv_now(&loop->uv), due;

    if (!loop->heap_n) {
        uv_timer_stop(&loop->clock);
        return;
    }
    due = loop->heap[0]->due_ms;
    if (uv_is_active((uv_handle_t *)&loop->clock) && loop->clock_due == due)
        return;
    loop->clock_due = due;
    uv_timer_start(&loop->clock, on_clock, due > now ? due - now : 0, 0);
}

static void on_clock(uv_timer_t *clock)
{
    struct loop *loop = clock->data;
    uint64_t now = uv_now(&loop->uv);

    loop->firing = true;
    while (loop->heap_n && loop->heap[0]->due_ms <= now) {
        struct timer *t = loop->heap[0];

        timer_stop(t);
        t->fn(t);
    }
    loop->firing = false;
    set_clock(loop);
}

void timer_init(struct loop *loop, struct timer *timer, timer_fn *fn)
{
    *timer = (struct timer){.loop = loop, .fn = fn};
}

/* For one more, beside those that run and the reserved ones that do not. */
static bool has_place(struct loop *loop)
{
    uint32_t cap = loop->heap_cap ? 2 * loop->heap_cap : 64;

    if (loop->heap_n + loop->n_reserved < loop->heap_cap)
        return true;
    struct timer **v = realloc(loop->heap, cap * sizeof(*v));
    if (!v)
        return false;
    loop->heap = v;
    loop->heap_cap = cap;
    return true;
}

bool timer_reserve(struct timer *timer)
{
    struct loop *loop = timer->loop;

    if (timer->reserved)
        return true;
    if (!timer->slot && !has_place(loop))
        return false;
    loop->n_reserved += !timer->slot;
    timer->reserved = true;
    return true;
}

void timer_release(struct timer *timer)
{
    timer_stop(timer);
    if (timer->reserved)
        timer->loop->n_reserved--;
    timer->reserved = false;
}

bool timer_start(struct timer *timer, uint64_t delay_ms)
{
    struct loop *loop = timer->loop;
    uint32_t i;

    /* Not in this round again: one that starts itself with 0 would never let it end. */
    if (loop->firing && delay_ms == 0)
        delay_ms = 1;
    timer->due_ms = uv_now(&loop->uv) + delay_ms;
    if (timer->slot) {
        heap_place(loop, timer->slot - 1, timer);
    } else {
        if (timer->reserved)
            loop->n_reserved--;
        else if (!has_place(loop))
            return false;
        i = loop->heap_n++;
        heap_up(loop, i, timer);
    }
    if (!uv_is_active((uv_handle_t *)&loop->clock))
        set_clock(loop); /* else on_prepare() does, once for all changes of this turn */
    return true;
}

void timer_stop(struct timer *timer)
{
    struct loop *loop = timer->loop;
    uint32_t i = timer->slot;
    struct timer *last;

    if (!i--)
        return;
    timer->slot = 0;
    loop->n_reserved += timer->reserved;
    last = loop->heap[--loop->heap_n];
    if (last != timer)
        heap_place(loop, i, last);
}

/* ---------------------------------------------------------------- the loop itself */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    hotfd_deliver(poll->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;

    run_jobs(loop);
    free_dead(loop);
    set_clock(loop);
}

static void on_check(uv_check_t *check)
{
    struct loop *loop = check->data;

    take_later(loop);
    run_jobs(loop);
    free_dead(loop);
}

struct loop *loop_new(struct diag *diag)
{
    struct loop *loop = calloc(1, sizeof *loop);
    int err;

    if (!loop) {
        diag_set(diag, RC_NOMEM, "no memory for the event loop");
        return NULL;
    }
    loop->jobs.next = loop->jobs.prev = &loop->jobs;
    loop->later.next = loop->later.prev = &loop->later;
    loop->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epfd < 0) {
        diag_errno(diag, errno, "epoll_create1");
        free(loop);
        return NULL;
    }
    err = uv_loop_init(&loop->uv);
    if (err) {
        diag_set(diag, RC_SYS, "uv_loop_init: %s", uv_strerror(err));
        close(loop->epfd);
        free(loop);
        return NULL;
    }
    uv_poll_init(&loop->uv, &loop->poll, loop->epfd);
    uv_timer_init(&loop->uv, &loop->clock);
    uv_timer_init(&loop->uv, &loop->trim);
    uv_unref((uv_handle_t *)&loop->trim);
    loop->trim.data = loop;
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->poll.data = loop->clock.data = loop->prepare.data = loop->check.data = loop;
    uv_poll_start(&loop->poll, UV_READABLE, on_poll);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->poll);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    return loop;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_jobs(loop);
    free_dead(loop);
    uv_close((uv_handle_t *)&loop->poll, NULL);
    uv_close((uv_handle_t *)&loop->clock, NULL);
    uv_close((uv_handle_t *)&loop->trim, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT)) {
        /* a loop_stop() from before ended that run at once */
    }
    BUG_ON(uv_loop_close(&loop->uv) != 0); /* somebody's handle is still open */
    close(loop->epfd);
    free(loop->heap);
    free(loop->hot);
    free(loop);
}
